//! `paxos-bench compare`.

use super::Work;
use paxos_bench::compare::{Comparison, Peer};
use paxos_bench::load::Drive;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where nothing was checked, since there is nothing to compare with.
const SKIPPED: u8 = 3;

/// The same load on this store and on another that is installed here, in turn: three fresh
/// processes of each on loopback, on one disk, both durable before they answer.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many requests are open at a time, in a closed loop; each number is a point.
    #[arg(long, value_delimiter = ',', default_value = "1,8,64,256")]
    clients: Vec<u16>,
    #[command(flatten)]
    work: Work,
    /// How often each store is measured at each point. Medians are reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// A directory on the disk that both write to. Data goes into new directories there, which are
    /// removed.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// The server of this store; without it, the one beside this program, or in `PATH`.
    #[arg(long)]
    paxos_kv: Option<PathBuf>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
    /// Exit with 1 when this store is not so many times as good at every point: in requests per
    /// second, or, with --rate, in the 99th percentile of latency.
    #[arg(long)]
    check: Option<f64>,
}

/// Compares, and checks if that is asked for.
#[tokio::main]
pub async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let peer = match Peer::find() {
        Ok(peer) => peer,
        Err(missing) => return Ok(skip(arguments, missing)),
    };
    if cfg!(debug_assertions) {
        eprintln!("warning: this is a debug build, so the figures say little: use --release");
    }
    // In an open loop the number of clients says nothing: there is one point.
    let clients = match arguments.work.rate {
        Some(_) => &[1],
        None => &arguments.clients[..],
    };
    let loads = clients.iter().map(|&clients| arguments.work.load(clients.into()));
    let comparison = Comparison {
        ours: super::our_server(arguments.paxos_kv.as_deref())?,
        peer,
        loads: loads.collect::<anyhow::Result<_>>()?,
        rounds: arguments.rounds.into(),
        directory: arguments.directory.clone(),
    };
    eprintln!("{}", arguments.work);
    let tell = |store, load: &paxos_bench::load::Load, report: &paxos_bench::load::Report| {
        let drive = match load.drive {
            Drive::Closed { clients } => format!("{clients} clients"),
            Drive::Open { rate, .. } => format!("{rate} due/s"),
        };
        eprintln!("{drive:>14}  {store:<9} {:>9.0}/s  {} failed", report.ops_per_s, report.errors);
    };
    let summary = comparison.run(tell).await?;
    if arguments.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        print!("{summary}");
    }
    Ok(match (arguments.check, summary.lowest_ratio()) {
        (Some(least), Some(found)) if found < least => {
            eprintln!("below: a ratio is {found}, and {least} was asked for");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    })
}

fn skip(arguments: &Arguments, missing: &str) -> ExitCode {
    eprintln!("SKIPPED, nothing was compared: {missing}");
    if arguments.json {
        println!("{}", serde_json::json!({ "skipped": missing }));
    }
    match arguments.check {
        Some(_) => ExitCode::from(SKIPPED),
        None => ExitCode::SUCCESS,
    }
}
