//! Medians and ratios, for people and for programs.

use crate::load::{Drive, Load, Percentiles, Report};
use serde::Serialize;
use std::fmt;

/// What a comparison found. As JSON it is one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The other store.
    pub peer: &'static str,
    /// A point for each load.
    pub points: Vec<Point>,
}

/// Both stores under one load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Clients of a closed loop; none: it was open.
    pub clients: Option<usize>,
    /// Requests due per second of an open loop; none: it was closed.
    pub rate_per_s: Option<u64>,
    /// Of a hundred requests, so many were writes.
    pub writes_percent: u8,
    /// This store.
    pub ours: Side,
    /// The other store.
    pub theirs: Side,
    /// How many times as good this store is: by requests per second in a closed loop, by the 99th
    /// percentile of latency in an open one, where the rate is given.
    pub ratio: f64,
}

/// One store at one point: the median of each figure, over the rounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Requests answered with success, per second.
    pub ops_per_s: f64,
    /// Half of the requests took no longer, in microseconds.
    pub p50_us: Option<u64>,
    /// 99 of 100 took no longer, in microseconds.
    pub p99_us: Option<u64>,
    /// Requests that failed, in all rounds.
    pub errors: u64,
    /// Every round.
    pub rounds: Vec<Report>,
}

impl Summary {
    /// The lowest ratio of all points; none where there are no points.
    pub fn lowest_ratio(&self) -> Option<f64> {
        self.points.iter().map(|point| point.ratio).min_by(f64::total_cmp)
    }
}

impl Point {
    /// From the reports of all rounds, at least one of each.
    pub fn of(load: &Load, ours: &[Report], theirs: &[Report]) -> Point {
        let (ours, theirs) = (Side::of(load, ours), Side::of(load, theirs));
        let (clients, rate_per_s) = match load.drive {
            Drive::Closed { clients } => (Some(clients), None),
            Drive::Open { rate, .. } => (None, Some(rate)),
        };
        let ratio = match load.drive {
            Drive::Closed { .. } => ours.ops_per_s / theirs.ops_per_s,
            Drive::Open { .. } => {
                theirs.p99_us.unwrap_or(0) as f64 / ours.p99_us.unwrap_or(0).max(1) as f64
            }
        };
        let ratio = (ratio * 100.0).round() / 100.0;
        let writes_percent = load.writes_percent;
        Point { clients, rate_per_s, writes_percent, ours, theirs, ratio }
    }
}

impl Side {
    fn of(load: &Load, rounds: &[Report]) -> Side {
        // Where there are both, writes are what costs.
        let latency = |report: &Report| match load.writes_percent {
            0 => report.read_us,
            _ => report.write_us,
        };
        let percentile = |of: fn(Percentiles) -> Option<u64>| {
            median(rounds.iter().filter_map(|report| of(latency(report))), u64::cmp)
        };
        Side {
            ops_per_s: median(rounds.iter().map(|report| report.ops_per_s), f64::total_cmp)
                .unwrap_or(0.0),
            p50_us: percentile(|latency| latency.p50),
            p99_us: percentile(|latency| latency.p99),
            errors: rounds.iter().map(|report| report.errors).sum(),
            rounds: rounds.to_vec(),
        }
    }
}

/// The one in the middle; of an even number, the lower of the two.
fn median<T: Copy>(
    values: impl Iterator<Item = T>,
    compare: impl Fn(&T, &T) -> std::cmp::Ordering,
) -> Option<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_by(compare);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<22} {:>10} {:>8} {:>8}   {:>10} {:>8} {:>8}   {:>6}",
            "medians, µs", "paxos-kv/s", "p50", "p99", self.peer, "p50", "p99", "ratio"
        )?;
        for point in &self.points {
            let load = match (point.clients, point.rate_per_s) {
                (Some(clients), _) => format!("{clients} clients"),
                (_, rate) => format!("{} due/s", rate.unwrap_or(0)),
            };
            write!(f, "{:<22} ", format!("{load}, {} % writes", point.writes_percent))?;
            for side in [&point.ours, &point.theirs] {
                let us = |us: Option<u64>| us.map_or("-".to_owned(), |us| us.to_string());
                let (p50, p99) = (us(side.p50_us), us(side.p99_us));
                write!(f, "{:>10.0} {p50:>8} {p99:>8}   ", side.ops_per_s)?;
            }
            writeln!(f, "{:>6.2}", point.ratio)?;
        }
        let errors = |side: fn(&Point) -> u64| self.points.iter().map(side).sum::<u64>();
        let (ours, theirs) =
            (errors(|point| point.ours.errors), errors(|point| point.theirs.errors));
        writeln!(f, "failed: {ours} of paxos-kv, {theirs} of {}", self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn report(ops_per_s: f64, p99: u64) -> Report {
        let latency = Percentiles { p50: Some(p99 / 2), p99: Some(p99), p999: Some(p99) };
        let none = Percentiles { p50: None, p99: None, p999: None };
        Report { ops_per_s, write_us: latency, read_us: none, errors: 1, open_loop: None }
    }

    fn load(drive: Drive) -> Load {
        let duration = Duration::from_secs(1);
        Load { drive, writes_percent: 100, value_bytes: 1, keys: 1, duration }
    }

    #[test]
    fn medians_are_compared_and_not_means() {
        let ours = [report(300.0, 10), report(9000.0, 9), report(200.0, 500)];
        let theirs = [report(100.0, 40), report(1.0, 90), report(150.0, 20)];
        let closed = Point::of(&load(Drive::Closed { clients: 4 }), &ours, &theirs);
        assert_eq!((closed.ours.ops_per_s, closed.theirs.ops_per_s), (300.0, 100.0));
        assert_eq!((closed.ours.p99_us, closed.theirs.p99_us), (Some(10), Some(40)));
        assert_eq!((closed.ratio, closed.ours.errors), (3.0, 3));
        let open = Drive::Open { rate: 300, in_flight_max: 9 };
        let open = Point::of(&load(open), &ours, &theirs);
        assert_eq!((open.rate_per_s, open.ratio), (Some(300), 4.0));
        let summary = Summary { peer: "other", points: vec![open, closed] };
        assert_eq!(summary.lowest_ratio(), Some(3.0));
        let text = summary.to_string();
        assert!(text.contains("300 due/s, 100 % writes"), "{text}");
        assert!(text.contains("failed: 6 of paxos-kv, 6 of other"), "{text}");
    }
}
