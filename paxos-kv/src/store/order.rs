//! The order of the keys, whose copy costs little: slots stand in leaves, which copies share.

use super::keys::{Slot, Slots};
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Slots in a leaf, at most.
const LEAF_MAX: usize = 64;

/// A leaf with fewer slots is joined to its neighbour, if that leaves room in it.
const LEAF_MIN: usize = LEAF_MAX / 4;

/// The slots of all keys, in the order of their keys.
///
/// A leaf is copied when it is changed for the first time while a copy of the order shares it.
#[derive(Clone, Debug)]
pub(super) struct Order(BTreeMap<Bytes, Arc<Leaf>>);

/// The slots of the keys from the one that the leaf is found by, which need not be there, to that
/// of the next leaf. The first leaf is found by the empty key.
type Leaf = Vec<Slot>;

impl Order {
    pub(super) fn new() -> Order {
        Order(BTreeMap::from([(Bytes::new(), Arc::default())]))
    }

    /// Gives a key that has none yet its place.
    pub(super) fn insert(&mut self, key: Bytes, slot: Slot, slots: &Slots) {
        let Some((_, leaf)) = self.0.range_mut::<[u8], _>(upto(&key)).next_back() else { return };
        let leaf = Arc::make_mut(leaf);
        let (Ok(place) | Err(place)) = place(leaf, &key, slots);
        leaf.insert(place, slot);
        if leaf.len() > LEAF_MAX {
            let upper = leaf.split_off(LEAF_MAX / 2);
            if let Some(first) = slots.get(upper[0]) {
                self.0.insert(first.key.clone(), Arc::new(upper));
            }
        }
    }

    /// Takes a key out, while its slot still has it.
    pub(super) fn remove(&mut self, key: &[u8], slots: &Slots) {
        let Some((first, leaf)) = self.0.range_mut::<[u8], _>(upto(key)).next_back() else {
            return;
        };
        let Ok(place) = place(leaf, key, slots) else { return };
        let leaf = Arc::make_mut(leaf);
        leaf.remove(place);
        if leaf.len() < LEAF_MIN {
            let first = first.clone();
            self.join(&first);
        }
    }

    /// The slots of the keys from `from` on.
    pub(super) fn range(&self, from: &[u8], slots: &Slots) -> impl Iterator<Item = Slot> {
        let first = self.0.range::<[u8], _>(upto(from)).next_back();
        let passed = first.map_or(0, |(_, leaf)| match place(leaf, from, slots) {
            Ok(place) | Err(place) => place,
        });
        let first = first.map_or(Bound::Unbounded, |(first, _)| Bound::Included(&first[..]));
        let leaves = self.0.range::<[u8], _>((first, Bound::Unbounded));
        leaves.flat_map(|(_, leaf)| leaf.iter().copied()).skip(passed)
    }

    /// Every slot, in order, from a copy that is needed no more.
    pub(super) fn into_slots(self) -> impl Iterator<Item = Slot> + Send {
        self.0.into_values().flat_map(Arc::unwrap_or_clone)
    }

    /// Joins a leaf to the one before it; the first one takes the one behind it in.
    fn join(&mut self, first: &Bytes) {
        let upper = match first.is_empty() {
            true => self.0.range::<[u8], _>(behind(first)).next().map(|(upper, _)| upper.clone()),
            false => Some(first.clone()),
        };
        let Some(upper) = upper else { return };
        let Some(leaf) = self.0.get(&upper).cloned() else { return };
        let Some((_, lower)) = self.0.range_mut::<[u8], _>(before(&upper)).next_back() else {
            return;
        };
        if lower.len() + leaf.len() <= LEAF_MAX - LEAF_MIN {
            Arc::make_mut(lower).extend(Arc::unwrap_or_clone(leaf));
            self.0.remove(&upper);
        }
    }
}

/// The leaves up to the one that has `key`, if any has.
fn upto(key: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Unbounded, Bound::Included(key))
}

fn before(key: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Unbounded, Bound::Excluded(key))
}

fn behind(key: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Excluded(key), Bound::Unbounded)
}

fn place(leaf: &Leaf, key: &[u8], slots: &Slots) -> Result<usize, usize> {
    let compare = |entry: &super::keys::Entry| entry.key[..].cmp(key);
    leaf.binary_search_by(|&slot| slots.get(slot).map_or(Ordering::Less, compare))
}

#[cfg(test)]
impl Order {
    /// Leaves have neither too many keys nor, but for neighbours without room, too few; each has
    /// its keys in its place.
    pub(super) fn check(&self, slots: &Slots) {
        let key = |slot: &Slot| &slots.get(*slot).unwrap().key;
        let mut all = self.0.iter().peekable();
        while let Some((first, leaf)) = all.next() {
            let next = all.peek();
            assert!(leaf.len() <= LEAF_MAX);
            assert!(leaf.iter().all(|slot| key(slot) >= first));
            assert!(next.is_none_or(|(next, _)| leaf.iter().all(|slot| key(slot) < *next)));
            assert!(leaf.is_sorted_by(|a, b| key(a) < key(b)));
            assert!(!leaf.is_empty() || first.is_empty() || self.0.len() > 1);
        }
    }
}
