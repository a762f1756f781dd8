//! What a node has on disk: who it is, its log and its snapshots.

use super::ServerError;
use paxos_actors::snapshots::DiskSnapshots;
use paxos_actors::wal::{FileDisk, Identity, Wal, WalOptions};
use paxos_actors::{snapshots, wal};
use paxos_core::{Incarnation, Layout, Limits, NodeId};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Snapshots are in a directory of their own below the data directory.
const SNAPSHOTS: &str = "snapshots";

/// The smallest segment: a command that goes alone in its entry fits it.
const SEGMENT_BYTES_MIN: u64 = 4 << 20;

/// The data directory of a node, taken by this process. Its log and its snapshots have a thread of
/// their own each.
pub(super) struct Data {
    pub(super) identity: Identity,
    /// None where the node has no acceptor.
    pub(super) log: Option<Wal>,
    /// None where the node has no learner.
    pub(super) snapshots: Option<DiskSnapshots>,
    /// Where they are.
    pub(super) snapshots_dir: PathBuf,
    pub(super) counters: DataCounters,
    /// Keeps other processes away for as long as it is held. Where there is a log, that one does.
    pub(super) lock: Option<FileDisk>,
}

/// What log and snapshots count.
#[derive(Clone, Debug)]
pub(super) struct DataCounters {
    pub(super) log: Arc<wal::Counters>,
    pub(super) snapshots: Arc<snapshots::Counters>,
}

impl Data {
    /// Takes the data directory of `node`, and makes it if there is none.
    pub(super) fn open(
        data_dir: &Path,
        node: NodeId,
        layout: &Layout,
        limits: &Limits,
    ) -> Result<Data, ServerError> {
        let roles = layout.roles(node);
        let mut disk = FileDisk::open(data_dir)?;
        let snapshots_dir = data_dir.join(SNAPSHOTS);
        let shelf = match roles.learner {
            true => Some(FileDisk::open(snapshots_dir.clone())?),
            false => None,
        };
        if let Some(shelf) = &shelf {
            snapshots::refuse_stray(&disk, shelf)?;
        }
        let (identity, log, lock) = match roles.acceptor {
            true => {
                let log = Wal::open(disk, log_options(node, limits))?;
                (log.identity(), Some(log), None)
            }
            false => {
                let identity = Identity::open(&mut disk, node, Incarnation(rand::random()))?;
                (identity, None, Some(disk))
            }
        };
        let others = layout.learners.iter().any(|feed| feed.learner != node);
        let snapshots = shelf.map(|disk| DiskSnapshots::open(disk, node, others)).transpose()?;
        let counters = DataCounters {
            log: log.as_ref().map(Wal::counters).unwrap_or_default(),
            snapshots: snapshots.as_ref().map(DiskSnapshots::counters).unwrap_or_default(),
        };
        Ok(Data { identity, log, snapshots, snapshots_dir, counters, lock })
    }
}

/// The log is trimmed by whole segments, so these are no larger than what is logged between two
/// snapshots, as far as that goes.
fn log_options(node: NodeId, limits: &Limits) -> WalOptions {
    let options = WalOptions::new(node);
    let wanted = limits.snapshot_log_bytes.min(options.segment_bytes.into());
    WalOptions { segment_bytes: wanted.next_multiple_of(SEGMENT_BYTES_MIN) as u32, ..options }
}
