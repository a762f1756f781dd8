//! Where the nodes of a cluster keep their logs and snapshots.

use crate::log::Log;
use crate::snapshots::{DiskSnapshots, SnapshotError, SnapshotStore};
use crate::wal::{FileDisk, MemoryDisk, MemoryLog, Wal, WalError, WalOptions};
use paxos_core::{Incarnation, Limits, MemberId, NodeId, Record};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What opens a node's log, at each start of the node.
pub(super) type OpenLog = Box<dyn Fn(NodeId) -> Box<dyn Log<Record>>>;

/// Where the nodes of a cluster keep their logs and snapshots.
pub(super) enum Logs {
    /// In memory, for as long as the cluster lives.
    Memory(RefCell<BTreeMap<NodeId, Memory>>),
    /// In this directory: one below it for each node.
    Directory(PathBuf),
    /// Wherever this opens them.
    Opened(OpenLog),
}

/// What one node has in memory. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Memory {
    log: MemoryLog,
    snapshots: MemoryDisk,
}

impl Logs {
    pub(super) fn memory() -> Logs {
        Logs::Memory(RefCell::default())
    }

    /// Whether nothing waits for a disk.
    pub(super) fn are_in_memory(&self) -> bool {
        matches!(self, Logs::Memory(_))
    }

    /// The log of a node, and which member it makes of the node.
    pub(super) fn open(
        &self,
        node: NodeId,
        limits: &Limits,
    ) -> Result<(MemberId, Box<dyn Log<Record>>), WalError> {
        // Logs without an identity outlive nodes here, and so one incarnation does for each.
        let member = MemberId { node, incarnation: Incarnation(node.0) };
        match self {
            Logs::Memory(logs) => {
                let Memory { log, .. } = logs.borrow_mut().entry(node).or_default().clone();
                Ok((member, Box::new(log)))
            }
            Logs::Directory(path) => {
                let queue_max =
                    2 * usize::try_from(limits.log_backlog_max).unwrap_or(usize::MAX / 2);
                let options = WalOptions { queue_max, ..WalOptions::new(node) };
                let wal = Wal::open(FileDisk::open(directory(path, node))?, options)?;
                Ok((wal.identity().member, Box::new(wal)))
            }
            Logs::Opened(open) => Ok((member, open(node))),
        }
    }

    /// The snapshots of a node with a learner; `others` says whether there are other learners.
    pub(super) fn snapshots(
        &self,
        node: NodeId,
        others: bool,
    ) -> Result<Option<Box<dyn SnapshotStore>>, SnapshotError> {
        let store = match self {
            Logs::Memory(memory) => {
                let Memory { snapshots, .. } = memory.borrow_mut().entry(node).or_default().clone();
                DiskSnapshots::memory(&snapshots, node, others)?
            }
            Logs::Directory(path) => {
                let disk = FileDisk::open(directory(path, node).join("snapshots"))?;
                DiskSnapshots::open(disk, node, others)?
            }
            Logs::Opened(_) => return Ok(None),
        };
        Ok(Some(Box::new(store)))
    }
}

fn directory(path: &Path, node: NodeId) -> PathBuf {
    path.join(format!("node-{node}"))
}
