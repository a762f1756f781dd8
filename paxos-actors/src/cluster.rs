//! A whole cluster in one process: for tests, and for learning.

mod logs;

use self::logs::Logs;
use crate::awake;
use crate::ending::NodeEnd;
use crate::log::Log;
use crate::node::{NoState, Node, NodeBuilder, NodeError, NodeStatus};
use crate::routes::Routes;
use crate::snapshots::SnapshotError;
use crate::submit::ClientHandle;
use crate::wal::WalError;
use actix_rt::ArbiterHandle;
use paxos_core::quorum::QuorumError;
use paxos_core::{
    Incarnation, Layout, Limits, MemberId, NodeId, Record, StanceName, StateMachine, Timing,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::oneshot;

/// Nodes in one process, which post to each other's mailboxes. Nodes can be killed, restarted
/// and cut off; dropping the cluster kills all of them.
pub struct Cluster<S: StateMachine> {
    plan: ClusterBuilder<S>,
    nodes: BTreeMap<NodeId, Node<S>>,
    clients: BTreeMap<NodeId, Node<NoState>>,
    isolated: BTreeSet<NodeId>,
}

/// A cluster in the making.
pub struct ClusterBuilder<S: StateMachine> {
    layout: Layout,
    timing: Timing,
    limits: Limits,
    state: Arc<dyn Fn(NodeId) -> S + Send + Sync>,
    logs: Logs,
    /// Where nodes run that do not run on the arbiter of whoever starts them.
    arbiters: BTreeMap<NodeId, ArbiterHandle>,
}

/// What cannot be done with a cluster.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// A node cannot be started.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The log of a node cannot be opened.
    #[error(transparent)]
    Log(#[from] WalError),
    /// The snapshots of a node cannot be opened.
    #[error(transparent)]
    Snapshots(#[from] SnapshotError),
    /// The node is not in the layout.
    #[error("node {0} is not part of this cluster")]
    Unknown(NodeId),
    /// The arbiter has ended that a node or a client was to run on.
    #[error("the arbiter has ended: start another")]
    NoArbiter,
    /// The node was killed or stopped before.
    #[error("node {0} does not run: restart it first")]
    NotRunning(NodeId),
    /// The node runs; it must be killed or stopped before it is started again.
    #[error("node {0} is running: kill it first")]
    Running(NodeId),
}

impl<S: StateMachine> Cluster<S> {
    /// A cluster of the nodes 1 to `nodes`, each with all roles; majorities decide. `state` makes a
    /// node's state, with nothing applied to it; it is called at each start of the node.
    pub fn builder(
        nodes: u64,
        state: impl Fn(NodeId) -> S + Send + Sync + 'static,
    ) -> Result<ClusterBuilder<S>, QuorumError> {
        let nodes: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
        Ok(Cluster::with_layout(Layout::full(&nodes)?, state))
    }

    /// A cluster with this layout.
    pub fn with_layout(
        layout: Layout,
        state: impl Fn(NodeId) -> S + Send + Sync + 'static,
    ) -> ClusterBuilder<S> {
        let (timing, limits, logs) = (Timing::default(), Limits::default(), Logs::memory());
        let (state, arbiters) = (Arc::new(state), BTreeMap::new());
        ClusterBuilder { layout, timing, limits, state, logs, arbiters }
    }
}

impl<S: StateMachine> ClusterBuilder<S> {
    /// How long roles wait.
    pub fn timing(mut self, timing: Timing) -> ClusterBuilder<S> {
        self.timing = timing;
        self
    }

    /// How much roles hold.
    pub fn limits(mut self, limits: Limits) -> ClusterBuilder<S> {
        self.limits = limits;
        self
    }

    /// Logs and snapshots are kept on disk, in a directory for each node below this one. Without
    /// this they are kept in memory, for as long as the cluster lives.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> ClusterBuilder<S> {
        self.logs = Logs::Directory(path.into());
        self
    }

    /// What opens a node's log; called at each start of the node, and must find what was there.
    /// Such a cluster keeps no snapshots.
    pub fn logs(mut self, logs: impl Fn(NodeId) -> Box<dyn Log<Record>> + 'static) -> Self {
        self.logs = Logs::Opened(Box::new(logs));
        self
    }

    /// Runs this node on another arbiter: nodes on threads of their own get more done, but what
    /// comes from another thread comes later. Without effect for a node that is not in the layout.
    pub fn on(mut self, node: NodeId, arbiter: &ArbiterHandle) -> ClusterBuilder<S> {
        self.arbiters.insert(node, arbiter.clone());
        self
    }

    /// Starts every node, on the current arbiter unless another one was named for it. Where logs
    /// are in memory, an arbiter polls for mail for up to 100 µs before its thread sleeps, as long
    /// as mail comes that often.
    pub async fn start(self) -> Result<Cluster<S>, ClusterError> {
        let nodes = self.layout.nodes();
        let mut cluster = Cluster {
            plan: self,
            nodes: BTreeMap::new(),
            clients: BTreeMap::new(),
            isolated: BTreeSet::new(),
        };
        for node in nodes {
            cluster.start_node(node).await?;
        }
        cluster.connect().await;
        Ok(cluster)
    }

    /// Starts a node on this arbiter, or on the current one.
    async fn start_on<T: StateMachine>(
        &self,
        arbiter: Option<&ArbiterHandle>,
        start: impl FnOnce() -> Result<Node<T>, NodeError> + Send + 'static,
    ) -> Result<Node<T>, ClusterError> {
        let in_memory = self.logs.are_in_memory();
        let start = move || {
            if in_memory {
                awake::stay_awake();
            }
            start()
        };
        let Some(arbiter) = arbiter else { return Ok(start()?) };
        let (started, node) = oneshot::channel();
        // Whoever waits hears of an arbiter that has ended, since the other end is dropped.
        arbiter.spawn_fn(move || _ = started.send(start()));
        Ok(node.await.map_err(|_| ClusterError::NoArbiter)??)
    }
}

impl<S: StateMachine> Cluster<S> {
    /// A new client, which is no node of the layout and calls all of them.
    pub async fn client(&mut self) -> Result<ClientHandle, ClusterError> {
        let node = self.plan.start_on(None, self.next_client()).await?;
        self.add_client(node).await
    }

    /// The same, on another arbiter: best on that of whoever makes the calls, since what
    /// crosses to the nodes and back then crosses in batches.
    pub async fn client_on(
        &mut self,
        arbiter: &ArbiterHandle,
    ) -> Result<ClientHandle, ClusterError> {
        let node = self.plan.start_on(Some(arbiter), self.next_client()).await?;
        self.add_client(node).await
    }

    /// What starts the next client's node.
    fn next_client(&self) -> impl FnOnce() -> Result<Node<NoState>, NodeError> + Send + use<S> {
        let ClusterBuilder { layout, timing, limits, .. } = &self.plan;
        let first = layout.nodes().last().map_or(0, |node| node.0 + 1).max(FIRST_CLIENT);
        let id = first + self.clients.len() as u64;
        let me = MemberId { node: NodeId(id), incarnation: Incarnation(id) };
        let (layout, timing, limits) = (layout.clone(), *timing, *limits);
        move || {
            let nodes = layout.proposers.clone();
            NodeBuilder::new(me, layout).timing(timing).limits(limits).client(nodes).start()
        }
    }

    async fn add_client(&mut self, node: Node<NoState>) -> Result<ClientHandle, ClusterError> {
        let (me, client) = (node.me(), node.client());
        self.clients.insert(me.node, node);
        self.connect().await;
        client.ok_or(ClusterError::Unknown(me.node))
    }

    /// A running node.
    pub fn node(&self, node: NodeId) -> Option<&Node<S>> {
        self.nodes.get(&node)
    }

    /// What every running node tells about itself.
    pub async fn status(&self) -> BTreeMap<NodeId, NodeStatus> {
        let mut all = BTreeMap::new();
        for (&id, node) in &self.nodes {
            all.insert(id, node.status().await);
        }
        all
    }

    /// The node that leads with the highest ballot, if any believes that it does.
    pub async fn leader(&self) -> Option<NodeId> {
        let status = self.status().await;
        let proposers = status.iter().filter_map(|(&id, node)| Some((id, node.proposer.as_ref()?)));
        proposers
            .filter(|(_, p)| p.stance == StanceName::Lead)
            .max_by_key(|(_, p)| p.ballot)
            .map(|(id, _)| id)
    }

    /// Looks at the state of a node's learner; none if the node has no learner, or does not run.
    pub async fn inspect<T: Send + 'static>(
        &self,
        node: NodeId,
        look: impl FnOnce(&S) -> T + Send + 'static,
    ) -> Option<T> {
        self.nodes.get(&node)?.view().state(look).await
    }

    /// Crashes a node: nothing is drained, and only what is in its log is left.
    pub async fn kill(&mut self, node: NodeId) -> Result<(), ClusterError> {
        let killed = self.take(node)?;
        let ending = killed.ending();
        drop(killed);
        ending.wait().await;
        self.connect().await;
        Ok(())
    }

    /// Stops a node in order.
    pub async fn stop(&mut self, node: NodeId) -> Result<NodeEnd, ClusterError> {
        let stopped = self.take(node)?;
        let end = stopped.stop().await;
        self.connect().await;
        Ok(end)
    }

    /// Starts a node again that was killed or stopped, or that ended of itself.
    pub async fn restart(&mut self, node: NodeId) -> Result<(), ClusterError> {
        if !self.plan.layout.nodes().contains(&node) {
            return Err(ClusterError::Unknown(node));
        }
        if let Some(former) = self.nodes.get(&node) {
            if former.ending().reason().is_none() {
                return Err(ClusterError::Running(node));
            }
            former.ended().await;
        }
        self.start_node(node).await?;
        self.connect().await;
        Ok(())
    }

    /// Cuts a node off from all others and from all clients.
    pub async fn isolate(&mut self, node: NodeId) {
        self.isolated.insert(node);
        self.connect().await;
    }

    /// Joins all nodes that were cut off.
    pub async fn heal(&mut self) {
        self.isolated.clear();
        self.connect().await;
    }

    /// A node that was started and neither killed nor stopped since, which is the caller's now.
    fn take(&mut self, node: NodeId) -> Result<Node<S>, ClusterError> {
        match self.nodes.remove(&node) {
            Some(taken) => Ok(taken),
            None if self.plan.layout.nodes().contains(&node) => Err(ClusterError::NotRunning(node)),
            None => Err(ClusterError::Unknown(node)),
        }
    }

    async fn start_node(&mut self, node: NodeId) -> Result<(), ClusterError> {
        let ClusterBuilder { layout, timing, limits, logs, state, arbiters } = &self.plan;
        let (me, log) = if layout.acceptors.contains(&node) {
            let (me, log) = logs.open(node, limits)?;
            (me, Some(log))
        } else {
            (MemberId { node, incarnation: Incarnation(node.0) }, None)
        };
        let learns = layout.learners.iter().any(|feed| feed.learner == node);
        let others = layout.learners.len() > 1;
        let snapshots = if learns { logs.snapshots(node, others)? } else { None };
        let (layout, timing, limits, state) = (layout.clone(), *timing, *limits, state.clone());
        let start = move || {
            let mut builder = NodeBuilder::new(me, layout).timing(timing).limits(limits);
            if let Some(log) = log {
                builder = builder.log(log);
            }
            if let Some(snapshots) = snapshots {
                builder = builder.snapshots(snapshots);
            }
            builder.learner(move || state(node)).start()
        };
        let started = self.plan.start_on(arbiters.get(&node), start).await?;
        self.nodes.insert(node, started);
        Ok(())
    }

    /// Gives every node, and every client, a new table with the mailboxes that it can reach.
    async fn connect(&mut self) {
        let tables: BTreeMap<NodeId, Routes> =
            self.nodes.keys().chain(self.clients.keys()).map(|&id| (id, self.table(id))).collect();
        for (id, table) in tables {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.set_routes(table).await;
            } else if let Some(client) = self.clients.get_mut(&id) {
                client.set_routes(table).await;
            }
        }
    }

    /// The mailboxes of others that `me` can reach.
    fn table(&self, me: NodeId) -> Routes {
        let reaches = |other: &NodeId| {
            *other != me && !self.isolated.contains(other) && !self.isolated.contains(&me)
        };
        let nodes = self.nodes.iter().filter(|(id, _)| reaches(id));
        let clients = self.clients.iter().filter(|(id, _)| reaches(id));
        let mut routes = nodes.fold(Routes::new(), |routes, (_, node)| node.add_to(routes));
        if self.clients.contains_key(&me) {
            // A client sends reads where it sends writes; where no learner is, to the paired one.
            let layout = &self.plan.layout;
            for (proposer, learner) in
                layout.proposers.iter().filter_map(|&node| Some((node, layout.learner_of(node)?)))
            {
                if proposer != learner
                    && reaches(&proposer)
                    && reaches(&learner)
                    && let Some(actor) = self.nodes.get(&learner).and_then(Node::learner)
                {
                    routes = routes.learner(proposer, actor.clone().recipient());
                }
            }
        }
        clients.fold(routes, |routes, (_, client)| client.add_to(routes))
    }
}

/// The first client is not below this node id, so that ids tell nodes and clients apart.
const FIRST_CLIENT: u64 = 1000;
