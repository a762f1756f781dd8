//! A log whose segments hold any bytes: it opens or is refused, and if it opens it can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use paxos_actors::wal::{Found, MemoryDisk, Segments, WalError, WalOptions};
use paxos_core::{Ballot, Incarnation, NodeId, Record};
use paxos_fuzz::{CLAIMS_BYTES, bounded, mend_segment};

const SEGMENT_BYTES: usize = 4096;
/// Data that goes on for longer than this is in a second segment.
const FIRST_BYTES: usize = 2048;

/// So many records a header may say again, of those in segments that went.
const RESTATED_MAX: usize = 4;

fn options() -> WalOptions {
    WalOptions {
        node: NodeId(1),
        incarnation: Incarnation(0xA11CE),
        segment_bytes: SEGMENT_BYTES as u32,
        queue_max: 1,
    }
}

fn open(disk: &MemoryDisk) -> Result<(Vec<Record>, Segments), WalError> {
    let mut records = Vec::new();
    let segments = Found::open(disk.mount(), options())?.replay(&mut |r, _| records.push(r))?;
    Ok((records, segments))
}

/// What records say, but for what is forgotten: the first header says that as the last one has it.
fn said(records: &[Record]) -> Vec<&Record> {
    records.iter().filter(|record| !matches!(record, Record::Trimmed { .. })).collect()
}

fuzz_target!(|data: &[u8]| {
    let [how, data @ ..] = data else { return };
    let disk = MemoryDisk::new();
    let made = open(&disk).expect("a new log");
    drop(made);
    for (number, bytes) in (1..).zip(data.chunks(FIRST_BYTES).take(2)) {
        let mut segment = bytes.to_vec();
        segment.resize(SEGMENT_BYTES, 0);
        if how & 1 == 1 {
            mend_segment(&mut segment);
        }
        disk.put(&format!("{number:016x}.wal"), segment);
    }
    disk.kill();
    let names: Vec<String> = disk.names().into_iter().filter(|n| n.ends_with(".wal")).collect();
    // A segment is read as a whole, and its records are given away; what is written to the disk in
    // memory, a next segment too, is allocated as well.
    let opened = bounded(data.len(), 16 * SEGMENT_BYTES + CLAIMS_BYTES, || open(&disk));
    let Ok((records, mut segments)) = opened else { return };
    let lsn = segments.lsn();
    let more = Record::Promised(Ballot { round: 1 << 40, node: NodeId(1), life: 1 });
    if segments.append(std::slice::from_ref(&more)).is_err() {
        return;
    }
    segments.commit().expect("the disk works");
    disk.crash(None);
    let (again, segments) = open(&disk).expect("what was recovered can be recovered again");
    assert_eq!(segments.lsn(), lsn + 1);
    let (last, before) = again.split_last().expect("the record that was told to be durable");
    assert_eq!(*last, more);
    if names.iter().all(|name| disk.names().contains(name)) {
        assert_eq!(said(before), said(&records), "all segments are there, and not all they held");
    } else {
        let is_tail = |restated: usize| records.ends_with(&before[restated..]);
        let restated = 0..=before.len().min(RESTATED_MAX);
        assert!(restated.into_iter().any(is_tail), "{records:?}, then {before:?}");
    }
});
