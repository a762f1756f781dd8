//! Who may call a slot chosen, and who hears of it: rules R3, R4 and R8.

use super::alone::*;
use super::bench::*;
use paxos_core::*;

fn chosen(ballot: Ballot, slots: SlotRange) -> LearnerMsg {
    LearnerMsg::Chosen { ballot, slots }
}

fn fed(ballot: Ballot, slot: u64, entry: Entry) -> LearnerMsg {
    LearnerMsg::Voted { slot: Slot(slot), vote: Vote { ballot, entry } }
}

/// What the learner of node 1 says when it has applied `entry(nonce)` at each of these slots, and
/// another node leads.
fn applied(from: u64, nonces: &[u64]) -> Output<SnapshotPiece> {
    let mut out = Output::new();
    for (slot, &nonce) in (from..).zip(nonces) {
        out.send(
            CLIENT,
            ClientMsg::Registered {
                nonce,
                session: session(slot, 0),
                rules: SessionRules::default(),
            },
        );
    }
    out
}

/// What it says then to its proposer: at once if that one leads, or if the entries were fetched.
fn progress(below: u64) -> Output<SnapshotPiece> {
    let (applied_below, expiry_ms) = (Slot(below), Some(SessionRules::default().ttl_ms));
    let life = life(1);
    mail(vec![(1, ProposerMsg::Progress { life, applied_below, log_time_ms: 0, expiry_ms }.into())])
}

fn and(mut one: Output<SnapshotPiece>, other: Output<SnapshotPiece>) -> Output<SnapshotPiece> {
    one.mail.extend(other.mail);
    one
}

fn fetch(from: u64) -> Packet {
    AcceptorMsg::Fetch { from: Slot(from), role: RoleName::Learner }.into()
}

/// R3: `Chosen` advances only by votes that are counted in its ballot.
///
/// Slots 0 to 2 are proposed, and node 2 votes. Nothing of what follows is another vote: node 2
/// again, a wiped node 3, node 3 in another ballot, heartbeats of acceptors that hold all as
/// chosen, the own learner having applied it, a late promise. Then node 3 votes.
#[test]
fn r03_only_votes_counted_in_the_ballot_make_it_chosen() {
    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    for n in 0..3 {
        p.propose(vec![register(n)]);
    }
    let votes = ProposerMsg::Accepted { ballot: b, slots: slots(0, 3) };
    let wiped = MemberId { incarnation: Incarnation(9), ..member(3) };
    let trimmed = PromisePart { trimmed: Slot(3), chosen_below: Slot(3), ..nothing() };
    assert_eq!(p.hear(2, votes.clone()), silence());
    assert_eq!(p.hear(2, votes.clone()), silence());
    assert_eq!(p.hear_from(wiped, votes.clone()), silence());
    assert_eq!(p.hear_from(member(4), votes.clone()), silence());
    assert_eq!(p.voted(3, ballot(b.round, 2), slots(0, 3)), silence());
    assert_eq!(p.voted(3, Ballot { life: 9, ..b }, slots(0, 3)), silence());
    for node in 1..=3 {
        let ack = ProposerMsg::HeartbeatAck { ballot: b, round: 1, chosen_below: Slot(3) };
        assert_eq!(p.hear(node, ack), silence());
    }
    assert_eq!(p.applied(3), silence());
    assert_eq!(p.hear(1, ProposerMsg::Promise { ballot: b, part: Box::new(trimmed) }), silence());
    assert_eq!(p.role.status().chosen_below, Slot(0));
    assert_eq!(p.hear(3, votes), mail(to_all(chosen(b, slots(0, 3)))));
}

/// R3: `Chosen` has no gap, and is told as far as it reaches.
///
/// Three slots are proposed. Slot 1 has its votes first, then slot 0, then slot 2.
#[test]
fn r03_chosen_waits_for_the_slot_below() {
    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    for n in 0..3 {
        p.propose(vec![register(n)]);
    }
    p.voted(2, b, slots(1, 3));
    assert_eq!(p.voted(3, b, slots(1, 2)), silence());
    p.voted(1, b, slots(0, 1));
    assert_eq!(p.voted(3, b, slots(0, 1)), mail(to_all(chosen(b, slots(0, 2)))));
    assert_eq!(p.voted(1, b, slots(2, 3)), mail(to_all(chosen(b, slots(0, 3)))));
}

/// R3: a leader that skips slots begins its `Chosen` above them.
///
/// An acceptor promises and holds everything below slot 5 as chosen, of which it has forgotten what
/// is below slot 3. The leader says nothing of those slots; its first is slot 5.
#[test]
fn r03_a_leader_that_skips_slots_speaks_only_of_those_above() {
    let mut p = proposer(options());
    p.applied(3);
    let part = PromisePart { trimmed: Slot(3), chosen_below: Slot(5), from: Slot(5), ..nothing() };
    let (b, first) = p.lead(part, nothing());
    assert!(
        first.mail.iter().all(|mail| mail.packet.kind() != Kind::Chosen),
        "chosen in {first:?}"
    );
    let next = p.propose(vec![register(0)]);
    assert_eq!(next, mail(to_all(accept(b, 5, entry(0), slots(5, 5)))));
    p.voted(2, b, slots(5, 6));
    assert_eq!(p.voted(3, b, slots(5, 6)), mail(to_all(chosen(b, slots(5, 6)))));
}

/// R4: a fed vote is applied under a `Chosen` of its ballot that covers its slot, in either order.
///
/// Slot 0: the vote comes first. Slot 1: `Chosen` comes first. Slots 2 and 3: the votes come in the
/// wrong order, under a `Chosen` of both.
#[test]
fn r04_a_vote_is_applied_under_a_chosen_of_its_ballot() {
    let mut l = learner(Limits::default());
    let b = ballot(1, 2);
    assert_eq!(l.hear(1, fed(b, 0, entry(0))), silence());
    assert_eq!(l.hear(2, chosen(b, slots(0, 1))), applied(0, &[0]));
    assert_eq!(l.hear(2, chosen(b, slots(0, 2))), silence());
    assert_eq!(l.hear(1, fed(b, 1, entry(1))), applied(1, &[1]));
    assert_eq!(l.hear(2, chosen(b, slots(0, 4))), silence());
    assert_eq!(l.hear(1, fed(b, 3, entry(3))), silence());
    assert_eq!(l.hear(1, fed(b, 2, entry(2))), applied(2, &[2, 3]));
}

/// R20: a leader hears how far its learner is when a quarter of its window is left to it; whoever
/// follows hears with each heartbeat.
///
/// The window is 16. Slots are chosen one by one, by node 2 or by node 1, which is paired with the
/// learner. Then votes show that node 1 has gone further.
#[test]
fn r20_progress_is_told_before_a_leader_needs_it() {
    for leader in [1, 2] {
        let mut l = learner(Limits::default());
        let b = ballot(1, leader);
        let told = |below| if leader == 1 { progress(below) } else { silence() };
        for slot in 0..40 {
            // Eleven slots are applied, and one more has a vote.
            let expected = if slot > 0 && slot % 11 == 0 { told(slot) } else { silence() };
            assert_eq!(l.hear(1, fed(b, slot, entry(slot))), expected, "slot {slot}");
            assert_eq!(l.hear(leader, chosen(b, slots(0, slot + 1))), applied(slot, &[slot]));
        }
        for slot in 40..44 {
            assert_eq!(l.hear(1, fed(b, slot, entry(slot))), silence());
        }
        assert_eq!(l.hear(1, fed(b, 44, entry(44))), told(40));
        let later = l.pass_ms(50);
        assert!(later.mail.contains(&progress(40).mail[0]), "{later:?}");
    }
}

/// R4: a vote under a `Chosen` of another ballot is not applied; its slot is fetched.
///
/// The learner is fed a vote of ballot 1.2; ballot 2.3 had another entry chosen there. After a
/// heartbeat it asks the acceptor of its node, which fetched the entry from another.
#[test]
pub fn r04_a_vote_of_another_ballot_is_not_applied() {
    for (voted, counted) in [(ballot(1, 2), ballot(2, 3)), (ballot(2, 3), ballot(1, 2))] {
        let mut l = learner(Limits::default());
        l.hear(1, fed(voted, 0, entry(0)));
        assert_eq!(l.hear(counted.node.0, chosen(counted, slots(0, 1))), silence());
        let asked = l.pass_ms(50);
        assert_eq!(packet(&asked), Some(fetch(0)));
        let held = Entries {
            from: Slot(0),
            entries: vec![entry(7)],
            chosen_below: Slot(1),
            trimmed: Slot(0),
        };
        assert_eq!(l.hear(1, LearnerMsg::Entries(held)), and(applied(0, &[7]), progress(1)));
        assert_eq!(l.role.status().applied_below, Slot(1));
    }
}

/// R4: a `Chosen` that does not cover the slot says nothing of it; nor does one of an impostor.
///
/// The vote is at slot 0. `Chosen` comes for slot 1; then for slot 0, but from a node that does not
/// own the ballot, from a wiped one that did, and from one that has no proposer.
#[test]
fn r04_a_chosen_counts_for_its_slots_and_from_its_owner() {
    let mut l = learner(Limits::default());
    let b = ballot(1, 2);
    l.hear(1, fed(b, 0, entry(0)));
    assert_eq!(l.hear(2, chosen(b, slots(1, 2))), silence());
    assert_eq!(l.hear(3, chosen(b, slots(0, 1))), silence());
    let wiped = MemberId { incarnation: Incarnation(9), ..member(2) };
    assert_eq!(l.hear_from(wiped, chosen(b, slots(0, 1))), silence());
    let b4 = ballot(1, 4);
    l.hear(1, fed(b4, 0, entry(0)));
    assert_eq!(l.hear(4, chosen(b4, slots(0, 1))), silence());
    assert_eq!(l.role.status().applied_below, Slot(0));
}

/// R4: nobody else declares a slot chosen by counting votes.
///
/// All three acceptors feed the learner the same vote.
#[test]
fn r04_a_learner_does_not_count_votes() {
    let mut l = learner(Limits::default());
    for node in 1..=3 {
        assert_eq!(l.hear(node, fed(ballot(1, 2), 0, entry(0))), silence());
    }
    assert_eq!(l.role.status().applied_below, Slot(0));
}

/// R4, with whole nodes: a vote that lost is not applied, although its slot is chosen.
///
/// Node 1 leads and proposes x; only its own acceptor hears it, and feeds the learner of node 1.
/// Node 1 is cut off; node 2 leads by nodes 2 and 3, and has y chosen in the same slot. Of all its
/// mail only `Chosen` reaches node 1. Then the network heals.
#[test]
fn r04_what_lost_the_election_is_not_applied() {
    let mut bench = Bench::led(3);
    let s = bench.open(1);
    bench.lose(|l| l.crosses(1));
    bench.propose(1, vec![write(s, 0, 0, "x")]);
    bench.settle();
    bench.lead(2);
    bench.lose(|l| l.crosses(1) && !l.is(Kind::Chosen));
    bench.propose(2, vec![write(s, 1, 0, "y")]);
    bench.settle();
    assert_eq!(bench.learner(1).chosen_below, Slot(2), "it heard that slot 1 is chosen");
    assert_eq!([1, 2, 3].map(|n| bench.journal(n).text()), ["", "y", "y"]);
    bench.heal();
    bench.pass_ms(500);
    assert_eq!([1, 2, 3].map(|n| bench.journal(n).text()), ["y", "y", "y"]);
}

/// R8: `Chosen` reaches acceptors, costs no frame of its own, and rides in the next one.
///
/// Slots 0 and 1 are voted for. A heartbeat calls them chosen: it is answered, and nothing is
/// logged. The vote for slot 2 takes it along, in front.
#[test]
fn r08_chosen_rides_in_the_next_frame() {
    let mut a = acceptor(Limits::default());
    let b = ballot(1, 2);
    for slot in 0..2 {
        a.hear(2, accept(b, slot, entry(slot), slots(0, 0)));
    }
    let beat = AcceptorMsg::Heartbeat { ballot: b, round: 1, chosen: slots(0, 2) };
    let ack = ProposerMsg::HeartbeatAck { ballot: b, round: 1, chosen_below: Slot(2) };
    assert_eq!(a.hear(2, beat), mail(vec![(2, ack.into())]));
    let mut expected = vote_told(b, 2, entry(2), slots(0, 3));
    expected.records.insert(0, Record::Chosen { ballot: b, slots: slots(0, 2) });
    assert_eq!(a.hear(2, accept(b, 2, entry(2), slots(0, 2))), expected);
}

/// R8: an acceptor takes as chosen only its votes of the ballot that was counted, without a gap.
///
/// Votes in ballot 1.3 at slots 0 and 1, and in one case at slot 2, in the other not; ballot 2.2
/// has its votes at slots 0, 1 and 3, and counts slots 0 to 3. A vote at slot 2 may have lost.
#[test]
pub fn r08_chosen_reaches_as_far_as_the_votes_of_its_ballot() {
    let (b1, b2) = (ballot(1, 3), ballot(2, 2));
    for below in [2, 3] {
        let mut a = acceptor(Limits::default());
        for slot in 0..below {
            a.hear(3, accept(b1, slot, entry(slot), slots(0, 0)));
        }
        for slot in [0, 1, 3] {
            a.hear(2, accept(b2, slot, entry(slot + 10), slots(0, 0)));
        }
        a.hear(2, AcceptorMsg::Heartbeat { ballot: b2, round: 1, chosen: slots(0, 4) });
        let ask = AcceptorMsg::Fetch { from: Slot(0), role: RoleName::Learner };
        let held = Entries {
            from: Slot(0),
            entries: vec![entry(10), entry(11)],
            chosen_below: Slot(2),
            trimmed: Slot(0),
        };
        assert_eq!(a.hear(3, ask), mail(vec![(3, LearnerMsg::Entries(held).into())]));
    }
}

/// R8: an acceptor that missed an entry that is chosen fetches it, and logs it as learned.
///
/// Of three writes in slots 1 to 3 the second one does not reach node 3. The leader's `Chosen` goes
/// beyond it; within some heartbeats acceptor 3 has asked another, and holds what that one holds.
#[test]
fn r08_an_acceptor_fetches_what_it_missed() {
    let mut bench = Bench::led(3);
    let s = bench.open(1);
    for (sequence, value) in (0..).zip(["a", "b", "c"]) {
        bench.lose(move |l| sequence == 1 && l.is(Kind::Accept) && l.to(3));
        bench.propose(1, vec![write(s, sequence, 0, value)]);
        bench.settle();
    }
    assert_eq!(bench.acceptor(3).chosen_below, Slot(2));
    bench.pass_ms(200);
    assert_eq!([1, 2, 3].map(|n| bench.acceptor(n).chosen_below), [Slot(4); 3]);
    let learned: Vec<_> =
        bench.log(3).iter().filter(|r| matches!(r, Record::Learned { .. })).collect();
    let [Record::Learned { slot: Slot(2), entry }, ..] = learned[..] else {
        panic!("slot 2 is not learned first: {learned:?}")
    };
    assert_eq!(entry.commands[..], [write(s, 1, 0, "b")]);
    assert_eq!(bench.journal(3).text(), "a b c");
}

/// R8: after a restart of all, what was chosen need not be voted again.
///
/// A session and ten writes, one after the other: slots 0 to 10. All nodes are killed at once. Each
/// log knows slots 0 to 8 as chosen (the vote for slot 10 took that along), so that the new leader
/// proposes slots 9 and 10 again, and no other.
#[test]
fn r08_after_a_restart_of_all_only_the_last_slots_are_voted_again() {
    let mut bench = Bench::led(3);
    let s = bench.open(1);
    for sequence in 0..10 {
        bench.propose(1, vec![write(s, sequence, 0, &sequence.to_string())]);
        bench.settle();
    }
    bench.ids().into_iter().for_each(|node| bench.crash(node));
    bench.ids().into_iter().for_each(|node| bench.start(node));
    assert_eq!([1, 2, 3].map(|n| bench.acceptor(n).chosen_below), [Slot(9); 3]);
    let mark = bench.sent.len();
    bench.lead(2);
    bench.pass_ms(500);
    let mut proposed: Vec<u64> = Vec::new();
    for letter in &bench.sent[mark..] {
        if let Packet::Acceptor(AcceptorMsg::Accept { slot, .. }) = letter.packet {
            proposed.push(slot.0);
        }
    }
    proposed.sort_unstable();
    assert_eq!(proposed, [9, 9, 9, 10, 10, 10]);
    assert_eq!([1, 2, 3].map(|n| bench.journal(n).text()), ["0 1 2 3 4 5 6 7 8 9"; 3]);
}
