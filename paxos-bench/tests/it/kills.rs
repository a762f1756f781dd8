//! What survives `kill -9`.

use crate::cluster::{self, Cluster, patient};
use crate::proxy::Proxy;
use crate::writers::Writers;
use paxos_bench::check::{self, KvInput, KvModel, KvOutput, Recorder, Verdict};
use paxos_core::rng::Rng;
use paxos_kv::client::Swap;
use paxos_kv::{Expect, KvClient, KvError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Clients that reach the nodes only through proxies.
async fn through_proxies(cluster: &Cluster) -> (Vec<Proxy>, Vec<KvClient>) {
    let mut proxies = Vec::new();
    for node in &cluster.nodes {
        proxies.push(Proxy::start(node.client, node.id).await);
    }
    let endpoints: Vec<_> = proxies.iter().map(|proxy| proxy.endpoint.to_string()).collect();
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(patient(endpoints.clone()).await);
    }
    (proxies, clients)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_is_killed_three_times_and_every_write_is_there_once() {
    let mut cluster = Cluster::start().await;
    let (proxies, clients) = through_proxies(&cluster).await;
    let writers = Writers::start(&clients);
    for _ in 0..3 {
        writers.wait_for(2000).await;
        let leader = cluster.leader().await;
        cluster.kill_9(leader);
        writers.wait_for(1500).await;
        cluster.start_node(leader);
        cluster.caught_up(leader).await;
    }
    let missing = 10_000u64.saturating_sub(writers.acknowledged());
    writers.wait_for(missing).await;
    // How many reads bring so many requests depends on how fast they come: it goes on until
    // enough replies were lost.
    let cuts = async || {
        let cuts: u64 = proxies.iter().map(Proxy::cuts).sum();
        (cuts >= 10).then_some(())
    };
    cluster::wait_for("ten connections that are cut under their replies", cuts).await;
    let count = writers.check(&cluster.client().await).await;
    assert!(count >= 10_000, "{count} puts were acknowledged");
    cluster.check_digests().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_are_killed_at_once_and_nothing_acknowledged_is_lost() {
    let mut cluster = Cluster::start().await;
    let clients = [cluster.client().await, cluster.client().await];
    let writers = Writers::start(&clients);
    for _ in 0..2 {
        writers.wait_for(1000).await;
        for at in 0..cluster.nodes.len() {
            cluster.kill_9(at);
        }
        for at in 0..cluster.nodes.len() {
            cluster.start_node(at);
        }
    }
    writers.wait_for(1000).await;
    writers.check(&cluster.client().await).await;
    cluster.check_digests().await;
}

type History = Recorder<KvInput, KvOutput>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_eight_threads_see_through_one_client_is_linearizable() {
    let mut cluster = Cluster::start().await;
    let client = cluster.client().await;
    let recorder = History::new();
    let stop = Arc::new(AtomicBool::new(false));
    let ended = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let (client, recorder) = (client.clone(), recorder.clone());
            let (stop, ended) = (stop.clone(), ended.clone());
            let runtime = tokio::runtime::Handle::current();
            std::thread::spawn(move || {
                let mut rng = Rng::new(thread);
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    turn += 1;
                    let value = format!("{thread}-{turn}");
                    runtime.block_on(one_call(&client, &recorder, thread, value, &mut rng));
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let wait_for = async |more: u64| {
        let goal = ended.load(Ordering::Relaxed) + more;
        let reached = async || (ended.load(Ordering::Relaxed) >= goal).then_some(());
        cluster::wait_for("calls that end", reached).await;
    };
    for _ in 0..3 {
        wait_for(400).await;
        let leader = cluster.leader().await;
        cluster.kill_9(leader);
        wait_for(400).await;
        cluster.start_node(leader);
    }
    wait_for(400).await;
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    judge(&recorder);
}

fn judge(recorder: &History) {
    let history = recorder.history();
    match check::check(&KvModel, &history, Duration::from_secs(60)) {
        Verdict::Linearizable => {}
        Verdict::NotLinearizable(found) => {
            let path = std::env::temp_dir().join(format!("history-{}.json", std::process::id()));
            let mut text = Vec::new();
            check::write_json(&history, &mut text).unwrap();
            std::fs::write(&path, text).unwrap();
            panic!("{found}\nthe whole history is in {}", path.display());
        }
        Verdict::Unknown => panic!("{} operations were not judged in time", history.len()),
    }
}

/// One call of any kind on one of few keys, recorded.
async fn one_call(
    client: &KvClient,
    recorder: &History,
    thread: u64,
    value: String,
    rng: &mut Rng,
) {
    let key = format!("key-{}", rng.between(0, 4));
    let (input, call) = match rng.between(0, 10) {
        0..4 => (KvInput::Put(value.clone()), Call::Put),
        4 => (KvInput::Delete, Call::Delete),
        5 => (KvInput::Cas { from: None, to: value.clone() }, Call::Cas),
        _ => (KvInput::Get, Call::Get),
    };
    let pending = recorder.invoke(thread, &key, input);
    match call.run(client, key, value).await {
        Ok(output) => pending.ok(output),
        Err(KvError::Unknown(_)) => pending.unknown(),
        Err(_) => pending.fail(),
    }
}

enum Call {
    Put,
    Delete,
    Cas,
    Get,
}

impl Call {
    async fn run(self, client: &KvClient, key: String, value: String) -> Result<KvOutput, KvError> {
        Ok(match self {
            Call::Put => KvOutput::Put(Some(client.put(key, value).await?.version)),
            Call::Delete => KvOutput::Deleted(client.delete(key).await?),
            Call::Cas => {
                let swap = client.cas(key, Expect::Absent, value).await?;
                KvOutput::Swapped(matches!(swap, Swap::Swapped(_)))
            }
            Call::Get => KvOutput::Got(client.get(key).await?.map(|found| {
                let value = String::from_utf8_lossy(&found.value).into_owned();
                (value, Some(found.meta.version))
            })),
        })
    }
}
