//! Where a learner keeps its snapshots: what it finds again after a crash.
//!
//! A directory of snapshots has these files, all of them written through [`Disk`] alone. Numbers
//! in names are hexadecimal, and name a snapshot in full: below, log time, bytes and crc.
//!
//! ```text
//! lock                             held by the process that uses the directory
//! <16>-<16>-<16>-<8>.snapshot      a complete snapshot: as a rule one, for a while two
//! writing.tmp                      the one that is being written
//! incoming-<16>-<16>-<16>-<8>      one on its way from a peer: as much as is there
//! <16>-<16>-<16>-<8>.damaged       the last one that was found damaged
//! ```
//!
//! A snapshot, complete or on its way, has these bytes; all numbers are little endian:
//!
//! ```text
//! offset bytes
//!   0    8   magic "PAXOSNAP"
//!   8    4   format version, 1
//!  12    *   frames, one behind the other
//!
//! frame, at any offset of the file:
//!   0    4   length of the piece, in bytes; 0 in the last frame, which ends the file
//!   4    4   CRC32C over the frame's offset in the file (8 bytes), the length, and the piece
//!   8    *   a [`SnapshotPiece`], encoded by [`crate::codec`]; the first is the header
//! ```
//!
//! The crc in a snapshot's name is CRC32C over the whole file. There is nothing in it of the member
//! that wrote it, or of when: equal states have equal bytes, so that a transfer which one peer
//! began can be finished by another.
//!
//! **Writing.** Pieces are encoded and written one by one, by a thread of its own, which does other
//! tasks in between: a long snapshot delays no transfer. The file is synced, then it gets its name,
//! then the directory is synced; only then is it said to be there.
//!
//! **Reading.** A snapshot is checked as a whole before the first piece of it is given to anyone.
//! One that is damaged is set aside, loudly, where an older one is there or another learner can
//! send its own; else the node does not start, for its log has forgotten what the snapshot covers.
//!
//! **Sending.** A snapshot is read as a whole before a peer gets the first byte of it, and again
//! when bytes are asked for after a peer had all of them. A damaged one is set aside, and the
//! learner writes a new one of what it has in memory.
//!
//! **Failing.** Where there is no room, there is no new snapshot, and a warning; the log goes on,
//! and is not trimmed. Any other failure of the disk ends the node, as with the log.

mod counters;
mod error;
mod files;
mod format;
mod incoming;
mod name;
mod thread;

pub use counters::{Counters, Counts};
pub use error::SnapshotError;
pub use files::SnapshotFiles;
pub use thread::DiskSnapshots;

use crate::log::Log;
use crate::wal::{Disk, Identity};
use actix::{Message, Recipient};
use paxos_core::{SnapshotEvent, SnapshotPiece, SnapshotTask};

/// A store of snapshots as its learner's actor sees it.
///
/// An epoch begins as that of a log does: [`Log::open`] replays the pieces of the newest snapshot.
/// Before the replay is called ready, [`SnapshotEvent::Found`] is told. Nothing is ever appended:
/// snapshots change by tasks only.
pub trait SnapshotStore: Log<SnapshotPiece> {
    /// Where events go from the next epoch on.
    fn report_to(&mut self, events: Recipient<SnapshotTold>);

    /// Does a task, after those before it; a snapshot that is being written may take longer than
    /// those behind it. Tasks of an epoch that has ended are dropped.
    fn submit(&mut self, epoch: u64, task: SnapshotTask);
}

/// Refuses snapshots that were left behind in a data directory which is about to get an identity:
/// a new member would take up the state of whichever cluster they are of (R24). Asked before the
/// identity is made.
pub fn refuse_stray(data: &dyn Disk, snapshots: &dyn Disk) -> Result<(), SnapshotError> {
    let is_stray = |name: &String| {
        matches!(name::kind(name), Some(name::Kind::Complete(_) | name::Kind::Incoming(_)))
    };
    if Identity::is_in(data)? || !snapshots.list()?.iter().any(is_stray) {
        return Ok(());
    }
    Err(SnapshotError::Stray { path: snapshots.path("") })
}

/// What a store of snapshots tells the actor that uses it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct SnapshotTold {
    /// The epoch that it belongs to.
    pub epoch: u64,
    /// What came of a task.
    pub event: SnapshotEvent,
}
