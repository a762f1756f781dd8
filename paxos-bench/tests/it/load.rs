//! The load command against a real cluster.

use crate::cluster::Cluster;
use serde_json::Value;
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

#[test]
fn load_without_a_cluster_fails() {
    let run = load("127.0.0.1:1", &[]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(run.stdout.is_empty());
}
