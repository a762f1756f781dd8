//! An ordered map whose copy costs little: keys stand in leaves, which copies share.

use super::History;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Keys in a leaf, at most.
const LEAF_MAX: usize = 64;

/// A leaf with fewer keys is joined to its neighbour, if that leaves room in it.
const LEAF_MIN: usize = LEAF_MAX / 4;

/// The keys of the store with their histories, in order.
///
/// A copy visits each leaf, of 16 to 64 keys as a rule, and no key: some milliseconds for a million
/// keys. What a leaf has is copied when it is changed for the first time while a copy of the map
/// shares it.
#[derive(Clone, Debug)]
pub(super) struct Leaves(BTreeMap<Bytes, Arc<Leaf>>);

/// Keys from the one that the leaf is found by, which need not be there, to that of the next leaf.
/// The first leaf is found by the empty key.
type Leaf = Vec<(Bytes, History)>;

impl Leaves {
    pub(super) fn new() -> Leaves {
        Leaves(BTreeMap::from([(Bytes::new(), Arc::default())]))
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<(&Bytes, &History)> {
        let (_, leaf) = self.0.range::<[u8], _>(upto(key)).next_back()?;
        let (key, history) = &leaf[place(leaf, key).ok()?];
        Some((key, history))
    }

    /// Looks a key up, to change its history.
    pub(super) fn get_mut(&mut self, key: &[u8]) -> Option<(&Bytes, &mut History)> {
        let (_, leaf) = self.0.range_mut::<[u8], _>(upto(key)).next_back()?;
        let place = place(leaf, key).ok()?;
        let (key, history) = &mut Arc::make_mut(leaf)[place];
        Some((key, history))
    }

    /// Adds a key, or gives it another history.
    pub(super) fn insert(&mut self, key: Bytes, history: History) {
        let Some((_, leaf)) = self.0.range_mut::<[u8], _>(upto(&key)).next_back() else { return };
        let leaf = Arc::make_mut(leaf);
        match place(leaf, &key) {
            Ok(place) => leaf[place].1 = history,
            Err(place) => leaf.insert(place, (key, history)),
        }
        if leaf.len() > LEAF_MAX {
            let upper = leaf.split_off(LEAF_MAX / 2);
            self.0.insert(upper[0].0.clone(), Arc::new(upper));
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        let Some((first, leaf)) = self.0.range_mut::<[u8], _>(upto(key)).next_back() else {
            return;
        };
        let Ok(place) = place(leaf, key) else { return };
        let leaf = Arc::make_mut(leaf);
        leaf.remove(place);
        if leaf.len() < LEAF_MIN {
            let first = first.clone();
            self.join(&first);
        }
    }

    /// The keys from `from` on, below `to`, which is not below `from`.
    pub(super) fn range(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> impl Iterator<Item = (&Bytes, &History)> {
        let first = self.0.range::<[u8], _>(upto(from)).next_back().map(|(first, _)| &first[..]);
        let first = first.map_or(Bound::Unbounded, Bound::Included);
        let below = to.map(Bytes::copy_from_slice);
        let start = Bytes::copy_from_slice(from);
        self.0
            .range::<[u8], _>((first, Bound::Unbounded))
            .flat_map(|(_, leaf)| leaf.iter())
            .skip_while(move |(key, _)| *key < start)
            .take_while(move |(key, _)| below.as_ref().is_none_or(|below| key < below))
            .map(|(key, history)| (key, history))
    }

    /// Every key, in order, from a copy that is needed no more.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (Bytes, History)> + Send {
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
            self.0.remove(&upper);
            if let Some((_, lower)) = self.0.range_mut::<[u8], _>(before(&upper)).next_back() {
                Arc::make_mut(lower).extend(Arc::unwrap_or_clone(leaf));
            }
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

fn place(leaf: &Leaf, key: &[u8]) -> Result<usize, usize> {
    leaf.binary_search_by(|(found, _)| found[..].cmp(key))
}

#[cfg(test)]
mod tests {
    use super::super::Version;
    use super::*;
    use crate::op::Meta;
    use proptest::prelude::*;

    fn history(revision: u64) -> History {
        let meta = Meta { mod_revision: revision, ..Meta::default() };
        [Version { meta, value: None, digest: revision }].into()
    }

    fn revision(history: &History) -> u64 {
        history[0].digest
    }

    fn key(n: u16) -> Bytes {
        n.to_be_bytes().to_vec().into()
    }

    /// Leaves have neither too many keys nor, but for neighbours without room, too few; each has
    /// its keys in its place.
    fn check(leaves: &Leaves) {
        let mut all = leaves.0.iter().peekable();
        while let Some((first, leaf)) = all.next() {
            let next = all.peek();
            assert!(leaf.len() <= LEAF_MAX);
            assert!(leaf.iter().all(|(key, _)| key >= first));
            assert!(next.is_none_or(|(next, _)| leaf.iter().all(|(key, _)| key < *next)));
            assert!(leaf.is_sorted_by(|a, b| a.0 < b.0));
            assert!(!leaf.is_empty() || first.is_empty() || leaves.0.len() > 1);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn leaves_are_a_map_and_copies_stay_as_they_were(
            changes in prop::collection::vec((0..400u16, 0..5u8), 0..1500),
            (from, to) in (0..400u16, prop::option::of(0..400u16)),
        ) {
            let (mut leaves, mut model) = (Leaves::new(), BTreeMap::new());
            let mut copies = Vec::new();
            for (at, (n, change)) in changes.into_iter().enumerate() {
                let now = at as u64;
                match change {
                    0..=2 if at < 900 || change == 0 => {
                        leaves.insert(key(n), history(now));
                        model.insert(key(n), now);
                    }
                    3 => {
                        let found = leaves.get_mut(&key(n));
                        prop_assert_eq!(found.is_some(), model.contains_key(&key(n)));
                        if let Some((_, found)) = found {
                            *found = history(now);
                            model.insert(key(n), now);
                        }
                    }
                    _ => {
                        leaves.remove(&key(n));
                        model.remove(&key(n));
                    }
                }
                if at % 250 == 100 {
                    copies.push((leaves.clone(), model.clone()));
                }
                check(&leaves);
                let found = leaves.get(&key(n)).map(|(_, history)| revision(history));
                prop_assert_eq!(found, model.get(&key(n)).copied());
            }
            copies.push((leaves, model));
            for (leaves, model) in copies {
                let (from, to) = (key(from), to.map(|to| key(to.max(from))));
                let below = to.clone().map_or(Bound::Unbounded, Bound::Excluded);
                let expected = model.range((Bound::Included(from.clone()), below));
                let expected: Vec<_> = expected.map(|(k, v)| (k.clone(), *v)).collect();
                let found = leaves.range(&from, to.as_deref());
                let found: Vec<_> = found.map(|(k, h)| (k.clone(), revision(h))).collect();
                prop_assert_eq!(found, expected);
                let all = leaves.into_entries().map(|(key, history)| (key, revision(&history)));
                prop_assert_eq!(all.collect::<BTreeMap<_, _>>(), model);
            }
        }
    }
}
