//! One who sees everything: every durable record, and all mail as it leaves. It counts votes for
//! itself, and holds the roles to the invariants of the design.

use paxos_core::{
    AcceptorMsg, Ballot, Body, ClientMsg, Configuration, Entry, Layout, LearnerMsg, MemberId,
    NodeId, Outgoing, Packet, ProposerMsg, Quorums, Record, Reply, SessionId, Slot, SlotRange,
};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub(super) struct Observer {
    quorums: Quorums,
    /// (ballot, slot) → the one entry proposed, by invariant 4 and rule R1.
    proposed: BTreeMap<(Ballot, Slot), Entry>,
    /// Ballot → the process (node, boot) that used it.
    owners: BTreeMap<Ballot, (NodeId, u64)>,
    /// (ballot, slot) → durable votes.
    votes: BTreeMap<(Ballot, Slot), u32>,
    chosen: BTreeMap<Slot, (Ballot, Entry)>,
    /// Every slot below is chosen.
    chosen_below: Slot,
    acceptors: BTreeMap<NodeId, Durable>,
    /// Digest of the state and log time after each slot, as the first learner there had them.
    states: BTreeMap<Slot, (u64, u64)>,
    /// The names of all commands that were chosen.
    commands: BTreeSet<(SessionId, u64)>,
    /// Some acceptor has durably forgotten the slots below.
    trimmed: Slot,
    roster: Option<Box<Configuration>>,
}

/// What of one acceptor is durable.
#[derive(Debug, Default)]
struct Durable {
    promised: Ballot,
    roster: bool,
    formed: bool,
    voted: BTreeMap<Slot, Vec<Ballot>>,
}

impl Observer {
    pub fn new(layout: &Layout) -> Observer {
        invariant_7_quorums_meet(layout.quorums);
        Observer {
            quorums: layout.quorums,
            proposed: BTreeMap::new(),
            owners: BTreeMap::new(),
            votes: BTreeMap::new(),
            chosen: BTreeMap::new(),
            chosen_below: Slot::ZERO,
            acceptors: BTreeMap::new(),
            states: BTreeMap::new(),
            commands: BTreeSet::new(),
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
            Record::Formed => durable.formed = true,
        }
    }

    fn invariant_1_one_entry_per_slot(&mut self, slot: Slot, ballot: Ballot, entry: &Entry) {
        let (_, first) = self.chosen.entry(slot).or_insert_with(|| (ballot, entry.clone()));
        assert_eq!(first, entry, "invariant 1: two entries are chosen at slot {slot}");
        while self.chosen.contains_key(&self.chosen_below) {
            self.chosen_below.0 += 1;
        }
        for command in entry.commands.iter() {
            if let Body::Run { session, sequence, .. } = &command.body {
                self.commands.insert((*session, *sequence));
            }
        }
    }

    /// An acceptor runs again with this promise.
    pub fn invariant_2_promise_stands(&self, node: NodeId, promised: Ballot) {
        let durable = self.acceptors.get(&node).map_or(Ballot::ZERO, |durable| durable.promised);
        assert!(promised >= durable, "invariant 2: n{node} fell from {durable} to {promised}");
    }

    /// Of what was durable at a node, all that was not forgotten is in the log that it opened.
    pub fn durable_is_found(&self, node: NodeId, records: &[Record]) {
        let Some(durable) = self.acceptors.get(&node) else { return };
        let mut found = BTreeSet::new();
        let mut trimmed = Slot::ZERO;
        for record in records {
            match record {
                Record::Voted { slot, vote } => drop(found.insert((*slot, vote.ballot))),
                Record::Trimmed { below, .. } => trimmed = trimmed.max(*below),
                _ => {}
            }
        }
        for (slot, ballots) in durable.voted.range(trimmed..) {
            for ballot in ballots {
                let is_there = found.contains(&(*slot, *ballot));
                assert!(is_there, "n{node} lost its durable vote {ballot} at slot {slot}");
            }
        }
    }

    /// Whether all first members know that all have stored the roster.
    pub fn is_formed(&self, layout: &Layout) -> bool {
        let formed = |node: &NodeId| self.acceptors.get(node).is_some_and(|node| node.formed);
        layout.acceptors.iter().all(formed)
    }

    /// How many slots are chosen.
    pub fn chosen_count(&self) -> u64 {
        self.chosen.len() as u64
    }

    /// Whether an acceptor has forgotten anything.
    pub fn has_trimmed(&self) -> bool {
        self.trimmed > Slot::ZERO
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
            Packet::Client(ClientMsg::Reply { session, sequence, reply: Reply::Applied(_) }) => {
                self.invariant_11_acknowledged_is_chosen(*session, *sequence);
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
        let open = match msg {
            ProposerMsg::Accepted { slots, .. } => self.open(*slots),
            _ => self.open(SlotRange::default()),
        };
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
            ProposerMsg::Accepted { ballot, .. } => {
                for slot in open {
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
    fn invariant_11_acknowledged_is_chosen(&self, session: SessionId, sequence: u64) {
        let is_chosen = self.commands.contains(&(session, sequence));
        assert!(is_chosen, "invariant 11: {session}:{sequence} is told, and not chosen");
    }

    /// Who says that slots are chosen has counted votes of members, once each, in one ballot; so
    /// there are as many.
    fn invariant_6_who_counts_is_right(&self, ballot: Ballot, slots: SlotRange) {
        for slot in self.open(slots) {
            let votes = self.votes.get(&(ballot, slot)).copied().unwrap_or_default();
            // R5: of what was chosen before, a vote need not be stored.
            let before = self.chosen.get(&slot).is_some_and(|(chosen_in, _)| *chosen_in < ballot);
            let is_right = before || self.quorums.phase2(votes);
            assert!(is_right, "invariant 6: {slot} is not chosen in {ballot}");
        }
    }

    /// Those of these slots below which not all is chosen.
    fn open(&self, slots: SlotRange) -> impl Iterator<Item = Slot> + use<> {
        (slots.from.max(self.chosen_below).0..slots.below.0).map(Slot)
    }

    fn holds(&self, slot: Slot, entry: &Entry) {
        let chosen = self.chosen.get(&slot).map(|(_, entry)| entry);
        assert_eq!(chosen, Some(entry), "invariant 1: {slot} is told to hold another entry");
    }

    /// Invariant 8: equal slots applied, equal state.
    pub fn invariant_8_applied(
        &mut self,
        node: NodeId,
        applied_below: Slot,
        digest: u64,
        log_time_ms: u64,
    ) {
        if let Some(last) = applied_below.0.checked_sub(1) {
            assert!(self.chosen.contains_key(&Slot(last)), "invariant 8: n{node} applied {last}");
        }
        let state = (digest, log_time_ms);
        let first = *self.states.entry(applied_below).or_insert(state);
        assert_eq!(first, state, "invariant 8: n{node} differs at slot {applied_below}");
        let before = self.states.range(..applied_below).next_back();
        let is_later = before.is_none_or(|(_, (_, before))| *before <= log_time_ms);
        assert!(is_later, "R18: log time goes back at slot {applied_below}");
    }
}

fn invariant_7_quorums_meet(quorums: Quorums) {
    let sets = 1u32 << quorums.acceptors();
    for first in (0..sets).filter(|&set| quorums.phase1(set)) {
        let disjoint = (0..sets).find(|&set| quorums.phase2(set) && set & first == 0);
        assert_eq!(disjoint, None, "invariant 7: {first:b} does not meet");
    }
}
