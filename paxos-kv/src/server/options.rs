//! What a node is started with.

use super::ServerError;
use paxos_core::{Layout, LayoutError, Limits, NodeId, Part, QuorumRule, Roles, Timing};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The node.
    pub node: NodeId,
    /// The directory of its data, for this node alone. It is made where there is none.
    pub data_dir: PathBuf,
    /// Where clients connect to.
    pub listen_client: SocketAddr,
    /// Where peers connect to.
    pub listen_peer: SocketAddr,
    /// Every first member of the cluster, this one too.
    pub initial_cluster: BTreeMap<NodeId, Member>,
    /// What this node is to be, which must be what the initial cluster has it as; none: just that.
    pub roles: Option<Roles>,
    /// Which acceptors must agree.
    pub quorums: QuorumRule,
    /// How long to wait.
    pub timing: Timing,
    /// Bytes of the log that are applied between two snapshots, at least; at least 1.
    pub snapshot_log_bytes: u64,
}

/// A first member of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where its peers reach it, as `host:port`.
    pub address: String,
    /// What it is to be.
    pub part: Part,
}

impl ServerOptions {
    /// A node with what is usual: the roles that the initial cluster says, majorities, and the
    /// default times and amounts.
    pub fn new(
        node: NodeId,
        data_dir: impl Into<PathBuf>,
        listen_client: SocketAddr,
        listen_peer: SocketAddr,
        initial_cluster: BTreeMap<NodeId, Member>,
    ) -> ServerOptions {
        ServerOptions {
            node,
            data_dir: data_dir.into(),
            listen_client,
            listen_peer,
            initial_cluster,
            roles: None,
            quorums: QuorumRule::Majority,
            timing: Timing::default(),
            snapshot_log_bytes: Limits::default().snapshot_log_bytes,
        }
    }

    /// What can be said against the options without starting anything; else the layout that they
    /// amount to.
    pub fn check(&self) -> Result<Layout, ServerError> {
        let node = self.node;
        let me = self.initial_cluster.get(&node).ok_or(ServerError::NotInCluster(node))?;
        let mut taken = BTreeMap::new();
        for (&node, Member { address, .. }) in &self.initial_cluster {
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
        check_snapshot_log_bytes(self.snapshot_log_bytes)?;
        let named = me.part.roles;
        if let Some(asked) = self.roles.filter(|&asked| asked != named) {
            return Err(ServerError::OtherRoles { node, asked, named });
        }
        if named.is_empty() {
            return Err(LayoutError::NoRole(node).into());
        }
        let parts = self.initial_cluster.iter().map(|(&node, member)| (node, member.part));
        Ok(Layout::of(&parts.collect(), self.quorums)?)
    }

    /// What is allowed, and is hardly what was meant. Each names the way out.
    pub fn warnings(&self) -> Vec<String> {
        let ServerOptions { node, listen_peer, initial_cluster, .. } = self;
        let mut warnings = Vec::new();
        if let Some(Member { address, .. }) = initial_cluster.get(node)
            && initial_cluster.len() > 1
            && listen_peer.ip().is_loopback()
            && !is_loopback(address)
        {
            let port = listen_peer.port();
            warnings.push(format!(
                "peers are to reach this node at {address}, and it listens for them on \
                 {listen_peer}, which no other machine can reach: set listen-peer to the address \
                 of this machine, or to 0.0.0.0:{port} for all that it has"
            ));
        }
        warnings
    }

    /// Where each node is reached.
    pub(super) fn addresses(&self) -> BTreeMap<NodeId, String> {
        let each = self.initial_cluster.iter();
        each.map(|(&node, member)| (node, member.address.clone())).collect()
    }
}

/// Without a byte logged in between, snapshots would be written without end.
pub(super) fn check_snapshot_log_bytes(bytes: u64) -> Result<(), ServerError> {
    match bytes {
        0 => Err(ServerError::NoSnapshotLogBytes),
        _ => Ok(()),
    }
}

/// Whether only this machine is meant, as far as one can tell without asking for names.
fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    ip.map_or(host == "localhost", |ip| ip.is_loopback())
}
