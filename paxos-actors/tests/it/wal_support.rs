//! What the log's tests share.

use bytes::Bytes;
use paxos_actors::wal::{Found, MemoryDisk, Segments, WalError, WalOptions};
use paxos_core::{
    Ballot, Body, Command, Configuration, Entry, Incarnation, Layout, NodeId, Record, SessionId,
    Slot, Vote,
};

pub const FIRST: &str = "0000000000000001.wal";
pub const SECOND: &str = "0000000000000002.wal";
pub const THIRD: &str = "0000000000000003.wal";

/// Node 1 with segments of 4 KiB.
pub fn options() -> WalOptions {
    WalOptions {
        node: NodeId(1),
        incarnation: Incarnation(0xA11CE),
        segment_bytes: 4096,
        queue_max: 4096,
    }
}

pub fn ballot(round: u64) -> Ballot {
    Ballot { round, node: NodeId(1), life: 9 }
}

/// A vote for an entry with a value of `size` bytes.
pub fn voted(slot: u64, size: usize) -> Record {
    let value = Bytes::from(vec![(slot as u8).wrapping_add(1); size]);
    let session = SessionId { slot: Slot(1), index: 0 };
    let body = Body::Run { session, sequence: slot, acked_below: 0, value };
    let command = Command { client: NodeId(9), learner: NodeId(1), body };
    let entry = Entry { log_time_ms: slot, commands: vec![command].into() };
    Record::Voted { slot: Slot(slot), vote: Vote { ballot: ballot(1), entry } }
}

/// Slots below are forgotten.
pub fn trimmed(below: u64) -> Record {
    Record::Trimmed { below: Slot(below), log_time_ms: 10 * below }
}

pub fn roster(incarnation: u64) -> Configuration {
    let layout = Layout::full(&[NodeId(1), NodeId(2), NodeId(3)]).expect("three nodes");
    layout.roster(|_| Some(Incarnation(incarnation))).expect("all are known")
}

/// What the log holds, and the log.
pub fn open(disk: &MemoryDisk) -> Result<(Vec<Record>, Segments), WalError> {
    open_with(disk, options())
}

pub fn open_with(
    disk: &MemoryDisk,
    options: WalOptions,
) -> Result<(Vec<Record>, Segments), WalError> {
    let mut records = Vec::new();
    let found = Found::open(disk.mount(), options)?;
    let segments = found.replay(&mut |record, _| records.push(record))?;
    Ok((records, segments))
}

/// What opening fails with.
pub fn refusal(disk: &MemoryDisk) -> WalError {
    match open(disk) {
        Ok((records, _)) => panic!("opened, with {} records", records.len()),
        Err(error) => error,
    }
}

/// Appends and commits each record alone.
pub fn write_each(segments: &mut Segments, records: &[Record]) {
    for record in records {
        segments.append(std::slice::from_ref(record)).expect("append");
        segments.commit().expect("commit");
        segments.prepare().expect("prepare");
    }
}

/// Where the frames of a segment begin that stand there one behind the other.
pub fn frames(segment: &[u8]) -> Vec<usize> {
    let is_frame = |at: &usize| segment[*at + 4..].starts_with(b"PXFR");
    (0..segment.len() - 8).step_by(8).filter(is_frame).collect()
}

/// Turns over a bit of a file, on the disk and in its cache.
pub fn flip(disk: &MemoryDisk, name: &str, offset: usize, bit: u8) {
    let mut bytes = disk.contents(name).expect("the file is there");
    bytes[offset] ^= 1 << bit;
    disk.put(name, bytes);
}
