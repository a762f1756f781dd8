//! What a load measured, for people and for programs.

use super::Tally;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What a load measured. As JSON it is one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Requests answered with success, per second.
    pub ops_per_s: f64,
    /// Latencies of writes.
    pub write_us: Percentiles,
    /// Latencies of reads.
    pub read_us: Percentiles,
    /// Requests that failed.
    pub errors: u64,
}

/// Latencies in microseconds; none where there were no requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// Half of the requests took no longer.
    pub p50: Option<u64>,
    /// 99 of 100 took no longer.
    pub p99: Option<u64>,
    /// 999 of 1000 took no longer.
    pub p999: Option<u64>,
}

impl Percentiles {
    fn of(latencies: &Histogram<u64>) -> Percentiles {
        let at = |part| (!latencies.is_empty()).then(|| latencies.value_at_quantile(part));
        Percentiles { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }
}

impl Report {
    pub(super) fn of(tallies: &[Arc<Mutex<Tally>>], duration: Duration) -> Report {
        let mut all = Tally::new();
        for tally in tallies {
            let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            // Equal bounds: nothing is left out.
            all.writes += &tally.writes;
            all.reads += &tally.reads;
            all.errors += tally.errors;
        }
        let ops_per_s = all.done() as f64 / duration.as_secs_f64();
        Report {
            ops_per_s: (ops_per_s * 10.0).round() / 10.0,
            write_us: Percentiles::of(&all.writes),
            read_us: Percentiles::of(&all.reads),
            errors: all.errors,
        }
    }

    /// Whether any request succeeded.
    pub fn any(&self) -> bool {
        self.ops_per_s > 0.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:.1} requests per second, {} failed", self.ops_per_s, self.errors)?;
        writeln!(f, "latency in µs       p50       p99     p99.9")?;
        for (name, latency) in [("writes", self.write_us), ("reads", self.read_us)] {
            write!(f, "{name:<13}")?;
            for value in [latency.p50, latency.p99, latency.p999] {
                match value {
                    Some(us) => write!(f, "{us:>10}")?,
                    None => write!(f, "{:>10}", "-")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(writes: &[u64], errors: u64) -> Arc<Mutex<Tally>> {
        let mut tally = Tally::new();
        for &us in writes {
            tally.take(true, Duration::from_micros(us), true);
        }
        for _ in 0..errors {
            tally.take(false, Duration::from_micros(1), false);
        }
        Arc::new(Mutex::new(tally))
    }

    #[test]
    fn tallies_add_up_and_kinds_without_requests_have_no_percentiles() {
        let tallies = [tally(&[100, 200], 1), tally(&[300], 0)];
        let report = Report::of(&tallies, Duration::from_secs(2));
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(
            json,
            "{\"ops_per_s\":1.5,\"write_us\":{\"p50\":200,\"p99\":300,\"p999\":300},\
             \"read_us\":{\"p50\":null,\"p99\":null,\"p999\":null},\"errors\":1}"
        );
        assert!(report.any());
        assert!(!Report::of(&[tally(&[], 3)], Duration::from_secs(2)).any());
    }
}
