//! What a node tells about itself.

use super::Links;
use super::data::DataCounters;
use crate::store::Store;
use crate::wire::{Counters, Status};
use paxos_actors::node::{NodeStatus, NodeView};
use std::collections::BTreeMap;

/// Puts together what a node tells from what its roles, its log and its links tell.
#[derive(Clone, Debug)]
pub(super) struct Inspector {
    pub(super) node: NodeView<Store>,
    pub(super) counters: DataCounters,
    pub(super) links: Option<Links>,
}

impl Inspector {
    /// What the node tells; what a role that has ended would tell is left out.
    pub(super) async fn status(&self) -> Status {
        let (node, configuration, store) = tokio::join!(
            self.node.status(),
            self.node.configuration(),
            self.node.state(|store: &Store| (store.revision(), store.len()))
        );
        let mut status = Status { node: node.me.node.0, ..Status::default() };
        status.counters = self.counters(&node);
        status.cluster = configuration.map(|known| known.cluster_id().to_string());
        (status.revision, status.keys) = store.unwrap_or_default();
        if let Some(proposer) = node.proposer {
            status.roles.push("proposer".to_owned());
            status.stance = proposer.stance.to_string();
            status.ballot = proposer.ballot.to_string();
            status.leader = proposer.leader.map(|node| node.0);
            status.chosen_below = status.chosen_below.max(proposer.chosen_below.0);
        }
        if let Some(acceptor) = node.acceptor {
            status.roles.push("acceptor".to_owned());
            status.promised = acceptor.promised.to_string();
            status.awaited = acceptor.awaited.iter().map(|node| node.0).collect();
            status.chosen_below = status.chosen_below.max(acceptor.chosen_below.0);
            status.trimmed = acceptor.trimmed.0;
        }
        if let Some(learner) = node.learner {
            status.roles.push("learner".to_owned());
            status.chosen_below = status.chosen_below.max(learner.chosen_below.0);
            status.applied_below = learner.applied_below.0;
            status.snapshot_below = learner.snapshot_below.0;
            status.wants_snapshot = learner.wants_snapshot;
            status.digest = format!("{:016x}", learner.digest);
            status.log_time_ms = learner.log_time_ms;
            status.sessions = learner.sessions;
        }
        status
    }

    fn counters(&self, node: &NodeStatus) -> Counters {
        let (log, counts) = (self.counters.log.read(), &node.counts);
        let snapshots = self.counters.snapshots.read();
        let named = |(name, count): (&str, u64)| (name.to_owned(), count);
        let messages = counts.posted.iter().filter(|&(_, &n)| n > 0);
        let dropped = node.shells.values().map(|shell| shell.dropped);
        let dropped: u64 = dropped.map(|dropped| dropped.not_running + dropped.overload).sum();
        Counters {
            fsyncs: log.fsyncs,
            records: log.records,
            campaigns: node.proposer.as_ref().map_or(0, |proposer| proposer.campaigns),
            drops: counts.full + counts.unreachable + dropped,
            messages: messages.map(|(kind, &n)| named((kind.name(), n))).collect(),
            log: [
                ("frames", log.frames),
                ("bytes", log.bytes),
                ("segments", log.segments),
                ("fsync_us_max", log.fsync_us_max),
                ("fsync_us_avg", log.fsync_us_avg),
            ]
            .map(named)
            .into(),
            snapshots: snapshots.named().map(named).into(),
            links: self.links.as_ref().map(Links::read).unwrap_or_default(),
            clients: Default::default(),
        }
    }
}

impl Links {
    /// All counters by name, and the round trips: the longest, and to each peer.
    fn read(&self) -> BTreeMap<String, u64> {
        let counters = self.counters.read().into_iter();
        let mut read: BTreeMap<_, _> =
            counters.map(|(name, count)| (name.to_owned(), count)).collect();
        let mut max_us = 0;
        for (node, latency) in self.round_trips.each() {
            max_us = max_us.max(latency.max_us());
            read.insert(format!("round_trip_us_max_to_{node}"), latency.max_us());
            read.insert(format!("round_trip_us_avg_to_{node}"), latency.average_us());
        }
        read.insert("round_trip_us_max".to_owned(), max_us);
        read
    }
}
