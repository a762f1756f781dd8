//! Nodes made of actors, each with a thread and disks in memory of its own.

use super::super::shape::Shape;
use super::wire::{Control, Wire};
use actix::Addr;
use actix_rt::Arbiter;
use anyhow::Context;
use paxos_actors::Routes;
use paxos_actors::ending::NodeEnd;
use paxos_actors::node::{NoState, Node, NodeBuilder};
use paxos_actors::snapshots::DiskSnapshots;
use paxos_actors::submit::ClientHandle;
use paxos_actors::wal::{MemoryDisk, Wal, WalOptions};
use paxos_core::rng::{Rng, mix};
use paxos_core::{Incarnation, Layout, Limits, MemberId, NodeId};
use paxos_kv::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The first client is this node.
const FIRST_CLIENT: u64 = 1000;

/// Small, so that a log has many segments in a short run, and a full disk is soon felt.
const SEGMENT_BYTES: u32 = 128 << 10;

/// Where one node is.
pub(super) struct Home {
    arbiter: Arbiter,
    log: MemoryDisk,
    snapshots: MemoryDisk,
    node: Option<Node<Store>>,
    /// A disk of it failed, or was full: its log or its snapshots may end it.
    is_excused: bool,
}

/// The nodes, their clients, and a wire from each to each.
pub(super) struct Cluster {
    pub(super) homes: Vec<Home>,
    clients: Vec<Node<NoState>>,
    layout: Layout,
    /// By sender and receiver: nodes first, then clients.
    wires: Vec<Vec<(Arc<Control>, Addr<Wire>)>>,
}

impl Cluster {
    /// So many nodes and clients; it takes the current arbiter for the wires and the clients.
    pub(super) async fn start(seed: u64, nodes: usize, clients: usize) -> anyhow::Result<Cluster> {
        let ids: Vec<NodeId> = (1..=nodes as u64).map(NodeId).collect();
        let layout = Layout::full(&ids)?;
        let all = nodes + clients;
        let wire = |from: usize, to: usize| {
            let control = Arc::<Control>::default();
            let wire = Wire::start(control.clone(), mix(seed ^ (from * all + to) as u64));
            (control, wire)
        };
        let wires = (0..all).map(|from| (0..all).map(|to| wire(from, to)).collect()).collect();
        let home = |_| Home {
            arbiter: Arbiter::new(),
            log: MemoryDisk::new(),
            snapshots: MemoryDisk::new(),
            node: None,
            is_excused: false,
        };
        let homes = (0..nodes).map(home).collect();
        let mut cluster = Cluster { homes, clients: Vec::new(), layout, wires };
        for at in 0..nodes {
            cluster.start_node(at).await?;
        }
        for at in 0..clients {
            cluster.start_client(nodes + at)?;
        }
        Ok(cluster)
    }

    /// The number of whoever has this place.
    fn id(&self, at: usize) -> NodeId {
        match at.checked_sub(self.homes.len()) {
            None => NodeId(at as u64 + 1),
            Some(client) => NodeId(FIRST_CLIENT + client as u64),
        }
    }

    /// The ways to all others, as the table of this one has them.
    fn ways(&self, at: usize) -> Routes {
        let others = self.wires[at].iter().enumerate().filter(|(to, _)| *to != at);
        others
            .fold(Routes::new(), |routes, (to, (_, wire))| Wire::add_to(wire, routes, self.id(to)))
    }

    /// All wires to this one lead to its present life.
    fn lead_to(&self, at: usize, target: Routes) {
        let target = Arc::new(target);
        self.wires.iter().for_each(|row| row[at].0.lead_to(target.clone()));
    }

    /// Starts a node that does not run, from what its disks have.
    pub(super) async fn start_node(&mut self, at: usize) -> anyhow::Result<()> {
        if self.homes[at].node.is_some() {
            return Ok(());
        }
        let (id, base, layout) = (self.id(at), self.ways(at), self.layout.clone());
        let home = &mut self.homes[at];
        let (log, snapshots) = (home.log.clone(), home.snapshots.clone());
        let (told, started) = oneshot::channel();
        home.arbiter.spawn_fn(move || {
            // Whoever waits is there until this is told.
            let _ = told.send(node(id, layout, base, &log, &snapshots));
        });
        let node = started.await.context("the thread of a node is gone")??;
        let target = node.add_to(Routes::new());
        (home.node, home.is_excused) = (Some(node), false);
        self.lead_to(at, target);
        Ok(())
    }

    fn start_client(&mut self, at: usize) -> anyhow::Result<()> {
        let node = self.id(at);
        let me = MemberId { node, incarnation: Incarnation(node.0) };
        let mut preferred = self.layout.proposers.clone();
        preferred.rotate_left(at % self.homes.len());
        let client = NodeBuilder::new(me, self.layout.clone())
            .client(preferred)
            .routes(self.ways(at))
            .start()?;
        self.lead_to(at, client.add_to(Routes::new()));
        self.clients.push(client);
        Ok(())
    }

    /// All clients.
    pub(super) fn handles(&self, timeout: Duration) -> Vec<ClientHandle> {
        let handles = self.clients.iter().filter_map(Node::client);
        handles.map(|client| client.timeout(timeout)).collect()
    }

    /// A node that runs.
    pub(super) fn node(&self, at: usize) -> Option<&Node<Store>> {
        self.homes[at].node.as_ref()
    }

    /// The power of these nodes fails: what was not synced is lost, or what the seed leaves of it.
    pub(super) async fn crash(&mut self, nodes: &[usize], rng: &mut Rng) {
        for &at in nodes {
            self.homes[at].log.crash(Some(rng.next_u64()));
            self.homes[at].snapshots.crash(Some(rng.next_u64()));
        }
        for &at in nodes {
            if let Some(node) = self.homes[at].node.take() {
                let ending = node.ending();
                drop(node);
                ending.wait().await;
            }
        }
    }

    /// Has the disks of a node fail to sync, or not. Then what ends it is no wonder.
    pub(super) fn fail_syncs(&mut self, at: usize, fail: bool) {
        let home = &mut self.homes[at];
        home.is_excused |= fail;
        home.log.fail_syncs(fail);
        home.snapshots.fail_syncs(fail);
    }

    /// Leaves no room on the disks of a node, or as much as it wants.
    pub(super) fn fill_disks(&mut self, at: usize, is_full: bool) {
        let home = &mut self.homes[at];
        home.is_excused |= is_full;
        home.log.limit(is_full.then_some(0));
        home.snapshots.limit(is_full.then_some(0));
    }

    /// Takes away a node that has ended by itself. An error: it had no excuse.
    pub(super) async fn has_ended(&mut self, at: usize) -> Result<bool, String> {
        let home = &mut self.homes[at];
        let Some(end) = home.node.as_ref().and_then(|node| node.ending().reason().cloned()) else {
            return Ok(false);
        };
        if let Some(node) = home.node.take() {
            node.ended().await;
        }
        match end {
            NodeEnd::LogFailed(_) | NodeEnd::SnapshotsFailed(_) if home.is_excused => Ok(true),
            end => Err(format!("node {} has ended by itself: {end}", at + 1)),
        }
    }

    /// Bends the wires between nodes.
    pub(super) fn bend(&self, shape: &Shape) {
        for (&(from, to), &way) in shape {
            self.wires[from][to].0.bend(way);
        }
    }

    /// Each letter to this node comes so many times more often.
    pub(super) fn flood(&self, at: usize, copies: u64) {
        self.wires.iter().for_each(|row| row[at].0.flood(copies));
    }

    /// Letters to this node that found a mailbox full.
    pub(super) fn full(&self, at: usize) -> u64 {
        self.wires.iter().map(|row| row[at].0.full()).sum()
    }

    /// Every wire passes what it gets.
    pub(super) fn straighten(&self) {
        for (control, _) in self.wires.iter().flatten() {
            control.bend(Default::default());
            control.flood(0);
        }
    }

    /// Ends all nodes and their threads.
    pub(super) async fn end(mut self) {
        self.clients.clear();
        for home in self.homes {
            if let Some(node) = home.node {
                node.stop().await;
            }
            home.arbiter.stop();
            // A thread that panicked has ended, too, and was heard of.
            let _ = home.arbiter.join();
        }
    }
}

/// A node from what its disks have, on the current arbiter.
fn node(
    id: NodeId,
    layout: Layout,
    base: Routes,
    log: &MemoryDisk,
    snapshots: &MemoryDisk,
) -> anyhow::Result<Node<Store>> {
    let options = WalOptions { segment_bytes: SEGMENT_BYTES, ..WalOptions::new(id) };
    let log = Wal::open(log.mount(), options)?;
    let snapshots = DiskSnapshots::memory(snapshots, id, true)?;
    let started = NodeBuilder::new(log.identity().member, layout)
        .limits(limits())
        .learner(Store::new)
        .log(Box::new(log))
        .snapshots(Box::new(snapshots))
        .routes(base)
        .start()?;
    Ok(started)
}

/// Little room, so that it runs out.
fn limits() -> Limits {
    Limits {
        value_bytes_max: 16 << 10,
        entry_bytes_max: 32 << 10,
        snapshot_log_bytes: 100_000,
        mailbox_max: 256,
        ..Limits::default()
    }
}
