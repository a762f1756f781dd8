//! What a learner has to do with its snapshots, step by step.

use super::Learner;
use super::transfer::{Part, Transfer};
use crate::ballot::{MemberId, NodeId};
use crate::config::Now;
use crate::message::AcceptorMsg;
use crate::role::Output;
use crate::slot::Slot;
use crate::snapshot::{
    SnapshotEvent, SnapshotId, SnapshotPiece, SnapshotSource, SnapshotTask, Unmendable,
};
use crate::state::{StateMachine, Unrestorable};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A peer that has asked for nothing for so many election timeouts fetches no more.
const FETCH_PATIENCE: u64 = 20;

impl<S: StateMachine> Learner<S> {
    /// What is to be done on its disk, in this order. Whoever drives the learner takes it after
    /// each step, and tells what came of it by [`Learner::snapshot_event`].
    pub fn snapshot_tasks(&mut self) -> Vec<SnapshotTask> {
        core::mem::take(&mut self.snapshots.tasks)
    }

    /// Whether [`Learner::snapshot_tasks`] would give back anything. As a rule it does not.
    #[inline]
    pub fn has_snapshot_tasks(&self) -> bool {
        !self.snapshots.tasks.is_empty()
    }

    /// Whether all that was replayed could be restored. If not, the learner is of no use.
    pub fn restored(&self) -> Result<(), Unrestorable> {
        self.unrestorable.clone().map_or(Ok(()), Err)
    }

    /// Why it can never be where the others are; none as a rule. It is asked after each step.
    pub fn unmendable(&self) -> Option<Unmendable> {
        self.unmendable
    }

    /// Hears what came of a task. Gives back whether the learner must now be made anew from its
    /// newest snapshot, as after a crash.
    #[must_use]
    pub fn snapshot_event(
        &mut self,
        now: Now,
        event: SnapshotEvent,
        out: &mut Output<SnapshotPiece>,
    ) -> bool {
        match event {
            SnapshotEvent::Found { newest, partial } => {
                let helps = |(id, _): &(SnapshotId, u64)| id.below > self.applied_below;
                self.snapshots.found(newest, partial.filter(helps));
                if partial.is_some() && self.snapshots.transfer.is_none() {
                    self.snapshots.tasks.push(SnapshotTask::Abandon);
                }
            }
            SnapshotEvent::Written(id) => {
                self.snapshots.written(now, id, self.fetch_patience());
                self.tell_covered(now, out);
            }
            SnapshotEvent::NotWritten => self.snapshots.not_written(),
            SnapshotEvent::Read { to, id, offset, data } => {
                self.snapshots.read(to, id, offset, data, out);
                self.write_if_due(now, out);
            }
            SnapshotEvent::Stored { id, held } => {
                let peers = self.peers();
                if let Some(transfer) = &mut self.snapshots.transfer {
                    let task = transfer.stored(now, id, held, &peers, out);
                    self.snapshots.tasks.extend(task);
                }
            }
            SnapshotEvent::Installed(id) => {
                if id.below > self.applied_below || planted!(SnapshotOverNewer) {
                    return true;
                }
                // It may have come too late, and another one be on its way.
                self.snapshots.transfer.take_if(|transfer| transfer.is_of(id));
                self.snapshots.durable(now, id, self.fetch_patience());
            }
            SnapshotEvent::Unsound(id) => {
                let transfer = &mut self.snapshots.transfer;
                if transfer.as_ref().is_some_and(|transfer| transfer.is_of(id)) {
                    *transfer = transfer.take().map(|transfer| transfer.anew(now));
                }
            }
        }
        false
    }

    /// What it wants, below `trimmed`, was forgotten by the acceptor at `node`: only a snapshot has
    /// it.
    pub(super) fn need_snapshot(&mut self, node: NodeId, trimmed: Slot) {
        if self.peers().is_empty() {
            let applied_below = self.applied_below;
            self.unmendable = Some(Unmendable::Forgotten { trimmed, applied_below });
        } else if self.snapshots.transfer.is_none() {
            let first = self.peers().iter().position(|&peer| peer == node);
            self.snapshots.transfer = Some(Transfer::new(first.unwrap_or(0)));
        }
    }

    pub(super) fn snapshot_part(&mut self, from: MemberId, part: Part) {
        if self.learns(from) {
            let (applied_below, peers) = (self.applied_below, self.peers());
            let transfer = self.snapshots.transfer.as_mut();
            let task = transfer.and_then(|t| t.part(from.node, part, applied_below, &peers));
            self.snapshots.tasks.extend(task);
        }
    }

    pub(super) fn no_snapshot(
        &mut self,
        now: Now,
        from: MemberId,
        id: Option<SnapshotId>,
        out: &mut Output<SnapshotPiece>,
    ) {
        let peers = self.peers();
        if let Some(transfer) = &mut self.snapshots.transfer {
            transfer.refused(now, from.node, id, &peers, out);
        }
    }

    /// Something was applied: a snapshot may be due, and one that was being fetched may be needed
    /// no more (invariant 10). One that is still ahead is: after a restart, a learner first applies
    /// what the acceptor beside it held when it fell behind.
    #[inline]
    pub(super) fn keep_up(&mut self, now: Now, out: &mut Output<SnapshotPiece>) {
        let applied_below = self.applied_below;
        let transfer = self.snapshots.transfer.as_ref();
        let is_needless = transfer.is_some_and(|transfer| !transfer.is_ahead_of(applied_below));
        if is_needless && !planted!(SnapshotOverNewer) {
            self.snapshots.transfer = None;
            self.snapshots.tasks.push(SnapshotTask::Abandon);
        }
        self.write_if_due(now, out);
    }

    #[inline]
    fn write_if_due(&mut self, now: Now, out: &mut Output<SnapshotPiece>) {
        if self.snapshots.is_due()
            && let Some(source) = self.source()
        {
            self.snapshots.write(source);
            if planted!(CoveredBeforeDurable) {
                self.tell_covered(now, out);
            }
        }
    }

    /// Lets time pass for snapshots and for the feed.
    pub(super) fn tend(&mut self, now: Now, out: &mut Output<SnapshotPiece>) {
        let timeout = self.options.timing.election_timeout_us();
        let peers = self.peers();
        if let Some(transfer) = &mut self.snapshots.transfer {
            transfer.tick(now, timeout, &peers, out);
        }
        self.snapshots.tick(now, self.fetch_patience());
        if self.kept_at.is_none_or(|at| now.since(at) >= timeout) {
            self.tell_covered(now, out);
            self.stay_fed(out);
        }
    }

    /// R26: tells the acceptor of its own node, and those that have no learner beside them, what is
    /// on its disk.
    fn tell_covered(&mut self, now: Now, out: &mut Output<SnapshotPiece>) {
        self.kept_at = Some(now);
        let Some(configuration) = &self.configuration else { return };
        let Some((below, log_time_ms)) = self.snapshots.covered() else { return };
        let (me, cluster) = (self.options.me.node, configuration.cluster_id());
        for &MemberId { node, .. } in &configuration.acceptors {
            if node == me || !configuration.learners.iter().any(|feed| feed.learner == node) {
                out.send(node, AcceptorMsg::Covered { cluster, below, log_time_ms });
            }
        }
    }

    /// The state as it is now, to be read out by another thread (invariant 10: with everything that
    /// a learner must know to go on from there).
    fn source(&self) -> Option<SnapshotSource> {
        let (below, log_time_ms) = (self.applied_below, self.log_time_ms);
        let configuration = self.configuration.clone()?;
        let header = SnapshotPiece::Header { below, log_time_ms, configuration };
        let sessions = self.sessions.snapshot().map(SnapshotPiece::Sessions);
        let sessions = sessions.filter(|_| !planted!(SnapshotWithoutSessions));
        let state = self.state.snapshot().map(SnapshotPiece::State);
        let pieces = Box::new(core::iter::once(header).chain(sessions).chain(state));
        Some(SnapshotSource { below, log_time_ms, pieces })
    }

    /// The nodes of the other learners.
    fn peers(&self) -> Vec<NodeId> {
        let learners = self.configuration.iter().flat_map(|c| &c.learners);
        let me = self.options.me.node;
        learners.map(|feed| feed.learner).filter(|&node| node != me).collect()
    }

    fn fetch_patience(&self) -> u64 {
        FETCH_PATIENCE * self.options.timing.election_timeout_us()
    }
}
