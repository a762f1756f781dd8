//! When to campaign: rules R9 and R11.

use super::alone::*;
use super::bench::*;
use paxos_core::*;
use std::collections::BTreeSet;

fn polled(attempt: u64, consent: bool, promised: Ballot) -> ProposerMsg {
    ProposerMsg::Polled { attempt, consent, promised }
}

/// What an acceptor of node 1 says to a poll of `from`, numbered 5.
fn answer(from: MemberId, consent: bool, promised: Ballot) -> Output<Record> {
    mail(vec![(from.node.0, polled(5, consent, promised).into())])
}

fn heartbeat(ballot: Ballot) -> AcceptorMsg {
    AcceptorMsg::Heartbeat { ballot, round: 1, chosen: slots(0, 0) }
}

const POLL: AcceptorMsg = AcceptorMsg::Poll { attempt: 5 };

/// R9: an acceptor that hears a live leader says no, except to that leader; a poll changes nothing.
///
/// Before any leader is heard node 2 is welcome, and so is node 3, polls being no claim. Node 2
/// leads in 1.2: now node 3 is not welcome, and node 2 is. The leader is silent for an election
/// timeout.
#[test]
pub fn r09_an_acceptor_that_hears_a_leader_welcomes_nobody_else() {
    let mut a = acceptor(Limits::default());
    let (two, three, b) = (member(2), member(3), ballot(1, 2));
    assert_eq!(a.hear_from(two, POLL), answer(two, true, Ballot::ZERO));
    assert_eq!(a.hear_from(three, POLL), answer(three, true, Ballot::ZERO));
    let before = a.role.status();
    a.hear(2, heartbeat(b));
    assert_eq!(a.role.status(), AcceptorStatus { promised: b, ..before });
    a.pass_ms(299);
    assert_eq!(a.hear_from(three, POLL), answer(three, false, b));
    assert_eq!(a.hear_from(two, POLL), answer(two, true, b));
    a.pass_ms(1);
    assert_eq!(a.hear_from(three, POLL), answer(three, true, b));
    // An Accept is a sign of life, too.
    a.hear(2, accept(b, 0, entry(0), slots(0, 0)));
    assert_eq!(a.hear_from(three, POLL), answer(three, false, b));
}

/// R9: a heartbeat counts only with a ballot at or above the promise, and from the ballot's owner.
///
/// Node 3 was promised 2.3 and has not been heard from since. Node 2 still beats in 1.2, node 1 in
/// node 3's name.
#[test]
fn r09_a_deposed_leader_is_no_live_leader() {
    let mut a = acceptor(Limits::default());
    let (b1, b2) = (ballot(1, 2), ballot(2, 3));
    a.hear(3, AcceptorMsg::Prepare { ballot: b2, from: Slot::ZERO });
    let reject = ProposerMsg::Reject { ballot: b1, promised: b2 };
    assert_eq!(a.hear(2, heartbeat(b1)), mail(vec![(2, reject.into())]));
    assert_eq!(a.hear(1, heartbeat(b2)), silence());
    assert_eq!(a.hear(1, POLL), answer(member(1), true, b2));
}

/// R9: who is outside of the configuration is refused.
///
/// Polls of a node that is not laid out, of a wiped member, and of a member whose node has no
/// proposer.
#[test]
fn r09_polls_from_outside_are_refused() {
    let me = member(1);
    let layout = Layout { proposers: vec![NodeId(1), NodeId(2)], ..layout(3) };
    let roster = layout.roster(|node| Some(member(node.0).incarnation)).unwrap();
    let (timing, limits) = (Timing::default(), Limits::default());
    let mut role = Acceptor::new(AcceptorOptions { me, layout, timing, limits });
    role.replay(Record::Roster(Box::new(roster)));
    role.replay(Record::Formed);
    let mut a = Alone { role, now: Now(0) };
    let wiped = MemberId { incarnation: Incarnation(9), ..member(2) };
    for from in [member(4), wiped, member(3)] {
        assert_eq!(a.hear_from(from, POLL), answer(from, false, Ballot::ZERO));
        let ballot = ballot(1, from.node.0);
        assert_eq!(a.hear_from(from, AcceptorMsg::Prepare { ballot, from: Slot::ZERO }), silence());
    }
    assert_eq!(a.hear(2, POLL), answer(member(2), true, Ballot::ZERO));
}

/// R9: a candidate campaigns only with the consent of a phase-1 quorum, above all that it has
/// promised.
///
/// Node 2 consents, and again; a stranger does; node 3 refuses, and names a promise of 7.2; its
/// consent to an older attempt comes late. At last node 3 consents.
#[test]
fn r09_a_campaign_needs_the_consent_of_a_quorum() {
    let mut p = proposer(options());
    let old = p.poll();
    let mut attempt = old;
    while attempt == old {
        attempt = p.poll();
    }
    let zero = Ballot::ZERO;
    assert_eq!(p.hear(2, polled(attempt, true, zero)), silence());
    assert_eq!(p.hear(2, polled(attempt, true, zero)), silence());
    assert_eq!(p.hear(4, polled(attempt, true, zero)), silence());
    assert_eq!(p.hear(3, polled(attempt, false, ballot(7, 2))), silence());
    assert_eq!(p.hear(3, polled(old, true, zero)), silence());
    assert_eq!(p.role.status().campaigns, 0);
    let prepare = AcceptorMsg::Prepare { ballot: ballot(8, 1), from: Slot::ZERO };
    assert_eq!(p.hear(3, polled(attempt, true, zero)), mail(to_all(prepare)));
}

/// R9, with whole nodes: who was cut off and comes back disturbs nobody.
///
/// Node 3 hears nothing for 20 election timeouts, and polls all the time. When the network heals,
/// its poll is under way; the leader stays, in its ballot.
#[test]
fn r09_a_node_that_comes_back_disturbs_nobody() {
    let mut bench = Bench::led(3);
    let before = bench.proposer(1);
    bench.lose(|l| l.crosses(3) && l.to(3));
    let mark = bench.sent.len();
    bench.pass_ms(6000);
    assert!(bench.count(mark, |l| l.is(Kind::Poll) && l.from(3)) > 10);
    assert_eq!(bench.proposer(3).stance, StanceName::Campaign);
    bench.heal();
    bench.pass_ms(2000);
    assert_eq!(bench.proposer(1).ballot, before.ballot);
    assert_eq!(bench.leader(), Some(1));
    assert_eq!(bench.proposer(3).leader, Some(NodeId(1)));
    assert_eq!(bench.count(mark, |l| l.is(Kind::Prepare)), 0);
}

/// The time from hearing the configuration to the first poll, in ms, to the tick of 10 ms.
fn first_poll_ms(seed: u64) -> u64 {
    let mut p = proposer(ProposerOptions { seed, ..options() });
    p.poll();
    p.now.0 / 1000
}

/// R11: timeouts are random, between one and two election timeouts, which are 300 ms unless told
/// otherwise.
///
/// 500 proposers wait for a leader in vain.
#[test]
fn r11_timeouts_are_random() {
    let default_ms = Timing::default().election_timeout_us() / 1000;
    assert!((100..=500).contains(&default_ms));
    let times: Vec<u64> = (0..500).map(first_poll_ms).collect();
    let (least, most) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    assert!((300..320).contains(&least), "{least}");
    assert!((590..=600).contains(&most), "{most}");
    assert!(times.iter().collect::<BTreeSet<_>>().len() >= 30);
}

/// R11: each campaign that is lost doubles the wait before the next, up to eight election timeouts.
///
/// 300 proposers lose five campaigns in a row, each by a `Reject`. The waits are random, from a
/// quarter of an election timeout up to 2, 4, 8 and 8 of them; then a leader is heard, and falls
/// silent.
#[test]
fn r11_lost_campaigns_back_off_exponentially() {
    let mut waits = vec![Vec::new(); 5];
    for seed in 0..300 {
        let mut p = proposer(ProposerOptions { seed, ..options() });
        for waited in &mut waits {
            let ballot = p.campaign();
            let lost_at = p.now;
            let promised = Ballot { round: ballot.round + 1, ..ballot };
            p.hear(2, ProposerMsg::Reject { ballot, promised });
            assert_eq!(p.role.status().stance, StanceName::Follow);
            let mut next = 0;
            while p.role.status().stance == StanceName::Follow {
                p.pass_ms(10);
                next = p.now.since(lost_at) / 1000;
            }
            waited.push(next);
        }
        let (ballot, heard_at) = (ballot(99, 2), p.now);
        p.hear(2, ProposerMsg::Leading { ballot });
        let ballot = p.campaign();
        let lost_at = p.now;
        assert!(lost_at.since(heard_at) <= 600_000);
        p.hear(2, ProposerMsg::Reject { ballot, promised: Ballot { life: 9999, ..ballot } });
        p.poll();
        assert!(p.now.since(lost_at) <= 600_000, "a leader ends the bad luck");
    }
    for (waited, most) in waits.iter().zip([600, 1200, 2400, 2400, 2400]) {
        let (low, high) = (*waited.iter().min().unwrap(), *waited.iter().max().unwrap());
        assert!((70..150).contains(&low), "the shortest of up to {most} ms is {low} ms");
        assert!(
            high <= most && high > most * 9 / 10,
            "the longest of up to {most} ms is {high} ms"
        );
    }
}

/// R11: rivals do not keep each other from leading.
///
/// Five nodes start at once, 50 times with other seeds; a third of all answers to candidates is
/// lost. Within ten election timeouts one leads, and goes on leading when nothing is lost any more.
#[test]
fn r11_rivals_end_with_one_leader() {
    for seed in 0..50 {
        let mut bench = Bench::formed(Setup { seed, ..Setup::nodes(5) });
        let turn = std::cell::Cell::new(seed);
        bench.lose(move |l| {
            turn.set(turn.get() + 1);
            (l.is(Kind::Promise) || l.is(Kind::Polled)) && turn.get().is_multiple_of(3)
        });
        bench.pass_ms(3000);
        let leader = bench.leader().unwrap_or_else(|| panic!("seed {seed}: nobody leads"));
        let ballot = bench.proposer(leader).ballot;
        bench.heal();
        bench.pass_ms(3000);
        assert_eq!(bench.proposer(leader).ballot, ballot, "seed {seed}");
        let leaders =
            bench.ids().into_iter().filter(|&id| bench.proposer(id).stance == StanceName::Lead);
        assert_eq!(leaders.count(), 1, "seed {seed}");
    }
}

/// R11: the leader talks to its own acceptor as to any other, whose disk may be the slowest.
///
/// The leader's disk stands still. The two others choose, and all learners apply; the leader's own
/// vote is told later.
#[test]
fn r11_the_leaders_own_disk_may_be_the_slowest() {
    let mut bench = Bench::led(3);
    let s = bench.open(1);
    bench.stop_syncing(1);
    let mark = bench.sent.len();
    bench.propose(1, vec![write(s, 0, 0, "x")]);
    bench.settle();
    assert_eq!([1, 2, 3].map(|n| bench.journal(n).text()), ["x"; 3]);
    let own = |bench: &Bench| bench.count(mark, |l| l.is(Kind::Accepted) && l.from(1));
    assert_eq!(own(&bench), 0);
    bench.sync(1);
    assert_eq!(own(&bench), 1);
}

/// A ballot that nobody can have come to is ignored, or it would be the last: by acceptors, whose
/// promise stays, and by proposers, whose own ballots stay below.
///
/// An acceptor promised 7.2. It is asked in ballots that are too far above, and in one that is not.
/// A proposer has seen round 7, and hears of the same ones; one that has just started believes the
/// first that it hears.
#[test]
fn r09_a_ballot_that_nobody_can_have_come_to_is_ignored() {
    let mut a = acceptor(Limits::default());
    let prepare = |ballot| AcceptorMsg::Prepare { ballot, from: Slot::ZERO };
    a.hear(2, prepare(ballot(7, 2)));
    let far = 7 + Ballot::JUMP_MAX;
    for round in [far + 1, 1 << 40, Ballot::ROUND_MAX] {
        let b = ballot(round, 3);
        assert_eq!(a.hear(3, prepare(b)), silence());
        assert_eq!(a.hear(3, accept(b, 0, entry(0), slots(0, 0))), silence());
        assert_eq!(a.hear(3, heartbeat(b)), silence());
        assert_eq!(a.role.status().promised, ballot(7, 2));
    }
    a.hear(3, prepare(ballot(far, 3)));
    assert_eq!(a.role.status().promised, ballot(far, 3));

    let mut p = proposer(options());
    p.hear(2, ProposerMsg::Leading { ballot: ballot(7, 2) });
    p.hear(3, ProposerMsg::Leading { ballot: ballot(far + 1, 3) });
    assert_eq!(p.role.status().leader, Some(NodeId(2)));
    let b = p.campaign();
    assert_eq!(b.round, 8);
    p.hear(3, ProposerMsg::Reject { ballot: b, promised: ballot(Ballot::ROUND_MAX, 3) });
    assert_eq!(p.campaign().round, 9);

    let mut p = proposer(options());
    p.hear(2, ProposerMsg::Leading { ballot: ballot(1 << 40, 2) });
    assert_eq!(p.campaign().round, (1 << 40) + 1);
}
