//! The commands that look at how cost grows and at what stays level, on real processes. How fast is
//! no concern here.

use crate::cluster::program;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn bench(arguments: &[&str], paxos_kv: &Path, directory: &Path) -> Output {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_paxos-bench"));
    bench.args(arguments).arg("--paxos-kv").arg(paxos_kv).arg("--directory").arg(directory);
    bench.output().unwrap()
}

fn json(run: &Output) -> Value {
    let said = String::from_utf8_lossy(&run.stderr);
    serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn is_empty(directory: &Path) -> bool {
    directory.read_dir().unwrap().next().is_none()
}

#[test]
fn growth_visits_each_point_in_turn_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = "growth --curves clients,keys,replicas --points 4,10k,+1 --seconds 1 \
                     --rounds 2 --json";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let run = bench(&arguments, program(), directory.path());
    assert!(run.status.success(), "{run:?}");
    let summary = json(&run);
    let curves = summary["curves"].as_array().unwrap();
    let names: Vec<&str> = curves.iter().map(|curve| curve["curve"].as_str().unwrap()).collect();
    assert_eq!(names, ["clients", "keys", "replicas"]);
    for (curve, (name, servers)) in curves.iter().zip([("4", 3), ("10k", 3), ("+1", 4)]) {
        let point = &curve["points"][0];
        assert_eq!((&point["name"], &point["servers"]), (&name.into(), &servers.into()));
        assert_eq!((&point["failed"], &point["cliff"]), (&Value::Null, &Value::Null), "{point}");
        assert_eq!(point["rounds"].as_array().unwrap().len(), 2, "{point}");
        for figure in ["ops_per_s", "p99_us", "cpu_us_per_op", "disk_bytes", "resident_bytes"] {
            assert!(point["medians"][figure].as_f64().unwrap() > 0.0, "{figure}: {point}");
        }
        // A value has 256 bytes, and each node has all of them.
        let written = point["medians"]["ops_per_s"].as_f64().unwrap() * 256.0;
        assert!(point["medians"]["disk_bytes"].as_f64().unwrap() > written, "{point}");
    }
    assert!(is_empty(directory.path()), "data is left behind");
}

#[test]
fn a_point_that_fails_is_told_of_and_the_others_are_visited() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["growth", "--curves", "voters,nodes", "--seconds", "1", "--rounds", "2"];
    let run = bench(&arguments, Path::new("/dev/null"), directory.path());
    assert!(run.status.success(), "nothing was to be checked: {run:?}");
    let table = String::from_utf8_lossy(&run.stdout);
    for point in ["voters +0", "voters +2", "nodes 3", "nodes 5", "nodes 7"] {
        let why = format!("\nFAILED {point}: cannot start /dev/null");
        assert!(table.contains(&why), "{point}: {table}");
    }
    let told = String::from_utf8_lossy(&run.stderr);
    let visits = told.lines().filter(|line| line.contains("  FAILED: ")).count();
    assert_eq!(visits, 5, "what failed is not visited again: {told}");
    let run =
        bench(&[&arguments[..], &["--check"]].concat(), "/dev/null".as_ref(), directory.path());
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let run = bench(&["growth", "--points", "8"], "/dev/null".as_ref(), directory.path());
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(String::from_utf8_lossy(&run.stderr).contains("there is no point 8"), "{run:?}");
    assert!(is_empty(directory.path()), "data is left behind");
}

#[test]
fn a_soak_looks_at_every_server_and_says_what_must_hold() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = "soak --minutes 0.1 --load 0.1 --overload 1 --overload-minutes 0.02 \
                     --peak-seconds 1 --keys 1000 --every 1 --json";
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    let run = bench(&arguments, program(), directory.path());
    assert!(run.status.success(), "{run:?}");
    let report = json(&run);
    let peak = report["peak_per_s"].as_f64().unwrap();
    let phases = report["phases"].as_array().unwrap();
    let names: Vec<&str> = phases.iter().map(|phase| phase["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["steady", "overload", "after"]);
    for (phase, times) in phases.iter().zip([0.1, 1.0, 0.1]) {
        let open = &phase["load"]["open_loop"];
        assert_eq!(open["rate_per_s"], (peak * times) as u64, "{phase}");
        assert!(phase["load"]["write_us"]["p50"].is_number(), "{phase}");
    }
    // One a second, in a second of warm-up and six; fewer where the machine is late.
    let samples = report["samples"].as_array().unwrap();
    assert!((1..=8).contains(&samples.len()), "{report}");
    for sample in samples {
        assert_eq!(sample["servers"].as_array().unwrap().len(), 3, "{sample}");
        for server in sample["servers"].as_array().unwrap() {
            assert!(server["resident_bytes"].as_u64().unwrap() > 1 << 20, "{server}");
            assert!(server["descriptors"].as_u64().unwrap() > 3, "{server}");
        }
    }
    let judged = report["judged"].as_array().unwrap();
    // Memory and descriptors of three servers, errors, p99, goodput, recovery.
    assert_eq!(judged.len(), 10, "{report}");
    for judged in judged.iter().filter(|judged| judged["what"] != "recovery, s") {
        assert!(judged["found"].is_number(), "{judged}");
    }
    assert!(is_empty(directory.path()), "data is left behind");
}
