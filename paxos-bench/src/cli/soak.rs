//! `paxos-bench soak`.

use paxos_bench::soak::Soak;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// A load below the peak for long, under which memory, descriptors and latency must stay level;
/// then more than there is room for, under which as much as ever must be done, and after which all
/// must soon be as before. Exit code 0: done; 1: failed, or, with `--check`, something did not
/// hold.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How long the steady load takes.
    #[arg(long, default_value_t = 30.0, value_parser = minutes)]
    minutes: f64,
    /// The part of the peak that is due under the steady load.
    #[arg(long, default_value_t = 0.7, value_parser = times)]
    load: f64,
    /// How many times the peak is due under the overload.
    #[arg(long, default_value_t = 3.0, value_parser = times)]
    overload: f64,
    /// How long the overload takes; 0: there is none.
    #[arg(long, default_value_t = 3.0, value_parser = minutes)]
    overload_minutes: f64,
    /// How long the peak is looked for, by 256 clients in a closed loop.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    peak_seconds: u64,
    /// Keys that are written, again and again.
    #[arg(long, default_value_t = 100_000,
        value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    keys: u64,
    /// Bytes of each value.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(..=1 << 20))]
    value_size: u32,
    /// Memory and descriptors are looked at every so many seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,
    /// Data goes into a new directory in this one, which is removed.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// The server of this store; without it, the one beside this program, or in `PATH`.
    #[arg(long)]
    paxos_kv: Option<PathBuf>,
    /// Print one line of JSON.
    #[arg(long)]
    json: bool,
    /// Exit with 1 when something did not hold.
    #[arg(long)]
    check: bool,
}

/// Runs, and checks if that is asked for.
#[tokio::main]
pub async fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    super::warn_of_debug_build();
    let soak = Soak {
        paxos_kv: super::our_server(arguments.paxos_kv.as_deref())?,
        directory: arguments.directory.clone(),
        peak: Duration::from_secs(arguments.peak_seconds),
        steady: whole_seconds(arguments.minutes),
        load: arguments.load,
        overloaded: whole_seconds(arguments.overload_minutes),
        overload: arguments.overload,
        keys: arguments.keys,
        value_bytes: arguments.value_size as usize,
        every: Duration::from_secs(arguments.every),
    };
    let report = soak.run(|what| super::tell(what)).await?;
    super::print_report(&report, arguments.json)?;
    let is_missed = arguments.check && report.missed().next().is_some();
    Ok(if is_missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn whole_seconds(minutes: f64) -> Duration {
    Duration::from_secs((60.0 * minutes).round() as u64)
}

/// A day at most.
fn minutes(text: &str) -> Result<f64, String> {
    within(text, 0.0, 1440.0)
}

fn times(text: &str) -> Result<f64, String> {
    within(text, 0.01, 100.0)
}

fn within(text: &str, least: f64, most: f64) -> Result<f64, String> {
    let value = text.parse().map_err(|error: std::num::ParseFloatError| error.to_string())?;
    let is_within = (least..=most).contains(&value);
    if is_within { Ok(value) } else { Err(format!("it is not from {least} to {most}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_may_be_parts_of_one_and_have_bounds() {
        assert_eq!(minutes("0.1").map(whole_seconds), Ok(Duration::from_secs(6)));
        assert_eq!(minutes("0").map(whole_seconds), Ok(Duration::ZERO));
        for wrong in ["-1", "1441", "NaN", "ten"] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
        assert_eq!((times("0.7"), times("0").is_err()), (Ok(0.7), true));
    }
}
