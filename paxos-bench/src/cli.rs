//! The commands that put stores under strain.

pub mod chaos;
pub mod compare;
pub mod growth;
pub mod limits;
pub mod load;
pub mod local;
pub mod sim;
pub mod soak;

use anyhow::{Context, bail};
use paxos_bench::compare::{Sample, in_path};
use paxos_bench::load::{Drive, Load};
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Writes a line, or lines, to standard output: the one way there for each command. A reader that
/// has seen enough is no failure.
pub fn print(lines: impl fmt::Display) -> anyhow::Result<()> {
    let text = lines.to_string();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut out = io::stdout().lock();
    match out.write_all((text + end).as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Prints what came of a command, as one line of JSON if that was asked for.
fn print_report(report: &(impl fmt::Display + Serialize), json: bool) -> anyhow::Result<()> {
    match json {
        true => print(serde_json::to_string(report)?),
        false => print(report),
    }
}

/// Writes a line to standard error. Where that cannot be, there is nobody to tell, and no reason to
/// panic, as `eprintln` would.
pub fn tell(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Says that a debug build measures little.
fn warn_of_debug_build() {
    if cfg!(debug_assertions) {
        tell("warning: this is a debug build, so the figures say little: use --release");
    }
}

/// The figures of a measurement, in a line.
fn figures(sample: &Sample) -> String {
    let each = sample.figures.iter();
    each.map(|(figure, value)| format!("  {} {value:.1}", figure.name())).collect()
}

/// What to do to a store.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Work {
    /// Of a hundred requests, so many are writes; the others read.
    #[arg(long, default_value_t = Work::default().writes,
        value_parser = clap::value_parser!(u8).range(..=100))]
    writes: u8,
    /// Bytes of each value written.
    #[arg(long, default_value_t = Work::default().value_size)]
    value_size: usize,
    /// How many keys there are; each request takes any of them.
    #[arg(long, default_value_t = Work::default().keys,
        value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// An open loop: so many requests are due each second in all, whether earlier ones are
    /// answered or not. Latencies count from when a request was due.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: Option<u64>,
    /// In an open loop, so many requests are open at a time at most; what is due above that is not
    /// sent, and counts as failed.
    #[arg(long, default_value_t = Work::default().in_flight, requires = "rate",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    in_flight: u32,
}

impl Default for Work {
    fn default() -> Work {
        Work { writes: 100, value_size: 256, keys: 1000, rate: None, in_flight: 10_000 }
    }
}

impl Work {
    /// The load, by so many clients where it is a closed loop.
    fn load(&self, clients: usize, seconds: u64) -> anyhow::Result<Load> {
        let drive = match self.rate {
            Some(rate) => Drive::Open { rate, in_flight_max: self.in_flight },
            None => Drive::Closed { clients },
        };
        if clients == 0 {
            bail!("at least one client is needed");
        }
        Ok(Load {
            drive,
            writes_percent: self.writes,
            value_bytes: self.value_size,
            keys: self.keys,
            duration: Duration::from_secs(seconds),
        })
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work { writes, value_size, keys, .. } = self;
        write!(f, "{writes} % writes of {value_size} bytes, {keys} keys")
    }
}

/// The server of this store: the one that was named, else the one beside this program, else the one
/// in `PATH`.
fn our_server(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let found = named.map(Path::to_owned).or_else(|| beside("paxos-kv"));
    found
        .or_else(|| in_path("paxos-kv"))
        .context("there is no paxos-kv beside this program or in PATH: build it, or use --paxos-kv")
}

/// The program of this name beside this one, if there is one.
fn beside(name: &str) -> Option<PathBuf> {
    let file = std::env::current_exe().ok()?.with_file_name(name);
    file.is_file().then_some(file)
}
