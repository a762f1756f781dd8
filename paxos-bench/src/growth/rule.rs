//! When a step is a cliff: when it costs more than what has grown explains, with room for noise.

use serde::Serialize;
use std::fmt;

/// Of a hundred requests, so many may fail at any point.
const ERRORS_PERCENT_MAX: f64 = 1.0;

/// What is no cliff.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
pub enum Rule {
    /// More of it is no more work for a request: requests per second never fall below this part of
    /// the best so far.
    OfBest {
        /// The least part.
        part: f64,
    },
    /// Each byte is work: bytes per second never fall below a part of the best so far, and requests
    /// per second fall no more than in proportion to the size, from one point to the next.
    Bytes {
        /// The least part of the best bytes per second so far.
        of_best: f64,
        /// The least part of what the size explains, beside the point before.
        of_neighbour: f64,
    },
    /// More of it is hardly more work: requests per second never fall below this part of those at
    /// the first point.
    OfFirst {
        /// The least part.
        part: f64,
    },
    /// Each server is as much work, and all share one machine: requests per second never fall below
    /// this part of what that leaves of those at the first point.
    PerServer {
        /// The least part.
        part: f64,
    },
    /// Something goes on beside: requests per second never fall below a part of those at the first
    /// point, and p99 is at most so many times as long.
    Beside {
        /// The least part.
        part: f64,
        /// The longest p99, in times of that at the first point.
        p99_times: f64,
    },
}

/// What was found at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) amount: f64,
    pub(super) servers: f64,
    pub(super) ops_per_s: f64,
    pub(super) p99_us: f64,
    pub(super) errors_percent: f64,
}

impl Rule {
    /// For each point, why it is a cliff, if it is one.
    pub(super) fn cliffs(self, points: &[Found]) -> Vec<Option<String>> {
        let judge = |at: usize| {
            let Found { errors_percent, .. } = points[at];
            if errors_percent > ERRORS_PERCENT_MAX {
                return Some(format!("{errors_percent:.1} % failed"));
            }
            self.cliff(&points[..at], &points[at])
        };
        (0..points.len()).map(judge).collect()
    }

    /// Whether `now` is one after the points before it.
    fn cliff(self, before: &[Found], now: &Found) -> Option<String> {
        let (first, last) = (before.first()?, before.last()?);
        let best = |of: fn(&Found) -> f64| before.iter().map(of).fold(0.0, f64::max);
        let rate = |least: f64, what: &str| {
            let below = now.ops_per_s < least;
            below.then(|| format!("{:.0}/s, and {least:.0}/s would be {what}", now.ops_per_s))
        };
        match self {
            Rule::OfBest { part } => {
                rate(part * best(|at| at.ops_per_s), &format!("{part} of the best so far"))
            }
            Rule::Bytes { of_best, of_neighbour } => {
                let best = best(|at| at.ops_per_s * at.amount);
                let explained = last.ops_per_s * last.amount / now.amount;
                let what = format!("{of_best} of the best bytes/s so far");
                rate(of_best * best / now.amount, &what).or_else(|| {
                    let what = format!("{of_neighbour} of what the size explains");
                    rate(of_neighbour * explained.min(last.ops_per_s), &what)
                })
            }
            Rule::OfFirst { part } => {
                rate(part * first.ops_per_s, &format!("{part} of the first point"))
            }
            Rule::PerServer { part } => {
                let explained = first.ops_per_s * first.servers / now.servers;
                rate(part * explained, &format!("{part} of what the servers explain"))
            }
            Rule::Beside { part, p99_times } => {
                let what = format!("{part} of that without");
                rate(part * first.ops_per_s, &what).or_else(|| {
                    let most = p99_times * first.p99_us;
                    let why = format!("p99 {:.0} µs, and {most:.0} µs is the most", now.p99_us);
                    (now.p99_us > most).then_some(why)
                })
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::OfBest { part } => write!(f, "requests/s ≥ {part} of the best so far"),
            Rule::Bytes { of_best, of_neighbour } => write!(
                f,
                "bytes/s ≥ {of_best} of the best so far and ≥ {of_neighbour} of the point before"
            ),
            Rule::OfFirst { part } => write!(f, "requests/s ≥ {part} of the first point"),
            Rule::PerServer { part } => {
                write!(f, "requests/s × servers ≥ {part} of the first point")
            }
            Rule::Beside { part, p99_times } => {
                write!(f, "requests/s ≥ {part}, p99 ≤ {p99_times} times, beside the first point")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of so much, on so many servers, with so many requests per second.
    fn points(all: &[(f64, f64, f64)]) -> Vec<Found> {
        let found = |&(amount, servers, ops_per_s)| Found {
            amount,
            servers,
            ops_per_s,
            p99_us: 100.0,
            errors_percent: 0.0,
        };
        all.iter().map(found).collect()
    }

    fn cliffs(rule: Rule, all: &[Found]) -> Vec<bool> {
        rule.cliffs(all).into_iter().map(|cliff| cliff.is_some()).collect()
    }

    #[test]
    fn a_slow_descent_from_the_best_is_a_cliff_as_well() {
        let all =
            points(&[(1.0, 3.0, 10.0), (4.0, 3.0, 100.0), (16.0, 3.0, 80.0), (64.0, 3.0, 69.0)]);
        assert_eq!(cliffs(Rule::OfBest { part: 0.7 }, &all), [false, false, false, true]);
        let why = Rule::OfBest { part: 0.7 }.cliffs(&all).pop().unwrap().unwrap();
        assert_eq!(why, "69/s, and 70/s would be 0.7 of the best so far");
    }

    #[test]
    fn larger_values_may_cost_what_their_bytes_do() {
        let rule = Rule::Bytes { of_best: 0.5, of_neighbour: 0.7 };
        // 1600, 16000, 160000, 160000 bytes/s.
        let good = points(&[(16.0, 3.0, 100.0), (256.0, 3.0, 90.0), (4096.0, 3.0, 40.0)]);
        assert_eq!(cliffs(rule, &good), [false; 3]);
        let in_proportion = points(&[(100.0, 3.0, 1000.0), (1000.0, 3.0, 100.0)]);
        assert_eq!(cliffs(rule, &in_proportion), [false; 2]);
        let noise = points(&[(100.0, 3.0, 1000.0), (1000.0, 3.0, 71.0)]);
        assert_eq!(cliffs(rule, &noise), [false; 2]);
        let step = points(&[(100.0, 3.0, 1000.0), (1000.0, 3.0, 69.0)]);
        assert_eq!(cliffs(rule, &step), [false, true], "more than the size explains");
        // Each step by itself is within bounds, and all together are not.
        let creep = points(&[(1.0, 3.0, 1000.0), (10.0, 3.0, 71.0), (100.0, 3.0, 4.99)]);
        assert_eq!(cliffs(rule, &creep), [false, false, true]);
    }

    #[test]
    fn more_keys_are_set_against_the_fewest() {
        let all = points(&[(1.0, 3.0, 100.0), (2.0, 3.0, 61.0), (3.0, 3.0, 59.0)]);
        assert_eq!(cliffs(Rule::OfFirst { part: 0.6 }, &all), [false, false, true]);
    }

    #[test]
    fn more_servers_share_what_the_first_ones_had() {
        let rule = Rule::PerServer { part: 0.7 };
        // 0.7 × 3/5 is 42 of a hundred, 0.7 × 3/7 is 30.
        let good = points(&[(3.0, 3.0, 100.0), (5.0, 5.0, 43.0), (7.0, 7.0, 31.0)]);
        assert_eq!(cliffs(rule, &good), [false; 3]);
        let bad = points(&[(3.0, 3.0, 100.0), (5.0, 5.0, 41.0), (7.0, 7.0, 29.0)]);
        assert_eq!(cliffs(rule, &bad), [false, true, true]);
    }

    #[test]
    fn beside_a_snapshot_both_rate_and_p99_are_looked_at() {
        let rule = Rule::Beside { part: 0.5, p99_times: 10.0 };
        let mut all = points(&[(0.0, 3.0, 100.0), (1.0, 3.0, 51.0)]);
        all[1].p99_us = 1000.0;
        assert_eq!(cliffs(rule, &all), [false, false]);
        all[1].p99_us = 1001.0;
        assert_eq!(cliffs(rule, &all), [false, true]);
        all[1] = Found { ops_per_s: 49.0, ..all[0] };
        assert_eq!(cliffs(rule, &all), [false, true]);
    }

    #[test]
    fn requests_that_fail_are_a_cliff_at_any_point() {
        let mut all = points(&[(1.0, 3.0, 100.0)]);
        all[0].errors_percent = 1.1;
        assert_eq!(Rule::OfFirst { part: 0.6 }.cliffs(&all), [Some("1.1 % failed".into())]);
        assert_eq!(Rule::OfFirst { part: 0.6 }.cliffs(&[]), []);
    }
}
