//! What runs in one process, all in memory: each a program of its own, which prints its figures.

use super::CompareError;
use super::figure::{Figure, Sample};
use super::row::{PeerName, Threads, Work};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// What such a program prints, as one line of JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    ops_per_s: Option<f64>,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    ns_per_entry: Option<f64>,
}

/// Runs the work on this store's crates, by this program.
pub(super) fn ours(this: &Path, work: &Work, time: Duration) -> Result<Sample, CompareError> {
    let (what, options) = arguments(work, |threads| threads.ours);
    let mut command = Command::new(this);
    command.args(["local", what, "--json"]).args(options);
    run("paxos-bench local", command, time)
}

/// Runs the work on another library.
pub(super) fn theirs(
    paxos_peers: &Path,
    peer: PeerName,
    work: &Work,
    time: Duration,
) -> Result<Sample, CompareError> {
    let mut command = Command::new(paxos_peers);
    command.arg(peer.name()).args(arguments(work, |threads| threads.theirs).1);
    run(peer.name(), command, time)
}

/// What is run, as this program names it, and the options that all of these programs know.
fn arguments(work: &Work, of: impl Fn(Threads) -> u8) -> (&'static str, Vec<String>) {
    match *work {
        Work::Core { every } => ("core", vec![format!("--every={every}")]),
        Work::Actors { clients, own_thread, threads } => {
            let clients_on = if own_thread { "own" } else { "same" };
            let options = [
                format!("--clients={clients}"),
                format!("--clients-on={clients_on}"),
                format!("--threads={}", of(threads)),
            ];
            ("actors", options.to_vec())
        }
        // No row asks this of servers' work: what is run then says that it lacks its options.
        _ => ("", Vec::new()),
    }
}

/// Waits for the program: nothing else goes on meanwhile.
fn run(name: &'static str, mut command: Command, time: Duration) -> Result<Sample, CompareError> {
    command.args(["--seconds", &time.as_secs().to_string()]);
    let binary = command.get_program().into();
    let output = command.output().map_err(|source| CompareError::Start { binary, source })?;
    let said = String::from_utf8_lossy(&output.stdout);
    let unreadable = || {
        let errors = String::from_utf8_lossy(&output.stderr);
        CompareError::Unreadable(name, format!("{said}{errors}"))
    };
    parse(&said).ok_or_else(unreadable)
}

/// The figures in what was printed; none, where there are none.
fn parse(said: &str) -> Option<Sample> {
    let read = |line: &str| serde_json::from_str::<Line>(line).ok();
    let line = said.lines().find_map(read)?;
    let sample = Sample::default()
        .with(Figure::OpsPerS, line.ops_per_s)
        .with(Figure::P50Us, line.p50_us)
        .with(Figure::P99Us, line.p99_us)
        .with(Figure::NsPerEntry, line.ns_per_entry);
    (!sample.figures.is_empty()).then_some(sample)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_json_has_the_figures() {
        let said = "warm-up\n{\"peer\":\"openraft\",\"clients\":64,\"ops_per_s\":344000.0,\
                    \"p50_us\":170.5,\"p99_us\":400}\n";
        let sample = parse(said).unwrap();
        let figures: Vec<_> = sample.figures.into_iter().collect();
        let expected =
            [(Figure::OpsPerS, 344_000.0), (Figure::P50Us, 170.5), (Figure::P99Us, 400.0)];
        assert_eq!(figures, expected);
        let core = parse("{\"peer\":\"raft-rs\",\"every\":128,\"ns_per_entry\":790}").unwrap();
        assert_eq!(core.figures.into_iter().collect::<Vec<_>>(), [(Figure::NsPerEntry, 790.0)]);
        assert_eq!(parse("{\"peer\":\"raft-rs\"}"), None);
        assert_eq!(parse("error: no such command\n"), None);
    }
}
