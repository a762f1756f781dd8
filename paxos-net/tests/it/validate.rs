//! What no sound node says, message by message.

use crate::support::{ballot, command, entry, samples, session, snapshot};
use bytes::Bytes;
use paxos_core::{
    AcceptorMsg, Ballot, Body, ClientMsg, ClusterId, Command, CommandName, Entries, Entry, Feed,
    Kind, Layout, LearnerMsg, NodeId, Packet, PromisePart, ProposerMsg, Reply, RoleName, SessionId,
    SessionRules, Slot, SlotRange, SnapshotId, Vote,
};
use paxos_net::validate::{
    ITEMS_MAX, LOG_TIME_MS_MAX, RETRY_AFTER_MS_MAX, SEQUENCE_MAX, SNAPSHOT_BYTES_MAX, Unsound,
    validate,
};
use std::collections::BTreeSet;

const FAR: Slot = Slot(Slot::MAX.0 + 1);
const HIGH: Ballot = Ballot { round: Ballot::ROUND_MAX + 1, node: NodeId(1), life: 0 };

#[track_caller]
fn refused(packet: impl Into<Packet>, expected: Unsound) {
    let packet = packet.into();
    assert_eq!(validate(&packet), Err(expected), "{packet:?}");
}

fn far_ranges() -> [SlotRange; 2] {
    [SlotRange::new(FAR, Slot(2)), SlotRange::new(Slot(2), FAR)]
}

/// Entries that no leader makes, and what is wrong with them.
fn unsound_entries() -> Vec<(Entry, Unsound)> {
    let run = |session, sequence, acked_below| {
        let body = Body::Run { session, sequence, acked_below, value: Bytes::new() };
        let command = Command { body, ..command(b"") };
        Entry { log_time_ms: 0, commands: [command].into() }
    };
    let late = SessionId { slot: FAR, index: 0 };
    let many = vec![command(b""); ITEMS_MAX + 1];
    vec![
        (Entry::noop(LOG_TIME_MS_MAX + 1), Unsound::LogTime(LOG_TIME_MS_MAX + 1)),
        (run(late, 0, 0), Unsound::Slot(FAR)),
        (run(session(), u64::MAX, 0), Unsound::Sequence(u64::MAX)),
        (run(session(), 0, SEQUENCE_MAX + 1), Unsound::Sequence(SEQUENCE_MAX + 1)),
        (Entry { log_time_ms: 0, commands: many.into() }, Unsound::Items(ITEMS_MAX + 1)),
    ]
}

#[test]
fn sound_messages_of_every_kind_pass() {
    for packet in samples() {
        assert_eq!(validate(&packet), Ok(()), "{packet:?}");
    }
    let kinds: BTreeSet<Kind> = samples().iter().map(Packet::kind).collect();
    assert_eq!(kinds, Kind::ALL.iter().copied().collect(), "a kind is without a sample");
}

#[test]
fn the_bounds_themselves_are_sound() {
    let ballot = Ballot { round: Ballot::ROUND_MAX, ..ballot() };
    let (slot, chosen) = (Slot::MAX, SlotRange::new(Slot::MAX, Slot::MAX));
    let entry = Entry::noop(LOG_TIME_MS_MAX);
    assert_eq!(validate(&AcceptorMsg::Accept { ballot, slot, entry, chosen }.into()), Ok(()));
}

#[test]
fn absurd_ballots() {
    for ballot in [HIGH, Ballot::ZERO] {
        let wrong = Unsound::Ballot(ballot);
        let (slots, chosen) = (SlotRange::default(), SlotRange::default());
        let promised = Ballot::ZERO;
        refused(AcceptorMsg::Prepare { ballot, from: Slot::ZERO }, wrong);
        let (slot, entry) = (Slot(0), entry());
        refused(AcceptorMsg::Accept { ballot, slot, entry: entry.clone(), chosen }, wrong);
        refused(AcceptorMsg::Heartbeat { ballot, round: 0, chosen }, wrong);
        refused(ProposerMsg::Promise { ballot, part: Box::new(part()) }, wrong);
        refused(ProposerMsg::Accepted { ballot, slots }, wrong);
        refused(ProposerMsg::HeartbeatAck { ballot, round: 0, chosen_below: slot }, wrong);
        refused(ProposerMsg::Reject { ballot, promised }, wrong);
        refused(ProposerMsg::Leading { ballot }, wrong);
        refused(LearnerMsg::Voted { slot, vote: Vote { ballot, entry } }, wrong);
        refused(LearnerMsg::Chosen { ballot, slots }, wrong);
    }
    let (ballot, promised, wrong) = (ballot(), HIGH, Unsound::Ballot(HIGH));
    refused(ProposerMsg::Polled { attempt: 0, consent: true, promised }, wrong);
    refused(ProposerMsg::Reject { ballot, promised }, wrong);
    let vote = Vote { ballot: HIGH, entry: entry() };
    let part = PromisePart { votes: vec![(Slot(9), vote)], ..part() };
    refused(ProposerMsg::Promise { ballot, part: Box::new(part) }, wrong);
}

#[test]
fn absurd_slots() {
    let (ballot, id, wrong) = (ballot(), 0, Unsound::Slot(FAR));
    let chosen = SlotRange::default();
    refused(AcceptorMsg::Prepare { ballot, from: FAR }, wrong);
    refused(AcceptorMsg::Accept { ballot, slot: FAR, entry: entry(), chosen }, wrong);
    for slots in far_ranges() {
        let (slot, entry) = (Slot(0), entry());
        refused(AcceptorMsg::Accept { ballot, slot, entry, chosen: slots }, wrong);
        refused(AcceptorMsg::Heartbeat { ballot, round: 0, chosen: slots }, wrong);
        refused(ProposerMsg::Accepted { ballot, slots }, wrong);
        refused(LearnerMsg::Chosen { ballot, slots }, wrong);
    }
    refused(AcceptorMsg::Fetch { from: FAR, role: RoleName::Learner }, wrong);
    refused(ProposerMsg::HeartbeatAck { ballot, round: 0, chosen_below: FAR }, wrong);
    let (log_time_ms, expiry_ms) = (0, None);
    refused(ProposerMsg::Progress { life: 1, applied_below: FAR, log_time_ms, expiry_ms }, wrong);
    refused(LearnerMsg::Voted { slot: FAR, vote: Vote { ballot, entry: entry() } }, wrong);
    refused(LearnerMsg::ReadIndex { id, below: FAR }, wrong);
    let cluster = ClusterId(7);
    refused(AcceptorMsg::Covered { cluster, below: FAR, log_time_ms }, wrong);
    let session = SessionId { slot: FAR, index: 0 };
    refused(ClientMsg::Registered { nonce: 0, session, rules: SessionRules::default() }, wrong);
    refused(ClientMsg::Reply { session, sequence: 0, reply: Reply::Expired }, wrong);
    let run = CommandName::Run { session, sequence: 0 };
    refused(ClientMsg::Busy { refused: vec![run], retry_after_ms: 0 }, wrong);
}

#[test]
fn absurd_promises() {
    let vote = Vote { ballot: ballot(), entry: Entry::noop(0) };
    let many = ITEMS_MAX + 1;
    let wrong = Unsound::Slot(FAR);
    let table = [
        (PromisePart { trimmed: FAR, ..part() }, wrong),
        (PromisePart { chosen_below: FAR, ..part() }, wrong),
        (PromisePart { from: FAR, ..part() }, wrong),
        (PromisePart { below: Some(FAR), ..part() }, wrong),
        (PromisePart { log_time_ms: u64::MAX, ..part() }, Unsound::LogTime(u64::MAX)),
        (PromisePart { votes: vec![(FAR, vote.clone())], ..part() }, wrong),
        (PromisePart { votes: vec![(Slot(9), vote); many], ..part() }, Unsound::Items(many)),
    ];
    for (part, wrong) in table {
        refused(ProposerMsg::Promise { ballot: ballot(), part: Box::new(part) }, wrong);
    }
}

#[test]
fn absurd_entries() {
    for (entry, wrong) in unsound_entries() {
        let (ballot, slot, chosen) = (ballot(), Slot(0), SlotRange::default());
        let vote = Vote { ballot, entry: entry.clone() };
        let part = PromisePart { votes: vec![(slot, vote.clone())], ..part() };
        let row = Entries { entries: vec![entry.clone()], ..entries() };
        refused(AcceptorMsg::Accept { ballot, slot, entry, chosen }, wrong);
        refused(AcceptorMsg::Entries(row.clone()), wrong);
        refused(LearnerMsg::Entries(row), wrong);
        refused(LearnerMsg::Voted { slot, vote }, wrong);
        refused(ProposerMsg::Promise { ballot, part: Box::new(part) }, wrong);
    }
    let wrong = Unsound::Slot(FAR);
    let past = Entries { from: Slot::MAX, entries: vec![Entry::noop(0)], ..entries() };
    let many = vec![Entry::noop(0); ITEMS_MAX + 1];
    let table = [
        (Entries { from: FAR, ..entries() }, wrong),
        (Entries { chosen_below: FAR, ..entries() }, wrong),
        (Entries { trimmed: FAR, ..entries() }, wrong),
        (past, wrong),
        (Entries { entries: many, ..entries() }, Unsound::Items(ITEMS_MAX + 1)),
        (Entries { from: Slot(u64::MAX), ..entries() }, Unsound::Slot(Slot(u64::MAX))),
    ];
    for (row, wrong) in table {
        refused(AcceptorMsg::Entries(row.clone()), wrong);
        refused(LearnerMsg::Entries(row), wrong);
    }
}

#[test]
fn absurd_configurations() {
    let sound = samples().into_iter().find_map(|packet| match packet {
        Packet::Learner(LearnerMsg::Roster(sound)) => Some(sound),
        _ => None,
    });
    let sound = sound.unwrap();
    let mut table = vec![sound.clone(); 15];
    table[0].acceptors.pop();
    table[1].acceptors.swap(0, 1);
    table[2].acceptors[1] = table[2].acceptors[0];
    table[3].acceptors = vec![sound.acceptors[0]; 1_000_000];
    table[4].proposers = vec![NodeId(1); Layout::NODES_MAX + 1];
    let feed = Feed { learner: NodeId(1), acceptor: NodeId(1) };
    table[5].learners = vec![feed; Layout::NODES_MAX + 1];
    table[6].window = 0;
    table[7].window = Layout::WINDOW_MAX + 1;
    table[8].learners.truncate(1);
    table[9].sessions.ttl_ms = 0;
    table[10].sessions.ttl_ms = SessionRules::TTL_MS_MAX + 1;
    table[11].sessions.sessions_max = 0;
    table[12].sessions.sessions_max = SessionRules::SESSIONS_MAX + 1;
    table[13].sessions.window = 0;
    table[14].sessions.window = SessionRules::WINDOW_MAX + 1;
    for (i, configuration) in table.into_iter().enumerate() {
        let refused = |packet: Packet| {
            let unsound = validate(&packet);
            assert!(matches!(unsound, Err(Unsound::Configuration(_))), "{i}: {unsound:?}");
        };
        refused(ProposerMsg::Roster(configuration.clone()).into());
        refused(LearnerMsg::Roster(configuration).into());
    }
}

#[test]
fn absurd_commands_and_times() {
    for (entry, wrong) in unsound_entries().into_iter().skip(1) {
        refused(ProposerMsg::Propose { commands: entry.commands.to_vec(), hops: 0 }, wrong);
    }
    let (applied_below, wrong) = (Slot(0), Unsound::LogTime(u64::MAX));
    let progress = |log_time_ms, expiry_ms| ProposerMsg::Progress {
        life: 1,
        applied_below,
        log_time_ms,
        expiry_ms,
    };
    refused(progress(u64::MAX, None), wrong);
    let (cluster, below) = (ClusterId(7), Slot(0));
    refused(AcceptorMsg::Covered { cluster, below, log_time_ms: u64::MAX }, wrong);
    refused(progress(0, Some(u64::MAX)), wrong);
}

#[test]
fn absurd_snapshots() {
    let huge = SNAPSHOT_BYTES_MAX + 1;
    let table = [
        (SnapshotId { below: FAR, ..snapshot() }, Unsound::Slot(FAR)),
        (SnapshotId { log_time_ms: u64::MAX, ..snapshot() }, Unsound::LogTime(u64::MAX)),
        (SnapshotId { bytes: huge, ..snapshot() }, Unsound::Bytes(huge)),
    ];
    for (id, wrong) in table {
        refused(LearnerMsg::FetchSnapshot { id: Some(id), offset: 0 }, wrong);
        refused(LearnerMsg::SnapshotPart { id, offset: 0, data: Bytes::new() }, wrong);
        refused(LearnerMsg::NoSnapshot { id: Some(id) }, wrong);
    }
    let (id, offset) = (snapshot(), snapshot().bytes + 1);
    refused(LearnerMsg::FetchSnapshot { id: Some(id), offset }, Unsound::Offset(offset));
    refused(LearnerMsg::FetchSnapshot { id: None, offset: 1 }, Unsound::Offset(1));
    let data = Bytes::from_static(b"ten bytes!");
    for offset in [0, 5, offset, u64::MAX] {
        let part = LearnerMsg::SnapshotPart { id, offset, data: data.clone() };
        refused(part, Unsound::Offset(offset));
    }
    let all = LearnerMsg::SnapshotPart { id, offset: 0, data: data.slice(1..) };
    assert_eq!(validate(&all.into()), Ok(()));
}

#[test]
fn absurd_answers_to_clients() {
    let (session, sequence) = (session(), SEQUENCE_MAX + 1);
    let wrong = Unsound::Sequence(sequence);
    refused(ClientMsg::Reply { session, sequence, reply: Reply::Expired }, wrong);
    let run = CommandName::Run { session, sequence };
    refused(ClientMsg::Busy { refused: vec![run], retry_after_ms: 0 }, wrong);
    let retry_after_ms = RETRY_AFTER_MS_MAX + 1;
    let wrong = Unsound::RetryAfter(retry_after_ms);
    refused(ClientMsg::Busy { refused: vec![], retry_after_ms }, wrong);
    refused(ClientMsg::ReadBusy { id: 0, retry_after_ms }, wrong);
    let many = vec![CommandName::Register { nonce: 0 }; ITEMS_MAX + 1];
    let wrong = Unsound::Items(ITEMS_MAX + 1);
    refused(ClientMsg::Busy { refused: many, retry_after_ms: 0 }, wrong);
}

fn part() -> PromisePart {
    let (zero, below) = (Slot(0), None);
    PromisePart {
        trimmed: zero,
        chosen_below: zero,
        log_time_ms: 0,
        from: zero,
        below,
        votes: vec![],
    }
}

fn entries() -> Entries {
    Entries { from: Slot(0), entries: vec![], chosen_below: Slot(0), trimmed: Slot(0) }
}
