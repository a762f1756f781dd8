//! What an acceptor holds of the log: chosen entries in a row, and votes above them.

use crate::ahead::Ahead;
use crate::ballot::Ballot;
use crate::entry::{Entry, Vote};
use crate::message::{Entries, PromisePart};
use crate::slot::{Slot, SlotRange};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// `[trimmed, chosen_below)` are chosen entries, without a hole; at and above `chosen_below` are
/// votes. A promise therefore only tells of votes above `chosen_below`, however long the log is.
#[derive(Debug, Default)]
pub(crate) struct Held {
    trimmed: Slot,
    chosen: VecDeque<Entry>,
    log_time_ms: u64,
    /// From `chosen_below` on.
    votes: Ahead<Vote>,
}

impl Held {
    pub(crate) fn trimmed(&self) -> Slot {
        self.trimmed
    }

    #[inline]
    pub(crate) fn chosen_below(&self) -> Slot {
        self.votes.from()
    }

    /// The ballot of the vote at `slot`; none where there is none, or where it is chosen already.
    #[inline]
    pub(crate) fn voted(&self, slot: Slot) -> Option<Ballot> {
        self.votes.get(slot).map(|vote| vote.ballot)
    }

    #[inline]
    pub(crate) fn vote(&mut self, slot: Slot, vote: Vote) {
        self.votes.insert(slot, vote);
    }

    /// How far `chosen_below` can rise when the votes of `ballot` in `slots` are chosen: only over
    /// votes in exactly that ballot, and not over a hole.
    #[inline]
    pub(crate) fn reach(&self, ballot: Ballot, slots: SlotRange) -> SlotRange {
        let from = self.chosen_below();
        let mut below = from;
        if slots.contains(from) {
            let counts = |vote: &&Vote| vote.ballot == ballot || planted!(ChosenOfAnotherBallot);
            for _ in self.votes.row(slots.below).take_while(counts) {
                below = below.next();
            }
        }
        SlotRange { from, below }
    }

    /// The votes of `ballot` in `slots` are chosen, as far as that is news.
    ///
    /// # Panics
    /// If the range begins above `chosen_below`, or a slot of it has no vote in exactly that
    /// ballot.
    #[inline]
    pub(crate) fn choose(&mut self, ballot: Ballot, slots: SlotRange) {
        assert!(slots.from <= self.chosen_below(), "chosen entries are held in a row");
        while self.chosen_below() < slots.below {
            let vote = self.votes.pop().expect("a chosen slot has a vote");
            let counts = vote.ballot == ballot || planted!(ChosenOfAnotherBallot);
            assert!(counts, "chosen by votes of its ballot");
            self.push(vote.entry);
        }
    }

    /// `entry`, fetched from another acceptor, is what was chosen at `slot`.
    ///
    /// # Panics
    /// If `slot` is above `chosen_below`.
    pub(crate) fn learn(&mut self, slot: Slot, entry: Entry) {
        assert!(slot <= self.chosen_below(), "chosen entries are held in a row");
        if slot == self.chosen_below() {
            self.votes.forget(slot.next(), drop);
            self.push(entry);
        }
    }

    /// Forgets the slots below: snapshots cover them, so all of them are chosen, even those whose
    /// entries never came here.
    pub(crate) fn trim(&mut self, below: Slot, log_time_ms: u64) {
        if below <= self.trimmed {
            return;
        }
        let count = below.since(self.trimmed).min(self.chosen.len() as u64);
        self.chosen.drain(..count as usize);
        self.trimmed = below;
        // Votes below were for what the snapshots have.
        self.votes.forget(below, drop);
        self.log_time_ms = self.log_time_ms.max(log_time_ms);
    }

    /// The chosen entries from `from` on, as many as fit in `bytes_max`, but at least one.
    pub(crate) fn entries(&self, from: Slot, bytes_max: usize) -> Entries {
        let mut entries = Vec::new();
        let mut bytes = 0;
        if from >= self.trimmed {
            let skip = from.since(self.trimmed).min(self.chosen.len() as u64) as usize;
            for entry in self.chosen.range(skip..) {
                bytes += entry.weight();
                if bytes > bytes_max && !entries.is_empty() {
                    break;
                }
                entries.push(entry.clone());
            }
        }
        Entries { from, entries, chosen_below: self.chosen_below(), trimmed: self.trimmed }
    }

    /// The votes above what is chosen, from `first` on, as many as fit in `bytes_max`, but at least
    /// one.
    pub(crate) fn promise(&self, first: Slot, bytes_max: usize) -> PromisePart {
        let chosen_below = self.chosen_below();
        let from = first.max(chosen_below);
        let (mut votes, mut below, mut bytes) = (Vec::new(), None, 0);
        for (slot, vote) in self.votes.range(SlotRange::new(from, Slot(u64::MAX))) {
            bytes += vote.entry.weight();
            if bytes > bytes_max && !votes.is_empty() {
                below = Some(slot);
                break;
            }
            votes.push((slot, vote.clone()));
        }
        let (trimmed, log_time_ms) = (self.trimmed, self.log_time_ms);
        PromisePart { trimmed, chosen_below, log_time_ms, from, below, votes }
    }

    #[inline]
    fn push(&mut self, entry: Entry) {
        self.log_time_ms = self.log_time_ms.max(entry.log_time_ms);
        self.chosen.push_back(entry);
    }
}
