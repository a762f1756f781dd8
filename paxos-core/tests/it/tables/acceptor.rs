//! The acceptor at node 1, which feeds the learner at node 1.

use super::*;

const TIMEOUT_US: u64 = 300_000;

pub(super) fn unformed() -> Acceptor {
    let (timing, limits) = (Timing::default(), Limits::default());
    Acceptor::new(AcceptorOptions { me: member(1), layout: layout(), timing, limits })
}

pub(super) fn stored() -> Acceptor {
    let mut acceptor = unformed();
    acceptor.replay(Record::Roster(Box::new(roster())));
    acceptor
}

pub(super) fn formed() -> Acceptor {
    let mut acceptor = stored();
    acceptor.replay(Record::Formed);
    acceptor
}

/// Has promised 2.2, and voted for nothing.
fn promised() -> Acceptor {
    let mut acceptor = formed();
    acceptor.replay(Record::Promised(ballot(2, 2)));
    acceptor
}

/// Has voted for `a`, `b` and `d` in slots 0, 1 and 3 in 2.2, whose leader it hears.
fn voted() -> Acceptor {
    let mut acceptor = promised();
    for (slot, value) in [(0, "a"), (1, "b"), (3, "d")] {
        tell(&mut acceptor, member(2), accept(ballot(2, 2), slot, value, slots(0, 0)));
    }
    acceptor
}

/// As `voted`, and slots 0 and 1 are chosen; that is not in the log yet.
fn chosen() -> Acceptor {
    let mut acceptor = voted();
    tell(&mut acceptor, member(2), heartbeat(ballot(2, 2), 1, slots(0, 2)));
    acceptor
}

pub(super) fn accept(ballot: Ballot, slot: u64, value: &str, chosen: SlotRange) -> AcceptorMsg {
    AcceptorMsg::Accept { ballot, slot: Slot(slot), entry: entry(value), chosen }
}

pub(super) fn heartbeat(ballot: Ballot, round: u64, chosen: SlotRange) -> AcceptorMsg {
    AcceptorMsg::Heartbeat { ballot, round, chosen }
}

pub(super) fn prepare(ballot: Ballot) -> AcceptorMsg {
    AcceptorMsg::Prepare { ballot, from: Slot::ZERO }
}

pub(super) fn fetch(from: u64, role: RoleName) -> AcceptorMsg {
    AcceptorMsg::Fetch { from: Slot(from), role }
}

pub(super) fn entries(from: u64, values: &[&str], chosen_below: u64) -> Entries {
    Entries {
        from: Slot(from),
        entries: values.iter().map(|value| entry(value)).collect(),
        chosen_below: Slot(chosen_below),
        trimmed: Slot(0),
    }
}

fn reject(asked: Ballot, promised: Ballot) -> Output<Record> {
    mail([(asked.node.0, ProposerMsg::Reject { ballot: asked, promised })])
}

fn accepted(ballot: Ballot, from: u64, below: u64) -> Output<Record> {
    mail([(ballot.node.0, ProposerMsg::Accepted { ballot, slots: slots(from, below) })])
}

fn ack(ballot: Ballot, round: u64, chosen_below: u64) -> Output<Record> {
    let chosen_below = Slot(chosen_below);
    mail([(ballot.node.0, ProposerMsg::HeartbeatAck { ballot, round, chosen_below })])
}

fn polled(to: u64, consent: bool, promised: Ballot) -> Output<Record> {
    mail([(to, ProposerMsg::Polled { attempt: 7, consent, promised })])
}

/// A promise in one part.
fn promise(ballot: Ballot, chosen_below: u64, votes: &[(u64, Vote)]) -> Output<Record> {
    let part = PromisePart {
        trimmed: Slot(0),
        chosen_below: Slot(chosen_below),
        log_time_ms: 0,
        from: Slot(chosen_below),
        below: None,
        votes: votes.iter().map(|(slot, vote)| (Slot(*slot), vote.clone())).collect(),
    };
    mail([(ballot.node.0, ProposerMsg::Promise { ballot, part: Box::new(part) })])
}

pub(super) fn records(records: impl IntoIterator<Item = Record>) -> Output<Record> {
    Output { records: records.into_iter().collect(), ..Output::new() }
}

/// A vote is recorded, and fed to the own learner at once.
fn votes(slot: u64, ballot: Ballot, value: &str) -> Output<Record> {
    let (slot, vote) = (Slot(slot), vote(ballot, value));
    let mut out = records([Record::Voted { slot, vote: vote.clone() }]);
    let packet = LearnerMsg::Voted { slot, vote }.into();
    out.feed.push(Outgoing { to: NodeId(1), packet });
    out
}

/// What a later record takes along of what is chosen (R8).
fn rides() -> Output<Record> {
    records([Record::Chosen { ballot: ballot(2, 2), slots: slots(0, 2) }])
}

#[test]
fn poll_is_consented_to_unless_a_leader_is_heard() {
    let poll = || AcceptorMsg::Poll { attempt: 7 };
    let zero = Ballot::ZERO;
    check(
        "formed",
        formed,
        [
            row("a proposer", member(1), poll(), polled(1, true, zero)),
            row("no member", STRANGER, poll(), polled(2, false, zero)),
            row("no proposer", CLIENT, poll(), polled(9, false, zero)),
        ],
    );
    let of_2 = ballot(2, 2);
    let at = |us| T0.plus(us);
    check("promised", promised, [row("no leader yet", member(3), poll(), polled(3, true, of_2))]);
    check(
        "voted",
        voted,
        [
            row("a leader lives", member(3), poll(), polled(3, false, of_2)),
            row("that leader itself", member(2), poll(), polled(2, true, of_2)),
            Row {
                now: at(TIMEOUT_US - 1),
                ..row("still", member(3), poll(), polled(3, false, of_2))
            },
            Row { now: at(TIMEOUT_US), ..row("silent", member(3), poll(), polled(3, true, of_2)) },
        ],
    );
}

#[test]
fn prepare_is_promised_at_or_above_the_promise() {
    let (b1, b2, b3) = (ballot(1, 1), ballot(2, 2), ballot(3, 3));
    let raise = || records([Record::Promised(b3)]);
    check(
        "formed",
        formed,
        [
            row("first", member(3), prepare(b3), and(raise(), promise(b3, 0, &[]))),
            row("by no member", STRANGER, prepare(b2), nothing()),
            row("in another's ballot", member(2), prepare(b3), nothing()),
            row("round 0", member(2), prepare(ballot(0, 2)), nothing()),
            row("absurd", member(2), prepare(ballot(Ballot::ROUND_MAX + 1, 2)), nothing()),
        ],
    );
    check(
        "promised",
        promised,
        [
            row("below", member(1), prepare(b1), reject(b1, b2)),
            row("at: a duplicate", member(2), prepare(b2), promise(b2, 0, &[])),
            row("above", member(3), prepare(b3), and(raise(), promise(b3, 0, &[]))),
        ],
    );
    let all = [(0, vote(b2, "a")), (1, vote(b2, "b")), (3, vote(b2, "d"))];
    check(
        "voted",
        voted,
        [
            row("below", member(1), prepare(b1), reject(b1, b2)),
            row("at", member(2), prepare(b2), promise(b2, 0, &all)),
            row("above", member(3), prepare(b3), and(raise(), promise(b3, 0, &all))),
        ],
    );
    check(
        "chosen",
        chosen,
        [
            row("above", member(3), prepare(b3), {
                and(and(rides(), raise()), promise(b3, 2, &all[2..]))
            }),
            row("below", member(1), prepare(b1), reject(b1, b2)),
        ],
    );
}

#[test]
fn promise_travels_in_parts_that_fit() {
    let limits = Limits { part_bytes_max: 2 * entry("a").weight(), ..Limits::default() };
    let options =
        AcceptorOptions { me: member(1), layout: layout(), timing: Timing::default(), limits };
    let mut acceptor = Acceptor::new(options);
    acceptor.replay(Record::Roster(Box::new(roster())));
    acceptor.replay(Record::Formed);
    let (b2, b3) = (ballot(2, 2), ballot(3, 3));
    for slot in 0..5 {
        acceptor.replay(Record::Voted { slot: Slot(slot), vote: vote(b2, "v") });
    }
    let mut parts = [(0, Some(1)), (1, Some(3)), (3, None)].map(|(from, below)| {
        let votes = (from..below.unwrap_or(5)).map(|slot| (Slot(slot), vote(b2, "v")));
        let part = PromisePart {
            trimmed: Slot(0),
            chosen_below: Slot(0),
            log_time_ms: 0,
            from: Slot(from),
            below: below.map(Slot),
            votes: votes.collect(),
        };
        mail([(3, ProposerMsg::Promise { ballot: b3, part: Box::new(part) })])
    });
    parts[0].records = vec![Record::Promised(b3)];
    for (from, says) in [0, 1, 3].into_iter().zip(parts) {
        let prepare = AcceptorMsg::Prepare { ballot: b3, from: Slot(from) };
        assert_whole("one vote, then two a part", &tell(&mut acceptor, member(3), prepare), &says);
    }
}

#[test]
pub fn accept_is_voted_for_at_or_above_the_promise() {
    let (b1, b2, b3) = (ballot(1, 1), ballot(2, 2), ballot(3, 3));
    let none = slots(0, 0);
    check(
        "formed",
        formed,
        [
            row("the first is accepted (P1)", member(2), accept(b2, 0, "a", none), {
                and(votes(0, b2, "a"), accepted(b2, 0, 1))
            }),
            row("by no member", STRANGER, accept(b2, 0, "a", none), nothing()),
            row("in another's ballot", member(3), accept(b2, 0, "a", none), nothing()),
            row("absurd slot", member(2), accept(b2, Slot::MAX.0, "a", none), nothing()),
            row("round 0", member(2), accept(ballot(0, 2), 0, "a", none), nothing()),
        ],
    );
    check(
        "promised",
        promised,
        [
            row("below", member(1), accept(b1, 0, "a", none), reject(b1, b2)),
            row("at", member(2), accept(b2, 0, "a", none), {
                and(votes(0, b2, "a"), accepted(b2, 0, 1))
            }),
            row("above, unasked", member(3), accept(b3, 4, "e", none), {
                and(votes(4, b3, "e"), accepted(b3, 4, 5))
            }),
        ],
    );
    check(
        "voted",
        voted,
        [
            row("below", member(1), accept(b1, 0, "x", none), reject(b1, b2)),
            row("a duplicate", member(2), accept(b2, 3, "d", none), accepted(b2, 3, 4)),
            row("a duplicate outside of the run", member(2), accept(b2, 0, "a", none), {
                accepted(b2, 0, 1)
            }),
            row("the next slot: the run grows", member(2), accept(b2, 4, "e", none), {
                and(votes(4, b2, "e"), accepted(b2, 3, 5))
            }),
            row("above: votes anew", member(3), accept(b3, 0, "x", none), {
                and(votes(0, b3, "x"), accepted(b3, 0, 1))
            }),
        ],
    );
}

#[test]
fn accept_below_what_is_chosen_is_answered_and_not_stored() {
    let (b1, b2, b3) = (ballot(1, 1), ballot(2, 2), ballot(3, 3));
    let none = slots(0, 0);
    check(
        "chosen",
        chosen,
        [
            row("below the promise", member(1), accept(b1, 0, "a", none), reject(b1, b2)),
            row("at the promise", member(2), accept(b2, 0, "a", none), accepted(b2, 0, 1)),
            row("above the promise", member(3), accept(b3, 1, "b", none), {
                let raise = and(rides(), records([Record::Promised(b3)]));
                and(raise, accepted(b3, 1, 2))
            }),
            row("a hole above", member(2), accept(b2, 2, "c", none), {
                and(and(rides(), votes(2, b2, "c")), accepted(b2, 2, 3))
            }),
        ],
    );
}

#[test]
fn heartbeat_is_echoed_at_or_above_the_promise() {
    let (b1, b2, b3) = (ballot(1, 1), ballot(2, 2), ballot(3, 3));
    let none = slots(0, 0);
    let raise = || records([Record::Promised(b3)]);
    check(
        "promised",
        promised,
        [
            row("below", member(1), heartbeat(b1, 4, none), reject(b1, b2)),
            row("at", member(2), heartbeat(b2, 4, none), ack(b2, 4, 0)),
            row("above", member(3), heartbeat(b3, 4, none), and(raise(), ack(b3, 4, 0))),
            row("by no member", STRANGER, heartbeat(b2, 4, none), nothing()),
            row("in another's ballot", member(1), heartbeat(b2, 4, none), nothing()),
            row("no votes there", member(2), heartbeat(b2, 4, slots(0, 9)), ack(b2, 4, 0)),
        ],
    );
    check(
        "voted",
        voted,
        [
            row("one chosen", member(2), heartbeat(b2, 4, slots(0, 1)), ack(b2, 4, 1)),
            row("as far as the hole", member(2), heartbeat(b2, 4, slots(0, 4)), ack(b2, 4, 2)),
            row("of slots above only", member(2), heartbeat(b2, 4, slots(3, 4)), ack(b2, 4, 0)),
            row(
                "of another ballot than the votes (R3)",
                member(3),
                heartbeat(b3, 4, slots(0, 2)),
                and(raise(), ack(b3, 4, 0)),
            ),
            row("absurd", member(2), heartbeat(b2, 4, slots(0, u64::MAX)), ack(b2, 4, 0)),
        ],
    );
    check(
        "chosen",
        chosen,
        [
            row("old news", member(2), heartbeat(b2, 4, slots(0, 1)), ack(b2, 4, 2)),
            row(
                "above",
                member(3),
                heartbeat(b3, 4, none),
                and(and(rides(), raise()), ack(b3, 4, 2)),
            ),
        ],
    );
}

#[test]
fn fetch_is_answered_with_what_is_chosen() {
    let learner = |to, entries| mail([(to, LearnerMsg::Entries(entries))]);
    let acceptor = |to, entries| mail([(to, AcceptorMsg::Entries(entries))]);
    check(
        "voted",
        voted,
        [row("nothing is known to be chosen", member(3), fetch(0, RoleName::Learner), {
            learner(3, entries(0, &[], 0))
        })],
    );
    check(
        "chosen",
        chosen,
        [
            row(
                "all",
                member(3),
                fetch(0, RoleName::Learner),
                learner(3, entries(0, &["a", "b"], 2)),
            ),
            row(
                "some",
                member(3),
                fetch(1, RoleName::Acceptor),
                acceptor(3, entries(1, &["b"], 2)),
            ),
            row("none yet", member(3), fetch(2, RoleName::Learner), learner(3, entries(2, &[], 2))),
            row("beyond", member(3), fetch(9, RoleName::Acceptor), acceptor(3, entries(9, &[], 2))),
            row("for no such role", member(3), fetch(0, RoleName::Proposer), nothing()),
            row("for no such role", CLIENT, fetch(0, RoleName::Client), nothing()),
        ],
    );
}

#[test]
fn entries_fill_holes_in_a_row_only() {
    let told = |from, values, below| AcceptorMsg::Entries(entries(from, values, below));
    let learned =
        |slot, value: &str| records([Record::Learned { slot: Slot(slot), entry: entry(value) }]);
    check(
        "chosen",
        chosen,
        [
            row("the hole", member(3), told(2, &["c"], 3), and(rides(), learned(2, "c"))),
            row("over what is known", member(3), told(0, &["a", "b", "c"], 3), {
                and(rides(), learned(2, "c"))
            }),
            row("more to come", member(3), told(2, &["c"], 9), {
                let ask = mail([(3, fetch(3, RoleName::Acceptor))]);
                and(and(rides(), learned(2, "c")), ask)
            }),
            row("a gap", member(3), told(3, &["d"], 4), nothing()),
            row("nothing new", member(3), told(0, &["a", "b"], 2), nothing()),
            row("none", member(3), told(2, &[], 9), nothing()),
            row("by no member", STRANGER, told(2, &["c"], 3), nothing()),
        ],
    );
}

#[test]
fn tick_asks_for_holes_below_what_is_chosen() {
    let mut acceptor = voted();
    tell(&mut acceptor, member(2), heartbeat(ballot(2, 2), 1, slots(0, 4)));
    let after = |us| T0.plus(us);
    assert_whole("patience", &tick(&mut acceptor, after(49_999)), &nothing());
    let ask = |to| mail([(to, fetch(2, RoleName::Acceptor))]);
    assert_whole("one", &tick(&mut acceptor, after(50_000)), &ask(3));
    assert_whole("patience again", &tick(&mut acceptor, after(99_999)), &nothing());
    assert_whole("then another", &tick(&mut acceptor, after(100_000)), &ask(2));
    assert_whole("no holes", &tick(&mut chosen(), after(9_000_000)), &nothing());
}
