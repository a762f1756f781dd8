//! The `paxos-bench` command.

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use paxos_bench::check::{self, History, Model, Verdict};
use paxos_bench::load::{self, Load};
use paxos_kv::KvClient;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Puts the key-value store under strain, and judges what it did.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Clients in a closed loop: each sends its next request when its last is answered.
    Load(LoadArguments),
    /// Is a recorded history linearizable? Exit code 0: yes; 1: no; 3: not judged in time.
    Check {
        /// The history.
        file: PathBuf,
        /// What it is written in, and of what kind of object it tells.
        #[arg(long, value_enum)]
        format: Format,
        /// Give up after so many seconds.
        #[arg(long, default_value_t = 60)]
        limit_s: u64,
    },
}

#[derive(Debug, clap::Args)]
struct LoadArguments {
    /// The client ports of the nodes.
    #[arg(
        long,
        env = "PAXOS_KV_ENDPOINTS",
        value_delimiter = ',',
        default_value = "127.0.0.1:2579"
    )]
    endpoints: Vec<String>,
    /// How many requests are open at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,
    /// Of a hundred requests, so many are writes; the others read.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(..=100))]
    writes: u8,
    /// Bytes of each value written.
    #[arg(long, default_value_t = 256)]
    value_size: usize,
    /// How many keys there are; each request takes any of them.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// How long it is measured, after a second of warm-up.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How many connected clients, each with a session, the clients of the loop share; at most
    /// four of them unless told otherwise.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    connections: Option<u16>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A Jepsen log of one register with read, write and compare-and-swap.
    JepsenEtcd,
    /// EDN, one map a line, of strings by key with get, put and append.
    KvEdn,
    /// JSON, one event a line, of the key-value store: get, put, delete and compare-and-swap.
    Json,
}

const NOT_JUDGED: u8 = 3;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Load(arguments) => run_load(&arguments).unwrap_or_else(|error| {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }),
        Command::Check { file, format, limit_s } => {
            let limit = Duration::from_secs(limit_s);
            run_check(&file, format, limit).unwrap_or_else(|error| {
                eprintln!("error: {error:#}");
                ExitCode::from(USAGE)
            })
        }
    }
}

#[tokio::main]
async fn run_load(arguments: &LoadArguments) -> anyhow::Result<ExitCode> {
    let count = arguments.connections.unwrap_or(4).min(arguments.clients);
    let mut connections = Vec::new();
    for _ in 0..count {
        let connected = KvClient::connect(arguments.endpoints.clone()).await;
        connections.push(connected.context("cannot reach the cluster")?);
    }
    let load = Load {
        clients: arguments.clients.into(),
        writes_percent: arguments.writes,
        value_bytes: arguments.value_size,
        keys: arguments.keys,
        duration: Duration::from_secs(arguments.seconds),
    };
    eprintln!(
        "{} clients in a closed loop over {count} connected sessions, {} % writes of {} bytes, \
         {} keys, {} s after 1 s of warm-up",
        load.clients, load.writes_percent, load.value_bytes, load.keys, arguments.seconds
    );
    let mut before = 0;
    let report = load::run(&load, &connections, |second, done, errors| {
        eprintln!("{second:>4} s  {:>8} requests/s  {errors} failed", done - before);
        before = done;
    })
    .await;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.any() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_check(file: &PathBuf, format: Format, limit: Duration) -> anyhow::Result<ExitCode> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    let wrong = || format!("{name} is no history of this format");
    let judged = match format {
        Format::JepsenEtcd => {
            let history = check::parse_jepsen_etcd(&text).with_context(wrong)?;
            judge(&check::RegisterModel, &history, limit)
        }
        Format::KvEdn => {
            let history = check::parse_kv_edn(&text).with_context(wrong)?;
            judge(&check::AppendModel, &history, limit)
        }
        Format::Json => {
            let history = check::parse_json(&text).with_context(wrong)?;
            judge(&check::KvModel, &history, limit)
        }
    };
    judged.with_context(|| format!("{name} tells of no operation: is it in another format?"))
}

/// None: there is nothing to judge.
fn judge<M: Model>(
    model: &M,
    history: &History<M::Input, M::Output>,
    limit: Duration,
) -> Option<ExitCode> {
    if history.len() == 0 {
        return None;
    }
    let size = format!("{} operations on {} keys", history.len(), history.keys().count());
    Some(match check::check(model, history, limit) {
        Verdict::Linearizable => {
            println!("linearizable: {size}");
            ExitCode::SUCCESS
        }
        Verdict::NotLinearizable(counter_example) => {
            print!("{counter_example}");
            ExitCode::FAILURE
        }
        Verdict::Unknown => {
            println!("unknown: {size} were not judged within {} s", limit.as_secs());
            ExitCode::from(NOT_JUDGED)
        }
    })
}
