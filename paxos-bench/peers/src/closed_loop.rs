//! Clients that send their next request when their last is answered, and what they see.

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

const WARM_UP: Duration = Duration::from_secs(1);

/// What all clients saw together.
pub struct Measured {
    pub ops_per_s: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// When requests count.
#[derive(Clone, Copy)]
pub struct Span {
    from: Instant,
    until: Instant,
}

impl Span {
    /// From a second on.
    pub fn after_warm_up(time: Duration) -> Span {
        let from = Instant::now() + WARM_UP;
        Span { from, until: from + time }
    }
}

/// Latencies, in nanoseconds. Few clients share one, and few threads: one for each of thousands of
/// clients would be more than the processor's caches hold.
pub type Latencies = Arc<Mutex<Histogram<u64>>>;

pub fn latencies() -> anyhow::Result<Latencies> {
    Ok(Arc::new(Mutex::new(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)))
}

/// One client. `call` is given the number of the request, and fails where the request does.
pub async fn client<F: Future<Output = anyhow::Result<()>>>(
    span: Span,
    latencies: Latencies,
    mut call: impl FnMut(u64) -> F,
) -> anyhow::Result<()> {
    let mut begun = Instant::now();
    for number in 0.. {
        call(number).await?;
        let ended = Instant::now();
        if ended >= span.until {
            break;
        }
        if begun >= span.from {
            latencies.lock().saturating_record((ended - begun).as_nanos() as u64);
        }
        begun = ended;
    }
    Ok(())
}

/// What they saw in so much time.
pub fn sum(clients: &[Latencies], time: Duration) -> anyhow::Result<Measured> {
    let mut all = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3)?;
    for latencies in clients {
        all.add(&*latencies.lock())?;
    }
    let us = |part| (all.value_at_quantile(part) as f64 / 100.0).round() / 10.0;
    Ok(Measured {
        ops_per_s: all.len() as f64 / time.as_secs_f64(),
        p50_us: us(0.5),
        p99_us: us(0.99),
    })
}
