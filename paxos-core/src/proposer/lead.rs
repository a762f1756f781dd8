//! Leading: phase 2 for one slot after another, many in flight.

use super::Stance;
use super::campaign::Campaign;
use super::clock::Clock;
use super::common::{self, Common};
use super::flight::Flight;
use super::follow::Follow;
use super::poll::Poll;
use super::promises::Adopted;
use super::rounds::{Ask, Rounds};
use crate::ballot::{Ballot, NodeId};
use crate::config::{Configuration, Now};
use crate::entry::Entry;
use crate::message::{AcceptorMsg, LearnerMsg, ProposerMsg};
use crate::quorum::AcceptorSet;
use crate::role::{NoRecord, Output};
use crate::slot::{Slot, SlotRange};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A leader that moves nothing for this many election timeouts gives up (R10).
const PATIENCE: u64 = 5;

/// One leadership, in one ballot, which ends with it.
#[derive(Debug)]
pub(super) struct Lead {
    pub(super) configuration: Arc<Configuration>,
    ballot: Ballot,
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
    flight: Flight,
    rounds: Rounds,
    beat_at: Now,
    moved_at: Now,
    /// When an acceptor last said that it holds all below `begin` as chosen.
    held_at: Now,
    /// Since when a member is known to have promised a higher ballot: it votes no more in this one.
    outbid_at: Option<Now>,
    /// Whether a campaign in a higher ballot, in which that member can vote, would be welcome.
    poll: Option<Poll>,
    clock: Clock,
    applied_below: Slot,
}

#[derive(Debug)]
struct Proposal {
    entry: Entry,
    /// What the entry weighs.
    bytes: usize,
    votes: AcceptorSet,
    /// When it was sent to all.
    sent_at: Now,
    /// When it was sent again to one; as a rule to none.
    again: Vec<(AcceptorSet, Now)>,
}

impl Lead {
    /// A phase-1 quorum has promised.
    pub(super) fn begin(
        configuration: Arc<Configuration>,
        common: &mut Common,
        now: Now,
        ballot: Ballot,
        adopted: Adopted,
        out: &mut Output<NoRecord>,
    ) -> Lead {
        let acceptors = configuration.acceptors.len();
        let mut lead = Lead {
            configuration,
            ballot,
            begin: adopted.chosen_below,
            adopted_below: adopted.below,
            adopted: adopted.entries,
            chosen_below: adopted.chosen_below,
            in_flight: VecDeque::new(),
            flight: Flight::new(common.options.limits.flight_bytes_max),
            rounds: Rounds::new(now, acceptors),
            beat_at: now,
            moved_at: now,
            held_at: now,
            outbid_at: None,
            poll: None,
            clock: Clock::new(adopted.log_time_ms.max(common.log_time_ms), now),
            applied_below: common.applied_below,
        };
        lead.beat(now, out);
        lead.pump(common, now, out);
        lead
    }

    pub(super) fn ballot(&self) -> Ballot {
        self.ballot
    }

    pub(super) fn chosen_below(&self) -> Slot {
        self.chosen_below
    }

    /// Proposes as long as there is something to propose and room for it: in the window, and for
    /// the bytes under way.
    pub(super) fn pump(&mut self, common: &mut Common, now: Now, out: &mut Output<NoRecord>) {
        if common.applied_below > self.applied_below {
            self.moved_at = now;
        }
        self.applied_below = common.applied_below;
        self.pass_time(common, now);
        let before = self.next();
        while self.is_open(common) {
            let slot = self.next();
            let (entry, bytes) = if slot < self.adopted_below {
                if planted!(GapNotFilled) && !self.adopted.contains_key(&slot) {
                    break;
                }
                if self.adopted.get(&slot).is_some_and(|entry| !self.flight.takes(entry.weight())) {
                    break;
                }
                // P2c where there was a vote; a hole gets a no-op (invariant 5).
                let log_time_ms = self.clock.log_time_ms();
                let adopted = self.adopted.remove(&slot);
                let entry = adopted.unwrap_or_else(|| Entry::noop(log_time_ms));
                let bytes = entry.weight();
                (entry, bytes)
            } else {
                let Some(room) = self.flight.room() else { break };
                let is_first = self.in_flight.is_empty();
                match common.next_entry(self.clock.log_time_ms(), room, is_first) {
                    Some(entry) => entry,
                    None => break,
                }
            };
            self.propose(now, entry, bytes, out);
        }
        if self.next() > before {
            self.pass_time(common, now);
        }
    }

    /// A durable vote for each slot of the range, in exactly this ballot (R2).
    pub(super) fn accepted(
        &mut self,
        common: &mut Common,
        now: Now,
        bit: AcceptorSet,
        slots: SlotRange,
        out: &mut Output<NoRecord>,
    ) {
        let first = slots.from.since(self.chosen_below) as usize;
        let end = slots.below.since(self.chosen_below) as usize;
        let end = end.min(self.in_flight.len());
        for proposal in self.in_flight.range_mut(first.min(end)..end) {
            if proposal.votes & bit == 0 {
                proposal.votes |= bit;
                // R10: a new vote is an answer, as durable as an echo. It counts as of when its
                // proposal was first sent, since it may be the answer to that: however late it
                // comes, it only says that the ballot was not outbid there at that time.
                if !planted!(FlightUnbounded) {
                    self.rounds.answered(bit, proposal.sent_at);
                }
            } else if planted!(VoteCountedTwice) {
                // The lowest bit that is not set yet.
                proposal.votes |= proposal.votes + 1;
            }
        }
        let before = self.chosen_below;
        let timeout = common.options.timing.election_timeout_us();
        while self.in_flight.front().is_some_and(|p| self.is_chosen(p.votes)) {
            if let Some(chosen) = self.in_flight.pop_front() {
                let took_us = now.since(chosen.sent_at);
                self.flight.landed(chosen.bytes, took_us, timeout);
            }
            self.chosen_below = self.chosen_below.next();
        }
        if self.chosen_below > before {
            self.moved_at = now;
            self.clock.moves(now);
            self.tell_chosen(out);
            self.pump(common, now, out);
        }
    }

    fn is_chosen(&self, votes: AcceptorSet) -> bool {
        let members = self.configuration.acceptors.len() as u32;
        let is_half = planted!(HalfIsQuorum) && 2 * votes.count_ones() >= members;
        is_half || self.configuration.quorums.phase2(votes)
    }

    /// An acceptor echoes a heartbeat.
    pub(super) fn acked(
        &mut self,
        now: Now,
        bit: AcceptorSet,
        round: u64,
        chosen_below: Slot,
        out: &mut Output<NoRecord>,
    ) {
        if chosen_below >= self.begin {
            self.held_at = now;
        }
        for Ask { learner, id, below } in self.rounds.ack(bit, round, self.configuration.quorums) {
            out.send(learner, LearnerMsg::ReadIndex { id, below });
        }
        self.send_due_round(now, out);
    }

    /// An acceptor has promised a higher ballot.
    pub(super) fn outbid(&mut self, now: Now) {
        self.outbid_at.get_or_insert(now);
    }

    /// An acceptor consents to a campaign in a higher ballot. When a phase-1 quorum has, the office
    /// is given up for it.
    pub(super) fn polled(
        &mut self,
        common: &mut Common,
        now: Now,
        bit: AcceptorSet,
        attempt: u64,
        out: &mut Output<NoRecord>,
    ) -> Option<Stance> {
        if !self.poll.as_mut()?.consents(&self.configuration, bit, attempt) {
            return None;
        }
        let configuration = Arc::clone(&self.configuration);
        Some(Stance::Campaign(Campaign::prepare(configuration, common, now, out)))
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
            let adopted_below =
                if planted!(AdoptedUnread) { Slot::ZERO } else { self.adopted_below };
            let below = self.chosen_below.max(adopted_below);
            if planted!(ReadUnconfirmed) {
                return out.send(learner, LearnerMsg::ReadIndex { id, below });
            }
            self.rounds.ask(Ask { learner, id, below });
            self.send_due_round(now, out);
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
        self.pass_time(common, now);
        let timeout = common.options.timing.election_timeout_us();
        let answered = self.rounds.are_answered(now, timeout, self.configuration.quorums);
        let moves = now.since(self.moved_at.min(self.held_at)) <= PATIENCE * timeout;
        // R10: silent at once. The ballot is over; the queue stays for the next leader.
        let configuration = Arc::clone(&self.configuration);
        if !answered && !planted!(KeepsLeading) {
            return Some(Stance::Follow(Follow::nobody(configuration, common, now)));
        }
        if !moves {
            return Some(Stance::Follow(Follow::stand_back(configuration, common, now)));
        }
        if self.outbid_at.is_some_and(|at| now.since(at) > PATIENCE * timeout) {
            // Whoever outbid this leader does not lead, and the member waits for a ballot that it
            // may vote in: until then one failure less is survived. But the office is kept until a
            // phase-1 quorum consents: with flexible quorums there may be none, and yet one that
            // goes on choosing. Consents of different times make no quorum.
            match &mut self.poll {
                Some(poll) if !poll.is_stale(now, timeout) => {
                    poll.tick(&self.configuration, common, now, out);
                }
                _ => self.poll = Some(Poll::ask(&self.configuration, common, now, out)),
            }
        }
        let heartbeat = common.options.timing.heartbeat_us();
        if now.since(self.beat_at) >= heartbeat {
            self.beat(now, out);
        }
        self.propose_again(now, out);
        let due = common.expiry_ms.is_some_and(|at| at <= self.clock.log_time_ms());
        if due && common.queue_is_empty() && self.is_idle(common) {
            // R18: log time passes by entries, and a session wants to expire.
            let noop = Entry::noop(self.clock.log_time_ms());
            self.propose(now, noop, Entry::WEIGHT, out);
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

    /// R20: beyond the window the configuration is not known.
    fn is_open(&self, common: &Common) -> bool {
        self.next() < common.applied_below.plus(self.configuration.window)
    }

    #[inline]
    fn pass_time(&mut self, common: &Common, now: Now) {
        let patience = common.options.timing.election_timeout_us();
        self.clock.pass(now, self.is_open(common), patience);
    }

    /// R1: (ballot, slot) → entry is fixed here.
    #[inline]
    fn propose(&mut self, now: Now, entry: Entry, bytes: usize, out: &mut Output<NoRecord>) {
        let slot = self.next();
        common::ask_all(&self.configuration, || self.accept(slot, entry.clone()), out);
        self.flight.sent(bytes);
        let again = Vec::new();
        self.in_flight.push_back(Proposal { entry, bytes, votes: 0, sent_at: now, again });
    }

    fn accept(&self, slot: Slot, entry: Entry) -> AcceptorMsg {
        AcceptorMsg::Accept { ballot: self.ballot, slot, entry, chosen: self.chosen() }
    }

    /// Sends proposals again to the acceptors that have answered something sent later, and not
    /// voted: on links that keep the order, the proposal was lost, or the vote. An acceptor that
    /// answers nothing, or is still at work on what came before, is sent nothing again, however
    /// long that takes; what was lost is found out by the next heartbeat.
    fn propose_again(&mut self, now: Now, out: &mut Output<NoRecord>) {
        let configuration = Arc::clone(&self.configuration);
        for (i, member) in configuration.acceptors.iter().enumerate() {
            let (bit, answered) = (1 << i, self.rounds.answered_of(1 << i));
            for at in 0..self.in_flight.len() {
                let proposal = &mut self.in_flight[at];
                let again = proposal.again.iter_mut().find(|(to, _)| *to == bit);
                let sent_at = again.as_ref().map_or(proposal.sent_at, |(_, at)| *at);
                if proposal.votes & bit == 0 && answered > sent_at {
                    match again {
                        Some((_, at)) => *at = now,
                        None => proposal.again.push((bit, now)),
                    }
                    let entry = proposal.entry.clone();
                    let msg = self.accept(self.chosen_below.plus(at as u64), entry);
                    out.send(member.node, msg);
                }
            }
        }
    }

    fn send_due_round(&mut self, now: Now, out: &mut Output<NoRecord>) {
        if self.rounds.is_due() {
            self.send_round(now, out);
        }
    }

    fn send_round(&mut self, now: Now, out: &mut Output<NoRecord>) {
        let (ballot, round, chosen) = (self.ballot, self.rounds.send(now), self.chosen());
        let msg = || AcceptorMsg::Heartbeat { ballot, round, chosen };
        common::ask_all(&self.configuration, msg, out);
    }

    /// The regular heartbeat: it also repeats what may have been lost.
    fn beat(&mut self, now: Now, out: &mut Output<NoRecord>) {
        self.beat_at = now;
        self.send_round(now, out);
        let others = self.configuration.proposers.iter().filter(|&&n| n != self.ballot.node);
        for &node in others {
            out.send(node, ProposerMsg::Leading { ballot: self.ballot });
        }
        self.tell_chosen(out);
    }

    /// R3: what was counted in this ballot, and nothing else.
    fn chosen(&self) -> SlotRange {
        SlotRange::new(self.begin, self.chosen_below)
    }

    fn tell_chosen(&self, out: &mut Output<NoRecord>) {
        let (ballot, slots) = (self.ballot, self.chosen());
        if !slots.is_empty() {
            for feed in &self.configuration.learners {
                out.post(feed.learner, || LearnerMsg::Chosen { ballot, slots });
            }
        }
    }
}
