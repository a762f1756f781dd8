//! Snapshots as whole nodes have them: written, found again, fetched from peers.

use crate::cluster::*;
use crate::snapshot_support::{bytes, disk_with_one, pieces, source};
use crate::support::*;
use actix::{Actor, Addr, Context, Handler};
use bytes::Bytes;
use paxos_actors::cluster::{Cluster, ClusterBuilder};
use paxos_actors::ending::NodeEnd;
use paxos_actors::snapshots::{DiskSnapshots, SnapshotStore, SnapshotTold};
use paxos_actors::wal::MemoryDisk;
use paxos_actors::{Log, LogEvent};
use paxos_core::{
    Applied, Kind, Limits, NodeId, Outcome, Slot, SnapshotEvent, SnapshotParts, SnapshotPiece,
    SnapshotTask, StateMachine, Unrestorable,
};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// A snapshot every few entries, and transfers of several parts.
fn small() -> ClusterBuilder<Tally> {
    let limits = Limits { snapshot_log_bytes: 2000, part_bytes_max: 1000, ..Limits::default() };
    builder(3).limits(limits)
}

/// Writes until the acceptors of all running nodes have forgotten every slot below.
async fn write_until_trimmed(cluster: &mut Cluster<Tally>, name: &str, below: Slot) -> usize {
    let client = client(cluster).await;
    // Bounded only so that a failure ends: a former snapshot is kept while a peer may fetch it.
    for from in (0..3000).map(|round| 20 * round) {
        write_all(&client, keys(name, from + 20).skip(from)).await;
        let status = cluster.status().await;
        let mut acceptors = status.values().filter_map(|node| node.acceptor.as_ref());
        if acceptors.all(|acceptor| acceptor.trimmed > below) {
            return from + 20;
        }
        actix_rt::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the log is never trimmed below {below}");
}

async fn chosen_below(cluster: &Cluster<Tally>) -> Slot {
    let status = cluster.status().await;
    let acceptors = status.values().filter_map(|node| node.acceptor.as_ref());
    acceptors.map(|acceptor| acceptor.chosen_below).max().expect("acceptors")
}

async fn comes_back_through_a_snapshot(plan: ClusterBuilder<Tally>) {
    let mut cluster = plan.start().await.expect("can start");
    let first = client(&mut cluster).await;
    write_all(&first, keys("before", 20)).await;
    let leader = leader(&cluster).await;
    let away = NodeId(leader.0 % 3 + 1);
    cluster.kill(away).await.expect("it runs");
    let below = chosen_below(&cluster).await;
    let written = write_until_trimmed(&mut cluster, "k", below).await;
    cluster.restart(away).await.expect("it can start");
    write_all(&first, keys("after", 20)).await;
    agreement(&cluster, written + 40).await;
    // Its own acceptor is as far as the others.
    let below = chosen_below(&cluster).await;
    let more = write_until_trimmed(&mut cluster, "more", below).await;
    agreement(&cluster, written + 40 + more).await;
    let posted =
        cluster.status().await.values().map(|n| n.counts.posted[&Kind::SnapshotPart]).sum();
    assert!((2u64..).contains(&posted), "{posted} parts");
}

#[actix::test]
async fn a_node_that_was_away_for_longer_than_logs_reach_gets_a_snapshot() {
    comes_back_through_a_snapshot(small()).await;
}

#[actix::test]
async fn a_node_that_was_away_for_longer_than_logs_on_disk_reach_gets_a_snapshot() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("snapshots-away");
    let _ = std::fs::remove_dir_all(&path);
    comes_back_through_a_snapshot(small().data_dir(&path)).await;
    let _ = std::fs::remove_dir_all(&path);
}

#[actix::test]
async fn all_nodes_find_again_what_their_logs_have_forgotten() {
    let mut cluster = small().start().await.expect("can start");
    let written = write_until_trimmed(&mut cluster, "k", Slot(5)).await;
    for round in 0..3 {
        for node in [1, 2, 3] {
            cluster.kill(NodeId(node)).await.expect("it runs");
        }
        for node in [1, 2, 3] {
            cluster.restart(NodeId(node)).await.expect("it can start");
        }
        let client = client(&mut cluster).await;
        write_all(&client, keys(&format!("round{round}-"), 20)).await;
        agreement(&cluster, written + 20 * (round + 1)).await;
        let again = Ok(Outcome::Done((round + 2).to_string().into()));
        assert_eq!(client.write("k0").await, again, "it was applied before the log was trimmed");
    }
}

/// R26: where there is one learner only, what its log has forgotten and no snapshot has is lost,
/// and the node says so instead of standing still.
#[actix::test]
async fn a_sole_node_without_its_snapshots_ends_with_a_clear_error() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("snapshots-lost");
    let _ = std::fs::remove_dir_all(&path);
    let limits = Limits { snapshot_log_bytes: 2000, ..Limits::default() };
    let plan = builder(1).limits(limits).data_dir(&path);
    let mut cluster = plan.start().await.expect("can start");
    write_until_trimmed(&mut cluster, "k", Slot(5)).await;
    cluster.kill(NodeId(1)).await.expect("it runs");
    std::fs::remove_dir_all(path.join("node-1/snapshots")).expect("they are there");
    cluster.restart(NodeId(1)).await.expect("it can start");
    let end = cluster.node(NodeId(1)).expect("it was started").ended().await;
    assert!(matches!(end, NodeEnd::SnapshotsFailed(_)), "{end}");
    assert!(end.to_string().contains("put the snapshot directory back"), "{end}");
    let _ = std::fs::remove_dir_all(&path);
}

/// A state that cannot be restored.
#[derive(Default)]
struct Amnesiac(u64);

impl StateMachine for Amnesiac {
    fn apply(&mut self, _: Applied, _: &Bytes) -> Bytes {
        self.0 += 1;
        Bytes::new()
    }

    fn query(&self, _: &Bytes) -> Bytes {
        Bytes::new()
    }

    fn digest(&self) -> u64 {
        self.0
    }

    fn snapshot(&self) -> SnapshotParts {
        Box::new(std::iter::once(Bytes::from_static(b"a part")))
    }

    fn restore(&mut self, _: &Bytes) -> Result<(), Unrestorable> {
        Err(Unrestorable("a part from the future"))
    }
}

#[actix::test]
async fn a_state_that_cannot_be_restored_ends_the_node_and_says_so() {
    let limits = Limits { snapshot_log_bytes: 100, ..Limits::default() };
    let plan = Cluster::builder(1, |_| Amnesiac::default()).expect("sound").limits(limits);
    let mut cluster = plan.start().await.expect("can start");
    let client = cluster.client().await.expect("can start").timeout(Duration::from_secs(60));
    eventually("a snapshot", async || {
        client.write("once more").await.expect("the client lives");
        let status = cluster.status().await;
        let learner = status[&NodeId(1)].learner.as_ref()?;
        (learner.snapshot_below > Slot::ZERO).then_some(())
    })
    .await;
    cluster.kill(NodeId(1)).await.expect("it runs");
    cluster.restart(NodeId(1)).await.expect("it starts, and finds the snapshot then");
    let end = cluster.node(NodeId(1)).expect("it is there").ended().await;
    assert!(matches!(end, NodeEnd::SnapshotsFailed(_)), "{end}");
    assert!(end.to_string().contains("a part from the future"), "{end}");
}

/// Passes on what a store tells it.
struct Listener(mpsc::UnboundedSender<Told>);

#[derive(Debug)]
enum Told {
    Log(LogEvent<SnapshotPiece>),
    Event(u64, SnapshotEvent),
}

impl Actor for Listener {
    type Context = Context<Listener>;
}

impl Handler<LogEvent<SnapshotPiece>> for Listener {
    type Result = ();

    fn handle(&mut self, event: LogEvent<SnapshotPiece>, _: &mut Context<Listener>) {
        let _ = self.0.send(Told::Log(event));
    }
}

impl Handler<SnapshotTold> for Listener {
    type Result = ();

    fn handle(&mut self, told: SnapshotTold, _: &mut Context<Listener>) {
        let _ = self.0.send(Told::Event(told.epoch, told.event));
    }
}

struct Store {
    store: DiskSnapshots,
    listener: Addr<Listener>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl Store {
    fn new(disk: &MemoryDisk) -> Store {
        let (tell, told) = mpsc::unbounded_channel();
        let store = DiskSnapshots::memory(disk, NodeId(1), true).expect("a sound directory");
        Store { store, listener: Listener(tell).start(), told }
    }

    /// Opens an epoch; gives back what was replayed, and what was found before the store was ready.
    async fn open(&mut self, epoch: u64) -> (Vec<SnapshotPiece>, SnapshotEvent) {
        self.store.report_to(self.listener.clone().recipient());
        self.store.open(epoch, self.listener.clone().recipient());
        let (mut pieces, mut found) = (Vec::new(), None);
        loop {
            match self.next().await {
                Told::Log(LogEvent::Replayed { records, .. }) => pieces.extend(records),
                Told::Event(e, event) if e == epoch => found = Some(event),
                Told::Log(LogEvent::Ready { epoch: e, lsn: 0 }) if e == epoch => break,
                other => panic!("{other:?}"),
            }
        }
        (pieces, found.expect("found is told before ready"))
    }

    async fn event(&mut self) -> SnapshotEvent {
        match self.next().await {
            Told::Event(_, event) => event,
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> Told {
        let told = tokio::time::timeout(Duration::from_secs(30), self.told.recv()).await;
        told.expect("the store says something").expect("the listener lives")
    }
}

#[actix::test]
async fn a_long_snapshot_lets_transfers_pass_and_is_dropped_with_its_epoch() {
    let (disk, id) = disk_with_one();
    let mut store = Store::new(&disk);
    let (replayed, found) = store.open(1).await;
    assert_eq!(replayed, pieces(100, 10));
    assert_eq!(found, SnapshotEvent::Found { newest: Some(id), partial: None });
    // It would never end.
    let mut endless = source(200, 1);
    let part = SnapshotPiece::State(Bytes::from_static(&[7; 1000]));
    endless.pieces = Box::new(endless.pieces.chain(std::iter::repeat(part)));
    store.store.submit(1, SnapshotTask::Write(endless));
    for offset in [0, 50] {
        let task = SnapshotTask::Read { id, offset, bytes_max: 50, to: NodeId(3) };
        store.store.submit(1, task);
        let data = bytes(&disk, id).slice(offset as usize..offset as usize + 50);
        assert_eq!(store.event().await, SnapshotEvent::Read { to: NodeId(3), id, offset, data });
    }
    // A new epoch knows nothing of it; what is still asked of the old one is not done.
    let (replayed, _) = store.open(2).await;
    assert_eq!(replayed, pieces(100, 10));
    store.store.submit(1, SnapshotTask::Remove { id });
    let task = SnapshotTask::Read { id, offset: 0, bytes_max: 1, to: NodeId(3) };
    store.store.submit(2, task);
    assert!(matches!(store.event().await, SnapshotEvent::Read { data, .. } if data.len() == 1));
    // Closed in the middle of another one.
    let part = SnapshotPiece::State(Bytes::from_static(&[7; 1000]));
    let mut endless = source(300, 1);
    endless.pieces = Box::new(endless.pieces.chain(std::iter::repeat(part)));
    store.store.submit(2, SnapshotTask::Write(endless));
    drop(store);
    let mut store = Store::new(&disk);
    assert_eq!(store.open(1).await.0, pieces(100, 10));
}

#[actix::test]
async fn a_disk_that_fails_is_told_once_and_nothing_is_done_any_more() {
    let (disk, id) = disk_with_one();
    let mut store = Store::new(&disk);
    store.open(1).await;
    disk.fail_syncs(true);
    store.store.submit(1, SnapshotTask::Write(source(200, 1)));
    let Told::Log(LogEvent::Failed { epoch: 1, error }) = store.next().await else {
        panic!("no failure")
    };
    assert!(error.to_string().contains("see to the disk"), "{error}");
    disk.fail_syncs(false);
    let names = disk.names();
    store.store.submit(1, SnapshotTask::Remove { id });
    drop(store);
    assert_eq!(disk.names(), names);
}

#[actix::test]
#[should_panic(expected = "`report_to` comes before `open`")]
async fn a_store_is_not_opened_before_it_knows_whom_to_tell() {
    let mut store = Store::new(&MemoryDisk::default());
    store.store.open(1, store.listener.clone().recipient());
}
