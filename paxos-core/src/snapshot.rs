//! Snapshots: what a learner keeps of its state, so that the log below can be forgotten.
//!
//! A snapshot is a sequence of [`SnapshotPiece`]s, the only things that a learner finds again after
//! a crash. How they become bytes, and which file the bytes are in, is for the shell; a learner
//! says what is to be done with them by [`SnapshotTask`]s, and hears what came of it by
//! [`SnapshotEvent`]s.

use crate::ballot::NodeId;
use crate::config::{ClusterId, Configuration};
use crate::session::SessionState;
use crate::slot::Slot;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Names a snapshot by its content: two with the same name have the same bytes, whoever wrote them,
/// so that a transfer that one peer began can be finished by another.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct SnapshotId {
    /// It has the effect of every slot below.
    pub below: Slot,
    /// Log time at the last of these slots, in milliseconds.
    pub log_time_ms: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// A checksum over all of them.
    pub crc: u32,
}

/// One piece of a snapshot. The first is the header; sessions and state follow in any number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotPiece {
    /// What the snapshot is of.
    Header {
        /// It has the effect of every slot below.
        below: Slot,
        /// Log time at the last of these slots, in milliseconds.
        log_time_ms: u64,
        /// The configuration in force from `below` on (invariant 10).
        configuration: Configuration,
    },
    /// Open sessions, with the answers that they keep (invariant 10).
    Sessions(Vec<SessionState>),
    /// A part of the replicated state; opaque to all but the state machine.
    State(Bytes),
}

/// A state as it was at one moment, to be read out while the state itself goes on.
pub type SnapshotParts = Box<dyn Iterator<Item = Bytes> + Send>;

/// The pieces of a snapshot that is to be written.
pub struct SnapshotSource {
    /// It has the effect of every slot below.
    pub below: Slot,
    /// Log time at the last of these slots, in milliseconds.
    pub log_time_ms: u64,
    /// The pieces, in order.
    pub pieces: Box<dyn Iterator<Item = SnapshotPiece> + Send>,
}

/// What a learner asks of the place where its snapshots are kept. Tasks are done in order.
#[derive(Debug)]
pub enum SnapshotTask {
    /// Write a snapshot, durably; [`SnapshotEvent::Written`] follows.
    Write(SnapshotSource),
    /// Read bytes of a snapshot that is kept here; [`SnapshotEvent::Read`] follows.
    Read {
        /// The snapshot.
        id: SnapshotId,
        /// The first byte.
        offset: u64,
        /// No more than so many.
        bytes_max: usize,
        /// The peer that asked for them.
        to: NodeId,
    },
    /// Keep bytes that a peer sent, behind those that are kept already; with `offset` 0 they begin
    /// a new transfer, in place of any other. [`SnapshotEvent::Stored`] follows.
    Store {
        /// The snapshot.
        id: SnapshotId,
        /// Where the bytes belong.
        offset: u64,
        /// The bytes.
        data: Bytes,
    },
    /// All bytes are there. If they match the name, make them durable, as the newest snapshot, and
    /// start the learner anew from it: [`SnapshotEvent::Installed`]. Otherwise drop them:
    /// [`SnapshotEvent::Unsound`].
    Install {
        /// The snapshot.
        id: SnapshotId,
    },
    /// Drop what was stored of a transfer.
    Abandon,
    /// Remove a snapshot that is needed no more.
    Remove {
        /// The snapshot.
        id: SnapshotId,
    },
}

/// What came of a [`SnapshotTask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotEvent {
    /// After a start: what is kept here.
    Found {
        /// The newest complete snapshot: the learner has been made from it.
        newest: Option<SnapshotId>,
        /// A transfer that was not finished, and how many bytes are there.
        partial: Option<(SnapshotId, u64)>,
    },
    /// The snapshot is durable: file and directory are synced.
    Written(SnapshotId),
    /// Nothing was written, for want of room.
    NotWritten,
    /// Bytes for a peer.
    Read {
        /// The peer.
        to: NodeId,
        /// The snapshot.
        id: SnapshotId,
        /// The first byte.
        offset: u64,
        /// The bytes; none: the snapshot is not kept here (any more).
        data: Bytes,
    },
    /// Bytes of a transfer are kept.
    Stored {
        /// The snapshot.
        id: SnapshotId,
        /// How many bytes are there.
        held: u64,
    },
    /// The transfer is complete, durable, and the newest snapshot. The learner must be made anew.
    Installed(SnapshotId),
    /// The transfer's bytes could not be kept, or do not match their name. They are dropped.
    Unsound(SnapshotId),
}

/// Why a learner can never be where the others are: whoever drives it ends the node, since to stand
/// still in silence would help nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmendable {
    /// An acceptor has forgotten what this learner misses, its own snapshot does not have it, and
    /// there is no other learner to send one (R26).
    Forgotten {
        /// Slots below are forgotten.
        trimmed: Slot,
        /// Slots from here on are missed.
        applied_below: Slot,
    },
    /// The snapshot is of another cluster than the acceptor beside it (R23, R24).
    OtherCluster {
        /// The cluster that the snapshot is of.
        snapshot: ClusterId,
        /// The cluster that the acceptor is of.
        acceptor: ClusterId,
    },
}

impl fmt::Debug for SnapshotSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotSource(below {})", self.below)
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot below {} ({} bytes, {:08x})", self.below, self.bytes, self.crc)
    }
}

impl fmt::Display for Unmendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unmendable::Forgotten { trimmed, applied_below } => write!(
                f,
                "the log has forgotten slots {applied_below} to {trimmed}, no snapshot here has \
                 them, and there is no other learner: put the snapshot directory back as it was, \
                 or start again with an empty data directory, without what was written"
            ),
            Unmendable::OtherCluster { snapshot, acceptor } => write!(
                f,
                "the snapshots here are of cluster {snapshot}, and the log is of cluster \
                 {acceptor}: put back the directory of either that belongs to the other"
            ),
        }
    }
}

impl core::error::Error for Unmendable {}
