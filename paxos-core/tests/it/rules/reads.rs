//! Linearizable reads by read index: rule R12.

use super::alone::*;
use super::bench::*;
use bytes::Bytes;
use paxos_core::*;

fn question(id: u64) -> ProposerMsg {
    ProposerMsg::AskReadIndex { learner: NodeId(2), id, hops: 0 }
}

fn index(id: u64, below: u64) -> (u64, Packet) {
    (2, LearnerMsg::ReadIndex { id, below: Slot(below) }.into())
}

fn beat(ballot: Ballot, round: u64, chosen: SlotRange) -> Vec<(u64, Packet)> {
    to_all(AcceptorMsg::Heartbeat { ballot, round, chosen })
}

fn ack(ballot: Ballot, round: u64) -> ProposerMsg {
    ProposerMsg::HeartbeatAck { ballot, round, chosen_below: Slot(0) }
}

/// R12: a read joins only a round that has not been sent, and a phase-2 quorum must echo it.
///
/// Round 1 opened the leadership. A question comes: round 2 goes out. Echoes of round 1 by all, of
/// round 2 by node 2 alone, by a stranger, and in another ballot, confirm nothing; node 3's echo
/// does.
#[test]
fn r12_a_read_is_confirmed_by_a_round_sent_after_it_came() {
    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    assert_eq!(p.hear(2, question(70)), mail(beat(b, 2, slots(0, 0))));
    for node in 1..=3 {
        assert_eq!(p.hear(node, ack(b, 1)), silence());
    }
    assert_eq!(p.hear(2, ack(b, 2)), silence());
    assert_eq!(p.hear(2, ack(b, 2)), silence());
    assert_eq!(p.hear(4, ack(b, 2)), silence());
    assert_eq!(p.hear(3, ack(Ballot { life: 9, ..b }, 2)), silence());
    assert_eq!(p.hear(3, ack(b, 99)), silence(), "no such round was sent");
    assert_eq!(p.hear(3, ack(b, 2)), mail(vec![index(70, 0)]));
}

/// R12: a question that comes while a round is under way waits for the next one.
///
/// Question 70 is under way with round 2 when slot 0 is chosen, and question 71 comes. The echoes
/// of round 2 answer 70 with what was chosen when it came, and send round 3 for 71 and 72.
#[test]
pub fn r12_a_read_does_not_join_a_round_under_way() {
    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    p.propose(vec![register(0)]);
    p.hear(2, question(70));
    p.voted(2, b, slots(0, 1));
    p.voted(3, b, slots(0, 1));
    assert_eq!(p.hear(2, question(71)), silence());
    assert_eq!(p.hear(2, question(72)), silence());
    p.hear(1, ack(b, 2));
    let mut answered = vec![index(70, 0)];
    answered.extend(beat(b, 3, slots(0, 1)));
    assert_eq!(p.hear(3, ack(b, 2)), mail(answered));
    p.hear(1, ack(b, 3));
    assert_eq!(p.hear(2, ack(b, 3)), mail(vec![index(71, 1), index(72, 1)]));
}

/// R12: the index is not below the highest slot adopted at election.
///
/// The promises tell of a vote at slot 4: slots 0 to 4 may have been chosen and acknowledged under
/// the leader before. None of them is chosen in this ballot yet when the question comes.
#[test]
pub fn r12_the_index_is_not_below_what_was_adopted() {
    let mut p = proposer(options());
    let votes = vec![(Slot(4), Vote { ballot: ballot(1, 2), entry: entry(4) })];
    let (b, _) = p.lead(PromisePart { votes, ..nothing() }, nothing());
    assert_eq!(p.hear(2, question(70)), mail(beat(b, 2, slots(0, 0))));
    p.hear(2, ack(b, 2));
    assert_eq!(p.hear(3, ack(b, 2)), mail(vec![index(70, 5)]));
}

/// R12: an acceptor echoes ballot and round, and only while its promise is that ballot.
///
/// Round 4 of 1.2 is echoed. Then 2.3 is promised.
#[test]
fn r12_an_acceptor_echoes_while_it_has_promised_nothing_higher() {
    let mut a = acceptor(Limits::default());
    let (b1, b2) = (ballot(1, 2), ballot(2, 3));
    let beat = |round| AcceptorMsg::Heartbeat { ballot: b1, round, chosen: slots(0, 0) };
    let echo = recorded(vec![Record::Promised(b1)], vec![(2, ack(b1, 4).into())]);
    assert_eq!(a.hear(2, beat(4)), echo);
    a.hear(3, AcceptorMsg::Prepare { ballot: b2, from: Slot::ZERO });
    let reject = ProposerMsg::Reject { ballot: b1, promised: b2 };
    assert_eq!(a.hear(2, beat(5)), mail(vec![(2, reject.into())]));
}

/// R12 at the learner: a read joins only a question that has not been asked, and waits for its
/// index.
///
/// Read 1 asks question q. Reads 2 and 3 come meanwhile. The answer to q frees read 1, and asks for
/// the two others. Their index is 1: they wait for slot 0 to be applied, and see it.
#[test]
fn r12_a_learner_asks_anew_for_reads_that_came_later() {
    let mut l = learner(Limits::default());
    let read = |id| LearnerMsg::Read { id, query: Bytes::new() };
    let asked = |out: &Output<SnapshotPiece>| match packet(out) {
        Some(Packet::Proposer(ProposerMsg::AskReadIndex { id, .. })) => id,
        _ => panic!("no question in {out:?}"),
    };
    let reply = |id, text: &str| {
        let result = Bytes::copy_from_slice(text.as_bytes());
        (CLIENT.0, Packet::from(ClientMsg::ReadReply { id, result }))
    };
    let client = member(CLIENT.0);
    let first = asked(&l.hear_from(client, read(1)));
    assert_eq!(l.hear_from(client, read(2)), silence());
    assert_eq!(l.hear_from(client, read(3)), silence());
    let wrong = LearnerMsg::ReadIndex { id: first.wrapping_add(1), below: Slot(0) };
    assert_eq!(l.hear(2, wrong), silence());
    let out = l.hear(2, LearnerMsg::ReadIndex { id: first, below: Slot(0) });
    let second = match &out.mail[1].packet {
        Packet::Proposer(ProposerMsg::AskReadIndex { id, .. }) => *id,
        other => panic!("no question but {other:?}"),
    };
    let ask = ProposerMsg::AskReadIndex { learner: NodeId(1), id: second, hops: 0 };
    assert_eq!(out, mail(vec![reply(1, ""), (1, ask.into())]));
    assert_ne!(first, second);
    assert_eq!(l.hear(2, LearnerMsg::ReadIndex { id: second, below: Slot(2) }), silence());
    // Slot 0 opens a session, slot 1 writes in it: only then are the reads run.
    let b = ballot(1, 2);
    let entries = [entry(0), batch(0, vec![write(session(0, 0), 0, 0, "x")])];
    for (slot, entry) in (0..).zip(entries) {
        l.hear(1, LearnerMsg::Voted { slot: Slot(slot), vote: Vote { ballot: b, entry } });
    }
    let replies = |out: Output<SnapshotPiece>| {
        let mail = out.mail.into_iter().map(|mail| (mail.to.0, mail.packet));
        mail.filter(|(_, packet)| packet.kind() == Kind::ReadReply).collect::<Vec<_>>()
    };
    let one = l.hear(2, LearnerMsg::Chosen { ballot: b, slots: slots(0, 1) });
    assert_eq!(replies(one), vec![]);
    let two = l.hear(2, LearnerMsg::Chosen { ballot: b, slots: slots(0, 2) });
    assert_eq!(replies(two), vec![reply(2, "x"), reply(3, "x")]);
}

/// R12, with whole nodes: a leader that was deposed and does not know it answers no read.
///
/// Node 1 leads and is cut off from nodes 2 and 3; node 2 leads and has y chosen. A client asks
/// node 1, which still believes that it leads. No answer, until the network heals; then it has y.
#[test]
pub fn r12_a_deposed_leader_answers_no_read() {
    let mut bench = Bench::led(3);
    let s = bench.open(1);
    bench.propose(1, vec![write(s, 0, 0, "x")]);
    bench.settle();
    bench.lose(|l| l.crosses(1) && l.to != CLIENT && l.sender.node != CLIENT);
    bench.lead(2);
    bench.propose(2, vec![write(s, 1, 0, "y")]);
    bench.settle();
    bench.heard();
    assert_eq!([1, 2].map(|n| bench.proposer(n).stance), [StanceName::Lead, StanceName::Lead]);
    bench.read(1, 40);
    bench.settle();
    bench.pass_ms(2000);
    assert_eq!(bench.heard(), vec![]);
    bench.heal();
    bench.pass_ms(1000);
    let read = ClientMsg::ReadReply { id: 40, result: "x y".into() };
    assert_eq!(bench.heard(), vec![(1, read)]);
}

/// R12: a read at a learner that lags waits until it has what was acknowledged.
///
/// The learner of node 3 hears no `Chosen` and gets no entries. A write is acknowledged through
/// node 1; then a client reads at node 3.
#[test]
fn r12_a_lagging_learner_answers_when_it_has_caught_up() {
    let mut bench = Bench::led(3);
    let s = bench.open(1);
    bench.lose(|l| l.to(3) && (l.is(Kind::Chosen) || l.is(Kind::Entries)));
    bench.propose(1, vec![write(s, 0, 0, "x")]);
    bench.settle();
    bench.read(3, 40);
    bench.settle();
    bench.heard();
    bench.pass_ms(200);
    assert_eq!((bench.journal(3).text().as_str(), bench.heard()), ("", vec![]));
    bench.heal();
    bench.pass_ms(200);
    let read = ClientMsg::ReadReply { id: 40, result: "x".into() };
    assert_eq!(bench.heard(), vec![(3, read)]);
}

/// A question is small and its answer may not be: a learner does not make all answers at once.
///
/// Three reads share a question, and one answer is already more than one step may make. The index
/// comes: one is answered, and with each tick another.
#[test]
fn r12_many_large_answers_are_made_one_step_after_another() {
    let mut l = learner(Limits { part_bytes_max: 1, ..Limits::default() });
    let b = ballot(1, 2);
    let entries = [entry(0), batch(0, vec![write(session(0, 0), 0, 0, "xyz")])];
    for (slot, entry) in (0..).zip(entries) {
        l.hear(1, LearnerMsg::Voted { slot: Slot(slot), vote: Vote { ballot: b, entry } });
    }
    l.hear(2, LearnerMsg::Chosen { ballot: b, slots: slots(0, 2) });
    let client = member(CLIENT.0);
    let read = |id| LearnerMsg::Read { id, query: Bytes::new() };
    let question = |out: &Output<SnapshotPiece>| match packet(out) {
        Some(Packet::Proposer(ProposerMsg::AskReadIndex { id, .. })) => id,
        _ => panic!("no question in {out:?}"),
    };
    let first = question(&l.hear_from(client, read(1)));
    for id in 2..=4 {
        assert_eq!(l.hear_from(client, read(id)), silence());
    }
    let answered = |out: &Output<SnapshotPiece>| {
        let replies = out.mail.iter().filter(|mail| mail.to == CLIENT);
        replies.count()
    };
    let index = |id| LearnerMsg::ReadIndex { id, below: Slot(2) };
    let out = l.hear(2, index(first));
    assert_eq!(answered(&out), 1);
    let second = out.mail.iter().find_map(|mail| match mail.packet {
        Packet::Proposer(ProposerMsg::AskReadIndex { id, .. }) => Some(id),
        _ => None,
    });
    assert_eq!(answered(&l.hear(2, index(second.expect("the others are asked for")))), 1);
    assert_eq!(answered(&l.tick()), 1);
    assert_eq!(answered(&l.tick()), 1);
    assert_eq!(answered(&l.tick()), 0);
}
