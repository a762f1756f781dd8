//! A leader, against those who count its votes and its slots on their fingers.

use super::cases;
use crate::rules::alone::*;
use paxos_core::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Slots that are proposed before the votes come.
const PROPOSED: u64 = 5;

/// A leader that has proposed some slots, one command each.
fn leader() -> (Alone<Proposer>, Ballot) {
    let mut p = proposer(options());
    let (ballot, _) = p.lead(nothing(), nothing());
    (0..PROPOSED).for_each(|nonce| _ = p.propose(vec![register(nonce)]));
    (p, ballot)
}

/// The ranges that are told as chosen in an output.
fn told(out: &Output<NoRecord>) -> Vec<SlotRange> {
    let range = |mail: &Outgoing| match &mail.packet {
        Packet::Learner(LearnerMsg::Chosen { slots, .. }) => Some(*slots),
        _ => None,
    };
    out.mail.iter().filter_map(range).collect()
}

#[derive(Clone, Debug)]
enum Event {
    Propose,
    /// The paired learner applied so many slots more.
    Applied(u64),
    /// Two acceptors vote for so many slots from the first that is not chosen.
    Voted(u64),
    /// Time passes, and what was lost is sent again.
    Pass,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => Just(Event::Propose),
        1 => (0..4u64).prop_map(Event::Applied),
        2 => (1..4u64).prop_map(Event::Voted),
        1 => Just(Event::Pass),
    ];
    proptest::collection::vec(event, 0..60)
}

proptest! {
    #![proptest_config(cases())]

    /// Invariant 6: votes count once per member, in the leader's ballot, per slot, and only from
    /// members; a slot is chosen with two of three, and told when all below it are.
    #[test]
    fn votes_are_counted_by_member_ballot_and_slot(
        votes in proptest::collection::vec((1..6u64, 0..4u64, 0..7u64, 0..4u64), 0..40),
    ) {
        let (mut p, ballot) = leader();
        let mut by_slot: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        let mut chosen = 0;
        for (node, other, from, count) in votes {
            let other_ballot = Ballot { round: ballot.round + other % 2, ..ballot };
            let out = p.voted(node, other_ballot, slots(from, from + count));
            if node <= 3 && other_ballot == ballot {
                for slot in from..from + count {
                    by_slot.entry(slot).or_default().insert(node);
                }
            }
            let before = chosen;
            let is_chosen = |slot| by_slot.get(&slot).is_some_and(|nodes| nodes.len() >= 2);
            while chosen < PROPOSED && is_chosen(chosen) {
                chosen += 1;
            }
            prop_assert_eq!(p.role.status().chosen_below, Slot(chosen));
            let news = if chosen > before { vec![slots(0, chosen); 3] } else { vec![] };
            prop_assert_eq!(told(&out), news);
        }
    }

    /// R1, R20: in one ballot a slot has one entry, however often it is sent; slots are proposed in
    /// a row, and none at or beyond the window above what the paired learner has applied.
    #[test]
    fn slots_are_proposed_in_a_row_within_the_window(window in 1..6u64, events in events()) {
        let layout = Layout { window, ..layout(3) };
        let mut p = proposer(ProposerOptions { layout, ..options() });
        let (ballot, _) = p.lead(nothing(), nothing());
        let mut entries: Vec<Entry> = Vec::new();
        let (mut nonce, mut applied) = (0, 0);
        for event in events {
            let chosen = p.role.status().chosen_below.0;
            let out = match event {
                Event::Propose => {
                    nonce += 1;
                    p.propose(vec![register(nonce)])
                }
                Event::Applied(more) => {
                    applied = (applied + more).min(chosen);
                    p.applied(applied)
                }
                Event::Voted(count) => {
                    let voted = slots(chosen, (chosen + count).min(entries.len() as u64));
                    let mut out = p.voted(2, ballot, voted);
                    out.mail.extend(p.voted(3, ballot, voted).mail);
                    out
                }
                Event::Pass => p.pass_ms(1),
            };
            for (of, slot, entry) in proposals(&out) {
                prop_assert_eq!(of, ballot);
                prop_assert!(slot.0 < applied + window, "{} is beyond the window", slot);
                match entries.get(slot.0 as usize) {
                    Some(first) => prop_assert_eq!(first, &entry),
                    None => {
                        prop_assert_eq!(slot.0, entries.len() as u64);
                        entries.push(entry);
                    }
                }
            }
        }
        // What was proposed are the commands, in the order in which they came.
        let proposed = entries.iter().flat_map(|entry| entry.commands.iter().cloned());
        let due: Vec<Command> = (1..=nonce).map(register).collect();
        let proposed: Vec<Command> = proposed.collect();
        prop_assert_eq!(&proposed[..], &due[..proposed.len()]);
    }

    /// R12: a read index is given when two of three have echoed a round that was sent after the
    /// question came, and to each question once.
    #[test]
    fn a_read_waits_for_a_later_round(
        steps in proptest::collection::vec((any::<bool>(), 1..5u64, 0..8u64), 0..50),
    ) {
        let (mut p, ballot) = leader();
        // The round that each question waits for; the highest that was sent, and that each echoed.
        let mut waiting: BTreeMap<u64, Option<u64>> = BTreeMap::new();
        let (mut sent, mut echoed) = (1, BTreeMap::from([(1, 0), (2, 0), (3, 0)]));
        for (id, (asks, node, round)) in (0..).zip(steps) {
            let chosen_below = Slot(0);
            let out = if asks {
                waiting.insert(id, None);
                p.hear(2, ProposerMsg::AskReadIndex { learner: NodeId(2), id, hops: 0 })
            } else {
                if let Some(highest) = echoed.get_mut(&node)
                    && round <= sent
                {
                    *highest = round.max(*highest);
                }
                p.hear(node, ProposerMsg::HeartbeatAck { ballot, round, chosen_below })
            };
            let mut answered = BTreeSet::new();
            for mail in &out.mail {
                match &mail.packet {
                    Packet::Learner(LearnerMsg::ReadIndex { id, .. }) => {
                        prop_assert!(answered.insert(*id), "{} is answered twice", id);
                    }
                    Packet::Acceptor(AcceptorMsg::Heartbeat { round, .. }) => {
                        sent = *round;
                        let unsent = waiting.values_mut().filter(|wait| wait.is_none());
                        unsent.for_each(|wait| *wait = Some(sent));
                    }
                    _ => {}
                }
            }
            let mut rounds: Vec<u64> = echoed.values().copied().collect();
            rounds.sort_unstable();
            let confirmed = rounds[1];
            let due = waiting.extract_if(.., |_, wait| wait.is_some_and(|at| at <= confirmed));
            prop_assert_eq!(answered, due.map(|(id, _)| id).collect::<BTreeSet<_>>());
        }
    }

    /// Invariant 4: each campaign is in a ballot above all that the proposer has seen, and its own.
    #[test]
    fn each_campaign_is_above_all_that_was_seen(
        seen in proptest::collection::vec((1..1000u64, 1..4u64), 1..6),
    ) {
        let mut p = proposer(options());
        let mut highest = Ballot::ZERO;
        for (round, node) in seen {
            let mine = p.campaign();
            prop_assert_eq!(mine.node, NodeId(1));
            prop_assert!(mine > highest, "{:?} is not above {:?}", mine, highest);
            let promised = ballot(round, node);
            p.hear(2, ProposerMsg::Reject { ballot: mine, promised });
            highest = mine.max(promised);
        }
    }

    /// R1: commands that fit go together, each once, in order; no entry is larger than the limit,
    /// but for one that is a single command.
    #[test]
    fn batches_keep_order_and_fit(
        sizes in proptest::collection::vec(0..300usize, 1..20),
        entry_bytes_max in 1..600usize,
    ) {
        let limits = Limits { entry_bytes_max, ..Limits::default() };
        let mut p = proposer(ProposerOptions { limits, ..options() });
        let id = session(0, 0);
        let commands: Vec<Command> =
            (0..).zip(&sizes).map(|(at, &size)| write(id, at, 0, &"x".repeat(size))).collect();
        p.propose(commands.clone());
        // They wait for an office, and for room in the window.
        let (ballot, mut out) = p.lead(nothing(), nothing());
        let mut entries = Vec::new();
        for below in 1.. {
            entries.extend(proposals(&out).into_iter().map(|(_, _, entry)| entry));
            if entries.len() < below as usize {
                break;
            }
            p.voted(2, ballot, slots(below - 1, below));
            out = p.voted(3, ballot, slots(below - 1, below));
            out.mail.extend(p.applied(below).mail);
        }
        for entry in &entries {
            let bytes: usize = entry.commands.iter().map(Command::weight).sum();
            prop_assert!(bytes <= entry_bytes_max || entry.commands.len() == 1);
        }
        let all: Vec<Command> = entries.iter().flat_map(|e| e.commands.iter().cloned()).collect();
        prop_assert_eq!(all, commands);
    }
}
