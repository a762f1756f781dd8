//! `paxos-peers`: the same work as `paxos-bench local`, on other libraries that agree on a log.
//!
//! It shares no code with the workspace, so that nobody who builds the workspace builds these.
//! Each command prints one line of JSON. Open `openraft_cluster.rs` first.

mod closed_loop;
mod omnipaxos_core;
mod openraft_cluster;
mod raft_rs_core;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::time::Duration;

/// The same work as `paxos-bench local`, on other libraries that agree on a log.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Debug, Subcommand)]
enum Peer {
    /// Three nodes of openraft in this process and in memory, and clients in a closed loop.
    Openraft(Cluster),
    /// The bare core of omnipaxos: three nodes in one loop, messages handed over directly.
    Omnipaxos(Core),
    /// The bare core of raft-rs: three nodes in one loop, messages handed over directly.
    #[command(name = "raft-rs")]
    RaftRs(Core),
}

#[derive(Debug, Args)]
struct Cluster {
    /// Clients that send their next write when their last is answered.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clients: u32,
    /// How long it is measured, after a second of warm-up.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Bytes of each value.
    #[arg(long, default_value_t = 256)]
    payload: usize,
    /// Where clients run: beside the nodes, or on a thread of their own.
    #[arg(long, value_enum, default_value_t = ClientsOn::Same)]
    clients_on: ClientsOn,
    /// Threads of the nodes' runtime.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ClientsOn {
    Same,
    Own,
}

#[derive(Debug, Args)]
struct Core {
    /// Messages are exchanged after so many entries.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    every: u64,
    /// How long it is measured, after a tenth of that as warm-up.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Bytes of each entry.
    #[arg(long, default_value_t = 256)]
    payload: usize,
}

fn main() -> anyhow::Result<()> {
    let line = match Arguments::parse().peer {
        Peer::Openraft(cluster) => {
            let Cluster { clients, seconds, payload, clients_on, threads } = cluster;
            let measured = openraft_cluster::run(openraft_cluster::Plan {
                clients: clients as usize,
                time: Duration::try_from_secs_f64(seconds)?,
                payload,
                own_thread: clients_on == ClientsOn::Own,
                threads: threads.into(),
            })?;
            serde_json::json!({
                "peer": "openraft",
                "clients": clients,
                "ops_per_s": measured.ops_per_s.round(),
                "p50_us": measured.p50_us,
                "p99_us": measured.p99_us,
            })
        }
        Peer::Omnipaxos(core) => {
            let time = Duration::try_from_secs_f64(core.seconds)?;
            per_entry("omnipaxos", core.every, omnipaxos_core::run(core.every, core.payload, time)?)
        }
        Peer::RaftRs(core) => {
            let time = Duration::try_from_secs_f64(core.seconds)?;
            per_entry("raft-rs", core.every, raft_rs_core::run(core.every, core.payload, time)?)
        }
    };
    println!("{line}");
    Ok(())
}

fn per_entry(peer: &str, every: u64, ns: f64) -> serde_json::Value {
    serde_json::json!({ "peer": peer, "every": every, "ns_per_entry": (ns * 10.0).round() / 10.0 })
}
