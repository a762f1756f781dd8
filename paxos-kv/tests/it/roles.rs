//! Nodes with some of the roles: what they are told, what they tell, and whom they let in.

use crate::support::{Processes, paxos_kv, until};
use serde_json::json;

const SEPARATE: [&str; 5] = ["/proposer", "/acceptor", "/acceptor", "/learner@3", "/learner"];

/// A cluster that answers through each of its nodes.
fn started(parts: &[&'static str]) -> Processes {
    let mut cluster = Processes::with_parts(parts);
    (1..=parts.len()).for_each(|node| cluster.start(node));
    for port in cluster.clients.clone() {
        let endpoint = format!("--endpoints=127.0.0.1:{port}");
        until("a node takes calls", || paxos_kv(&["put", "first", "0", &endpoint]).code == 0);
        assert_eq!(paxos_kv(&["get", "first", &endpoint]).stdout, "0\n");
    }
    cluster
}

#[test]
fn each_node_tells_the_roles_that_it_has_and_all_the_same_cluster() {
    let cluster = started(&SEPARATE);
    let nodes = cluster.status();
    let roles = [
        json!(["proposer"]),
        json!(["acceptor"]),
        json!(["acceptor"]),
        json!(["learner"]),
        json!(["learner"]),
    ];
    for (node, roles) in nodes.iter().zip(roles) {
        assert_eq!(node["roles"], roles);
        assert!(node["cluster"].is_string(), "{node}");
        assert_eq!(node["cluster"], nodes[0]["cluster"], "{node}");
    }
    let table = cluster.run(&["status", "-o", "table"]).stdout;
    let row = |node: usize| {
        let cells = table.lines().nth(node).unwrap().split_whitespace().collect::<Vec<_>>();
        cells[1..4].join(" ")
    };
    assert_eq!(
        table.split_whitespace().take(4).collect::<Vec<_>>().join(" "),
        "ENDPOINT NODE ROLES STANCE"
    );
    assert_eq!(row(1), "1 proposer leads");
    assert_eq!(row(2), "2 acceptor -");
    assert_eq!(row(4), "4 learner -");
    let lines = cluster.run(&["status"]).stdout;
    assert!(lines.contains("node 1, proposer, leads, leader 1"), "{lines}");
    assert!(lines.contains("node 2, acceptor, promised"), "{lines}");
}

#[test]
fn a_wiped_acceptor_is_refused_and_a_wiped_learner_catches_up() {
    let mut cluster = started(&["", "/acceptor", "/acceptor", "/learner"]);
    cluster.kill(4);
    std::fs::remove_dir_all(cluster.data_dir(4)).unwrap();
    cluster.start(4);
    until("the new disk has it all", || {
        let nodes = cluster.status();
        let state = |node: usize| ["applied_below", "digest"].map(|of| nodes[node][of].clone());
        nodes.len() == 4 && nodes[3]["keys"] == 1 && state(3) == state(0)
    });
    cluster.kill(3);
    std::fs::remove_dir_all(cluster.data_dir(3)).unwrap();
    cluster.start(3);
    until("the wiped acceptor is told", || {
        cluster.said(3).contains("the data directory was replaced or wiped")
    });
    until("the others go on", || cluster.run(&["put", "second", "1"]).code == 0);
}

#[test]
fn what_cannot_work_is_one_error_that_names_the_way_out() {
    let refused = |parts: &[&'static str], more: &[&str], expected: &str| {
        let cluster = Processes::with_parts(parts);
        let mut args = cluster.serve_args(1, &cluster.data_dir(1));
        args.extend(more.iter().map(|&arg| arg.to_owned()));
        let run = paxos_kv(&args);
        assert_eq!((run.code, cluster.data_dir(1).exists()), (2, false), "{run:?}");
        assert!(run.stderr.contains(expected), "{expected}: {run:?}");
        assert_eq!(run.stderr.lines().filter(|line| line.starts_with("error")).count(), 1);
    };
    refused(&["", "", ""], &["--roles=proposer,learner"], "write 1/proposer+learner=HOST:PORT");
    refused(&["/acceptor", "", ""], &["--roles=learner"], "has it as acceptor");
    refused(&["", "/acceptor", "/acceptor"], &[], "add learners, or give node 2 one");
    refused(&["", "", ""], &["--quorums=1,2"], "need not meet");
    refused(&["", "", ""], &["--quorums=2x2"], "made for 4 acceptors, but the layout has 3");
    refused(&["", "/proposer"], &[], "has no learner to be paired with");
    refused(&["", "/learner@3"], &[], "fed by node 3, which has no acceptor");
    refused(&["/leader"], &[], "\"leader\" is no role");
    refused(&["", ""], &["--quorums=most"], "ROWSxCOLUMNS");
}

#[test]
fn nodes_that_agree_on_other_quorums_than_majorities_form_a_cluster() {
    let mut cluster = Processes::new(4);
    for node in 1..=4 {
        let mut args = cluster.serve_args(node, &cluster.data_dir(node));
        args.extend(["--quorums=2x2".to_owned(), "--roles=acceptor,learner,proposer".to_owned()]);
        cluster.start_with(node, &args);
    }
    until("the grid answers", || cluster.run(&["put", "k", "v"]).code == 0);
}
