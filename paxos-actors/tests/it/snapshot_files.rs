//! Snapshots on disk: bytes, crashes, damage, and no room.

use crate::golden::{Golden, Vector};
use crate::snapshot_support::*;
use crate::wal_support::flip;
use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};
use paxos_actors::snapshots::{SnapshotError, SnapshotFiles};
use paxos_actors::wal::MemoryDisk;
use paxos_core::{Slot, SnapshotEvent, SnapshotId, SnapshotPiece, SnapshotTask};

const GOLDEN: Golden = Golden { file: "snapshot.txt", document: "wal-format.md", word: 1 };

#[test]
fn golden_snapshot() {
    let disk = MemoryDisk::new();
    let mut files = open(&disk, false).expect("an empty disk").files;
    let header = pieces(3, 0).remove(0);
    let state = SnapshotPiece::State(Bytes::from_static(b"abc"));
    let pieces = Box::new([header, state].into_iter());
    let (below, log_time_ms) = (Slot(3), 30);
    let source = paxos_core::SnapshotSource { below, log_time_ms, pieces };
    let id = written(&mut files, source);
    let bytes = bytes(&disk, id);
    assert_eq!(bytes[..12], *b"PAXOSNAP\x01\0\0\0");
    let header = 0x25_u32;
    assert_eq!(bytes[12..16], header.to_le_bytes());
    assert_eq!(bytes[20..24], [0, 3, 30, 3], "a header: below 3, at 30 ms, three members");
    let state_at = 20 + header as usize;
    let at = state_at;
    let piece = [2, 3, b'a', b'b', b'c'];
    assert_eq!(bytes[at..at + 4], [5, 0, 0, 0]);
    let crc = |at: usize, piece: &[u8]| {
        let crc = crc32c(&(at as u64).to_le_bytes());
        crc32c_append(crc32c_append(crc, &(piece.len() as u32).to_le_bytes()), piece)
    };
    assert_eq!(bytes[at + 4..at + 8], crc(at, &piece).to_le_bytes());
    assert_eq!(bytes[at + 8..at + 13], piece);
    let at = at + 13;
    assert_eq!(bytes[at..], [[0; 4], crc(at, &[]).to_le_bytes()].concat());
    assert_eq!(id, SnapshotId { below, log_time_ms, bytes: at as u64 + 8, crc: crc32c(&bytes) });
    assert_eq!(disk.names(), [file(id)]);
    let frames = [12..state_at, state_at..at, at..bytes.len()];
    let [header, state, end] = frames.map(|frame| bytes[frame].to_vec());
    GOLDEN.check(vec![
        Vector::new("Begin", "at 0", bytes[..12].to_vec()),
        Vector::new("Header", "at 12: below 3, at 30 ms, and the configuration", header),
        Vector::new("State", format!("at {state_at}: the three bytes abc"), state),
        Vector::new("End", format!("at {at}; the file is {}", file(id)), end),
    ]);
}

#[test]
fn equal_states_have_equal_bytes_and_are_found_again() {
    let (disk, id) = disk_with_one();
    let (other, same) = disk_with_one();
    assert_eq!((same, bytes(&other, same)), (id, bytes(&disk, id)));
    let mut opened = open(&disk, false).expect("a sound snapshot");
    assert_eq!((opened.newest, opened.partial), (Some(id), None));
    assert_eq!(opened.pieces, pieces(100, 10));
    let newer = written(&mut opened.files, source(200, 3));
    assert_eq!(disk.names(), [file(id), file(newer)], "a peer may still want the older one");
    assert_eq!(read(&mut opened.files, id, 5, 7), bytes(&disk, id)[5..12]);
    disk.kill();
    let again = open(&disk, false).expect("a sound snapshot");
    assert_eq!((again.newest, again.pieces), (Some(newer), pieces(200, 3)));
    assert_eq!(disk.names(), [file(newer)], "what is left over is removed");
}

#[test]
fn a_crash_at_each_step_leaves_the_snapshot_before_or_the_one_that_was_told() {
    for seed in [None, Some(1), Some(2), Some(3)] {
        let mut steps = 0;
        loop {
            steps += 1;
            let (disk, first) = disk_with_one();
            let mut files = open(&disk, false).expect("a sound snapshot").files;
            disk.fail_after(steps);
            // Pieces of several writes.
            let told = write(&mut files, source(200, 600));
            let is_told = matches!(told, Some(SnapshotEvent::Written(_)));
            let is_done = is_told && files.submit(SnapshotTask::Remove { id: first }).is_ok();
            drop(files);
            disk.crash(seed.map(|seed| seed * 1000 + steps));
            let found = open(&disk, false).unwrap_or_else(|error| panic!("step {steps}: {error}"));
            match found.newest {
                Some(id) if id == first => assert!(!is_told && found.pieces == pieces(100, 10)),
                newest => assert!(newest.is_some() && found.pieces == pieces(200, 600)),
            }
            assert_eq!(disk.names(), [file(found.newest.expect("one of them"))]);
            if is_done {
                break;
            }
        }
        assert!(steps > 8, "only {steps} steps");
    }
}

/// Sends parts from one disk to another from where it stands, until the disk fails.
fn transfer(from: &Bytes, id: SnapshotId, to: &mut SnapshotFiles, mut held: u64) -> bool {
    while held < id.bytes {
        let part = from.slice(held as usize..from.len().min(held as usize + 2500));
        let task = SnapshotTask::Store { id, offset: held, data: part };
        match to.submit(task).ok().and_then(|mut events| events.pop()) {
            Some(SnapshotEvent::Stored { held: now, .. }) => held = now,
            Some(event) => panic!("{event:?}"),
            None => return false,
        }
    }
    to.submit(SnapshotTask::Install { id }).is_ok_and(|events| {
        assert_eq!(events, [SnapshotEvent::Installed(id)]);
        true
    })
}

#[test]
fn a_transfer_goes_on_where_it_was_when_the_process_ended() {
    let (sender, id) = disk_with_one();
    let sent = bytes(&sender, id);
    let (mut steps, mut resumed) = (0, 0);
    loop {
        steps += 1;
        let disk = MemoryDisk::new();
        let mut files = open(&disk, true).expect("an empty disk").files;
        disk.fail_after(steps);
        let is_done = transfer(&sent, id, &mut files, 0);
        drop(files);
        disk.kill();
        let mut found = open(&disk, true).expect("whatever is there");
        if found.newest.is_none() {
            let held = found.partial.map_or(0, |(of, held)| if of == id { held } else { 0 });
            resumed += u64::from(held > 0);
            assert!(transfer(&sent, id, &mut found.files, held), "step {steps}");
            let received = found.files.counters().read().received_bytes;
            assert_eq!(received, id.bytes - held);
        }
        disk.crash(None);
        let found = open(&disk, false).expect("it is durable");
        assert_eq!((found.newest, found.pieces), (Some(id), pieces(100, 10)), "step {steps}");
        if is_done {
            break;
        }
    }
    assert!(steps > 6 && resumed > 2, "{steps} steps, resumed {resumed} times");
}

/// After a sync that failed, what it should have saved can be read, and no later sync saves it.
#[test]
fn bytes_whose_sync_failed_are_written_again_before_they_count() {
    let (source, id) = disk_with_one();
    let data = bytes(&source, id);
    let disk = MemoryDisk::new();
    let mut files = open(&disk, true).expect("an empty disk").files;
    files.submit(SnapshotTask::Store { id, offset: 0, data }).expect("there is room");
    disk.fail_syncs(true);
    assert!(files.submit(SnapshotTask::Install { id }).is_err(), "the node ends");
    disk.kill();
    disk.fail_syncs(false);
    let Opened { mut files, partial, .. } = open(&disk, true).expect("the disk works again");
    assert_eq!(partial, Some((id, id.bytes)));
    let events = files.submit(SnapshotTask::Install { id }).expect("it is installed");
    assert_eq!(events, [SnapshotEvent::Installed(id)]);
    disk.crash(None);
    let opened = open(&disk, true).expect("what was told is there");
    assert_eq!((opened.newest, opened.pieces), (Some(id), pieces(100, 10)));
}

#[test]
fn what_a_crash_tore_or_a_peer_made_up_is_not_installed() {
    let (sender, id) = disk_with_one();
    let sound = bytes(&sender, id);
    for at in (0..sound.len()).step_by(37) {
        let disk = MemoryDisk::new();
        let mut files = open(&disk, true).expect("an empty disk").files;
        let mut damaged = sound.to_vec();
        damaged[at] ^= 4;
        let store = SnapshotTask::Store { id, offset: 0, data: damaged.into() };
        let stored = files.submit(store).expect("there is room");
        assert_eq!(stored, [SnapshotEvent::Stored { id, held: id.bytes }]);
        let installed = files.submit(SnapshotTask::Install { id }).expect("no failure of the disk");
        assert_eq!(installed, [SnapshotEvent::Unsound(id)], "byte {at}");
        assert!(disk.names().is_empty(), "{:?}", disk.names());
    }
}

#[test]
fn parts_that_lie_about_their_place_or_size_are_dropped() {
    let (sender, id) = disk_with_one();
    let sound = bytes(&sender, id);
    let lies = [
        (id, 0, vec![0; id.bytes as usize + 1]),
        (id, u64::MAX, vec![1]),
        (id, 7, vec![1]),
        (SnapshotId { bytes: 4, ..id }, 0, vec![0; 5]),
        (SnapshotId { below: Slot(7), ..id }, 10, vec![0; 5]),
    ];
    for (of, offset, data) in lies {
        let mut files = open(&MemoryDisk::new(), true).expect("an empty disk").files;
        let begin = SnapshotTask::Store { id, offset: 0, data: sound.slice(..10) };
        files.submit(begin).expect("there is room");
        let told = files.submit(SnapshotTask::Store { id: of, offset, data: data.into() });
        assert_eq!(told.expect("no failure of the disk"), [SnapshotEvent::Unsound(of)]);
    }
    // A name that promises more than there is: nothing is allocated for it.
    let huge = SnapshotId { bytes: u64::MAX, ..id };
    let mut files = open(&MemoryDisk::new(), true).expect("an empty disk").files;
    files.submit(SnapshotTask::Store { id: huge, offset: 0, data: sound }).expect("there is room");
    let told = files.submit(SnapshotTask::Install { id: huge }).expect("no failure of the disk");
    assert_eq!(told, [SnapshotEvent::Unsound(huge)]);
}

#[test]
fn a_piece_that_claims_gigabytes_is_damage_and_is_not_allocated() {
    let mut bytes = b"PAXOSNAP\x01\0\0\0".to_vec();
    bytes.extend([0xf0, 0xff, 0xff, 0xff, 1, 2, 3, 4]);
    let id = SnapshotId {
        below: Slot(1),
        log_time_ms: 0,
        bytes: bytes.len() as u64,
        crc: crc32c(&bytes),
    };
    let disk = MemoryDisk::new();
    disk.put(&file(id), bytes);
    let error = open(&disk, false).err().expect("a refusal");
    assert!(matches!(error, SnapshotError::Damaged { offset: 12, .. }), "{error}");
}

#[test]
fn a_damaged_snapshot_is_set_aside_where_another_can_be_had_and_else_the_node_stays_down() {
    let (disk, id) = disk_with_one();
    let frame = bytes(&disk, id).windows(900).position(|w| w == [101; 900]).expect("part 1");
    flip(&disk, &file(id), frame + 450, 3);
    let error = open(&disk, false).err().expect("a refusal");
    let offset = frame as u64 - 8 - 4;
    let text = error.to_string();
    assert!(
        matches!(&error, SnapshotError::Damaged { path, offset: o, .. }
            if path.ends_with(file(id)) && *o == offset),
        "{text}"
    );
    assert!(text.contains("bring the file back"), "{text}");
    assert_eq!(disk.names(), [file(id)], "nothing was touched");

    let found = open(&disk, true).expect("others have one");
    assert_eq!((found.newest, found.pieces), (None, Vec::new()));
    let damaged = file(id).replace(".snapshot", ".damaged");
    assert_eq!(disk.names(), [damaged]);
    // The next one that is damaged takes its place.
    let mut files = found.files;
    let second = written(&mut files, source(200, 2));
    disk.kill();
    flip(&disk, &file(second), 40, 0);
    assert_eq!(open(&disk, true).expect("others have one").newest, None);
    assert_eq!(disk.names(), [file(second).replace(".snapshot", ".damaged")]);
}

#[test]
fn a_length_that_is_damaged_is_reported_where_it_stands() {
    let (disk, id) = disk_with_one();
    // The length of the last frame, which has no piece.
    let at = id.bytes as usize - 8;
    flip(&disk, &file(id), at, 0);
    let error = open(&disk, false).err().expect("a refusal");
    assert!(
        matches!(error, SnapshotError::Damaged { offset, .. } if offset == at as u64),
        "{error}"
    );
}

#[test]
fn an_older_snapshot_stands_in_for_a_damaged_one() {
    let (disk, id) = disk_with_one();
    let newer = written(&mut open(&disk, false).expect("sound").files, source(200, 2));
    disk.kill();
    flip(&disk, &file(newer), 100, 0);
    let found = open(&disk, false).expect("the older one is sound");
    assert_eq!((found.newest, found.pieces), (Some(id), pieces(100, 10)));
}

#[test]
fn another_version_is_refused_even_where_others_have_a_snapshot() {
    let (disk, id) = disk_with_one();
    let mut bytes = bytes(&disk, id).to_vec();
    bytes[8] = 3;
    let later = SnapshotId { crc: crc32c(&bytes), ..id };
    let disk = MemoryDisk::new();
    disk.put(&file(later), bytes);
    let error = open(&disk, true).err().expect("a refusal");
    assert!(matches!(error, SnapshotError::Version { found: 3, known: 1, .. }), "{error}");
    assert_eq!(disk.names(), [file(later)]);
}

#[test]
fn a_version_that_was_not_written_is_damage() {
    let (disk, id) = disk_with_one();
    flip(&disk, &file(id), 8, 6);
    let error = open(&disk, false).err().expect("a refusal");
    assert!(matches!(error, SnapshotError::Damaged { offset: 8, .. }), "{error}");
    assert_eq!(open(&disk, true).expect("others have one").newest, None);
}

#[test]
fn a_damaged_snapshot_is_sent_to_nobody() {
    let (disk, id) = disk_with_one();
    let mut files = open(&disk, true).expect("a sound snapshot").files;
    let sound = bytes(&disk, id);
    assert_eq!(read(&mut files, id, 0, 100), sound[..100]);
    flip(&disk, &file(id), 700, 3);
    assert_eq!(read(&mut files, id, 100, 100), sound[100..200], "it was sound a moment ago");
    let rest = read(&mut files, id, 200, sound.len());
    assert_ne!(rest, sound[200..], "the damage is in it");
    assert_eq!(read(&mut files, id, 0, 100), Bytes::new(), "asked for again, it is looked at");
    assert_eq!(disk.names(), [file(id).replace(".snapshot", ".damaged")]);
    assert_eq!(read(&mut files, id, 0, 100), Bytes::new());
    let newer = written(&mut files, source(200, 2));
    assert_eq!(read(&mut files, newer, 0, 100), bytes(&disk, newer)[..100]);
}

#[test]
fn a_snapshot_that_was_damaged_since_the_start_is_not_sent_even_once() {
    let (disk, id) = disk_with_one();
    let mut files = open(&disk, true).expect("a sound snapshot").files;
    flip(&disk, &file(id), 700, 3);
    assert_eq!(read(&mut files, id, 300, 100), Bytes::new());
    assert_eq!(disk.names(), [file(id).replace(".snapshot", ".damaged")]);
}

#[test]
fn without_room_nothing_is_written_and_nothing_is_left_over() {
    let (disk, id) = disk_with_one();
    let mut files = open(&disk, false).expect("sound").files;
    disk.limit(Some(id.bytes + 300_000));
    assert_eq!(write(&mut files, source(200, 600)), Some(SnapshotEvent::NotWritten));
    assert_eq!(disk.names(), [file(id)]);
    let other = SnapshotId { below: Slot(300), bytes: 400_000, ..id };
    let store = SnapshotTask::Store { id: other, offset: 0, data: vec![7; 400_000].into() };
    assert_eq!(files.submit(store).expect("no failure"), [SnapshotEvent::Unsound(other)]);
    assert_eq!(disk.names(), [file(id)]);
    disk.limit(None);
    let newer = written(&mut files, source(200, 600));
    assert_eq!(disk.names(), [file(id), file(newer)]);
    let counts = files.counters().read();
    assert_eq!((counts.written, counts.not_written, counts.unsound), (1, 1, 1));
}

#[test]
fn a_disk_that_fails_otherwise_ends_it() {
    let (disk, _) = disk_with_one();
    let mut files = open(&disk, false).expect("sound").files;
    disk.fail_syncs(true);
    assert_eq!(write(&mut files, source(200, 6)), None);
}

#[test]
fn an_installed_snapshot_ends_the_writing_of_one_that_it_covers() {
    let (sender, id) = disk_with_one();
    let disk = MemoryDisk::new();
    let mut files = open(&disk, true).expect("an empty disk").files;
    assert_eq!(files.submit(SnapshotTask::Write(source(90, 5))).expect("begun"), []);
    files.write_on().expect("a piece");
    let store = SnapshotTask::Store { id, offset: 0, data: bytes(&sender, id) };
    files.submit(store).expect("there is room");
    let told = files.submit(SnapshotTask::Install { id }).expect("it is sound");
    assert_eq!(told, [SnapshotEvent::NotWritten, SnapshotEvent::Installed(id)]);
    assert!(!files.is_writing());
    assert_eq!(disk.names(), [file(id)]);
}
