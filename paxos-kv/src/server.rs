//! A node: its log, its roles, its links to peers, and its client port, on the current arbiter.
//!
//! [`Server`] is one node of a cluster of processes. [`LocalCluster`] is a whole cluster in one
//! process: its nodes are as durable, and talk to each other without sockets.

mod budget;
mod connection;
mod data;
mod desk;
mod error;
mod lacking;
mod local;
mod options;
mod port;
mod status;
mod targets;
mod tight;

pub use self::error::ServerError;
pub use self::local::{LocalCluster, LocalOptions, check_size};
pub use self::options::{Member, ServerOptions};

use self::data::{Data, DataCounters};
use self::port::Port;
use self::status::Inspector;
use self::targets::Targets;
use crate::store::Store;
use actix_rt::task::JoinHandle;
use paxos_actors::Routes;
use paxos_actors::ending::NodeEnd;
use paxos_actors::node::{Node, NodeBuilder};
use paxos_actors::wal::{FileDisk, Identity};
use paxos_core::{Layout, Limits, MemberId, NodeId, Part, Roles, Timing};
use paxos_net::{Bridge, BridgeEvent, BridgeOptions, Refusal, RoundTrips};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How often a node that waits for its cluster to form looks whether it has.
const FORMED_POLL: Duration = Duration::from_millis(50);

/// A node with data that a peer refuses looks for so long whether others let it in.
const REFUSAL_GRACE: Duration = Duration::from_secs(2);

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
    /// Where its snapshots are.
    snapshots: PathBuf,
    watching: Option<JoinHandle<Infallible>>,
    /// Keeps other processes from the data of a node without a log.
    _lock: Option<FileDisk>,
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

impl Server {
    /// Starts a node on the current arbiter. It takes part in the cluster, and lets clients in,
    /// from then on; whether it is of use to them depends on the others.
    pub async fn start(options: ServerOptions) -> Result<Server, ServerError> {
        let layout = options.check()?;
        let (node, timing, listen) = (options.node, options.timing, options.listen_peer);
        let limits = limits(options.snapshot_log_bytes);
        let data = Data::open(&options.data_dir, node, &layout, &limits)?;
        let (me, life, told) = (data.identity.member, rand::random(), layout.fingerprint());
        let links = BridgeOptions::new(me, life, listen, told, options.addresses());
        let mut bridge = Bridge::bind(links)?;
        let base = bridge.routes(Routes::new());
        let start = Start { layout, life, timing, limits, base };
        let mut core = Core::start(data, start, options.listen_client).await?;
        for &peer in options.initial_cluster.keys().filter(|&&peer| peer != node) {
            // Until a link says otherwise.
            core.port.targets().set_away(peer, true);
        }
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
        let Data { identity, log, snapshots, snapshots_dir, counters, lock } = data;
        let Identity { member: me, is_new } = identity;
        let port = Port::new(me, limits, Targets::new(me.node, &layout));
        let mut builder = NodeBuilder::new(me, layout.clone())
            .life(life)
            .timing(timing)
            .limits(limits)
            .learner(Store::new)
            .routes(port.add_to(base));
        if let Some(log) = log {
            builder = builder.log(Box::new(log));
        }
        if let Some(snapshots) = snapshots {
            builder = builder.snapshots(Box::new(snapshots));
        }
        let (node, listener, watching, _lock) = (builder.start()?, Some(listener), None, lock);
        Ok(Core {
            node,
            port,
            counters,
            is_new,
            client_addr,
            listener,
            layout,
            timing,
            snapshots: snapshots_dir,
            watching,
            _lock,
        })
    }

    /// Lets clients in.
    fn open(&mut self, links: Option<Links>) {
        if let Some(listener) = self.listener.take() {
            let round_trips = links.as_ref().map(|links| Arc::clone(&links.round_trips));
            let tight = tight::watch(self.timing, Arc::clone(&self.counters.log), round_trips);
            let counters = self.counters.clone();
            let (view, directory) = (self.node.view(), self.snapshots.clone());
            let lacking = lacking::watch(view, counters.clone(), directory);
            let watching = async { tokio::join!(tight, lacking).0 };
            self.watching = Some(actix_rt::spawn(watching));
            let inspector = Inspector { node: self.node.view(), counters, links };
            self.port.set_routes(self.node.routes());
            self.port.open(listener, inspector);
        }
    }

    async fn stop(mut self) -> NodeEnd {
        self.part().await;
        self.node.stop().await
    }

    /// As a crash would: nothing is drained.
    async fn kill(mut self) {
        self.part().await;
        let ending = self.node.ending();
        drop(self);
        ending.wait().await;
    }

    /// Lets clients go.
    async fn part(&mut self) {
        self.port.close().await;
        if let Some(watching) = self.watching.take() {
            watching.abort();
        }
    }
}

fn limits(snapshot_log_bytes: u64) -> Limits {
    Limits { snapshot_log_bytes, ..Limits::default() }
}

/// Once the cluster is formed, the links let nobody else in. Gives back what is wrong if it is not
/// the cluster that this node was told of.
async fn join_cluster(core: &Core, bridge: &Bridge) -> ServerError {
    loop {
        if let Some(configuration) = core.node.view().configuration().await {
            let cluster = configuration.cluster_id();
            let found = configuration.layout();
            if found != core.layout {
                let (found, asked) = (names(&found, &core.layout), names(&core.layout, &found));
                return ServerError::OtherMembers { found, asked };
            }
            tracing::info!(%cluster, "the cluster is formed");
            bridge.set_cluster(cluster, configuration.acceptors);
            std::future::pending::<()>().await;
        }
        actix_rt::time::sleep(FORMED_POLL).await;
    }
}

/// The nodes of a layout and their roles, for people; and what else is not as in the other one.
fn names(layout: &Layout, other: &Layout) -> String {
    let feeder = |layout: &Layout, node| {
        layout.learners.iter().find(|feed| feed.learner == node).map(|feed| feed.acceptor)
    };
    let name = |node| {
        let fed_by = feeder(layout, node);
        let fed_by = fed_by.filter(|_| feeder(other, node).is_some_and(|by| Some(by) != fed_by));
        let part = Part { roles: layout.roles(node), fed_by };
        match part {
            Part { roles: Roles::ALL, fed_by: None } => node.to_string(),
            _ => format!("{node}/{part}"),
        }
    };
    let nodes: Vec<String> = layout.nodes().into_iter().map(name).collect();
    let nodes = format!("node {}", nodes.join(", "));
    match layout.quorums.to_string() {
        quorums if layout.nodes() == other.nodes() && layout.quorums != other.quorums => {
            format!("{nodes} with quorums {quorums}")
        }
        _ => nodes,
    }
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
                Some(BridgeEvent::Connected { member }) => {
                    connected = true;
                    core.port.targets().set_away(member.node, false);
                }
                Some(BridgeEvent::Lost { member }) => {
                    core.port.targets().set_away(member.node, true);
                }
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
                    match core.node.view().configuration().await {
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

#[cfg(test)]
mod tests {
    use super::*;
    use paxos_core::QuorumRule;

    /// A layout of these parts, as in the initial cluster.
    fn layout(parts: &[&str], quorums: QuorumRule) -> Layout {
        let part = |text: &&str| text.parse().unwrap_or_default();
        let parts = (1..).map(NodeId).zip(parts.iter().map(part)).collect();
        Layout::of(&parts, quorums).expect("it can be")
    }

    #[test]
    fn layouts_that_differ_are_named_by_where_they_do() {
        let sizes = QuorumRule::Sizes { phase1: 3, phase2: 1 };
        let pairs = [
            (layout(&["", ""], QuorumRule::Majority), "node 1, 2"),
            (layout(&["", "", ""], QuorumRule::Majority), "node 1, 2, 3 with quorums majority"),
            (layout(&["", "", ""], sizes), "node 1, 2, 3 with quorums 3,1"),
        ];
        let other = |place| &pairs[if place == 1 { 2 } else { 1 }].0;
        for (place, (layout, said)) in pairs.iter().enumerate() {
            assert_eq!(names(layout, other(place)), *said);
        }
        let fed_by = |part| layout(&["", "", part], QuorumRule::Majority);
        let (one, two) = (fed_by("learner@1"), fed_by("learner@2"));
        assert_eq!(names(&one, &two), "node 1, 2, 3/learner@1");
        assert_eq!(names(&two, &one), "node 1, 2, 3/learner@2");
        assert_eq!(names(&two, &two), "node 1, 2, 3/learner");
    }
}
