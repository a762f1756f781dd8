//! `paxos-kv serve`: one node of a cluster.

use super::failure::Failure;
use super::logging::LogArgs;
use super::{TimingArgs, is_host_port};
use clap::Args;
use paxos_core::NodeId;
use paxos_kv::server::{Server, ServerOptions};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// This node's number in the initial cluster.
    #[arg(long, value_name = "N")]
    id: u64,
    /// The directory of its data, for this node alone; made where there is none.
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Where clients connect to.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2579")]
    listen_client: SocketAddr,
    /// Where peers connect to.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:2580")]
    listen_peer: SocketAddr,
    /// All first nodes, this one too, and where their peers reach them. The same on each of them.
    #[arg(long, value_name = "1=HOST:PORT,2=…", value_parser = cluster)]
    initial_cluster: Cluster,
    #[command(flatten)]
    timing: TimingArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Nodes and their addresses.
#[derive(Clone, Debug)]
struct Cluster(BTreeMap<NodeId, String>);

pub(super) fn run(args: ServeArgs) -> Result<(), Failure> {
    let options = ServerOptions {
        node: NodeId(args.id),
        data_dir: args.data_dir,
        listen_client: args.listen_client,
        listen_peer: args.listen_peer,
        initial_cluster: args.initial_cluster.0,
        timing: args.timing.timing()?,
    };
    args.log.start("info");
    abort_on_panic();
    actix_rt::System::new().block_on(async {
        let mut stopped = Stopped::new()?;
        let mut server = Server::start(options).await?;
        let (clients, peers) = (server.client_addr(), server.peer_addr());
        tracing::info!(node = %server.me(), %clients, %peers, "started");
        tokio::select! {
            reason = server.ended() => {
                server.stop().await;
                return Err(reason.into());
            }
            () = stopped.wait() => {}
        }
        tracing::info!("stopping");
        server.stop().await;
        Ok(())
    })
}

/// A role that panicked has found its own state broken, and a half-dead node is worse than a dead
/// one.
pub(super) fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        eprintln!("error: this is a bug; what is in the log is sound: start the node again");
        std::process::abort();
    }));
}

/// Somebody wants the process to end: SIGINT or SIGTERM.
pub(super) struct Stopped {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stopped {
    /// From now on the signals do not end the process of themselves.
    pub(super) fn new() -> io::Result<Stopped> {
        Ok(Stopped {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn cluster(text: &str) -> Result<Cluster, String> {
    let mut nodes = BTreeMap::new();
    for part in text.split(',') {
        let (node, address) =
            part.split_once('=').ok_or_else(|| format!("\"{part}\" is not NODE=HOST:PORT"))?;
        let id = node.trim().parse().map_err(|_| format!("\"{node}\" is not a node's number"))?;
        if !is_host_port(address) {
            return Err(format!("\"{address}\" is not HOST:PORT"));
        }
        if nodes.insert(NodeId(id), address.to_owned()).is_some() {
            return Err(format!("node {id} is named twice"));
        }
    }
    Ok(Cluster(nodes))
}
