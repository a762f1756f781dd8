//! `paxos-bench local`: three nodes in this process, all in memory.

use paxos_bench::local::hot::Hot;
use paxos_bench::local::{actors, bare_core};
use serde::Serialize;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::Duration;

/// What to run.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The rules alone: all roles of all nodes are driven in one loop, and messages are handed over
    /// directly.
    Core {
        /// Messages are exchanged after so many commands.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
        every: u64,
        #[command(flatten)]
        shape: Shape,
    },
    /// A cluster of actors, and clients in a closed loop.
    Actors {
        /// Clients that send their next write when their last is answered.
        #[arg(long, default_value_t = 64,
            value_parser = clap::value_parser!(u32).range(1..=100_000))]
        clients: u32,
        /// Where clients run: on the arbiter of the leader, or on a thread of their own.
        #[arg(long, value_enum, default_value_t = ClientsOn::Same)]
        clients_on: ClientsOn,
        /// Threads that the nodes run on; with two, the first node has one of them.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
        threads: u8,
        #[command(flatten)]
        shape: Shape,
    },
    /// A part of the path of a command, so many times: for tools that count instructions.
    Hot {
        /// The part.
        #[arg(value_parser = path_of)]
        path: Hot,
        /// How many commands go along it.
        #[arg(long, default_value_t = 10_000)]
        commands: u64,
    },
}

#[derive(Debug, clap::Args)]
struct Shape {
    /// Bytes of each value.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    payload: u32,
    /// How long it is measured, after a warm-up.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ClientsOn {
    Same,
    Own,
}

/// Measures, and prints what came of it.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if cfg!(debug_assertions) {
        super::tell("warning: this is a debug build, so the figures say little: use --release");
    }
    match &arguments.what {
        What::Core { every, shape } => {
            let every = *every;
            let (payload, time) = (shape.payload as usize, shape.time()?);
            shape.print(&bare_core::run(&bare_core::Plan { every, payload, time }))?;
        }
        What::Actors { clients, clients_on, threads, shape } => {
            let plan = actors::Plan {
                clients: *clients as usize,
                clients_on: match clients_on {
                    ClientsOn::Same => actors::ClientsOn::Same,
                    ClientsOn::Own => actors::ClientsOn::Own,
                },
                threads: (*threads).into(),
                payload: shape.payload as usize,
                warm_up: Duration::from_secs(1),
                time: shape.time()?,
            };
            shape.print(&actix_rt::System::new().block_on(actors::run(plan))?)?;
        }
        &What::Hot { path, commands } => path.run(commands)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn path_of(name: &str) -> Result<Hot, String> {
    let found = Hot::ALL.into_iter().find(|(known, _)| *known == name);
    let names = || Hot::ALL.map(|(name, _)| name).join(", ");
    found.map(|(_, path)| path).ok_or_else(|| format!("it is one of {}", names()))
}

impl Shape {
    fn time(&self) -> anyhow::Result<Duration> {
        Ok(Duration::try_from_secs_f64(self.seconds)?)
    }

    fn print(&self, report: &(impl Display + Serialize)) -> anyhow::Result<()> {
        super::print_report(report, self.json)
    }
}
