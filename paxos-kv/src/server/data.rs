//! What a node has on disk: its log and its snapshots.

use super::ServerError;
use paxos_actors::snapshots::DiskSnapshots;
use paxos_actors::wal::{FileDisk, Wal, WalOptions};
use paxos_actors::{snapshots, wal};
use paxos_core::{Layout, NodeId};
use std::path::Path;
use std::sync::Arc;

/// Snapshots are in a directory of their own below the data directory.
const SNAPSHOTS: &str = "snapshots";

/// The log and the snapshots of a node, each with a thread of its own.
pub(super) struct Data {
    pub(super) log: Wal,
    pub(super) snapshots: DiskSnapshots,
}

/// What they count.
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
    ) -> Result<Data, ServerError> {
        let log = Wal::open(FileDisk::open(data_dir)?, WalOptions::new(node))?;
        let others = layout.learners.iter().any(|feed| feed.learner != node);
        let disk = FileDisk::open(data_dir.join(SNAPSHOTS))?;
        let snapshots = DiskSnapshots::open(disk, node, others)?;
        Ok(Data { log, snapshots })
    }

    pub(super) fn counters(&self) -> DataCounters {
        DataCounters { log: self.log.counters(), snapshots: self.snapshots.counters() }
    }
}
