//! When to stop leading: rule R10.

use super::alone::*;
use super::bench::*;
use paxos_core::*;

/// The round of the heartbeat in an output.
fn round(out: &Output<NoRecord>) -> Option<u64> {
    out.mail.iter().find_map(|mail| match mail.packet {
        Packet::Acceptor(AcceptorMsg::Heartbeat { round, .. }) => Some(round),
        _ => None,
    })
}

fn ack(ballot: Ballot, round: u64) -> ProposerMsg {
    ProposerMsg::HeartbeatAck { ballot, round, chosen_below: Slot(0) }
}

/// R10: a leader that no phase-2 quorum answers steps down within an election timeout, and is
/// silent.
///
/// Only node 1 answers heartbeats. At 300 ms the leader still leads; at 301 ms it does not,
/// although it has a proposal to repeat, and that tick says nothing at all.
#[test]
pub fn r10_a_leader_without_a_quorum_steps_down_in_silence() {
    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    p.propose(vec![register(0)]);
    for _ in 0..30 {
        if let Some(round) = round(&p.pass_ms(10)) {
            p.hear(1, ack(b, round));
        }
        assert_eq!(p.role.status().stance, StanceName::Lead);
    }
    assert_eq!(p.pass_ms(1), silence());
    assert_eq!(p.role.status().stance, StanceName::Follow);
    assert_eq!(p.voted(2, b, slots(0, 1)), silence());
    assert_eq!(p.voted(3, b, slots(0, 1)), silence());
}

/// R10: an answer is as old as the heartbeat that it answers; one to another ballot is none.
///
/// The first heartbeat is sent at 50 ms, and answered by nodes 1 and 2 only at 290 ms. That keeps
/// the leader until 350 ms, and no longer. Answers to another ballot do not keep it.
#[test]
fn r10_an_answer_counts_from_when_it_was_asked_for() {
    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    let led_at = p.now;
    let first = round(&p.pass_ms(50)).expect("a heartbeat");
    while p.now.since(led_at) < 290_000 {
        p.pass_ms(10);
    }
    p.hear(1, ack(b, first));
    p.hear(2, ack(b, first));
    let other = Ballot { life: 9, ..b };
    let last = round(&p.pass_ms(10)).expect("a heartbeat");
    p.hear(1, ack(other, last));
    p.hear(2, ack(other, last));
    p.hear(4, ack(b, last));
    p.pass_ms(50);
    assert_eq!((p.now.since(led_at), p.role.status().stance), (350_000, StanceName::Lead));
    assert_eq!(p.pass_ms(1), silence());
    assert_eq!(p.role.status().stance, StanceName::Follow);
}

/// R10: not answered *durably* is not answered.
///
/// Under writes the disks of nodes 2 and 3 stand still: heartbeats arrive, but their answers wait
/// behind the votes in the log. The leader steps down.
#[test]
fn r10_a_leader_whose_quorum_cannot_write_steps_down() {
    let mut bench = Bench::led(3);
    bench.stop_syncing(2);
    bench.stop_syncing(3);
    bench.propose(1, vec![register(0)]);
    let mark = bench.sent.len();
    bench.pass_ms(300);
    assert_eq!(bench.proposer(1).stance, StanceName::Lead);
    assert_eq!(bench.count(mark, |l| l.is(Kind::HeartbeatAck) && !l.from(1)), 0);
    bench.pass_ms(20);
    assert_ne!(bench.proposer(1).stance, StanceName::Lead);
}

/// R10: a leader that is answered, but whose oldest proposal is not chosen, steps down after five
/// election timeouts. An idle one leads on.
///
/// All `Accepted` are lost, all heartbeats answered. First nothing is proposed for 20 election
/// timeouts; then one command is.
#[test]
fn r10_a_leader_whose_proposals_go_nowhere_steps_down() {
    let mut bench = Bench::led(3);
    let ballot = bench.proposer(1).ballot;
    bench.lose(|l| l.is(Kind::Accepted));
    bench.pass_ms(6000);
    assert_eq!(bench.proposer(1).ballot, ballot);
    bench.propose(1, vec![register(0)]);
    bench.pass_ms(1490);
    assert_eq!(bench.proposer(1).ballot, ballot);
    bench.pass_ms(30);
    assert_ne!(bench.proposer(1).ballot, ballot);
}

/// R10: one `Reject` does not depose a leader that a quorum still answers.
///
/// Node 3 promises a higher ballot, and rejects; nodes 1 and 2 answer. The leader leads on and has
/// its proposals chosen by them.
#[test]
fn r10_one_reject_does_not_depose() {
    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    let promised = ballot(9, 3);
    for n in 0..100 {
        assert_eq!(p.hear(3, ProposerMsg::Reject { ballot: b, promised }), silence());
        if let Some(round) = round(&p.pass_ms(10)) {
            p.hear(1, ack(b, round));
            p.hear(2, ack(b, round));
        }
        p.propose(vec![register(n)]);
        p.voted(1, b, slots(0, n + 1));
        p.voted(2, b, slots(0, n + 1));
        p.applied(n + 1);
    }
    let status = p.role.status();
    assert_eq!(
        (status.stance, status.ballot, status.chosen_below),
        (StanceName::Lead, b, Slot(100))
    );
    // The next ballot of this proposer is above what it heard of.
    p.pass_ms(400);
    assert_eq!(p.role.status().stance, StanceName::Follow);
    assert_eq!(p.campaign().round, 10);
}

/// R10: a leader steps down for one in a higher ballot, and not for one in a lower.
///
/// Node 2 says that it leads in a lower ballot, node 3 that it leads in node 2's, then node 2 in a
/// higher one. What had queued is handed over.
#[test]
fn r10_a_leader_follows_a_higher_one() {
    let layout = Layout { window: 0, ..layout(3) };
    let mut p = proposer(ProposerOptions { layout, ..options() });
    p.hear(2, ProposerMsg::Reject { ballot: ballot(3, 1), promised: ballot(4, 3) });
    let (b, _) = p.lead(nothing(), nothing());
    assert_eq!(b.round, 5);
    assert_eq!(p.propose(vec![register(0), register(1)]), silence());
    assert_eq!(p.hear(2, ProposerMsg::Leading { ballot: ballot(4, 2) }), silence());
    assert_eq!(p.hear(3, ProposerMsg::Leading { ballot: ballot(6, 2) }), silence());
    assert_eq!(p.role.status().stance, StanceName::Lead);
    let commands = vec![register(0), register(1)];
    let handed = ProposerMsg::Propose { commands, hops: 1 };
    let out = p.hear(2, ProposerMsg::Leading { ballot: ballot(6, 2) });
    assert_eq!(out, mail(vec![(2, handed.into())]));
    assert_eq!(p.role.status().leader, Some(NodeId(2)));
}
