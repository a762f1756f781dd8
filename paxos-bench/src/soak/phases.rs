//! What is done, one after the other: the peak, the steady load, the overload and what follows.

use super::report::{Phase, Resources, Sampled, Steady};
use crate::compare::{CompareError, usage};
use crate::load::{self, Load, Progress, Target};
use std::time::Duration;

/// Connections of the overload: more requests are open at the servers than they take in.
pub(super) const OVERLOAD_CONNECTIONS: usize = 16;

/// Requests that are open at a time, at most. What is due above that is not sent, and has failed:
/// under overload that is most of what is more than the peak.
pub(super) const IN_FLIGHT_MAX: u32 = 50_000;

/// How long it is looked at after the overload: the ten seconds that recovery may take, and some
/// that show that it lasts.
pub(super) const RECOVERY: Duration = Duration::from_secs(13);

/// Requests per second by clients in a closed loop.
pub(super) async fn peak<T: Target>(
    load: &Load,
    connections: &[T],
    tell: &mut impl FnMut(&str),
) -> Result<f64, CompareError> {
    let report = load::run(load, connections, |_| {}).await;
    tell(&format!("peak: {:.0} requests/s by {} clients", report.ops_per_s, super::CLIENTS));
    if report.any() { Ok(report.ops_per_s) } else { Err(CompareError::Nothing("paxos-kv")) }
}

/// Looks at the servers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler<'a> {
    pub(super) pids: &'a [u32],
    pub(super) every: Duration,
}

impl Sampler<'_> {
    /// The load, with a look at the servers every so often.
    pub(super) async fn steady<T: Target>(
        &self,
        load: &Load,
        connections: &[T],
        tell: &mut impl FnMut(&str),
    ) -> Steady {
        let (mut samples, mut p99_us) = (Vec::new(), Vec::new());
        let every = self.every.as_secs().max(1);
        let report = load::run(load, connections, |progress| {
            p99_us.push(progress.p99_us);
            if progress.second % every == 0 {
                let sample = self.look(&progress);
                tell(&format!("{sample}"));
                samples.push(sample);
            }
        })
        .await;
        // The first second is warm-up, of which nothing counts.
        p99_us.drain(..1.min(p99_us.len()));
        Steady { phase: Phase { name: "steady", load: report }, samples, p99_us }
    }

    fn look(&self, progress: &Progress) -> Sampled {
        let of = |&pid: &u32| Resources {
            resident_bytes: usage::resident_bytes(pid),
            descriptors: usage::descriptors(pid),
        };
        let Progress { second, done, errors, p99_us, .. } = *progress;
        Sampled { second, done, errors, p99_us, servers: self.pids.iter().map(of).collect() }
    }
}

/// What is seen of the overload and after it.
pub(super) struct Overload {
    pub(super) during: Phase,
    pub(super) after: Phase,
    /// p99 of each second after the overload.
    pub(super) p99_us: Vec<Option<u64>>,
}

/// More than there is room for; the load of before begins when that ends, not when all of it is
/// answered.
pub(super) async fn overload<T: Target>(
    (over, many): (&Load, &[T]),
    (before, few): (&Load, &[T]),
    tell: &mut impl FnMut(&str),
) -> Overload {
    tell("overload");
    let mut p99_us = Vec::new();
    let after = async {
        // Both begin with a second of warm-up: that of the second is the last one of the first.
        tokio::time::sleep(over.duration).await;
        load::run(before, few, |progress| {
            if progress.second > 1 {
                p99_us.push(progress.p99_us);
            }
        })
        .await
    };
    let (during, after) = tokio::join!(load::run(over, many, |_| {}), after);
    let (during, after) =
        (Phase { name: "overload", load: during }, Phase { name: "after", load: after });
    tell(&format!("overload: {:.0} requests/s", during.load.ops_per_s));
    Overload { during, after, p99_us }
}
