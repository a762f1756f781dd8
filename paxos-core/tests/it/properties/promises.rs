//! What a new leader makes of promises, against the rule: the vote of the highest ballot (P2c).

use super::cases;
use crate::rules::alone::*;
use paxos_core::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// For each of two acceptors, by slot: the round of its vote, if it has one there.
type Votes = [Vec<Option<u64>>; 2];

fn votes() -> impl Strategy<Value = Votes> {
    let of_one = || proptest::collection::vec(proptest::option::of(1..6u64), 0..7);
    [of_one(), of_one()]
}

/// The entry of a ballot in a slot; the ballot has one owner, so it has one entry.
fn entry_of(round: u64, slot: u64) -> Entry {
    entry(100 * round + slot)
}

fn vote_of(round: u64, slot: u64) -> Vote {
    Vote { ballot: ballot(round, 1 + round % 3), entry: entry_of(round, slot) }
}

/// The parts of a promise that tell these votes, cut after each so many slots.
fn parts(votes: &[Option<u64>], cut: usize) -> Vec<PromisePart> {
    let slots: Vec<(u64, Option<u64>)> = (0..).zip(votes.iter().copied()).collect();
    let mut from = 0;
    let mut parts = Vec::new();
    for chunk in slots.chunks(cut) {
        let below = from + chunk.len() as u64;
        let votes = chunk.iter().filter_map(|&(slot, round)| Some((slot, round?)));
        let votes = votes.map(|(slot, round)| (Slot(slot), vote_of(round, slot)));
        let below_slot = Some(Slot(below));
        parts.push(PromisePart {
            votes: votes.collect(),
            from: Slot(from),
            below: below_slot,
            ..nothing()
        });
        from = below;
    }
    parts.push(PromisePart { from: Slot(from), ..nothing() });
    parts
}

/// All parts of both promises, each with its acceptor.
fn both(votes: &Votes, cuts: [usize; 2]) -> Vec<(u64, PromisePart)> {
    let of = |node: u64, i: usize| parts(&votes[i], cuts[i]).into_iter().map(move |p| (node, p));
    of(2, 0).chain(of(3, 1)).collect()
}

/// What must be proposed: for each slot the entry of the highest round, no-ops in holes.
fn due(votes: &Votes) -> Vec<Entry> {
    let mut highest: BTreeMap<u64, u64> = BTreeMap::new();
    for (slot, round) in votes.iter().flat_map(|votes| (0..).zip(votes)) {
        if let Some(round) = *round {
            let known = highest.entry(slot).or_default();
            *known = round.max(*known);
        }
    }
    let below = highest.last_key_value().map_or(0, |(slot, _)| slot + 1);
    let entry = |slot| highest.get(&slot).map(|&round| entry_of(round, slot));
    (0..below).map(|slot| entry(slot).unwrap_or(Entry::noop(0))).collect()
}

/// A proposer whose learner has seen ballots of all these rounds, and that asks for promises.
fn candidate() -> (Alone<Proposer>, Ballot) {
    let mut p = proposer(options());
    let ballot = p.campaign();
    (p, ballot)
}

/// Has the parts arrive, each from its acceptor. Gives back what the leader proposes first.
fn elect(arrivals: &[(u64, PromisePart)]) -> (StanceName, Vec<Entry>) {
    let (mut p, ballot) = candidate();
    let mut proposed = Vec::new();
    for (from, part) in arrivals {
        let msg = ProposerMsg::Promise { ballot, part: Box::new(part.clone()) };
        let out = p.hear(*from, msg);
        proposed.extend(proposals(&out).into_iter().map(|(_, _, entry)| entry));
    }
    (p.role.status().stance, proposed)
}

proptest! {
    #![proptest_config(cases())]

    /// Invariant 5: the vote of the highest ballot wins, whatever the order and the repetition of
    /// the parts in which promises come.
    #[test]
    fn the_highest_ballot_wins_in_any_order(
        votes in votes(),
        cuts in [1..4usize, 1..4usize],
        order in proptest::collection::vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let all = both(&votes, cuts);
        // Some of them in any order, some more than once, and in the end all of them.
        let mut arrivals: Vec<_> = order.iter().map(|index| index.get(&all).clone()).collect();
        arrivals.extend(all);
        let (stance, proposed) = elect(&arrivals);
        prop_assert_eq!(stance, StanceName::Lead);
        prop_assert_eq!(proposed, due(&votes));
    }

    /// R6: while any part of one of two promises is missing, nobody leads, and nothing is proposed.
    #[test]
    fn a_promise_with_a_gap_does_not_count(
        votes in votes(),
        cuts in [1..4usize, 1..4usize],
        missing in any::<prop::sample::Index>(),
    ) {
        let mut all = both(&votes, cuts);
        all.remove(missing.index(all.len()));
        let (stance, proposed) = elect(&all);
        prop_assert_eq!(stance, StanceName::Campaign);
        prop_assert!(proposed.is_empty());
    }

    /// R7: what some acceptor of the quorum holds as chosen is not proposed again, whatever others
    /// have voted for there.
    #[test]
    fn a_leader_begins_above_what_is_held_as_chosen(votes in votes(), chosen in 0..7u64) {
        let whole = |i: usize| {
            let told = (0..).zip(&votes[i]);
            let told = told.filter_map(|(s, round)| Some((Slot(s), vote_of((*round)?, s))));
            PromisePart { votes: told.collect(), ..nothing() }
        };
        let mut first = whole(0);
        first.votes.retain(|(slot, _)| *slot >= Slot(chosen));
        first.chosen_below = Slot(chosen);
        first.from = Slot(chosen);
        let (stance, proposed) = elect(&[(2, first), (3, whole(1))]);
        prop_assert_eq!(stance, StanceName::Lead);
        let due: Vec<Entry> = due(&votes).into_iter().skip(chosen as usize).collect();
        prop_assert_eq!(proposed, due);
    }
}
