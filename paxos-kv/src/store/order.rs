//! The order of the keys, whose copy costs little: rows stand in leaves, which copies share.

use super::rows::{RowId, Rows};
use bytes::Bytes;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Rows in a leaf, at most.
const LEAF_MAX: usize = 64;

/// A leaf with fewer rows is joined to its neighbour, if that leaves room in it.
const LEAF_MIN: usize = LEAF_MAX / 4;

/// The rows of all keys, in the order of their keys.
///
/// A leaf is copied when it is changed for the first time while a copy of the order shares it.
#[derive(Clone, Debug)]
pub(super) struct Order(BTreeMap<Bytes, Arc<Leaf>>);

/// The rows of the keys from the one that the leaf is found by, which need not be there, to that
/// of the next leaf. The first leaf is found by the empty key.
type Leaf = Vec<RowId>;

impl Order {
    pub(super) fn new() -> Order {
        Order(BTreeMap::from([(Bytes::new(), Arc::default())]))
    }

    /// Gives a key that has none yet its place.
    pub(super) fn insert(&mut self, key: &[u8], row: RowId, rows: &Rows) {
        // As a rule the last leaf has it where keys come in order, as from a snapshot.
        let last = self.0.last_key_value().is_some_and(|(first, _)| first[..] <= *key);
        let leaf = match last {
            true => self.0.last_entry().map(|last| last.into_mut()),
            false => self.0.range_mut::<[u8], _>(upto(key)).next_back().map(|(_, leaf)| leaf),
        };
        let Some(leaf) = leaf.map(Arc::make_mut) else { return };
        let is_behind = leaf.last().and_then(|&row| rows.key(row)).is_none_or(|last| last < key);
        let place = match is_behind {
            true => leaf.len(),
            false => match place(leaf, key, rows) {
                Ok(place) | Err(place) => place,
            },
        };
        leaf.insert(place, row);
        if leaf.len() > LEAF_MAX {
            // What comes in order leaves full leaves behind.
            let middle = if last && is_behind { LEAF_MAX } else { LEAF_MAX / 2 };
            let upper = leaf.split_off(middle);
            leaf.shrink_to_fit();
            if let Some(first) = rows.key(upper[0]) {
                self.0.insert(Bytes::copy_from_slice(first), Arc::new(upper));
            }
        }
    }

    /// Takes a key out, while its row still has it.
    pub(super) fn remove(&mut self, key: &[u8], rows: &Rows) {
        let Some((first, leaf)) = self.0.range_mut::<[u8], _>(upto(key)).next_back() else {
            return;
        };
        let Ok(place) = place(leaf, key, rows) else { return };
        let leaf = Arc::make_mut(leaf);
        leaf.remove(place);
        if leaf.len() < LEAF_MIN {
            let first = first.clone();
            self.join(&first);
        }
    }

    /// The rows of the keys from `from` on.
    pub(super) fn range(&self, from: &[u8], rows: &Rows) -> impl Iterator<Item = RowId> {
        let first = self.0.range::<[u8], _>(upto(from)).next_back();
        let passed = first.map_or(0, |(_, leaf)| match place(leaf, from, rows) {
            Ok(place) | Err(place) => place,
        });
        let first = first.map_or(Bound::Unbounded, |(first, _)| Bound::Included(&first[..]));
        let leaves = self.0.range::<[u8], _>((first, Bound::Unbounded));
        leaves.flat_map(|(_, leaf)| leaf.iter().copied()).skip(passed)
    }

    /// Every row, in order, from a copy that is needed no more.
    pub(super) fn into_rows(self) -> impl Iterator<Item = RowId> + Send {
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
        let is_empty = lower.is_empty() || leaf.is_empty();
        if is_empty || lower.len() + leaf.len() <= LEAF_MAX - LEAF_MIN {
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

fn place(leaf: &Leaf, key: &[u8], rows: &Rows) -> Result<usize, usize> {
    leaf.binary_search_by(|&row| rows.key(row).map_or(Ordering::Less, |found| found.cmp(key)))
}

#[cfg(test)]
impl Order {
    /// Leaves have neither too many keys nor none, but for one that is alone; each has its keys in
    /// its place.
    pub(super) fn check(&self, rows: &Rows) {
        let key = |row: &RowId| rows.key(*row).unwrap();
        let mut all = self.0.iter().peekable();
        while let Some((first, leaf)) = all.next() {
            let next = all.peek();
            assert!(leaf.len() <= LEAF_MAX);
            assert!(leaf.iter().all(|row| key(row) >= &first[..]));
            assert!(next.is_none_or(|(next, _)| leaf.iter().all(|row| key(row) < &next[..])));
            assert!(leaf.is_sorted_by(|a, b| key(a) < key(b)));
            assert!(!leaf.is_empty() || self.0.len() == 1);
        }
    }
}
