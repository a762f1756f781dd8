//! What a node has on disk.

use paxos_actors::wal::{Counters, FileDisk, Identity, Wal, WalError, WalOptions};
use paxos_core::{Incarnation, NodeId};
use std::path::Path;
use std::sync::Arc;

/// A data directory, taken by this process: who the node is, and the log of its acceptor.
pub(super) struct Data {
    pub(super) identity: Identity,
    /// None where the node has no acceptor.
    pub(super) log: Option<Wal>,
    pub(super) counters: Arc<Counters>,
    /// Keeps other processes away for as long as it is held. Where there is a log, that one does.
    pub(super) lock: Option<FileDisk>,
}

impl Data {
    /// Takes the directory; makes it where there is none.
    pub(super) fn open(
        directory: &Path,
        node: NodeId,
        has_acceptor: bool,
    ) -> Result<Data, WalError> {
        let mut disk = FileDisk::open(directory)?;
        if has_acceptor {
            let log = Wal::open(disk, WalOptions::new(node))?;
            let (identity, counters) = (log.identity(), log.counters());
            return Ok(Data { identity, log: Some(log), counters, lock: None });
        }
        let identity = Identity::open(&mut disk, node, Incarnation(rand::random()))?;
        Ok(Data { identity, log: None, counters: Arc::default(), lock: Some(disk) })
    }
}
