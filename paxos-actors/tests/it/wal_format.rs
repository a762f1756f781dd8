//! The bytes on disk, for ever.

use crate::golden::{Golden, Vector};
use crate::wal_support::{FIRST, SECOND, ballot, frames, open, options, roster, voted};
use paxos_actors::codec;
use paxos_actors::wal::{Disk, DiskError, FileDisk, Found, MemoryDisk};
use paxos_core::{Entry, Record, Slot, SlotRange, Vote};
use std::path::PathBuf;

const FILES: Golden = Golden { file: "files.txt", document: "wal-format.md", word: 8 };
const RECORDS: Golden = Golden { file: "records.txt", document: "wal-format.md", word: 1 };

fn noop_vote() -> Record {
    let vote = Vote { ballot: ballot(2), entry: Entry::noop(5) };
    Record::Voted { slot: Slot(7), vote }
}

fn promise_and_chosen() -> [Record; 2] {
    let slots = SlotRange::new(Slot(0), Slot(3));
    [Record::Promised(ballot(3)), Record::Chosen { ballot: ballot(2), slots }]
}

/// One record of each kind, in the order of their numbers.
fn records() -> Vec<Record> {
    let [promised, chosen] = promise_and_chosen();
    let learned = Record::Learned { slot: Slot(300), entry: Entry::noop(70_000) };
    let trimmed = Record::Trimmed { below: Slot(128), log_time_ms: 7 };
    let roster = Record::Roster(Box::new(roster(5)));
    vec![roster, Record::Formed, promised, voted(8, 3), chosen, learned, trimmed]
}

/// The number of each kind. A new kind gets the next one, and a record among `records`.
fn number(record: &Record) -> u8 {
    match record {
        Record::Roster(_) => 0,
        Record::Formed => 1,
        Record::Promised(_) => 2,
        Record::Voted { .. } => 3,
        Record::Chosen { .. } => 4,
        Record::Learned { .. } => 5,
        Record::Trimmed { .. } => 6,
    }
}

#[test]
fn golden_records() {
    let vector = |record: &Record| {
        let mut bytes = Vec::new();
        codec::encode(record, &mut bytes).expect("a record");
        assert_eq!(bytes[0], number(record), "{record:?}");
        Vector::variant("", 1, format!("{record:?}"), bytes)
    };
    let vectors: Vec<Vector> = records().iter().map(vector).collect();
    assert!((0..).zip(records()).all(|(place, record)| number(&record) == place));
    RECORDS.check(vectors);
    for ((name, bytes), record) in RECORDS.read().iter().zip(records()) {
        assert_eq!(codec::decode::<Record>(bytes).expect(name), record);
    }
}

#[test]
fn golden_files() {
    let disk = MemoryDisk::new();
    let (_, mut segments) = open(&disk).expect("a new log");
    segments.append(&[noop_vote()]).expect("append");
    segments.commit().expect("commit");
    segments.append(&promise_and_chosen()).expect("append");
    segments.commit().expect("commit");
    let segment = disk.contents(FIRST).expect("a segment");
    assert_eq!(frames(&segment), [136, 232]);
    assert!(segment[336..].iter().all(|&byte| byte == 0));
    let identity = disk.contents("identity").expect("an identity");
    let second = header_with_a_roster();
    FILES.check(vec![
        Vector::new("Identity", "node 1, incarnation 0xa11ce", identity),
        Vector::new(
            "Header",
            "segment 1, of 4096 bytes, with nothing before it",
            segment[..136].to_vec(),
        ),
        Vector::new("Frame", format!("at 136: {:?}", noop_vote()), segment[136..232].to_vec()),
        Vector::new(
            "Frame.2",
            format!("at 232, all before it synced: {:?}", promise_and_chosen()),
            segment[232..336].to_vec(),
        ),
        Vector::new(
            "Header.2",
            "segment 2, of a cluster that has formed, after a promise of 1.1",
            second,
        ),
    ]);
}

fn header_with_a_roster() -> Vec<u8> {
    let disk = MemoryDisk::new();
    let (_, mut segments) = open(&disk).expect("a new log");
    segments.append(&[Record::Roster(Box::new(roster(5))), Record::Formed]).expect("append");
    segments.append(&[crate::wal_support::trimmed(3)]).expect("append");
    for slot in 3..40 {
        segments.append(&[voted(slot, 100)]).expect("append");
    }
    segments.commit().expect("commit");
    let mut second = disk.contents(SECOND).expect("a segment");
    assert_eq!(second[16..24], roster(5).cluster_id().0.to_le_bytes());
    assert_eq!(second[104..120], [3u64.to_le_bytes(), 30u64.to_le_bytes()].concat(), "trimmed");
    assert_eq!(second[120..128], 3u64.to_le_bytes(), "chosen");
    assert_eq!(second[128], 1, "formed");
    second.truncate(frames(&second)[0]);
    second
}

/// A directory that is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("{name}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        // Of a process that had this number before, and was killed.
        let _ = std::fs::remove_dir_all(&path);
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_real_directory_is_made_locked_and_found_again() {
    let scratch = Scratch::new("wal-real");
    let directory = scratch.0.join("deep/er");
    let found = Found::open(FileDisk::open(&directory).expect("a directory"), options());
    let found = found.expect("a new log");
    let identity = found.identity();
    assert!(identity.is_new);
    let mut segments = found.replay(&mut |_, _| panic!("an empty log")).expect("a new log");
    let records: Vec<_> = (0..20).map(|slot| voted(slot, 700)).collect();
    crate::wal_support::write_each(&mut segments, &records);

    let error = FileDisk::open(&directory).expect_err("it is in use");
    assert!(matches!(error, DiskError::InUse { .. }));
    let text = error.to_string();
    assert!(text.contains("deep/er") && text.contains("stop that process"), "{text}");

    drop(segments);
    let disk = FileDisk::open(&directory).expect("it is free again");
    assert!(disk.list().expect("a list").contains(&FIRST.to_owned()));
    let found = Found::open(disk, options()).expect("a sound log");
    assert_eq!((found.identity().member, found.identity().is_new), (identity.member, false));
    let mut again = Vec::new();
    found.replay(&mut |record, _| again.push(record)).expect("a sound log");
    assert_eq!(again, records);
}

#[test]
fn an_error_names_the_file_as_it_is_called_now() {
    let scratch = Scratch::new("wal-renamed");
    let mut disk = FileDisk::open(&scratch.0).expect("it is free");
    let file = disk.create("spare.wal").expect("there is room");
    disk.rename("spare.wal", "0000000000000001.wal").expect("it is there");
    let error = file.read_at(0, &mut [0]).expect_err("it is empty").to_string();
    assert!(error.contains("/0000000000000001.wal: "), "{error}");
}
