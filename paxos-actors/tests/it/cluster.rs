//! Whole clusters in one process: actors, routes, clients.

use crate::support::*;
use actix_rt::Arbiter;
use paxos_actors::Log;
use paxos_actors::cluster::{Cluster, ClusterBuilder, ClusterError};
use paxos_actors::ending::NodeEnd;
use paxos_actors::submit::ClientHandle;
use paxos_actors::wal::{MemoryDisk, Wal, WalOptions};
use paxos_core::{
    Feed, Incarnation, Kind, Layout, LearnerStatus, NodeId, Outcome, Quorums, Record, RoleName,
    SessionRules, Slot, StanceName, Timing,
};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub fn builder(nodes: u64) -> ClusterBuilder<Tally> {
    let timing = Timing::new(10, 100).expect("sound");
    Cluster::builder(nodes, |_| Tally::default()).expect("sound").timing(timing)
}

pub async fn start(nodes: u64) -> Cluster<Tally> {
    builder(nodes).start().await.expect("can start")
}

pub async fn client(cluster: &mut Cluster<Tally>) -> ClientHandle {
    cluster.client().await.expect("can start").timeout(Duration::from_secs(60))
}

/// Writes each of these once and expects that each was applied once.
pub async fn write_all(client: &ClientHandle, keys: impl IntoIterator<Item = String>) {
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

pub fn keys(name: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |i| format!("{name}{i}"))
}

/// Polls until `found` finds something. Bounded only so that a failure ends.
pub async fn eventually<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..3000 {
        if let Some(value) = found().await {
            return value;
        }
        actix_rt::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

pub async fn leader(cluster: &Cluster<Tally>) -> NodeId {
    eventually("a leader", async || cluster.leader().await).await
}

/// All running nodes have applied the same, up to the same slot; gives back how many keys.
pub async fn agreement(cluster: &Cluster<Tally>, keys: usize) {
    let same = eventually("all learners are equal", async || {
        let status = cluster.status().await;
        let mut seen = status.values().filter_map(|node| node.learner.clone());
        let first = seen.next()?;
        let is_same =
            |l: LearnerStatus| (l.applied_below, l.digest) == (first.applied_below, first.digest);
        let id = *status.keys().next()?;
        let held = cluster.inspect(id, |tally: &Tally| tally.0.len()).await?;
        (held >= keys && seen.all(is_same)).then_some(held)
    })
    .await;
    assert_eq!(same, keys);
}

async fn write_and_read(nodes: u64) {
    let mut cluster = start(nodes).await;
    let client = client(&mut cluster).await;
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
    let (one, two) = (client(&mut cluster).await, client(&mut cluster).await);
    tokio::join!(write_all(&one, keys("one", 50)), write_all(&two, keys("two", 50)));
    assert_eq!(one.read("two49").await, Ok(Outcome::Done("1".into())));
    agreement(&cluster, 100).await;
}

/// Nodes 2 and 3 share a thread, a client has its own; node 2 comes back to where it was.
#[actix::test]
async fn nodes_and_clients_run_on_the_arbiters_that_were_named_for_them() {
    let made = Arc::new(Mutex::new(Vec::new()));
    let (others, callers) = (Arbiter::new(), Arbiter::new());
    let makes = made.clone();
    let builder = Cluster::builder(3, move |node| {
        makes.lock().expect("no panic").push((node.0, thread::current().id()));
        Tally::default()
    });
    let builder = builder.expect("sound").timing(Timing::new(10, 100).expect("sound"));
    let builder = builder.on(NodeId(2), &others.handle()).on(NodeId(3), &others.handle());
    let mut cluster = builder.start().await.expect("can start");
    let client = cluster.client_on(&callers.handle()).await.expect("can start");
    write_all(&client, keys("a", 100)).await;
    cluster.kill(NodeId(2)).await.expect("runs");
    write_all(&client, keys("b", 100)).await;
    cluster.restart(NodeId(2)).await.expect("can start");
    agreement(&cluster, 200).await;
    let threads = |of: &[u64]| -> BTreeSet<String> {
        let made = made.lock().expect("no panic");
        let of = made.iter().filter(|(node, _)| of.contains(node));
        of.map(|(_, thread)| format!("{thread:?}")).collect()
    };
    let (first, rest) = (threads(&[1]), threads(&[2, 3]));
    assert_eq!((first.len(), rest.len()), (1, 1));
    assert!(first.is_disjoint(&rest));
    others.stop();
    others.join().expect("no panic");
    assert!(matches!(cluster.restart(NodeId(2)).await, Err(ClusterError::NoArbiter)));
}

#[actix::test]
async fn an_arbiter_that_has_ended_is_told() {
    let ended = Arbiter::new();
    let handle = ended.handle();
    ended.stop();
    ended.join().expect("no panic");
    let started = builder(3).on(NodeId(2), &handle).start().await;
    assert!(matches!(started, Err(ClusterError::NoArbiter)));
    let mut cluster = start(1).await;
    assert!(matches!(cluster.client_on(&handle).await, Err(ClusterError::NoArbiter)));
}

#[actix::test]
async fn the_cluster_goes_on_without_its_leader_and_takes_it_back() {
    let mut cluster = start(3).await;
    let client = client(&mut cluster).await;
    write_all(&client, keys("before", 50)).await;
    let first = leader(&cluster).await;
    cluster.kill(first).await.expect("runs");
    assert!(matches!(cluster.kill(first).await, Err(ClusterError::NotRunning(_))));
    assert!(matches!(cluster.kill(NodeId(9)).await, Err(ClusterError::Unknown(_))));
    write_all(&client, keys("without", 50)).await;
    assert_ne!(leader(&cluster).await, first);
    cluster.restart(first).await.expect("can start");
    assert!(matches!(cluster.restart(first).await, Err(ClusterError::Running(_))));
    agreement(&cluster, 100).await;
}

#[actix::test]
async fn nothing_is_lost_when_all_nodes_restart_from_their_logs() {
    let mut cluster = start(3).await;
    let client = client(&mut cluster).await;
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

/// All three lose power at once, under load, and come back with what had been synced, and parts of
/// what had not; where nothing ever was, with nothing. Gives back how many of the acknowledged
/// writes are still there, and how many there were.
async fn power_cut(syncs_work: bool) -> (usize, usize) {
    let disks: Vec<MemoryDisk> = (0..3).map(|_| MemoryDisk::new()).collect();
    disks.iter().for_each(|disk| disk.skip_syncs(!syncs_work));
    let mounts = disks.clone();
    let logs = move |node: NodeId| -> Box<dyn Log<Record>> {
        let disk = mounts[node.0 as usize - 1].mount();
        let options = WalOptions {
            incarnation: Incarnation(node.0),
            segment_bytes: 1 << 16,
            ..WalOptions::new(node)
        };
        Box::new(Wal::open(disk, options).expect("can be opened"))
    };
    let mut cluster = builder(3).logs(logs).start().await.expect("can start");
    let client = client(&mut cluster).await;
    let acknowledged = Rc::new(RefCell::new(Vec::new()));
    for key in keys("k", 500) {
        let (client, acknowledged) = (client.clone(), acknowledged.clone());
        actix_rt::spawn(async move {
            if let Ok(Outcome::Done(_)) = client.write(key.clone()).await {
                acknowledged.borrow_mut().push(key);
            }
        });
    }
    eventually("some are acknowledged", async || (acknowledged.borrow().len() > 100).then_some(()))
        .await;
    disks.iter().zip(1..).for_each(|(disk, seed)| disk.crash(syncs_work.then_some(seed)));
    let acknowledged = acknowledged.borrow().clone();
    drop(client);
    for node in 1..=3 {
        cluster.kill(NodeId(node)).await.expect("was there");
    }
    for node in 1..=3 {
        cluster.restart(NodeId(node)).await.expect("can start");
    }
    let reader = self::client(&mut cluster).await;
    let mut kept = 0;
    for key in &acknowledged {
        let read = reader.read(key.clone()).await.expect("the client lives");
        kept += usize::from(read == Outcome::Done("1".into()));
    }
    (kept, acknowledged.len())
}

#[actix::test]
async fn nothing_acknowledged_is_lost_when_all_disks_lose_power() {
    let (kept, acknowledged) = power_cut(true).await;
    assert_eq!(kept, acknowledged);
}

#[actix::test]
async fn without_syncs_a_power_cut_does_lose_what_was_acknowledged() {
    let (kept, acknowledged) = power_cut(false).await;
    assert!(kept < acknowledged, "all {kept} were kept: the test above proves nothing");
}

#[actix::test]
async fn a_cluster_on_disk_finds_its_data_again() {
    let path = std::env::temp_dir().join(format!("paxos-cluster-{}", std::process::id()));
    for run in 1..=2 {
        let mut cluster = builder(1).data_dir(&path).start().await.expect("can start");
        let taken = builder(1).data_dir(&path).start().await.err().expect("refused");
        assert!(matches!(taken, ClusterError::Log(_)), "{taken}");
        let client = client(&mut cluster).await;
        let count = Outcome::Done(run.to_string().into());
        assert_eq!(client.write("key").await, Ok(count));
        cluster.stop(NodeId(1)).await.expect("runs");
    }
    std::fs::remove_dir_all(&path).expect("it is ours");
}

#[actix::test]
async fn a_leader_that_is_cut_off_is_replaced_and_catches_up() {
    let mut cluster = start(3).await;
    let client = client(&mut cluster).await;
    write_all(&client, keys("before", 20)).await;
    let first = leader(&cluster).await;
    cluster.isolate(first).await;
    write_all(&client, keys("without", 20)).await;
    eventually("the one cut off leads no more", async || {
        let status = cluster.status().await;
        (status[&first].proposer.as_ref()?.stance != StanceName::Lead).then_some(())
    })
    .await;
    cluster.heal().await;
    agreement(&cluster, 40).await;
}

#[actix::test]
async fn an_orderly_stop_loses_nothing() {
    let mut cluster = start(1).await;
    let client = client(&mut cluster).await;
    write_all(&client, keys("k", 20)).await;
    assert!(matches!(cluster.stop(NodeId(1)).await, Ok(NodeEnd::Stopped)));
    cluster.restart(NodeId(1)).await.expect("can start");
    agreement(&cluster, 20).await;
}

#[actix::test]
async fn a_state_that_panics_ends_its_node() {
    let mut cluster = start(1).await;
    let client = client(&mut cluster).await;
    write_all(&client, keys("k", 1)).await;
    let ending = cluster.node(NodeId(1)).expect("runs").ending();
    let write = client.timeout(Duration::from_millis(50)).write("panic").await;
    assert!(matches!(write, Ok(Outcome::Unknown(_))), "{write:?}");
    assert!(matches!(ending.wait().await, NodeEnd::Panicked { role: RoleName::Learner }));
}

#[actix::test]
async fn status_tells_of_every_role() {
    let mut cluster = start(3).await;
    let client = client(&mut cluster).await;
    write_all(&client, keys("k", 10)).await;
    agreement(&cluster, 10).await;
    for (id, status) in cluster.status().await {
        assert_eq!(status.me.node, id);
        assert!(status.acceptor.expect("has one").formed);
        assert!(status.learner.expect("has one").applied_below > Slot::ZERO);
        let shell = status.shells[&RoleName::Acceptor];
        assert!(shell.running && shell.appended > 0 && shell.appended == shell.durable);
        assert!(status.counts.posted[&Kind::Accepted] > 0);
    }
}

#[actix::test]
async fn roles_on_nodes_of_their_own_find_each_other() {
    let feed = |learner, acceptor| Feed { learner: NodeId(learner), acceptor: NodeId(acceptor) };
    let layout = Layout {
        acceptors: vec![NodeId(1), NodeId(2), NodeId(3)],
        proposers: vec![NodeId(4), NodeId(5)],
        learners: vec![feed(6, 1), feed(7, 2), feed(8, 3)],
        quorums: Quorums::majority(3).expect("sound"),
        window: Layout::WINDOW,
        sessions: SessionRules::default(),
    };
    let cluster = Cluster::with_layout(layout, |_| Tally::default()).start().await;
    let mut cluster = cluster.expect("can start");
    let client = client(&mut cluster).await;
    write_all(&client, keys("k", 20)).await;
    // Reads find a learner, although no node has one beside a proposer.
    assert_eq!(client.read("k3").await, Ok(Outcome::Done("1".into())));
    eventually("all learners have all", async || {
        for learner in 6..=8 {
            let held = cluster.inspect(NodeId(learner), |tally| tally.0.len()).await?;
            if held < 20 {
                return None;
            }
        }
        Some(())
    })
    .await;
}
