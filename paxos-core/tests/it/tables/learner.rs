//! The learner at node 1, which is fed by the acceptor and paired with the proposer at node 1.

use super::*;
use paxos_core::rng::mix;

const TTL_MS: u64 = 60_000;

/// Keeps every value it was given; an answer is how many there are and the last one.
#[derive(Debug, Default)]
struct Values(Vec<Bytes>);

impl StateMachine for Values {
    fn apply(&mut self, _: Applied, command: &Bytes) -> Bytes {
        self.0.push(command.clone());
        bytes(&format!("{}:{}", self.0.len(), String::from_utf8_lossy(command)))
    }

    fn query(&self, query: &Bytes) -> Bytes {
        bytes(&format!("{}?{}", String::from_utf8_lossy(query), self.0.len()))
    }

    fn digest(&self) -> u64 {
        self.0.len() as u64
    }

    fn snapshot(&self) -> SnapshotParts {
        Box::new(self.0.clone().into_iter())
    }

    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        self.0.push(part.clone());
        Ok(())
    }
}

fn limited(limits: Limits) -> Learner<Values> {
    let options = LearnerOptions {
        me: member(1),
        life: 1,
        proposer: NodeId(1),
        layout: layout(),
        timing: Timing::default(),
        limits,
    };
    Learner::new(options, Values::default())
}

fn at_boot() -> Learner<Values> {
    limited(Limits::default())
}

/// Knows the roster, and asked its feeder for what there is.
fn ready() -> Learner<Values> {
    let mut learner = at_boot();
    let out = tell(&mut learner, member(2), LearnerMsg::Roster(Box::new(roster())));
    assert_whole("ready", &out, &fetch(1, 0));
    learner
}

/// Has applied slot 0, which opened the session.
fn open() -> Learner<Values> {
    let mut learner = ready();
    let entries = vec![batch(0, [register(7)])];
    let out = tell(&mut learner, member(1), told(0, entries, 1));
    let opened = mail([(
        9,
        ClientMsg::Registered { nonce: 7, session: SESSION, rules: SessionRules::default() },
    )]);
    assert_whole("open", &out, &and(opened, progress(1)));
    learner
}

/// As `open`, and was fed votes of 2.2 for slots 1 and 2.
fn fed() -> Learner<Values> {
    let mut learner = open();
    for (slot, sequence, value) in [(1, 0, "a"), (2, 1, "b")] {
        let out = tell(&mut learner, member(1), voted(slot, ballot(2, 2), sequence, value));
        assert_whole("a vote is not chosen", &out, &nothing());
    }
    learner
}

/// As `open`, and heard that slots 1 and 2 are chosen by votes of 2.2.
fn heard() -> Learner<Values> {
    let mut learner = open();
    let out = tell(&mut learner, member(2), chosen(ballot(2, 2), 1, 3));
    assert_whole("no votes to apply", &out, &nothing());
    learner
}

/// As `open`, with a read that waits for the answer to its question.
fn reading() -> Learner<Values> {
    let mut learner = open();
    let out = tell(&mut learner, CLIENT, read(4));
    assert_whole("asks", &out, &asks(1));
    learner
}

fn voted(slot: u64, ballot: Ballot, sequence: u64, value: &str) -> LearnerMsg {
    let entry = batch(0, [command(sequence, value)]);
    LearnerMsg::Voted { slot: Slot(slot), vote: Vote { ballot, entry } }
}

fn chosen(ballot: Ballot, from: u64, below: u64) -> LearnerMsg {
    LearnerMsg::Chosen { ballot, slots: slots(from, below) }
}

fn told(from: u64, entries: Vec<Entry>, chosen_below: u64) -> LearnerMsg {
    let (from, chosen_below) = (Slot(from), Slot(chosen_below));
    LearnerMsg::Entries(Entries { from, entries, chosen_below, trimmed: Slot(0) })
}

fn read(id: u64) -> LearnerMsg {
    LearnerMsg::Read { id, query: bytes("q") }
}

fn index(question: u64, below: u64) -> LearnerMsg {
    LearnerMsg::ReadIndex { id: mix(1).wrapping_add(question), below: Slot(below) }
}

fn asks(question: u64) -> Output<SnapshotPiece> {
    let id = mix(1).wrapping_add(question);
    mail([(1, ProposerMsg::AskReadIndex { learner: NodeId(1), id, hops: 0 })])
}

fn fetch(to: u64, from: u64) -> Output<SnapshotPiece> {
    mail([(to, AcceptorMsg::Fetch { from: Slot(from), role: RoleName::Learner })])
}

fn progress(applied_below: u64) -> Output<SnapshotPiece> {
    let applied_below = Slot(applied_below);
    mail([(
        1,
        ProposerMsg::Progress { life: 1, applied_below, log_time_ms: 0, expiry_ms: Some(TTL_MS) },
    )])
}

fn reply(sequence: u64, reply: Reply) -> Output<SnapshotPiece> {
    mail([(9, ClientMsg::Reply { session: SESSION, sequence, reply })])
}

fn done(sequence: u64, result: &str) -> Output<SnapshotPiece> {
    reply(sequence, Reply::Applied(bytes(result)))
}

fn read_reply(id: u64, result: &str) -> Output<SnapshotPiece> {
    mail([(9, ClientMsg::ReadReply { id, result: bytes(result) })])
}

fn entries(values: &[(u64, &str)]) -> Vec<Entry> {
    values.iter().map(|&(sequence, value)| batch(0, [command(sequence, value)])).collect()
}

#[test]
fn at_boot_hears_nobody_but_asks_for_the_roster() {
    check(
        "at boot",
        at_boot,
        [
            row("a vote", member(1), voted(0, ballot(2, 2), 0, "a"), nothing()),
            row("a count", member(2), chosen(ballot(2, 2), 0, 1), nothing()),
            row("entries", member(1), told(0, entries(&[(0, "a")]), 1), nothing()),
            row("an index", member(2), index(1, 0), nothing()),
            row("a read", CLIENT, read(4), asks(1)),
        ],
    );
    let mut learner = at_boot();
    let roster = AcceptorMsg::AskRoster { role: RoleName::Learner };
    assert_whole("tick", &tick(&mut learner, T0), &to_all(roster));
    assert_whole("tick at once again", &tick(&mut learner, T0), &nothing());
}

#[test]
fn vote_and_chosen_must_be_of_one_ballot() {
    let (b2, b3) = (ballot(2, 2), ballot(3, 3));
    let (a, b) = (|| done(0, "1:a"), || done(1, "2:b"));
    check(
        "fed",
        fed,
        [
            row("one", member(2), chosen(b2, 1, 2), a()),
            row("both", member(2), chosen(b2, 1, 3), and(a(), b())),
            row("more than was fed", member(2), chosen(b2, 1, 9), and(a(), b())),
            row("from a slot applied", member(2), chosen(b2, 0, 2), a()),
            row("counted in another ballot", member(3), chosen(b3, 1, 3), nothing()),
            row("not the next slot", member(2), chosen(b2, 2, 3), nothing()),
            row("of no slots", member(2), chosen(b2, 3, 1), nothing()),
            row("not by its owner", member(3), chosen(b2, 1, 3), nothing()),
            row("by no member", STRANGER, chosen(b2, 1, 3), nothing()),
            row("absurd", member(2), chosen(b2, 1, u64::MAX), nothing()),
        ],
    );
    check(
        "heard",
        heard,
        [
            row("the vote", member(1), voted(1, b2, 0, "a"), a()),
            row("a vote in another ballot", member(1), voted(1, b3, 0, "x"), nothing()),
            row("a lower vote", member(1), voted(1, ballot(1, 1), 0, "x"), nothing()),
            row("not the next slot", member(1), voted(2, b2, 1, "b"), nothing()),
            row("a slot applied", member(1), voted(0, b2, 0, "x"), nothing()),
            row("by no member", STRANGER, voted(1, b2, 0, "a"), nothing()),
            row("far ahead", member(1), voted(1 << 40, b2, 0, "a"), nothing()),
        ],
    );
    let mut learner = fed();
    tell(&mut learner, member(1), voted(1, b3, 0, "x"));
    let out = tell(&mut learner, member(2), chosen(b2, 1, 3));
    assert_whole("the vote was overtaken: that slot must be fetched", &out, &nothing());
}

#[test]
fn entries_are_applied_in_a_row() {
    let a = || and(done(0, "1:a"), progress(2));
    check(
        "open",
        open,
        [
            row("the next", member(3), told(1, entries(&[(0, "a")]), 2), a()),
            row(
                "over what is applied",
                member(3),
                told(0, vec![batch(0, [register(7)]), batch(0, [command(0, "a")])], 2),
                a(),
            ),
            row("more to come", member(3), told(1, entries(&[(0, "a")]), 9), and(a(), fetch(3, 2))),
            row("a gap", member(3), told(2, entries(&[(0, "a")]), 3), nothing()),
            row("nothing new", member(3), told(0, vec![batch(0, [register(7)])], 1), nothing()),
            row("none", member(3), told(1, vec![], 9), nothing()),
            row("by no member", STRANGER, told(1, entries(&[(0, "a")]), 2), nothing()),
            row("absurd", member(3), told(1, entries(&[(0, "a")]), u64::MAX), nothing()),
        ],
    );
    let mut learner = fed();
    tell(&mut learner, member(2), chosen(ballot(2, 2), 2, 3));
    let out = tell(&mut learner, member(3), told(1, entries(&[(0, "a")]), 2));
    let both = and(done(0, "1:a"), done(1, "2:b"));
    assert_whole("what was fed follows", &out, &and(both, progress(3)));
}

#[test]
fn commands_run_once_and_are_answered_here() {
    let one = |entry: Entry| told(1, vec![entry], 2);
    let run = |session, sequence, acked_below| {
        let body = Body::Run { session, sequence, acked_below, value: bytes("v") };
        Command { client: CLIENT.node, learner: NodeId(1), body }
    };
    let gone = SessionId { slot: Slot(0), index: 9 };
    let elsewhere = Command { learner: NodeId(2), ..command(0, "a") };
    let second = SessionId { slot: Slot(1), index: 0 };
    let opened = mail([(
        9,
        ClientMsg::Registered { nonce: 8, session: second, rules: SessionRules::default() },
    )]);
    let twice = batch(0, [command(0, "a"), command(0, "a")]);
    let expired = ClientMsg::Reply { session: gone, sequence: 0, reply: Reply::Expired };
    let last = SessionRules::default().window - 1;
    let p = || progress(2);
    check(
        "open",
        open,
        [
            row("new", member(1), one(entry("a")), and(done(0, "1:a"), p())),
            row("twice", member(1), one(twice), and(and(done(0, "1:a"), done(0, "1:a")), p())),
            row("no-op", member(1), one(Entry::noop(0)), p()),
            row("for another learner", member(1), one(batch(0, [elsewhere])), p()),
            row("registration", member(1), one(batch(0, [register(8)])), and(opened, p())),
            row("no session", member(1), one(batch(0, [run(gone, 0, 0)])), {
                and(mail([(9, expired)]), p())
            }),
            row("last of the window", member(1), one(batch(0, [run(SESSION, last, 0)])), {
                and(done(last, "1:v"), p())
            }),
            row("out of the window", member(1), one(batch(0, [run(SESSION, last + 1, 0)])), {
                and(reply(last + 1, Reply::OutOfWindow), p())
            }),
            row("acked", member(1), one(batch(0, [run(SESSION, 5, 5), run(SESSION, 4, 0)])), {
                and(done(5, "1:v"), p())
            }),
        ],
    );
    let sessions = SessionRules { sessions_max: 0, ..SessionRules::default() };
    let roster = Configuration { sessions, ..roster() };
    let mut learner = at_boot();
    tell(&mut learner, member(2), LearnerMsg::Roster(Box::new(roster)));
    let refused = mail([(9, ClientMsg::NotRegistered { nonce: 7 })]);
    let none =
        ProposerMsg::Progress { life: 1, applied_below: Slot(1), log_time_ms: 0, expiry_ms: None };
    let out = tell(&mut learner, member(1), told(0, vec![batch(0, [register(7)])], 1));
    assert_whole("too many sessions", &out, &and(refused, mail([(1, none)])));
}

#[test]
fn reads_wait_for_their_index_and_then_for_the_log() {
    check(
        "open",
        open,
        [
            row("a read", CLIENT, read(4), asks(1)),
            row("an index nobody asked for", member(2), index(1, 0), nothing()),
        ],
    );
    check(
        "reading",
        reading,
        [
            row("applied already", member(2), index(1, 1), read_reply(4, "q?0")),
            row("not applied yet", member(2), index(1, 2), nothing()),
            row("of another question", member(2), index(2, 0), nothing()),
            row("by no member", STRANGER, index(1, 0), nothing()),
            row("the same read again", CLIENT, read(4), nothing()),
            row("another read", CLIENT, read(5), nothing()),
        ],
    );
    let mut learner = reading();
    tell(&mut learner, CLIENT, read(5));
    let first = tell(&mut learner, member(2), index(1, 2));
    assert_whole("the later read asks anew", &first, &asks(2));
    let out = tell(&mut learner, member(1), told(1, entries(&[(0, "a")]), 2));
    let says = and(and(done(0, "1:a"), read_reply(4, "q?1")), progress(2));
    assert_whole("the earlier is answered when the log is there", &out, &says);
    assert_whole("the later", &tell(&mut learner, member(2), index(2, 2)), &read_reply(5, "q?1"));
    let mut learner = limited(Limits { reads_max: 1, ..Limits::default() });
    tell(&mut learner, CLIENT, read(4));
    let busy = mail([(9, ClientMsg::ReadBusy { id: 5, retry_after_ms: 50 })]);
    assert_whole("too many", &tell(&mut learner, CLIENT, read(5)), &busy);
}

#[test]
fn ticks_tell_progress_and_fetch_what_is_missing() {
    let after = |us| T0.plus(us);
    let mut learner = heard();
    assert_whole("patience", &tick(&mut learner, after(49_999)), &nothing());
    let says = |to| and(fetch(to, 1), progress(1));
    assert_whole("another", &tick(&mut learner, after(50_000)), &says(1));
    assert_whole("the feeder", &tick(&mut learner, after(150_000)), &says(1));
    assert_whole("yet another", &tick(&mut learner, after(350_000)), &says(2));
    let mut learner = open();
    assert_whole("not behind", &tick(&mut learner, after(50_000)), &progress(1));
    let late = and(fetch(1, 1), progress(1));
    assert_whole("silence", &tick(&mut learner, after(300_000)), &late);
    let mut learner = reading();
    assert_whole("reading", &tick(&mut learner, after(99_999)), &progress(1));
    assert_whole("asks again", &tick(&mut learner, after(100_000)), &asks(1));
    tick(&mut learner, after(6_000_000));
    assert_whole("gave up", &tell(&mut learner, member(2), index(1, 0)), &nothing());
}
