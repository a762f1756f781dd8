//! One call of a client, from the first attempt to its end.

use super::pace::Pace;
use super::{Outcome, Refusal, Ticket};
use crate::ballot::NodeId;
use crate::config::Now;
use crate::entry::SessionId;
use bytes::Bytes;

/// What is wanted.
#[derive(Debug)]
pub(super) enum Work {
    /// A write, and its number once it was given one.
    Write { value: Bytes, number: Option<(SessionId, u64)> },
    /// A read.
    Read { query: Bytes },
}

impl Work {
    /// Bytes of the value or the query.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Work::Write { value, .. } => value.len(),
            Work::Read { query } => query.len(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) work: Work,
    pub(super) deadline: Now,
    /// Attempts that may have left this client, and how many of them were refused at the door.
    attempts: usize,
    refused: usize,
    pub(super) pace: Pace,
}

impl Call {
    pub(super) fn new(work: Work, deadline: Now) -> Call {
        Call { work, deadline, attempts: 0, refused: 0, pace: Pace::default() }
    }

    pub(super) fn sent(&mut self, now: Now, target: NodeId, retry_us: u64, jitter_us: u64) {
        self.attempts += 1;
        self.pace.sent(now, target, retry_us, jitter_us);
    }

    /// An attempt to `target` did not leave.
    pub(super) fn unsent(&mut self, target: NodeId) {
        self.attempts = self.attempts.saturating_sub(1);
        self.pace.unsent(target);
    }

    pub(super) fn refused(&mut self, retry_at: Now) {
        self.refused = (self.refused + 1).min(self.attempts);
        self.pace.refused(retry_at);
    }

    /// How the call ends when its time is up (R17): only what left nothing behind is not applied.
    pub(super) fn fate(&self) -> Outcome {
        match &self.work {
            Work::Write { number: Some((session, sequence)), .. }
                if self.attempts > self.refused && !planted!(UnknownCalledNotApplied) =>
            {
                Outcome::Unknown(Ticket { session: *session, sequence: *sequence })
            }
            _ if self.refused > 0 => Outcome::NotApplied(Refusal::Busy),
            _ => Outcome::NotApplied(Refusal::TimedOut),
        }
    }
}
