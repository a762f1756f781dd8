//! `paxos-bench chaos`.

use super::tell;
use paxos_bench::chaos::{self, Bounds, Kind, Options, actors, processes};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// A run that is so long must have had every kind of fault.
const EVERY_KIND_S: u64 = 120;

/// Kills nodes, cuts links and breaks disks while clients call, and judges what they saw. Exit code
/// 0: all held; 1: it did not, or too little happened; 2: it could not be started, or its report
/// not be written.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(3..=9))]
    nodes: u8,
    /// How long faults are made, in each run.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Decides which faults there are, when, and which calls; any, unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// The faults, by name; all that can be made here, unless given.
    #[arg(long, value_delimiter = ',', value_name = "NAME", value_parser = kind)]
    faults: Vec<Kind>,
    /// Calls a second by all clients, at most.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// Fail below so many calls a second that succeed, on average, faults included.
    #[arg(long, default_value_t = 100)]
    ops_min: u64,
    /// Fail with fewer events, on average, than one in so many seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    event_every: u64,
    /// Nodes are actors in this process, and links are mail.
    #[arg(long)]
    in_process: bool,
    /// So many runs, each with a seed of its own.
    #[arg(long, default_value_t = 1, requires = "in_process",
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    runs: u64,
    /// Data, logs and histories go into a new directory below this one; after a failure it stays.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
    /// The server of this store; without it, the one beside this program, or in `PATH`.
    #[arg(long)]
    paxos_kv: Option<PathBuf>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Makes the faults, and tells each.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let options = arguments.options();
    if !arguments.in_process && options.kinds.contains(&Kind::FullDisk) && !chaos::has_namespace() {
        // It goes on in there, if it can.
        tell(format_args!("no full disk: {}", chaos::enter_namespace()));
    }
    tell(format_args!("seed {}", options.seed));
    let tell_event = |what: &str| tell(what);
    let report = match arguments.in_process {
        true => actors::run(&options, arguments.runs, tell_event)?,
        false => {
            let program = super::our_server(arguments.paxos_kv.as_deref())?;
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(processes::run(&program, &options, tell_event))?
        }
    };
    super::print_report(&report, arguments.json)?;
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Arguments {
    fn options(&self) -> Options {
        let any = || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.map_or(1, |now| now.as_nanos() as u64 % 1_000_000_000)
        };
        let all = if self.in_process { Kind::ACTORS } else { Kind::PROCESSES };
        let bounds = Bounds {
            ops_min: self.ops_min as f64,
            events_min: 1.0 / self.event_every as f64,
            every_kind: self.seconds.saturating_mul(self.runs) >= EVERY_KIND_S,
        };
        Options {
            seed: self.seed.unwrap_or_else(any),
            nodes: self.nodes.into(),
            duration: Duration::from_secs(self.seconds),
            kinds: if self.faults.is_empty() { all.to_vec() } else { self.faults.clone() },
            rate: self.rate,
            reads_stale: false,
            bounds,
            directory: self.directory.clone(),
        }
    }
}

fn kind(name: &str) -> Result<Kind, String> {
    let mut all = Kind::PROCESSES.iter().chain(Kind::ACTORS);
    all.find(|kind| kind.name() == name).copied().ok_or_else(|| {
        let names = |kinds: &[Kind]| kinds.iter().map(|k| k.name()).collect::<Vec<_>>().join(", ");
        let (processes, actors) = (names(Kind::PROCESSES), names(Kind::ACTORS));
        format!("there is no such fault; of processes: {processes}; of actors: {actors}")
    })
}
