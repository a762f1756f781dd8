//! What clients measure.

use super::Tallies;
use hdrhistogram::Histogram;
use std::sync::PoisonError;
use std::time::Duration;

/// An hour, in microseconds: longer latencies count as that.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// What the clients of one connection have measured.
#[derive(Debug)]
pub(super) struct Tally {
    writes: Histogram<u64>,
    reads: Histogram<u64>,
    errors: u64,
    /// Of the requests that ended, so many did after the measured time.
    after_end: u64,
    /// Of those that succeeded, so many.
    done_after_end: u64,
}

/// How one request ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) is_write: bool,
    pub(super) latency: Duration,
    pub(super) ok: bool,
    /// Within the measured time.
    pub(super) in_time: bool,
}

impl Tally {
    pub(super) fn take(&mut self, Ended { is_write, latency, ok, in_time }: Ended) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        match (ok, is_write) {
            (false, _) => self.errors += 1,
            (true, true) => self.writes.saturating_record(us.max(1)),
            (true, false) => self.reads.saturating_record(us.max(1)),
        }
        self.after_end += u64::from(!in_time);
        self.done_after_end += u64::from(!in_time && ok);
    }

    /// Requests that failed without having been sent, or without an answer to the end.
    pub(super) fn fail(&mut self, count: u64) {
        self.errors += count;
    }

    pub(super) fn add(&mut self, other: &Tally) {
        // Equal bounds: nothing is left out.
        self.writes += &other.writes;
        self.reads += &other.reads;
        self.errors += other.errors;
        self.after_end += other.after_end;
        self.done_after_end += other.done_after_end;
    }

    /// Latencies of the requests that succeeded after `before`, a former state of this.
    pub(super) fn since(&self, before: &Tally) -> Histogram<u64> {
        let mut since = self.writes.clone();
        since += &self.reads;
        for former in [&before.writes, &before.reads] {
            since.subtract(former).expect("counts only grow");
        }
        since
    }

    pub(super) fn writes(&self) -> &Histogram<u64> {
        &self.writes
    }

    pub(super) fn reads(&self) -> &Histogram<u64> {
        &self.reads
    }

    pub(super) fn errors(&self) -> u64 {
        self.errors
    }

    pub(super) fn after_end(&self) -> u64 {
        self.after_end
    }

    /// Requests that succeeded, in time or not.
    pub(super) fn done(&self) -> u64 {
        self.writes.len() + self.reads.len()
    }

    /// Requests that succeeded within the measured time.
    pub(super) fn in_time(&self) -> u64 {
        self.done() - self.done_after_end
    }
}

impl Default for Tally {
    fn default() -> Tally {
        let (writes, reads) = (latencies(), latencies());
        Tally { writes, reads, errors: 0, after_end: 0, done_after_end: 0 }
    }
}

/// Latencies in microseconds, none yet.
pub(crate) fn latencies() -> Histogram<u64> {
    let made = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3);
    made.expect("an hour can be measured to three digits")
}

/// All of them together.
pub(super) fn sum(tallies: &Tallies) -> Tally {
    let mut all = Tally::default();
    for tally in tallies {
        all.add(&tally.lock().unwrap_or_else(PoisonError::into_inner));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_since_is_told_from_what_was_there() {
        let mut tally = Tally::default();
        let ended = |is_write, us, ok| {
            let latency = Duration::from_micros(us);
            Ended { is_write, latency, ok, in_time: true }
        };
        tally.take(ended(true, 5000, true));
        let mut before = Tally::default();
        before.add(&tally);
        assert!(tally.since(&before).is_empty());
        tally.take(ended(true, 100, true));
        tally.take(ended(false, 200, true));
        tally.take(ended(true, 9000, false));
        let since = tally.since(&before);
        assert_eq!((since.len(), since.max()), (2, 200));
    }
}
