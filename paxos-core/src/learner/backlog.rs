//! What a learner has heard and cannot apply yet.

use crate::ahead::Ahead;
use crate::ballot::Ballot;
use crate::config::Limits;
use crate::entry::{Entry, Vote};
use crate::slot::{Slot, SlotRange};
use alloc::vec::Vec;

/// How many ranges of chosen slots are kept: one per ballot is the rule.
const RANGES_MAX: usize = 8;

/// Votes without a `Chosen`, and `Chosen`s without a vote. Bounded: what does not fit is fetched
/// later.
#[derive(Debug)]
pub(crate) struct Backlog {
    limits: Limits,
    /// With the bytes that each takes.
    votes: Ahead<(Vote, usize)>,
    bytes: usize,
    fed_below: Slot,
    chosen: Vec<(Ballot, SlotRange)>,
    chosen_below: Slot,
}

impl Backlog {
    pub(crate) fn new(limits: Limits) -> Backlog {
        Backlog {
            limits,
            votes: Ahead::default(),
            bytes: 0,
            fed_below: Slot::ZERO,
            chosen: Vec::new(),
            chosen_below: Slot::ZERO,
        }
    }

    /// Every slot below is known to be chosen.
    #[inline]
    pub(crate) fn chosen_below(&self) -> Slot {
        self.chosen_below
    }

    /// One above the highest slot that a vote was ever kept of.
    #[inline]
    pub(crate) fn fed_below(&self) -> Slot {
        self.fed_below
    }

    /// Somebody holds every slot below as chosen.
    pub(crate) fn hear_of(&mut self, chosen_below: Slot) {
        self.chosen_below = self.chosen_below.max(chosen_below);
    }

    /// Keeps a vote; of several for one slot, that of the highest ballot.
    #[inline]
    pub(crate) fn feed(&mut self, applied_below: Slot, slot: Slot, vote: Vote) {
        if slot.since(applied_below) >= self.limits.fed_slots_max {
            return;
        }
        self.forget_votes(applied_below);
        let known = self.votes.get(slot);
        if known.is_some_and(|(known, _)| known.ballot >= vote.ballot) {
            return;
        }
        let freed = known.map_or(0, |&(_, bytes)| bytes);
        let weight = vote.entry.weight();
        let bytes = self.bytes - freed + weight;
        // The vote that is applied next is always kept, or nothing would ever move.
        if bytes > self.limits.fed_bytes_max && slot > applied_below {
            return;
        }
        self.bytes = bytes;
        self.fed_below = self.fed_below.max(slot.next());
        self.votes.insert(slot, (vote, weight));
    }

    /// The leader of `ballot` counted these slots. Its ranges grow; an old one is no news.
    #[inline]
    pub(crate) fn choose(&mut self, ballot: Ballot, slots: SlotRange) {
        if slots.is_empty() {
            return;
        }
        self.hear_of(slots.below);
        for (b, range) in &mut self.chosen {
            if *b == ballot && range.from <= slots.below && slots.from <= range.below {
                range.from = range.from.min(slots.from);
                range.below = range.below.max(slots.below);
                return;
            }
        }
        if self.chosen.len() == RANGES_MAX {
            self.chosen.remove(0);
        }
        self.chosen.push((ballot, slots));
    }

    /// The entry chosen at `slot`, the first that is not applied, and its bytes: the vote there, if
    /// a `Chosen` of the same ballot covers it (R4).
    #[inline]
    pub(crate) fn take(&mut self, slot: Slot) -> Option<(Entry, usize)> {
        if slot >= self.chosen_below && !planted!(VoteTakenForChoice) {
            return None;
        }
        self.forget_votes(slot);
        // There is none below, and one above is behind a gap.
        let ballot = self.votes.first()?.0.ballot;
        let covers = |(b, slots): &&(Ballot, SlotRange)| {
            (*b == ballot || planted!(FedOfAnotherBallot)) && slots.contains(slot)
        };
        if !planted!(VoteTakenForChoice) {
            self.chosen.iter().find(covers)?;
        }
        let (vote, bytes) = self.votes.pop()?;
        self.bytes -= bytes;
        Some((vote.entry, bytes))
    }

    /// Drops what concerns only slots below.
    #[inline]
    pub(crate) fn forget(&mut self, applied_below: Slot) {
        self.forget_votes(applied_below);
        self.chosen.retain(|(_, slots)| slots.below > applied_below);
    }

    #[inline]
    fn forget_votes(&mut self, applied_below: Slot) {
        self.votes.forget(applied_below, |(_, bytes)| self.bytes -= bytes);
    }
}
