//! What the threads of a node do with its disk, in virtual time: the real log and the real
//! snapshot files, one request after another.
//!
//! Work is done at the moment at which it is finished. A crash before that moment does as many of
//! its operations on the disk as the seed says, and no more: so a crash comes at any of them.

use super::disk::SimDisk;
use paxos_actors::snapshots::{SnapshotError, SnapshotFiles};
use paxos_actors::wal::{Found, Segments, WalError, WalOptions};
use paxos_core::rng::Rng;
use paxos_core::*;
use std::collections::VecDeque;

/// Operations on a disk that one request takes, about at most.
const OPERATIONS_MAX: u64 = 14;

/// Bytes that a transfer is read in, at most: so that transfers take a while.
const PART_BYTES_MAX: usize = 400;

/// An acceptor's log while a process uses it.
pub(super) struct LogThread {
    segments: Segments,
    queue: Vec<Record>,
    batch: Vec<Record>,
}

impl LogThread {
    /// Opens the log on a disk, which may be empty. Gives it back with its records.
    pub fn open(
        disk: &SimDisk,
        me: MemberId,
        segment_bytes: u32,
    ) -> Result<(LogThread, Vec<Record>), WalError> {
        let MemberId { node, incarnation } = me;
        let options = WalOptions { node, incarnation, segment_bytes, queue_max: usize::MAX };
        let found = Found::open(disk.mount(), options)?;
        let mut records = Vec::new();
        let segments = found.replay(&mut |record, _| records.push(record))?;
        let thread = LogThread { segments, queue: Vec::new(), batch: Vec::new() };
        Ok((thread, records))
    }

    /// How many records the log has, durably.
    pub fn lsn(&self) -> u64 {
        self.segments.lsn()
    }

    /// Takes records. Says whether the thread was idle, and now has something to do.
    pub fn append(&mut self, records: Vec<Record>) -> bool {
        self.queue.extend(records);
        self.batch.is_empty() && self.begin()
    }

    /// Takes what has queued as the next batch. Says whether there is one.
    pub fn begin(&mut self) -> bool {
        self.batch = std::mem::take(&mut self.queue);
        !self.batch.is_empty()
    }

    /// The batch is written and synced. Gives back its records, and how many the log now has.
    pub fn finish(&mut self) -> Result<(Vec<Record>, u64), WalError> {
        let batch = std::mem::take(&mut self.batch);
        self.segments.append(&batch)?;
        let lsn = self.segments.commit()?;
        Ok((batch, lsn))
    }

    /// Prepares the next segment, as the thread does after each batch.
    pub fn prepare(&mut self) -> Result<(), WalError> {
        self.segments.prepare()
    }

    /// Goes on with the batch, for so long as the disk does. The process has ended.
    pub fn break_off(mut self, disk: &SimDisk, rng: &mut Rng) {
        if !self.batch.is_empty() {
            disk.memory.fail_after(operations(rng));
            // What it says no one hears.
            let _ = self.finish().and_then(|_| self.prepare());
        }
    }
}

/// A learner's snapshots while a process uses them.
pub(super) struct SnapshotThread {
    files: SnapshotFiles,
    tasks: VecDeque<SnapshotTask>,
}

impl SnapshotThread {
    /// Opens the snapshots on a disk, which may be empty. Gives them back with the pieces of the
    /// newest, and what there is.
    pub fn open(
        disk: &SimDisk,
        others: bool,
    ) -> Result<(SnapshotThread, Vec<SnapshotPiece>, SnapshotEvent), SnapshotError> {
        let files = SnapshotFiles::open(disk.mount(), others)?;
        SnapshotThread { files, tasks: VecDeque::new() }.reopen()
    }

    /// The pieces of the newest snapshot, for a learner that is made anew.
    pub fn reopen(
        mut self,
    ) -> Result<(SnapshotThread, Vec<SnapshotPiece>, SnapshotEvent), SnapshotError> {
        let mut pieces = Vec::new();
        self.tasks.clear();
        let found = self.files.replay(&mut |piece, _| pieces.push(piece))?;
        Ok((self, pieces, found))
    }

    /// Takes tasks. Says whether the thread was idle, and now has something to do.
    pub fn submit(&mut self, tasks: Vec<SnapshotTask>) -> bool {
        let was_idle = self.is_idle();
        for mut task in tasks {
            if let SnapshotTask::Read { bytes_max, .. } = &mut task {
                *bytes_max = (*bytes_max).min(PART_BYTES_MAX);
            }
            self.tasks.push_back(task);
        }
        was_idle && !self.is_idle()
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.tasks.is_empty() && !self.files.is_writing()
    }

    /// The next task is done, or the next piece of the snapshot that is being written, by chance.
    pub fn finish(&mut self, rng: &mut Rng) -> Result<Vec<SnapshotEvent>, SnapshotError> {
        if self.files.is_writing() && (self.tasks.is_empty() || rng.between(0, 2) == 0) {
            return Ok(Vec::from_iter(self.files.write_on()?));
        }
        match self.tasks.pop_front() {
            Some(task) => self.files.submit(task),
            None => Ok(Vec::new()),
        }
    }

    /// Goes on with the task, for so long as the disk does. The process has ended.
    pub fn break_off(mut self, disk: &SimDisk, rng: &mut Rng) {
        if !self.is_idle() {
            disk.memory.fail_after(operations(rng));
            let _ = self.finish(rng);
        }
    }
}

/// How many operations on a disk are still done. Most batches are a write and a sync.
fn operations(rng: &mut Rng) -> u64 {
    let most = [3, OPERATIONS_MAX][rng.between(0, 2) as usize];
    rng.between(0, most)
}
