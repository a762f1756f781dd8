//! What is known of slots ahead of those that are done with.

use crate::slot::{Slot, SlotRange};
use alloc::collections::{BTreeMap, VecDeque};

/// At most one item for each slot from some slot on. As a rule slots come in order, and so all
/// items stand in a row; those behind a gap are kept apart, so that a gap costs nothing, however
/// long it is.
#[derive(Debug)]
pub(crate) struct Ahead<T> {
    from: Slot,
    /// Items of `from` and the slots behind it, without a gap.
    row: VecDeque<T>,
    /// Items behind the first gap.
    beyond: BTreeMap<Slot, T>,
}

impl<T> Default for Ahead<T> {
    fn default() -> Ahead<T> {
        Ahead { from: Slot::ZERO, row: VecDeque::new(), beyond: BTreeMap::new() }
    }
}

impl<T> Ahead<T> {
    /// The first slot that is not done with.
    #[inline]
    pub(crate) fn from(&self) -> Slot {
        self.from
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        match self.at(slot) {
            Some(at) => self.row.get(at),
            None => self.beyond.get(&slot),
        }
    }

    /// Puts an item where it belongs, in place of any other; not below `from`, where nothing is
    /// kept any more.
    #[inline]
    pub(crate) fn insert(&mut self, slot: Slot, item: T) {
        if slot == self.end() {
            self.row.push_back(item);
            if !self.beyond.is_empty() {
                self.close_gap();
            }
        } else if slot >= self.from {
            match self.at(slot).and_then(|at| self.row.get_mut(at)) {
                Some(old) => *old = item,
                None => _ = self.beyond.insert(slot, item),
            }
        }
    }

    /// The item of the first slot.
    #[inline]
    pub(crate) fn first(&self) -> Option<&T> {
        self.row.front()
    }

    /// The item of the first slot, which is done with if there is one.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.row.pop_front()?;
        self.from = self.from.next();
        Some(item)
    }

    /// The slots below are done with.
    #[inline]
    pub(crate) fn forget(&mut self, below: Slot, gone: impl FnMut(T)) {
        // As a rule they were popped.
        if below > self.from {
            self.advance(below, gone);
        }
    }

    #[cold]
    fn advance(&mut self, below: Slot, mut gone: impl FnMut(T)) {
        let count = below.since(self.from).min(self.row.len() as u64) as usize;
        self.row.drain(..count).for_each(&mut gone);
        self.from = below;
        while let Some(first) = self.beyond.first_entry() {
            if *first.key() >= below {
                break;
            }
            gone(first.remove());
        }
        self.close_gap();
    }

    /// The items of the first slots, as far as they go without a gap, and below this one.
    #[inline]
    pub(crate) fn row(&self, below: Slot) -> impl Iterator<Item = &T> {
        self.row.iter().take(below.since(self.from) as usize)
    }

    /// The items of these slots, ascending.
    pub(crate) fn range(&self, slots: SlotRange) -> impl Iterator<Item = (Slot, &T)> {
        let within = |slot: Slot| slot.since(self.from).min(self.row.len() as u64) as usize;
        let first = slots.from.max(self.from);
        let row = within(first)..within(slots.below).max(within(first));
        let beyond = first..slots.below.max(first);
        let in_row = (first.0..).map(Slot).zip(self.row.range(row));
        in_row.chain(self.beyond.range(beyond).map(|(&slot, item)| (slot, item)))
    }

    /// The first slot behind the row.
    #[inline]
    fn end(&self) -> Slot {
        self.from.plus(self.row.len() as u64)
    }

    /// The place of a slot in the row, if it is there.
    #[inline]
    fn at(&self, slot: Slot) -> Option<usize> {
        (self.from <= slot && slot < self.end()).then(|| slot.since(self.from) as usize)
    }

    fn close_gap(&mut self) {
        while let Some(first) = self.beyond.first_entry() {
            if *first.key() != self.from.plus(self.row.len() as u64) {
                break;
            }
            self.row.push_back(first.remove());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;
    use alloc::vec::Vec;

    #[test]
    fn it_holds_what_a_map_would() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let (mut ahead, mut map, mut from) = (Ahead::default(), BTreeMap::new(), Slot::ZERO);
            for item in 0..100 {
                match rng.between(0, 8) {
                    0 => {
                        let mut gone = Vec::new();
                        from = from.max(Slot(from.0 + rng.between(0, 12)));
                        let kept = map.split_off(&from);
                        ahead.forget(from, |item| gone.push(item));
                        assert_eq!(gone, map.into_values().collect::<Vec<_>>());
                        map = kept;
                    }
                    1 | 2 => {
                        let popped = ahead.pop();
                        assert_eq!(popped, map.remove(&from));
                        from = from.plus(popped.is_some().into());
                    }
                    _ => {
                        let slot = Slot(from.0.saturating_sub(2) + rng.between(0, 9));
                        ahead.insert(slot, item);
                        if slot >= from {
                            map.insert(slot, item);
                        }
                    }
                }
                assert_eq!(ahead.from(), from);
                let (a, b) = (Slot(from.0 + rng.between(0, 9)), Slot(from.0 + rng.between(0, 12)));
                let within: Vec<_> = ahead.range(SlotRange::new(a, b)).collect();
                let expected = map.range(a..b.max(a)).map(|(&slot, item)| (slot, item));
                assert_eq!(within, expected.collect::<Vec<_>>(), "seed {seed}");
                assert_eq!(ahead.get(a), map.get(&a), "seed {seed}");
            }
        }
    }
}
