//! The keys of the store with their present versions: found by hash, read in order, and copied at
//! little cost.

use super::order::Order;
use super::rows::{Row, RowId, Rows};
use super::{Present, Version};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry::{Occupied, Vacant};
use std::hash::{BuildHasher, RandomState};

/// Every key, with its present version.
///
/// A point is found by its hash, which costs as much in a large store as in a small one; the order
/// changes only when keys come and go.
#[derive(Debug)]
pub(super) struct Keys {
    found: HashTable<Found>,
    hasher: RandomState,
    rows: Rows,
    /// Rows whose keys have gone.
    free: Vec<RowId>,
    order: Order,
}

/// A row as the table knows it. The hash is kept, so that a table that grows need not visit the
/// keys.
#[derive(Clone, Copy, Debug)]
struct Found {
    hash: u32,
    row: RowId,
}

impl Keys {
    pub(super) fn new() -> Keys {
        Keys {
            found: HashTable::new(),
            hasher: RandomState::new(),
            rows: Rows::default(),
            free: Vec::new(),
            order: Order::new(),
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Row<'_>> {
        self.rows.get(self.find(key)?)
    }

    /// Looks a key up: its row stays where it is for as long as the key is there.
    pub(super) fn find(&self, key: &[u8]) -> Option<RowId> {
        let hash = self.hash(key);
        // To look at a key costs a way to memory.
        let has = |found: &Found| found.hash == hash && self.rows.key(found.row) == Some(key);
        self.found.find(spread(hash), has).map(|found| found.row)
    }

    pub(super) fn row(&self, id: RowId) -> Option<Row<'_>> {
        self.rows.get(id)
    }

    /// Makes this version the present one of a key that was looked up, and gives back the one
    /// before.
    pub(super) fn replace(&mut self, id: RowId, present: Present<'_>) -> Option<Version> {
        self.rows.replace(id, present)
    }

    /// Adds a key that is not there.
    pub(super) fn insert(&mut self, key: &[u8], present: Present<'_>) {
        let hash = self.hash(key);
        let row = self.free.pop().unwrap_or_else(|| self.rows.grow());
        self.rows.set(row, key, present);
        self.found.insert_unique(spread(hash), Found { hash, row }, |found| spread(found.hash));
        self.order.insert(key, row, &self.rows);
    }

    /// Takes a key away, if it is there.
    pub(super) fn remove(&mut self, key: &[u8]) {
        let hash = self.hash(key);
        let rows = &self.rows;
        let is_it = |found: &Found| rows.key(found.row) == Some(key);
        let row = match self.found.entry(spread(hash), is_it, |found| spread(found.hash)) {
            Occupied(found) => found.remove().0.row,
            Vacant(_) => return,
        };
        self.order.remove(key, &self.rows);
        self.rows.clear(row);
        self.free.push(row);
    }

    /// The keys from `from` on, below `to`, which is not below `from`, in order.
    pub(super) fn range<'a>(
        &'a self,
        from: &[u8],
        to: Option<&'a [u8]>,
    ) -> impl Iterator<Item = Row<'a>> {
        let rows = self.order.range(from, &self.rows).filter_map(|row| self.rows.get(row));
        rows.take_while(move |row| to.is_none_or(|to| row.key < to))
    }

    /// Every key as it is now, which later changes leave alone, and where each is found, in order.
    /// To make it visits each page and each leaf of the order, and no key.
    pub(super) fn copy(&self) -> (Rows, impl Iterator<Item = RowId> + Send + use<>) {
        (self.rows.clone(), self.order.clone().into_rows())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Meta;
    use crate::store::rows::Value;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::ops::Bound;

    /// The value of a version: of any length, also of one that stands apart.
    fn value(revision: u64) -> Option<Bytes> {
        let length = [0, 3, 40, 300, 1024, 1025, 3000][revision as usize % 7];
        (!revision.is_multiple_of(11)).then(|| vec![revision as u8; length].into())
    }

    fn with_version<T>(revision: u64, act: impl FnOnce(Present<'_>) -> T) -> T {
        let meta = Meta { mod_revision: revision, ..Meta::default() };
        let within = value(revision).unwrap_or_default();
        let value = value(revision).map(|_| &within[..]);
        act(Present { meta, value, digest: revision, within: &within })
    }

    fn key(n: u16) -> Vec<u8> {
        n.to_be_bytes().to_vec()
    }

    fn seen(row: Row<'_>) -> (Vec<u8>, u64, Option<Bytes>) {
        assert_eq!(row.meta.mod_revision, row.digest);
        (row.key.to_vec(), row.digest, row.value.map(Value::to_bytes))
    }

    fn expected((key, &revision): (&Vec<u8>, &u64)) -> (Vec<u8>, u64, Option<Bytes>) {
        (key.clone(), revision, value(revision))
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
                        let before = match keys.find(&key(n)) {
                            Some(row) => with_version(now, |present| keys.replace(row, present)),
                            None => {
                                with_version(now, |present| keys.insert(&key(n), present));
                                None
                            }
                        };
                        let before = before.map(|version| (version.digest, version.value));
                        let known = model.insert(key(n), now);
                        prop_assert_eq!(before, known.map(|known| (known, value(known))));
                    }
                    _ => {
                        keys.remove(&key(n));
                        model.remove(&key(n));
                    }
                }
                if at % 250 == 100 {
                    copies.push((keys.copy(), model.clone()));
                }
                keys.order.check(&keys.rows);
                keys.rows.check();
                let found = keys.get(&key(n)).map(seen);
                prop_assert_eq!(found, model.get_key_value(&key(n)).map(expected));
            }
            let (from, to) = (key(from), to.map(|to| key(to.max(from))));
            let below = to.clone().map_or(Bound::Unbounded, Bound::Excluded);
            let within = model.range((Bound::Included(from.clone()), below)).map(expected);
            let found = keys.range(&from, to.as_deref()).map(seen);
            prop_assert_eq!(found.collect::<Vec<_>>(), within.collect::<Vec<_>>());
            prop_assert_eq!(keys.found.len(), model.len());
            prop_assert_eq!(keys.free.len() + model.len(), keys.rows.count());
            for ((copy, rows), model) in copies {
                let all: Vec<_> = rows.filter_map(|row| copy.get(row).map(seen)).collect();
                prop_assert_eq!(all, model.iter().map(expected).collect::<Vec<_>>());
            }
        }
    }
}
