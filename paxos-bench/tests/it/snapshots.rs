//! Snapshots between real processes, and what a node keeps on its disk and in memory.

use crate::cluster::{Cluster, Node, wait_for};
use crate::writers::Writers;
use paxos_kv::KvClient;
use paxos_kv::wire::Status;
use std::fs;
use std::path::{Path, PathBuf};
use tokio::task::JoinSet;

/// A snapshot for each MiB of the log.
const OFTEN: &[&str] = &["--snapshot-log-mib", "1"];

async fn status(cluster: &Cluster, at: usize) -> Status {
    wait_for("a node that answers", async || cluster.statuses().await.swap_remove(at)).await
}

fn counted(status: &Status, name: &str) -> u64 {
    status.counters.snapshots[name]
}

/// A node that does not lead.
async fn follower(cluster: &Cluster) -> usize {
    (cluster.leader().await + 1) % cluster.nodes.len()
}

/// Waits until the others have forgotten what the node at `away` would need next.
async fn trimmed_past(cluster: &Cluster, away: usize, below: u64) {
    wait_for("logs that are trimmed", async || {
        let all = cluster.statuses().await;
        let others = all.iter().enumerate().filter(|(at, _)| *at != away);
        let mut trimmed = others.map(|(_, status)| status.as_ref().map_or(0, |s| s.trimmed));
        trimmed.all(|trimmed| trimmed > below).then_some(())
    })
    .await;
}

/// Waits until the others have applied all there is, and write no snapshot any more: a former one
/// does not outlive its node's restart.
async fn settled(cluster: &Cluster, away: usize) {
    let mut before = Vec::new();
    wait_for("nodes that write no more snapshots", async || {
        let all = cluster.statuses().await;
        let others = all.iter().enumerate().filter(|(at, _)| *at != away);
        let others: Vec<_> = others.filter_map(|(_, status)| status.clone()).collect();
        let written: Vec<_> = others.iter().map(|status| counted(status, "written")).collect();
        let applied = others.iter().all(|status| status.applied_below == others[0].chosen_below);
        let writes = |node: &Node| node.data_dir.join("snapshots/writing.tmp").exists();
        let is_same = std::mem::replace(&mut before, written.clone()) == written;
        (is_same && applied && !cluster.nodes.iter().any(writes)).then_some(())
    })
    .await;
}

/// Puts so many values of so many bytes, each to a key of its own, with many calls under way.
async fn fill(client: &KvClient, name: &str, count: usize, bytes: usize) {
    let mut puts = JoinSet::new();
    for n in 0..count {
        if puts.len() >= 32 {
            puts.join_next().await.unwrap().unwrap();
        }
        let (client, key) = (client.clone(), format!("{name}-{n}"));
        // No two values are alike, so that nothing that is damaged looks sound.
        let value: Vec<u8> = (0..bytes).map(|at| (at * 31 + at / 251 + n) as u8).collect();
        puts.spawn(async move { client.put(key, value).await.unwrap() });
    }
    while let Some(done) = puts.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_for_longer_than_the_log_reaches_comes_back() {
    let mut cluster = Cluster::start_told(OFTEN).await;
    let clients = [cluster.client().await, cluster.client().await];
    let writers = Writers::start(&clients);
    writers.wait_for(200).await;
    let away = follower(&cluster).await;
    cluster.kill_9(away);
    let below = cluster.statuses().await.into_iter().flatten().map(|s| s.chosen_below).max();
    fill(&clients[0], "filler", 300, 20_000).await;
    trimmed_past(&cluster, away, below.unwrap()).await;
    // It comes back under load, and more than once: each time from where it is.
    cluster.start_node(away);
    cluster.caught_up(away).await;
    assert_eq!(counted(&status(&cluster, away).await, "installed"), 1);
    writers.wait_for(500).await;
    cluster.kill_9(away);
    cluster.start_node(away);
    cluster.caught_up(away).await;
    let again = status(&cluster, away).await;
    assert_eq!(counted(&again, "installed"), 0, "it has a snapshot of its own: {again:?}");
    assert!(again.snapshot_below > below.unwrap(), "{again:?}");
    writers.check(&cluster.client().await).await;
    cluster.check_digests().await;
}

/// Bytes of the transfer in a data directory.
fn incoming(data_dir: &Path) -> u64 {
    let Ok(files) = fs::read_dir(data_dir.join("snapshots")) else { return 0 };
    let incoming =
        files.flatten().find(|file| file.file_name().to_string_lossy().starts_with("incoming-"));
    incoming.and_then(|file| Some(file.metadata().ok()?.len())).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_goes_on_after_either_end_was_killed() {
    let mut cluster = Cluster::start_told(OFTEN).await;
    let client = cluster.client().await;
    fill(&client, "before", 20, 1000).await;
    let away = follower(&cluster).await;
    let sender = (0..3).find(|&at| at != away).unwrap();
    let other = 3 - away - sender;
    cluster.kill_9(away);
    let below = cluster.statuses().await.into_iter().flatten().map(|s| s.chosen_below).max();
    // Large enough that a transfer can be seen, and stopped, before it is done.
    fill(&client, "filler", 200, 500_000).await;
    trimmed_past(&cluster, away, below.unwrap()).await;
    settled(&cluster, away).await;

    // The receiver is killed in the middle.
    let data_dir = cluster.nodes[away].data_dir.clone();
    cluster.start_node(away);
    // One that is over before it is seen has its file no more, and this waits in vain: the bound
    // ends it. What comes takes ten times as long as the pause between two looks.
    let held = wait_for("a transfer that is under way", async || {
        Some(incoming(&data_dir)).filter(|&held| held > 0)
    })
    .await;
    cluster.kill_9(away);
    let left = incoming(&data_dir);
    assert!(left >= held, "what was there is kept: {left} of {held} bytes");
    let total = named_bytes(&data_dir);
    assert!(left < total, "it was over before it was stopped: {left} of {total} bytes");

    // Who sent so far is killed, too: one of these did.
    cluster.start_node(away);
    cluster.kill_9(sender);
    cluster.start_node(sender);
    cluster.caught_up(away).await;
    let caught_up = status(&cluster, away).await;
    assert_eq!(counted(&caught_up, "installed"), 1, "{caught_up:?}");
    let received = counted(&caught_up, "received_bytes");
    assert_eq!(received, total - left, "it went on from where it was, to the byte");
    let sent = counted(&status(&cluster, other).await, "sent_bytes");
    assert!(sent < 2 * total, "{sent} bytes sent of {total}");
    cluster.check_digests().await;
}

/// Bytes of the snapshot whose transfer is under way, by its name.
fn named_bytes(data_dir: &Path) -> u64 {
    let files = fs::read_dir(data_dir.join("snapshots")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let name = names.into_iter().find(|name| name.starts_with("incoming-")).unwrap();
    u64::from_str_radix(name.split('-').nth(3).unwrap(), 16).unwrap()
}

/// The snapshots of a node that does not run: one, or two where the older was not removed yet.
fn snapshots(data_dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(data_dir.join("snapshots")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "snapshot")).collect()
}

/// Turns a bit over.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_snapshot_is_set_aside_and_a_peers_is_fetched() {
    let mut cluster = Cluster::start_told(OFTEN).await;
    let client = cluster.client().await;
    let at = follower(&cluster).await;
    fill(&client, "filler", 300, 20_000).await;
    trimmed_past(&cluster, 3, 0).await;
    cluster.kill_9(at);
    let paths = snapshots(&cluster.nodes[at].data_dir);
    paths.iter().for_each(|path| damage(path));
    cluster.start_node(at);
    cluster.caught_up(at).await;
    assert_eq!(counted(&status(&cluster, at).await, "installed"), 1);
    let logged = cluster.logged(at);
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(logged.contains(&name) && logged.contains("damaged"), "{name}: {logged}");
    }
    cluster.check_digests().await;
}

/// What a node keeps: bytes of its log and snapshots on disk, and of its memory.
fn kept(cluster: &Cluster, at: usize) -> (u64, u64) {
    fn bytes(dir: &Path) -> u64 {
        let entries = fs::read_dir(dir).unwrap().flatten();
        // A file may be renamed or removed meanwhile.
        let sizes = entries.map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes(&entry.path()),
            metadata => metadata.map_or(0, |metadata| metadata.len()),
        });
        sizes.sum()
    }
    let status = fs::read_to_string(format!("/proc/{}/status", cluster.pid(at))).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    (bytes(&cluster.nodes[at].data_dir), resident << 10)
}

/// Puts values of 100 bytes to 1,000 keys, again and again, from many clients.
async fn overwrite(clients: &[KvClient], from: u64, count: u64) {
    const WRITERS: u64 = 256;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let client = clients[writer as usize % clients.len()].clone();
        writers.spawn(async move {
            for n in (from + writer..from + count).step_by(WRITERS as usize) {
                client.put(format!("key-{}", n % 1000), format!("{n:0100}")).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_keeps_levels_off() {
    let cluster = Cluster::start_told(OFTEN).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(cluster.client().await);
    }
    let half = 500_000;
    overwrite(&clients, 0, half).await;
    let before: Vec<_> = (0..3).map(|at| kept(&cluster, at)).collect();
    overwrite(&clients, half, half).await;
    for (at, (disk, memory)) in before.into_iter().enumerate() {
        let (disk_after, memory_after) = kept(&cluster, at);
        const MIB: u64 = 1 << 20;
        assert!(disk_after <= disk + 8 * MIB, "disk: {disk} bytes, then {disk_after}");
        assert!(memory_after <= memory + 16 * MIB, "memory: {memory} bytes, then {memory_after}");
        let status = status(&cluster, at).await;
        assert!(counted(&status, "written") > 3, "{status:?}");
        // Much more was logged than is there.
        let logged = status.counters.log["bytes"];
        assert!(logged > 4 * disk_after, "{logged} bytes were logged, {disk_after} are there");
        assert!(status.counters.log["segments"] <= 4, "{status:?}");
        assert!(status.chosen_below - status.trimmed < status.chosen_below / 2, "{status:?}");
    }
    cluster.check_digests().await;
}
