//! Fetching a snapshot from a peer: one question at a time, from where the last answer ended.

use crate::ballot::NodeId;
use crate::config::Now;
use crate::message::LearnerMsg;
use crate::role::Output;
use crate::slot::Slot;
use crate::snapshot::{SnapshotId, SnapshotPiece, SnapshotTask};
use alloc::collections::BTreeSet;
use bytes::Bytes;

/// A transfer that gets nothing for this many questions begins with another snapshot.
const ROUNDS_MAX: u32 = 20;

/// And where some peer has said that it has no such snapshot, for so many to each of the others.
const FEW_ROUNDS: u32 = 3;

/// The longest that a question waits for its answer: the patience at first, doubled so many times.
const DOUBLINGS_MAX: u32 = 3;

/// For so many bytes that came in vain, no more are asked for during an election timeout.
const VAIN_BYTES: u64 = 1 << 20;

/// The longest pause after a transfer that came to nothing, in election timeouts.
const PAUSE_MAX: u64 = 256;

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
    /// Who was asked for these bytes. An answer that is late is as good as another: the name of the
    /// snapshot has a checksum of all of it.
    asked: BTreeSet<NodeId>,
    /// Who said that it does not have the snapshot.
    without: BTreeSet<NodeId>,
    /// Questions in a row that nobody answered.
    silences: u32,
    /// How often the patience is doubled: once more for each question that nobody answers in time,
    /// once less for bytes that come in time. A part may be large and its way slow, and to ask for
    /// it again makes the way no faster.
    doublings: u32,
    /// Bytes of former transfers that could not be kept, or did not match their name.
    vain_bytes: u64,
    /// When the last of these was given up: there is a pause before the next.
    failed_at: Option<Now>,
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
            asked: BTreeSet::new(),
            without: BTreeSet::new(),
            silences: 0,
            doublings: 0,
            vain_bytes: 0,
            failed_at: None,
        }
    }

    /// Bytes of this snapshot are here from an earlier life. Where these are all, they are still to
    /// be installed.
    pub(super) fn resumed(id: SnapshotId, held: u64) -> Transfer {
        let storing = (held == id.bytes).then_some(held);
        Transfer { id: Some(id), held, storing, ..Transfer::new(0) }
    }

    /// What came was of no use. Begins again after a pause, with another snapshot and another peer.
    pub(super) fn anew(self, now: Now) -> Transfer {
        let bytes = self.storing.unwrap_or(self.held);
        let vain_bytes = self.vain_bytes.saturating_add(bytes);
        let next = Transfer::new(self.peer.wrapping_add(1));
        Transfer { vain_bytes, failed_at: Some(now), doublings: self.doublings, ..next }
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
    /// open for too long, for which the patience counts.
    pub(super) fn tick(
        &mut self,
        now: Now,
        patience_us: u64,
        peers: &[NodeId],
        out: &mut Output<SnapshotPiece>,
    ) {
        if self.failed_at.is_some_and(|at| now.since(at) < self.pause_us(patience_us)) {
            return;
        }
        let patience_us = patience_us << self.doublings;
        let is_open = self.asked_at.is_some_and(|at| now.since(at) < patience_us);
        if self.storing.is_some() || is_open || peers.is_empty() {
            return;
        }
        if self.asked_at.is_some() {
            self.peer = self.peer.wrapping_add(1);
            self.silences += 1;
            self.doublings = (self.doublings + 1).min(DOUBLINGS_MAX);
        }
        self.ask(now, peers, out);
    }

    /// After a transfer that came to nothing. The file may be rotten at one peer, and then another
    /// has it. But where the disk here is full, each attempt is in vain, and costs the links the
    /// same again: the more came to nothing so far, the longer the pause. A small one is tried
    /// again soon.
    fn pause_us(&self, timeout_us: u64) -> u64 {
        let vain = timeout_us.saturating_mul(self.vain_bytes / 1024) / (VAIN_BYTES / 1024);
        vain.min(PAUSE_MAX * timeout_us)
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
        if self.storing.is_some() || id != self.id || !self.asked.contains(&from) {
            return;
        }
        self.without.insert(from);
        if peers.get(self.peer % peers.len().max(1)) != Some(&from) {
            return;
        }
        self.peer = self.peer.wrapping_add(1);
        // Where nobody has anything, the next round waits for its time.
        if self.id.is_some() || self.without.len() < peers.len() {
            self.ask(now, peers, out);
        }
    }

    /// Bytes have come, to a state that has every slot below `applied_below`. Gives back what is to
    /// be done with them. What does not fit, or does not help (invariant 10), is dropped; the next
    /// question goes to another peer, when this one is overdue. Bytes that fit may be from any peer
    /// that was asked for them; that one is asked for the next.
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
        let was_asked = self.asked.contains(&from);
        if self.storing.is_some() || !was_asked || !is_next || !fits || !helps {
            return None;
        }
        self.id = Some(id);
        self.storing = end;
        self.peer = peers.iter().position(|&peer| peer == from).unwrap_or(self.peer);
        if self.silences == 0 {
            self.doublings = self.doublings.saturating_sub(1);
        }
        self.silences = 0;
        self.asked.clear();
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

    /// Nobody can finish it: all say so, or those who do not have been asked often enough. One
    /// peer's word counts: what it does not have any more the others forget too, as they write
    /// snapshots of their own.
    fn is_vain(&self, peers: &[NodeId]) -> bool {
        let silent = peers.len().saturating_sub(self.without.len()) as u32;
        let silences_max = match self.without.is_empty() {
            true => ROUNDS_MAX,
            false => FEW_ROUNDS * silent,
        };
        self.silences >= silences_max
    }

    fn ask(&mut self, now: Now, peers: &[NodeId], out: &mut Output<SnapshotPiece>) {
        if peers.is_empty() {
            return;
        }
        if self.is_vain(peers) {
            let Transfer { peer, doublings, vain_bytes, failed_at, .. } = *self;
            *self = Transfer { doublings, vain_bytes, failed_at, ..Transfer::new(peer) };
        }
        let peer = peers[self.peer % peers.len()];
        self.asked_at = Some(now);
        self.asked.insert(peer);
        out.send(peer, LearnerMsg::FetchSnapshot { id: self.id, offset: self.held });
    }
}
