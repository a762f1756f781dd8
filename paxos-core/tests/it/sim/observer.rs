//! One who sees everything: every durable record, and all mail as it leaves. It counts votes for
//! itself, and holds the roles to the invariants of the design.

use bytes::Bytes;
use paxos_core::{
    AcceptorMsg, Ballot, Body, Configuration, Entry, Layout, LearnerMsg, MemberId, NodeId,
    Outgoing, Packet, ProposerMsg, Quorums, Record, Slot, SlotRange,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub struct Observer {
    quorums: Quorums,
    /// (ballot, slot) → the one entry proposed, by invariant 4 and rule R1.
    proposed: BTreeMap<(Ballot, Slot), Entry>,
    /// Ballot → the process (node, boot) that used it.
    owners: BTreeMap<Ballot, (NodeId, u64)>,
    /// (ballot, slot) → durable votes.
    votes: BTreeMap<(Ballot, Slot), u32>,
    pub chosen: BTreeMap<Slot, (Ballot, Entry)>,
    acceptors: BTreeMap<NodeId, Durable>,
    /// What the state is after each slot, as the first learner there had it.
    digests: BTreeMap<Slot, u64>,
    /// The values of all commands that were chosen.
    values: BTreeSet<Bytes>,
    /// Some acceptor has durably forgotten the slots below.
    pub trimmed: Slot,
    roster: Option<Configuration>,
}

/// What of one acceptor is durable.
#[derive(Debug, Default)]
struct Durable {
    promised: Ballot,
    roster: bool,
    voted: BTreeMap<Slot, Vec<Ballot>>,
}

impl Observer {
    pub fn new(quorums: Quorums) -> Observer {
        invariant_7_quorums_meet(quorums);
        Observer {
            quorums,
            proposed: BTreeMap::new(),
            owners: BTreeMap::new(),
            votes: BTreeMap::new(),
            chosen: BTreeMap::new(),
            acceptors: BTreeMap::new(),
            digests: BTreeMap::new(),
            values: BTreeSet::new(),
            trimmed: Slot::ZERO,
            roster: None,
        }
    }

    /// A record of the acceptor at `node` (with this bit) is durable.
    pub fn durable(&mut self, node: NodeId, bit: u32, record: &Record) {
        let durable = self.acceptors.entry(node).or_default();
        match record {
            Record::Promised(ballot) => durable.promised = durable.promised.max(*ballot),
            Record::Voted { slot, vote } => {
                durable.promised = durable.promised.max(vote.ballot);
                durable.voted.entry(*slot).or_default().push(vote.ballot);
                let votes = self.votes.entry((vote.ballot, *slot)).or_default();
                *votes |= bit;
                if self.quorums.phase2(*votes) {
                    self.invariant_1_one_entry_per_slot(*slot, vote.ballot, &vote.entry);
                }
            }
            Record::Roster(roster) => {
                durable.roster = true;
                let first = self.roster.get_or_insert_with(|| roster.clone());
                assert_eq!(first, roster, "R23: two rosters");
            }
            Record::Chosen { ballot, slots } => {
                self.invariant_6_who_counts_is_right(*ballot, *slots)
            }
            Record::Learned { slot, entry } => self.holds(*slot, entry),
            Record::Trimmed { below, .. } => self.trimmed = self.trimmed.max(*below),
            Record::Formed => {}
        }
    }

    fn invariant_1_one_entry_per_slot(&mut self, slot: Slot, ballot: Ballot, entry: &Entry) {
        let (_, first) = self.chosen.entry(slot).or_insert_with(|| (ballot, entry.clone()));
        assert_eq!(first, entry, "invariant 1: two entries are chosen at slot {slot}");
        for command in entry.commands.iter() {
            if let Body::Run { value, .. } = &command.body {
                self.values.insert(value.clone());
            }
        }
    }

    /// An acceptor runs again with this promise.
    pub fn invariant_2_promise_stands(&self, node: NodeId, promised: Ballot) {
        let durable = self.acceptors.get(&node).map_or(Ballot::ZERO, |durable| durable.promised);
        assert!(promised >= durable, "invariant 2: n{node} fell from {durable} to {promised}");
    }

    /// Mail leaves a process.
    pub fn leaves(&mut self, from: MemberId, boot: u64, mail: &Outgoing) {
        match &mail.packet {
            Packet::Acceptor(msg) => self.asked_of_acceptor(from, boot, msg),
            Packet::Proposer(msg) => self.invariant_3_nothing_volatile_is_told(from, msg),
            Packet::Learner(LearnerMsg::Chosen { ballot, slots }) => {
                self.invariant_6_who_counts_is_right(*ballot, *slots);
            }
            Packet::Learner(LearnerMsg::Entries(entries)) => {
                for (slot, entry) in (entries.from.0..).zip(&entries.entries) {
                    self.holds(Slot(slot), entry);
                }
            }
            Packet::Learner(_) | Packet::Client(_) => {}
        }
    }

    fn asked_of_acceptor(&mut self, from: MemberId, boot: u64, msg: &AcceptorMsg) {
        match msg {
            AcceptorMsg::Prepare { ballot, .. } => {
                self.invariant_4_one_owner(from, boot, *ballot);
            }
            AcceptorMsg::Accept { ballot, slot, entry, chosen } => {
                self.invariant_4_one_owner(from, boot, *ballot);
                let first = self.proposed.entry((*ballot, *slot)).or_insert(entry.clone());
                assert_eq!(first, entry, "R1: {ballot} proposes two entries at slot {slot}");
                self.invariant_5_chosen_is_proposed_again(*ballot, *slot, entry);
                self.invariant_9_trimmed_is_not_proposed_anew(*ballot, *slot, entry);
                self.invariant_6_who_counts_is_right(*ballot, *chosen);
            }
            AcceptorMsg::Heartbeat { ballot, chosen, .. } => {
                self.invariant_6_who_counts_is_right(*ballot, *chosen)
            }
            AcceptorMsg::Entries(entries) => {
                for (slot, entry) in (entries.from.0..).zip(&entries.entries) {
                    self.holds(Slot(slot), entry);
                }
            }
            AcceptorMsg::Introduce { stored: Some(_), .. } => {
                let stored = self.acceptors.get(&from.node).is_some_and(|durable| durable.roster);
                assert!(stored, "invariant 3: {from} tells of a roster that is not durable");
            }
            _ => {}
        }
    }

    fn invariant_3_nothing_volatile_is_told(&mut self, from: MemberId, msg: &ProposerMsg) {
        let known = self.acceptors.entry(from.node).or_default();
        let told = match msg {
            ProposerMsg::Promise { ballot, part } => {
                for (slot, vote) in &part.votes {
                    let voted = known.voted.get(slot).is_some_and(|v| v.contains(&vote.ballot));
                    assert!(
                        voted,
                        "invariant 3: {from} tells a vote at {slot} that is not durable"
                    );
                }
                *ballot
            }
            ProposerMsg::Polled { promised, .. } | ProposerMsg::Reject { promised, .. } => {
                *promised
            }
            ProposerMsg::HeartbeatAck { ballot, .. } => *ballot,
            ProposerMsg::Accepted { ballot, slots } => {
                for slot in (slots.from.0..slots.below.0).map(Slot) {
                    let voted = known.voted.get(&slot).is_some_and(|v| v.contains(ballot));
                    // R5: where a chosen entry is held, a vote need not be stored.
                    let held = self.chosen.contains_key(&slot);
                    assert!(voted || held, "invariant 3: {from} accepted {slot}, not durably");
                }
                *ballot
            }
            _ => return,
        };
        assert!(known.promised >= told, "invariant 3: {from} tells {told}, not durable: {msg:?}");
    }

    fn invariant_4_one_owner(&mut self, from: MemberId, boot: u64, ballot: Ballot) {
        let owner = *self.owners.entry(ballot).or_insert((from.node, boot));
        assert_eq!(owner, (from.node, boot), "invariant 4: {ballot:?} has two owners");
    }

    fn invariant_5_chosen_is_proposed_again(&self, ballot: Ballot, slot: Slot, entry: &Entry) {
        if let Some((chosen_in, chosen)) = self.chosen.get(&slot)
            && *chosen_in < ballot
        {
            assert_eq!(chosen, entry, "invariant 5: {ballot} proposes anew at chosen slot {slot}");
        }
    }

    /// What some acceptor has forgotten is chosen. It may be proposed again by one that does not
    /// know that, but nothing else in its place; only a leader that was outbid may still repeat
    /// what it proposed before.
    fn invariant_9_trimmed_is_not_proposed_anew(&self, ballot: Ballot, slot: Slot, entry: &Entry) {
        if slot < self.trimmed {
            let (chosen_in, chosen) = self.chosen.get(&slot).expect("invariant 9: not chosen");
            let is_old = ballot < *chosen_in;
            assert!(is_old || chosen == entry, "invariant 9: {slot} was trimmed, and is other now");
        }
    }

    /// The acceptor at `node` forgets the slots below; the learners on these nodes have durable
    /// snapshots that cover them.
    pub fn r26_trimmed_is_covered(
        &self,
        node: NodeId,
        below: Slot,
        covering: &BTreeSet<NodeId>,
        layout: &Layout,
    ) {
        let is_covered = match layout.learners.iter().any(|feed| feed.learner == node) {
            true => covering.contains(&node),
            false => covering.len() >= layout.quorums.phase2_min(),
        };
        assert!(is_covered, "R26: n{node} forgets all below {below}, covered by {covering:?}");
    }

    /// A learner's state, however it came by it, is never replaced by an older one.
    pub fn invariant_10_state_never_goes_back(&self, node: NodeId, before: Slot, now: Slot) {
        assert!(now >= before, "invariant 10: the state of n{node} fell from {before} to {now}");
    }

    /// What a client is told was applied is chosen, durably, by a quorum. By invariant 1 it stays.
    pub fn invariant_11_acknowledged_is_chosen(&self, value: &Bytes) {
        assert!(self.values.contains(value), "invariant 11: {value:?} is told and not chosen");
    }

    /// Who says that slots are chosen has counted votes of members, once each, in one ballot; so
    /// there are as many.
    fn invariant_6_who_counts_is_right(&self, ballot: Ballot, slots: SlotRange) {
        for slot in (slots.from.0..slots.below.0).map(Slot) {
            assert!(
                self.chosen.contains_key(&slot),
                "invariant 6: {slot} is not chosen in {ballot}"
            );
        }
    }

    fn holds(&self, slot: Slot, entry: &Entry) {
        let chosen = self.chosen.get(&slot).map(|(_, entry)| entry);
        assert_eq!(chosen, Some(entry), "invariant 1: {slot} is told to hold another entry");
    }

    /// Invariant 8: equal slots applied, equal state.
    pub fn invariant_8_applied(&mut self, node: NodeId, applied_below: Slot, digest: u64) {
        if let Some(last) = applied_below.0.checked_sub(1) {
            assert!(self.chosen.contains_key(&Slot(last)), "invariant 8: n{node} applied {last}");
        }
        let first = *self.digests.entry(applied_below).or_insert(digest);
        assert_eq!(first, digest, "invariant 8: n{node} differs at slot {applied_below}");
    }
}

fn invariant_7_quorums_meet(quorums: Quorums) {
    let sets = 1u32 << quorums.acceptors();
    for first in (0..sets).filter(|&set| quorums.phase1(set)) {
        let disjoint = (0..sets).find(|&set| quorums.phase2(set) && set & first == 0);
        assert_eq!(disjoint, None, "invariant 7: {first:b} does not meet");
    }
}
