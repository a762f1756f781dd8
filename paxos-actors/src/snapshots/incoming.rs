//! A snapshot on its way here, as a file that grows.

use crate::wal::{DiskError, DiskFile};
use paxos_core::SnapshotId;

/// Bytes that are written again at a time.
const PIECE_BYTES: usize = 256 << 10;

/// A snapshot on its way here.
pub(super) struct Incoming {
    pub(super) id: SnapshotId,
    pub(super) file: Box<dyn DiskFile>,
    pub(super) held: u64,
    /// So many of these were stored by a process that has ended.
    pub(super) inherited: u64,
}

impl Incoming {
    /// Makes durable what is here. What an ended process stored may be in a cache only, and a sync
    /// of it may have failed: such pages count as clean, and would never reach the disk unless they
    /// are written again.
    pub(super) fn sync(&mut self) -> Result<(), DiskError> {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut at = 0;
        while at < self.inherited {
            let piece = &mut buffer[..(self.inherited - at).min(PIECE_BYTES as u64) as usize];
            self.file.read_at(at, piece)?;
            self.file.write_at(at, piece)?;
            at += piece.len() as u64;
        }
        self.file.sync_data()
    }
}
