//! The bridge: one link to each peer, one listener for all of them.

use crate::counters::{Count, Counters, RoundTrips};
use crate::hello::{Identity, Peer, Refusal};
use crate::link::{Link, Recheck, Stop};
use crate::listener::{Inbound, Listener};
use crate::lives::Lives;
use actix::{Actor, Addr};
use actix_rt::task::JoinHandle;
use paxos_actors::Routes;
use paxos_core::{ClusterId, Limits, MemberId, NodeId};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc;

/// Events that wait to be read. More are dropped: each says what will show again.
const EVENTS_MAX: usize = 1024;

/// Who this node is, where it listens, whom it talks to.
#[derive(Clone, Debug)]
pub struct BridgeOptions {
    /// This member.
    pub me: MemberId,
    /// Random at each start of this process.
    pub life: u64,
    /// Where peers connect to.
    pub listen: SocketAddr,
    /// Of the layout that this node was started with: first members with another one are refused.
    pub layout: u64,
    /// The other nodes, as `host:port`. An entry for this node itself is ignored.
    pub peers: BTreeMap<NodeId, String>,
    /// Frames, mailboxes.
    pub limits: Limits,
    /// How long to wait.
    pub patience: Patience,
    /// Bytes that wait to be written to one peer.
    pub outbound_bytes_max: usize,
    /// Inbound connections in all.
    pub inbound_max: usize,
    /// Inbound connections from one address.
    pub inbound_per_address_max: usize,
}

/// How long a bridge waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// To connect and shake hands.
    pub handshake: Duration,
    /// Between two pings.
    pub ping: Duration,
    /// For a peer that takes no bytes.
    pub stall: Duration,
    /// For a peer that sends nothing; several pings long.
    pub silence: Duration,
    /// Before the first attempt to connect again.
    pub backoff_min: Duration,
    /// Before later attempts: it doubles up to here.
    pub backoff_max: Duration,
}

/// What happens at the bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeEvent {
    /// Mail can go to this member.
    Connected {
        /// The member.
        member: MemberId,
    },
    /// Mail to this member is dropped until it is connected again.
    Lost {
        /// The member.
        member: MemberId,
    },
    /// A peer does not talk to this node. Somebody must mend what the refusal names.
    RefusedBy {
        /// The peer.
        node: NodeId,
        /// Why.
        refusal: Refusal,
    },
}

/// Why there is no bridge.
#[derive(Debug, Error)]
pub enum BridgeError {
    /// Another socket has the address.
    #[error("cannot listen for peers on {0}: the port is in use; stop its user or choose another")]
    InUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen for peers on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
}

/// Joins the actors of this process to those of its peers. Everything runs on the arbiter on which
/// it was made.
#[derive(Debug)]
pub struct Bridge {
    shared: Arc<Shared>,
    local_addr: SocketAddr,
    links: BTreeMap<NodeId, Addr<Link>>,
    /// Taken when peers are let in.
    listener: Option<Listener>,
    accepting: Option<JoinHandle<()>>,
    events: Option<mpsc::Receiver<BridgeEvent>>,
}

/// What links and inbound connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: BridgeOptions,
    pub(crate) counters: Arc<Counters>,
    pub(crate) round_trips: Arc<RoundTrips>,
    pub(crate) inbound: Inbound,
    identity: Mutex<Identity>,
    lives: Mutex<Lives>,
    events: mpsc::Sender<BridgeEvent>,
}

impl BridgeOptions {
    /// Options with the usual limits and patience.
    pub fn new(
        me: MemberId,
        life: u64,
        listen: SocketAddr,
        layout: u64,
        peers: BTreeMap<NodeId, String>,
    ) -> BridgeOptions {
        BridgeOptions {
            me,
            life,
            listen,
            layout,
            peers,
            limits: Limits::default(),
            patience: Patience::default(),
            outbound_bytes_max: 16 << 20,
            inbound_max: 256,
            inbound_per_address_max: 64,
        }
    }
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            handshake: Duration::from_secs(5),
            ping: Duration::from_secs(1),
            stall: Duration::from_secs(5),
            silence: Duration::from_secs(10),
            backoff_min: Duration::from_millis(20),
            backoff_max: Duration::from_secs(1),
        }
    }
}

impl Bridge {
    /// Takes the listening socket and starts a link to each peer on the current arbiter.
    pub fn bind(mut options: BridgeOptions) -> Result<Bridge, BridgeError> {
        options.peers.remove(&options.me.node);
        let (listener, local_addr) =
            Listener::bind(options.listen).map_err(|error| match error.kind() {
                io::ErrorKind::AddrInUse => BridgeError::InUse(options.listen),
                _ => BridgeError::Listen(options.listen, error),
            })?;
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let shared = Arc::new(Shared::new(options, events));
        let links = shared.options.peers.iter().map(|(&node, address)| {
            (node, Link::new(Arc::clone(&shared), node, address.clone()).start())
        });
        Ok(Bridge {
            local_addr,
            links: links.collect(),
            listener: Some(listener),
            accepting: None,
            events: Some(receiver),
            shared,
        })
    }

    /// Where peers connect to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Adds the link of each peer, for all of its roles.
    pub fn routes(&self, base: Routes) -> Routes {
        self.links.iter().fold(base, |routes, (&node, link)| {
            routes
                .acceptor(node, link.clone().recipient())
                .proposer(node, link.clone().recipient())
                .learner(node, link.clone().recipient())
                .client(node, link.clone().recipient())
        })
    }

    /// Begins to let peers in; their mail is posted through `routes`. Only the first call counts.
    pub fn accept(&mut self, routes: Arc<Routes>) {
        if let Some(listener) = self.listener.take() {
            let shared = Arc::clone(&self.shared);
            self.accepting = Some(actix_rt::spawn(listener.run(shared, routes)));
        }
    }

    /// The roster is stored: from now on other clusters, and other incarnations of these nodes,
    /// are refused. Connections of whoever is not listed are cut, and may shake hands again.
    pub fn set_cluster(&self, cluster: ClusterId, members: Vec<MemberId>) {
        {
            let mut identity = lock(&self.shared.identity);
            identity.cluster = Some(cluster);
            identity.members = members;
        }
        let identity = self.shared.identity();
        self.shared.inbound.retain(|peer| peer.is_none_or(|peer| identity.lists(peer.member)));
        for link in self.links.values() {
            link.do_send(Recheck);
        }
    }

    /// What happens at the bridge. There is one receiver, for the first who asks.
    pub fn events(&mut self) -> Option<mpsc::Receiver<BridgeEvent>> {
        self.events.take()
    }

    /// What was counted; it can be read on any thread.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }

    /// How long peers take to answer; it can be read on any thread.
    pub fn round_trips(&self) -> Arc<RoundTrips> {
        Arc::clone(&self.shared.round_trips)
    }

    /// Closes the port and all connections. What was queued for peers and not yet written is lost.
    pub async fn stop(self) {
        if let Some(accepting) = self.accepting {
            accepting.abort();
            // It ends as cancelled; what matters is that the port is free then.
            let _ = accepting.await;
        }
        self.shared.inbound.retain(|_| false);
        for link in self.links.into_values() {
            // An error says that the link has stopped, which is what is wanted.
            let _ = link.send(Stop).await;
        }
    }
}

impl Shared {
    fn new(options: BridgeOptions, events: mpsc::Sender<BridgeEvent>) -> Shared {
        let identity = Identity {
            me: options.me,
            life: options.life,
            layout: options.layout,
            peers: options.peers.keys().copied().collect(),
            cluster: None,
            members: Vec::new(),
        };
        Shared {
            inbound: Inbound::new(options.inbound_max, options.inbound_per_address_max),
            options,
            counters: Arc::new(Counters::new()),
            round_trips: Arc::new(RoundTrips::new(identity.peers.iter().copied())),
            identity: Mutex::new(identity),
            lives: Mutex::default(),
            events,
        }
    }

    /// What this node knows about itself and the others at this moment.
    pub(crate) fn identity(&self) -> Identity {
        lock(&self.identity).clone()
    }

    /// A peer has come in. Two processes with one identity cut each other's connections, here and
    /// at every other node, and neither can know why.
    pub(crate) fn watch_lives(&self, peer: Peer, address: SocketAddr) {
        if lock(&self.lives).came(paxos_actors::clock::now(), peer) {
            self.counters.add(Count::Twins, 1);
            tracing::error!(
                member = %peer.member, %address,
                "two processes run with the identity of one node, from copies of one data \
                 directory: stop one of them for good, since votes that only one of them remembers \
                 may be lost; a node of its own needs an empty data directory"
            );
        }
    }

    /// Tells whoever listens. A full queue loses the event, which will show again.
    pub(crate) fn tell(&self, event: BridgeEvent) {
        let _ = self.events.try_send(event);
    }
}

/// Locks, also when a holder panicked: no lock here guards a half-done change.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
