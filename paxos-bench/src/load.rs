//! Load on a store, and the latencies that its clients see, retries included.
//!
//! - In a **closed loop** each client sends its next request when its last one is answered. A store
//!   that stalls is asked less, so the stall shows in few latencies: it tells what a store can do.
//! - In an **open loop** requests are due at a fixed rate, whatever becomes of those before. A
//!   latency counts from when the request was due, so a stall shows in every request that it
//!   delayed (no coordinated omission): it tells what users see.
//!
//! The first second is warm-up and not counted.

mod closed;
mod open;
mod report;
mod schedule;
mod tally;
mod target;

pub use self::report::{OpenLoop, Percentiles, Report};
pub(crate) use self::tally::latencies;
pub use self::target::Target;

use self::tally::Tally;
use bytes::Bytes;
use paxos_core::rng::Rng;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What to do to the store.
#[derive(Clone, Debug)]
pub struct Load {
    /// When requests are sent.
    pub drive: Drive,
    /// Of a hundred requests, so many are writes; the others read.
    pub writes_percent: u8,
    /// Bytes of each value written.
    pub value_bytes: usize,
    /// How many keys there are. Each request takes any of them, all as likely.
    pub keys: u64,
    /// How long it is measured.
    pub duration: Duration,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// When the one before is answered.
    Closed {
        /// How many requests are open at a time.
        clients: usize,
    },
    /// When they are due.
    Open {
        /// How many are due each second, in all.
        rate: u64,
        /// How many may be open at a time. One that is due while as many are is not sent, and
        /// counts as failed.
        in_flight_max: u32,
    },
}

/// How a load is coming along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Seconds since it began, warm-up included.
    pub second: u64,
    /// Requests answered with success so far, from the end of the warm-up on.
    pub done: u64,
    /// Requests that failed so far, from the end of the warm-up on.
    pub errors: u64,
    /// In an open loop, how many are open.
    pub in_flight: Option<u64>,
    /// Of the requests that succeeded since the last call, 99 of 100 took no longer, in
    /// microseconds; none, where there were none.
    pub p99_us: Option<u64>,
}

const WARM_UP: Duration = Duration::from_secs(1);

/// What is measured, between two moments.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// When the warm-up begins.
    start: Instant,
    begin: Instant,
    end: Instant,
}

/// What the clients of each connection have measured.
type Tallies = Vec<Arc<Mutex<Tally>>>;

/// Loads the store through `connections`, which the clients share evenly, and calls `progress`
/// each second.
pub async fn run<T: Target>(
    load: &Load,
    connections: &[T],
    mut progress: impl FnMut(Progress),
) -> Report {
    let tallies: Tallies = connections.iter().map(|_| Arc::default()).collect();
    let start = Instant::now();
    let begin = start + WARM_UP;
    let span = Span { start, begin, end: begin + load.duration };
    let open_loop = match load.drive {
        Drive::Closed { clients } => {
            closed::run(load, clients, connections, &tallies, span, &mut progress).await;
            None
        }
        Drive::Open { rate, in_flight_max } => {
            let pace = open::Pace { rate, in_flight_max };
            Some(open::run(load, pace, connections, &tallies, span, &mut progress).await)
        }
    };
    Report::of(&tallies, load.duration, open_loop)
}

/// Reports each second until the measured time is over.
async fn watch(
    tallies: &Tallies,
    span: Span,
    in_flight: impl Fn() -> Option<u64>,
    progress: &mut impl FnMut(Progress),
) {
    let mut before = Tally::default();
    for second in 1..=(span.end - span.start).as_secs() {
        tokio::time::sleep_until((span.start + Duration::from_secs(second)).into()).await;
        let all = tally::sum(tallies);
        let (done, errors) = (all.in_time(), all.errors());
        let p99_us = Percentiles::of(&all.since(&before)).p99;
        progress(Progress { second, done, errors, in_flight: in_flight(), p99_us });
        before = all;
    }
}

/// Draws requests.
struct Requests {
    rng: Rng,
    writes_percent: u64,
    keys: u64,
    value: Bytes,
}

struct Request {
    key: Bytes,
    /// None: it reads.
    value: Option<Bytes>,
}

impl Requests {
    fn new(load: &Load, seed: u64) -> Requests {
        Requests {
            rng: Rng::new(seed),
            writes_percent: load.writes_percent.into(),
            keys: load.keys,
            value: Bytes::from(vec![b'v'; load.value_bytes]),
        }
    }

    fn draw(&mut self) -> Request {
        let key = Bytes::from(format!("load-{}", self.rng.between(0, self.keys)));
        let is_write = self.rng.between(0, 100) < self.writes_percent;
        Request { key, value: is_write.then(|| self.value.clone()) }
    }
}

impl Request {
    fn is_write(&self) -> bool {
        self.value.is_some()
    }

    /// Whether it succeeded.
    async fn send<T: Target>(self, to: &T) -> bool {
        match self.value {
            Some(value) => to.put(self.key, value).await,
            None => to.get(self.key).await.is_some(),
        }
    }
}
