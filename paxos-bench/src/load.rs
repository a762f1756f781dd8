//! A closed loop: each client sends its next request when its last one is answered.
//!
//! Latencies are those that a caller of the client library sees, retries included. The first
//! second is warm-up and not counted; of the rest, a request counts when its answer came in time.

mod report;

pub use report::{Percentiles, Report};

use bytes::Bytes;
use hdrhistogram::Histogram;
use paxos_core::rng::Rng;
use paxos_kv::KvClient;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// What to do to the store.
#[derive(Clone, Debug)]
pub struct Load {
    /// How many requests are open at a time.
    pub clients: usize,
    /// Of a hundred requests, so many are writes; the others read.
    pub writes_percent: u8,
    /// Bytes of each value written.
    pub value_bytes: usize,
    /// How many keys there are. Each request takes any of them, all as likely.
    pub keys: u64,
    /// How long it is measured.
    pub duration: Duration,
}

const WARM_UP: Duration = Duration::from_secs(1);

/// After a request that failed, a client waits so long before its next.
const AFTER_ERROR: Duration = Duration::from_millis(10);

/// An hour, in microseconds: longer latencies count as that.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// What the clients of one connection have measured.
#[derive(Debug)]
struct Tally {
    writes: Histogram<u64>,
    reads: Histogram<u64>,
    errors: u64,
}

impl Tally {
    fn new() -> Tally {
        let histogram = || {
            let made = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3);
            made.expect("an hour can be measured to three digits")
        };
        Tally { writes: histogram(), reads: histogram(), errors: 0 }
    }

    fn take(&mut self, is_write: bool, latency: Duration, ok: bool) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        match (ok, is_write) {
            (false, _) => self.errors += 1,
            (true, true) => self.writes.saturating_record(us.max(1)),
            (true, false) => self.reads.saturating_record(us.max(1)),
        }
    }

    fn done(&self) -> u64 {
        self.writes.len() + self.reads.len()
    }
}

/// Loads the store through `connections`, which the clients share evenly, and calls `progress`
/// each second with requests done and failed so far (from the end of the warm-up on).
pub async fn run(
    load: &Load,
    connections: &[KvClient],
    mut progress: impl FnMut(u64, u64, u64),
) -> Report {
    let tallies: Vec<_> = connections.iter().map(|_| Arc::new(Mutex::new(Tally::new()))).collect();
    let begin = Instant::now() + WARM_UP;
    let end = begin + load.duration;
    let mut clients = JoinSet::new();
    for number in 0..load.clients {
        let at = number % connections.len();
        let client = LoadClient {
            load: load.clone(),
            connection: connections[at].clone(),
            tally: tallies[at].clone(),
            rng: Rng::new(number as u64),
            value: Bytes::from(vec![b'v'; load.value_bytes]),
        };
        clients.spawn(client.run(begin, end));
    }
    for second in 1..=(WARM_UP + load.duration).as_secs() {
        let next = begin - WARM_UP + Duration::from_secs(second);
        tokio::time::sleep_until(next.into()).await;
        let (mut done, mut errors) = (0, 0);
        for tally in &tallies {
            let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            done += tally.done();
            errors += tally.errors;
        }
        progress(second, done, errors);
    }
    // What is still open ends after the measured time and does not count: nobody waits for it.
    clients.shutdown().await;
    Report::of(&tallies, load.duration)
}

struct LoadClient {
    load: Load,
    connection: KvClient,
    tally: Arc<Mutex<Tally>>,
    rng: Rng,
    value: Bytes,
}

impl LoadClient {
    async fn run(mut self, begin: Instant, end: Instant) {
        loop {
            let key = Bytes::from(format!("load-{}", self.rng.between(0, self.load.keys)));
            let is_write = self.rng.between(0, 100) < u64::from(self.load.writes_percent);
            let asked = Instant::now();
            let ok = if is_write {
                self.connection.put(key, self.value.clone()).await.is_ok()
            } else {
                self.connection.get(key).await.is_ok()
            };
            let answered = Instant::now();
            if answered >= end {
                return;
            }
            if asked >= begin {
                let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.take(is_write, answered - asked, ok);
            }
            if !ok {
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
    }
}
