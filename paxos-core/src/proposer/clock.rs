//! Log time, as a leader lets it pass (R18).

use crate::config::Now;

/// Log time passes as the leader's clock does, never faster. It stands still while nothing can be
/// proposed: a leader whose learner must first catch up would else let all sessions expire at once
/// that nobody could use meanwhile.
#[derive(Debug)]
pub(super) struct Clock {
    log_time_us: u64,
    passed_at: Now,
    /// Since when there is no room to propose, and nothing was chosen.
    closed_at: Option<Now>,
}

impl Clock {
    pub(super) fn new(log_time_ms: u64, now: Now) -> Clock {
        let log_time_us = log_time_ms.saturating_mul(1000);
        Clock { log_time_us, passed_at: now, closed_at: None }
    }

    /// Lets time pass up to now, from when on there is room to propose, or none. A window that is
    /// full and moves is no obstacle: time stands still only after `patience_us`.
    #[inline]
    pub(super) fn pass(&mut self, now: Now, is_open: bool, patience_us: u64) {
        let until = self.closed_at.map_or(now, |at| now.min(at.plus(patience_us)));
        self.log_time_us = self.log_time_us.saturating_add(until.since(self.passed_at));
        self.passed_at = now;
        match is_open {
            true => self.closed_at = None,
            false => _ = self.closed_at.get_or_insert(now),
        }
    }

    /// Something was chosen.
    #[inline]
    pub(super) fn moves(&mut self, now: Now) {
        if let Some(at) = &mut self.closed_at {
            *at = now;
        }
    }

    #[inline]
    pub(super) fn log_time_ms(&self) -> u64 {
        self.log_time_us / 1000
    }
}
