//! etcd, by its version 3 interface. Clients connect to the leader, which serves them best.

use super::processes::{Processes, free_addresses};
use super::{CompareError, some};
use crate::load::{self, Drive, Load, Report, Target};
use bytes::Bytes;
use etcd_client::{Client, KvClient};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

pub(super) const NAME: &str = "etcd";

/// So many clients of a closed loop share a connection.
const CLIENTS_PER_CONNECTION: usize = 8;

/// Connections of an open loop.
const OPEN_LOOP_CONNECTIONS: usize = 32;

/// One measurement of a fresh cluster of three.
pub(super) async fn turn(
    binary: &Path,
    load: &Load,
    directory: &Path,
) -> Result<Report, CompareError> {
    let mut processes = Processes::new(NAME, directory)?;
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
        processes.start(command)?;
    }
    let leader = processes.until_ready(async || leader(&clients).await).await?;
    let count = match load.drive {
        Drive::Closed { clients } => clients.div_ceil(CLIENTS_PER_CONNECTION),
        Drive::Open { .. } => OPEN_LOOP_CONNECTIONS,
    };
    let mut connections = Vec::new();
    for _ in 0..count {
        let connect = async || {
            let client =
                Client::connect([leader], None).await.map_err(|error| error.to_string())?;
            let mut client = client.kv_client();
            client.put("ready", "yes", None).await.map_err(|error| error.to_string())?;
            Ok(Connection(client))
        };
        connections.push(processes.until_ready(connect).await?);
    }
    some(NAME, load::run(load, &connections, |_| ()).await)
}

/// The client URL of the member that leads.
async fn leader(clients: &[String]) -> Result<&str, String> {
    for client in clients {
        let mut at = Client::connect([client], None).await.map_err(|error| error.to_string())?;
        let status = at.status().await.map_err(|error| error.to_string())?;
        let this = status.header().map(|header| header.member_id());
        if this == Some(status.leader()) {
            return Ok(client);
        }
    }
    Err("no member leads yet".into())
}

#[derive(Clone)]
struct Connection(KvClient);

impl Target for Connection {
    async fn put(&self, key: Bytes, value: Bytes) -> bool {
        self.0.clone().put(key, value, None).await.is_ok()
    }

    async fn get(&self, key: Bytes) -> bool {
        self.0.clone().get(key, None).await.is_ok()
    }
}
