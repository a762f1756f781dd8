//! One proposer, three acceptors and two learners, each in a process of its own: this program
//! starts itself once for each. A learner is killed, then an acceptor; nothing is lost.
//!
//! `cargo run -p examples --example roles_per_process`

use anyhow::{Context, Result, bail, ensure};
use paxos_core::NodeId;
use paxos_kv::KvClient;
use paxos_kv::server::{Member, Server, ServerOptions};
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What each node is: node 1 and so on.
const ROLES: [&str; 6] = ["proposer", "acceptor", "acceptor", "acceptor", "learner", "learner"];

/// Nothing here may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

#[actix::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [] => play().await,
        [node, ports @ ..] => serve(node.parse()?, ports).await,
    }
}

/// One node, until somebody kills it, or until this program ends, which holds the other end of its
/// input.
async fn serve(node: usize, arguments: &[String]) -> Result<()> {
    let (data_dir, ports) = arguments.split_first().context("a data directory, and ports")?;
    let ports = ports.iter().map(|port| port.parse()).collect::<Result<Vec<u16>, _>>()?;
    ensure!(ports.len() == 2 * ROLES.len(), "a client port and a peer port for each node");
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let member = |at: usize| -> Result<(NodeId, Member)> {
        let address = address(ports[2 * at + 1]).to_string();
        Ok((NodeId(at as u64 + 1), Member { address, part: ROLES[at].parse()? }))
    };
    let initial_cluster = (0..ROLES.len()).map(member).collect::<Result<BTreeMap<_, _>>>()?;
    let (id, client, peer) = (NodeId(node as u64 + 1), ports[2 * node], ports[2 * node + 1]);
    let options = ServerOptions::new(id, data_dir, address(client), address(peer), initial_cluster);
    let mut server =
        Server::start(ServerOptions { roles: Some(ROLES[node].parse()?), ..options }).await?;
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    Err(server.ended().await.into())
}

/// The processes, which end with it.
struct Nodes {
    dir: PathBuf,
    ports: Vec<u16>,
    running: Vec<Option<Child>>,
}

async fn play() -> Result<()> {
    let mut nodes = Nodes::start()?;
    // Any node takes calls: this client knows only an acceptor, which sends them on.
    let client = nodes.client(1).await?;
    for n in 0..100 {
        client.put(format!("key {n}"), "1").await?;
    }
    println!("100 keys are written through node 2, an acceptor");

    nodes.kill(4)?;
    println!("node 5, the learner that the proposer is paired with, is dead");
    ensure!(nodes.client(5).await?.get("key 99").await?.is_some(), "the other learner reads");
    nodes.run(4)?;
    client.put("key 0", "2").await?;
    println!("it is back, and has learned what there is");

    nodes.kill(3)?;
    println!("node 4, an acceptor, is dead; two are a majority");
    client.put("key 0", "3").await?;
    let found = client.get("key 0").await?.context("the key is there")?;
    ensure!(found.value == "3" && found.meta.version == 3, "each write counts once: {found:?}");

    let all = nodes.client(0).await?.status().await?;
    let status = all[0].status.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
    ensure!(status.roles == ["proposer"] && status.stance == "lead", "the only proposer leads");
    println!("node 1, the proposer, leads");
    Ok(())
}

impl Nodes {
    fn start() -> Result<Nodes> {
        let dir = std::env::temp_dir().join(format!("roles-per-process-{}", std::process::id()));
        let held: Vec<_> = (0..2 * ROLES.len())
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<Result<_, _>>()?;
        let port = |listener: &TcpListener| Ok(listener.local_addr()?.port());
        let ports = held.iter().map(port).collect::<Result<_>>()?;
        let mut nodes = Nodes { dir, ports, running: ROLES.map(|_| None).into() };
        drop(held);
        for (node, roles) in ROLES.iter().enumerate() {
            nodes.run(node)?;
            println!("node {}: {roles}", node + 1);
        }
        Ok(nodes)
    }

    fn run(&mut self, node: usize) -> Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(node.to_string()).arg(self.data_dir(node));
        command.args(self.ports.iter().map(u16::to_string)).stdin(Stdio::piped());
        self.running[node] = Some(command.spawn()?);
        Ok(())
    }

    /// As `kill -9`.
    fn kill(&mut self, node: usize) -> Result<()> {
        let mut child = self.running[node].take().context("it runs")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    fn data_dir(&self, node: usize) -> PathBuf {
        Path::new(&self.dir).join(format!("node-{}", node + 1))
    }

    /// A client that knows this node only.
    async fn client(&self, node: usize) -> Result<KvClient> {
        let endpoint = format!("127.0.0.1:{}", self.ports[2 * node]);
        let began = Instant::now();
        loop {
            match KvClient::connect([endpoint.clone()]).await {
                Ok(client) => return Ok(client.timeout(PATIENCE)),
                Err(error) if began.elapsed() > PATIENCE => bail!("node {}: {error}", node + 1),
                // It takes a moment until it listens.
                Err(_) => actix_rt::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in 0..ROLES.len() {
            // One that has ended of itself needs nothing any more.
            let _ = self.kill(node);
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
