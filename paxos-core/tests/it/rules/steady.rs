//! The steady state: one leader, no faults. What an entry costs, and that nothing waits for more.

use super::alone::*;
use super::bench::*;
use paxos_core::*;
use std::collections::BTreeSet;

/// The slots that were proposed since `mark`.
fn proposed(bench: &Bench, mark: usize) -> BTreeSet<Slot> {
    let accepts = bench.sent[mark..].iter().filter_map(|letter| match letter.packet {
        Packet::Acceptor(AcceptorMsg::Accept { slot, .. }) => Some(slot),
        _ => None,
    });
    accepts.collect()
}

/// Messages per entry grow linearly with the number n of nodes: 4 n + 2.
///
/// Propose 1, Accept n, Accepted n, Voted n (each acceptor to the learner of its node), Chosen n,
/// Reply 1. That is 14, 22 and 30 at n = 3, 5 and 7; between nodes 6, 12 and 18, which is
/// 3 (n - 1). With every eleventh entry comes a Progress, from the leader's learner to the leader.
#[test]
fn messages_per_entry_grow_linearly() {
    for (n, all, between) in [(3, 14, 6), (5, 22, 12), (7, 30, 18)] {
        let mut bench = Bench::led(n);
        let s = bench.open(1);
        let mut told = Vec::new();
        // The session took the first slot.
        for slot in 1..30 {
            let mark = bench.sent.len();
            let sequence = slot - 1;
            bench.propose(1, vec![write(s, sequence, sequence, "x")]);
            bench.settle();
            assert_eq!(proposed(&bench, mark).len(), 1);
            let is_told = bench.count(mark, |l| l.is(Kind::Progress)) > 0;
            told.extend(is_told.then_some(slot + 1));
            assert_eq!(bench.count(mark, |l| !l.is(Kind::Progress)), all, "n = {n}");
            assert_eq!(all as u64, 4 * n + 2);
            let nodes = |l: &Letter| l.to != CLIENT && l.sender.node != CLIENT;
            let crossing = bench.count(mark, |l| nodes(l) && l.sender.node != l.to);
            assert_eq!(crossing, between, "n = {n}");
            assert_eq!(between as u64, 3 * (n - 1));
            for kind in [Kind::Accept, Kind::Accepted, Kind::Voted, Kind::Chosen] {
                assert_eq!(bench.count(mark, |l| l.is(kind)) as u64, n, "{kind}");
            }
        }
        assert_eq!(told, [12, 23]);
    }
}

/// With votes held back, a whole window of slots is in flight, and no more.
///
/// Twenty writes come one by one; the window is 16. Then the votes arrive.
#[test]
fn several_slots_are_in_flight() {
    let mut bench = Bench::led(3);
    let s = bench.open(1);
    bench.hold(|l| l.is(Kind::Accepted));
    let mark = bench.sent.len();
    for sequence in 0..20 {
        bench.propose(1, vec![write(s, sequence, 0, &sequence.to_string())]);
        bench.settle();
    }
    assert_eq!(proposed(&bench, mark).len() as u64, Layout::WINDOW);
    assert_eq!(bench.proposer(1).chosen_below, Slot(1));
    bench.heal();
    bench.settle();
    let all = (0..20).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!([1, 2, 3].map(|n| bench.journal(n).text()), [(); 3].map(|()| all.clone()));
}

/// 64 queued commands become one entry, or, where they fill the window first, 17.
///
/// They come one by one: once while nobody leads; once under a leader whose votes are held back, so
/// that 16 are in flight and 48 queue behind them.
#[test]
fn queued_commands_share_entries() {
    let mut bench = Bench::formed(Setup::nodes(3));
    let mark = bench.sent.len();
    for n in 0..64 {
        bench.propose(1, vec![register(n)]);
        bench.settle();
    }
    bench.lead(1);
    assert_eq!(proposed(&bench, mark).len(), 1);
    assert_eq!(bench.learner(3).sessions, 64);

    bench.hold(|l| l.is(Kind::Accepted));
    let mark = bench.sent.len();
    for n in 64..128 {
        bench.propose(1, vec![register(n)]);
        bench.settle();
    }
    bench.heal();
    bench.settle();
    assert_eq!(proposed(&bench, mark).len(), 17);
    assert_eq!(bench.learner(3).sessions, 128);
}

/// After the last write, without further traffic, every learner applies it.
///
/// No time passes, nobody ticks, and nothing else is asked for; through the leader and through
/// another node.
#[test]
fn every_learner_applies_the_last_write() {
    for n in [3, 5, 7] {
        for through in [1, 2] {
            let mut bench = Bench::led(n);
            let s = bench.open(1);
            bench.propose(through, vec![write(s, 0, 0, "last")]);
            bench.settle();
            for node in 1..=n {
                assert_eq!(bench.journal(node).text(), "last", "node {node} of {n}");
            }
        }
    }
}

/// A learner whose `Chosen` of the last write is lost hears it with the next heartbeat.
///
/// The first `Chosen` to node 3 is lost. Nothing else is asked for; after a heartbeat's time only
/// the leader's node ticks.
#[test]
fn a_lost_chosen_is_repaired_by_the_heartbeat() {
    let mut bench = Bench::led(3);
    let s = bench.open(1);
    bench.lose(|l| l.is(Kind::Chosen) && l.to(3));
    bench.propose(1, vec![write(s, 0, 0, "last")]);
    bench.settle();
    assert_eq!([1, 2, 3].map(|n| bench.journal(n).text()), ["last", "last", ""]);
    bench.heal();
    bench.settle();
    assert_eq!(bench.journal(3).text(), "");
    bench.now = bench.now.plus(Timing::default().heartbeat_us());
    bench.tick(1);
    bench.settle();
    assert_eq!(bench.journal(3).text(), "last");
}

/// A learner whose vote of the last write is lost fetches it.
///
/// The vote that acceptor 3 feeds its learner is lost. Nothing else is asked for; time passes for
/// two heartbeats, in which the acceptor hears that its vote is chosen, and the learner asks for
/// it.
#[test]
fn a_lost_vote_is_repaired_by_a_fetch() {
    let mut bench = Bench::led(3);
    let s = bench.open(1);
    bench.lose(|l| l.is(Kind::Voted) && l.to(3));
    bench.propose(1, vec![write(s, 0, 0, "last")]);
    bench.settle();
    assert_eq!(bench.journal(3).text(), "");
    bench.pass_ms(200);
    assert_eq!(bench.journal(3).text(), "last");
}
