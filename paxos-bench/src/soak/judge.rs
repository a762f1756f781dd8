//! What must hold, and whether it did.

use serde::Serialize;

/// From the second quarter to the last one, memory may grow by this factor.
const MEMORY_TIMES: f64 = 1.1;

/// And as many descriptors may be added.
const DESCRIPTORS_MORE: f64 = 5.0;

/// And p99 may grow by this factor.
const P99_TIMES: f64 = 2.0;

/// Of the requests that are due below the peak, this part may fail.
const ERRORS_PART: f64 = 0.001;

/// Under overload, at least this part of the peak is done.
const GOODPUT_PART: f64 = 0.8;

/// After it, all is as before within so many seconds.
const RECOVERY_S: f64 = 10.0;

/// So many seconds, one after the other, show that it lasts.
const LASTING_S: usize = 3;

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// What was looked at.
    pub what: String,
    /// What it was before, where that matters.
    pub before: Option<f64>,
    /// What was found; none, where it could not be measured.
    pub found: Option<f64>,
    /// The least or the most that it may be.
    pub limit: Option<f64>,
    /// Whether it holds.
    pub held: bool,
}

impl Judged {
    fn at_most(
        what: String,
        before: Option<f64>,
        found: Option<f64>,
        limit: Option<f64>,
    ) -> Judged {
        let held = found.zip(limit).is_some_and(|(found, limit)| found <= limit);
        Judged { what, before, found, limit, held }
    }

    /// Memory of a server, by looks that are evenly spread. One that failed is nothing to judge by.
    pub(super) fn memory(server: usize, looks: &[Option<u64>]) -> Judged {
        level(format!("memory of server {server}, B"), looks, |before| before * MEMORY_TIMES)
    }

    /// Descriptors of a server.
    pub(super) fn descriptors(server: usize, looks: &[Option<u64>]) -> Judged {
        let what = format!("descriptors of server {server}");
        level(what, looks, |before| before + DESCRIPTORS_MORE)
    }

    /// p99 of each second.
    pub(super) fn p99(looks: &[Option<u64>]) -> Judged {
        let what = "p99 of a second, steady, µs".to_owned();
        level(what, looks, |before| before * P99_TIMES)
    }

    pub(super) fn errors(errors: u64, due: u64) -> Judged {
        let (found, limit) = (Some(errors as f64), Some((due as f64 * ERRORS_PART).floor()));
        Judged::at_most("failed, steady".to_owned(), None, found, limit)
    }

    pub(super) fn goodput(peak_per_s: f64, goodput_per_s: f64) -> Judged {
        let limit = GOODPUT_PART * peak_per_s;
        Judged {
            what: "requests/s under overload".to_owned(),
            before: Some(peak_per_s),
            found: Some(goodput_per_s),
            limit: Some(limit),
            held: goodput_per_s >= limit,
        }
    }

    /// How long it takes until p99 is within a limit, by the p99 of each second after the overload.
    pub(super) fn recovery(p99_us: &[Option<u64>], limit_us: Option<u64>) -> Judged {
        let found = limit_us.and_then(|limit| recovered_s(p99_us, limit));
        Judged::at_most("recovery, s".to_owned(), None, found.map(|s| s as f64), Some(RECOVERY_S))
    }
}

/// The first second from which on p99 is within the limit, and stays so. One in which nothing was
/// answered is not.
fn recovered_s(p99_us: &[Option<u64>], limit_us: u64) -> Option<usize> {
    let is_within = |p99: &Option<u64>| p99.is_some_and(|p99| p99 <= limit_us);
    let lasts = |seconds: &[Option<u64>]| seconds.iter().all(is_within);
    p99_us.windows(LASTING_S).position(lasts).map(|at| at + 1)
}

/// Compares the median of the last quarter with that of the second one: the first is for warming
/// up.
fn level(what: String, looks: &[Option<u64>], limit: impl Fn(f64) -> f64) -> Judged {
    let looks = if looks.len() < 4 { &[] } else { looks };
    let quarter =
        |number: usize| median(&looks[looks.len() * number / 4..looks.len() * (number + 1) / 4]);
    let (before, found) = (quarter(1), quarter(3));
    Judged::at_most(what, before, found, before.map(limit))
}

/// None, where one is missing, or all are.
fn median(looks: &[Option<u64>]) -> Option<f64> {
    let mut values: Vec<u64> = looks.iter().copied().collect::<Option<_>>()?;
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).map(|&value| value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(values: &[u64]) -> Vec<Option<u64>> {
        values.iter().copied().map(Some).collect()
    }

    #[test]
    fn the_last_quarter_is_set_against_the_second_and_the_first_says_nothing() {
        let judged = Judged::memory(1, &looks(&[1, 1, 100, 102, 500, 500, 110, 900]));
        let expected = (Some(100.0), Some(110.0), true);
        assert_eq!((judged.before, judged.found, judged.held), expected, "{judged:?}");
        assert!(!Judged::memory(1, &looks(&[1, 100, 100, 111])).held);
        assert!(Judged::memory(1, &looks(&[100, 100, 50, 10])).held, "it may shrink");
        assert!(Judged::descriptors(1, &looks(&[9, 20, 30, 25])).held);
        assert!(!Judged::descriptors(1, &looks(&[9, 20, 30, 26])).held);
        assert!(Judged::p99(&looks(&[9, 20, 30, 40])).held);
        assert!(!Judged::p99(&looks(&[9, 20, 30, 41])).held);
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        assert!(!Judged::memory(1, &[]).held);
        assert!(!Judged::memory(1, &looks(&[1, 1])).held, "there are not four quarters");
        assert!(!Judged::memory(1, &[Some(1), Some(1), Some(1), None]).held, "a server has ended");
        assert!(!Judged::recovery(&[Some(1); 13], None).held);
    }

    #[test]
    fn one_request_in_a_thousand_may_fail() {
        assert!(Judged::errors(0, 10).held && !Judged::errors(1, 999).held);
        assert!(Judged::errors(1, 1000).held);
    }

    #[test]
    fn goodput_is_set_against_the_peak() {
        assert!(Judged::goodput(100.0, 80.0).held && !Judged::goodput(100.0, 79.9).held);
    }

    #[test]
    fn recovery_is_when_the_latency_is_as_before_and_stays_so() {
        let at = |p99_us: &[u64]| Judged::recovery(&looks(p99_us), Some(20));
        assert_eq!(at(&[20, 20, 20]).found, Some(1.0));
        // A second that is good by chance is none.
        assert_eq!(at(&[90, 20, 90, 20, 20, 20]).found, Some(4.0));
        assert!(!at(&[90, 90, 20, 20]).held, "it may not last");
        let mut late = vec![90; 10];
        late.extend([10; 3]);
        assert_eq!((at(&late).found, at(&late).held), (Some(11.0), false));
        assert!(at(&late[1..]).held);
        let silent = [Some(1), None, Some(1), Some(1), Some(1)];
        assert_eq!(Judged::recovery(&silent, Some(20)).found, Some(3.0));
    }
}
