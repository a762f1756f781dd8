//! Leading: phase 2 for one slot after another, many in flight.

use super::Stance;
use super::campaign::Campaign;
use super::common::Common;
use super::follow::Follow;
use super::promises::Adopted;
use super::rounds::{Ask, Rounds};
use crate::ballot::{Ballot, MemberId, NodeId};
use crate::config::Now;
use crate::entry::Entry;
use crate::message::{AcceptorMsg, LearnerMsg, ProposerMsg};
use crate::quorum::{AcceptorSet, Quorums};
use crate::role::{NoRecord, Output};
use crate::slot::{Slot, SlotRange};
use alloc::collections::{BTreeMap, VecDeque};

/// A leader that moves nothing for this many election timeouts gives up (R10).
const PATIENCE: u64 = 5;

/// One leadership, in one ballot, which ends with it.
#[derive(Debug)]
pub(super) struct Lead {
    ballot: Ballot,
    quorums: Quorums,
    /// The first slot of this leadership: an acceptor that promised held all below as chosen.
    begin: Slot,
    /// No slot at or above this had a vote when the leadership began.
    adopted_below: Slot,
    /// What those votes oblige this leader to propose.
    adopted: BTreeMap<Slot, Entry>,
    /// Counted in this ballot: every slot in `[begin, chosen_below)` is chosen.
    chosen_below: Slot,
    /// Proposals of the slots from `chosen_below` on.
    in_flight: VecDeque<Proposal>,
    rounds: Rounds,
    beat_at: Now,
    moved_at: Now,
    /// When an acceptor last said that it holds all below `begin` as chosen.
    held_at: Now,
    /// Since when a member is known to have promised a higher ballot: it votes no more in this one.
    outbid_at: Option<Now>,
    /// Log time is `log_time_ms` at `led_at`, and passes as the clock does (R18).
    log_time_ms: u64,
    led_at: Now,
    applied_below: Slot,
}

#[derive(Debug)]
struct Proposal {
    entry: Entry,
    votes: AcceptorSet,
    sent_at: Now,
}

impl Lead {
    /// A phase-1 quorum has promised.
    pub(super) fn begin(
        common: &mut Common,
        now: Now,
        ballot: Ballot,
        adopted: Adopted,
        out: &mut Output<NoRecord>,
    ) -> Lead {
        let acceptors = common.acceptors().len();
        let quorums = common.configuration.as_ref().map(|c| c.quorums);
        let mut lead = Lead {
            ballot,
            quorums: quorums.expect("a campaign has a configuration"),
            begin: adopted.chosen_below,
            adopted_below: adopted.below,
            adopted: adopted.entries,
            chosen_below: adopted.chosen_below,
            in_flight: VecDeque::new(),
            rounds: Rounds::new(now, acceptors),
            beat_at: now,
            moved_at: now,
            held_at: now,
            outbid_at: None,
            log_time_ms: adopted.log_time_ms.max(common.log_time_ms),
            led_at: now,
            applied_below: common.applied_below,
        };
        lead.beat(common, now, out);
        lead.pump(common, now, out);
        lead
    }

    pub(super) fn ballot(&self) -> Ballot {
        self.ballot
    }

    pub(super) fn chosen_below(&self) -> Slot {
        self.chosen_below
    }

    /// Proposes as long as there is something to propose and room in the window.
    pub(super) fn pump(&mut self, common: &mut Common, now: Now, out: &mut Output<NoRecord>) {
        if common.applied_below > self.applied_below {
            self.applied_below = common.applied_below;
            self.moved_at = now;
        }
        let window = common.configuration.as_ref().map_or(0, |c| c.window);
        // R20: beyond the window the configuration is not known.
        while self.next() < common.applied_below.plus(window) {
            let slot = self.next();
            let entry = if slot < self.adopted_below {
                if planted!(GapNotFilled) && !self.adopted.contains_key(&slot) {
                    break;
                }
                // P2c where there was a vote; a hole gets a no-op (invariant 5).
                let log_time_ms = self.log_time(now);
                self.adopted.remove(&slot).unwrap_or_else(|| Entry::noop(log_time_ms))
            } else {
                match common.next_entry(self.log_time(now)) {
                    Some(entry) => entry,
                    None => break,
                }
            };
            self.propose(common, now, entry, out);
        }
    }

    /// A durable vote for each slot of the range, in exactly this ballot (R2).
    pub(super) fn accepted(
        &mut self,
        common: &mut Common,
        now: Now,
        from: MemberId,
        slots: SlotRange,
        out: &mut Output<NoRecord>,
    ) {
        let bit = common.bit(from);
        if bit == 0 {
            return;
        }
        let first = slots.from.since(self.chosen_below) as usize;
        let end = slots.below.since(self.chosen_below) as usize;
        let end = end.min(self.in_flight.len());
        for proposal in self.in_flight.range_mut(first.min(end)..end) {
            proposal.votes |= bit;
        }
        let before = self.chosen_below;
        while self.in_flight.front().is_some_and(|p| self.quorums.phase2(p.votes)) {
            self.in_flight.pop_front();
            self.chosen_below = self.chosen_below.next();
        }
        if self.chosen_below > before {
            self.moved_at = now;
            self.tell_chosen(common, out);
            self.pump(common, now, out);
        }
    }

    /// An acceptor echoes a heartbeat.
    pub(super) fn acked(
        &mut self,
        common: &mut Common,
        now: Now,
        from: MemberId,
        round: u64,
        chosen_below: Slot,
        out: &mut Output<NoRecord>,
    ) {
        let bit = common.bit(from);
        if bit == 0 {
            return;
        }
        if chosen_below >= self.begin {
            self.held_at = now;
        }
        for Ask { learner, id, below } in self.rounds.ack(bit, round, self.quorums) {
            out.send(learner, LearnerMsg::ReadIndex { id, below });
        }
        self.send_due_round(common, now, out);
    }

    /// An acceptor has promised a higher ballot.
    pub(super) fn outbid(&mut self, now: Now) {
        self.outbid_at.get_or_insert(now);
    }

    /// R12: captured now, not below what the election adopted; sent when a later round confirms it.
    pub(super) fn ask_read_index(
        &mut self,
        common: &Common,
        now: Now,
        learner: NodeId,
        id: u64,
        out: &mut Output<NoRecord>,
    ) {
        if self.rounds.waiting() < common.options.limits.reads_max {
            let below = self.chosen_below.max(self.adopted_below);
            self.rounds.ask(Ask { learner, id, below });
            self.send_due_round(common, now, out);
        }
    }

    pub(super) fn tick(
        &mut self,
        common: &mut Common,
        now: Now,
        out: &mut Output<NoRecord>,
    ) -> Option<Stance> {
        if self.is_idle(common) {
            self.moved_at = now;
        }
        let timeout = common.options.timing.election_timeout_us();
        let answered = self.rounds.are_answered(now, timeout, self.quorums);
        let moves = now.since(self.moved_at.min(self.held_at)) <= PATIENCE * timeout;
        // R10: silent at once. The ballot is over; the queue stays for the next leader.
        if !answered {
            return Some(Stance::Follow(Follow::nobody(common, now)));
        }
        if !moves {
            return Some(Stance::Follow(Follow::stand_back(common, now)));
        }
        if self.outbid_at.is_some_and(|at| now.since(at) > PATIENCE * timeout) {
            // Whoever outbid this leader does not lead, and the member waits for a ballot that it
            // may vote in: until then one failure less is survived.
            return Some(Stance::Campaign(Campaign::poll(common, now, out)));
        }
        let heartbeat = common.options.timing.heartbeat_us();
        if now.since(self.beat_at) >= heartbeat {
            self.beat(common, now, out);
        }
        self.propose_again(common, now, 2 * heartbeat, out);
        let due = common.expiry_ms.is_some_and(|at| at <= self.log_time(now));
        if due && common.queue_is_empty() && self.is_idle(common) {
            // R18: log time passes by entries, and a session wants to expire.
            let noop = Entry::noop(self.log_time(now));
            self.propose(common, now, noop, out);
        }
        None
    }

    fn next(&self) -> Slot {
        self.chosen_below.plus(self.in_flight.len() as u64)
    }

    /// All is proposed, chosen, and applied by the paired learner.
    fn is_idle(&self, common: &Common) -> bool {
        let all = self.chosen_below.max(self.adopted_below);
        self.in_flight.is_empty() && common.queue_is_empty() && common.applied_below >= all
    }

    fn log_time(&self, now: Now) -> u64 {
        self.log_time_ms.saturating_add(now.since(self.led_at) / 1000)
    }

    /// R1: (ballot, slot) → entry is fixed here.
    fn propose(&mut self, common: &Common, now: Now, entry: Entry, out: &mut Output<NoRecord>) {
        let slot = self.next();
        let msg = self.accept(slot, entry.clone());
        self.in_flight.push_back(Proposal { entry, votes: 0, sent_at: now });
        common.send_acceptors(0, &msg, out);
    }

    fn accept(&self, slot: Slot, entry: Entry) -> AcceptorMsg {
        AcceptorMsg::Accept { ballot: self.ballot, slot, entry, chosen: self.chosen() }
    }

    /// Sends proposals again to the acceptors that have not voted for `patience_us`.
    fn propose_again(
        &mut self,
        common: &Common,
        now: Now,
        patience_us: u64,
        out: &mut Output<NoRecord>,
    ) {
        for i in 0..self.in_flight.len() {
            if now.since(self.in_flight[i].sent_at) >= patience_us {
                self.in_flight[i].sent_at = now;
                let entry = self.in_flight[i].entry.clone();
                let msg = self.accept(self.chosen_below.plus(i as u64), entry);
                common.send_acceptors(self.in_flight[i].votes, &msg, out);
            }
        }
    }

    fn send_due_round(&mut self, common: &Common, now: Now, out: &mut Output<NoRecord>) {
        if self.rounds.is_due() {
            self.send_round(common, now, out);
        }
    }

    fn send_round(&mut self, common: &Common, now: Now, out: &mut Output<NoRecord>) {
        let (ballot, round, chosen) = (self.ballot, self.rounds.send(now), self.chosen());
        common.send_acceptors(0, &AcceptorMsg::Heartbeat { ballot, round, chosen }, out);
    }

    /// The regular heartbeat: it also repeats what may have been lost.
    fn beat(&mut self, common: &Common, now: Now, out: &mut Output<NoRecord>) {
        self.beat_at = now;
        self.send_round(common, now, out);
        let configuration = common.configuration.as_ref();
        let proposers = configuration.into_iter().flat_map(|c| &c.proposers);
        for &node in proposers.filter(|&&node| node != common.me().node) {
            out.send(node, ProposerMsg::Leading { ballot: self.ballot });
        }
        self.tell_chosen(common, out);
    }

    /// R3: what was counted in this ballot, and nothing else.
    fn chosen(&self) -> SlotRange {
        SlotRange::new(self.begin, self.chosen_below)
    }

    fn tell_chosen(&self, common: &Common, out: &mut Output<NoRecord>) {
        let (ballot, slots) = (self.ballot, self.chosen());
        let configuration = common.configuration.as_ref();
        if !slots.is_empty() {
            for feed in configuration.into_iter().flat_map(|c| &c.learners) {
                out.send(feed.learner, LearnerMsg::Chosen { ballot, slots });
            }
        }
    }
}
