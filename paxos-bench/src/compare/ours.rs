//! This store.

use super::processes::{Processes, free_addresses};
use super::{CompareError, some};
use crate::load::{self, Drive, Load, Report};
use crate::processes::{Place, serve};
use paxos_kv::KvClient;
use std::net::SocketAddr;
use std::path::Path;

pub(super) const NAME: &str = "paxos-kv";

/// Connected clients, each with a session and a thread, at most.
const CONNECTIONS_MAX: usize = 4;

/// One measurement of a fresh cluster of three.
pub(super) async fn turn(
    binary: &Path,
    load: &Load,
    directory: &Path,
) -> Result<Report, CompareError> {
    let mut processes = Processes::new(NAME, directory)?;
    let (clients, peers) = (free_addresses(3)?, free_addresses(3)?);
    let members: Vec<_> = (1..).zip(&peers).map(|(id, at)| format!("{id}={at}")).collect();
    for (at, (&client, &peer)) in clients.iter().zip(&peers).enumerate() {
        let place = Place { id: at as u64 + 1, client, peer, data_dir: processes.data_dir(at) };
        let mut command = serve(binary, &place, &members.join(","));
        command.arg("--log-level=warn");
        processes.start(command)?;
    }
    let clients: Vec<_> = clients.iter().map(SocketAddr::to_string).collect();
    let count = match load.drive {
        Drive::Closed { clients } => clients.min(CONNECTIONS_MAX),
        Drive::Open { .. } => CONNECTIONS_MAX,
    };
    let mut connections = Vec::new();
    for _ in 0..count {
        let connect = async || {
            let client = KvClient::connect(&clients).await.map_err(|error| error.to_string())?;
            client.put("ready", "yes").await.map_err(|error| error.to_string())?;
            Ok(client)
        };
        connections.push(processes.until_ready(connect).await?);
    }
    some(NAME, load::run(load, &connections, |_| ()).await)
}
