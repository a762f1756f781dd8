//! This store.

use super::CompareError;
use super::cluster::{Store, Timing};
use super::failover::{ELECTION_TIMEOUT_MS, HEARTBEAT_MS};
use super::processes::{Processes, free_addresses};
use super::row::Sockets;
use crate::load::{Drive, Load};
use crate::processes::{Place, serve};
use paxos_kv::KvClient;
use paxos_kv::client::EndpointStatus;
use std::net::SocketAddr;
use std::path::Path;

/// Connected clients, each with a session and a thread, where callers share them.
const CONNECTIONS_MAX: usize = 4;

/// Its servers; three of them, with all roles, unless told otherwise.
pub(crate) struct Ours {
    processes: Processes,
    /// The client ports of the nodes that have all roles, which come first.
    clients: Vec<String>,
}

/// Which nodes there are, and what each is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Nodes with all roles: one at least.
    pub(crate) nodes: usize,
    /// Nodes that are only acceptors.
    pub(crate) voters: usize,
    /// Nodes that are only learners.
    pub(crate) replicas: usize,
    /// Options of each.
    pub(crate) options: Vec<String>,
}

impl Layout {
    /// How many processes it has.
    pub(crate) fn servers(&self) -> usize {
        self.nodes + self.voters + self.replicas
    }

    /// The initial cluster, with the peers at these addresses.
    fn members(&self, peers: &[SocketAddr]) -> String {
        let part = |at| match at {
            at if at < self.nodes => "",
            at if at < self.nodes + self.voters => "/acceptor",
            _ => "/learner",
        };
        let member = |(at, peer)| format!("{}{}={peer}", at + 1, part(at));
        peers.iter().enumerate().map(member).collect::<Vec<_>>().join(",")
    }
}

impl Ours {
    /// Starts the nodes of a layout on empty data below `directory`.
    pub(crate) fn launch(
        binary: &Path,
        directory: &Path,
        layout: &Layout,
    ) -> Result<Ours, CompareError> {
        let mut processes = Processes::new(Self::NAME, directory)?;
        let count = layout.servers();
        // All at once: of two draws, the second might have what the first has let go.
        let addresses = free_addresses(2 * count)?;
        let (clients, peers) = addresses.split_at(count);
        for (at, (&client, &peer)) in clients.iter().zip(peers).enumerate() {
            let place = Place { id: at as u64 + 1, client, peer, data_dir: processes.data_dir(at) };
            let mut command = serve(binary, &place, &layout.members(peers));
            command.arg("--log-level=warn").args(&layout.options);
            processes.start(command)?;
        }
        let clients = clients[..layout.nodes].iter().map(SocketAddr::to_string).collect();
        Ok(Ours { processes, clients })
    }

    /// What each node that has all roles tells of itself.
    pub(crate) async fn statuses(&self) -> Result<Vec<EndpointStatus>, String> {
        let client = self.connect(&self.all()).await?;
        client.status().await.map_err(|error| error.to_string())
    }

    fn all(&self) -> Vec<usize> {
        (0..self.clients.len()).collect()
    }
}

impl Store for Ours {
    type Client = KvClient;

    const NAME: &'static str = "paxos-kv";

    fn start(binary: &Path, directory: &Path, timing: Timing) -> Result<Ours, CompareError> {
        let options = match timing {
            Timing::Own => Vec::new(),
            Timing::Equal => vec![
                format!("--heartbeat-ms={HEARTBEAT_MS}"),
                format!("--election-timeout-ms={ELECTION_TIMEOUT_MS}"),
            ],
        };
        Ours::launch(binary, directory, &Layout { nodes: 3, voters: 0, replicas: 0, options })
    }

    fn processes(&mut self) -> &mut Processes {
        &mut self.processes
    }

    async fn leader(&self) -> Result<usize, String> {
        let statuses = self.statuses().await?;
        let leads = |at: &EndpointStatus| at.status.as_ref().is_ok_and(|at| at.stance == "lead");
        statuses.iter().position(leads).ok_or_else(|| "no node leads yet".into())
    }

    async fn connect(&self, servers: &[usize]) -> Result<KvClient, String> {
        let endpoints = servers.iter().map(|&server| &self.clients[server]);
        KvClient::connect(endpoints).await.map_err(|error| error.to_string())
    }

    /// A client finds the leader by itself.
    async fn best(&self) -> Result<Vec<usize>, String> {
        Ok(self.all())
    }

    fn connections(load: &Load, sockets: Sockets) -> usize {
        match (load.drive, sockets) {
            (Drive::Closed { clients }, Sockets::Each) => clients,
            (Drive::Closed { clients }, Sockets::Shared) => clients.min(CONNECTIONS_MAX),
            (Drive::Open { .. }, _) => CONNECTIONS_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_with_all_roles_come_first() {
        let layout = Layout { nodes: 1, voters: 1, replicas: 2, options: Vec::new() };
        let peers: Vec<SocketAddr> = (1..=4).map(|port| ([127, 0, 0, 1], port).into()).collect();
        let members = "1=127.0.0.1:1,2/acceptor=127.0.0.1:2,3/learner=127.0.0.1:3,\
                       4/learner=127.0.0.1:4";
        assert_eq!((layout.servers(), &*layout.members(&peers)), (4, members));
    }
}
