//! The keys of the store with their present versions: found by hash, read in order, and copied at
//! little cost.

use super::Version;
use super::order::Order;
use bytes::Bytes;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry::{Occupied, Vacant};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Keys in a page. What a page has is copied when it is changed for the first time while a copy of
/// the keys shares it.
const PAGE: usize = 64;

/// A key, and what it is like now.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: Bytes,
    pub present: Version,
}

/// Where an entry stands, for as long as its key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u32);

/// Every key, with its present version.
///
/// A point is found by its hash, which costs as much in a large store as in a small one; the order
/// changes only when keys come and go.
#[derive(Debug)]
pub(super) struct Keys {
    found: HashTable<Found>,
    hasher: RandomState,
    slots: Slots,
    /// Slots whose keys have gone.
    free: Vec<Slot>,
    order: Order,
}

/// An entry as the table knows it. The hash is kept, so that a table that grows need not visit the
/// keys.
#[derive(Clone, Copy, Debug)]
struct Found {
    hash: u32,
    slot: Slot,
}

/// The entries, in no order.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    pages: Vec<Arc<Page>>,
}

type Page = Vec<Option<Entry>>;

impl Keys {
    pub(super) fn new() -> Keys {
        Keys {
            found: HashTable::new(),
            hasher: RandomState::new(),
            slots: Slots::default(),
            free: Vec::new(),
            order: Order::new(),
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Entry> {
        let hash = self.hash(key);
        let found = self.found.find(spread(hash), |found| self.slots.has(found.slot, key))?;
        self.slots.get(found.slot)
    }

    /// Looks a key up, to change its present version.
    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Version> {
        let hash = self.hash(key);
        let found = self.found.find(spread(hash), |found| self.slots.has(found.slot, key))?;
        self.slots.get_mut(found.slot)
    }

    /// Adds a key that is not there.
    pub(super) fn insert(&mut self, key: Bytes, present: Version) {
        let hash = self.hash(&key);
        let entry = Entry { key: key.clone(), present };
        let slot = self.free.pop().unwrap_or_else(|| self.slots.grow());
        self.slots.set(slot, Some(entry));
        self.found.insert_unique(spread(hash), Found { hash, slot }, |found| spread(found.hash));
        self.order.insert(key, slot, &self.slots);
    }

    /// Takes a key away, if it is there.
    pub(super) fn remove(&mut self, key: &[u8]) {
        let hash = self.hash(key);
        let slots = &self.slots;
        let is_it = |found: &Found| slots.has(found.slot, key);
        let slot = match self.found.entry(spread(hash), is_it, |found| spread(found.hash)) {
            Occupied(found) => found.remove().0.slot,
            Vacant(_) => return,
        };
        self.order.remove(key, &self.slots);
        self.slots.set(slot, None);
        self.free.push(slot);
    }

    /// The keys from `from` on, below `to`, which is not below `from`, in order.
    pub(super) fn range(&self, from: &[u8], to: Option<&[u8]>) -> impl Iterator<Item = &Entry> {
        let slots = self.order.range(from, &self.slots).filter_map(|slot| self.slots.get(slot));
        let below = to.map(Bytes::copy_from_slice);
        slots.take_while(move |entry| below.as_ref().is_none_or(|below| entry.key < *below))
    }

    /// Every key as it is now, in order, from a copy that later changes leave alone. To make it
    /// visits each page and each leaf of the order, and no key.
    pub(super) fn copy(&self) -> impl Iterator<Item = Entry> + Send + use<> {
        let (order, slots) = (self.order.clone(), self.slots.clone());
        order.into_slots().filter_map(move |slot| slots.get(slot).cloned())
    }

    fn hash(&self, key: &[u8]) -> u32 {
        // The upper half: any half is as good.
        (self.hasher.hash_one(key) >> 32) as u32
    }
}

/// The table looks at the highest and at the lowest bits of a hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Slots {
    pub(super) fn get(&self, slot: Slot) -> Option<&Entry> {
        self.pages[slot.page()][slot.place()].as_ref()
    }

    /// Whether this slot has this key.
    fn has(&self, slot: Slot, key: &[u8]) -> bool {
        self.get(slot).is_some_and(|entry| entry.key == key)
    }

    fn get_mut(&mut self, slot: Slot) -> Option<&mut Version> {
        let page = Arc::make_mut(&mut self.pages[slot.page()]);
        page[slot.place()].as_mut().map(|entry| &mut entry.present)
    }

    /// A slot that there was not yet.
    fn grow(&mut self) -> Slot {
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            self.pages.push(Arc::new(Vec::with_capacity(PAGE)));
        }
        let page = self.pages.len() - 1;
        let last = Arc::make_mut(&mut self.pages[page]);
        last.push(None);
        let at = page * PAGE + last.len() - 1;
        // So many keys would need hundreds of gigabytes.
        Slot(u32::try_from(at).expect("at most four billion keys"))
    }

    fn set(&mut self, slot: Slot, entry: Option<Entry>) {
        Arc::make_mut(&mut self.pages[slot.page()])[slot.place()] = entry;
    }
}

impl Slot {
    fn page(self) -> usize {
        self.0 as usize / PAGE
    }

    fn place(self) -> usize {
        self.0 as usize % PAGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Meta;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::ops::Bound;

    fn version(revision: u64) -> Version {
        let meta = Meta { mod_revision: revision, ..Meta::default() };
        Version { meta, value: None, digest: revision }
    }

    fn key(n: u16) -> Bytes {
        n.to_be_bytes().to_vec().into()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn keys_are_a_map_and_copies_stay_as_they_were(
            changes in prop::collection::vec((0..400u16, 0..5u8), 0..1500),
            (from, to) in (0..400u16, prop::option::of(0..400u16)),
        ) {
            let (mut keys, mut model) = (Keys::new(), BTreeMap::new());
            let mut copies = Vec::new();
            for (at, (n, change)) in changes.into_iter().enumerate() {
                let now = at as u64;
                match change {
                    0..=3 if at < 900 || change == 0 => {
                        match keys.get_mut(&key(n)) {
                            Some(present) => *present = version(now),
                            None => keys.insert(key(n), version(now)),
                        }
                        model.insert(key(n), now);
                    }
                    _ => {
                        keys.remove(&key(n));
                        model.remove(&key(n));
                    }
                }
                if at % 250 == 100 {
                    copies.push((keys.copy(), model.clone()));
                }
                keys.order.check(&keys.slots);
                let found = keys.get(&key(n)).map(|entry| entry.present.digest);
                prop_assert_eq!(found, model.get(&key(n)).copied());
            }
            let (from, to) = (key(from), to.map(|to| key(to.max(from))));
            let below = to.clone().map_or(Bound::Unbounded, Bound::Excluded);
            let expected = model.range((Bound::Included(from.clone()), below));
            let expected: Vec<_> = expected.map(|(k, v)| (k.clone(), *v)).collect();
            let found = keys.range(&from, to.as_deref());
            let found: Vec<_> = found.map(|e| (e.key.clone(), e.present.digest)).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(keys.found.len(), model.len());
            prop_assert_eq!(keys.free.len() + model.len(), keys.slots.filled());
            for (copy, model) in copies {
                let all: Vec<_> = copy.map(|e| (e.key, e.present.digest)).collect();
                prop_assert_eq!(all, model.into_iter().collect::<Vec<_>>());
            }
        }
    }

    impl Slots {
        fn filled(&self) -> usize {
            self.pages.iter().map(|page| page.len()).sum()
        }
    }
}
