//! etcd, by its version 3 interface. Clients connect to the leader, which serves them best.

use super::CompareError;
use super::cluster::{Store, Timing};
use super::failover::{ELECTION_TIMEOUT_MS, HEARTBEAT_MS};
use super::processes::{Processes, free_addresses};
use super::row::Sockets;
use crate::load::{Drive, Load, Target};
use bytes::Bytes;
use etcd_client::{Client, KvClient};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// So many clients of a closed loop share a connection.
const CLIENTS_PER_CONNECTION: usize = 8;

/// Connections of an open loop.
const OPEN_LOOP_CONNECTIONS: usize = 32;

/// A call takes no longer: as long as one of this store's clients.
const WITHIN: Duration = paxos_kv::KvClient::TIMEOUT;

/// Where there are several members, the next is asked after so long: a member that lost its leader
/// may not answer at all.
const ATTEMPT: Duration = Duration::from_secs(1);

/// And after a refusal, so soon.
const RETRY: Duration = Duration::from_millis(10);

/// Three servers.
pub(super) struct Etcd {
    processes: Processes,
    /// The client URLs of its members.
    clients: Vec<String>,
}

impl Store for Etcd {
    type Client = Connection;

    const NAME: &'static str = "etcd";

    fn start(binary: &Path, directory: &Path, timing: Timing) -> Result<Etcd, CompareError> {
        let mut processes = Processes::new(Self::NAME, directory)?;
        let url = |address: SocketAddr| format!("http://{address}");
        let clients: Vec<_> = free_addresses(3)?.into_iter().map(url).collect();
        let peers: Vec<_> = free_addresses(3)?.into_iter().map(url).collect();
        let members: Vec<_> = (0..).zip(&peers).map(|(at, url)| format!("n{at}={url}")).collect();
        for (at, (client, peer)) in clients.iter().zip(&peers).enumerate() {
            let data_dir = processes.data_dir(at).display().to_string();
            let arguments = [
                format!("--name=n{at}"),
                format!("--data-dir={data_dir}"),
                format!("--listen-peer-urls={peer}"),
                format!("--initial-advertise-peer-urls={peer}"),
                format!("--listen-client-urls={client}"),
                format!("--advertise-client-urls={client}"),
                format!("--initial-cluster={}", members.join(",")),
                "--log-level=error".into(),
            ];
            let mut command = Command::new(binary);
            command.args(arguments);
            if timing == Timing::Equal {
                command.arg(format!("--heartbeat-interval={HEARTBEAT_MS}"));
                command.arg(format!("--election-timeout={ELECTION_TIMEOUT_MS}"));
            }
            processes.start(command)?;
        }
        Ok(Etcd { processes, clients })
    }

    fn processes(&mut self) -> &mut Processes {
        &mut self.processes
    }

    async fn leader(&self) -> Result<usize, String> {
        for (server, client) in self.clients.iter().enumerate() {
            // One that is dead is no reason not to ask the others.
            let Ok(mut at) = Client::connect([client], None).await else { continue };
            let Ok(Ok(status)) = timeout(ATTEMPT, at.status()).await else { continue };
            let this = status.header().map(|header| header.member_id());
            if this == Some(status.leader()) {
                return Ok(server);
            }
        }
        Err("no member leads yet".into())
    }

    async fn connect(&self, servers: &[usize]) -> Result<Connection, String> {
        let mut members = Vec::new();
        for &server in servers {
            let client = Client::connect([&self.clients[server]], None).await;
            members.push(client.map_err(|error| error.to_string())?.kv_client());
        }
        Ok(Connection { members, next: Arc::default() })
    }

    async fn best(&self) -> Result<Vec<usize>, String> {
        Ok(vec![self.leader().await?])
    }

    fn connections(load: &Load, _: Sockets) -> usize {
        match load.drive {
            Drive::Closed { clients } => clients.div_ceil(CLIENTS_PER_CONNECTION),
            Drive::Open { .. } => OPEN_LOOP_CONNECTIONS,
        }
    }
}

/// Connections to some members, which are asked in turn.
#[derive(Clone)]
pub(super) struct Connection {
    members: Vec<KvClient>,
    next: Arc<AtomicUsize>,
}

impl Connection {
    fn member(&self) -> KvClient {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        self.members[next % self.members.len()].clone()
    }

    /// Whether, after an attempt that began with the call or later, there is another: only where
    /// there are others to ask.
    async fn again(&self, begun: Instant) -> bool {
        let is_another = self.members.len() > 1 && begun.elapsed() < WITHIN;
        if is_another {
            sleep(RETRY).await;
        }
        is_another
    }

    fn patience(&self) -> Duration {
        if self.members.len() > 1 { ATTEMPT } else { WITHIN }
    }
}

impl Target for Connection {
    async fn put(&self, key: Bytes, value: Bytes) -> bool {
        let begun = Instant::now();
        loop {
            let mut member = self.member();
            let asked = member.put(key.clone(), value.clone(), None);
            if let Ok(Ok(_)) = timeout(self.patience(), asked).await {
                return true;
            }
            if !self.again(begun).await {
                return false;
            }
        }
    }

    async fn get(&self, key: Bytes) -> Option<bool> {
        let begun = Instant::now();
        loop {
            let mut member = self.member();
            let asked = member.get(key.clone(), None);
            if let Ok(Ok(answer)) = timeout(self.patience(), asked).await {
                return Some(answer.count() > 0);
            }
            if !self.again(begun).await {
                return None;
            }
        }
    }
}
