//! The simulation itself. The gate runs many seeds by `paxos-bench sim`; here are a few.

use paxos_bench::sim::{self, Campaign, FaultKind};
use std::fs::File;
use std::process::{Command, Stdio};

/// Seeds that are run here.
const SEEDS: u64 = 40;

/// Seeds whose traces are compared with themselves.
const DOUBLE_RUNS: u64 = 50;

#[test]
fn some_seeds_violate_nothing() {
    let mut campaign = Campaign::default();
    (0..SEEDS).for_each(|seed| campaign.add(sim::run(seed)));
    let violations: Vec<String> = campaign.violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
    let never: Vec<_> = campaign.faults().into_iter().filter(|(_, count)| *count == 0).collect();
    assert!(never.is_empty(), "these faults never struck: {never:?}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..DOUBLE_RUNS {
        let (first, result) = sim::trace(seed);
        assert!(result.is_ok(), "{result:?}");
        assert!(first.len() > 10_000, "a trace tells what happened");
        let (second, _) = sim::trace(seed);
        assert!(first == second, "seed {seed} is not deterministic");
    }
}

#[test]
fn another_process_gives_the_same_trace() {
    let trace = || {
        let command = [env!("CARGO_BIN_EXE_paxos-bench"), "sim", "--seed", "1", "--trace"];
        let output = Command::new(command[0]).args(&command[1..]).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    assert!(trace() == trace(), "the trace depends on more than the seed");
}

#[test]
fn a_report_that_cannot_be_written_is_one_clear_error() {
    let run = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paxos-bench"));
        let output = command.args(["sim", "--seed", "7"]).stdout(stdout).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, stderr) = run(File::create("/dev/full").expect("a full disk").into());
    assert_eq!((code, stderr.lines().count()), (Some(1), 1), "{stderr}");
    assert!(stderr.starts_with("error: cannot write to standard output: "), "{stderr}");
    // Nobody reads it any more.
    let (_, unread) = std::io::pipe().expect("a pipe");
    let (code, stderr) = run(unread.into());
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_cluster_without_faults_answers_every_call() {
    for nodes in [1, 3, 5] {
        let report = sim::calm(nodes).expect("nothing is violated");
        assert!(report.done > 5_000, "{report:?}");
        assert_eq!((report.unknown, report.halted), (0, 0), "{report:?}");
        assert_eq!(report.faults.values().sum::<u64>(), 0, "{report:?}");
    }
}

#[test]
fn a_fault_that_never_struck_fails_the_command() {
    let output = Command::new(env!("CARGO_BIN_EXE_paxos-bench"))
        .args(["sim", "--seeds", "0..2", "--faults-min", "1000000"])
        .output()
        .expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let names = |kind: &FaultKind| stderr.contains(&format!("{kind:?} struck"));
    assert!(FaultKind::ALL.iter().any(names), "{stderr}");
}

#[test]
fn seeds_that_are_no_range_are_refused() {
    for seeds in ["", "5", "7..7", "9..3", "a..b", "0..-1"] {
        let output = Command::new(env!("CARGO_BIN_EXE_paxos-bench"))
            .args(["sim", "--seeds", seeds])
            .output()
            .expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{seeds}: {stderr}");
        assert!(stderr.contains("like 0..2000") || seeds.is_empty(), "{seeds}: {stderr}");
    }
}
