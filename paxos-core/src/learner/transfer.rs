//! Fetching a snapshot from a peer: one question at a time, from where the last answer ended.

use crate::ballot::NodeId;
use crate::config::Now;
use crate::message::LearnerMsg;
use crate::role::Output;
use crate::slot::Slot;
use crate::snapshot::{SnapshotId, SnapshotPiece, SnapshotTask};
use alloc::collections::BTreeSet;
use bytes::Bytes;

/// A transfer that gets nothing for this many times its patience begins with another snapshot.
const ROUNDS_MAX: u32 = 20;

/// Some bytes of a snapshot.
pub(super) struct Part {
    pub(super) id: SnapshotId,
    pub(super) offset: u64,
    pub(super) data: Bytes,
}

/// A snapshot on its way here. It is resumed when a link or a process ends, with any peer that has
/// the same one.
#[derive(Debug)]
pub(super) struct Transfer {
    /// The one of which bytes are here; none: whichever the peer has.
    id: Option<SnapshotId>,
    /// How many bytes are here.
    held: u64,
    /// Bytes up to here are being stored, or all of them installed. What is told of others was
    /// stored for an earlier transfer of the same snapshot.
    storing: Option<u64>,
    /// The peer that was asked, of several in turn.
    peer: usize,
    asked_at: Option<Now>,
    /// Who said that it does not have the snapshot.
    without: BTreeSet<NodeId>,
    /// Questions in a row that nobody answered.
    silences: u32,
}

impl Transfer {
    /// Nothing is here yet; the peer at this place is asked first.
    pub(super) fn new(peer: usize) -> Transfer {
        Transfer {
            id: None,
            held: 0,
            storing: None,
            peer,
            asked_at: None,
            without: BTreeSet::new(),
            silences: 0,
        }
    }

    /// Bytes of this snapshot are here from an earlier life.
    pub(super) fn resumed(id: SnapshotId, held: u64) -> Transfer {
        Transfer { id: Some(id), held, ..Transfer::new(0) }
    }

    /// Begins again, with another snapshot and another peer.
    pub(super) fn anew(self) -> Transfer {
        Transfer::new(self.peer.wrapping_add(1))
    }

    /// Whether bytes of this snapshot are here.
    pub(super) fn is_of(&self, id: SnapshotId) -> bool {
        self.id == Some(id)
    }

    /// Whether bytes are here of a snapshot that helps a state which has every slot below this.
    pub(super) fn is_ahead_of(&self, applied_below: Slot) -> bool {
        self.id.is_some_and(|id| id.below > applied_below)
    }

    /// Asks for the next bytes, unless a question is open; and asks another peer when it has been
    /// open for too long.
    pub(super) fn tick(
        &mut self,
        now: Now,
        patience_us: u64,
        peers: &[NodeId],
        out: &mut Output<SnapshotPiece>,
    ) {
        let is_open = self.asked_at.is_some_and(|at| now.since(at) < patience_us);
        if self.storing.is_some() || is_open || peers.is_empty() {
            return;
        }
        if self.asked_at.is_some() {
            self.peer = self.peer.wrapping_add(1);
            self.silences += 1;
        }
        self.ask(now, peers, out);
    }

    /// A peer does not have it.
    pub(super) fn refused(
        &mut self,
        now: Now,
        from: NodeId,
        id: Option<SnapshotId>,
        peers: &[NodeId],
        out: &mut Output<SnapshotPiece>,
    ) {
        if self.storing.is_some() || id != self.id || !self.has_asked(from, peers) {
            return;
        }
        self.without.insert(from);
        self.peer = self.peer.wrapping_add(1);
        // Where nobody has anything, the next round waits for its time.
        if self.id.is_some() || self.without.len() < peers.len() {
            self.ask(now, peers, out);
        }
    }

    /// Bytes have come, to a state that has every slot below `applied_below`. Gives back what is to
    /// be done with them. What does not fit, or does not help (invariant 10), is dropped; the next
    /// question goes to another peer, when this one is overdue.
    pub(super) fn part(
        &mut self,
        from: NodeId,
        part: Part,
        applied_below: Slot,
        peers: &[NodeId],
    ) -> Option<SnapshotTask> {
        let Part { id, offset, data } = part;
        let is_next = match self.id {
            Some(mine) => id == mine && offset == self.held,
            None => offset == 0,
        };
        let end = offset.checked_add(data.len() as u64);
        let fits = !data.is_empty() && end.is_some_and(|end| end <= id.bytes);
        let is_newer = id.below > applied_below || planted!(SnapshotOverNewer);
        let helps = id.below <= Slot::MAX && is_newer;
        if self.storing.is_some() || !self.has_asked(from, peers) || !is_next || !fits || !helps {
            return None;
        }
        self.id = Some(id);
        self.storing = end;
        self.silences = 0;
        self.without.clear();
        Some(SnapshotTask::Store { id, offset, data })
    }

    /// So many bytes are here now. Gives back what is to be done when these are all.
    pub(super) fn stored(
        &mut self,
        now: Now,
        id: SnapshotId,
        held: u64,
        peers: &[NodeId],
        out: &mut Output<SnapshotPiece>,
    ) -> Option<SnapshotTask> {
        if self.id != Some(id) || self.storing != Some(held) {
            return None;
        }
        self.held = held;
        if held == id.bytes {
            return Some(SnapshotTask::Install { id });
        }
        self.storing = None;
        self.ask(now, peers, out);
        None
    }

    fn has_asked(&self, node: NodeId, peers: &[NodeId]) -> bool {
        !peers.is_empty() && peers[self.peer % peers.len()] == node
    }

    fn ask(&mut self, now: Now, peers: &[NodeId], out: &mut Output<SnapshotPiece>) {
        if peers.is_empty() {
            return;
        }
        if self.without.len() >= peers.len() || self.silences >= ROUNDS_MAX {
            // Nobody can finish it.
            *self = Transfer::new(self.peer);
        }
        self.asked_at = Some(now);
        let msg = LearnerMsg::FetchSnapshot { id: self.id, offset: self.held };
        out.send(peers[self.peer % peers.len()], msg);
    }
}
