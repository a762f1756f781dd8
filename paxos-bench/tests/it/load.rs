//! The load command against a real cluster.

use crate::cluster::Cluster;
use paxos_bench::compare::rows::ROWS;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

fn load(endpoints: &str, more: &[&str]) -> Output {
    let mut load = Command::new(env!("CARGO_BIN_EXE_paxos-bench"));
    load.args(["load", "--endpoints", endpoints, "--seconds", "1", "--json"]).args(more);
    load.output().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_prints_one_line_of_json_and_its_progress() {
    let cluster = Cluster::start().await;
    let endpoints = cluster.endpoints().join(",");
    let run = load(&endpoints, &["--clients", "8", "--writes", "50", "--keys", "10"]);
    let progress = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{progress}");
    assert!(progress.starts_with("8 clients in a closed loop over 4 connected sessions"));
    assert_eq!(progress.lines().count(), 3, "a line for each second, warm-up included");
    let text = String::from_utf8_lossy(&run.stdout);
    assert_eq!(text.lines().count(), 1, "{text}");
    let report: Value = serde_json::from_str(&text).unwrap();
    assert!(report["ops_per_s"].as_f64().unwrap() > 0.0, "{text}");
    for kind in ["write_us", "read_us"] {
        let at = |name: &str| report[kind][name].as_u64().unwrap();
        assert!(at("p50") <= at("p99") && at("p99") <= at("p999"), "{text}");
    }
    assert_eq!(report["errors"], 0, "{text}");

    let run = load(&endpoints, &["--clients", "2", "--writes", "0"]);
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report["write_us"]["p50"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_loop_sends_all_that_is_due_or_says_what_it_refused() {
    let cluster = Cluster::start().await;
    let endpoints = cluster.endpoints().join(",");
    let run = load(&endpoints, &["--rate", "200", "--keys", "10"]);
    let progress = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{progress}");
    assert!(progress.starts_with("200 requests per second in an open loop over 4"), "{progress}");
    assert!(progress.lines().skip(1).all(|line| line.ends_with(" open")), "{progress}");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let open = &report["open_loop"];
    assert_eq!((&open["rate_per_s"], &open["due"]), (&200.into(), &200.into()), "{report}");
    assert_eq!((&open["refused"], &report["errors"]), (&0.into(), &0.into()), "{report}");
    assert!(report["ops_per_s"].as_f64().unwrap() <= 200.0, "{report}");

    // More is due than can be sent one at a time: the rest has failed, and was not delayed.
    let run = load(&endpoints, &["--rate", "500000", "--in-flight", "1"]);
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    let refused = report["open_loop"]["refused"].as_u64().unwrap();
    assert!(refused > 0 && report["errors"].as_u64().unwrap() >= refused, "{report}");
    assert_eq!(report["open_loop"]["due"], 500_000, "{report}");
}

#[test]
fn without_another_store_a_comparison_is_skipped_loudly() {
    let compare = |more: &[&str]| {
        let mut compare = Command::new(env!("CARGO_BIN_EXE_paxos-bench"));
        compare.args(["compare", "--json"]).args(more).env("PATH", "").output().unwrap()
    };
    let run = compare(&[]);
    assert!(run.status.success(), "{run:?}");
    let said = String::from_utf8_lossy(&run.stderr);
    let summary: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(summary["rows"], serde_json::json!([]), "{summary}");
    for row in ROWS {
        assert!(said.contains(&format!("SKIPPED {}: ", row.name)), "{said}");
        let mut skipped = summary["skipped"].as_array().unwrap().iter();
        assert!(skipped.any(|skipped| skipped["row"] == *row.name), "{summary}");
    }
    let run = compare(&["--check", "--rows", "redis-writes-64"]);
    assert_eq!(run.status.code(), Some(3), "nothing was checked: {run:?}");
    let run = compare(&["--rows", "redis-wrotes"]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(String::from_utf8_lossy(&run.stderr).contains("redis-writes-64"), "{run:?}");
    let run = compare(&["--writes", "50"]);
    assert_eq!(run.status.code(), Some(1), "this load has no clients: {run:?}");
}

/// A directory for `PATH` with what is taken for Redis.
fn no_redis() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["redis-server", "redis-benchmark"] {
        std::fs::write(directory.path().join(name), "no program").unwrap();
    }
    directory
}

#[test]
fn a_row_that_fails_is_told_of_and_the_others_are_measured() {
    let path = no_redis();
    let peers = path.path().join("paxos-peers");
    std::fs::write(&peers, "#!/bin/sh\necho '{\"ops_per_s\":1.0}'\n").unwrap();
    std::fs::set_permissions(&peers, std::fs::Permissions::from_mode(0o755)).unwrap();
    let compare = |more: &[&str]| {
        let mut compare = Command::new(env!("CARGO_BIN_EXE_paxos-bench"));
        compare.args(["compare", "--rounds", "1", "--seconds", "1", "--directory"]);
        compare.arg(path.path()).args(["--paxos-kv", "/dev/null", "--peers-binary"]).arg(&peers);
        compare.args(["--rows", "redis-writes-64,openraft-own-64"]).args(more);
        compare.env("PATH", path.path()).output().unwrap()
    };
    let run = compare(&["--json"]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let summary: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(summary["failed"][0]["row"], "redis-writes-64", "{summary}");
    assert!(summary["failed"][0]["why"].as_str().unwrap().contains("/dev/null"), "{summary}");
    assert_eq!(summary["rows"].as_array().unwrap().len(), 1, "{summary}");
    assert_eq!(summary["rows"][0]["theirs"]["medians"]["ops_per_s"], 1.0, "{summary}");
    let run = compare(&["--check"]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let table = String::from_utf8_lossy(&run.stdout);
    assert!(table.contains("\nFAILED redis-writes-64: cannot start /dev/null"), "{table}");
}

#[test]
fn load_without_a_cluster_fails() {
    let run = load("127.0.0.1:1", &[]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(run.stdout.is_empty());
}
