//! An acceptor under any mail, against an account of what it may promise and vote for.

use super::cases;
use crate::rules::alone::*;
use paxos_core::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Event {
    Prepare {
        round: u64,
        node: u64,
        from: u64,
    },
    Accept {
        round: u64,
        node: u64,
        slot: u64,
    },
    /// It says that slots below are chosen, in its ballot.
    Heartbeat {
        round: u64,
        node: u64,
        below: u64,
    },
    Poll {
        node: u64,
    },
    Tick,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let ballot = || (1..6u64, 1..4u64);
    let prepare = (ballot(), 0..4u64);
    let prepare = prepare.prop_map(|((round, node), from)| Event::Prepare { round, node, from });
    let accept = (ballot(), 0..5u64);
    let accept = accept.prop_map(|((round, node), slot)| Event::Accept { round, node, slot });
    let beat = (ballot(), 0..5u64);
    let beat = beat.prop_map(|((round, node), below)| Event::Heartbeat { round, node, below });
    let poll = (1..4u64).prop_map(|node| Event::Poll { node });
    let event =
        prop_oneof![2 => prepare, 4 => accept, 2 => beat, 1 => poll, 1 => Just(Event::Tick)];
    proptest::collection::vec(event, 0..50)
}

fn entry_of(ballot: Ballot, slot: u64) -> Entry {
    entry(1000 * ballot.round + 100 * ballot.node.0 + slot)
}

/// Has it happen, and gives back the output.
fn happen(acceptor: &mut Alone<Acceptor>, event: &Event) -> Output<Record> {
    match *event {
        Event::Prepare { round, node, from } => {
            let ballot = ballot(round, node);
            acceptor.hear(node, AcceptorMsg::Prepare { ballot, from: Slot(from) })
        }
        Event::Accept { round, node, slot } => {
            let ballot = ballot(round, node);
            acceptor.hear(node, accept(ballot, slot, entry_of(ballot, slot), slots(0, 0)))
        }
        Event::Heartbeat { round, node, below } => {
            let ballot = ballot(round, node);
            let chosen = slots(0, below);
            acceptor.hear(node, AcceptorMsg::Heartbeat { ballot, round: 1, chosen })
        }
        Event::Poll { node } => acceptor.hear(node, AcceptorMsg::Poll { attempt: 1 }),
        Event::Tick => acceptor.pass_ms(100),
    }
}

/// An acceptor that starts with these records.
fn restored(records: &[Record]) -> Alone<Acceptor> {
    let mut restored = acceptor(Limits::default());
    records.iter().for_each(|record| restored.role.replay(record.clone()));
    restored
}

/// The votes that it tells a candidate of a high ballot.
fn votes(acceptor: &mut Alone<Acceptor>) -> PromisePart {
    let ballot = ballot(100, 1);
    let out = acceptor.hear(1, AcceptorMsg::Prepare { ballot, from: Slot(0) });
    match packet(&out) {
        Some(Packet::Proposer(ProposerMsg::Promise { part, .. })) => *part,
        other => panic!("no promise but {other:?}"),
    }
}

proptest! {
    #![proptest_config(cases())]

    /// P1a, invariant 2: it votes at or above its promise and never below, what it promises or
    /// votes in is its promise, and a promise never falls.
    #[test]
    fn promise_and_votes_obey_the_rule(events in events()) {
        let mut acceptor = acceptor(Limits::default());
        let mut promised = Ballot::ZERO;
        for event in events {
            let out = happen(&mut acceptor, &event);
            let asked = match event {
                Event::Prepare { round, node, .. }
                | Event::Accept { round, node, .. }
                | Event::Heartbeat { round, node, .. } => Some(ballot(round, node)),
                Event::Poll { .. } | Event::Tick => None,
            };
            let answer = packet(&out);
            if let Some(asked) = asked.filter(|asked| *asked < promised) {
                let refused = ProposerMsg::Reject { ballot: asked, promised };
                prop_assert_eq!(answer, Some(Packet::from(refused)));
                prop_assert!(out.records.is_empty() && out.feed.is_empty());
            } else if let Some(asked) = asked {
                let is_refused = answer.is_some_and(|answer| answer.kind() == Kind::Reject);
                prop_assert!(!is_refused, "{:?} is not below {:?}", asked, promised);
                promised = asked;
            }
            prop_assert_eq!(acceptor.role.status().promised, promised);
        }
    }

    /// What it has logged is all that it stands by: a restart knows the same promise and votes.
    #[test]
    fn a_restart_stands_by_all_that_was_logged(events in events()) {
        let mut acceptor = acceptor(Limits::default());
        let mut log = Vec::new();
        for event in &events {
            log.extend(happen(&mut acceptor, event).records);
        }
        let mut restored = restored(&log);
        prop_assert_eq!(restored.role.status().promised, acceptor.role.status().promised);
        // R8: that slots are chosen may be lost with a crash. Their votes are not.
        let (before, after) = (votes(&mut acceptor), votes(&mut restored));
        prop_assert!(after.chosen_below <= before.chosen_below);
        let above: Vec<_> =
            after.votes.into_iter().filter(|(slot, _)| *slot >= before.chosen_below).collect();
        prop_assert_eq!(above, before.votes);
    }

    /// A crash leaves a prefix of the log. Whatever it is, it can be replayed, and the promise in
    /// it is the highest that it names.
    #[test]
    fn any_prefix_of_the_log_is_a_log(events in events(), cut in any::<prop::sample::Index>()) {
        let mut acceptor = acceptor(Limits::default());
        let mut log = Vec::new();
        for event in &events {
            log.extend(happen(&mut acceptor, event).records);
        }
        log.truncate(cut.index(log.len() + 1));
        let named = log.iter().map(|record| match record {
            Record::Promised(ballot) => *ballot,
            Record::Voted { vote, .. } => vote.ballot,
            _ => Ballot::ZERO,
        });
        let highest = named.max().unwrap_or_default();
        prop_assert_eq!(restored(&log).role.status().promised, highest);
    }

    /// R2: a range that is told as accepted has a logged vote in exactly that ballot at every slot,
    /// or, by R5, an entry that is held as chosen.
    #[test]
    fn accepted_tells_of_votes_only(events in events()) {
        let mut acceptor = acceptor(Limits::default());
        let mut voted: BTreeMap<(Ballot, Slot), u64> = BTreeMap::new();
        for event in &events {
            let out = happen(&mut acceptor, event);
            for record in &out.records {
                if let Record::Voted { slot, vote } = record {
                    *voted.entry((vote.ballot, *slot)).or_default() += 1;
                }
            }
            if let Some(Packet::Proposer(ProposerMsg::Accepted { ballot, slots })) = packet(&out) {
                let held = acceptor.role.status().chosen_below;
                for slot in (slots.from.0..slots.below.0).map(Slot) {
                    let is_voted = voted.contains_key(&(ballot, slot));
                    prop_assert!(is_voted || slot < held, "{:?} at {}", ballot, slot);
                }
            }
        }
        prop_assert!(voted.values().all(|&times| times == 1), "a vote is logged once: {:?}", voted);
    }

    /// R8: what it holds as chosen is what a leader counted in the ballot of the vote there.
    #[test]
    fn chosen_is_what_was_counted_in_the_ballot_of_the_vote(events in events()) {
        let mut acceptor = acceptor(Limits::default());
        let mut votes: BTreeMap<u64, Ballot> = BTreeMap::new();
        let mut chosen = 0;
        for event in &events {
            let out = happen(&mut acceptor, event);
            for record in &out.records {
                if let Record::Voted { slot, vote } = record {
                    votes.insert(slot.0, vote.ballot);
                }
            }
            if let Event::Heartbeat { round, node, below } = *event {
                let is_heard = !matches!(
                    packet(&out),
                    Some(Packet::Proposer(ProposerMsg::Reject { .. }))
                );
                let counted = ballot(round, node);
                while is_heard && chosen < below && votes.get(&chosen) == Some(&counted) {
                    chosen += 1;
                }
            }
            prop_assert_eq!(acceptor.role.status().chosen_below, Slot(chosen));
        }
    }

    /// R9: a poll changes nothing, whoever asks, and whenever.
    #[test]
    fn a_poll_changes_nothing(events in events(), node in 1..5u64) {
        let mut acceptor = acceptor(Limits::default());
        for event in &events {
            happen(&mut acceptor, event);
        }
        let before = format!("{:#?}", acceptor.role);
        let out = acceptor.hear(node, AcceptorMsg::Poll { attempt: 7 });
        prop_assert!(out.records.is_empty() && out.feed.is_empty());
        prop_assert_eq!(format!("{:#?}", acceptor.role), before);
    }
}
