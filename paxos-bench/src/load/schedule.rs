//! When the requests of an open loop are due. Pure: time is an input.

use std::time::Duration;

/// A request that is sent later than this after it was due counts as late.
const LATE: Duration = Duration::from_millis(1);

/// Sends requests when they are due, each of them once, none of them early.
#[derive(Debug)]
pub(super) struct Schedule {
    rate: u64,
    /// How many there are in all.
    total: u64,
    /// The next one; all before it were sent or refused.
    next: u64,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Send one, which was due so long after the start.
    Send {
        /// When it was due.
        due: Duration,
        /// It is sent noticeably later than that.
        late: bool,
    },
    /// One was due at that time, and too many are open: it has failed.
    Refuse {
        /// When it was due.
        due: Duration,
    },
    /// Nothing is due before that time.
    Wait {
        /// When the next one is.
        until: Duration,
    },
    /// All were due, and sent or refused.
    Done,
}

impl Schedule {
    /// `rate` requests in each second of `duration`, evenly. The first is due at once.
    pub(super) fn new(rate: u64, duration: Duration) -> Schedule {
        let total = u128::from(rate) * duration.as_nanos() / NANOS;
        Schedule { rate: rate.max(1), total: u64::try_from(total).unwrap_or(u64::MAX), next: 0 }
    }

    /// What to do `elapsed` after the start. To be asked again until it says to wait.
    pub(super) fn turn(&mut self, elapsed: Duration, has_room: bool) -> Turn {
        if self.next >= self.total {
            return Turn::Done;
        }
        let due = self.due(self.next);
        if due > elapsed {
            return Turn::Wait { until: due };
        }
        self.next += 1;
        match has_room {
            true => Turn::Send { due, late: elapsed - due > LATE },
            false => Turn::Refuse { due },
        }
    }

    /// From its number, so that nothing adds up.
    fn due(&self, number: u64) -> Duration {
        let nanos = u128::from(number) * NANOS / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Nanoseconds of a second.
const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn sent(schedule: &mut Schedule, elapsed: Duration) -> Vec<(Duration, bool)> {
        let mut sent = Vec::new();
        while let Turn::Send { due, late } = schedule.turn(elapsed, true) {
            sent.push((due, late));
        }
        sent
    }

    #[test]
    fn requests_are_due_evenly_and_never_early() {
        let mut schedule = Schedule::new(1000, 3 * MS);
        assert_eq!(
            schedule.turn(Duration::ZERO, true),
            Turn::Send { due: Duration::ZERO, late: false }
        );
        assert_eq!(schedule.turn(Duration::ZERO, true), Turn::Wait { until: MS });
        assert_eq!(schedule.turn(MS - Duration::from_nanos(1), true), Turn::Wait { until: MS });
        assert_eq!(schedule.turn(MS, true), Turn::Send { due: MS, late: false });
        assert_eq!(schedule.turn(2 * MS, true), Turn::Send { due: 2 * MS, late: false });
        assert_eq!(schedule.turn(2 * MS, true), Turn::Done);
    }

    #[test]
    fn a_sender_that_stood_still_sends_all_that_was_due_and_says_so() {
        let mut schedule = Schedule::new(1000, Duration::from_secs(1));
        sent(&mut schedule, 9 * MS);
        let late = sent(&mut schedule, 109 * MS);
        let due: Vec<_> = (10..=109).map(|ms| (ms * MS, ms < 108)).collect();
        assert_eq!(late, due, "none is skipped, and each knows when it was due");
    }

    #[test]
    fn rates_that_do_not_divide_a_second_do_not_drift() {
        let mut schedule = Schedule::new(7, Duration::from_secs(86_400));
        let all = sent(&mut schedule, Duration::from_secs(86_400));
        assert_eq!(all.len(), 7 * 86_400);
        assert_eq!(all[7 * 86_399].0, Duration::from_secs(86_399));
    }

    #[test]
    fn what_is_due_while_too_many_are_open_is_refused_and_not_delayed() {
        let mut schedule = Schedule::new(1000, Duration::from_secs(1));
        assert_eq!(schedule.turn(MS, true), Turn::Send { due: Duration::ZERO, late: false });
        assert_eq!(schedule.turn(MS, false), Turn::Refuse { due: MS });
        assert_eq!(schedule.turn(MS, true), Turn::Wait { until: 2 * MS });
    }

    /// A store that answers after a millisecond, but stands still for a second in between: all that
    /// was due in that second has waited for its end.
    #[test]
    fn a_stall_shows_in_every_request_that_it_delayed() {
        let (stall, end) = (Duration::from_secs(1), Duration::from_secs(2));
        let mut schedule = Schedule::new(1000, Duration::from_secs(4));
        let mut latencies = Vec::new();
        let mut elapsed = Duration::ZERO;
        loop {
            match schedule.turn(elapsed, true) {
                Turn::Send { due, .. } => {
                    let begun = if (stall..end).contains(&elapsed) { end } else { elapsed };
                    latencies.push(begun + MS - due);
                }
                Turn::Wait { until } => elapsed = until,
                Turn::Refuse { .. } => unreachable!("there is room"),
                Turn::Done => break,
            }
        }
        assert_eq!(latencies.len(), 4000);
        let delayed = latencies.iter().filter(|&&latency| latency > MS).count();
        assert_eq!(delayed, 1000, "a closed loop would show one");
        assert_eq!(latencies.iter().max(), Some(&(stall + MS)));
    }
}
