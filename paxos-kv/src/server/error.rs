//! Why a node cannot be started, or has ended.

use paxos_actors::ending::NodeEnd;
use paxos_actors::node::NodeError;
use paxos_actors::snapshots::SnapshotError;
use paxos_actors::wal::{DiskError, WalError};
use paxos_core::{ClusterId, LayoutError, NodeId, Roles};
use paxos_net::{BridgeError, Refusal};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use thiserror::Error;

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
    /// Its data says who the first members are, or those whom it found do, and that is not what it
    /// was told now.
    #[error(
        "this node belongs to a cluster of {found}, and the initial cluster names {asked}: name \
         the same nodes, with the same roles, feeds and quorums (their addresses may change), or \
         use another data directory"
    )]
    OtherMembers {
        /// The nodes that are known.
        found: String,
        /// The nodes that it was told now.
        asked: String,
    },
    /// Clients and peers cannot be told apart.
    #[error("clients and peers cannot both connect to {0}: choose another port for one of them")]
    OnePort(SocketAddr),
    /// It is to be something else than the other nodes are told.
    #[error(
        "node {node} is to be {asked}, but the initial cluster has it as {named}: write \
         {node}/{asked}=HOST:PORT there, the same on every node, or ask for {named}"
    )]
    OtherRoles {
        /// The node.
        node: NodeId,
        /// What it is to be.
        asked: Roles,
        /// What the initial cluster says.
        named: Roles,
    },
    /// Snapshots would be written without end.
    #[error("0 bytes of the log between two snapshots are too few: give 1 or more, or 64 MiB")]
    NoSnapshotLogBytes,
    /// No cluster can have these roles, or these quorums.
    #[error(transparent)]
    Layout(#[from] LayoutError),
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
