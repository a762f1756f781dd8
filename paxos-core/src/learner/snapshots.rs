//! When to write a snapshot, what acceptors may forget for it, and who gets a copy.

use super::transfer::Transfer;
use crate::ballot::NodeId;
use crate::config::{Limits, Now};
use crate::message::LearnerMsg;
use crate::role::Output;
use crate::slot::Slot;
use crate::snapshot::{SnapshotId, SnapshotPiece, SnapshotSource, SnapshotTask};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;

/// Of what is applied before a snapshot is due, this part stays with acceptors when there is one: a
/// peer that is no further behind still fetches entries.
const TAIL: u64 = 2;

/// So many places of the tail are known.
const TAIL_MARKS: u64 = 16;

/// The snapshots of one learner: those on its own disk, and the one that it fetches from a peer.
#[derive(Debug)]
pub(super) struct Snapshots {
    limits: Limits,
    /// Bytes of entries that were applied since the last snapshot was begun.
    applied_bytes: u64,
    tail: Tail,
    is_writing: bool,
    /// What may be forgotten when the snapshot that is being written is durable.
    leaves: Option<(Slot, u64)>,
    newest: Option<Kept>,
    /// The one before, for as long as a peer fetches it.
    former: Option<Kept>,
    /// Acceptors may forget what is below: (slot, log time there). As a rule it is a tail below the
    /// newest snapshot, so that a peer that is not far behind can still fetch entries.
    /// None until it was told what is kept here: nothing is written, sent or fetched before.
    covered: Option<(Slot, u64)>,
    /// Peers for whom bytes are being read.
    reading: BTreeSet<NodeId>,
    pub(super) transfer: Option<Transfer>,
    pub(super) tasks: Vec<SnapshotTask>,
}

/// The last slots that were applied, by the bytes of their entries.
#[derive(Debug)]
struct Tail {
    bytes_max: u64,
    /// Bytes applied since the start.
    applied: u64,
    /// Every slot below was applied with so many bytes; log time there. The first is at the
    /// beginning of the tail, or before it.
    marks: VecDeque<(u64, Slot, u64)>,
}

impl Tail {
    fn new(limits: Limits) -> Tail {
        Tail { bytes_max: limits.snapshot_log_bytes / TAIL, applied: 0, marks: VecDeque::new() }
    }

    /// The slots below are applied, and the last of them took so many bytes.
    fn extend(&mut self, bytes: u64, below: Slot, log_time_ms: u64) {
        self.applied = self.applied.saturating_add(bytes);
        let last = self.marks.back().map_or(0, |&(at, ..)| at);
        if self.applied - last > self.bytes_max / TAIL_MARKS {
            self.marks.push_back((self.applied, below, log_time_ms));
        }
        while self.marks.get(1).is_some_and(|&(at, ..)| self.applied - at >= self.bytes_max) {
            self.marks.pop_front();
        }
    }

    /// Where it begins; none where there is nothing before it.
    fn start(&self) -> Option<(Slot, u64)> {
        let &(at, below, log_time_ms) = self.marks.front()?;
        (self.applied - at >= self.bytes_max).then_some((below, log_time_ms))
    }
}

/// A snapshot on the own disk.
#[derive(Clone, Copy, Debug)]
struct Kept {
    id: SnapshotId,
    /// Acceptors need nothing below for those who have it, or are not far behind it.
    leaves: Option<(Slot, u64)>,
    /// When a peer last asked for bytes of it.
    fetched_at: Option<Now>,
}

impl Kept {
    fn new(id: SnapshotId) -> Kept {
        Kept { id, leaves: None, fetched_at: None }
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
            tail: Tail::new(limits),
            is_writing: false,
            leaves: None,
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

    /// So many bytes more were applied, and with them every slot below; log time there.
    #[inline]
    pub(super) fn applied(&mut self, bytes: usize, below: Slot, log_time_ms: u64) {
        self.applied_bytes = self.applied_bytes.saturating_add(bytes as u64);
        self.tail.extend(bytes as u64, below, log_time_ms);
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
        self.leaves = self.tail.start();
        if planted!(CoveredBeforeDurable) {
            self.covered = Some((source.below, source.log_time_ms));
        }
        self.tasks.push(SnapshotTask::Write(source));
    }

    /// The snapshot that was to be written is durable.
    pub(super) fn written(&mut self, now: Now, id: SnapshotId, patience_us: u64) {
        self.is_writing = false;
        self.durable(now, id, patience_us);
        if let Some(newest) = self.newest.as_mut().filter(|newest| newest.id == id) {
            newest.leaves = newest.leaves.max(self.leaves.take());
        }
        self.cover(None);
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
            self.cover(Some(before.id));
        }
    }

    /// What the newest snapshot leaves behind, or this one that is gone, may be forgotten; unless a
    /// peer fetches a former one, and will want what comes after it.
    fn cover(&mut self, gone: Option<SnapshotId>) {
        if self.former.is_none() && self.covered.is_some() {
            let gone = gone.map(|id| (id.below, id.log_time_ms));
            self.covered = self.covered.max(gone).max(self.newest.and_then(|kept| kept.leaves));
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
            self.cover(Some(former.id));
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
