//! Clusters of real processes.

use crate::support::{Processes, paxos_kv, paxos_kv_with, until};
use bytes::Bytes;
use paxos_core::{Body, Command, NodeId, SessionId, Slot};
use paxos_kv::Op;
use paxos_kv::wire::{REQUEST, Request, VERSION};
use paxos_net::FrameWriter;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn three_processes_survive_the_kill_of_their_leader() {
    let mut cluster = Processes::started(3);
    for i in 0..20 {
        let run = cluster.run(&["put", &format!("key-{i}"), &format!("value-{i}")]);
        assert_eq!(run.code, 0, "{run:?}");
    }
    let leader = cluster.leader();
    cluster.kill(leader);
    for i in 0..20 {
        let run = cluster.run(&["get", &format!("key-{i}")]);
        assert_eq!((run.code, run.stdout), (0, format!("value-{i}\n")), "{}", run.stderr);
    }
    until("a write is taken", || cluster.run(&["put", "after", "it"]).code == 0);
    cluster.start(leader);
    until("all nodes have applied the same", || {
        let nodes = cluster.status();
        let state = |node: &serde_json::Value| {
            ["cluster", "applied_below", "digest"].map(|field| node[field].clone())
        };
        // A learner may be ahead of the acceptor beside it, which reads its log again.
        let whole = |node| state(node).iter().all(|field| !field.is_null());
        nodes.len() == 3 && nodes.iter().all(|node| whole(node) && state(node) == state(&nodes[0]))
    });
    let nodes = cluster.status();
    for node in &nodes {
        assert_eq!(node["roles"], serde_json::json!(["proposer", "acceptor", "learner"]));
        assert_eq!(node["keys"], 22);
        for counter in ["fsyncs", "records", "elections", "drops"] {
            assert!(node["counters"][counter].is_u64(), "{counter}: {node}");
        }
        assert!(node["counters"]["messages"]["roster"].is_u64(), "{node}");
        for time in ["fsync_us_max", "fsync_us_avg"] {
            assert!(node["counters"]["log"][time].is_u64(), "{time}: {node}");
        }
        assert!(node["cluster"].is_string() && node["ballot"].is_string(), "{node}");
    }
    until("each has measured its way to each other", || {
        let all = cluster.status();
        all.iter().enumerate().all(|(place, node)| {
            let links = &node["counters"]["links"];
            let others = (1..=3).filter(|&other| other != place + 1);
            let mut measured = others.flat_map(|other| {
                ["max", "avg"].map(|what| format!("round_trip_us_{what}_to_{other}"))
            });
            measured.all(|name| links[name].as_u64() > Some(0))
                && links["round_trip_us_max"].as_u64() > Some(0)
        })
    });
    for node in 1..=3 {
        assert_eq!(cluster.stop(node), Some(0), "{}", cluster.said(node));
    }
    (1..=3).for_each(|node| cluster.start(node));
    until("what was written is there after all were stopped", || {
        cluster.run(&["get", "key-7"]).stdout == "value-7\n"
    });
}

#[test]
fn a_command_waits_for_nodes_that_do_not_listen_yet() {
    let mut cluster = Processes::new(1);
    let endpoints = cluster.endpoints();
    let put = std::thread::spawn(move || paxos_kv(&["put", "k", "v", "--endpoints", &endpoints]));
    cluster.start(1);
    let run = put.join().unwrap();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
}

/// Standard error may be a file on a full disk, or a pipe that nobody reads any more.
#[test]
fn a_node_that_cannot_log_loses_the_lines_and_goes_on() {
    for closed in [false, true] {
        let mut cluster = Processes::new(1);
        let mut args = cluster.serve_args(1, &cluster.data_dir(1));
        args.retain(|arg| !arg.starts_with("--log-level"));
        // It says that it has started, if nothing else.
        args.push("--log-level=info".to_owned());
        let log: Stdio = match closed {
            true => std::io::pipe().unwrap().1.into(),
            false => File::create("/dev/full").unwrap().into(),
        };
        cluster.start_logging(1, &args, log);
        until("a write is taken", || cluster.run(&["put", "k", "v"]).code == 0);
        assert_eq!(cluster.run(&["get", "k"]).stdout, "v\n");
        assert_eq!(cluster.stop(1), Some(0));
    }
}

#[test]
fn each_command_prints_what_came_of_it() {
    let cluster = Processes::started(1);
    let ok = |args: &[&str]| {
        let run = cluster.run(args);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{args:?}");
        run.stdout
    };
    let refused = |args: &[&str], expected: &str| {
        let run = cluster.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{args:?}: {run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{args:?}: {run:?}");
        assert!(run.stderr.starts_with("error: ") && run.stderr.contains(expected), "{run:?}");
    };
    assert_eq!(ok(&["put", "a", "1"]), "ok: version 1, revision 3\n");
    assert_eq!(ok(&["get", "a"]), "1\n");
    assert_eq!(
        ok(&["get", "a", "-o", "json"]),
        "{\"create_revision\":3,\"key\":\"a\",\"mod_revision\":3,\"value\":\"1\",\"version\":1}\n"
    );
    assert_eq!(
        ok(&["get", "a", "-o", "table"]),
        "KEY  VALUE  VERSION  CREATED  MODIFIED\na    1      1        3        3\n"
    );
    assert_eq!(ok(&["cas", "a", "--expect", "1", "2"]), "ok: version 2, revision 4\n");
    refused(&["cas", "a", "--expect", "1", "3"], "it has version 2, of revision 4");
    refused(&["cas", "a", "--absent", "3"], "nothing was changed");
    assert_eq!(ok(&["cas", "a", "--version", "2", "3"]), "ok: version 3, revision 5\n");
    assert_eq!(ok(&["cas", "b", "--absent", "x"]), "ok: version 1, revision 6\n");
    assert_eq!(ok(&["del", "b"]), "ok: deleted\n");
    assert_eq!(ok(&["del", "b", "-o", "json"]), "{\"deleted\":false,\"key\":\"b\"}\n");
    refused(&["get", "b"], "\"b\" has no value");
    refused(&["get", ""], "the key is empty");
    refused(&["put", &"k".repeat(8193), "v"], "the key has 8193 bytes, and a key has at most 8192");

    let put = |value: &[u8]| {
        paxos_kv_with(&["put", "big", "-", "--endpoints", &cluster.endpoints()], value)
    };
    let big = put(&vec![b'x'; (1 << 20) + 1]);
    assert_eq!((big.code, big.stdout.as_str()), (1, ""));
    assert!(big.stderr.contains("the value has 1048577 bytes"), "{big:?}");
    assert_eq!(put(&vec![b'x'; 1 << 20]).code, 0);
    assert_eq!(ok(&["get", "big"]).len(), (1 << 20) + 1);
    assert_eq!(put(b"\xff\x00").code, 0);
    assert!(ok(&["get", "big", "-o", "json"]).contains("{\"base64\":\"/wA=\"}"));
    assert!(ok(&["status", "-o", "table"]).contains("leads"));
    assert!(ok(&["status"]).contains("leader 1"));
}

#[test]
fn a_scan_prints_every_key_with_its_prefix() {
    let cluster = Processes::started(1);
    let ok = |args: &[&str]| {
        let run = cluster.run(args);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{args:?}");
        run.stdout
    };
    for (key, value) in [("a/1", "x"), ("a/2", "two\nlines"), ("a/3", ""), ("b", "y")] {
        ok(&["put", key, value]);
    }
    assert_eq!(ok(&["scan", "a/"]), "a/1\tx\na/2\ttwo\\nlines\na/3\t\n");
    assert_eq!(ok(&["scan", "a/", "--keys-only", "--limit", "2"]), "a/1\na/2\n");
    assert_eq!(ok(&["scan", ""]).lines().count(), 5, "one was put at the start");
    assert_eq!(ok(&["scan", "nothing/"]), "");
    assert_eq!(
        ok(&["scan", "a/", "--limit", "1", "-o", "table"]),
        "KEY  VALUE  VERSION  CREATED  MODIFIED\na/1  x      1        3        3\n"
    );
    let json = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&ok(&[args, &["-o", "json"]].concat())).unwrap()
    };
    let found = json(&["scan", "a/"]);
    assert_eq!((&found["revision"], found["keys"].as_array().unwrap().len()), (&6.into(), 3));
    assert_eq!(found["keys"][1]["value"], "two\nlines");
    assert!(json(&["scan", "a/", "--keys-only"])["keys"][0].get("value").is_none());
    assert_eq!(json(&["scan", "nothing/"])["keys"], serde_json::json!([]));

    // More than one answer has.
    for key in ["big/1", "big/2", "big/3"] {
        let put = &["put", key, "-", "--endpoints", &cluster.endpoints()];
        assert_eq!(paxos_kv_with(put, &vec![b'x'; 1 << 20]).code, 0);
    }
    assert_eq!(json(&["scan", "big/"])["keys"].as_array().unwrap().len(), 3);
    assert_eq!(ok(&["scan", "big/", "-o", "table"]).lines().count(), 4);
    assert_eq!(ok(&["get", "big/1", "-o", "table"]).lines().count(), 2);
}

#[test]
fn what_is_in_use_is_one_clear_error() {
    let cluster = Processes::started(1);
    let fails = |args: &[String], expected: &str| {
        let run = paxos_kv(args);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        assert!(run.stderr.contains(expected), "{run:?}");
    };
    let other = Processes::new(1);
    fails(&other.serve_args(1, &cluster.data_dir(1)), "is in use by another process");

    let elsewhere = other.dir.path().join("a");
    let mut peer_port = other.serve_args(1, &elsewhere);
    peer_port.push(format!("--listen-peer=127.0.0.1:{}", cluster.peers[0]));
    peer_port.remove(4);
    fails(&peer_port, "cannot listen for peers");
    let mut client_port = other.serve_args(1, &elsewhere);
    client_port.push(format!("--listen-client=127.0.0.1:{}", cluster.clients[0]));
    client_port.remove(3);
    fails(&client_port, "cannot listen for clients");

    let two = Processes::new(2);
    let mut cluster = cluster;
    assert_eq!(cluster.stop(1), Some(0));
    fails(&two.serve_args(2, &cluster.data_dir(1)), "belongs to node 1, not to node 2");
}

#[test]
fn a_wiped_member_is_refused_and_the_cluster_goes_on() {
    let mut cluster = Processes::started(3);
    cluster.kill(3);
    std::fs::remove_dir_all(cluster.data_dir(3)).unwrap();
    let run = paxos_kv(&cluster.serve_args(3, &cluster.data_dir(3)));
    assert_eq!(run.code, 1, "{run:?}");
    let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(errors.len(), 1, "{run:?}");
    assert!(errors[0].contains("the data directory was replaced or wiped"), "{run:?}");
    until("the others go on", || cluster.run(&["put", "still", "here"]).code == 0);
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    let cluster = Processes::started(2);
    let mut other = Processes::started(2);
    other.kill(2);
    let mut args = other.serve_args(2, &other.data_dir(2));
    args.retain(|arg| !arg.starts_with("--initial-cluster"));
    let (first, second) = (cluster.peers[0], other.peers[1]);
    args.push(format!("--initial-cluster=1=127.0.0.1:{first},2=127.0.0.1:{second}"));
    let run = paxos_kv(&args);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.stderr.contains("error: node 1 belongs to another cluster than this data directory"),
        "{run:?}"
    );
    assert_eq!(cluster.run(&["get", "first"]).stdout, "0\n");
}

#[test]
fn garbage_on_the_client_port_cuts_the_connection_and_nothing_else() {
    let cluster = Processes::started(1);
    let garbage: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0xff; 64], &[0, 0, 0, 0, 0, 0, 0, 0], &[0x5a; 100_000]];
    for bytes in garbage {
        let mut stream = TcpStream::connect(("127.0.0.1", cluster.clients[0])).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // The node may cut the connection before it has taken everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let mut byte = [0];
        assert!(matches!(stream.read(&mut byte), Ok(0) | Err(_)), "it is still open");
    }
    until("the node has said so", || cluster.said(1).contains("cut a client connection"));
    assert!(!cluster.said(1).contains("panicked"), "{}", cluster.said(1));
    assert_eq!(cluster.run(&["get", "first"]).stdout, "0\n");
}

/// An entry with such numbers would cut the link to every peer that it is sent to, in each ballot
/// anew, and in each promise that tells of it.
#[test]
fn numbers_that_no_peer_believes_come_no_further_than_the_client_port() {
    let cluster = Processes::started(2);
    let value = Op::Put { key: "k".into(), value: "v".into() }.encode().unwrap();
    let run = |session: u64, sequence, acked_below| {
        let session = SessionId { slot: Slot(session), index: 0 };
        Body::Run { session, sequence, acked_below, value: Bytes::clone(&value) }
    };
    let absurd = [run(0, u64::MAX, 0), run(0, 0, u64::MAX), run(u64::MAX, 0, 0)];
    let both = cluster.clients.iter().flat_map(|port| absurd.iter().map(move |body| (port, body)));
    for (port, body) in both {
        let mut writer = FrameWriter::new(1 << 21);
        let command = Command { client: NodeId(1), learner: NodeId(1), body: body.clone() };
        writer.push(REQUEST, &Request::Hello { version: VERSION }).unwrap();
        writer.push(REQUEST, &Request::Propose(vec![command])).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", *port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(writer.bytes()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(String::from_utf8_lossy(&answer).contains("absurd"), "{answer:?}");
    }
    assert_eq!(cluster.run(&["put", "after", "it"]).code, 0);
}

/// R24: a data directory that was emptied but for its snapshots is no new one: they may be another
/// cluster's.
#[test]
fn a_node_does_not_start_anew_beside_old_snapshots() {
    let mut cluster = Processes::started(1);
    assert_eq!(cluster.stop(1), Some(0));
    let data_dir = cluster.data_dir(1);
    let snapshot = data_dir
        .join("snapshots")
        .join(format!("{:016x}-{:016x}-{:016x}-{:08x}.snapshot", 3, 4, 5, 6));
    std::fs::write(&snapshot, b"five!").unwrap();
    for file in std::fs::read_dir(&data_dir).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            std::fs::remove_file(path).unwrap();
        }
    }
    for _ in 0..2 {
        let run = paxos_kv(&cluster.serve_args(1, &data_dir));
        assert_ne!(run.code, 0);
        assert!(run.stderr.contains("remove the snapshots as well"), "{run:?}");
    }
    std::fs::remove_file(&snapshot).unwrap();
    cluster.start(1);
    until("it serves", || cluster.run(&["put", "k", "v"]).code == 0);
}
