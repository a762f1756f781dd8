//! Heartbeat rounds: whether a quorum still answers (R10), and the reads that wait for it (R12).

use crate::ballot::NodeId;
use crate::config::Now;
use crate::quorum::{AcceptorSet, Quorums};
use crate::slot::Slot;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Times of sending are kept this far apart, in microseconds; one in between counts as the earlier.
const GRAIN_US: u64 = 1000;

/// A learner's question for a read index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) learner: NodeId,
    pub(super) id: u64,
    /// What the answer will be, once it is confirmed that this ballot still led.
    pub(super) below: Slot,
}

/// The rounds of one ballot.
#[derive(Debug)]
pub(super) struct Rounds {
    round: u64,
    sent: VecDeque<(u64, Now)>,
    /// For each acceptor, in the order of the configuration, the highest round it answered, and
    /// when the latest of all that it answered was sent.
    acked: Vec<(u64, Now)>,
    unsent: Vec<Ask>,
    sent_asks: VecDeque<(u64, Vec<Ask>)>,
}

impl Rounds {
    /// All `acceptors` count as having answered at the start: they have just promised, or are given
    /// the time to.
    pub(super) fn new(now: Now, acceptors: usize) -> Rounds {
        Rounds {
            round: 0,
            sent: VecDeque::new(),
            acked: alloc::vec![(0, now); acceptors],
            unsent: Vec::new(),
            sent_asks: VecDeque::new(),
        }
    }

    /// A read waits for a round that has not been sent.
    pub(super) fn ask(&mut self, ask: Ask) {
        match self.sent_asks.back_mut() {
            Some((_, asks)) if planted!(ReadJoinsSentRound) => asks.push(ask),
            _ => self.unsent.push(ask),
        }
    }

    /// How many questions wait.
    pub(super) fn waiting(&self) -> usize {
        self.unsent.len() + self.sent_asks.iter().map(|(_, asks)| asks.len()).sum::<usize>()
    }

    /// Whether a round should be sent now for the sake of reads: some wait, and none is under way.
    pub(super) fn is_due(&self) -> bool {
        !self.unsent.is_empty() && self.sent_asks.is_empty()
    }

    /// The number of a round that is sent now.
    pub(super) fn send(&mut self, now: Now) -> u64 {
        self.round += 1;
        if self.sent.back().is_none_or(|&(_, at)| now.since(at) >= GRAIN_US) {
            self.sent.push_back((self.round, now));
        }
        if !self.unsent.is_empty() {
            self.sent_asks.push_back((self.round, core::mem::take(&mut self.unsent)));
        }
        self.round
    }

    /// An acceptor echoes a round. Gives back the reads that a phase-2 quorum has now confirmed.
    pub(super) fn ack(&mut self, bit: AcceptorSet, round: u64, quorums: Quorums) -> Vec<Ask> {
        let Some(acked) = self.acked.get_mut(at(bit)) else { return Vec::new() };
        if round <= acked.0 || round > self.round {
            return Vec::new();
        }
        let behind = self.sent.partition_point(|&(sent, _)| sent <= round);
        let sent_at = behind.checked_sub(1).map_or(acked.1, |i| self.sent[i].1);
        *acked = (round, sent_at.max(acked.1));
        let mut confirmed = Vec::new();
        while let Some((round, _)) = self.sent_asks.front() {
            if !quorums.phase2(self.having(|(acked, _)| acked >= round)) {
                break;
            }
            confirmed.extend(self.sent_asks.pop_front().into_iter().flat_map(|(_, asks)| asks));
        }
        confirmed
    }

    /// An acceptor answered something else than a round, which was first sent at this time (R10).
    /// It says nothing of any round, so no read is confirmed by it (R12).
    #[inline]
    pub(super) fn answered(&mut self, bit: AcceptorSet, sent_at: Now) {
        if let Some((_, latest)) = self.acked.get_mut(at(bit)) {
            *latest = sent_at.max(*latest);
        }
    }

    /// When the latest of all that the acceptor answered was sent.
    pub(super) fn answered_of(&self, bit: AcceptorSet) -> Now {
        self.acked.get(at(bit)).map_or(Now(0), |&(_, sent_at)| sent_at)
    }

    /// Whether a phase-2 quorum answered what was sent within `timeout_us`.
    pub(super) fn are_answered(&mut self, now: Now, timeout_us: u64, quorums: Quorums) -> bool {
        while self.sent.len() > 1 && now.since(self.sent[1].1) > timeout_us {
            self.sent.pop_front();
        }
        quorums.phase2(self.having(|&(_, sent_at)| now.since(sent_at) <= timeout_us))
    }

    fn having(&self, holds: impl Fn(&(u64, Now)) -> bool) -> AcceptorSet {
        let bits = self.acked.iter().zip(0..).filter(|(acked, _)| holds(acked));
        bits.map(|(_, i)| 1 << i).sum()
    }
}

/// The place of the acceptor with this bit.
fn at(bit: AcceptorSet) -> usize {
    bit.trailing_zeros() as usize
}
