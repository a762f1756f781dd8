//! Slots that are forgotten, and promises in parts: rules R5 and R6.

use super::alone::*;
use paxos_core::*;

fn promise(ballot: Ballot, part: PromisePart) -> ProposerMsg {
    ProposerMsg::Promise { ballot, part: Box::new(part) }
}

fn voted(ballot: Ballot, slot: u64) -> (Slot, Vote) {
    (Slot(slot), Vote { ballot, entry: entry(slot) })
}

/// An acceptor with votes of ballot 1.2 at slots 0 to 3, of which 0 to 2 are chosen, and 0 and 1
/// forgotten.
fn trimmed_acceptor() -> Alone<Acceptor> {
    let mut a = acceptor(Limits::default());
    let b = ballot(1, 2);
    (0..4).for_each(|slot| a.role.replay(vote(b, slot, entry(slot))));
    a.role.replay(Record::Chosen { ballot: b, slots: slots(0, 3) });
    a.role.replay(Record::Trimmed { below: Slot(2), log_time_ms: 0 });
    a
}

/// R5: an `Accept` at or above the promise for a forgotten slot is answered and not stored.
///
/// Slot 1 is forgotten. It is asked for in a higher ballot, which is promised with it, then again;
/// then slot 2, which is chosen and still held: with another entry, which must not replace it.
#[test]
fn r05_a_forgotten_slot_is_accepted_and_not_stored() {
    let mut a = trimmed_acceptor();
    let b = ballot(2, 3);
    let first = accept(b, 1, entry(77), slots(0, 0));
    let told = vec![(3, accepted(b, slots(1, 2)))];
    assert_eq!(a.hear(3, first.clone()), recorded(vec![Record::Promised(b)], told.clone()));
    assert_eq!(a.hear(3, first), mail(told));
    let held = accept(b, 2, entry(77), slots(0, 0));
    assert_eq!(a.hear(3, held), mail(vec![(3, accepted(b, slots(1, 3)))]));
    let ask = |from| AcceptorMsg::Fetch { from: Slot(from), role: RoleName::Learner };
    let answer = |from, entries| {
        let (chosen_below, trimmed) = (Slot(3), Slot(2));
        let entries = Entries { from: Slot(from), entries, chosen_below, trimmed };
        mail(vec![(3, LearnerMsg::Entries(entries).into())])
    };
    assert_eq!(a.hear(3, ask(1)), answer(1, vec![]));
    assert_eq!(a.hear(3, ask(2)), answer(2, vec![entry(2)]));
}

/// R5: below the promise, a forgotten slot is refused like any other.
///
/// The acceptor promised 2.3. Ballot 1.2, in which slot 1 was chosen, asks for it again.
#[test]
fn r05_a_forgotten_slot_is_refused_below_the_promise() {
    let mut a = trimmed_acceptor();
    let (b1, b2) = (ballot(1, 2), ballot(2, 3));
    a.hear(3, AcceptorMsg::Prepare { ballot: b2, from: Slot::ZERO });
    let late = a.hear(2, accept(b1, 1, entry(1), slots(0, 0)));
    assert_eq!(late, mail(vec![(2, ProposerMsg::Reject { ballot: b1, promised: b2 }.into())]));
}

/// R6: a promise carries `trimmed`, and comes in parts that fit, one for each `Prepare`.
///
/// Parts of at most 100 bytes, which is two votes; but the first is a short one, with one vote: the
/// candidate may hear from others that it needs less. Slots 0 to 2 are chosen, 0 and 1 forgotten;
/// votes are at slots 3, 4, 6, 7 and 9. The parts speak for every slot from 3 on, holes as well. A
/// `Prepare` that is repeated is answered with the same part.
#[test]
fn r06_a_promise_travels_in_parts_that_fit() {
    let mut a = acceptor(Limits { part_bytes_max: 100, ..Limits::default() });
    let (b, higher) = (ballot(1, 2), ballot(2, 3));
    [0, 1, 2, 3, 4, 6, 7, 9].iter().for_each(|&n| a.role.replay(vote(b, n, entry(n))));
    a.role.replay(Record::Chosen { ballot: b, slots: slots(0, 3) });
    a.role.replay(Record::Trimmed { below: Slot(2), log_time_ms: 0 });
    let part = |from, below: Option<u64>, votes: &[u64]| {
        let part = PromisePart {
            trimmed: Slot(2),
            chosen_below: Slot(3),
            log_time_ms: 0,
            from: Slot(from),
            below: below.map(Slot),
            votes: votes.iter().map(|&slot| voted(b, slot)).collect(),
        };
        vec![(3, promise(higher, part).into())]
    };
    let prepare = |from| AcceptorMsg::Prepare { ballot: higher, from: Slot(from) };
    let first = part(3, Some(4), &[3]);
    let promised = recorded(vec![Record::Promised(higher)], first.clone());
    assert_eq!(a.hear(3, prepare(0)), promised);
    assert_eq!(a.hear(3, prepare(0)), mail(first));
    assert_eq!(a.hear(3, prepare(4)), mail(part(4, Some(7), &[4, 6])));
    assert_eq!(a.hear(3, prepare(7)), mail(part(7, None, &[7, 9])));
    assert_eq!(a.hear(3, prepare(20)), mail(part(20, None, &[])));
}

/// The parts of a promise with votes of ballot 1.2 at slots 0, 1, 3 and 4.
fn parts() -> [PromisePart; 3] {
    let b = ballot(1, 2);
    let part = |from, below: Option<u64>, votes: &[u64]| PromisePart {
        from: Slot(from),
        below: below.map(Slot),
        votes: votes.iter().map(|&slot| voted(b, slot)).collect(),
        ..nothing()
    };
    [part(0, Some(2), &[0, 1]), part(2, Some(4), &[3]), part(4, None, &[4])]
}

/// R6: a promise counts only when it is complete, in whichever order its parts come.
///
/// Node 3 has promised, in one part. Of node 2's three parts all but one come, some twice; then the
/// missing one does. The leader proposes every vote, and a no-op in the hole.
#[test]
pub fn r06_a_promise_counts_when_all_its_parts_are_there() {
    for missing in 0..3 {
        let mut p = proposer(options());
        let b = p.campaign();
        p.hear(3, promise(b, nothing()));
        for i in [2, 1, 0, 2, 1, 0].into_iter().filter(|&i| i != missing) {
            p.hear(2, promise(b, parts()[i].clone()));
            assert_eq!(p.role.status().stance, StanceName::Campaign);
        }
        let first = p.hear(2, promise(b, parts()[missing].clone()));
        assert_eq!(p.role.status().stance, StanceName::Lead);
        let hole = Entry::noop(0);
        let entries = [entry(0), entry(1), hole, entry(3), entry(4)];
        let expected: Vec<_> = (0..).zip(entries).map(|(slot, e)| (b, Slot(slot), e)).collect();
        assert_eq!(proposals(&first), expected);
    }
}

/// R6: parts of promises to two ballots do not make one.
///
/// In the first campaign only the first part of node 2's promise comes. In the second one, node 3
/// has promised, and of node 2 come the other two parts, and the late ones of the first campaign.
#[test]
pub fn r06_parts_of_two_ballots_do_not_mix() {
    let mut p = proposer(options());
    let b1 = p.campaign();
    p.hear(2, promise(b1, parts()[0].clone()));
    let b2 = p.campaign();
    assert!(b2 > b1);
    p.hear(3, promise(b2, nothing()));
    p.hear(2, promise(b2, parts()[1].clone()));
    p.hear(2, promise(b2, parts()[2].clone()));
    for part in parts() {
        assert_eq!(p.hear(2, promise(b1, part)), silence());
    }
    assert_eq!(p.role.status().stance, StanceName::Campaign);
    p.hear(2, promise(b2, parts()[0].clone()));
    assert_eq!(p.role.status().stance, StanceName::Lead);
}

/// R6: a part that tells of newer chosen slots stands for the parts below it, and leaves no gap.
///
/// Node 2 answers twice, and in between learns that slots below 3 are chosen. Of the first answer
/// came slots 0 and 1. Of the second comes the last part, from slot 4 on: slot 3 is missing.
#[test]
fn r06_parts_of_two_answers_must_leave_no_gap() {
    let mut p = proposer(options());
    let b = p.campaign();
    p.hear(3, promise(b, nothing()));
    p.hear(2, promise(b, parts()[0].clone()));
    let newer = |part: PromisePart| PromisePart { chosen_below: Slot(3), ..part };
    p.hear(2, promise(b, newer(parts()[2].clone())));
    assert_eq!(p.role.status().stance, StanceName::Campaign);
    let second = PromisePart { from: Slot(3), ..newer(parts()[1].clone()) };
    let first = p.hear(2, promise(b, second));
    assert_eq!(proposals(&first), vec![(b, Slot(3), entry(3)), (b, Slot(4), entry(4))]);
}

/// R6: a proposer that is behind `trimmed` does not lead, and tries again in a new ballot.
///
/// Node 2 has forgotten what is below slot 5, and the own learner has applied nothing. The promises
/// make no leader, and nothing is said. The next campaign is in a higher ballot; in the meantime
/// the learner has come to slot 5.
#[test]
fn r06_a_proposer_behind_trimmed_tries_again() {
    let mut p = proposer(options());
    let part = PromisePart { trimmed: Slot(5), chosen_below: Slot(7), from: Slot(7), ..nothing() };
    let b1 = p.campaign();
    p.hear(2, promise(b1, part.clone()));
    assert_eq!(p.hear(3, promise(b1, nothing())), silence());
    assert_eq!(p.role.status().stance, StanceName::Follow);
    assert_eq!(p.applied(5), silence());
    let (b2, _) = p.lead(part, nothing());
    assert!(b2 > b1);
}

/// R6: when to let others lead came to nothing three times, a proposer waits for a quorum without
/// the acceptor that has forgotten what its learner needs, though that one has promised.
///
/// Node 2 has forgotten what is below slot 5; node 1 has votes there, of which node 3 knows
/// nothing. The own learner has applied nothing.
#[test]
pub fn r06_a_quorum_without_who_has_forgotten_is_waited_for() {
    let part = PromisePart { trimmed: Slot(5), chosen_below: Slot(7), from: Slot(7), ..nothing() };
    let mut p = proposer(options());
    let promised = |p: &mut Alone<Proposer>| {
        let b = p.campaign();
        p.hear(2, promise(b, part.clone()));
        p.hear(3, promise(b, nothing()));
        (b, p.role.status().stance)
    };
    for _ in 0..3 {
        assert_eq!(promised(&mut p).1, StanceName::Follow);
    }
    let (b, stance) = promised(&mut p);
    assert_eq!(stance, StanceName::Campaign);
    let vote = Vote { ballot: ballot(1, 2), entry: entry(4) };
    let first = p.hear(1, promise(b, PromisePart { votes: vec![(Slot(0), vote)], ..nothing() }));
    assert_eq!(p.role.status().stance, StanceName::Lead);
    assert_eq!(proposals(&first), vec![(b, Slot(0), entry(4))]);
}

/// R6, R20: a proposer whose learner is further behind than the window lets others lead, for four
/// election timeouts and more, unless its learner comes near; the fourth time it leads
/// nevertheless, or nobody might.
///
/// The window is 16. Node 2 knows slots below 100 as chosen; the own learner has applied nothing.
#[test]
fn r06_a_proposer_far_behind_lets_others_lead_at_first() {
    let part = PromisePart { chosen_below: Slot(100), from: Slot(100), ..nothing() };
    let lose = |p: &mut Alone<Proposer>| {
        let b = p.campaign();
        p.hear(2, promise(b, part.clone()));
        p.hear(3, promise(b, nothing()));
        (p.now, p.role.status().stance)
    };
    let mut p = proposer(options());
    let mut last = lose(&mut p);
    for _ in 0..2 {
        let next = lose(&mut p);
        assert!(next.0.since(last.0) >= 1_200_000);
        assert_eq!((last.1, next.1), (StanceName::Follow, StanceName::Follow));
        last = next;
    }
    assert_eq!(lose(&mut p).1, StanceName::Lead);

    let mut p = proposer(options());
    assert_eq!(lose(&mut p).1, StanceName::Follow);
    p.applied(84);
    let came_near = p.now;
    let (at, stance) = lose(&mut p);
    assert!(at.since(came_near) <= 600_000, "it need not wait longer");
    assert_eq!(stance, StanceName::Lead);
}

/// R6: of a promise, only that is asked for which lies above what another one says is chosen: a
/// leader begins there, and proposes nothing below.
///
/// Node 2 knows slots below 100 as chosen, and has forgotten those below 90. Node 3 missed slot 3,
/// and has a vote at every slot above, of which one part has come. In the first schedule, node 2
/// promises before it; in the second, after it, and node 3 has told its last part, too.
#[test]
fn r06_votes_below_what_is_chosen_are_not_asked_for() {
    let b1 = ballot(1, 2);
    let votes = |slots: &[u64]| slots.iter().map(|&slot| voted(b1, slot)).collect::<Vec<_>>();
    let first = PromisePart {
        chosen_below: Slot(3),
        from: Slot(3),
        below: Some(Slot(6)),
        votes: votes(&[4, 5]),
        ..nothing()
    };
    let last = |from, slots: &[u64]| {
        let (from, votes) = (Slot(from), votes(slots));
        PromisePart { from, below: None, votes, ..first.clone() }
    };
    let of_2 = PromisePart {
        trimmed: Slot(90),
        chosen_below: Slot(100),
        log_time_ms: 7,
        from: Slot(100),
        ..nothing()
    };
    let chosen = Slot(100);

    let mut p = proposer(options());
    p.applied(95);
    let b = p.campaign();
    p.hear(2, promise(b, of_2.clone()));
    let asked = AcceptorMsg::Prepare { ballot: b, from: chosen };
    assert_eq!(p.hear(3, promise(b, first.clone())), mail(vec![(3, asked.clone().into())]));
    let led = p.hear(3, promise(b, last(100, &[101])));
    assert_eq!(p.role.status().stance, StanceName::Lead);
    let expected = vec![(b, chosen, Entry::noop(7)), (b, Slot(101), entry(101))];
    assert_eq!(proposals(&led), expected);

    let mut p = proposer(options());
    p.applied(95);
    let b = p.campaign();
    p.hear(3, promise(b, first.clone()));
    p.hear(3, promise(b, last(80, &[90, 101])));
    let led = p.hear(2, promise(b, of_2));
    assert_eq!(p.role.status().stance, StanceName::Lead);
    let proposed = proposals(&led);
    assert_eq!(proposed.len(), 2, "none below 100: {proposed:?}");
    assert_eq!(proposed[1], (b, Slot(101), entry(101)));
}

/// R6: what an incomplete promise says is chosen is no reason to leave out votes of others: the
/// leader might begin without it, lower.
///
/// Node 2 says that slots below 100 are chosen, and tells one part of two. Nodes 1 and 3 make the
/// quorum.
#[test]
fn r06_an_incomplete_promise_makes_no_other_one_complete() {
    let b1 = ballot(1, 2);
    let mut p = proposer(options());
    p.applied(95);
    let b = p.campaign();
    let of_2 = PromisePart {
        chosen_below: Slot(100),
        from: Slot(100),
        below: Some(Slot(101)),
        ..nothing()
    };
    p.hear(2, promise(b, of_2));
    let first = PromisePart { below: Some(Slot(6)), votes: vec![voted(b1, 4)], ..nothing() };
    let asked = AcceptorMsg::Prepare { ballot: b, from: Slot(6) };
    assert_eq!(p.hear(3, promise(b, first)), mail(vec![(3, asked.into())]));
    let last = PromisePart { from: Slot(6), votes: vec![voted(b1, 7)], ..nothing() };
    p.hear(3, promise(b, last));
    let led = p.hear(1, promise(b, nothing()));
    assert_eq!(p.role.status().stance, StanceName::Lead);
    let proposed = proposals(&led);
    assert_eq!(proposed[4], (b, Slot(4), entry(4)));
    assert_eq!(proposed[7], (b, Slot(7), entry(7)));
}
