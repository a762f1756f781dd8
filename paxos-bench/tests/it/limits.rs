//! The limits of the machine are measured, and the bare loop does what it says. How fast is no
//! concern here.

use paxos_bench::limits::bare_loop;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn the_bare_loop_loses_no_entry() {
    let program = Path::new(env!("CARGO_BIN_EXE_paxos-bench"));
    let directory = tempfile::tempdir().unwrap();
    for clients in [1, 300] {
        let time = Duration::from_millis(200);
        let run = bare_loop::measure(program, directory.path(), clients, time).unwrap();
        assert!(run.sent >= clients as u64, "{run:?}");
        assert_eq!(run.stored, [run.sent; 3], "{run:?}");
    }
    assert_eq!(directory.path().read_dir().unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn limits_are_one_line_of_json() {
    let directory = tempfile::tempdir().unwrap();
    let mut limits = Command::new(env!("CARGO_BIN_EXE_paxos-bench"));
    limits.args(["limits", "--json", "--seconds", "1", "--directory"]).arg(directory.path());
    let run = limits.output().unwrap();
    assert!(run.status.success(), "{run:?}");
    let limits: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(limits["fdatasync"].as_array().unwrap().len(), 4, "{limits}");
    assert_eq!(limits["bare_loop"].as_array().unwrap().len(), 5, "{limits}");
    assert!(limits["ping_pong_us"]["p50"].as_u64().unwrap() > 0, "{limits}");
    assert!(limits["actix"]["stream_ns"].as_f64().unwrap() > 0.0, "{limits}");
}
