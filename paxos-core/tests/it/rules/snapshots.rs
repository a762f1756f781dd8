//! Snapshots and what may be forgotten for them: rules R6 and R26, invariants 9 and 10.

mod lost;

use super::alone::*;
use bytes::Bytes;
use paxos_core::*;

pub const TIMEOUT_MS: u64 = 300;

pub fn small() -> Limits {
    Limits { snapshot_log_bytes: 100, ..Limits::default() }
}

pub fn covered(below: u64) -> AcceptorMsg {
    let cluster = roster(3).cluster_id();
    AcceptorMsg::Covered { cluster, below: Slot(below), log_time_ms: 7 * below }
}

fn trimmed(below: u64) -> Record {
    Record::Trimmed { below: Slot(below), log_time_ms: 7 * below }
}

pub fn id(below: u64, bytes: u64) -> SnapshotId {
    SnapshotId { below: Slot(below), log_time_ms: 7 * below, bytes, crc: below as u32 }
}

pub fn fetch(id: Option<SnapshotId>, offset: u64) -> Packet {
    LearnerMsg::FetchSnapshot { id, offset }.into()
}

pub fn part(id: SnapshotId, offset: u64, data: &'static str) -> LearnerMsg {
    LearnerMsg::SnapshotPart { id, offset, data: Bytes::from_static(data.as_bytes()) }
}

/// What an acceptor says that has forgotten every slot below.
pub fn forgotten(below: u64) -> LearnerMsg {
    let (entries, below) = (vec![], Slot(below));
    let entries = Entries { from: Slot(0), entries, chosen_below: below, trimmed: below };
    LearnerMsg::Entries(entries)
}

/// Entries of one command each from slot `from` on, as an acceptor holds them.
pub fn entries(from: u64, below: u64) -> LearnerMsg {
    let entries = (from..below).map(entry).collect();
    let (from, chosen_below) = (Slot(from), Slot(below));
    LearnerMsg::Entries(Entries { from, entries, chosen_below, trimmed: Slot(0) })
}

impl Alone<Learner<Journal>> {
    pub fn event(&mut self, event: SnapshotEvent) -> (bool, Output<SnapshotPiece>) {
        let mut out = Output::new();
        let anew = self.role.snapshot_event(self.now, event, &mut out);
        (anew, out)
    }

    /// What it wants done on its disk, in words.
    pub fn tasks(&mut self) -> Vec<String> {
        self.role.snapshot_tasks().iter().map(|task| format!("{task:?}")).collect()
    }

    /// Its disk has this, and the learner knows.
    pub fn found(&mut self, newest: Option<SnapshotId>, partial: Option<(SnapshotId, u64)>) {
        let (anew, _) = self.event(SnapshotEvent::Found { newest, partial });
        assert!(!anew);
    }
}

/// A learner whose disk is empty.
pub fn fresh(limits: Limits) -> Alone<Learner<Journal>> {
    let mut l = learner(limits);
    l.found(None, None);
    l
}

/// What of an output is about snapshots.
pub fn about_snapshots(out: Output<SnapshotPiece>) -> Vec<(u64, Packet)> {
    let is_about = |packet: &Packet| {
        matches!(
            packet,
            Packet::Learner(
                LearnerMsg::FetchSnapshot { .. }
                    | LearnerMsg::SnapshotPart { .. }
                    | LearnerMsg::NoSnapshot { .. }
            )
        )
    };
    let mail = out.mail.into_iter().map(|mail| (mail.to.0, mail.packet));
    mail.filter(|(_, packet)| is_about(packet)).collect()
}

/// R26: an acceptor forgets what the learner beside it has on disk, and nothing that only another
/// learner has. What it forgets it does not tell any more.
#[test]
pub fn r26_an_acceptor_waits_for_the_learner_beside_it() {
    let mut a = acceptor(Limits::default());
    let b = ballot(1, 2);
    for n in 0..4 {
        a.hear(2, accept(b, n, entry(n), slots(0, n)));
    }
    assert_eq!(a.hear(2, covered(3)), silence(), "another learner's disk");
    let chosen = Record::Chosen { ballot: b, slots: slots(2, 3) };
    assert_eq!(a.hear(1, covered(2)), recorded(vec![chosen, trimmed(2)], vec![]));
    assert_eq!(a.hear(1, covered(2)), silence(), "it is no news");
    assert_eq!(a.role.status().trimmed, Slot(2));
    let told = a.hear(3, AcceptorMsg::Fetch { from: Slot(0), role: RoleName::Learner });
    let expected =
        Entries { from: Slot(0), entries: vec![], chosen_below: Slot(3), trimmed: Slot(2) };
    assert_eq!(told, mail(vec![(3, LearnerMsg::Entries(expected).into())]));
}

/// R26: who is no learner, or another incarnation of a member, covers nothing.
#[test]
fn r26_only_learners_of_the_configuration_cover() {
    let mut a = acceptor(Limits::default());
    let wiped = MemberId { incarnation: Incarnation(999), ..member(1) };
    assert_eq!(a.hear_from(wiped, covered(5)), silence());
    assert_eq!(a.hear(9, covered(5)), silence());
    assert_eq!(a.role.status().trimmed, Slot(0));
}

/// R26, R6: what the learner's disk covers is chosen, even where the acceptor missed it. It goes on
/// from there, with its votes above, and promises nothing about what is below.
///
/// The acceptor has votes at 1 and 6 in ballot 1.2, and missed the rest; its learner installed a
/// snapshot below 5.
#[test]
fn r26_an_acceptor_goes_on_where_its_learner_is() {
    let mut a = acceptor(Limits::default());
    let b = ballot(1, 2);
    for n in [1, 6] {
        a.hear(2, accept(b, n, entry(n), slots(0, 0)));
    }
    assert_eq!(a.hear(1, covered(5)), recorded(vec![trimmed(5)], vec![]));
    let later = ballot(2, 3);
    let promise = PromisePart {
        trimmed: Slot(5),
        chosen_below: Slot(5),
        log_time_ms: 35,
        from: Slot(5),
        below: None,
        votes: vec![(Slot(6), Vote { ballot: b, entry: entry(6) })],
    };
    let told = ProposerMsg::Promise { ballot: later, part: Box::new(promise) };
    assert_eq!(
        a.hear(3, AcceptorMsg::Prepare { ballot: later, from: Slot::ZERO }),
        recorded(vec![Record::Promised(later)], vec![(3, told.into())])
    );
}

/// R5: a slot that is trimmed is accepted and not stored.
#[test]
fn r05_a_trimmed_slot_is_accepted_and_not_stored() {
    let mut a = acceptor(Limits::default());
    let b = ballot(1, 2);
    a.hear(1, covered(5));
    a.hear(2, AcceptorMsg::Prepare { ballot: b, from: Slot::ZERO });
    let told = a.hear(2, accept(b, 3, entry(3), slots(0, 0)));
    assert_eq!(told, mail(vec![(2, accepted(b, slots(3, 4)))]));
}

/// A log that lost the segments below its last trimming is replayed without a complaint, and the
/// acceptor is where it was.
#[test]
fn r26_records_about_trimmed_slots_are_no_news() {
    let b = ballot(1, 2);
    let mut a = acceptor(Limits::default());
    let log = [
        trimmed(5),
        vote(b, 3, entry(3)),
        Record::Chosen { ballot: b, slots: slots(2, 4) },
        Record::Learned { slot: Slot(4), entry: entry(4) },
        vote(b, 5, entry(5)),
        vote(b, 6, entry(6)),
        Record::Chosen { ballot: b, slots: slots(4, 7) },
        trimmed(4),
    ];
    log.into_iter().for_each(|record| a.role.replay(record));
    let status = a.role.status();
    assert_eq!((status.trimmed, status.chosen_below, status.promised), (Slot(5), Slot(7), b));
}

/// A learner writes a snapshot when so much was applied; acceptors may forget what the one before
/// it covers, and only when the newer one is durable.
#[test]
fn r26_a_learner_covers_what_the_snapshot_before_the_last_has() {
    let mut l = fresh(small());
    l.hear(1, entries(0, 1));
    assert_eq!(l.tasks(), [""; 0], "48 bytes are not worth it");
    l.hear(1, entries(1, 3));
    assert_eq!(l.tasks(), ["Write(SnapshotSource(below 3))"]);
    l.hear(1, entries(3, 6));
    assert_eq!(l.tasks(), [""; 0], "one at a time");
    let told = |below| mail(vec![(1, covered(below).into())]);
    let (_, first) = l.event(SnapshotEvent::Written(id(3, 50)));
    assert_eq!(first, told(0), "there is none before it");
    l.hear(1, entries(6, 7));
    assert_eq!(l.tasks(), ["Write(SnapshotSource(below 7))"]);
    let (_, second) = l.event(SnapshotEvent::Written(id(7, 500)));
    assert_eq!(second, told(3));
    assert_eq!(l.tasks(), [format!("Remove {{ id: {:?} }}", id(3, 50))]);
    l.hear(1, entries(7, 15));
    assert_eq!(l.tasks(), [""; 0], "as much must be applied as the last one has");
    l.hear(1, entries(15, 19));
    assert_eq!(l.tasks(), ["Write(SnapshotSource(below 19))"]);
}

/// A learner that starts from a snapshot covers all of it: nobody else may hold what is below.
#[test]
fn r26_a_learner_that_starts_from_a_snapshot_covers_it() {
    let mut l = learner(Limits::default());
    let header =
        SnapshotPiece::Header { below: Slot(9), log_time_ms: 63, configuration: roster(3) };
    l.role.replay(header);
    l.found(Some(id(9, 10)), None);
    let out = l.pass_ms(TIMEOUT_MS);
    assert!(out.mail.contains(&Outgoing { to: NodeId(1), packet: covered(9).into() }));
    let asked = AcceptorMsg::Fetch { from: Slot(9), role: RoleName::Learner };
    assert!(out.mail.iter().any(|mail| mail.packet == asked.clone().into()));
}

/// No room on the disk is no reason to end: the next snapshot is tried later.
#[test]
fn a_snapshot_that_finds_no_room_is_tried_again_later() {
    let mut l = fresh(small());
    l.hear(1, entries(0, 3));
    assert_eq!(l.tasks().len(), 1);
    l.event(SnapshotEvent::NotWritten);
    l.hear(1, entries(3, 4));
    assert_eq!(l.tasks(), [""; 0]);
    l.hear(1, entries(4, 6));
    assert_eq!(l.tasks(), ["Write(SnapshotSource(below 6))"]);
}

/// R6: what acceptors have forgotten comes as a snapshot, part by part, from the first byte to the
/// last, and the learner is made anew from it.
#[test]
fn r06_what_is_trimmed_comes_as_a_snapshot() {
    let mut l = fresh(Limits::default());
    l.hear(2, forgotten(10));
    assert_eq!(about_snapshots(l.tick()), [(2, fetch(None, 0))]);
    let s = id(12, 6);
    assert_eq!(l.hear(2, part(s, 0, "abcd")), silence());
    assert_eq!(l.tasks().len(), 1, "the bytes are stored first");
    let (_, next) = l.event(SnapshotEvent::Stored { id: s, held: 4 });
    assert_eq!(next, mail(vec![(2, fetch(Some(s), 4))]));
    assert_eq!(l.hear(2, part(s, 0, "abcd")), silence(), "a repetition");
    assert_eq!(l.tasks(), [""; 0]);
    l.hear(2, part(s, 4, "ef"));
    l.tasks();
    let (_, last) = l.event(SnapshotEvent::Stored { id: s, held: 6 });
    assert_eq!(last, silence());
    assert_eq!(l.tasks(), [format!("Install {{ id: {s:?} }}")]);
    assert!(l.event(SnapshotEvent::Installed(s)).0, "it must be made anew");
}

/// R6: a transfer goes on where it was, with another peer that has the same snapshot; when none has
/// it any more, it begins again.
#[test]
fn r06_an_interrupted_transfer_resumes() {
    let s = id(12, 6);
    let mut l = learner(Limits::default());
    l.found(None, Some((s, 4)));
    assert_eq!(about_snapshots(l.tick()), [(2, fetch(Some(s), 4))], "after a restart");
    assert!(l.role.status().wants_snapshot && !fresh(small()).role.status().wants_snapshot);
    assert_eq!(about_snapshots(l.pass_ms(TIMEOUT_MS - 1)), []);
    assert_eq!(about_snapshots(l.pass_ms(1)), [(3, fetch(Some(s), 4))], "node 2 is silent");
    let none = LearnerMsg::NoSnapshot { id: Some(s) };
    assert_eq!(l.hear(3, none.clone()), mail(vec![(2, fetch(Some(s), 4))]));
    assert_eq!(l.hear(2, none), mail(vec![(3, fetch(None, 0))]), "nobody has it");
}

/// A transfer goes on while the learner applies what does not reach as far: after a restart, what
/// the acceptor beside it held when the node fell behind.
#[test]
fn r06_a_transfer_outlives_entries_that_do_not_reach_as_far() {
    let s = id(12, 6);
    let mut l = learner(Limits::default());
    l.found(None, Some((s, 4)));
    assert_eq!(about_snapshots(l.tick()), [(2, fetch(Some(s), 4))]);
    l.hear(3, entries(0, 5));
    assert_eq!(l.tasks(), [""; 0], "slots 5 to 11 are still missed");
    l.hear(2, part(s, 4, "ef"));
    assert_eq!(l.tasks().len(), 1, "the rest of it is stored");
    l.hear(3, entries(5, 12));
    assert_eq!(l.tasks(), ["Abandon"], "it has nothing that the state has not");
}

/// A part that lies about its size, is out of place, is from somebody else or of no use is dropped;
/// when its answer is overdue, the next peer is asked.
#[test]
fn a_part_that_cannot_be_is_dropped() {
    let s = id(12, 6);
    let wrong: [(u64, LearnerMsg); 6] = [
        (2, part(s, 0, "abcdefg")),
        (2, part(s, 3, "abc")),
        (2, part(s, u64::MAX, "abc")),
        (2, part(s, 0, "")),
        (3, part(s, 0, "abc")),
        (2, part(id(0, 6), 0, "abc")),
    ];
    for (from, msg) in wrong {
        let mut l = fresh(Limits::default());
        l.hear(2, forgotten(10));
        l.tick();
        assert_eq!(l.hear(from, msg.clone()), silence(), "{msg:?}");
        assert_eq!(l.tasks(), [""; 0], "{msg:?}");
        assert_eq!(about_snapshots(l.pass_ms(TIMEOUT_MS)), [(3, fetch(None, 0))], "{msg:?}");
    }
}

/// What is told of bytes that were stored before is no news: it would ask twice for the same bytes.
///
/// Node 1 stores two bytes behind two; meanwhile it is sent entries, which do not reach as far.
#[test]
fn what_was_stored_before_is_no_news() {
    let s = id(12, 6);
    let mut l = fresh(Limits::default());
    l.hear(2, forgotten(10));
    l.tick();
    l.hear(2, part(s, 0, "ab"));
    l.event(SnapshotEvent::Stored { id: s, held: 2 });
    l.hear(2, part(s, 2, "cd"));
    l.hear(3, entries(0, 1));
    assert_eq!(l.event(SnapshotEvent::Stored { id: s, held: 2 }).1, silence());
    let (_, next) = l.event(SnapshotEvent::Stored { id: s, held: 4 });
    assert_eq!(next, mail(vec![(2, fetch(Some(s), 4))]));
}

/// Bytes that do not match the snapshot's name are not believed, and come from another peer.
#[test]
fn an_unsound_snapshot_is_fetched_from_another() {
    let s = id(12, 3);
    let mut l = fresh(Limits::default());
    l.hear(2, forgotten(10));
    l.tick();
    l.hear(2, part(s, 0, "abc"));
    l.event(SnapshotEvent::Stored { id: s, held: 3 });
    let (anew, _) = l.event(SnapshotEvent::Unsound(s));
    assert!(!anew);
    assert_eq!(about_snapshots(l.tick()), [(3, fetch(None, 0))]);
}

/// Invariant 10: a snapshot never replaces newer state. The learner of node 1 fetches one below 2;
/// meanwhile an acceptor that still has the entries sends them.
#[test]
pub fn invariant_10_a_snapshot_never_replaces_newer_state() {
    let s = id(2, 3);
    let mut l = fresh(Limits::default());
    l.hear(2, forgotten(2));
    l.tick();
    l.hear(2, part(s, 0, "abc"));
    l.event(SnapshotEvent::Stored { id: s, held: 3 });
    l.tasks();
    l.hear(3, entries(0, 5));
    assert_eq!(l.tasks(), ["Abandon"]);
    let (anew, _) = l.event(SnapshotEvent::Installed(s));
    assert!(!anew, "the state is newer");
    assert_eq!(l.role.status().applied_below, Slot(5));
    assert_eq!(about_snapshots(l.pass_ms(TIMEOUT_MS)), []);
}

/// Invariant 10: a snapshot carries sessions and configuration. A command that was applied before
/// it is answered from it, and not applied again.
#[test]
pub fn invariant_10_a_snapshot_carries_sessions_and_configuration() {
    let mut l = fresh(small());
    let command = || batch(0, vec![write(session(0, 0), 0, 0, "x")]);
    let told = |from: u64, list: Vec<Entry>| {
        let chosen_below = Slot(from + list.len() as u64);
        let (from, trimmed) = (Slot(from), Slot(0));
        LearnerMsg::Entries(Entries { from, entries: list, chosen_below, trimmed })
    };
    l.hear(1, told(0, vec![entry(7), command(), entry(8)]));
    let mut tasks = l.role.snapshot_tasks();
    let Some(SnapshotTask::Write(source)) = tasks.pop() else { panic!("a snapshot is due") };
    // It is of the state at that moment, whenever it is read.
    l.hear(1, told(3, vec![batch(0, vec![write(session(0, 0), 1, 0, "y")])]));
    let mut other = Alone {
        role: Learner::new(
            LearnerOptions {
                me: member(1),
                life: 5,
                proposer: NodeId(1),
                layout: layout(3),
                timing: Timing::default(),
                limits: small(),
            },
            Journal::default(),
        ),
        now: Now(0),
    };
    source.pieces.for_each(|piece| other.role.replay(piece));
    other.found(Some(id(3, 10)), None);
    assert_eq!(other.role.status().applied_below, Slot(3));
    let out = other.hear(2, told(3, vec![command()]));
    let reply = Reply::Applied("x".into());
    let again = ClientMsg::Reply { session: session(0, 0), sequence: 0, reply };
    assert_eq!(out.mail[0], Outgoing { to: CLIENT, packet: again.into() });
    assert_eq!(other.role.state().text(), "x", "once");
}

/// A peer is served part by part, from the newest snapshot or the one that it began with; that one
/// is kept, and what is above it is not forgotten, until the peer has gone.
#[test]
fn r06_a_snapshot_is_kept_for_as_long_as_a_peer_fetches_it() {
    let mut l = fresh(small());
    let none = LearnerMsg::NoSnapshot { id: None };
    let ask = |id, offset| LearnerMsg::FetchSnapshot { id, offset };
    assert_eq!(l.hear(2, ask(None, 0)), mail(vec![(2, none.into())]), "there is none");
    l.hear(1, entries(0, 3));
    let old = id(3, 50);
    l.event(SnapshotEvent::Written(old));
    l.tasks();
    assert_eq!(l.hear(2, ask(None, 0)), silence());
    assert_eq!(l.hear(2, ask(None, 0)), silence());
    assert_eq!(l.tasks().len(), 1, "it asked twice, and is read for once");
    let data = Bytes::from_static(b"abc");
    let read = SnapshotEvent::Read { to: NodeId(2), id: old, offset: 0, data: data.clone() };
    let sent = LearnerMsg::SnapshotPart { id: old, offset: 0, data };
    assert_eq!(l.event(read).1, mail(vec![(2, sent.into())]));

    l.hear(1, entries(3, 6));
    l.tasks();
    let (_, out) = l.event(SnapshotEvent::Written(id(6, 50)));
    assert_eq!(out, mail(vec![(1, covered(0).into())]), "the peer will want what comes after it");
    assert_eq!(l.tasks(), [""; 0], "it is kept");
    l.hear(2, ask(Some(old), 3));
    assert_eq!(l.tasks().len(), 1);
    l.pass_ms(20 * TIMEOUT_MS);
    assert_eq!(l.tasks(), [format!("Remove {{ id: {old:?} }}")], "the peer is gone");
    let out = l.pass_ms(TIMEOUT_MS);
    assert!(out.mail.contains(&Outgoing { to: NodeId(1), packet: covered(3).into() }));
}
