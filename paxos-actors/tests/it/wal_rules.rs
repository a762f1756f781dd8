//! A test for each rule of the log's frames, segments and identity.

use crate::wal_support::{
    FIRST, SECOND, THIRD, ballot, flip, frames, open, open_with, options, refusal, roster, trimmed,
    voted, write_each,
};
use crc32c::{crc32c, crc32c_append};
use paxos_actors::wal::{MemoryDisk, WalError, WalOptions};
use paxos_core::{Incarnation, NodeId, Record};

fn votes(slots: std::ops::Range<u64>, size: usize) -> Vec<Record> {
    slots.map(|slot| voted(slot, size)).collect()
}

/// A disk with these records, each of them in a frame of its own.
fn disk_with(records: &[Record]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    write_each(&mut open(&disk).expect("a new log").1, records);
    disk.kill();
    disk
}

#[test]
fn what_was_written_is_found_again_over_several_segments() {
    let records = votes(0..40, 700);
    let disk = disk_with(&records);
    assert!(disk.names().len() > 8, "{:?}", disk.names());
    let (found, segments) = open(&disk).expect("a sound log");
    assert_eq!(found, records);
    assert_eq!(segments.lsn(), 40);
}

#[test]
fn a_clean_log_goes_on_in_its_segment() {
    let disk = disk_with(&votes(0..2, 50));
    write_each(&mut open(&disk).expect("a sound log").1, &votes(2..4, 50));
    assert_eq!(open(&disk).expect("a sound log").0, votes(0..4, 50));
    assert_eq!(disk.names(), [FIRST, "identity"]);
}

#[test]
fn a_torn_tail_is_cut_and_a_new_segment_begins() {
    let disk = disk_with(&votes(0..3, 50));
    let last = frames(&disk.contents(FIRST).expect("a segment"))[2];
    flip(&disk, FIRST, last + 100, 0);
    let (found, mut segments) = open(&disk).expect("a torn tail is no corruption");
    assert_eq!(found, votes(0..2, 50));
    assert_eq!(segments.lsn(), 2);
    assert!(disk.names().contains(&SECOND.to_owned()));
    write_each(&mut segments, &votes(7..8, 50));

    // Even if the frame that was cut off turns out well in the end, it does not come back.
    flip(&disk, FIRST, last + 100, 0);
    let (found, _) = open(&disk).expect("a sound log");
    assert_eq!(found, [votes(0..2, 50), votes(7..8, 50)].concat());
}

#[test]
fn a_valid_frame_behind_a_bad_one_stays_cut_off() {
    let options = WalOptions { segment_bytes: 8 << 20, ..options() };
    let disk = MemoryDisk::new();
    let (_, mut segments) = open_with(&disk, options).expect("a new log");
    write_each(&mut segments, &votes(0..1, 50));
    // One write of three frames, of which the first does not reach the disk.
    segments.append(&votes(1..4, 600 << 10)).expect("append");
    segments.commit().expect("commit");
    disk.kill();
    let starts = frames(&disk.contents(FIRST).expect("a segment"));
    assert_eq!(starts.len(), 4);
    flip(&disk, FIRST, starts[1] + 500, 3);

    let (found, mut segments) = open_with(&disk, options).expect("an un-synced write may tear");
    assert_eq!(found, votes(0..1, 50));
    write_each(&mut segments, &votes(9..10, 600 << 10));
    let (found, _) = open_with(&disk, options).expect("a sound log");
    assert_eq!(found, [votes(0..1, 50), votes(9..10, 600 << 10)].concat());
}

#[test]
fn damage_below_what_was_synced_halts_and_names_file_and_offset() {
    let disk = disk_with(&votes(0..3, 50));
    let second = frames(&disk.contents(FIRST).expect("a segment"))[1];
    for at in [second, second + 21, second + 90] {
        flip(&disk, FIRST, at, 5);
        let error = refusal(&disk);
        assert!(
            matches!(&error, WalError::Corrupt { path, offset, .. }
                if path.ends_with(FIRST) && *offset == second as u64),
            "{error}"
        );
        let text = error.to_string();
        assert!(text.contains(FIRST) && text.contains(&format!("offset {second}")), "{text}");
        assert!(text.contains("bring the file back as it was"), "{text}");
        flip(&disk, FIRST, at, 5);
    }
    assert_eq!(disk.names(), [FIRST, "identity"], "nothing was cut");
}

#[test]
fn damage_to_a_segment_that_has_a_successor_halts() {
    let disk = disk_with(&votes(0..20, 700));
    let last = *frames(&disk.contents(FIRST).expect("a segment")).last().expect("a frame");
    flip(&disk, FIRST, last + 100, 0);
    assert!(
        matches!(refusal(&disk), WalError::Corrupt { offset, .. } if offset == last as u64),
        "the last frame of a full segment was durable"
    );
    flip(&disk, FIRST, last + 100, 0);
    flip(&disk, SECOND, 50, 0);
    let error = refusal(&disk);
    assert!(
        matches!(&error, WalError::Corrupt { path, offset: 0, .. } if path.ends_with(SECOND)),
        "{error}"
    );
}

#[test]
fn a_missing_segment_halts() {
    let lost = |name: &str| {
        let disk = disk_with(&votes(0..20, 700));
        let kept = MemoryDisk::new();
        for other in disk.names().iter().filter(|other| *other != name) {
            kept.put(other, disk.contents(other).expect("a file"));
        }
        kept
    };
    for name in [FIRST, SECOND] {
        let error = refusal(&lost(name));
        assert!(
            matches!(&error, WalError::SegmentMissing { path } if path.ends_with(name)),
            "{error}"
        );
    }
    assert!(matches!(refusal(&lost("identity")), WalError::IdentityMissing { .. }));
}

#[test]
fn an_identity_without_any_segment_halts() {
    let disk = MemoryDisk::new();
    disk.put("identity", disk_with(&[]).contents("identity").expect("an identity"));
    assert!(matches!(refusal(&disk), WalError::SegmentMissing { .. }));
}

#[test]
fn a_segment_that_was_cut_short_halts() {
    let disk = disk_with(&votes(0..2, 50));
    let bytes = disk.contents(FIRST).expect("a segment");
    disk.put(FIRST, bytes[..2048].to_vec());
    assert!(matches!(refusal(&disk), WalError::Corrupt { offset: 2048, .. }));
}

#[test]
fn a_header_with_an_absurd_count_of_records_is_refused() {
    let disk = disk_with(&votes(0..1, 50));
    let mut bytes = disk.contents(FIRST).expect("a segment");
    bytes[72..80].copy_from_slice(&u64::MAX.to_le_bytes());
    let header = frames(&bytes)[0];
    let crc = crc32c_append(crc32c(&bytes[..12]), &bytes[16..header]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    disk.put(FIRST, bytes);
    assert!(matches!(refusal(&disk), WalError::Corrupt { offset: 0, .. }));
}

#[test]
fn a_segment_of_another_member_is_refused() {
    let other = MemoryDisk::new();
    let stranger = WalOptions { incarnation: Incarnation(0xB0B), ..options() };
    let (_, mut segments) = open_with(&other, stranger).expect("a new log");
    write_each(&mut segments, &votes(0..20, 700));
    let disk = disk_with(&votes(0..20, 700));
    disk.put(SECOND, other.contents(SECOND).expect("a segment"));
    let error = refusal(&disk);
    assert!(matches!(&error, WalError::Foreign { what: "member", .. }), "{error}");
}

#[test]
fn a_segment_of_another_cluster_is_refused() {
    let log = |incarnation| {
        disk_with(
            &[vec![Record::Roster(Box::new(roster(incarnation)))], votes(0..20, 700)].concat(),
        )
    };
    let (disk, other) = (log(1), log(2));
    disk.put(SECOND, other.contents(SECOND).expect("a segment"));
    let error = refusal(&disk);
    assert!(matches!(&error, WalError::Foreign { what: "cluster", .. }), "{error}");
}

#[test]
fn a_frame_in_another_place_is_none() {
    // The frame of slot 1 where that of slot 2 stood, and the second segment as the third.
    let disk = disk_with(&votes(0..3, 50));
    let mut bytes = disk.contents(FIRST).expect("a segment");
    let starts = frames(&bytes);
    bytes.copy_within(starts[1]..starts[2], starts[2]);
    disk.put(FIRST, bytes);
    assert_eq!(open(&disk).expect("a torn tail").0, votes(0..2, 50));

    let disk = disk_with(&votes(0..20, 700));
    disk.put(THIRD, disk.contents(SECOND).expect("a segment"));
    assert!(matches!(refusal(&disk), WalError::Corrupt { path, .. } if path.ends_with(THIRD)));
}

#[test]
fn segments_below_trimmed_are_recycled_and_their_frames_stay_dead() {
    let disk = MemoryDisk::new();
    let (_, mut segments) = open(&disk).expect("a new log");
    let stored = Record::Roster(Box::new(roster(1)));
    write_each(&mut segments, &[stored.clone(), Record::Formed, Record::Promised(ballot(5))]);
    write_each(&mut segments, &votes(0..12, 700));
    let trimmed = trimmed(11);
    write_each(&mut segments, std::slice::from_ref(&trimmed));
    write_each(&mut segments, &votes(12..20, 700));
    disk.kill();
    let names = disk.names();
    assert!(!names.contains(&FIRST.to_owned()), "{names:?}");
    let last = names.iter().rfind(|name| name.starts_with('0')).expect("a segment").clone();
    let stale = frames(&disk.contents(&last).expect("a segment")).len();

    let (found, mut segments) = open(&disk).expect("a sound log");
    assert_eq!(segments.lsn(), 24, "the lsn counts what is gone");
    let restated = [stored, Record::Formed, Record::Promised(ballot(5))];
    assert_eq!(found[..3], restated);
    let kept = found.iter().position(|record| *record == trimmed).expect("the trimming");
    assert!(kept <= 8, "{kept}");
    assert_eq!(found[found.len() - 8..], votes(12..20, 700));
    assert!(stale > found.len() % 5, "the last segment has frames of its former life");

    write_each(&mut segments, &votes(20..30, 700));
    let (found, segments) = open(&disk).expect("a sound log");
    assert_eq!(segments.lsn(), 34);
    assert_eq!(found[found.len() - 18..], votes(12..30, 700));
}

#[test]
fn the_lsn_goes_on_over_replays_and_reopenings() {
    let disk = MemoryDisk::new();
    let mut expected = Vec::new();
    for round in 0..5u64 {
        let (found, mut segments) = open(&disk).expect("a sound log");
        assert_eq!((found, segments.lsn()), (expected.clone(), round * 8));
        let new = votes(round * 8..round * 8 + 8, 300);
        write_each(&mut segments, &new);
        expected.extend(new);
        let mut again = Vec::new();
        segments.replay(&mut |record, _| again.push(record)).expect("a replay");
        assert_eq!((again, segments.lsn()), (expected.clone(), round * 8 + 8));
        disk.kill();
    }
}

#[test]
fn another_nodes_directory_is_refused() {
    let disk = disk_with(&[]);
    let other = WalOptions { node: NodeId(2), ..options() };
    let error = open_with(&disk, other).err().expect("a refusal");
    assert!(matches!(error, WalError::OtherNode { found: NodeId(1), expected: NodeId(2), .. }));
    assert!(error.to_string().contains("belongs to node 1, not to node 2"), "{error}");
}

#[test]
fn a_damaged_identity_is_refused() {
    let disk = disk_with(&[]);
    for at in 0..32 {
        flip(&disk, "identity", at, 2);
        let error = refusal(&disk);
        assert!(matches!(error, WalError::Corrupt { .. }), "byte {at}: {error}");
        flip(&disk, "identity", at, 2);
    }
}

#[test]
fn a_damaged_version_is_damage_and_a_sound_one_is_named() {
    for (file, header) in [("identity", 32), (FIRST, 136)] {
        let disk = disk_with(&[]);
        flip(&disk, file, 8, 2);
        assert!(matches!(refusal(&disk), WalError::Corrupt { .. }), "{file}");
        let mut bytes = disk.contents(file).expect("a file");
        bytes[8..12].copy_from_slice(&9u32.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..header]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        disk.put(file, bytes);
        let error = refusal(&disk);
        assert!(matches!(error, WalError::Version { found: 9, known: 1, .. }), "{file}: {error}");
    }
}

#[test]
fn sizes_that_cannot_work_are_refused() {
    for segment_bytes in [0, 4095, 4097, (1 << 30) + 4096] {
        let options = WalOptions { segment_bytes, ..options() };
        let error = open_with(&MemoryDisk::new(), options).err().expect("a refusal");
        assert!(matches!(error, WalError::SegmentSize(_)));
    }
    let (_, mut segments) = open(&MemoryDisk::new()).expect("a new log");
    let error = segments.append(&votes(0..1, 5000)).expect_err("a refusal");
    assert!(matches!(error, WalError::RecordTooLarge { segment_bytes: 4096, .. }), "{error}");
}

#[test]
fn a_full_disk_is_called_so() {
    let disk = MemoryDisk::new();
    let (_, mut segments) = open(&disk).expect("a new log");
    disk.limit(Some(5000));
    let error = votes(0..20, 700)
        .iter()
        .find_map(|record| {
            segments.append(std::slice::from_ref(record)).err().or(segments.commit().err())
        })
        .expect("a refusal");
    assert!(error.to_string().starts_with("no space left on the disk for"), "{error}");
    disk.kill();
    disk.limit(None);
    let found = open(&disk).expect("there is room again").0;
    assert_eq!(found, votes(0..found.len() as u64, 700));
    assert!(found.len() >= 4);
}
