//! What the tests of snapshots share.

use crate::wal_support::roster;
use bytes::Bytes;
use paxos_actors::snapshots::{SnapshotError, SnapshotFiles};
use paxos_actors::wal::MemoryDisk;
use paxos_core::{
    NodeId, SessionId, SessionState, Slot, SnapshotEvent, SnapshotId, SnapshotPiece,
    SnapshotSource, SnapshotTask,
};

/// The pieces of a snapshot below this slot, with so many parts of state.
pub fn pieces(below: u64, parts: usize) -> Vec<SnapshotPiece> {
    let (below, log_time_ms, configuration) = (Slot(below), 10 * below, roster(5));
    let header = SnapshotPiece::Header { below, log_time_ms, configuration };
    let id = SessionId { slot: Slot(1), index: 2 };
    let answers = [Some(Bytes::from_static(b"ok")), None].into();
    let session = SessionState { id, expires_ms: 77, acked_below: 4, answers };
    let sessions = SnapshotPiece::Sessions(vec![session]);
    let state = |part: usize| SnapshotPiece::State(vec![(below.0 as u8) ^ part as u8; 900].into());
    [header, sessions].into_iter().chain((0..parts).map(state)).collect()
}

pub fn source(below: u64, parts: usize) -> SnapshotSource {
    let pieces = Box::new(pieces(below, parts).into_iter());
    SnapshotSource { below: Slot(below), log_time_ms: 10 * below, pieces }
}

/// What is on the disk: the files, the pieces of the newest snapshot, and what was found.
pub struct Opened {
    pub files: SnapshotFiles,
    pub pieces: Vec<SnapshotPiece>,
    pub newest: Option<SnapshotId>,
    pub partial: Option<(SnapshotId, u64)>,
}

pub fn open(disk: &MemoryDisk, others: bool) -> Result<Opened, SnapshotError> {
    let mut files = SnapshotFiles::open(disk.mount(), others)?;
    let mut pieces = Vec::new();
    match files.replay(&mut |piece, _| pieces.push(piece))? {
        SnapshotEvent::Found { newest, partial } => Ok(Opened { files, pieces, newest, partial }),
        event => panic!("{event:?}"),
    }
}

/// Writes a snapshot to its end. None: the disk failed.
pub fn write(files: &mut SnapshotFiles, source: SnapshotSource) -> Option<SnapshotEvent> {
    if let Some(event) = files.submit(SnapshotTask::Write(source)).ok()?.pop() {
        return Some(event);
    }
    while files.is_writing() {
        if let Some(event) = files.write_on().ok()? {
            return Some(event);
        }
    }
    None
}

pub fn written(files: &mut SnapshotFiles, source: SnapshotSource) -> SnapshotId {
    match write(files, source) {
        Some(SnapshotEvent::Written(id)) => id,
        event => panic!("{event:?}"),
    }
}

/// A disk with one snapshot of ten parts below slot 100.
pub fn disk_with_one() -> (MemoryDisk, SnapshotId) {
    let disk = MemoryDisk::new();
    let id = written(&mut open(&disk, true).expect("an empty disk").files, source(100, 10));
    disk.kill();
    (disk, id)
}

pub fn file(id: SnapshotId) -> String {
    let SnapshotId { below, log_time_ms, bytes, crc } = id;
    format!("{:016x}-{log_time_ms:016x}-{bytes:016x}-{crc:08x}.snapshot", below.0)
}

pub fn read(files: &mut SnapshotFiles, id: SnapshotId, offset: u64, bytes_max: usize) -> Bytes {
    let task = SnapshotTask::Read { id, offset, bytes_max, to: NodeId(2) };
    match files.submit(task).expect("it can be read").pop() {
        Some(SnapshotEvent::Read { to: NodeId(2), id: i, offset: o, data }) => {
            assert_eq!((i, o), (id, offset));
            data
        }
        event => panic!("{event:?}"),
    }
}

/// All bytes of a snapshot.
pub fn bytes(disk: &MemoryDisk, id: SnapshotId) -> Bytes {
    disk.contents(&file(id)).expect("it is complete").into()
}
