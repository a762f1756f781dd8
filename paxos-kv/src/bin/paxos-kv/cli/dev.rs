//! `paxos-kv dev`: a whole cluster in this process.

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

/// The first node's client port, and how far apart the ports of neighbours are.
const FIRST_PORT: u16 = 2579;
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
    #[command(flatten)]
    timing: TimingArgs,
    #[command(flatten)]
    log: LogArgs,
}

pub(super) fn run(args: DevArgs) -> Result<(), Failure> {
    let timing = args.timing.timing()?;
    args.log.start();
    abort_on_panic();
    let ports = (0..args.nodes).map(|place| FIRST_PORT + place * PORT_STEP);
    let listen_client = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect();
    let options = LocalOptions { data_dir: args.data_dir, listen_client, timing };
    actix_rt::System::new().block_on(async {
        let mut stopped = Stopped::new()?;
        let shown = options.data_dir.display().to_string();
        let cluster = LocalCluster::start(options).await?;
        say(&format!("data directory: {shown}"))?;
        tokio::select! {
            reason = cluster.ended() => return Err(reason.into()),
            () = stopped.wait() => {}
            ended = use_it(&cluster, timing) => ended?,
        }
        cluster.stop().await;
        Ok(())
    })
}

/// Tells where the cluster is once it answers, and lets whoever sits there use it.
async fn use_it(cluster: &LocalCluster, timing: Timing) -> Result<(), Failure> {
    let endpoints: Vec<String> = cluster.client_addrs().iter().map(SocketAddr::to_string).collect();
    let client = KvClient::connect(endpoints.clone()).await?;
    while client.get("ready").await.is_err() {
        let pause = std::time::Duration::from_micros(timing.election_timeout_us());
        actix_rt::time::sleep(pause).await;
    }
    say(&format!("ready: {}", endpoints.join(",")))?;
    match io::stdin().is_terminal() {
        true => prompt::run(client).await,
        // Until it is told to stop.
        false => std::future::pending().await,
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
