//! When to write a snapshot, what acceptors may forget for it, and who gets a copy.

use super::transfer::Transfer;
use crate::ballot::NodeId;
use crate::config::{Limits, Now};
use crate::message::LearnerMsg;
use crate::role::Output;
use crate::slot::Slot;
use crate::snapshot::{SnapshotId, SnapshotPiece, SnapshotSource, SnapshotTask};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use bytes::Bytes;

/// The snapshots of one learner: those on its own disk, and the one that it fetches from a peer.
#[derive(Debug)]
pub(super) struct Snapshots {
    limits: Limits,
    /// Bytes of entries that were applied since the last snapshot was begun.
    applied_bytes: u64,
    is_writing: bool,
    newest: Option<Kept>,
    /// The one before, for as long as a peer fetches it.
    former: Option<Kept>,
    /// Acceptors may forget what is below: (slot, log time there). As a rule the `below` of the
    /// snapshot before the newest, so that a peer that is not far behind can still fetch entries.
    /// None until it was told what is kept here: nothing is written, sent or fetched before.
    covered: Option<(Slot, u64)>,
    /// Peers for whom bytes are being read.
    reading: BTreeSet<NodeId>,
    pub(super) transfer: Option<Transfer>,
    pub(super) tasks: Vec<SnapshotTask>,
}

/// A snapshot on the own disk.
#[derive(Clone, Copy, Debug)]
struct Kept {
    id: SnapshotId,
    /// When a peer last asked for bytes of it.
    fetched_at: Option<Now>,
}

impl Kept {
    fn new(id: SnapshotId) -> Kept {
        Kept { id, fetched_at: None }
    }

    fn is_fetched(&self, now: Now, patience_us: u64) -> bool {
        self.fetched_at.is_some_and(|at| now.since(at) < patience_us)
    }
}

impl Snapshots {
    pub(super) fn new(limits: Limits) -> Snapshots {
        Snapshots {
            limits,
            applied_bytes: 0,
            is_writing: false,
            newest: None,
            former: None,
            covered: None,
            reading: BTreeSet::new(),
            transfer: None,
            tasks: Vec::new(),
        }
    }

    /// After a start: this is on the disk.
    pub(super) fn found(&mut self, newest: Option<SnapshotId>, partial: Option<(SnapshotId, u64)>) {
        self.newest = newest.map(Kept::new);
        self.covered = Some(newest.map_or((Slot::ZERO, 0), |id| (id.below, id.log_time_ms)));
        self.transfer = partial.map(|(id, held)| Transfer::resumed(id, held));
        let complete = partial.filter(|(id, held)| *held == id.bytes);
        self.tasks.extend(complete.map(|(id, _)| SnapshotTask::Install { id }));
    }

    /// So many bytes more were applied.
    #[inline]
    pub(super) fn applied(&mut self, bytes: usize) {
        self.applied_bytes = self.applied_bytes.saturating_add(bytes as u64);
    }

    /// Whether a snapshot is to be written now.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        let last = self.newest.map_or(0, |kept| kept.id.bytes);
        let due = self.applied_bytes >= self.limits.snapshot_log_bytes.max(last);
        self.covered.is_some() && !self.is_writing && due
    }

    /// Has a snapshot written.
    pub(super) fn write(&mut self, source: SnapshotSource) {
        self.is_writing = true;
        self.applied_bytes = 0;
        if planted!(CoveredBeforeDurable) {
            self.covered = Some((source.below, source.log_time_ms));
        }
        self.tasks.push(SnapshotTask::Write(source));
    }

    /// The snapshot that was to be written is durable.
    pub(super) fn written(&mut self, now: Now, id: SnapshotId, patience_us: u64) {
        self.is_writing = false;
        self.durable(now, id, patience_us);
    }

    /// The snapshot is durable, wherever it came from. The one before goes, unless a peer is
    /// fetching it.
    pub(super) fn durable(&mut self, now: Now, id: SnapshotId, patience_us: u64) {
        if [self.newest, self.former].into_iter().flatten().any(|kept| kept.id == id) {
            // Equal states have equal snapshots: one that came from a peer when its slots had been
            // applied is written here once more, in the same file.
            return;
        }
        if id.below <= self.below() {
            // It came from a peer, too late to be of use.
            return self.tasks.push(SnapshotTask::Remove { id });
        }
        let Some(before) = self.newest.replace(Kept::new(id)) else { return };
        if self.former.is_none() && before.is_fetched(now, patience_us) {
            self.former = Some(before);
        } else {
            self.tasks.push(SnapshotTask::Remove { id: before.id });
            if self.former.is_none() {
                self.covered = Some((before.id.below, before.id.log_time_ms));
            }
        }
    }

    /// There was no room for the snapshot. The next is tried when as much again was applied.
    pub(super) fn not_written(&mut self) {
        self.is_writing = false;
    }

    /// The newest snapshot has the effect of every slot below.
    pub(super) fn below(&self) -> Slot {
        self.newest.map_or(Slot::ZERO, |kept| kept.id.below)
    }

    /// Every slot below is on the own disk, and is not needed by a peer that fetches a snapshot;
    /// log time there. None: it is not known what is on the disk.
    pub(super) fn covered(&self) -> Option<(Slot, u64)> {
        self.covered
    }

    /// Removes a former snapshot that no peer fetches any more.
    pub(super) fn tick(&mut self, now: Now, patience_us: u64) {
        if let Some(former) = self.former
            && !former.is_fetched(now, patience_us)
        {
            self.former = None;
            self.tasks.push(SnapshotTask::Remove { id: former.id });
            self.covered = Some((former.id.below, former.id.log_time_ms));
        }
    }

    /// A peer wants bytes of this snapshot, or of the newest.
    pub(super) fn fetched(
        &mut self,
        now: Now,
        to: NodeId,
        id: Option<SnapshotId>,
        offset: u64,
        out: &mut Output<SnapshotPiece>,
    ) {
        let kept = [&mut self.newest, &mut self.former].into_iter().flatten();
        let wanted = |kept: &&mut Kept| id.is_none_or(|id| kept.id == id);
        match kept.into_iter().find(wanted) {
            Some(kept) if offset < kept.id.bytes => {
                kept.fetched_at = Some(now);
                // One that asks again is not answered twice.
                if self.reading.insert(to) {
                    let bytes_max = self.limits.part_bytes_max;
                    self.tasks.push(SnapshotTask::Read { id: kept.id, offset, bytes_max, to });
                }
            }
            _ if self.covered.is_some() => out.send(to, LearnerMsg::NoSnapshot { id }),
            _ => {}
        }
    }

    /// Bytes for a peer were read; none where the snapshot is gone, or was found damaged. Another
    /// is due then, if it was the newest.
    pub(super) fn read(
        &mut self,
        to: NodeId,
        id: SnapshotId,
        offset: u64,
        data: Bytes,
        out: &mut Output<SnapshotPiece>,
    ) {
        self.reading.remove(&to);
        if data.is_empty() && self.newest.is_some_and(|kept| kept.id == id) {
            self.newest = None;
            self.applied_bytes = u64::MAX;
        }
        match data.is_empty() {
            true => out.send(to, LearnerMsg::NoSnapshot { id: Some(id) }),
            false => out.send(to, LearnerMsg::SnapshotPart { id, offset, data }),
        }
    }
}
