//! What is proposed, and what a vote says: rules R1 and R2.

use super::alone::*;
use super::bench::*;
use paxos_core::*;

fn with_window(window: u64) -> Alone<Proposer> {
    proposer(ProposerOptions { layout: Layout { window, ..layout(3) }, ..options() })
}

fn chosen(ballot: Ballot, slots: SlotRange) -> Vec<(u64, Packet)> {
    to_all(LearnerMsg::Chosen { ballot, slots })
}

/// R1: whatever queued while the window was full goes out as the next entry.
///
/// A window of two slots. Two commands fill it; ten more come, one by one. Slot 0 is chosen, which
/// makes no room yet; the leader's own learner applies it, which does.
#[test]
fn r01_what_queued_while_the_window_was_full_is_the_next_entry() {
    let mut p = with_window(2);
    let (b, _) = p.lead(nothing(), nothing());
    for n in 0..2 {
        let first = accept(b, n, entry(n), slots(0, 0));
        assert_eq!(p.propose(vec![register(n)]), mail(to_all(first)));
    }
    for n in 2..12 {
        assert_eq!(p.propose(vec![register(n)]), silence());
    }
    assert_eq!(p.voted(2, b, slots(0, 1)), silence());
    assert_eq!(p.voted(3, b, slots(0, 1)), mail(chosen(b, slots(0, 1))));
    let ten = batch(0, (2..12).map(register).collect());
    assert_eq!(p.applied(1), mail(to_all(accept(b, 2, ten, slots(0, 1)))));
}

/// R1: an entry is a batch that fits; a command that is too large for any batch goes alone.
///
/// Entries of at most 100 bytes, a window of one slot. Behind slot 0 queue four registrations of 32
/// bytes, a write of 500 bytes, and a registration. Slot after slot is chosen and applied.
#[test]
fn r01_a_batch_fits_and_what_fits_none_goes_alone() {
    let limits = Limits { entry_bytes_max: 100, ..Limits::default() };
    let layout = Layout { window: 1, ..layout(3) };
    let mut p = proposer(ProposerOptions { layout, limits, ..options() });
    let (b, _) = p.lead(nothing(), nothing());
    p.propose(vec![register(0)]);
    let large = write(session(0, 0), 0, 0, &"x".repeat(500));
    let mut queue: Vec<Command> = (1..5).map(register).collect();
    queue.extend([large.clone(), register(5)]);
    assert_eq!(p.propose(queue), silence());
    let batches = [
        vec![register(1), register(2), register(3)],
        vec![register(4)],
        vec![large],
        vec![register(5)],
    ];
    for (slot, commands) in (1..).zip(batches) {
        p.voted(2, b, slots(0, slot));
        p.voted(3, b, slots(0, slot));
        let next = accept(b, slot, batch(0, commands), slots(0, slot));
        assert_eq!(p.applied(slot), mail(to_all(next)));
    }
}

/// R1: (ballot, slot) → entry is fixed: what is sent again is the same, whatever came since.
///
/// The proposal of slot 0 is lost; more commands queue, and time passes. When the nodes have
/// answered a later heartbeat it is sent again; then, after node 2 alone has voted, to the two
/// others only.
#[test]
fn r01_what_is_sent_again_is_the_same_entry() {
    let mut p = with_window(1);
    let (b, _) = p.lead(nothing(), nothing());
    let first = p.propose(vec![register(0)]);
    assert_eq!(first, mail(to_all(accept(b, 0, entry(0), slots(0, 0)))));
    p.propose(vec![register(1), register(2)]);
    let beat = p.pass_ms(50);
    assert_eq!(proposals(&beat), vec![], "nobody has answered anything later");
    let echo = |p: &mut Alone<Proposer>, round| {
        let ack = ProposerMsg::HeartbeatAck { ballot: b, round, chosen_below: Slot(0) };
        (1..=3).for_each(|node| drop(p.hear(node, ack.clone())));
    };
    echo(&mut p, 2);
    let again = p.pass_ms(1);
    assert_eq!(proposals(&again), vec![(b, Slot(0), entry(0))]);
    p.voted(2, b, slots(0, 1));
    assert_eq!(proposals(&p.pass_ms(49)), vec![], "it is under way");
    echo(&mut p, 3);
    let again = p.pass_ms(1);
    let asked: Vec<_> =
        again.mail.iter().filter(|mail| mail.packet.kind() == Kind::Accept).collect();
    assert_eq!(asked.iter().map(|mail| mail.to.0).collect::<Vec<_>>(), vec![1, 3]);
    assert_eq!(proposals(&again), vec![(b, Slot(0), entry(0))]);
}

/// R1: if (ballot, slot) → entry is lost, the leader takes a new ballot.
///
/// A leader proposes slot 0, hears of nobody, and steps down; the proposal is forgotten. It leads
/// again, by promises that tell of no vote, and proposes another entry at slot 0: in a new ballot.
#[test]
fn r01_another_entry_needs_another_ballot() {
    let mut p = with_window(1);
    let (b1, _) = p.lead(nothing(), nothing());
    p.propose(vec![register(0), register(1)]);
    p.propose(vec![register(2)]);
    assert_eq!(p.pass_ms(301), silence());
    assert_eq!(p.role.status().stance, StanceName::Follow);
    let (b2, first) = p.lead(nothing(), nothing());
    assert!(b2 > b1, "{b2:?} is not above {b1:?}");
    assert_eq!(proposals(&first), vec![(b2, Slot(0), entry(2))]);
    // Votes for the entry that was lost are no votes for this one.
    p.voted(2, b1, slots(0, 1));
    assert_eq!(p.voted(3, b1, slots(0, 1)), silence());
}

/// R1 across a restart: a proposer that forgot what it proposed cannot use its old ballot.
///
/// A proposer leads with the first round, its process ends and starts again, and it campaigns with
/// the first round again, having heard of no other. The lives tell the two ballots apart.
#[test]
pub fn r01_a_restarted_proposer_has_other_ballots() {
    let mut before = proposer(options());
    let mut after = proposer(ProposerOptions { life: life(1) + 1000, ..options() });
    let (b1, b2) = (before.campaign(), after.campaign());
    assert_eq!((b1.round, b2.round), (1, 1));
    assert_ne!(b1, b2);
    after.hear(2, ProposerMsg::Promise { ballot: b1, part: Box::new(nothing()) });
    after.hear(3, ProposerMsg::Promise { ballot: b1, part: Box::new(nothing()) });
    assert_eq!(
        after.role.status().stance,
        StanceName::Campaign,
        "those were promised to its former life"
    );
}

/// R2: `Accepted(b, range)` tells votes in exactly b, at every slot of the range.
///
/// In ballot 1.2 slots 0, 1, 2 and, after a gap, 4 are voted for; ballot 2.3 takes the slot behind,
/// and slots 1 and 2; ballot 3.2 slots 2 and 0. No range spans a gap, and none two ballots.
#[test]
fn r02_accepted_tells_of_one_ballot_and_of_no_gap() {
    let mut a = acceptor(Limits::default());
    let (b1, b2, b3) = (ballot(1, 2), ballot(2, 3), ballot(3, 2));
    let steps = [
        (b1, 0, slots(0, 1)),
        (b1, 1, slots(0, 2)),
        (b1, 2, slots(0, 3)),
        (b1, 4, slots(4, 5)),
        (b2, 5, slots(5, 6)),
        (b2, 1, slots(1, 2)),
        (b2, 2, slots(1, 3)),
        (b3, 2, slots(2, 3)),
        (b3, 0, slots(0, 1)),
    ];
    for (b, slot, told) in steps {
        let msg = accept(b, slot, entry(slot), slots(0, 0));
        let out = a.hear(b.node.0, msg);
        assert_eq!(out, vote_told(b, slot, entry(slot), told), "{b:?} at slot {slot}");
    }
    let late = a.hear(2, accept(b1, 5, entry(5), slots(0, 0)));
    assert_eq!(late, mail(vec![(2, ProposerMsg::Reject { ballot: b1, promised: b3 }.into())]));
}

/// R2: a vote that is asked for twice is logged once, and told again.
///
/// The same `Accept` arrives twice, and a third time after the following slot.
#[test]
fn r02_a_vote_asked_for_again_is_told_again_and_not_logged() {
    let mut a = acceptor(Limits::default());
    let b = ballot(1, 2);
    let first = accept(b, 0, entry(0), slots(0, 0));
    a.hear(2, first.clone());
    assert_eq!(a.hear(2, first.clone()), mail(vec![(2, accepted(b, slots(0, 1)))]));
    a.hear(2, accept(b, 1, entry(1), slots(0, 0)));
    assert_eq!(a.hear(2, first), mail(vec![(2, accepted(b, slots(0, 2)))]));
}

/// R2: after a crash that lost a vote, no range spans it.
///
/// Slots 0 and 1 are voted for, and only slot 0 reaches the disk. After the restart slot 2 is voted
/// for in the same ballot.
#[test]
fn r02_no_range_spans_a_vote_that_a_crash_lost() {
    let b = ballot(1, 2);
    let mut a = acceptor(Limits::default());
    a.role.replay(vote(b, 0, entry(0)));
    let out = a.hear(2, accept(b, 2, entry(2), slots(0, 0)));
    assert_eq!(out, vote_told(b, 2, entry(2), slots(2, 3)));
    let out = a.hear(2, accept(b, 1, entry(1), slots(0, 0)));
    assert_eq!(out, vote_told(b, 1, entry(1), slots(1, 2)));
}

/// R2: an `Accepted` tells of durable votes.
///
/// Nodes 1 and 2 vote, but their disks are slow; node 3 alone is not enough. Node 2 crashes: its
/// vote was never told, and is gone. Node 1's disk catches up, and the entry is chosen.
#[test]
pub fn r02_a_vote_is_told_when_it_is_durable() {
    let mut bench = Bench::led(3);
    bench.stop_syncing(1);
    bench.stop_syncing(2);
    let mark = bench.sent.len();
    bench.propose(1, vec![register(0)]);
    bench.settle();
    let told = |bench: &Bench, node| bench.count(mark, |l| l.is(Kind::Accepted) && l.from(node));
    assert_eq!([1, 2, 3].map(|node| told(&bench, node)), [0, 0, 1]);
    assert_eq!(bench.proposer(1).chosen_below, Slot(0));
    let voted = |bench: &Bench, node| {
        bench.log(node).iter().any(|record| matches!(record, Record::Voted { .. }))
    };
    assert!(voted(&bench, 2));
    bench.crash(2);
    assert!(!voted(&bench, 2));
    assert_eq!(told(&bench, 2), 0);
    bench.sync(1);
    bench.settle();
    assert_eq!(told(&bench, 1), 1);
    assert_eq!(bench.proposer(1).chosen_below, Slot(1));
}
