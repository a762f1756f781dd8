//! Commands on their way, and sessions: rules R15 and R16.

use super::alone::*;
use super::bench::*;
use paxos_core::*;

fn forwarded(commands: Vec<Command>, hops: u8) -> Packet {
    ProposerMsg::Propose { commands, hops }.into()
}

fn answered_by(learner: u64, command: Command) -> Command {
    Command { learner: NodeId(learner), ..command }
}

fn replied(session: SessionId, sequence: u64, reply: Reply) -> ClientMsg {
    ClientMsg::Reply { session, sequence, reply }
}

fn result(text: &str) -> Reply {
    Reply::Applied(text.as_bytes().to_vec().into())
}

/// R15: any proposer takes any command and forwards it to the leader in batches.
///
/// Five commands come one by one while nobody leads. Then node 2 says that it does: one message has
/// them all. Two more come together, and leave together; their client hears where the leader is. In
/// messages of at most 100 bytes the five would be two.
#[test]
fn r15_commands_are_forwarded_in_batches() {
    let b = ballot(1, 2);
    let leading = ProposerMsg::Leading { ballot: b };
    let five: Vec<Command> = (0..5).map(register).collect();
    let mut p = proposer(options());
    for command in five.clone() {
        assert_eq!(p.propose(vec![command]), silence());
    }
    assert_eq!(p.hear(2, leading.clone()), mail(vec![(2, forwarded(five.clone(), 1))]));
    assert_eq!(p.hear(2, leading.clone()), silence());
    let two = vec![register(5), register(6)];
    let hint = ClientMsg::LeaderHint { leader: NodeId(2) };
    let expected = mail(vec![(CLIENT.0, hint.into()), (2, forwarded(two.clone(), 1))]);
    assert_eq!(p.propose(two), expected);

    let limits = Limits { part_bytes_max: 100, ..Limits::default() };
    let mut p = proposer(ProposerOptions { limits, ..options() });
    p.propose(five.clone());
    let parts = [five[..3].to_vec(), five[3..].to_vec()];
    let parts = parts.map(|commands| (2, forwarded(commands, 1)));
    assert_eq!(p.hear(2, leading), mail(parts.to_vec()));
}

/// R15: the first proposer names the learner that answers; those behind it keep the name.
///
/// A client's command says node 3, whatever that is; node 1 names its own learner. A forwarded one
/// says node 3, and so it stays, in a follower as in a leader.
#[test]
fn r15_the_first_proposer_names_the_learner_that_answers() {
    let mut p = proposer(options());
    p.hear(2, ProposerMsg::Leading { ballot: ballot(1, 2) });
    let out = p.propose(vec![answered_by(3, register(0))]);
    assert_eq!(out.mail[1].packet, forwarded(vec![answered_by(1, register(0))], 1));
    let foreign = vec![answered_by(3, register(1))];
    let on = ProposerMsg::Propose { commands: foreign.clone(), hops: 1 };
    assert_eq!(p.hear(3, on.clone()), mail(vec![(2, forwarded(foreign.clone(), 2))]));

    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    let expected = accept(b, 0, batch(0, foreign), slots(0, 0));
    assert_eq!(p.hear(3, on), mail(to_all(expected)));
}

/// R15: commands do not go round in circles.
///
/// Node 1 follows node 2. What was forwarded twice, and what node 2 itself sends, waits here until
/// somebody is heard to lead.
#[test]
fn r15_commands_do_not_go_round_in_circles() {
    let mut p = proposer(options());
    p.hear(2, ProposerMsg::Leading { ballot: ballot(1, 2) });
    let twice = ProposerMsg::Propose { commands: vec![register(0)], hops: 2 };
    let back = ProposerMsg::Propose { commands: vec![register(1)], hops: 1 };
    assert_eq!(p.hear(3, twice), silence());
    assert_eq!(p.hear(2, back), silence());
    let out = p.hear(3, ProposerMsg::Leading { ballot: ballot(2, 3) });
    assert_eq!(out, mail(vec![(3, forwarded(vec![register(0), register(1)], 1))]));
}

/// R15: a retry elsewhere is answered from the table of the learner there.
///
/// A client writes through node 2, whose answer is lost; then through node 3. Node 3 answers what
/// node 2 had answered, and nothing is applied twice. The same through the leader, after a write of
/// somebody else.
#[test]
fn r15_a_retry_elsewhere_is_answered_there() {
    let mut bench = Bench::led(3);
    let s = bench.open(2);
    bench.propose(2, vec![write(s, 0, 0, "x")]);
    bench.settle();
    bench.heard();
    bench.lose(|l| l.to == CLIENT);
    bench.propose(2, vec![write(s, 1, 0, "y")]);
    bench.settle();
    assert_eq!(bench.heard(), vec![]);
    bench.heal();
    bench.propose(3, vec![write(s, 1, 0, "y")]);
    bench.settle();
    let hint = ClientMsg::LeaderHint { leader: NodeId(1) };
    let expected = vec![(3, hint), (3, replied(s, 1, result("x y")))];
    assert_eq!(bench.heard(), expected);
    bench.propose(1, vec![write(s, 2, 0, "z")]);
    bench.propose(1, vec![write(s, 1, 0, "y")]);
    bench.settle();
    let expected = vec![(1, replied(s, 2, result("x y z"))), (1, replied(s, 1, result("x y")))];
    assert_eq!(bench.heard(), expected);
    assert_eq!([1, 2, 3].map(|n| bench.journal(n).text()), ["x y z"; 3]);
}

/// R15, R16: a retry at the next leader is recognised there.
///
/// A write is voted for, and its leader dies before anyone hears that it is chosen. The client
/// sends it again through node 2, which leads now. Both are chosen, one is applied.
#[test]
fn r15_a_retry_at_the_next_leader_is_applied_once() {
    let mut bench = Bench::led(3);
    let s = bench.open(2);
    bench.lose(|l| l.is(Kind::Chosen) || l.to == CLIENT);
    bench.propose(1, vec![write(s, 0, 0, "x")]);
    bench.settle();
    bench.crash(1);
    bench.heal();
    bench.propose(2, vec![write(s, 0, 0, "x")]);
    bench.lead(2);
    bench.pass_ms(100);
    assert!(bench.heard().contains(&(2, replied(s, 0, result("x")))));
    assert_eq!([2, 3].map(|n| bench.journal(n).text()), ["x"; 2]);
    assert_eq!([2, 3].map(|n| bench.learner(n).applied_below), [Slot(3); 2]);
}

/// A learner, and how many slots it has applied.
struct Table {
    learner: Alone<Learner<Journal>>,
    next: u64,
}

impl Table {
    fn new(limits: Limits) -> Table {
        Table { learner: learner(limits), next: 0 }
    }

    /// Applies an entry of these commands. Gives back what their client hears.
    fn apply(&mut self, log_time_ms: u64, commands: Vec<Command>) -> Vec<ClientMsg> {
        let (ballot, slot) = (ballot(1, 2), Slot(self.next));
        let vote = Vote { ballot, entry: batch(log_time_ms, commands) };
        self.learner.hear(1, LearnerMsg::Voted { slot, vote });
        self.next += 1;
        let chosen = LearnerMsg::Chosen { ballot, slots: slots(0, self.next) };
        let mail = self.learner.hear(2, chosen).mail.into_iter();
        let replies = mail.filter_map(|mail| match (mail.to, mail.packet) {
            (CLIENT, Packet::Client(msg)) => Some(msg),
            _ => None,
        });
        replies.collect()
    }

    fn write(&mut self, sequence: u64, acked_below: u64, value: &str) -> Vec<ClientMsg> {
        self.apply(0, vec![write(session(0, 0), sequence, acked_below, value)])
    }

    fn text(&self) -> String {
        self.learner.role.state().text()
    }
}

/// R16: a session's id is the (slot, index) of its registration.
///
/// Two registrations in slot 0, none in slot 1, one behind a write in slot 2.
#[test]
fn r16_a_session_is_named_by_where_it_was_registered() {
    let mut table = Table::new(Limits::default());
    let registered = |nonce, session| ClientMsg::Registered { nonce, session };
    let first = table.apply(0, vec![register(8), register(9)]);
    assert_eq!(first, [registered(8, session(0, 0)), registered(9, session(0, 1))]);
    assert_eq!(table.apply(0, vec![]), []);
    let last = table.apply(0, vec![write(session(0, 1), 0, 0, "x"), register(8)]);
    let expected = [replied(session(0, 1), 0, result("x")), registered(8, session(2, 1))];
    assert_eq!(last, expected);
}

/// R16: an absent id is expired, never new.
///
/// Nobody registered at (0, 1) or (9, 9). Then the one session there is expires, and a write that
/// it had answered comes again, late: it is not applied again. Any use puts the end off.
#[test]
fn r16_an_absent_session_is_expired_and_never_new() {
    let mut table = Table::new(Limits::default());
    let s = session(0, 0);
    table.apply(0, vec![register(1)]);
    for absent in [session(0, 1), session(9, 9)] {
        let reply = table.apply(0, vec![write(absent, 0, 0, "x")]);
        assert_eq!(reply, [replied(absent, 0, Reply::Expired)]);
    }
    let ttl = Limits::default().session_ttl_ms;
    let used = table.apply(ttl - 1, vec![write(s, 0, 0, "a")]);
    assert_eq!(used, [replied(s, 0, result("a"))]);
    let used = table.apply(2 * ttl - 2, vec![write(s, 0, 0, "a")]);
    assert_eq!(used, [replied(s, 0, result("a"))]);
    let late = table.apply(3 * ttl - 2, vec![write(s, 0, 0, "a"), write(s, 1, 0, "b")]);
    assert_eq!(late, [replied(s, 0, Reply::Expired), replied(s, 1, Reply::Expired)]);
    assert_eq!(table.text(), "a");
    assert_eq!(table.learner.role.status().sessions, 0);
}

/// R16: the table keeps results for [acked_below, acked_below + W).
///
/// W is 4. Sequences come out of order, again, beyond the window, and after they were acknowledged.
#[test]
fn r16_the_table_keeps_one_window_of_results() {
    let mut table = Table::new(Limits { session_window: 4, ..Limits::default() });
    let s = session(0, 0);
    table.apply(0, vec![register(1)]);
    let steps = [
        (0, 0, "a", Some(result("a"))),
        (3, 0, "d", Some(result("a d"))),
        (4, 0, "e", Some(Reply::OutOfWindow)),
        (0, 0, "a", Some(result("a"))),
        // The client has the answer of sequence 0: the window moves on by one.
        (4, 1, "e", Some(result("a d e"))),
        (0, 0, "a", None),
        (5, 1, "f", Some(Reply::OutOfWindow)),
        (1, 1, "b", Some(result("a d e b"))),
        (3, 1, "d", Some(result("a d"))),
        // Nobody has the answer of a command that is only being sent.
        (6, 99, "g", Some(result("a d e b g"))),
        (6, 6, "g", Some(result("a d e b g"))),
        (5, 5, "f", None),
    ];
    for (sequence, acked_below, value, reply) in steps {
        let expected: Vec<_> = reply.into_iter().map(|r| replied(s, sequence, r)).collect();
        assert_eq!(table.write(sequence, acked_below, value), expected, "{sequence} {value}");
    }
    assert_eq!(table.text(), "a d e b g");
}

/// R16: a registration that does not fit is refused, and leaves nothing behind.
///
/// Two sessions may be open. The third registration is refused; when the two have expired, it is
/// not.
#[test]
fn r16_there_are_only_so_many_sessions() {
    let mut table = Table::new(Limits { sessions_max: 2, ..Limits::default() });
    table.apply(0, vec![register(1), register(2)]);
    assert_eq!(table.apply(0, vec![register(3)]), [ClientMsg::NotRegistered { nonce: 3 }]);
    assert_eq!(table.learner.role.status().sessions, 2);
    let ttl = Limits::default().session_ttl_ms;
    let again = table.apply(ttl, vec![register(3)]);
    assert_eq!(again, [ClientMsg::Registered { nonce: 3, session: session(2, 0) }]);
}
