//! What a load measured, for people and for programs.

use super::{Tallies, tally};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// What a load measured. As JSON it is one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Requests answered with success within the measured time, per second.
    pub ops_per_s: f64,
    /// Latencies of writes.
    pub write_us: Percentiles,
    /// Latencies of reads.
    pub read_us: Percentiles,
    /// Requests that failed.
    pub errors: u64,
    /// What there is to say of an open loop.
    pub open_loop: Option<OpenLoop>,
}

/// How an open loop went. `ops_per_s` of its report is the rate that it achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OpenLoop {
    /// Requests due per second.
    pub rate_per_s: u64,
    /// How many might be open at a time.
    pub in_flight_max: u32,
    /// Requests that were due in the measured time.
    pub due: u64,
    /// Of those, sent more than a millisecond late. Their latencies count from when they were due.
    pub sent_late: u64,
    /// Of those, not sent because too many were open. They are among the errors.
    pub refused: u64,
    /// Of those, without an answer at the end of the measured time. They were waited for.
    pub outstanding: u64,
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
    pub(crate) fn of(latencies: &Histogram<u64>) -> Percentiles {
        let at = |part| (!latencies.is_empty()).then(|| latencies.value_at_quantile(part));
        Percentiles { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }
}

impl Report {
    pub(super) fn of(tallies: &Tallies, duration: Duration, open_loop: Option<OpenLoop>) -> Report {
        let all = tally::sum(tallies);
        let ops_per_s = all.in_time() as f64 / duration.as_secs_f64();
        Report {
            ops_per_s: (ops_per_s * 10.0).round() / 10.0,
            write_us: Percentiles::of(all.writes()),
            read_us: Percentiles::of(all.reads()),
            errors: all.errors(),
            open_loop,
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
        if let Some(open) = &self.open_loop {
            writeln!(
                f,
                "{} per second were due, {} in all: {} sent late, {} not sent with {} open, {} \
                 without an answer at the end",
                open.rate_per_s,
                open.due,
                open.sent_late,
                open.refused,
                open.in_flight_max,
                open.outstanding
            )?;
        }
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
    use super::super::tally::{Ended, Tally};
    use super::*;
    use std::sync::{Arc, Mutex};

    fn tally(writes: &[u64], errors: u64) -> Arc<Mutex<Tally>> {
        let mut tally = Tally::default();
        for &us in writes {
            let latency = Duration::from_micros(us);
            tally.take(Ended { is_write: true, latency, ok: true, in_time: true });
        }
        tally.fail(errors);
        Arc::new(Mutex::new(tally))
    }

    #[test]
    fn tallies_add_up_and_kinds_without_requests_have_no_percentiles() {
        let tallies = vec![tally(&[100, 200], 1), tally(&[300], 0)];
        let report = Report::of(&tallies, Duration::from_secs(2), None);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(
            json,
            "{\"ops_per_s\":1.5,\"write_us\":{\"p50\":200,\"p99\":300,\"p999\":300},\
             \"read_us\":{\"p50\":null,\"p99\":null,\"p999\":null},\"errors\":1,\
             \"open_loop\":null}"
        );
        assert!(report.any());
        assert!(!Report::of(&vec![tally(&[], 3)], Duration::from_secs(2), None).any());
    }

    #[test]
    fn an_answer_after_the_end_has_a_latency_and_is_no_part_of_the_rate() {
        let late = tally(&[100], 0);
        let latency = Duration::from_secs(3);
        let ended = Ended { is_write: true, latency, ok: true, in_time: false };
        late.lock().unwrap().take(ended);
        let report = Report::of(&vec![late], Duration::from_secs(1), None);
        assert_eq!(report.ops_per_s, 1.0);
        assert!(report.write_us.p99.unwrap() >= 2_990_000, "{report:?}");
    }
}
