//! Clients that write and read while nodes die, and know what must be there.

use paxos_kv::{KvClient, Meta};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
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

/// Writers that run until they are stopped, and readers that look over their shoulders.
#[derive(Debug)]
pub struct Writers {
    told: Arc<Told>,
    tasks: JoinSet<Vec<Acknowledged>>,
    readers: JoinSet<u64>,
}

/// What clients were told so far.
#[derive(Debug, Default)]
struct Told {
    acknowledged: AtomicU64,
    stop: AtomicBool,
    /// The highest version of each shared key: no read that begins now may see an older one.
    versions: Mutex<BTreeMap<String, u64>>,
}

impl Told {
    fn version(&self, key: &str) -> u64 {
        self.versions.lock().unwrap().get(key).copied().unwrap_or(0)
    }

    fn raise(&self, key: &str, version: u64) {
        let mut versions = self.versions.lock().unwrap();
        let known = versions.entry(key.to_owned()).or_default();
        *known = version.max(*known);
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

impl Writers {
    /// Several writers for each client, and a reader. Every other put is to a key of its own, the
    /// others are to few keys that all writers share and readers read.
    pub fn start(clients: &[KvClient]) -> Writers {
        let told = Arc::new(Told::default());
        let (mut tasks, mut readers) = (JoinSet::new(), JoinSet::new());
        for (place, client) in clients.iter().enumerate() {
            for writer in 0..PER_CLIENT {
                let writer = place as u64 * PER_CLIENT + writer;
                tasks.spawn(write(writer, client.clone(), told.clone()));
            }
            readers.spawn(read(place as u64, client.clone(), told.clone()));
        }
        Writers { told, tasks, readers }
    }

    /// Puts that were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.told.acknowledged.load(Ordering::Relaxed)
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
        self.told.stop.store(true, Ordering::Relaxed);
        while let Some(reads) = self.readers.join_next().await {
            assert!(reads.unwrap() > 0, "a client that never got an answer");
        }
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

async fn write(writer: u64, client: KvClient, told: Arc<Told>) -> Vec<Acknowledged> {
    let mut done = Vec::new();
    let mut turn = 0;
    while told.goes_on() {
        turn += 1;
        let value = format!("{writer}-{turn}");
        let key = match turn % 2 {
            0 => format!("own-{writer}-{turn}"),
            _ => shared(turn / 2 + writer),
        };
        // The deadline is far above what the cluster is down for: no outcome is unknown.
        let put = client.put(key.clone(), value.clone()).await;
        let meta = put.unwrap_or_else(|error| panic!("put {key}: {error}"));
        if turn % 2 == 1 {
            told.raise(&key, meta.version);
        }
        told.acknowledged.fetch_add(1, Ordering::Relaxed);
        done.push(Acknowledged { key, value, meta });
    }
    done
}

/// Reads, one at a time, until told to stop. Gives how often.
async fn read(reader: u64, client: KvClient, told: Arc<Told>) -> u64 {
    let mut reads = 0;
    while reads == 0 || told.goes_on() {
        let key = shared(reader + reads);
        let known = told.version(&key);
        let found = client.get(key.clone()).await;
        let found = found.unwrap_or_else(|error| panic!("get {key}: {error}"));
        let version = found.map_or(0, |found| found.meta.version);
        assert!(version >= known, "{key}: read version {version} after {known} was told");
        told.raise(&key, version);
        reads += 1;
    }
    reads
}

fn shared(place: u64) -> String {
    format!("shared-{}", place % SHARED)
}
