//! What snapshots cover, and so what an acceptor may forget (rule R26).

use crate::ballot::NodeId;
use crate::config::Configuration;
use crate::slot::Slot;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// What each learner said last. What it said before does not count: its disk may be a new one.
#[derive(Debug, Default)]
pub(super) struct Coverage(BTreeMap<NodeId, (Slot, u64)>);

impl Coverage {
    /// The learner at `node` has every slot below on its disk; log time there.
    pub(super) fn note(&mut self, node: NodeId, below: Slot, log_time_ms: u64) {
        self.0.insert(node, (below, log_time_ms));
    }

    /// The acceptor at `me` may forget the slots below this one; log time there. With a learner on
    /// its own node it waits for that one. An acceptor that only votes waits for learners on as
    /// many nodes as the smallest phase-2 quorum has: where so many disks are lost, votes are lost
    /// too.
    pub(super) fn trimmable(&self, me: NodeId, configuration: &Configuration) -> (Slot, u64) {
        let said = |node: &NodeId| self.0.get(node).copied().unwrap_or_default();
        let learners = || configuration.learners.iter().map(|feed| &feed.learner);
        if learners().any(|&node| node == me) {
            return said(&me);
        }
        let mut all: Vec<(Slot, u64)> = learners().map(said).collect();
        all.sort_unstable_by(|a, b| b.cmp(a));
        let needed = if planted!(CoveredByTooFew) { 1 } else { configuration.quorums.phase2_min() };
        all.get(needed - 1).copied().unwrap_or_default()
    }
}
