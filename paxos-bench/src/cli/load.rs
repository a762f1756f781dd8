//! `paxos-bench load`.

use super::Work;
use anyhow::Context;
use paxos_bench::load;
use paxos_kv::KvClient;
use std::process::ExitCode;

/// Clients that send their next request when their last is answered, or at a fixed rate.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The client ports of the nodes.
    #[arg(
        long,
        env = "PAXOS_KV_ENDPOINTS",
        value_delimiter = ',',
        default_value = "127.0.0.1:2579"
    )]
    endpoints: Vec<String>,
    /// How many requests are open at a time, in a closed loop.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,
    #[command(flatten)]
    work: Work,
    /// How long it is measured, after a second of warm-up.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How many connected clients, each with a session, carry the load; at most four of them
    /// unless told otherwise.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    connections: Option<u16>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Loads the cluster at the endpoints. It fails where no request succeeds.
#[tokio::main]
pub async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { clients, work, seconds, .. } = arguments;
    let most = if work.rate.is_some() { u16::MAX } else { *clients };
    let count = arguments.connections.unwrap_or(4).min(most);
    let mut connections = Vec::new();
    for _ in 0..count {
        let connected = KvClient::connect(arguments.endpoints.clone()).await;
        connections.push(connected.context("cannot reach the cluster")?);
    }
    let load = work.load((*clients).into(), *seconds)?;
    let drive = match work.rate {
        None => format!("{clients} clients in a closed loop"),
        Some(rate) => format!("{rate} requests per second in an open loop"),
    };
    super::tell(format_args!(
        "{drive} over {count} connected sessions, {work}, {seconds} s after 1 s of warm-up"
    ));
    let mut before = 0;
    let report = load::run(&load, &connections, |progress| {
        let load::Progress { second, done, errors, in_flight, .. } = progress;
        let speed = done - before;
        let open = in_flight.map(|open| format!("  {open} open")).unwrap_or_default();
        super::tell(format_args!("{second:>4} s  {speed:>8} requests/s  {errors} failed{open}"));
        before = done;
    })
    .await;
    super::print_report(&report, arguments.json)?;
    Ok(if report.any() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
