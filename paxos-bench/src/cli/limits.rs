//! `paxos-bench limits`.

use anyhow::Context;
use clap::Subcommand;
use paxos_bench::limits::bare_loop::{self, follower, leader};
use paxos_bench::limits::{CLIENTS, MachineLimits, ping_pong};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// What this machine allows, however a store is written: fdatasync, loopback, messages of actors,
/// and the bare loop, the least that a replicated durable store can do.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The bare loop runs for so long with each number of clients.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// A directory on the disk that is measured. Files go into new directories there, which are
    /// removed.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Processes that take part in what is measured. They tell where they listen, and end with the one
/// connection that they serve.
#[derive(Debug, Subcommand)]
enum Part {
    /// Sends back what comes.
    #[command(hide = true)]
    Echo,
    /// A follower of the bare loop.
    #[command(hide = true)]
    Follower { log: PathBuf },
    /// The leader of the bare loop.
    #[command(hide = true)]
    Leader { log: PathBuf, first: SocketAddr, second: SocketAddr },
}

/// Measures, or takes part.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.part {
        Some(Part::Echo) => ping_pong::echo()?,
        Some(Part::Follower { log }) => follower::run(log)?,
        Some(Part::Leader { log, first, second }) => leader::run(log, [*first, *second])?,
        None => {
            measure(&arguments.directory, Duration::from_secs(arguments.seconds), arguments.json)?
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(directory: &Path, time: Duration, json: bool) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut limits = MachineLimits::of_parts(&program, directory)?;
    for clients in CLIENTS {
        limits.bare_loop.push(bare_loop::measure(&program, directory, clients, time)?);
    }
    super::print_report(&limits, json)
}
