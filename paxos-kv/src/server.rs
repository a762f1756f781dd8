//! A node: its log, its roles, its links to peers, and its client port, on the current arbiter.
//!
//! [`Server`] is one node of a cluster of processes. [`LocalCluster`] is a whole cluster in one
//! process: its nodes are as durable, and talk to each other without sockets.

mod connection;
mod data;
mod desk;
mod local;
mod port;
mod status;
mod tight;

pub use self::local::{LocalCluster, LocalOptions, check_size};

use self::data::{Data, DataCounters};
use self::port::Port;
use self::status::Inspector;
use crate::store::Store;
use actix_rt::task::JoinHandle;
use paxos_actors::Routes;
use paxos_actors::control::Inspect;
use paxos_actors::ending::NodeEnd;
use paxos_actors::node::{Node, NodeBuilder, NodeError};
use paxos_actors::snapshots::SnapshotError;
use paxos_actors::wal::{DiskError, Identity, WalError};
use paxos_core::quorum::QuorumError;
use paxos_core::{ClusterId, Configuration, Layout, Limits, MemberId, NodeId, Timing};
use paxos_net::{Bridge, BridgeError, BridgeEvent, BridgeOptions, Refusal, RoundTrips};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How often a node that waits for its cluster to form looks whether it has.
const FORMED_POLL: Duration = Duration::from_millis(50);

/// A node with data that a peer refuses looks for so long whether others let it in.
const REFUSAL_GRACE: Duration = Duration::from_secs(2);

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The node.
    pub node: NodeId,
    /// The directory of its log and its snapshots, for this node alone. It is made where there is none.
    pub data_dir: PathBuf,
    /// Where clients connect to.
    pub listen_client: SocketAddr,
    /// Where peers connect to.
    pub listen_peer: SocketAddr,
    /// Every first member of the cluster, this one too, and where its peers reach it.
    pub initial_cluster: BTreeMap<NodeId, String>,
    /// How long to wait.
    pub timing: Timing,
    /// Bytes of the log that are applied between two snapshots, at least; at least 1.
    pub snapshot_log_bytes: u64,
}

/// Why a node cannot be started, or has ended.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The node is not among the first members.
    #[error(
        "node {0} is not in the initial cluster: name it there, with the address that peers use"
    )]
    NotInCluster(NodeId),
    /// Two nodes cannot be told apart.
    #[error("nodes {0} and {1} of the initial cluster have the same address: {2}")]
    SameAddress(NodeId, NodeId, String),
    /// Peers cannot find a port that the system chooses.
    #[error("node {0} of the initial cluster has port 0: name the port that its peers connect to")]
    NoPort(NodeId),
    /// Its log says who the first members are, and that is not what it was told now.
    #[error(
        "the data directory of this node belongs to a cluster of {found}, and the initial cluster \
         names {asked}: name the same nodes, with the same roles (their addresses may change), or \
         use another data directory"
    )]
    OtherMembers {
        /// The nodes that the log names.
        found: String,
        /// The nodes that it was told now.
        asked: String,
    },
    /// Clients and peers cannot be told apart.
    #[error("clients and peers cannot both connect to {0}: choose another port for one of them")]
    OnePort(SocketAddr),
    /// There are too many nodes, or none.
    #[error(transparent)]
    Quorums(#[from] QuorumError),
    /// The data is that of a cluster of another size.
    #[error(
        "{} has the data of a cluster of {found} nodes, not {asked}: ask for {found} nodes, or use \
         another data directory", .data_dir.display()
    )]
    OtherSize {
        /// The data directory.
        data_dir: PathBuf,
        /// Nodes whose data it has.
        found: usize,
        /// Nodes asked for.
        asked: usize,
    },
    /// Its log cannot be opened.
    #[error(transparent)]
    Log(#[from] WalError),
    /// Its snapshots cannot be opened.
    #[error(transparent)]
    Snapshots(#[from] SnapshotError),
    /// Its data directory cannot be opened.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its roles cannot be started.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// It cannot listen for peers.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The client port is in use.
    #[error(
        "cannot listen for clients on {0}: the port is in use; stop its user or choose another"
    )]
    ClientPortInUse(SocketAddr),
    /// It cannot listen for clients.
    #[error("cannot listen for clients on {0}: {1}")]
    ClientPort(SocketAddr, #[source] io::Error),
    /// The cluster does not let it in.
    #[error("node {peer} refuses this node: {refusal}")]
    RefusedBy {
        /// Who refuses.
        peer: NodeId,
        /// Why.
        refusal: Refusal,
    },
    /// Its data is that of another cluster than the peers that it was told of.
    #[error(
        "node {peer} belongs to another cluster than this data directory, which is cluster \
         {cluster}'s: correct the peer's address, or the data directory"
    )]
    OtherCluster {
        /// Who belongs to another one.
        peer: NodeId,
        /// The cluster that the data belongs to.
        cluster: ClusterId,
    },
    /// It has ended of itself.
    #[error(transparent)]
    Ended(#[from] NodeEnd),
}

/// A running node. Dropping it is a crash: nothing is drained.
#[derive(Debug)]
pub struct Server {
    core: Core,
    bridge: Bridge,
    events: Option<mpsc::Receiver<BridgeEvent>>,
}

/// The parts that every node has.
#[derive(Debug)]
struct Core {
    node: Node<Store>,
    port: Port,
    counters: DataCounters,
    /// Its data directory was made by this start.
    is_new: bool,
    client_addr: SocketAddr,
    /// Taken when clients are let in.
    listener: Option<TcpListener>,
    /// What it was told of the first members.
    layout: Layout,
    timing: Timing,
    watching: Option<JoinHandle<Infallible>>,
}

/// What the roles of a node are started with.
struct Start {
    layout: Layout,
    life: u64,
    timing: Timing,
    limits: Limits,
    base: Routes,
}

/// What is known of the links to peers.
#[derive(Clone, Debug)]
struct Links {
    counters: Arc<paxos_net::Counters>,
    round_trips: Arc<RoundTrips>,
}

impl ServerOptions {
    /// What can be said against the options without starting anything; else the layout that they
    /// amount to.
    pub fn check(&self) -> Result<Layout, ServerError> {
        if !self.initial_cluster.contains_key(&self.node) {
            return Err(ServerError::NotInCluster(self.node));
        }
        let mut taken = BTreeMap::new();
        for (&node, address) in &self.initial_cluster {
            if address.ends_with(":0") {
                return Err(ServerError::NoPort(node));
            }
            if let Some(other) = taken.insert(address, node) {
                return Err(ServerError::SameAddress(other, node, address.clone()));
            }
        }
        if self.listen_client == self.listen_peer && self.listen_peer.port() != 0 {
            return Err(ServerError::OnePort(self.listen_peer));
        }
        Ok(Layout::full(&self.initial_cluster.keys().copied().collect::<Vec<_>>())?)
    }
}

impl Server {
    /// Starts a node on the current arbiter. It takes part in the cluster, and lets clients in,
    /// from then on; whether it is of use to them depends on the others.
    pub async fn start(options: ServerOptions) -> Result<Server, ServerError> {
        let layout = options.check()?;
        let ServerOptions { node, initial_cluster, timing, .. } = &options;
        let limits = limits(options.snapshot_log_bytes);
        let data = Data::open(&options.data_dir, *node, &layout)?;
        let me = data.log.identity().member;
        let listen = options.listen_peer;
        let (life, told) = (rand::random(), layout.fingerprint());
        let links = BridgeOptions::new(me, life, listen, told, initial_cluster.clone());
        let mut bridge = Bridge::bind(links)?;
        let base = bridge.routes(Routes::new());
        let start = Start { layout, life, timing: *timing, limits, base };
        let mut core = Core::start(data, start, options.listen_client).await?;
        bridge.accept(core.node.routes());
        core.open(Some(Links { counters: bridge.counters(), round_trips: bridge.round_trips() }));
        let events = bridge.events();
        Ok(Server { core, bridge, events })
    }

    /// Itself.
    pub fn me(&self) -> MemberId {
        self.core.node.me()
    }

    /// Where clients connect to.
    pub fn client_addr(&self) -> SocketAddr {
        self.core.client_addr
    }

    /// Where peers connect to.
    pub fn peer_addr(&self) -> SocketAddr {
        self.bridge.local_addr()
    }

    /// Waits until the node cannot go on, and says why. To be awaited for as long as it runs: it
    /// also tells the links which cluster they belong to, as soon as there is one.
    pub async fn ended(&mut self) -> ServerError {
        let Server { core, bridge, events } = self;
        tokio::select! {
            end = core.node.ended() => end.into(),
            refused = watch(core, events) => refused,
            error = join_cluster(core, bridge) => error,
        }
    }

    /// Stops in order: clients and peers are let go, and the log is finished and closed.
    pub async fn stop(self) -> NodeEnd {
        let end = self.core.stop().await;
        self.bridge.stop().await;
        end
    }
}

impl Core {
    /// Starts the roles. Clients wait in the listener's queue until [`Core::open`].
    async fn start(data: Data, start: Start, listen: SocketAddr) -> Result<Core, ServerError> {
        let Start { layout, life, timing, limits, base } = start;
        let listener = TcpListener::bind(listen).await.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => ServerError::ClientPortInUse(listen),
            _ => ServerError::ClientPort(listen, error),
        })?;
        let client_addr =
            listener.local_addr().map_err(|error| ServerError::ClientPort(listen, error))?;
        let counters = data.counters();
        let Data { log, snapshots } = data;
        let Identity { member: me, is_new } = log.identity();
        let port = Port::new(me, limits);
        let node = NodeBuilder::new(me, layout.clone())
            .life(life)
            .timing(timing)
            .limits(limits)
            .log(Box::new(log))
            .learner(Store::new)
            .snapshots(Box::new(snapshots))
            .routes(port.add_to(base))
            .start()?;
        let (listener, watching) = (Some(listener), None);
        Ok(Core { node, port, counters, is_new, client_addr, listener, layout, timing, watching })
    }

    /// Lets clients in.
    fn open(&mut self, links: Option<Links>) {
        if let Some(listener) = self.listener.take() {
            let round_trips = links.as_ref().map(|links| Arc::clone(&links.round_trips));
            let watching = tight::watch(self.timing, Arc::clone(&self.counters.log), round_trips);
            self.watching = Some(actix_rt::spawn(watching));
            let counters = self.counters.clone();
            let inspector = Inspector { node: self.node.view(), counters, links };
            self.port.open(listener, self.node.routes(), inspector);
        }
    }

    async fn stop(self) -> NodeEnd {
        let Core { node, port, watching, .. } = self;
        port.close().await;
        if let Some(watching) = watching {
            watching.abort();
        }
        node.stop().await
    }
}

fn limits(snapshot_log_bytes: u64) -> Limits {
    Limits { snapshot_log_bytes: snapshot_log_bytes.max(1), ..Limits::default() }
}

/// Once the cluster is formed, the links let nobody else in. Gives back what is wrong if it is not
/// the cluster that this node was told of.
async fn join_cluster(core: &Core, bridge: &Bridge) -> ServerError {
    loop {
        if let Some(configuration) = formed(&core.node).await {
            let cluster = configuration.cluster_id();
            let found = configuration.layout();
            if found != core.layout {
                let (found, asked) = (names(&found), names(&core.layout));
                return ServerError::OtherMembers { found, asked };
            }
            tracing::info!(%cluster, "the cluster is formed");
            bridge.set_cluster(cluster, configuration.acceptors);
            std::future::pending::<()>().await;
        }
        actix_rt::time::sleep(FORMED_POLL).await;
    }
}

/// The nodes of a layout, for people.
fn names(layout: &Layout) -> String {
    let Layout { acceptors, proposers, learners, .. } = layout;
    let learners = learners.iter().map(|feed| &feed.learner);
    let nodes: BTreeSet<_> = acceptors.iter().chain(proposers).chain(learners).collect();
    let nodes: Vec<String> = nodes.into_iter().map(NodeId::to_string).collect();
    format!("node {}", nodes.join(", "))
}

async fn formed(node: &Node<Store>) -> Option<Configuration> {
    let look = Inspect::new(|acceptor: &paxos_core::Acceptor| acceptor.configuration().cloned());
    node.acceptor()?.send(look).await.ok().flatten()
}

/// Waits for a refusal that this node cannot outlive.
///
/// A member whose disk was wiped never can. A node that has data of a cluster is given time to find
/// out whether other peers let it in: a single one at a wrong address is no reason to end.
async fn watch(core: &Core, events: &mut Option<mpsc::Receiver<BridgeEvent>>) -> ServerError {
    let mut connected = false;
    let mut refused: Option<(Instant, NodeId, Refusal)> = None;
    loop {
        let due = refused.map_or_else(Instant::now, |(at, ..)| at + REFUSAL_GRACE);
        tokio::select! {
            event = next(events) => match event {
                // The links have logged it.
                Some(BridgeEvent::Connected { .. }) => connected = true,
                Some(BridgeEvent::Lost { .. }) => {}
                Some(BridgeEvent::RefusedBy { node: peer, refusal }) => match refusal {
                    Refusal::NotAMember { .. } if core.is_new => {
                        return ServerError::RefusedBy { peer, refusal };
                    }
                    Refusal::NotAMember { .. } | Refusal::WrongCluster { .. } => {
                        refused.get_or_insert((Instant::now(), peer, refusal));
                    }
                    _ => {}
                },
                None => std::future::pending().await,
            },
            () = sleep_until(due), if refused.is_some() => {
                if let Some((_, peer, refusal)) = refused.take() {
                    match formed(&core.node).await {
                        None => return ServerError::RefusedBy { peer, refusal },
                        Some(configuration) if !connected => {
                            let cluster = configuration.cluster_id();
                            return ServerError::OtherCluster { peer, cluster };
                        }
                        Some(configuration) => {
                            let cluster = configuration.cluster_id();
                            let error = ServerError::OtherCluster { peer, cluster };
                            tracing::warn!(%error, "going on, since other peers let this node in");
                        }
                    }
                }
            }
        }
    }
}

async fn next(events: &mut Option<mpsc::Receiver<BridgeEvent>>) -> Option<BridgeEvent> {
    events.as_mut()?.recv().await
}
