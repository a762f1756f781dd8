//! When an attempt is made again: of a call, or to open a session.

use crate::ballot::NodeId;
use crate::config::Now;

/// What is known of the last attempt, and when the next is due.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Attempts since it was worth to hurry.
    waits: usize,
    /// Where the last attempt went, and what is known of it.
    last: Option<(NodeId, Last)>,
    retry_at: Now,
}

/// What is known of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Sent,
    /// It never left: there was no connection.
    Unsent,
    /// A node has said when to try again.
    Refused,
}

impl Pace {
    pub(super) fn target(&self) -> Option<NodeId> {
        self.last.map(|(target, _)| target)
    }

    /// The node that let the last attempt pass in silence.
    pub(super) fn timed_out(&self) -> Option<NodeId> {
        self.last.filter(|(_, last)| *last != Last::Refused).map(|(target, _)| target)
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        now >= self.retry_at
    }

    /// Each attempt may take twice as long as the one before, up to sixteen times.
    pub(super) fn sent(&mut self, now: Now, target: NodeId, retry_us: u64, jitter_us: u64) {
        self.retry_at = now.plus((retry_us << self.waits.min(4)) + jitter_us);
        self.waits += 1;
        self.last = Some((target, Last::Sent));
    }

    /// An attempt to `target` did not leave.
    pub(super) fn unsent(&mut self, target: NodeId) {
        self.waits = self.waits.saturating_sub(1);
        if self.target() == Some(target) {
            self.last = Some((target, Last::Unsent));
        }
    }

    /// There is a connection to `node` now: what waits for it goes at once, anything else soon.
    /// What was refused waits for as long as it was told to.
    pub(super) fn reached(&mut self, now: Now, node: NodeId, retry_us: u64) {
        self.waits = 0;
        match self.last {
            Some((_, Last::Refused)) => {}
            Some((target, Last::Unsent)) if target == node => {
                self.last = None;
                self.retry_at = now;
            }
            _ => self.retry_at = self.retry_at.min(now.plus(retry_us)),
        }
    }

    pub(super) fn retry_soon(&mut self, now: Now) {
        self.retry_at = now;
    }

    pub(super) fn refused(&mut self, retry_at: Now) {
        self.last = self.last.map(|(target, _)| (target, Last::Refused));
        self.retry_at = retry_at;
    }
}
