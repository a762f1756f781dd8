//! The proposer at node 1, which is paired with the learner at node 1.

use super::*;
use paxos_core::StanceName::{Campaign, Follow, Lead};
use paxos_core::rng::mix;

/// Longer than any randomised election timeout.
const LONG_US: u64 = 700_000;

fn at_boot() -> Proposer {
    limited(Limits::default())
}

fn limited(limits: Limits) -> Proposer {
    Proposer::new(ProposerOptions {
        me: member(1),
        life: 1,
        seed: 1,
        learner: NodeId(1),
        layout: layout(),
        timing: Timing::default(),
        limits,
    })
}

fn follows_nobody() -> Proposer {
    let mut proposer = at_boot();
    let then = Now(T0.0 - LONG_US);
    proposer.receive(then, member(1), ProposerMsg::Roster(Box::new(roster())), &mut Output::new());
    proposer
}

/// Follows node 2 in 2.2.
fn follows() -> Proposer {
    let mut proposer = follows_nobody();
    tell(&mut proposer, member(2), leading(2));
    proposer
}

fn polls() -> Proposer {
    let mut proposer = follows_nobody();
    let poll = AcceptorMsg::Poll { attempt: attempt() };
    assert_whole("polls", &tick(&mut proposer, T0), &to_all(poll));
    proposer
}

/// Asks for promises in 1.1.
fn prepares() -> Proposer {
    let mut proposer = polls();
    tell(&mut proposer, member(1), polled(attempt(), true));
    let out = tell(&mut proposer, member(2), polled(attempt(), true));
    assert_whole("prepares", &out, &to_all(prepare(0)));
    proposer
}

fn prepare(from: u64) -> AcceptorMsg {
    AcceptorMsg::Prepare { ballot: b1(), from: Slot(from) }
}

/// Leads in 1.1; nothing was adopted.
fn leads() -> Proposer {
    let mut proposer = prepares();
    tell(&mut proposer, member(1), promise(b1(), 0, &[]));
    let out = tell(&mut proposer, member(2), promise(b1(), 0, &[]));
    assert_whole("leads", &out, &begins(0));
    proposer
}

/// As `leads`, with `a` and `b` proposed in slots 0 and 1.
fn has_two_in_flight() -> Proposer {
    let mut proposer = leads();
    for (slot, value) in [(0, "a"), (1, "b")] {
        let out = tell(&mut proposer, CLIENT, propose(0, value));
        assert_whole("proposes", &out, &to_all(accept(slot, entry(value), slots(0, 0))));
    }
    proposer
}

fn b1() -> Ballot {
    ballot(1, 1)
}

fn attempt() -> u64 {
    mix(1).wrapping_add(1)
}

fn leading(round: u64) -> ProposerMsg {
    ProposerMsg::Leading { ballot: ballot(round, 2) }
}

fn polled(attempt: u64, consent: bool) -> ProposerMsg {
    ProposerMsg::Polled { attempt, consent, promised: Ballot::ZERO }
}

fn part(from: u64, below: Option<u64>, chosen_below: u64, votes: &[(u64, Vote)]) -> PromisePart {
    PromisePart {
        trimmed: Slot(0),
        chosen_below: Slot(chosen_below),
        log_time_ms: 0,
        from: Slot(from),
        below: below.map(Slot),
        votes: votes.iter().map(|(slot, vote)| (Slot(*slot), vote.clone())).collect(),
    }
}

fn promise(ballot: Ballot, chosen_below: u64, votes: &[(u64, Vote)]) -> ProposerMsg {
    ProposerMsg::Promise { ballot, part: Box::new(part(chosen_below, None, chosen_below, votes)) }
}

fn propose(hops: u8, value: &str) -> ProposerMsg {
    ProposerMsg::Propose { commands: vec![command(0, value)], hops }
}

fn accepted(ballot: Ballot, from: u64, below: u64) -> ProposerMsg {
    ProposerMsg::Accepted { ballot, slots: slots(from, below) }
}

fn ack(ballot: Ballot, round: u64) -> ProposerMsg {
    ProposerMsg::HeartbeatAck { ballot, round, chosen_below: Slot(0) }
}

fn reject(ballot: Ballot, promised: Ballot) -> ProposerMsg {
    ProposerMsg::Reject { ballot, promised }
}

fn progress(applied_below: u64) -> ProposerMsg {
    let applied_below = Slot(applied_below);
    ProposerMsg::Progress { life: 1, applied_below, log_time_ms: 0, expiry_ms: None }
}

fn ask(hops: u8) -> ProposerMsg {
    ProposerMsg::AskReadIndex { learner: NodeId(3), id: 5, hops }
}

fn accept(slot: u64, entry: Entry, chosen: SlotRange) -> AcceptorMsg {
    AcceptorMsg::Accept { ballot: b1(), slot: Slot(slot), entry, chosen }
}

fn heartbeat(round: u64, chosen: SlotRange) -> Output<NoRecord> {
    to_all(AcceptorMsg::Heartbeat { ballot: b1(), round, chosen })
}

/// The first words of a leader that begins at this slot.
fn begins(slot: u64) -> Output<NoRecord> {
    let others = mail([2, 3].map(|to| (to, ProposerMsg::Leading { ballot: b1() })));
    and(heartbeat(1, slots(slot, slot)), others)
}

fn chosen(from: u64, below: u64) -> Output<NoRecord> {
    to_all(LearnerMsg::Chosen { ballot: b1(), slots: slots(from, below) })
}

/// What a proposer hears in silence unless it campaigns or leads.
fn answers_to_nobody() -> Vec<Row<Proposer>> {
    vec![
        row("a poll's answer", member(2), polled(attempt(), true), nothing()),
        row("a promise", member(2), promise(b1(), 0, &[]), nothing()),
        row("a vote", member(2), accepted(b1(), 0, 1), nothing()),
        row("an echo", member(2), ack(b1(), 1), nothing()),
        row("a rejection", member(2), reject(b1(), ballot(2, 2)), nothing()),
        row("progress", member(1), progress(4), nothing()),
        row("progress of another learner", member(3), progress(4), nothing()),
        row("absurd progress", member(1), progress(u64::MAX), nothing()),
        row("another roster", member(2), ProposerMsg::Roster(Box::new(roster())), nothing()),
    ]
}

#[test]
fn at_boot_asks_for_the_roster_and_takes_commands() {
    check("at boot", at_boot, answers_to_nobody());
    check(
        "at boot",
        at_boot,
        [
            row("a command waits", CLIENT, propose(0, "a"), nothing()),
            row("a read index", member(3), ask(0), nothing()),
            row("a leader, unproved", member(2), leading(2), nothing()),
        ],
    );
    let mut proposer = at_boot();
    let roster = AcceptorMsg::AskRoster { role: RoleName::Proposer };
    assert_whole("tick", &tick(&mut proposer, T0), &to_all(roster));
    assert_whole("tick at once again", &tick(&mut proposer, T0), &nothing());
}

#[test]
fn follower_of_nobody_keeps_commands_for_the_leader_to_come() {
    check("follows nobody", follows_nobody, answers_to_nobody());
    check(
        "follows nobody",
        follows_nobody,
        [
            row("a command waits", CLIENT, propose(0, "a"), nothing()),
            row("a read index", member(3), ask(0), nothing()),
            row("a leader", member(2), leading(2), nothing()),
            row("a leader that is no member", STRANGER, leading(2), nothing()),
            row("a leader in another's ballot", member(3), leading(2), nothing()),
        ],
    );
    let mut proposer = follows_nobody();
    tell(&mut proposer, CLIENT, propose(0, "a"));
    tell(&mut proposer, member(3), propose(1, "b"));
    let both = ProposerMsg::Propose { commands: vec![command(0, "a"), command(0, "b")], hops: 1 };
    let out = tell(&mut proposer, member(2), leading(2));
    assert_whole("the queue goes to the leader", &out, &mail([(2, both)]));
}

#[test]
fn full_queue_refuses_at_the_door() {
    let queue_bytes_max = 2 * command(0, "a").weight();
    let mut proposer = limited(Limits { queue_bytes_max, ..Limits::default() });
    let mut commands: Vec<Command> = (0..3).map(|sequence| command(sequence, "a")).collect();
    commands.push(register(77));
    let refused = vec![
        CommandName::Run { session: SESSION, sequence: 2 },
        CommandName::Register { nonce: 77 },
    ];
    let out = tell(&mut proposer, CLIENT, ProposerMsg::Propose { commands, hops: 0 });
    assert_whole("two fit", &out, &mail([(9, ClientMsg::Busy { refused, retry_after_ms: 50 })]));
}

#[test]
fn follower_forwards_to_its_leader() {
    check("follows", follows, answers_to_nobody());
    let hint = mail([(9, ClientMsg::LeaderHint { leader: NodeId(2) })]);
    check(
        "follows",
        follows,
        [
            row("of a client", CLIENT, propose(0, "a"), and(hint, mail([(2, propose(1, "a"))]))),
            row("of another proposer", member(3), propose(1, "a"), mail([(2, propose(2, "a"))])),
            row("that was sent too often", member(3), propose(2, "a"), nothing()),
            row("of the leader itself", member(2), propose(1, "a"), nothing()),
            row("a read index", member(3), ask(0), mail([(2, ask(1))])),
            row("a read index, asked too often", member(3), ask(2), nothing()),
            row("the leader", member(2), leading(2), nothing()),
        ],
    );
    for (says, round, leader) in [("lower", 1, 2), ("same", 2, 2), ("higher", 3, 3)] {
        let mut proposer = follows();
        tell(&mut proposer, member(2), leading(round));
        assert_eq!(proposer.status().ballot, ballot(leader, 2), "{says}");
    }
}

#[test]
fn candidate_polls_first() {
    check(
        "polls",
        polls,
        [
            row("one consents", member(1), polled(attempt(), true), nothing()),
            row("one does not", member(2), polled(attempt(), false), nothing()),
            row("to an old poll", member(2), polled(attempt() - 1, true), nothing()),
            row("no member", STRANGER, polled(attempt(), true), nothing()),
            row("a promise", member(2), promise(b1(), 0, &[]), nothing()),
            row("a command waits", CLIENT, propose(0, "a"), nothing()),
            row("a read index", member(3), ask(0), nothing()),
            row("a rejection", member(2), reject(b1(), ballot(2, 2)), nothing()),
        ],
    );
    let mut proposer = polls();
    tell(&mut proposer, member(1), polled(attempt(), true));
    for (says, from, msg) in [
        ("the same again", member(1), polled(attempt(), true)),
        ("a refusal", member(2), polled(attempt(), false)),
        ("a stranger", STRANGER, polled(attempt(), true)),
    ] {
        assert_whole(says, &tell(&mut proposer, from, msg), &nothing());
        assert_eq!(proposer.status().ballot, Ballot::ZERO, "{says}");
    }
    let above = ProposerMsg::Polled { attempt: attempt(), consent: true, promised: ballot(6, 3) };
    let prepare = AcceptorMsg::Prepare { ballot: ballot(7, 1), from: Slot::ZERO };
    let out = tell(&mut proposer, member(3), above);
    assert_whole("in a ballot above all that they have promised", &out, &to_all(prepare));
    assert_eq!((proposer.status().stance, proposer.status().campaigns), (Campaign, 1));
}

#[test]
fn promises_count_once_per_member_and_when_complete() {
    let first = ProposerMsg::Promise { ballot: b1(), part: Box::new(part(0, Some(2), 0, &[])) };
    let last = ProposerMsg::Promise { ballot: b1(), part: Box::new(part(2, None, 0, &[])) };
    check(
        "prepares",
        prepares,
        [
            row("one is no quorum", member(1), promise(b1(), 0, &[]), nothing()),
            row("to another ballot", member(2), promise(ballot(2, 1), 0, &[]), nothing()),
            row("no member", STRANGER, promise(b1(), 0, &[]), nothing()),
        ],
    );
    let mut proposer = prepares();
    for (says, from, msg, then) in [
        ("one", member(1), promise(b1(), 0, &[]), nothing()),
        ("the same again", member(1), promise(b1(), 0, &[]), nothing()),
        ("no member", STRANGER, promise(b1(), 0, &[]), nothing()),
        ("a part", member(2), first, mail([(2, prepare(2))])),
        ("the last part", member(2), last, begins(0)),
        ("a late one", member(3), promise(b1(), 0, &[]), nothing()),
    ] {
        assert_whole(says, &tell(&mut proposer, from, msg), &then);
    }
}

#[test]
pub fn new_leader_proposes_the_highest_votes_and_fills_holes() {
    let (low, high) = (ballot(0, 2), ballot(0, 3));
    let none = slots(0, 0);
    let mut proposer = prepares();
    tell(&mut proposer, CLIENT, propose(0, "own"));
    let one = [(0, vote(high, "a")), (2, vote(low, "x"))];
    let other = [(0, vote(low, "y")), (2, vote(high, "c"))];
    tell(&mut proposer, member(1), promise(b1(), 0, &one));
    let out = tell(&mut proposer, member(2), promise(b1(), 0, &other));
    let adopts = and(to_all(accept(0, entry("a"), none)), to_all(accept(1, Entry::noop(0), none)));
    let goes_on = and(to_all(accept(2, entry("c"), none)), to_all(accept(3, entry("own"), none)));
    assert_whole("adopts", &out, &and(begins(0), and(adopts, goes_on)));

    let mut proposer = prepares();
    tell(&mut proposer, member(1), promise(b1(), 0, &one));
    let out = tell(&mut proposer, member(2), promise(b1(), 2, &[]));
    let adopts = to_all(accept(2, entry("x"), slots(2, 2)));
    assert_whole("begins where one holds all as chosen", &out, &and(begins(2), adopts));
}

#[test]
fn candidate_gives_way() {
    let stance = |from, msg| {
        let mut proposer = prepares();
        assert_whole("gives way", &tell(&mut proposer, from, msg), &nothing());
        proposer.status().stance
    };
    assert_eq!(stance(member(2), reject(b1(), ballot(2, 2))), Follow);
    assert_eq!(stance(member(2), reject(ballot(9, 1), ballot(9, 2))), Campaign, "of no ballot");
    assert_eq!(stance(member(2), reject(b1(), b1())), Campaign, "no higher promise");
    assert_eq!(stance(member(2), leading(2)), Follow);
    assert_eq!(stance(STRANGER, leading(2)), Campaign);
    assert_eq!(stance(CLIENT, propose(0, "a")), Campaign);
}

#[test]
fn leader_proposes_at_once() {
    let none = slots(0, 0);
    let two = ProposerMsg::Propose { commands: vec![command(0, "a"), command(1, "b")], hops: 1 };
    let both = batch(0, [command(0, "a"), command(1, "b")]);
    check(
        "leads",
        leads,
        [
            row("a command", CLIENT, propose(0, "a"), to_all(accept(0, entry("a"), none))),
            row("two in one entry", member(2), two, to_all(accept(0, both, none))),
            row("a vote for nothing", member(2), accepted(b1(), 0, 9), nothing()),
            row("one rejection", member(3), reject(b1(), ballot(2, 2)), nothing()),
            row("a lower leader", member(2), leading(0), nothing()),
            row("a late promise", member(3), promise(b1(), 0, &[(0, vote(b1(), "x"))]), nothing()),
            row("a poll's answer", member(2), polled(attempt(), true), nothing()),
            row("progress", member(1), progress(4), nothing()),
        ],
    );
}

#[test]
pub fn votes_count_once_per_member_ballot_and_slot() {
    check(
        "two in flight",
        has_two_in_flight,
        [
            row("one vote", member(1), accepted(b1(), 0, 1), nothing()),
            row("no member", STRANGER, accepted(b1(), 0, 2), nothing()),
            row("of slots without end", member(2), accepted(b1(), 0, u64::MAX), nothing()),
            row("of no slots", member(2), accepted(b1(), 2, 0), nothing()),
        ],
    );
    let mut proposer = has_two_in_flight();
    // One more would be enough, in this ballot.
    for (from, of) in [(1, b1()), (3, ballot(2, 1))] {
        assert_whole("one", &tell(&mut proposer, member(from), accepted(of, 0, 2)), &nothing());
    }
    for (says, from, below, then) in [
        ("the same again", (1, 0), 2, nothing()),
        ("the later slot first", (2, 1), 2, nothing()),
        ("both, in order", (2, 0), 1, chosen(0, 2)),
        ("a late vote", (3, 0), 2, nothing()),
    ] {
        let out = tell(&mut proposer, member(from.0), accepted(b1(), from.1, below));
        assert_whole(says, &out, &then);
    }
    let out = tell(&mut proposer, CLIENT, propose(0, "c"));
    assert_whole("tells what is chosen", &out, &to_all(accept(2, entry("c"), slots(0, 2))));
}

#[test]
fn read_index_is_confirmed_by_a_round_that_was_sent_later() {
    let mut proposer = leads();
    let index = |below| mail([(3, LearnerMsg::ReadIndex { id: 5, below: Slot(below) })]);
    assert_whole("asked", &tell(&mut proposer, member(3), ask(0)), &heartbeat(2, slots(0, 0)));
    for (says, from, round, then) in [
        ("an old round", member(1), 1, nothing()),
        ("an old round", member(2), 1, nothing()),
        ("one echo", member(1), 2, nothing()),
        ("the same again", member(1), 2, nothing()),
        ("no member", STRANGER, 2, nothing()),
        ("a round never sent", member(3), 3, nothing()),
        ("a quorum", member(2), 2, index(0)),
        ("a late echo", member(3), 2, nothing()),
    ] {
        assert_whole(says, &tell(&mut proposer, from, ack(b1(), round)), &then);
    }
}

#[test]
fn leader_follows_a_higher_one_and_hands_over_its_queue() {
    let mut proposer = has_two_in_flight();
    tell(&mut proposer, member(3), leading(1));
    assert_eq!(proposer.status().stance, Lead, "1.2 by another node than its owner");
    tell(&mut proposer, member(2), leading(2));
    assert_eq!((proposer.status().stance, proposer.status().ballot), (Follow, ballot(2, 2)));
}

#[test]
fn ticks_repeat_what_was_not_answered() {
    let after = |us| T0.plus(us);
    let none = slots(0, 0);
    let poll = to_all(AcceptorMsg::Poll { attempt: attempt() });
    assert_whole("polls", &tick(&mut polls(), after(49_999)), &nothing());
    assert_whole("polls", &tick(&mut polls(), after(50_000)), &poll);
    let mut proposer = prepares();
    tell(&mut proposer, member(2), promise(b1(), 0, &[]));
    let prepares = mail([1, 3].map(|to| (to, prepare(0))));
    assert_whole("prepares", &tick(&mut proposer, after(50_000)), &prepares);
    let mut proposer = has_two_in_flight();
    tell(&mut proposer, member(2), accepted(b1(), 0, 1));
    let leading = mail([2, 3].map(|to| (to, ProposerMsg::Leading { ballot: b1() })));
    let beat = |round| and(heartbeat(round, none), leading.clone());
    assert_whole("leads", &tick(&mut proposer, after(49_999)), &nothing());
    assert_whole("leads", &tick(&mut proposer, after(50_000)), &beat(2));
    assert_whole("leads", &tick(&mut proposer, after(100_000)), &beat(3));
    assert_whole("unanswered", &tick(&mut proposer, after(300_001)), &nothing());
    assert_eq!(proposer.status().stance, Follow, "steps down in silence (R10)");
}
