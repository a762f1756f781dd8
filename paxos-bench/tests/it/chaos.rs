//! Short runs of chaos, and runs that must not pass. The automatic run has long ones.

use crate::cluster::program;
use paxos_bench::chaos::{Bounds, Kind, Options, Report, actors};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

fn chaos(arguments: &[&str]) -> Output {
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_paxos-bench"));
    chaos.arg("chaos").args(arguments).output().unwrap()
}

fn said(run: &Output) -> String {
    String::from_utf8_lossy(&[&run.stdout[..], &run.stderr].concat()).into_owned()
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let cases: [(&[&str], &str); 7] = [
        (&["--nodes", "2"], "--nodes"),
        (&["--seconds", "0"], "--seconds"),
        (&["--faults", "flood"], "kill-one, kill-leader"),
        (&["--runs", "2"], "--in-process"),
        (&["--in-process", "--runs", "0"], "--runs"),
        (&["--in-process", "--faults", "cut-clients"], "ask for others with --faults"),
        (&["--in-process", "--directory", "/nowhere"], "no place"),
    ];
    for (arguments, problem) in cases {
        let run = chaos(arguments);
        assert_eq!(run.status.code(), Some(2), "{arguments:?}: {}", said(&run));
        assert!(said(&run).contains(problem), "{arguments:?}: {}", said(&run));
    }
}

/// Two kinds that come within a few seconds, and one that is none of processes.
#[test]
fn processes_are_killed_and_cut_off_and_what_cannot_be_done_is_said() {
    let directory = TempDir::new().unwrap();
    let run = chaos(&[
        "--json",
        "--seconds=6",
        "--nodes=3",
        "--seed=7",
        "--ops-min=1",
        "--faults=kill-leader,cut-links,slow-actor",
        &format!("--paxos-kv={}", program().display()),
        &format!("--directory={}", directory.path().display()),
    ]);
    assert!(run.status.success(), "{}", said(&run));
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert!(report["events"].as_u64().unwrap() >= 2, "{report}");
    for kind in ["kill-leader", "cut-links"] {
        assert!(report["faults"][kind].as_u64().unwrap() >= 1, "{report}");
    }
    assert!(report["skipped"]["slow-actor"].is_string(), "{report}");
    assert!(report["judged"][0].as_u64().unwrap() > 0, "{report}");
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "nothing is left of a run that has passed");
}

/// One run of actors, with as much asked of it as any machine can do.
fn run(kinds: &[Kind], reads_stale: bool, seed: u64, directory: PathBuf) -> Report {
    let options = Options {
        seed,
        nodes: 5,
        duration: Duration::from_secs(5),
        kinds: kinds.to_vec(),
        rate: 600,
        reads_stale,
        bounds: Bounds { ops_min: 1.0, events_min: 0.2, every_kind: false },
        directory,
    };
    actors::run(&options, 1, |_| ()).unwrap()
}

#[test]
fn actors_live_through_faults() {
    let directory = TempDir::new().unwrap();
    let report = run(Kind::ACTORS, false, 11, directory.path().to_owned());
    assert!(report.passed(), "{report}");
    assert!(report.faults.len() >= 3, "{report}");
}

/// If this passed, runs would show nothing.
#[test]
fn reads_of_what_one_node_has_applied_are_found_out() {
    let kinds = [Kind::IsolateOne, Kind::Halves];
    let directory = TempDir::new().unwrap();
    let report = run(&kinds, true, 1, directory.path().to_owned());
    assert!(!report.passed(), "{report}");
    assert!(report.to_string().contains("no order explains this"), "{report}");
    let kept = report.kept.as_ref().unwrap().join("history-1.json");
    let mut check = Command::new(env!("CARGO_BIN_EXE_paxos-bench"));
    let check = check.arg("check").arg(kept).args(["--format", "json"]).output().unwrap();
    assert_eq!(check.status.code(), Some(1), "{}", said(&check));
}
