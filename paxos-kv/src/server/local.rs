//! A whole cluster in one process: durable nodes that need no sockets between them.

use super::data::Data;
use super::options::check_snapshot_log_bytes;
use super::{Core, ServerError, Start, limits};
use paxos_actors::Routes;
use paxos_core::{Layout, Limits, NodeId, Part, QuorumRule, Timing};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// The directory of its data. Each node has one below it, `node-1` and so on.
    pub data_dir: PathBuf,
    /// Where the clients of each node connect to: node 1 and so on.
    pub listen_client: Vec<SocketAddr>,
    /// What each node is to be; one that is not named has all roles.
    pub parts: BTreeMap<NodeId, Part>,
    /// How long to wait.
    pub timing: Timing,
    /// Bytes of the log that are applied between two snapshots, at least; at least 1.
    pub snapshot_log_bytes: u64,
}

/// A running cluster. Dropping it is a crash: nothing is drained.
#[derive(Debug)]
pub struct LocalCluster {
    options: LocalOptions,
    layout: Layout,
    /// Those that run.
    nodes: BTreeMap<NodeId, Core>,
}

impl LocalOptions {
    /// A cluster with what is usual: all roles everywhere, and the default times and amounts.
    pub fn new(data_dir: impl Into<PathBuf>, listen_client: Vec<SocketAddr>) -> LocalOptions {
        LocalOptions {
            data_dir: data_dir.into(),
            listen_client,
            parts: BTreeMap::new(),
            timing: Timing::default(),
            snapshot_log_bytes: Limits::default().snapshot_log_bytes,
        }
    }
}

impl LocalCluster {
    /// Starts all nodes on the current arbiter.
    pub async fn start(options: LocalOptions) -> Result<LocalCluster, ServerError> {
        check_snapshot_log_bytes(options.snapshot_log_bytes)?;
        let nodes = (1..=options.listen_client.len() as u64).map(NodeId);
        let part = |node| (node, options.parts.get(&node).copied().unwrap_or_default());
        let layout = Layout::of(&nodes.clone().map(part).collect(), QuorumRule::Majority)?;
        check_size(&options.data_dir, options.listen_client.len())?;
        let mut cluster = LocalCluster { options, layout, nodes: BTreeMap::new() };
        for node in nodes {
            cluster.start_node(node).await?;
        }
        cluster.connect().await;
        Ok(cluster)
    }

    /// Where the clients of each running node connect to.
    pub fn client_addrs(&self) -> Vec<SocketAddr> {
        self.nodes.values().map(|core| core.client_addr).collect()
    }

    /// Crashes a node that runs: nothing is drained, and its clients are cut off.
    pub async fn kill(&mut self, node: NodeId) {
        if let Some(core) = self.nodes.remove(&node) {
            core.kill().await;
            self.connect().await;
        }
    }

    /// Starts a node again that was killed, with the client port that it had.
    pub async fn restart(&mut self, node: NodeId) -> Result<(), ServerError> {
        if !self.nodes.contains_key(&node) {
            self.start_node(node).await?;
            self.connect().await;
        }
        Ok(())
    }

    async fn start_node(&mut self, node: NodeId) -> Result<(), ServerError> {
        let place = node.0.checked_sub(1).and_then(|place| usize::try_from(place).ok());
        let listen = place.and_then(|place| self.options.listen_client.get_mut(place));
        let listen = listen.ok_or(ServerError::NotInCluster(node))?;
        let data_dir = self.options.data_dir.join(format!("node-{node}"));
        let limits = limits(self.options.snapshot_log_bytes);
        let data = Data::open(&data_dir, node, &self.layout, &limits)?;
        let start = Start {
            layout: self.layout.clone(),
            life: rand::random(),
            timing: self.options.timing,
            limits,
            base: Routes::new(),
        };
        let core = Core::start(data, start, *listen).await?;
        *listen = core.client_addr;
        self.nodes.insert(node, core);
        Ok(())
    }

    /// Gives every node a new table with the mailboxes of those that run, and lets clients in.
    async fn connect(&mut self) {
        for node in self.nodes.keys().copied().collect::<Vec<_>>() {
            let others = self.nodes.iter().filter(|(other, _)| **other != node);
            let table = others.fold(Routes::new(), |routes, (_, other)| {
                other.port.add_to(other.node.add_to(routes))
            });
            let away = |other: &NodeId| !self.nodes.contains_key(other);
            let all = self.layout.nodes();
            let away: Vec<(NodeId, bool)> = all.iter().map(|node| (*node, away(node))).collect();
            let Some(core) = self.nodes.get_mut(&node) else { continue };
            core.node.set_routes(core.port.add_to(table)).await;
            core.port.set_routes(core.node.routes());
            away.into_iter().for_each(|(other, is)| core.port.targets().set_away(other, is));
            core.open(None);
        }
    }

    /// Waits until a node cannot go on, and says why.
    pub async fn ended(&self) -> ServerError {
        let (ended, mut first) = tokio::sync::mpsc::channel(1);
        let mut watching = tokio::task::JoinSet::new();
        for core in self.nodes.values() {
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
        for core in self.nodes.into_values() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KvClient;
    use crate::wire::{REQUEST, Request, VERSION};
    use paxos_core::{Body, Command, SessionId, Slot};
    use paxos_net::frame::FrameWriter;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;

    /// The first bytes of a connection whose first request is a large one.
    fn large() -> FrameWriter {
        let session = SessionId { slot: Slot(9), index: 0 };
        let value = vec![0; 1 << 20].into();
        let body = Body::Run { session, sequence: 0, acked_below: 0, value };
        let command = Command { client: NodeId(1), learner: NodeId(1), body };
        let mut writer = FrameWriter::new(2 << 20);
        writer.push(REQUEST, &Request::Hello { version: VERSION }).expect("it fits");
        writer.push(REQUEST, &Request::Propose(vec![command])).expect("it fits");
        writer
    }

    /// Strangers send a large request each, all but its end. There is room for some of them; and
    /// always for who wants little.
    #[actix::test]
    async fn many_unfinished_requests_do_not_fill_memory() {
        const STRANGERS: usize = 30;
        let dir = tempfile::tempdir().expect("a directory");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = LocalOptions::new(dir.path(), vec![any]);
        let cluster = LocalCluster::start(options).await.expect("it starts");
        let (budget, address) =
            (cluster.nodes[&NodeId(1)].port.budget(), cluster.client_addrs()[0]);
        let bytes_max = 8 << 20;
        budget.set_bytes_max(bytes_max);
        let client = KvClient::connect([address.to_string()]).await.expect("it listens");
        let client = client.timeout(Duration::from_secs(60));
        let mut strangers = Vec::new();
        for _ in 0..STRANGERS {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            let writer = large();
            // The node may cut the connection before it has taken everything.
            let _ = stream.write_all(&writer.bytes()[..writer.len() - 1]).await;
            assert!(budget.held() < 2 * bytes_max, "{}", budget.held());
            strangers.push(stream);
        }
        loop {
            let status = client.status().await.expect("it answers").remove(0).status;
            let clients = status.expect("it answers").counters.clients;
            assert!(budget.held() < 2 * bytes_max, "{}", budget.held());
            if clients["connections_cut_memory"] > 0 {
                break;
            }
        }
        client.put("k", "v").await.expect("there is room for it");
        assert!(budget.held() > bytes_max / 2, "the first strangers found room");
        drop(strangers);
        cluster.stop().await;
    }
}
