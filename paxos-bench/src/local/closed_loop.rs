//! Clients that send their next request when their last is answered, and what they see.

use hdrhistogram::Histogram;
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Longer latencies count as this, in nanoseconds: a minute.
const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// When requests count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    from: Instant,
    until: Instant,
}

impl Span {
    /// So long, after a warm-up.
    pub(super) fn after(warm_up: Duration, time: Duration) -> Span {
        let from = Instant::now() + warm_up;
        Span { from, until: from + time }
    }
}

/// What all clients of a thread have seen.
#[derive(Debug)]
pub(super) struct Seen {
    /// Requests that were answered, warm-up included, by client.
    pub(super) done: Vec<u64>,
    /// Latencies of those that were sent and answered in the measured time, in nanoseconds. One
    /// for all: thousands of these would be more than the processor's caches hold.
    latencies: Histogram<u64>,
}

impl Seen {
    pub(super) fn nothing(clients: usize) -> Seen {
        let made = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3);
        let latencies = made.expect("a minute can be measured to three digits");
        Seen { done: vec![0; clients], latencies }
    }

    /// How many were sent and answered in the measured time.
    pub(super) fn in_time(&self) -> u64 {
        self.latencies.len()
    }

    /// No more than so many microseconds, for such a part of all.
    pub(super) fn us(&self, part: f64) -> f64 {
        (self.latencies.value_at_quantile(part) as f64 / 100.0).round() / 10.0
    }
}

/// One client, by its number. `call` is given the number of the request.
pub(super) async fn client<E, F: Future<Output = Result<(), E>>>(
    client: usize,
    span: Span,
    seen: Rc<RefCell<Seen>>,
    mut call: impl FnMut(u64) -> F,
) -> Result<(), E> {
    let mut begun = Instant::now();
    for number in 0.. {
        call(number).await?;
        let ended = Instant::now();
        let mut seen = seen.borrow_mut();
        seen.done[client] += 1;
        if ended >= span.until {
            break;
        }
        if begun >= span.from {
            let ns = u64::try_from((ended - begun).as_nanos()).unwrap_or(u64::MAX);
            seen.latencies.saturating_record(ns);
        }
        begun = ended;
    }
    Ok(())
}
