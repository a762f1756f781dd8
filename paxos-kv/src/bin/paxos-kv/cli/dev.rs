//! `paxos-kv dev`: a whole cluster in this process, or in one for each node.

mod processes;

use super::TimingArgs;
use super::failure::Failure;
use super::logging::LogArgs;
use super::prompt;
use super::serve::{Stopped, abort_on_panic};
use clap::{Args, value_parser};
use paxos_core::Timing;
use paxos_kv::KvClient;
use paxos_kv::server::{LocalCluster, LocalOptions};
use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How far apart the ports of neighbours are.
const PORT_STEP: u16 = 10;

#[derive(Debug, Args)]
pub(super) struct DevArgs {
    /// How many nodes.
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// The directory of their data; made where there is none.
    #[arg(long, value_name = "DIR", default_value = "paxos-kv-data")]
    data_dir: PathBuf,
    /// The first node's client port; those of the others follow, ten apart.
    #[arg(long, value_name = "PORT", default_value_t = 2579)]
    #[arg(value_parser = value_parser!(u16).range(1..=65_000))]
    first_port: u16,
    /// Run each node as a process of its own, which can be killed and started again. They listen
    /// for each other on the ports behind their client ports, and end with this process.
    #[arg(long)]
    processes: bool,
    /// Take commands from standard input even where it is no terminal.
    #[arg(long)]
    prompt: bool,
    #[command(flatten)]
    timing: TimingArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(super) fn run(args: DevArgs) -> Result<(), Failure> {
    let timing = args.timing.timing()?;
    args.log.start();
    abort_on_panic();
    if args.processes {
        return processes::run(&args, timing);
    }
    let has_prompt = args.has_prompt();
    let listen_client = args.listen(0);
    let options = LocalOptions { timing, ..LocalOptions::new(args.data_dir, listen_client) };
    actix_rt::System::new().block_on(async {
        let mut stopped = Stopped::new()?;
        let shown = options.data_dir.display().to_string();
        let cluster = LocalCluster::start(options).await?;
        say(&format!("data directory: {shown}"))?;
        let addrs = cluster.client_addrs();
        tokio::select! {
            reason = cluster.ended() => return Err(reason.into()),
            () = stopped.wait() => {}
            ended = use_it(&addrs, timing, has_prompt) => ended?,
        }
        cluster.stop().await;
        Ok(())
    })
}

impl DevArgs {
    /// An address for each node: of its client port, and so many ports behind that.
    fn listen(&self, behind: u16) -> Vec<SocketAddr> {
        let ports = (0..self.nodes).map(|place| self.first_port + place * PORT_STEP + behind);
        ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect()
    }

    fn has_prompt(&self) -> bool {
        self.prompt || io::stdin().is_terminal()
    }
}

/// Lets whoever sits there use the cluster, until they or nobody want to go on.
async fn use_it(addrs: &[SocketAddr], timing: Timing, has_prompt: bool) -> Result<(), Failure> {
    let client = ready(addrs, timing).await?;
    match has_prompt {
        true => prompt::run(client, None).await,
        // Until it is told to stop.
        false => std::future::pending().await,
    }
}

/// Tells where the cluster is once it answers.
async fn ready(addrs: &[SocketAddr], timing: Timing) -> io::Result<KvClient> {
    let endpoints: Vec<String> = addrs.iter().map(SocketAddr::to_string).collect();
    let pause = Duration::from_micros(timing.election_timeout_us());
    let client = loop {
        match KvClient::connect(endpoints.clone()).await {
            Ok(client) => break client,
            // Processes take a moment until they listen.
            Err(_) => tokio::time::sleep(pause).await,
        }
    };
    while client.get("ready").await.is_err() {
        tokio::time::sleep(pause).await;
    }
    say(&format!("ready: {}", endpoints.join(",")))?;
    Ok(client)
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
