//! What nodes are told of each other before they have met, and what becomes of it when it is wrong.

use crate::support::{Processes, paxos_kv, until};

/// The arguments of a node with another list of first nodes.
fn told(cluster: &Processes, node: usize, list: &str) -> Vec<String> {
    let mut args = cluster.serve_args(node, &cluster.data_dir(node));
    args.retain(|arg| !arg.starts_with("--initial-cluster"));
    args.push(format!("--initial-cluster={list}"));
    args
}

#[test]
fn a_cluster_that_cannot_form_says_whom_it_waits_for() {
    let mut cluster = Processes::new(3);
    (1..=2).for_each(|node| cluster.start(node));
    until("both know that the third is missing", || {
        let nodes = cluster.status();
        nodes.iter().take(2).all(|node| node["awaited"] == serde_json::json!([3]))
            && nodes.len() == 3
    });
    let shown = cluster.run(&["status"]).stdout;
    assert!(shown.contains("node 1, waits for node 3"), "{shown}");
    until("the log says so too", || cluster.said(1).contains("cannot connect to peer yet"));
    cluster.start(3);
    until("all are there", || cluster.run(&["put", "k", "v"]).code == 0);
    assert_eq!(cluster.status()[0]["awaited"], serde_json::json!([]));
}

#[test]
fn first_nodes_with_different_lists_are_told() {
    let mut cluster = Processes::new(2);
    cluster.start(1);
    let list = format!("{},3=127.0.0.1:1", cluster.initial_cluster());
    let args = told(&cluster, 2, &list);
    cluster.start_with(2, &args);
    for node in [1, 2] {
        until("the node says so", || cluster.said(node).contains("another list of nodes"));
    }
}

#[test]
fn a_node_with_data_keeps_its_cluster() {
    let mut cluster = Processes::started(1);
    assert_eq!(cluster.stop(1), Some(0));
    let list = format!("{},2=127.0.0.1:1", cluster.initial_cluster());
    let run = paxos_kv(&told(&cluster, 1, &list));
    assert_eq!(run.code, 1, "{run:?}");
    let expected = "belongs to a cluster of node 1, and the initial cluster names node 1, 2";
    assert!(run.stderr.contains(expected), "{run:?}");
    cluster.start(1);
    until("it goes on as before", || cluster.run(&["get", "first"]).stdout == "0\n");
}

#[test]
fn addresses_that_cannot_be_are_refused() {
    let cluster = Processes::new(1);
    let wrong = [
        ("1=127.0.0.1:7000,2=127.0.0.1:7000", "nodes 1 and 2 of the initial cluster have the same"),
        ("1=127.0.0.1:0", "has port 0"),
        ("1=foo bar:7000", "is not HOST:PORT"),
    ];
    for (list, expected) in wrong {
        let run = paxos_kv(&told(&cluster, 1, list));
        assert!(run.code == 1 || run.code == 2, "{run:?}");
        assert!(run.stderr.contains(expected), "{run:?}");
        assert!(!cluster.data_dir(1).exists(), "nothing was started");
    }
    let mut args = cluster.serve_args(1, &cluster.data_dir(1));
    args.retain(|arg| !arg.starts_with("--log-level"));
    args.push("--log-level=inof".to_owned());
    let run = paxos_kv(&args);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("is none of off, error, warn"), "{run:?}");
}
