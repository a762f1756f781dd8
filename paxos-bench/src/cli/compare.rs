//! `paxos-bench compare`.

use super::Work;
use anyhow::{Context, bail};
use paxos_bench::compare::rows::{CUSTOM, ROWS};
use paxos_bench::compare::{
    Comparison, Omitted, PeerName, Programs, Row, Sample, Summary, Total, Work as RowWork,
};
use std::borrow::Cow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Where not everything was checked, since something to compare with is missing.
const SKIPPED: u8 = 3;

/// The same work for this store and for others that are installed here, in turn, on one disk, and
/// what the machine allows; with what is to be reached. A row that fails does not keep the others
/// from being measured. Exit code 0: done; 1: a row failed, or, with `--check`, a ★ was missed; 3:
/// with `--check`, none was missed, but something was skipped.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only these rows.
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    rows: Vec<String>,
    /// Only rows against this store.
    #[arg(long)]
    peer: Option<PeerName>,
    /// How often each store is measured in each row. Medians are reported.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// How long a load is measured each time, after a second of warm-up.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// A directory on the disk that all write to. Data goes into new directories there, which are
    /// removed.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// The server of this store; without it, the one beside this program, or in `PATH`.
    #[arg(long)]
    paxos_kv: Option<PathBuf>,
    /// The program that runs what is compared in one process; without it, the `paxos-peers` beside
    /// this program, or in `PATH`.
    #[arg(long)]
    peers_binary: Option<PathBuf>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
    /// Draw the ratios into this file as well.
    #[cfg(feature = "plots")]
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Exit with 1 when a ★ was missed.
    #[arg(long)]
    check: bool,
    /// Instead of the rows, a load of one's own against etcd, by so many clients in a closed loop;
    /// each number is a row. With `--rate`, it is an open loop.
    #[arg(long, value_delimiter = ',', conflicts_with_all = ["rows", "peer"])]
    clients: Vec<u16>,
    #[command(flatten)]
    work: Work,
}

/// Compares, and checks if that is asked for.
#[tokio::main]
pub async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    super::warn_of_debug_build();
    let this = std::env::current_exe().context("cannot find this program")?;
    let ours = super::our_server(arguments.paxos_kv.as_deref());
    let ours = ours.map_err(|missing| missing.to_string());
    let named = arguments.peers_binary.clone();
    let peers = named.or_else(|| super::beside("paxos-peers"));
    let comparison = Comparison {
        programs: Programs::find(this, ours, peers),
        rows: rows(arguments)?,
        rounds: arguments.rounds.into(),
        time: Duration::from_secs(arguments.seconds),
        directory: arguments.directory.clone(),
    };
    let tell = |row: &Row, store: &str, sample: &Sample| {
        let figures = super::figures(sample);
        super::tell(format_args!("{:<24} {store:<10}{figures}", row.name));
    };
    let summary = comparison.run(tell).await?;
    for (what, rows) in [("SKIPPED", &summary.skipped), ("FAILED", &summary.failed)] {
        for Omitted { row, why } in rows {
            super::tell(format_args!("{what} {row}: {why}"));
        }
    }
    #[cfg(feature = "plots")]
    if let Some(file) = &arguments.svg {
        let svg = summary.svg().map_err(anyhow::Error::msg)?;
        std::fs::write(file, svg).with_context(|| format!("cannot write {}", file.display()))?;
    }
    super::print_report(&summary, arguments.json)?;
    let code = if arguments.check { check(&summary) } else { ExitCode::SUCCESS };
    Ok(if summary.failed.is_empty() { code } else { ExitCode::FAILURE })
}

/// The rows that were asked for.
fn rows(arguments: &Arguments) -> anyhow::Result<Vec<Row>> {
    let Arguments { rows, peer, clients, work, seconds, .. } = arguments;
    // In an open loop the number of clients says nothing: there is one row.
    let clients = if work.rate.is_some() { &[1] } else { &clients[..] };
    if !clients.is_empty() {
        let custom = |&clients: &u16| {
            let load = work.load(clients.into(), *seconds)?;
            let name = match work.rate {
                Some(rate) => format!("etcd, {rate} due/s"),
                None => format!("etcd, {clients} clients"),
            };
            let (name, peer, work) = (Cow::Owned(name), PeerName::Etcd, RowWork::Custom(load));
            Ok(Row { name, peer, work, targets: CUSTOM })
        };
        return clients.iter().map(custom).collect();
    }
    if *work != Work::default() {
        bail!("what the rows do is given: a load of one's own needs --clients or --rate as well");
    }
    if let Some(unknown) = rows.iter().find(|name| ROWS.iter().all(|row| row.name != **name)) {
        let names: Vec<&str> = ROWS.iter().map(|row| &*row.name).collect();
        bail!("there is no row {unknown}; there are {}", names.join(", "));
    }
    let wanted = |row: &&Row| {
        peer.is_none_or(|peer| row.peer == peer)
            && (rows.is_empty() || rows.iter().any(|name| *name == row.name))
    };
    let rows: Vec<Row> = ROWS.iter().filter(wanted).cloned().collect();
    if rows.is_empty() {
        bail!("none of these rows is against that store");
    }
    Ok(rows)
}

fn check(summary: &Summary) -> ExitCode {
    match summary.total() {
        Total::Reached => ExitCode::SUCCESS,
        Total::Skipped => ExitCode::from(SKIPPED),
        Total::Failed => ExitCode::FAILURE,
        Total::Missed(missed) => {
            missed.iter().for_each(|missed| super::tell(format_args!("★ MISSED {missed}")));
            ExitCode::FAILURE
        }
    }
}
