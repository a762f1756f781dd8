//! This store.

use super::CompareError;
use super::cluster::{ALL, Store, Timing};
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

/// Three servers.
pub(super) struct Ours {
    processes: Processes,
    /// The client ports of its nodes.
    clients: Vec<String>,
}

impl Store for Ours {
    type Client = KvClient;

    const NAME: &'static str = "paxos-kv";

    fn start(binary: &Path, directory: &Path, timing: Timing) -> Result<Ours, CompareError> {
        let mut processes = Processes::new(Self::NAME, directory)?;
        let (clients, peers) = (free_addresses(3)?, free_addresses(3)?);
        let members: Vec<_> = (1..).zip(&peers).map(|(id, at)| format!("{id}={at}")).collect();
        for (at, (&client, &peer)) in clients.iter().zip(&peers).enumerate() {
            let place = Place { id: at as u64 + 1, client, peer, data_dir: processes.data_dir(at) };
            let mut command = serve(binary, &place, &members.join(","));
            command.arg("--log-level=warn");
            if timing == Timing::Equal {
                command.arg(format!("--heartbeat-ms={HEARTBEAT_MS}"));
                command.arg(format!("--election-timeout-ms={ELECTION_TIMEOUT_MS}"));
            }
            processes.start(command)?;
        }
        let clients = clients.iter().map(SocketAddr::to_string).collect();
        Ok(Ours { processes, clients })
    }

    fn processes(&mut self) -> &mut Processes {
        &mut self.processes
    }

    async fn leader(&self) -> Result<usize, String> {
        let client = self.connect(&ALL).await?;
        let statuses = client.status().await.map_err(|error| error.to_string())?;
        let leads = |at: &EndpointStatus| at.status.as_ref().is_ok_and(|at| at.stance == "lead");
        statuses.iter().position(leads).ok_or_else(|| "no node leads yet".into())
    }

    async fn connect(&self, servers: &[usize]) -> Result<KvClient, String> {
        let endpoints = servers.iter().map(|&server| &self.clients[server]);
        KvClient::connect(endpoints).await.map_err(|error| error.to_string())
    }

    /// A client finds the leader by itself.
    async fn best(&self) -> Result<Vec<usize>, String> {
        Ok(ALL.to_vec())
    }

    fn connections(load: &Load, sockets: Sockets) -> usize {
        match (load.drive, sockets) {
            (Drive::Closed { clients }, Sockets::Each) => clients,
            (Drive::Closed { clients }, Sockets::Shared) => clients.min(CONNECTIONS_MAX),
            (Drive::Open { .. }, _) => CONNECTIONS_MAX,
        }
    }
}
