//! The `paxos-bench` command.

mod cli;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use paxos_bench::check::{self, History, Model, Verdict};
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
    /// Load by clients: in a closed loop, or, with `--rate`, in an open one.
    Load(cli::load::Arguments),
    Compare(cli::compare::Arguments),
    Growth(cli::growth::Arguments),
    Soak(cli::soak::Arguments),
    /// Three nodes in this process, all in memory: what rules and actors cost by themselves.
    Local(cli::local::Arguments),
    Limits(cli::limits::Arguments),
    /// Whole clusters in virtual time, with everything that can go wrong: one seed decides all of
    /// it. Exit code 0: nothing was violated; 1: something was.
    Sim(cli::sim::Arguments),
    Chaos(cli::chaos::Arguments),
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
        Command::Load(arguments) => or_code(cli::load::run(&arguments), ExitCode::FAILURE),
        Command::Compare(arguments) => or_code(cli::compare::run(&arguments), ExitCode::FAILURE),
        Command::Growth(arguments) => or_code(cli::growth::run(&arguments), ExitCode::FAILURE),
        Command::Soak(arguments) => or_code(cli::soak::run(&arguments), ExitCode::FAILURE),
        Command::Local(arguments) => or_code(cli::local::run(&arguments), ExitCode::FAILURE),
        Command::Limits(arguments) => or_code(cli::limits::run(&arguments), ExitCode::FAILURE),
        Command::Sim(arguments) => or_code(cli::sim::run(&arguments), ExitCode::FAILURE),
        Command::Chaos(arguments) => or_code(cli::chaos::run(&arguments), ExitCode::from(USAGE)),
        Command::Check { file, format, limit_s } => {
            let limit = Duration::from_secs(limit_s);
            or_code(run_check(&file, format, limit), ExitCode::from(USAGE))
        }
    }
}

fn or_code(result: anyhow::Result<ExitCode>, code: ExitCode) -> ExitCode {
    result.unwrap_or_else(|error| {
        cli::tell(format_args!("error: {error:#}"));
        code
    })
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
    judged?.with_context(|| format!("{name} tells of no operation: is it in another format?"))
}

/// None: there is nothing to judge.
fn judge<M: Model>(
    model: &M,
    history: &History<M::Input, M::Output>,
    limit: Duration,
) -> anyhow::Result<Option<ExitCode>> {
    if history.is_empty() {
        return Ok(None);
    }
    let size = format!("{} operations on {} keys", history.len(), history.keys().count());
    Ok(Some(match check::check(model, history, limit) {
        Verdict::Linearizable => {
            cli::print(format_args!("linearizable: {size}"))?;
            ExitCode::SUCCESS
        }
        Verdict::NotLinearizable(counter_example) => {
            cli::print(counter_example)?;
            ExitCode::FAILURE
        }
        Verdict::Unknown => {
            let limit_s = limit.as_secs();
            cli::print(format_args!(
                "unknown: {size} were not judged within {limit_s} s: give more by --limit-s"
            ))?;
            ExitCode::from(NOT_JUDGED)
        }
    }))
}
