//! Where the nodes of a cluster keep their logs.

use crate::log::Log;
use crate::wal::{FileDisk, MemoryLog, Wal, WalError, WalOptions};
use paxos_core::{Incarnation, Limits, MemberId, NodeId, Record};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What opens a node's log, at each start of the node.
pub(super) type OpenLog = Box<dyn Fn(NodeId) -> Box<dyn Log<Record>>>;

/// Where the nodes of a cluster keep their logs.
pub(super) enum Logs {
    /// In memory, for as long as the cluster lives.
    Memory(RefCell<BTreeMap<NodeId, MemoryLog<Record>>>),
    /// In this directory: one below it for each node.
    Directory(PathBuf),
    /// Wherever this opens them.
    Opened(OpenLog),
}

impl Logs {
    pub(super) fn memory() -> Logs {
        Logs::Memory(RefCell::default())
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
                let log = logs.borrow_mut().entry(node).or_default().clone();
                Ok((member, Box::new(log)))
            }
            Logs::Directory(path) => {
                let queue_max =
                    2 * usize::try_from(limits.log_backlog_max).unwrap_or(usize::MAX / 2);
                let options = WalOptions { queue_max, ..WalOptions::new(node) };
                let wal = Wal::open(FileDisk::open(path.join(format!("node-{node}")))?, options)?;
                Ok((wal.identity().member, Box::new(wal)))
            }
            Logs::Opened(open) => Ok((member, open(node))),
        }
    }
}
