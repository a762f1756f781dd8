//! Time in the log, which no wall clock enters: rule R18.

use super::alone::*;
use super::bench::*;
use paxos_core::*;

/// The log time at which each slot's entry was stamped, as acceptor `node` voted for it.
fn stamps(bench: &Bench, node: u64) -> Vec<u64> {
    let mut stamps = std::collections::BTreeMap::new();
    for record in bench.log(node) {
        if let Record::Voted { slot, vote } = record {
            stamps.insert(*slot, vote.entry.log_time_ms);
        }
    }
    stamps.into_values().collect()
}

/// Three nodes where sessions live for a second.
fn short_sessions() -> Layout {
    let sessions = SessionRules { ttl_ms: 1000, ..SessionRules::default() };
    Layout { sessions, ..layout(3) }
}

/// Three nodes whose clocks run three times too fast, at a third, and right.
fn with_bad_clocks(layout: Layout) -> Bench {
    let mut bench = Bench::new(Setup { layout, ..Setup::nodes(3) });
    bench.set_clock(1, 300);
    bench.set_clock(2, 33);
    bench.pass_ms(1000);
    assert!(bench.ids().into_iter().all(|id| bench.acceptor(id).formed));
    bench
}

/// R18: a leader stamps the highest time it saw in phase 1, and its own elapsed time.
///
/// The promises tell of a log time at what is chosen and of a vote with its stamp, and the own
/// learner of the log time there. The entry that follows 30 ms later is stamped 30 ms above the
/// highest.
#[test]
fn r18_a_leader_stamps_the_highest_time_seen_and_what_elapsed() {
    let cases = [(5000, 7000, 0), (5000, 7000, 6000), (5000, 7000, 9000), (8000, 7000, 0)];
    for ((chosen_ms, vote_ms, learner_ms), expected) in
        cases.into_iter().zip([7030, 7030, 9030, 8030])
    {
        let mut p = proposer(options());
        let at = ProposerMsg::Progress {
            life: 1,
            applied_below: Slot(1),
            log_time_ms: learner_ms,
            expiry_ms: None,
        };
        p.hear(1, at);
        let vote = Vote { ballot: ballot(1, 2), entry: batch(vote_ms, vec![register(0)]) };
        let of_2 = PromisePart { log_time_ms: chosen_ms, chosen_below: Slot(1), ..nothing() };
        let of_3 = PromisePart { votes: vec![(Slot(1), vote)], ..nothing() };
        let (b, _) = p.lead(of_2, of_3);
        p.now = p.now.plus(30_000);
        let out = p.propose(vec![register(1)]);
        let entry = batch(expected, vec![register(1)]);
        assert_eq!(out, mail(to_all(accept(b, 2, entry, slots(1, 1)))));
    }
}

/// R18: a promise tells the log time at the last chosen slot, though its entry be stamped lower.
///
/// Slots 0 and 1 are stamped 10 and 5 ms, and chosen; slot 2 is stamped 20 ms, and only voted for.
#[test]
fn r18_a_promise_tells_the_log_time_of_what_is_chosen() {
    let mut a = acceptor(Limits::default());
    let (b, higher) = (ballot(1, 2), ballot(2, 3));
    let stamped = [10, 5, 20].map(|stamp| batch(stamp, vec![]));
    for (slot, entry) in (0..).zip(stamped.clone()) {
        a.role.replay(vote(b, slot, entry));
    }
    a.role.replay(Record::Chosen { ballot: b, slots: slots(0, 2) });
    let part = PromisePart {
        chosen_below: Slot(2),
        log_time_ms: 10,
        from: Slot(2),
        votes: vec![(Slot(2), Vote { ballot: b, entry: stamped[2].clone() })],
        ..nothing()
    };
    let promise = ProposerMsg::Promise { ballot: higher, part: Box::new(part) };
    let expected = recorded(vec![Record::Promised(higher)], vec![(3, promise.into())]);
    assert_eq!(a.hear(3, AcceptorMsg::Prepare { ballot: higher, from: Slot::ZERO }), expected);
}

/// R18: log time at a slot is the highest of the slot before and of the entry.
///
/// The entries are stamped 10, 5, 20, 19 and 20 ms: the lower ones were proposed by earlier
/// leaders.
#[test]
fn r18_log_time_is_the_highest_stamp_so_far() {
    let mut l = learner(Limits::default());
    let b = ballot(1, 2);
    let s = session(0, 0);
    for (slot, stamp) in (0..).zip([10, 5, 20, 19, 20]) {
        let command = if slot == 0 { register(1) } else { write(s, slot, 0, "x") };
        let vote = Vote { ballot: b, entry: batch(stamp, vec![command]) };
        l.hear(1, LearnerMsg::Voted { slot: Slot(slot), vote });
    }
    l.hear(2, LearnerMsg::Chosen { ballot: b, slots: slots(0, 5) });
    let times: Vec<u64> = l.role.state().lines.iter().map(|(at, _)| at.log_time_ms).collect();
    assert_eq!(times, [10, 20, 20, 20]);
    assert_eq!(l.role.status().log_time_ms, 20);
}

/// R18: log time never goes back across a change of leader, however their clocks run.
///
/// Nodes 1, 2 and 3 lead in turn, ten times. Each writes twice, a second apart.
#[test]
fn r18_log_time_never_goes_back_across_leaders() {
    let mut bench = with_bad_clocks(layout(3));
    bench.lead(1);
    let s = bench.open(1);
    let mut sequence = 0;
    for leader in [2, 3, 1].into_iter().cycle().take(10) {
        bench.lead(leader);
        for _ in 0..2 {
            bench.now = bench.now.plus(1_000_000);
            bench.propose(leader, vec![write(s, sequence, 0, &sequence.to_string())]);
            bench.settle();
            sequence += 1;
        }
    }
    let times = |n| {
        let lines = &bench.journal(n).lines;
        lines.iter().map(|(at, _)| at.log_time_ms).collect::<Vec<_>>()
    };
    assert_eq!(times(1).len(), 20);
    assert!(times(1).is_sorted(), "{:?}", times(1));
    assert!(stamps(&bench, 1).is_sorted(), "{:?}", stamps(&bench, 1));
    // Each leader's second write is a second later on its own clock.
    let steps: Vec<u64> = times(1).chunks(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(steps[..3], [330, 1000, 3000]);
    assert_eq!([times(2), times(3)], [times(1), times(1)]);
    assert_eq!(bench.learner(2), bench.learner(1));
    assert_eq!(bench.learner(3), bench.learner(1));
}

/// R18: when an expiry is due and nothing is queued, the leader proposes a no-op; one is enough.
///
/// A session lives for a second. It is opened, and nothing more is asked for. For 900 ms nothing is
/// proposed; at 1.2 s the session is gone from every learner; three seconds later there is still
/// only that one no-op.
#[test]
fn r18_a_noop_lets_a_session_expire() {
    let mut bench = Bench::formed(Setup { layout: short_sessions(), ..Setup::nodes(3) });
    bench.lead(1);
    bench.open(1);
    let mark = bench.sent.len();
    bench.pass_ms(900);
    assert_eq!(bench.count(mark, |l| l.is(Kind::Accept)), 0);
    assert_eq!([1, 2, 3].map(|n| bench.learner(n).sessions), [1; 3]);
    bench.pass_ms(300);
    assert_eq!([1, 2, 3].map(|n| bench.learner(n).sessions), [0; 3]);
    bench.pass_ms(3000);
    let noop = |l: &Letter| match &l.packet {
        Packet::Acceptor(AcceptorMsg::Accept { entry, .. }) => entry.is_noop(),
        _ => false,
    };
    assert_eq!((bench.count(mark, |l| l.is(Kind::Accept)), bench.count(mark, noop)), (3, 3));
}

/// R18: what is queued makes the no-op needless.
///
/// The expiry is due, but the window is full: its entries, or those that follow, carry the time.
#[test]
fn r18_no_noop_while_something_is_proposed() {
    let layout = Layout { window: 1, ..layout(3) };
    let mut p = proposer(ProposerOptions { layout, ..options() });
    let (b, _) = p.lead(nothing(), nothing());
    let progress = |below| ProposerMsg::Progress {
        life: 1,
        applied_below: Slot(below),
        log_time_ms: 0,
        expiry_ms: Some(20),
    };
    p.hear(1, progress(0));
    p.propose(vec![register(0)]);
    assert_eq!(proposals(&p.pass_ms(30)), vec![]);
    p.voted(2, b, slots(0, 1));
    p.voted(3, b, slots(0, 1));
    assert_eq!(proposals(&p.pass_ms(1)), vec![], "slot 0 may have let the session expire");
    p.hear(1, progress(1));
    assert_eq!(proposals(&p.tick()), vec![(b, Slot(1), Entry::noop(31))]);
    assert_eq!(proposals(&p.pass_ms(1)), vec![]);
}

/// R18: sessions expire by log time, at apply, and not by any replica's clock.
///
/// A session is opened. An hour passes at the learner, and none in the log.
#[test]
fn r18_no_clock_of_a_replica_makes_a_session_expire() {
    let mut l = learner(Limits::default());
    let b = ballot(1, 2);
    let entries = [entry(0), batch(59_999, vec![]), batch(60_000, vec![])];
    for (slot, entry) in (0..).zip(entries) {
        l.pass_ms(3_600_000);
        l.hear(1, LearnerMsg::Voted { slot: Slot(slot), vote: Vote { ballot: b, entry } });
        l.hear(2, LearnerMsg::Chosen { ballot: b, slots: slots(0, slot + 1) });
        l.pass_ms(3_600_000);
        assert_eq!(l.role.status().sessions, u64::from(slot < 2), "slot {slot}");
    }
}

/// R18: an expiry is the same on all replicas.
///
/// Sessions of a second, clocks that run differently, the leader changing: at every moment two
/// learners that applied equally many slots are equal, sessions and log time included. One session
/// after the other is opened, used and left to expire.
#[test]
fn r18_expiry_is_equal_on_all_replicas() {
    let mut bench = with_bad_clocks(short_sessions());
    let mut at = std::collections::BTreeMap::new();
    let mut expired = 0;
    for turn in 0..12 {
        bench.lead(1 + turn % 3);
        let s = bench.open(1 + turn % 2);
        bench.propose(1, vec![write(s, 0, 0, &turn.to_string())]);
        for _ in 0..200 {
            bench.pass_ms(10);
            for node in 1..=3 {
                let now = bench.learner(node);
                let known = at.entry(now.applied_below).or_insert_with(|| now.clone());
                let comparable =
                    |status: &LearnerStatus| (status.digest, status.sessions, status.log_time_ms);
                assert_eq!(comparable(known), comparable(&now), "node {node}, turn {turn}");
                expired += usize::from(now.sessions == 0);
            }
        }
    }
    assert!(expired > 100, "sessions did expire");
}

/// R18: while a leader cannot propose, since its learner must catch up, log time stands still: else
/// every session would expire that nobody could use meanwhile. It never runs faster than the clock.
///
/// A leader's learner is at slot 0, the log at slot 100; the window is 16. In the fourth campaign
/// it leads. A minute later its learner is there: the first entry is stamped less than an election
/// timeout above what the promises told. From then on time passes, in a full window too.
#[test]
fn r18_log_time_stands_still_while_nothing_can_be_proposed() {
    let mut p = proposer(options());
    let part =
        PromisePart { chosen_below: Slot(100), from: Slot(100), log_time_ms: 5000, ..nothing() };
    let mut b = ballot(0, 1);
    while p.role.status().stance != StanceName::Lead {
        b = p.campaign();
        p.hear(2, ProposerMsg::Promise { ballot: b, part: Box::new(part.clone()) });
        p.hear(3, ProposerMsg::Promise { ballot: b, part: Box::new(nothing()) });
    }
    p.propose(vec![register(0)]);
    let mut below = 0;
    let mut stamped = |p: &mut Alone<Proposer>, applied: u64, ms: u64| {
        let mut entries = Vec::new();
        for _ in 0..ms / 10 {
            below = applied.min(below + 1);
            entries.extend(proposals(&p.applied(below)));
            let beat = p.pass_ms(10);
            for mail in &beat.mail {
                if let Packet::Acceptor(AcceptorMsg::Heartbeat { round, .. }) = mail.packet {
                    let ack =
                        ProposerMsg::HeartbeatAck { ballot: b, round, chosen_below: Slot(100) };
                    p.hear(1, ack.clone());
                    p.hear(2, ack);
                }
            }
            assert_eq!(p.role.status().stance, StanceName::Lead);
        }
        entries.iter().map(|(_, slot, entry)| (slot.0, entry.log_time_ms)).collect::<Vec<_>>()
    };
    // At the very end of these 850 ms there is room for slot 100.
    let first = stamped(&mut p, 85, 850);
    assert_eq!(first, [(100, 5300)]);
    p.voted(2, b, slots(100, 101));
    p.voted(3, b, slots(100, 101));
    stamped(&mut p, 101, 1000);
    p.propose(vec![register(1)]);
    let last = proposals(&p.propose(vec![register(2)]));
    assert_eq!(last[0].2.log_time_ms, 6310);
}
