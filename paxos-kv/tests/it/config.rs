//! Where settings come from, and what is said against them.

use crate::support::{Processes, Run, paxos_kv, paxos_kv_in, until};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

const SOUND: &str = r#"
id = 2
data-dir = "data/2"
listen-client = "127.0.0.1:2589"
heartbeat-ms = 20
log-format = "json"

[initial-cluster]
1 = "127.0.0.1:2580"
2 = "127.0.0.1:2590"
"#;

/// A file with settings.
struct Written {
    dir: TempDir,
}

impl Written {
    fn new(text: &str) -> Written {
        let written = Written { dir: tempfile::tempdir().unwrap() };
        std::fs::write(written.path(), text).unwrap();
        written
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("node.toml")
    }

    fn check(&self, variables: &[(&str, &str)], more: &[&str]) -> Run {
        let config = format!("--config={}", self.path().display());
        paxos_kv_in(variables, &[&["config", "check", &config], more].concat())
    }
}

fn named(key: &str, value: Value, name: &str) -> Value {
    json!({ "key": key, "value": value, "from": "environment", "name": name })
}

fn setting<'a>(report: &'a Value, key: &str) -> &'a Value {
    let settings = report["settings"].as_array().unwrap();
    settings.iter().find(|setting| setting["key"] == key).unwrap()
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file_before_the_default() {
    let file = Written::new(SOUND);
    let path = file.path().display().to_string();
    let variables = [
        ("PAXOS_KV_HEARTBEAT_MS", "40"),
        ("PAXOS_KV_LISTEN_CLIENT", "127.0.0.1:1"),
        ("PAXOS_KV_LOG_LEVEL", "debug"),
    ];
    let run = file.check(&variables, &["--listen-client=127.0.0.1:7", "-o", "json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&report["sound"], &report["problems"]), (&json!(true), &json!([])));
    let in_file = |key, value| json!({ "key": key, "value": value, "from": "file", "path": path });
    let cluster = json!({ "1": "127.0.0.1:2580", "2": "127.0.0.1:2590" });
    let expected = [
        in_file("id", json!(2)),
        in_file("data-dir", json!("data/2")),
        in_file("initial-cluster", cluster),
        in_file("log-format", json!("json")),
        json!({ "key": "listen-client", "value": "127.0.0.1:7", "from": "flag" }),
        named("heartbeat-ms", json!(40), "PAXOS_KV_HEARTBEAT_MS"),
        named("log-level", json!("debug"), "PAXOS_KV_LOG_LEVEL"),
        json!({ "key": "election-timeout-ms", "value": 300, "from": "default" }),
        json!({ "key": "listen-peer", "value": "127.0.0.1:2580", "from": "default" }),
        json!({ "key": "quorums", "value": "majority", "from": "default" }),
        json!({ "key": "roles", "value": null, "from": "unset" }),
        json!({ "key": "snapshot-log-mib", "value": 64, "from": "default" }),
    ];
    for expected in &expected {
        assert_eq!(setting(&report, expected["key"].as_str().unwrap()), expected);
    }
    assert_eq!(report["settings"].as_array().unwrap().len(), expected.len());
}

#[test]
fn people_see_each_value_and_where_it_comes_from() {
    let file = Written::new(SOUND);
    let path = file.path().display().to_string();
    let run = file.check(&[], &["--id", "1"]);
    assert_eq!(run.code, 0, "{run:?}");
    for line in [
        "id = 1 (flag)".to_owned(),
        format!("initial-cluster = 1=127.0.0.1:2580,2=127.0.0.1:2590 (file {path})"),
        "election-timeout-ms = 300 (default)".to_owned(),
    ] {
        assert!(run.stdout.lines().any(|said| said == line), "{line}: {run:?}");
    }
    let run = file.check(&[("PAXOS_KV_ID", "1")], &["-o", "table"]);
    assert!(run.stdout.starts_with("SETTING "), "{run:?}");
    assert!(run.stdout.contains("environment PAXOS_KV_ID\n"), "{run:?}");
    assert!(!run.stdout.lines().any(|line| line.ends_with(' ')), "{run:?}");
}

#[test]
fn a_misspelt_key_is_one_error_that_names_it_and_what_was_meant() {
    for (wrong, hint) in [
        ("heartbeat_ms = 20", "unknown setting \"heartbeat_ms\": did you mean \"heartbeat-ms\"?"),
        ("hartbeat-ms = 20", "unknown setting \"hartbeat-ms\": did you mean \"heartbeat-ms\"?"),
        ("listen-clients = 3", "\"listen-clients\": did you mean \"listen-client\"?"),
        ("[initial-clutser]", "\"initial-clutser\": did you mean \"initial-cluster\"?"),
        ("colour = 3", "unknown setting \"colour\": there are data-dir, election-timeout-ms,"),
    ] {
        let file = Written::new(wrong);
        let path = file.path().display().to_string();
        let config = format!("--config={path}");
        for run in [file.check(&[], &[]), paxos_kv(&["serve", &config])] {
            assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
            assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
            assert!(run.stderr.starts_with(&format!("error: {path}: ")), "{run:?}");
            assert!(run.stderr.contains(hint), "{run:?}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_used_is_one_error_that_names_the_line() {
    for (wrong, expected) in [
        ("id = 1\nid = 2", ":2: "),
        ("id = 1\nheartbeat-ms = \"fast\"", ":2: heartbeat-ms: invalid type"),
        ("id = 1\nquorums = 3", ":2: quorums: invalid type"),
        ("\n\nlisten-peer = \"nowhere\"", ":3: listen-peer: "),
        ("log-level = \"a=b=c\"", ":1: log-level: \"a=b=c\" is no filter for the log"),
        ("[initial-cluster]\none = \"127.0.0.1:1\"", "\"one\" is not a node's number"),
        ("[initial-cluster]\n1 = \"127.0.0.1\"", "\"127.0.0.1\" is not HOST:PORT"),
        ("id = ", ":1: "),
    ] {
        let file = Written::new(wrong);
        let run = file.check(&[], &[]);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        let path = file.path().display().to_string();
        assert!(run.stderr.starts_with(&format!("error: {path}:")), "{run:?}");
        assert!(run.stderr.contains(expected), "{wrong}: {run:?}");
    }
    let run = paxos_kv(&["config", "check", "--config", "/nonexistent/node.toml"]);
    assert_eq!((run.code, run.stderr.lines().count()), (2, 1), "{run:?}");
    assert!(run.stderr.contains("cannot read /nonexistent/node.toml"), "{run:?}");
}

#[test]
fn a_variable_that_cannot_be_used_is_named() {
    let fast = [("PAXOS_KV_HEARTBEAT_MS", "fast")];
    let run = paxos_kv_in(&fast, &["config", "check"]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
    assert!(run.stderr.starts_with("PAXOS_KV_HEARTBEAT_MS in the environment is wrong"), "{run:?}");
    assert!(run.stderr.contains("invalid value 'fast'"), "{run:?}");
    let run = paxos_kv_in(&fast, &["config", "check", "--heartbeat-ms", "slow"]);
    assert!(run.stderr.starts_with("error: invalid value 'slow'"), "{run:?}");
}

#[test]
fn everything_unsound_is_said_at_once_and_nothing_is_started() {
    let file = Written::new(SOUND);
    let unsound = |more: &[&str], expected: &[&str]| {
        let run = file.check(&[], more);
        assert_eq!(run.code, 2, "{run:?}");
        assert_eq!(run.stdout.lines().count(), 12, "all settings are shown: {run:?}");
        let said: Vec<&str> = run.stderr.lines().collect();
        assert_eq!(said.len(), expected.len(), "{run:?}");
        for (said, expected) in said.iter().zip(expected) {
            assert!(said.starts_with("error: ") && said.contains(expected), "{said}");
        }
    };
    unsound(&["--id", "3"], &["node 3 is not in the initial cluster"]);
    unsound(&["--heartbeat-ms", "1", "--election-timeout-ms", "3"], &["at least 10 ms"]);
    unsound(&["--election-timeout-ms", "50"], &["it must be at least 3 times as long (60 ms"]);
    unsound(&["--heartbeat-ms", "200", "--id", "7"], &["600 ms or more", "node 7 is not in"]);
    unsound(
        &["--quorums", "1,1"],
        &["1 and phase-2 quorums of 1 out of 2 acceptors need not meet"],
    );
    unsound(&["--roles", "learner"], &["write 2/learner=HOST:PORT there"]);
    unsound(&["--listen-peer", "127.0.0.1:2589"], &["cannot both connect to 127.0.0.1:2589"]);

    let nowhere = Written::new(&SOUND.replace("\"data/2\"", "\"\""));
    let run = nowhere.check(&[], &[]);
    assert_eq!((run.code, run.stderr.lines().count()), (2, 1), "{run:?}");
    assert!(run.stderr.contains("data-dir is empty: name a directory"), "{run:?}");

    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let run = file.check(&[], &["--data-dir", data_dir.to_str().unwrap()]);
    assert_eq!((run.code, data_dir.exists()), (0, false), "{run:?}");

    let run = paxos_kv(&["config", "check", "-o", "json"]);
    assert_eq!((run.code, run.stderr.lines().count()), (2, 3), "{run:?}");
    assert!(run.stderr.contains("id is not set: give --id, PAXOS_KV_ID, or id in"), "{run:?}");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["problems"].as_array().unwrap().len(), 3);
    let id = json!({ "key": "id", "value": null, "from": "unset" });
    assert_eq!((setting(&report, "id"), &report["sound"]), (&id, &json!(false)));
}

#[test]
fn an_address_that_no_other_machine_can_reach_is_warned_of() {
    let file = Written::new(SOUND);
    let cluster = |first: &str| format!("--initial-cluster=1={first},2=10.0.0.2:2590");
    let warned = |first: &str, listen: &str| {
        let listen = format!("--listen-peer={listen}");
        let run = file.check(&[], &["--id=1", &cluster(first), &listen, "-o", "json"]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((run.code, &report["sound"]), (0, &json!(true)), "{run:?}");
        let warnings = report["warnings"].as_array().unwrap().len();
        assert_eq!(
            run.stderr.matches("warning: peers are to reach this node at").count(),
            warnings
        );
        warnings
    };
    assert_eq!(warned("10.0.0.1:2580", "127.0.0.1:2580"), 1);
    assert_eq!(warned("[fd00::1]:2580", "[::1]:2580"), 1);
    assert_eq!(warned("one.example:2580", "127.0.0.1:2580"), 1);
    assert_eq!(warned("10.0.0.1:2580", "10.0.0.1:2580"), 0);
    assert_eq!(warned("10.0.0.1:2580", "0.0.0.0:2580"), 0);
    assert_eq!(warned("localhost:2580", "127.0.0.1:2580"), 0);
    assert_eq!(warned("[::1]:2580", "[::1]:2580"), 0);
}

#[test]
fn a_node_runs_with_what_its_file_says() {
    let mut cluster = Processes::new(1);
    let text = format!(
        "id = 1\ndata-dir = {:?}\nlisten-client = \"127.0.0.1:{}\"\n\
         listen-peer = \"127.0.0.1:{port}\"\n[initial-cluster]\n1 = \"127.0.0.1:{port}\"\n",
        cluster.data_dir(1),
        cluster.clients[0],
        port = cluster.peers[0],
    );
    let file = Written::new(&text);
    cluster.start_with(1, &["serve".to_owned(), format!("--config={}", file.path().display())]);
    until("the node answers", || cluster.run(&["put", "k", "v"]).code == 0);
}
