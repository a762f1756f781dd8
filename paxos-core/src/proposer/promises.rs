//! Promises as they come in, part by part, and what they oblige a leader to propose.

use crate::entry::{Entry, Vote};
use crate::message::PromisePart;
use crate::quorum::AcceptorSet;
use crate::slot::Slot;
use alloc::collections::BTreeMap;

/// The promises to one ballot.
#[derive(Debug, Default)]
pub(super) struct Promises {
    by_acceptor: BTreeMap<AcceptorSet, Promise>,
    complete: AcceptorSet,
    /// The highest `chosen_below` of the complete ones. The leader begins here or above, since it
    /// adopts all that are complete, and proposes nothing below.
    ///
    /// So no promise need tell its votes below (invariant 5): what an acceptor holds as chosen is
    /// chosen, and its log time is told with it (R18). An acceptor that missed one slot which
    /// others have forgotten has votes without end above it, and none of them are needed. What an
    /// incomplete promise says is chosen is chosen as well, but does not count here: the leader may
    /// begin without it, and lower, where votes of others would then be missing.
    floor: Slot,
}

/// One acceptor's promise, of which some parts may still be missing.
#[derive(Debug, Default)]
struct Promise {
    chosen_below: Slot,
    log_time_ms: u64,
    votes: BTreeMap<Slot, Vote>,
    /// The ranges that the parts spoke for, by their first slot; none: without end.
    spoken: BTreeMap<Slot, Option<Slot>>,
}

/// What a phase-1 quorum obliges the leader to.
#[derive(Debug)]
pub(super) struct Adopted {
    /// Some acceptor of the quorum holds the chosen entry of every slot below.
    pub(super) chosen_below: Slot,
    /// No vote is at or above this slot.
    pub(super) below: Slot,
    /// For each slot with a vote, the entry of the highest ballot (P2c).
    pub(super) entries: BTreeMap<Slot, Entry>,
    /// The highest log time among them (R18).
    pub(super) log_time_ms: u64,
}

impl Promises {
    /// Adds a part of the promise of the acceptor with this bit. Gives back whether it brings the
    /// promise further.
    pub(super) fn add(&mut self, bit: AcceptorSet, part: PromisePart) -> bool {
        if self.complete & bit != 0 || part.chosen_below > Slot::MAX {
            return false;
        }
        let floor = self.floor;
        let before = self.by_acceptor.get(&bit).map(|promise| promise.wants(floor));
        let promise = self.by_acceptor.entry(bit).or_default();
        promise.chosen_below = promise.chosen_below.max(part.chosen_below);
        promise.log_time_ms = promise.log_time_ms.max(part.log_time_ms);
        promise.votes.extend(part.votes.into_iter().filter(|(slot, _)| *slot < Slot::MAX));
        let spoken = promise.spoken.entry(part.from).or_insert(part.below);
        *spoken = spoken.zip(part.below).map(|(one, other)| one.max(other));
        let wants = promise.wants(floor);
        if wants.is_none() {
            self.completed();
        }
        before != Some(wants)
    }

    /// A promise is complete. That may raise the floor, and so make others complete.
    fn completed(&mut self) {
        while let Some((bit, promise)) = self
            .by_acceptor
            .iter()
            .find(|&(bit, promise)| self.complete & bit == 0 && promise.wants(self.floor).is_none())
        {
            self.complete |= bit;
            self.floor = self.floor.max(promise.chosen_below);
        }
    }

    /// The first slot that the promise of this acceptor must speak for, and does not.
    pub(super) fn wants(&self, bit: AcceptorSet) -> Slot {
        let promise = self.by_acceptor.get(&bit);
        promise.and_then(|promise| promise.wants(self.floor)).unwrap_or_default()
    }

    /// The acceptors whose promise has all its parts, from the floor on (R6).
    pub(super) fn complete(&self) -> AcceptorSet {
        self.complete
    }

    /// P2c: for each slot the entry of the highest-ballot vote in the quorum.
    pub(super) fn adopt(self) -> Adopted {
        let complete = self.complete;
        let promises = self.by_acceptor.into_iter().filter(|(bit, _)| complete & bit != 0);
        let promises: alloc::vec::Vec<Promise> = promises.map(|(_, promise)| promise).collect();
        let held = promises.iter().map(|promise| promise.chosen_below);
        let chosen_below = held.max().unwrap_or_default();
        let mut log_time_ms = promises.iter().map(|p| p.log_time_ms).max().unwrap_or_default();
        let mut votes: BTreeMap<Slot, Vote> = BTreeMap::new();
        for (slot, vote) in promises.into_iter().flat_map(|promise| promise.votes) {
            let higher = votes.get(&slot).is_none_or(|known| known.ballot < vote.ballot);
            if slot >= chosen_below && higher && !planted!(OwnValue) {
                log_time_ms = log_time_ms.max(vote.entry.log_time_ms);
                votes.insert(slot, vote);
            }
        }
        Adopted {
            chosen_below,
            below: votes.last_key_value().map_or(chosen_below, |(slot, _)| slot.next()),
            entries: votes.into_iter().map(|(slot, vote)| (slot, vote.entry)).collect(),
            log_time_ms,
        }
    }
}

impl Promise {
    /// The first slot from `chosen_below` and `floor` on that no part speaks for; none: the promise
    /// is complete.
    ///
    /// Parts of several answers mix, since each `Prepare` gets one part (R6). That is sound: all of
    /// them were told under the promise of one ballot, in which nothing is proposed yet. Between
    /// two of them no vote can be added at all, and votes only go because they are chosen, which a
    /// later part says by a higher `chosen_below`.
    fn wants(&self, floor: Slot) -> Option<Slot> {
        if planted!(PartTakenForPromise) && !self.spoken.is_empty() {
            return None;
        }
        let mut next = self.chosen_below.max(floor);
        for (&from, &below) in &self.spoken {
            if from > next {
                break;
            }
            match below {
                Some(below) => next = next.max(below),
                None => return None,
            }
        }
        Some(next)
    }
}
