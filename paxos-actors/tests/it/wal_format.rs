//! The bytes on disk, for ever.

use crate::wal_support::{FIRST, ballot, open, options, roster};
use paxos_actors::wal::{Disk, DiskError, FileDisk, Found, MemoryDisk};
use paxos_core::{Entry, Record, Slot, SlotRange, Vote};
use std::path::PathBuf;

fn hex(bytes: &[u8]) -> String {
    let words = bytes.chunks(8).map(|word| word.iter().map(|b| format!("{b:02x}")).collect());
    words.collect::<Vec<String>>().join(" ")
}

#[test]
fn golden_identity_segment_header_and_frames() {
    let disk = MemoryDisk::new();
    let (_, mut segments) = open(&disk).expect("a new log");
    let vote = Vote { ballot: ballot(2), entry: Entry::noop(5) };
    segments.append(&[Record::Voted { slot: Slot(7), vote }]).expect("append");
    segments.commit().expect("commit");
    let slots = SlotRange::new(Slot(0), Slot(3));
    let chosen = Record::Chosen { ballot: ballot(2), slots };
    segments.append(&[Record::Promised(ballot(3)), chosen]).expect("append");
    segments.commit().expect("commit");
    let segment = disk.contents(FIRST).expect("a segment");
    let golden = |name: &str, bytes: &[u8], expected: &str| {
        assert_eq!(hex(bytes), expected.split_whitespace().collect::<Vec<_>>().join(" "), "{name}");
    };
    golden("identity", &disk.contents("identity").expect("an identity"), IDENTITY);
    golden("header", &segment[..136], HEADER);
    golden("first frame", &segment[136..232], FIRST_FRAME);
    golden("second frame", &segment[232..336], SECOND_FRAME);
    assert!(segment[336..].iter().all(|&byte| byte == 0));
}

#[test]
fn golden_header_with_a_roster() {
    let disk = MemoryDisk::new();
    let (_, mut segments) = open(&disk).expect("a new log");
    segments.append(&[Record::Roster(roster(5)), Record::Formed]).expect("append");
    segments.append(&[crate::wal_support::trimmed(3)]).expect("append");
    for slot in 3..40 {
        segments.append(&[crate::wal_support::voted(slot, 100)]).expect("append");
    }
    segments.commit().expect("commit");
    let second = disk.contents(crate::wal_support::SECOND).expect("a segment");
    assert_eq!(second[16..24], roster(5).cluster_id().0.to_le_bytes());
    assert_eq!(second[104..120], [3u64.to_le_bytes(), 30u64.to_le_bytes()].concat(), "trimmed");
    assert_eq!(second[120..128], 3u64.to_le_bytes(), "chosen");
    assert_eq!(second[128], 1, "formed");
}

/// A directory that is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
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
    let records: Vec<_> = (0..20).map(|slot| crate::wal_support::voted(slot, 700)).collect();
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

/// Node 1, incarnation 0xA11CE.
const IDENTITY: &str = "
    5041584f532d4944 01000000979dd597 0100000000000000 ce110a0000000000
";
/// Segment 1, of 4096 bytes, with nothing before it.
const HEADER: &str = "
    5041584f5357414c 0100000001596227 0000000000000000 0100000000000000
    ce110a0000000000 0100000000000000 0100000000000000 0010000000000000
    0000000000000000 0000000000000000 0000000000000000 0000000000000000
    0000000000000000 0000000000000000 0000000000000000 0000000000000000
    0000000000000000
";
/// At 136: a vote for a no-op in slot 7, in ballot 2.1.
const FIRST_FRAME: &str = "
    914d3d1d50584652 0b000000e1b1e58f 0000000088000000 0100000000000000
    0000000000000000 0200000000000000 0100000000000000 0900000000000000
    0000000000000000 0000000000000000 0700000003070201 0905000000000000
";
/// At 232, all before it synced: a promise of 3.1, and slots 0 to 2 chosen in 2.1.
const SECOND_FRAME: &str = "
    e4e950ee50584652 120000008fb46f94 914d3d1de8000000 0200000000000000
    0100000000000000 0300000000000000 0100000000000000 0900000000000000
    0700000000000000 0800000000000000 0400000002030109 0600000004020109
    0003000000000000
";
