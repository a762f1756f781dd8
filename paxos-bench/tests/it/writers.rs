//! Clients that write while nodes die, and know what must be there afterwards.

use paxos_kv::{KvClient, Meta};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::task::JoinSet;

/// Keys that all writers share.
const SHARED: u64 = 20;

/// Writers for each client.
const PER_CLIENT: u64 = 4;

/// One put that was acknowledged.
#[derive(Debug)]
struct Acknowledged {
    key: String,
    value: String,
    meta: Meta,
}

/// Writers that run until they are stopped.
#[derive(Debug)]
pub struct Writers {
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Vec<Acknowledged>>,
}

impl Writers {
    /// Several writers for each client. Every other put is to a key of its own, the others are to
    /// few keys that all writers share.
    pub fn start(clients: &[KvClient]) -> Writers {
        let acknowledged = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for writer in 0..clients.len() as u64 * PER_CLIENT {
            let client = clients[(writer / PER_CLIENT) as usize].clone();
            tasks.spawn(write(writer, client, acknowledged.clone(), stop.clone()));
        }
        Writers { acknowledged, stop, tasks }
    }

    /// Puts that were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until `more` further puts are acknowledged.
    pub async fn wait_for(&self, more: u64) {
        let goal = self.acknowledged() + more;
        let reached = async {
            while self.acknowledged() < goal {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(super::cluster::PATIENCE, reached).await;
        waited.unwrap_or_else(|_| panic!("{} of {goal} acknowledged", self.acknowledged()));
    }

    /// Stops and checks, through `reader`, that all that was acknowledged is there, once. Gives
    /// the number of puts acknowledged.
    pub async fn check(mut self, reader: &KvClient) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let mut puts: BTreeMap<String, Vec<Acknowledged>> = BTreeMap::new();
        let mut count = 0;
        while let Some(done) = self.tasks.join_next().await {
            for put in done.unwrap() {
                count += 1;
                puts.entry(put.key.clone()).or_default().push(put);
            }
        }
        let revisions: BTreeSet<u64> =
            puts.values().flatten().map(|put| put.meta.mod_revision).collect();
        assert_eq!(revisions.len() as u64, count, "two puts were told the same revision");
        for (key, mut puts) in puts {
            puts.sort_by_key(|put| put.meta.version);
            let versions: Vec<_> = puts.iter().map(|put| put.meta.version).collect();
            let once: Vec<_> = (1..=puts.len() as u64).collect();
            assert_eq!(versions, once, "{key}: each put makes one version, and none is lost");
            let last = puts.last().unwrap();
            let found = reader.get(key.clone()).await.unwrap();
            let found = found.unwrap_or_else(|| panic!("{key} is lost"));
            assert_eq!(found.value, last.value.as_bytes(), "{key}");
            assert_eq!(found.meta, last.meta, "{key}");
        }
        count
    }
}

async fn write(
    writer: u64,
    client: KvClient,
    acknowledged: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
) -> Vec<Acknowledged> {
    let mut done = Vec::new();
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let value = format!("{writer}-{turn}");
        let key = match turn % 2 {
            0 => format!("own-{writer}-{turn}"),
            _ => format!("shared-{}", (turn / 2 + writer) % SHARED),
        };
        // The deadline is far above what the cluster is down for: no outcome is unknown.
        let put = client.put(key.clone(), value.clone()).await;
        let meta = put.unwrap_or_else(|error| panic!("put {key}: {error}"));
        acknowledged.fetch_add(1, Ordering::Relaxed);
        done.push(Acknowledged { key, value, meta });
    }
    done
}
