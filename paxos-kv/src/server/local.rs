//! A whole cluster in one process: durable nodes that need no sockets between them.

use super::data::Data;
use super::{Core, ServerError, Start, limits};
use paxos_actors::Routes;
use paxos_core::{Layout, NodeId, Timing};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// The directory of its data. Each node has one below it, `node-1` and so on.
    pub data_dir: PathBuf,
    /// Where the clients of each node connect to: node 1 and so on.
    pub listen_client: Vec<SocketAddr>,
    /// How long to wait.
    pub timing: Timing,
    /// Bytes of the log that are applied between two snapshots, at least; at least 1.
    pub snapshot_log_bytes: u64,
}

/// A running cluster. Dropping it is a crash: nothing is drained.
#[derive(Debug)]
pub struct LocalCluster(Vec<Core>);

impl LocalCluster {
    /// Starts all nodes on the current arbiter.
    pub async fn start(options: LocalOptions) -> Result<LocalCluster, ServerError> {
        let nodes: Vec<NodeId> = (1..=options.listen_client.len() as u64).map(NodeId).collect();
        let layout = Layout::full(&nodes)?;
        check_size(&options.data_dir, nodes.len())?;
        let mut cores = Vec::new();
        for (&node, &listen) in nodes.iter().zip(&options.listen_client) {
            let data = Data::open(&options.data_dir.join(format!("node-{node}")), node, &layout)?;
            let start = Start {
                layout: layout.clone(),
                life: rand::random(),
                timing: options.timing,
                limits: limits(options.snapshot_log_bytes),
                base: Routes::new(),
            };
            cores.push(Core::start(data, start, listen).await?);
        }
        for place in 0..cores.len() {
            let me = &cores[place];
            let others = cores.iter().filter(|other| other.node.me() != me.node.me());
            let table = others.fold(me.port.add_to(Routes::new()), |routes, other| {
                other.port.add_to(other.node.add_to(routes))
            });
            cores[place].node.set_routes(table).await;
        }
        cores.iter_mut().for_each(|core| core.open(None));
        Ok(LocalCluster(cores))
    }

    /// Where the clients of each node connect to.
    pub fn client_addrs(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|core| core.client_addr).collect()
    }

    /// Waits until a node cannot go on, and says why.
    pub async fn ended(&self) -> ServerError {
        let (ended, mut first) = tokio::sync::mpsc::channel(1);
        let mut watching = tokio::task::JoinSet::new();
        for core in &self.0 {
            let (ending, ended) = (core.node.ending(), ended.clone());
            watching.spawn_local(async move { ended.send(ending.wait().await).await });
        }
        drop(ended);
        match first.recv().await {
            Some(end) => end.into(),
            // Without nodes there is nothing that could end.
            None => std::future::pending().await,
        }
    }

    /// Stops all nodes in order.
    pub async fn stop(self) {
        for core in self.0 {
            core.stop().await;
        }
    }
}

/// A cluster keeps the size that it was made with: its first members are stored with its data. An
/// error says that the directory of a cluster has the data of one of another size.
pub fn check_size(data_dir: &Path, asked: usize) -> Result<(), ServerError> {
    let Ok(entries) = std::fs::read_dir(data_dir) else { return Ok(()) };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    match names.filter(|name| name.starts_with("node-")).count() {
        0 => Ok(()),
        found if found == asked => Ok(()),
        found => Err(ServerError::OtherSize { data_dir: data_dir.to_owned(), found, asked }),
    }
}
