//! The command line without a cluster: what is wrong usage, and what fails.

use crate::support::{closed_port, paxos_kv};

const CLUSTER: &str = "1=127.0.0.1:1,2=127.0.0.1:2";

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_wrong() {
    let serve = |more: &[&str]| {
        let mut args = vec!["serve", "--id", "1", "--data-dir", "/nonexistent/never-made"];
        args.extend(more);
        args.iter().map(|arg| arg.to_string()).collect::<Vec<_>>()
    };
    let of = |args: &[&str]| args.iter().map(|arg| arg.to_string()).collect::<Vec<_>>();
    let cases = [
        (of(&[]), "Usage"),
        (of(&["frobnicate"]), "frobnicate"),
        (of(&["get", "k", "--frobnicate"]), "--frobnicate"),
        (of(&["put", "k"]), "<VALUE>"),
        (of(&["cas", "k", "new"]), "--expect"),
        (of(&["cas", "k", "--absent", "--version", "3", "new"]), "cannot be used with"),
        (of(&["get", "k", "-o", "yaml"]), "plain"),
        (of(&["get", "k", "--endpoints", ""]), "is not HOST:PORT"),
        (of(&["get", "k", "--endpoints", "localhost"]), "\"localhost\" is not HOST:PORT"),
        (of(&["get", "k", "--endpoints", "http://127.0.0.1:1"]), "is not HOST:PORT"),
        (serve(&[]), "--initial-cluster"),
        (serve(&["--initial-cluster", "1"]), "NODE=HOST:PORT"),
        (serve(&["--initial-cluster", "one=127.0.0.1:1"]), "not a node's number"),
        (serve(&["--initial-cluster", "1=127.0.0.1"]), "not HOST:PORT"),
        (serve(&["--initial-cluster", "1=a:1,1=b:1"]), "named twice"),
        (serve(&["--initial-cluster", "2=127.0.0.1:1"]), "node 1 is not in the initial cluster"),
        (
            serve(&[
                "--initial-cluster",
                CLUSTER,
                "--heartbeat-ms",
                "100",
                "--election-timeout-ms",
                "150",
            ]),
            "300 ms or more",
        ),
        (serve(&["--initial-cluster", CLUSTER, "--heartbeat-ms", "0"]), "at least 1 ms"),
        (serve(&["--initial-cluster", CLUSTER, "--log-level", "a=b=c"]), "--log-level"),
        (of(&["dev", "--nodes", "10"]), "--nodes"),
        (of(&["dev", "--nodes", "0"]), "--nodes"),
    ];
    for (args, expected) in cases {
        let run = paxos_kv(&args);
        assert_eq!(run.code, 2, "{args:?}: {run:?}");
        assert!(run.stderr.contains(expected), "{args:?}: {run:?}");
        assert_eq!(run.stdout, "", "{args:?}");
    }
}

#[test]
fn help_has_examples_and_exit_codes() {
    let run = paxos_kv(&["--help"]);
    assert_eq!(run.code, 0);
    for expected in ["paxos-kv dev", "paxos-kv cas", "Exit codes"] {
        assert!(run.stdout.contains(expected), "{expected}: {run:?}");
    }
}

#[test]
fn a_port_in_use_is_one_clear_error() {
    // Where this fails, somebody else uses the port, which does as well.
    let _held = std::net::TcpListener::bind("127.0.0.1:2579");
    let dir = tempfile::tempdir().unwrap();
    let data_dir = format!("--data-dir={}", dir.path().display());
    let run = paxos_kv(&["dev", "--nodes", "1", &data_dir]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    let expected = "error: cannot listen for clients on 127.0.0.1:2579: the port is in use";
    assert!(run.stderr.starts_with(expected), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
}

#[test]
fn no_cluster_is_one_clear_error() {
    let endpoints = format!("127.0.0.1:{},127.0.0.1:{}", closed_port(), closed_port());
    let commands = [
        &["put", "k", "v"][..],
        &["get", "k"],
        &["del", "k"],
        &["cas", "k", "--absent", "v"],
        &["status"],
    ];
    // Each waits a while for the cluster to listen: they wait together.
    let runs = commands.map(|args| {
        let args = [args, &["--endpoints", &endpoints]].concat().join(" ");
        std::thread::spawn(move || {
            let run = paxos_kv(&args.split(' ').collect::<Vec<_>>());
            (args, run)
        })
    });
    for run in runs {
        let (args, run) = run.join().unwrap();
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        assert!(run.stderr.starts_with("error: no endpoint can be reached"), "{run:?}");
        assert!(run.stderr.contains("refused"), "{run:?}");
    }
}
