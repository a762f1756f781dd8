//! Whole clusters in one process: actors, routes, clients.

use crate::support::*;
use paxos_actors::cluster::{Cluster, ClusterError};
use paxos_actors::ending::NodeEnd;
use paxos_actors::submit::ClientHandle;
use paxos_core::{NodeId, Outcome, RoleName, Slot, Timing};
use std::collections::BTreeMap;
use std::time::Duration;

async fn start(nodes: u64) -> Cluster<Tally> {
    let logs: BTreeMap<_, _> = (1..=nodes).map(|n| (NodeId(n), SharedLog::default())).collect();
    Cluster::builder(nodes)
        .expect("sound")
        .timing(Timing::new(10, 100).expect("sound"))
        .state(|_| Tally::default())
        .logs(move |node| logs[&node].side())
        .start()
        .await
        .expect("can start")
}

/// Writes each of these once and expects that each was applied once.
async fn write_all(client: &ClientHandle, keys: impl IntoIterator<Item = String>) {
    let writes: Vec<_> = keys
        .into_iter()
        .map(|key| {
            let client = client.clone();
            actix_rt::spawn(async move { client.write(key).await })
        })
        .collect();
    for write in writes {
        let outcome = write.await.expect("no panic").expect("the client lives");
        assert_eq!(outcome, Outcome::Done("1".into()));
    }
}

fn keys(name: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |i| format!("{name}{i}"))
}

/// Polls until `found` finds something. Bounded only so that a failure ends.
async fn eventually<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(value) = found().await {
            return value;
        }
        actix_rt::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

async fn leader(cluster: &Cluster<Tally>) -> NodeId {
    eventually("a leader", async || cluster.leader().await).await
}

/// All running nodes have applied the same, up to the same slot; gives back how many keys.
async fn agreement(cluster: &Cluster<Tally>, keys: usize) {
    let same = eventually("all learners are equal", async || {
        let status = cluster.status().await;
        let mut seen = status.values().filter_map(|node| node.learner.clone());
        let first = seen.next()?;
        let is_same = |l: paxos_core::LearnerStatus| {
            (l.applied_below, l.digest) == (first.applied_below, first.digest)
        };
        let id = *status.keys().next()?;
        let held = cluster.inspect(id, |tally: &Tally| tally.0.len()).await?;
        (held >= keys && seen.all(is_same)).then_some(held)
    })
    .await;
    assert_eq!(same, keys);
}

async fn write_and_read(nodes: u64) {
    let mut cluster = start(nodes).await;
    let client = cluster.client().await.expect("can start");
    write_all(&client, keys("k", 100)).await;
    assert_eq!(client.write("k7").await, Ok(Outcome::Done("2".into())));
    assert_eq!(client.read("k7").await, Ok(Outcome::Done("2".into())));
    assert_eq!(client.read("absent").await, Ok(Outcome::Done("0".into())));
    // No more traffic: what was chosen reaches every learner all the same.
    agreement(&cluster, 100).await;
}

#[actix::test]
async fn one_node_serves_writes_and_reads() {
    write_and_read(1).await;
}

#[actix::test]
async fn three_nodes_serve_writes_and_reads() {
    write_and_read(3).await;
}

#[actix::test]
async fn five_nodes_serve_writes_and_reads() {
    write_and_read(5).await;
}

#[actix::test]
async fn several_clients_share_a_cluster() {
    let mut cluster = start(3).await;
    let (one, two) = (cluster.client().await, cluster.client().await);
    let (one, two) = (one.expect("can start"), two.expect("can start"));
    tokio::join!(write_all(&one, keys("one", 50)), write_all(&two, keys("two", 50)));
    assert_eq!(one.read("two49").await, Ok(Outcome::Done("1".into())));
    agreement(&cluster, 100).await;
}

#[actix::test]
async fn the_cluster_goes_on_without_its_leader_and_takes_it_back() {
    let mut cluster = start(3).await;
    let client = cluster.client().await.expect("can start");
    write_all(&client, keys("before", 50)).await;
    let first = leader(&cluster).await;
    cluster.kill(first).await.expect("runs");
    assert!(matches!(cluster.kill(first).await, Err(ClusterError::Unknown(_))));
    write_all(&client, keys("without", 50)).await;
    assert_ne!(leader(&cluster).await, first);
    cluster.restart(first).await.expect("can start");
    assert!(matches!(cluster.restart(first).await, Err(ClusterError::Running(_))));
    agreement(&cluster, 100).await;
}

#[actix::test]
async fn nothing_is_lost_when_all_nodes_restart_from_their_logs() {
    let mut cluster = start(3).await;
    let client = cluster.client().await.expect("can start");
    write_all(&client, keys("k", 50)).await;
    for node in 1..=3 {
        cluster.kill(NodeId(node)).await.expect("runs");
    }
    for node in 1..=3 {
        cluster.restart(NodeId(node)).await.expect("can start");
    }
    assert_eq!(client.read("k49").await, Ok(Outcome::Done("1".into())));
    agreement(&cluster, 50).await;
}

#[actix::test]
async fn a_leader_that_is_cut_off_is_replaced_and_catches_up() {
    let mut cluster = start(3).await;
    let client = cluster.client().await.expect("can start");
    write_all(&client, keys("before", 20)).await;
    let first = leader(&cluster).await;
    cluster.isolate(first).await;
    write_all(&client, keys("without", 20)).await;
    eventually("the one cut off leads no more", async || {
        let status = cluster.status().await;
        (status[&first].proposer.as_ref()?.stance != "lead").then_some(())
    })
    .await;
    cluster.heal().await;
    agreement(&cluster, 40).await;
}

#[actix::test]
async fn an_orderly_stop_loses_nothing() {
    let mut cluster = start(1).await;
    let client = cluster.client().await.expect("can start");
    write_all(&client, keys("k", 20)).await;
    assert!(matches!(cluster.stop(NodeId(1)).await, Ok(NodeEnd::Stopped)));
    cluster.restart(NodeId(1)).await.expect("can start");
    agreement(&cluster, 20).await;
}

#[actix::test]
async fn a_state_that_panics_ends_its_node() {
    let mut cluster = start(1).await;
    let client = cluster.client().await.expect("can start");
    write_all(&client, keys("k", 1)).await;
    let ending = cluster.node(NodeId(1)).expect("runs").ending();
    let write = client.timeout(Duration::from_millis(50)).write("panic").await;
    assert!(matches!(write, Ok(Outcome::Unknown(_))), "{write:?}");
    assert!(matches!(ending.wait().await, NodeEnd::Panicked { role: RoleName::Learner }));
}

#[actix::test]
async fn status_tells_of_every_role() {
    let mut cluster = start(3).await;
    let client = cluster.client().await.expect("can start");
    write_all(&client, keys("k", 10)).await;
    agreement(&cluster, 10).await;
    for (id, status) in cluster.status().await {
        assert_eq!(status.me.node, id);
        assert!(status.acceptor.expect("has one").formed);
        assert!(status.learner.expect("has one").applied_below > Slot::ZERO);
        let shell = status.shells[&RoleName::Acceptor];
        assert!(shell.running && shell.appended > 0 && shell.appended == shell.durable);
        assert!(status.counts.posted["accepted"] > 0);
    }
}
