//! The client at node 9, which knows three nodes. A step's outcomes are compared beside its mail.

use super::*;

const RETRY_US: u64 = 100_000;

/// Far away.
const DEADLINE: Now = Now(T0.0 + 60_000_000);

fn fresh() -> Client {
    Client::new(ClientOptions {
        me: CLIENT,
        nodes: vec![NodeId(1), NodeId(2), NodeId(3)],
        seed: 1,
        retry_us: RETRY_US,
        limits: Limits::default(),
    })
}

/// Has asked for a session, for the sake of a write. With the nonce.
fn opening() -> (Client, CallId, u64) {
    let mut client = fresh();
    let mut out = Output::new();
    let call = client.write(T0, bytes("a"), DEADLINE, &mut out);
    let [Outgoing { packet: Packet::Proposer(ProposerMsg::Propose { commands, .. }), .. }] =
        &out.mail[..]
    else {
        panic!("asked for no session: {out:?}")
    };
    let Body::Register { nonce } = commands[0].body else { panic!("{commands:?}") };
    assert_whole("opening", &out, &proposes(1, register(nonce)));
    (client, call, nonce)
}

/// Has a write under way in its session.
fn writing() -> (Client, CallId) {
    let (mut client, call, nonce) = opening();
    let out = tell(
        &mut client,
        member(1),
        ClientMsg::Registered { nonce, session: SESSION, rules: SessionRules::default() },
    );
    assert_whole("writing", &out, &proposes(1, command(0, "a")));
    (client, call)
}

/// Has a read under way.
fn reading() -> (Client, CallId) {
    let mut client = fresh();
    let mut out = Output::new();
    let call = client.read(T0, bytes("q"), DEADLINE, &mut out);
    let read = LearnerMsg::Read { id: call.0, query: bytes("q") };
    assert_whole("reading", &out, &mail([(1, read)]));
    (client, call)
}

/// What a client sends to a node's proposer.
fn proposes(to: u64, command: Command) -> Output<NoRecord> {
    let command = Command { learner: NodeId(to), ..command };
    mail([(to, ProposerMsg::Propose { commands: vec![command], hops: 0 })])
}

fn reply(sequence: u64, reply: Reply) -> ClientMsg {
    ClientMsg::Reply { session: SESSION, sequence, reply }
}

fn applied(sequence: u64, result: &str) -> ClientMsg {
    reply(sequence, Reply::Applied(bytes(result)))
}

fn busy(refused: CommandName) -> ClientMsg {
    ClientMsg::Busy { refused: vec![refused], retry_after_ms: 20 }
}

/// A name, a message, and the mail and the outcomes that must follow.
type Call<'a> = (&'a str, ClientMsg, Output<NoRecord>, Vec<(CallId, Outcome)>);

/// Delivers each message to a client in the same state, and compares mail and outcomes.
fn check_calls(state: &str, make: impl Fn() -> Client, rows: Vec<Call>) {
    for (name, msg, then, outcomes) in rows {
        let mut client = make();
        let out = tell(&mut client, member(1), msg.clone());
        assert_whole(&format!("{state}: {name}: {msg:?}"), &out, &then);
        assert_eq!(client.finished().collect::<Vec<_>>(), outcomes, "{state}: {name}: {msg:?}");
    }
}

#[test]
fn fresh_client_hears_nothing_of_use() {
    let other = SessionId { slot: Slot(4), index: 4 };
    check_calls(
        "fresh",
        fresh,
        vec![
            (
                "opened",
                ClientMsg::Registered { nonce: 1, session: other, rules: SessionRules::default() },
                nothing(),
                vec![],
            ),
            ("not opened", ClientMsg::NotRegistered { nonce: 1 }, nothing(), vec![]),
            ("a reply", applied(0, "x"), nothing(), vec![]),
            ("busy", busy(CommandName::Register { nonce: 1 }), nothing(), vec![]),
            ("a read", ClientMsg::ReadReply { id: 1, result: bytes("x") }, nothing(), vec![]),
            ("busy", ClientMsg::ReadBusy { id: 1, retry_after_ms: 9 }, nothing(), vec![]),
            ("a hint", ClientMsg::LeaderHint { leader: NodeId(3) }, nothing(), vec![]),
        ],
    );
    assert_whole("tick", &tick(&mut fresh(), T0), &nothing());
}

#[test]
fn opening_waits_for_its_own_session() {
    let (_, _, nonce) = opening();
    let make = || opening().0;
    let opened =
        |nonce| ClientMsg::Registered { nonce, session: SESSION, rules: SessionRules::default() };
    check_calls(
        "opening",
        make,
        vec![
            ("opened", opened(nonce), proposes(1, command(0, "a")), vec![]),
            ("another's", opened(nonce ^ 1), nothing(), vec![]),
            ("not opened", ClientMsg::NotRegistered { nonce }, nothing(), vec![]),
            ("busy", busy(CommandName::Register { nonce }), nothing(), vec![]),
            ("a reply", applied(0, "x"), nothing(), vec![]),
            ("a hint", ClientMsg::LeaderHint { leader: NodeId(3) }, nothing(), vec![]),
        ],
    );
    let mut client = make();
    tell(&mut client, member(1), busy(CommandName::Register { nonce }));
    assert_whole("patience", &tick(&mut client, T0.plus(19_999)), &nothing());
    let again = proposes(2, register(nonce));
    assert_whole("the same registration again", &tick(&mut client, T0.plus(20_000)), &again);
}

#[test]
fn write_ends_with_its_own_reply() {
    let (_, call) = writing();
    let make = || writing().0;
    let ticket = Ticket { session: SESSION, sequence: 0 };
    let unknown = || vec![(call, Outcome::Unknown(ticket))];
    let mine = CommandName::Run { session: SESSION, sequence: 0 };
    check_calls(
        "writing",
        make,
        vec![
            ("done", applied(0, "x"), nothing(), vec![(call, Outcome::Done(bytes("x")))]),
            ("another's", applied(1, "x"), nothing(), vec![]),
            ("expired", reply(0, Reply::Expired), nothing(), unknown()),
            ("out of window", reply(0, Reply::OutOfWindow), nothing(), unknown()),
            ("busy", busy(mine), nothing(), vec![]),
            (
                "a read with its number",
                ClientMsg::ReadReply { id: call.0, result: bytes("x") },
                { nothing() },
                vec![],
            ),
        ],
    );
    let mut client = make();
    tell(&mut client, member(1), applied(0, "x"));
    client.finished().for_each(drop);
    assert_whole("again", &tell(&mut client, member(1), applied(0, "x")), &nothing());
    assert_eq!(client.finished().collect::<Vec<_>>(), [], "ends once");
    let mut out = Output::new();
    client.write(T0, bytes("b"), DEADLINE, &mut out);
    let body = Body::Run { session: SESSION, sequence: 1, acked_below: 1, value: bytes("b") };
    let next = Command { body, ..command(1, "b") };
    assert_whole("the next acknowledges it", &out, &proposes(1, next));
}

#[test]
pub fn write_is_sent_again_elsewhere_until_its_time_is_up() {
    let (mut client, call) = writing();
    assert_whole("patience", &tick(&mut client, T0.plus(RETRY_US - 1)), &nothing());
    let late = T0.plus(2 * RETRY_US);
    assert_whole("again", &tick(&mut client, late), &proposes(2, command(0, "a")));
    assert_whole("at the end", &tick(&mut client, DEADLINE), &nothing());
    let ticket = Ticket { session: SESSION, sequence: 0 };
    assert_eq!(client.finished().collect::<Vec<_>>(), [(call, Outcome::Unknown(ticket))]);

    let (mut client, call) = writing();
    tell(&mut client, member(1), busy(CommandName::Run { session: SESSION, sequence: 0 }));
    tick(&mut client, DEADLINE);
    let refused = Outcome::NotApplied(Refusal::Busy);
    assert_eq!(
        client.finished().collect::<Vec<_>>(),
        [(call, refused)],
        "every attempt was refused at the door"
    );

    let (mut client, call, _) = opening();
    tick(&mut client, DEADLINE);
    let too_late = Outcome::NotApplied(Refusal::TimedOut);
    assert_eq!(
        client.finished().collect::<Vec<_>>(),
        [(call, too_late)],
        "it never left this client"
    );
}

#[test]
fn calls_go_where_the_leader_is_and_away_from_lost_connections() {
    let (mut client, _) = writing();
    tell(&mut client, member(1), ClientMsg::LeaderHint { leader: NodeId(3) });
    let mut out = Output::new();
    client.write(T0, bytes("b"), DEADLINE, &mut out);
    assert_whole("where the leader is", &out, &proposes(3, command(1, "b")));
    let mut out = Output::new();
    client.unreachable(T0, NodeId(1), &mut out);
    assert_whole("what waited there", &out, &proposes(3, command(0, "a")));
    tell(&mut client, member(1), ClientMsg::LeaderHint { leader: NodeId(77) });
    let mut out = Output::new();
    client.write(T0, bytes("c"), DEADLINE, &mut out);
    assert_whole("a hint that it does not know", &out, &proposes(3, command(2, "c")));
}

/// R17: what never left is no attempt. Three nodes refuse connections for so long that the time is
/// up: nothing was done. The patience of a call does not grow meanwhile.
#[test]
fn what_never_left_is_no_attempt() {
    let (mut client, call) = writing();
    let mut out = proposes(1, command(0, "a"));
    for i in 0..30 {
        out.mail.iter().for_each(|mail| client.unsent(mail));
        let at = std::mem::take(&mut out.mail)[0].to;
        assert_eq!(at, NodeId(1 + i % 3), "each in turn");
        client.unreachable(T0, at, &mut out);
    }
    let first = &out.mail[0];
    client.unsent(first);
    assert_whole("patience", &tick(&mut client, T0.plus(RETRY_US - 1)), &nothing());
    let mut out = Output::new();
    client.reachable(T0.plus(1), first.to, &mut out);
    assert_whole("it goes when it can", &out, &proposes(first.to.0, command(0, "a")));
    out.mail.iter().for_each(|mail| client.unsent(mail));
    let again = tick(&mut client, T0.plus(2 * RETRY_US));
    assert_whole("elsewhere after a time", &again, &proposes(2, command(0, "a")));
    again.mail.iter().for_each(|mail| client.unsent(mail));
    tick(&mut client, DEADLINE);
    let nothing_was_done = Outcome::NotApplied(Refusal::TimedOut);
    assert_eq!(client.finished().collect::<Vec<_>>(), [(call, nothing_was_done)]);
}

/// R17: one attempt that may have left makes the outcome unknown, whatever was not sent after it.
#[test]
fn what_left_once_may_be_done() {
    let (mut client, call) = writing();
    let mut out = Output::new();
    client.unreachable(T0, NodeId(1), &mut out);
    assert_whole("elsewhere", &out, &proposes(2, command(0, "a")));
    out.mail.iter().for_each(|mail| client.unsent(mail));
    tick(&mut client, DEADLINE);
    let ticket = Ticket { session: SESSION, sequence: 0 };
    assert_eq!(client.finished().collect::<Vec<_>>(), [(call, Outcome::Unknown(ticket))]);
}

/// A call that a silent node keeps waiting is sent anew, soon, when another node can be reached.
#[test]
fn a_new_connection_ends_a_long_wait() {
    let (mut client, _) = writing();
    let mut now = T0;
    for _ in 0..5 {
        now = now.plus(24 * RETRY_US);
        assert_eq!(tick(&mut client, now).mail.len(), 1);
    }
    assert_whole("a long wait", &tick(&mut client, now.plus(2 * RETRY_US)), &nothing());
    client.reachable(now, NodeId(1), &mut Output::new());
    assert_eq!(tick(&mut client, now.plus(RETRY_US)).mail.len(), 1, "it is over");
}

/// A node that has too much to do says when to come again. Connections that come up meanwhile, as
/// they do when it goes better again, do not bring everybody back at once.
#[test]
fn a_new_connection_ends_no_wait_that_was_asked_for() {
    let retry_after_ms = 5_000;
    let busy = |name| ClientMsg::Busy { refused: vec![name], retry_after_ms };
    let (write, _) = writing();
    let (read, call) = reading();
    let (open, _, nonce) = opening();
    let rows = [
        ("write", write, busy(CommandName::Run { session: SESSION, sequence: 0 })),
        ("read", read, ClientMsg::ReadBusy { id: call.0, retry_after_ms }),
        ("registration", open, busy(CommandName::Register { nonce })),
    ];
    for (name, mut client, refusal) in rows {
        tell(&mut client, member(1), refusal);
        let mut out = Output::new();
        client.reachable(T0, NodeId(1), &mut out);
        client.reachable(T0, NodeId(2), &mut out);
        assert_whole(name, &out, &nothing());
        let until = T0.plus(retry_after_ms * 1000);
        assert_whole(name, &tick(&mut client, Now(until.0 - 1)), &nothing());
        assert_eq!(tick(&mut client, until).mail.len(), 1, "{name}: it was told to");
    }
}

#[test]
fn read_ends_with_its_own_reply() {
    let (_, call) = reading();
    let answer = |id| ClientMsg::ReadReply { id, result: bytes("x") };
    check_calls(
        "reading",
        || reading().0,
        vec![
            ("done", answer(call.0), nothing(), vec![(call, Outcome::Done(bytes("x")))]),
            ("another's", answer(call.0 + 1), nothing(), vec![]),
            ("busy", ClientMsg::ReadBusy { id: call.0, retry_after_ms: 20 }, nothing(), vec![]),
            ("a write's", applied(call.0, "x"), nothing(), vec![]),
        ],
    );
    let again = |to| mail([(to, LearnerMsg::Read { id: call.0, query: bytes("q") })]);
    let (mut client, _) = reading();
    tell(&mut client, member(1), ClientMsg::ReadBusy { id: call.0, retry_after_ms: 20 });
    assert_whole("after busy", &tick(&mut client, T0.plus(20_000)), &again(1));
    let (mut client, _) = reading();
    assert_whole("after silence", &tick(&mut client, T0.plus(2 * RETRY_US)), &again(2));
}

#[test]
fn calls_beyond_the_limit_end_at_once() {
    let limits = Limits { calls_max: 1, ..Limits::default() };
    let mut client = Client::new(ClientOptions {
        me: CLIENT,
        nodes: vec![NodeId(1)],
        seed: 1,
        retry_us: RETRY_US,
        limits,
    });
    client.read(T0, bytes("q"), DEADLINE, &mut Output::new());
    let mut out = Output::new();
    let call = client.read(T0, bytes("q"), DEADLINE, &mut out);
    assert_whole("one too many", &out, &nothing());
    let refused = Outcome::NotApplied(Refusal::TooManyCalls);
    assert_eq!(client.finished().collect::<Vec<_>>(), [(call, refused)]);
}
