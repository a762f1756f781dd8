//! One call of a client, from the first attempt to its end.

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
    /// Attempts sent, and how many of them were refused at the door.
    attempts: usize,
    refused: usize,
    was_refused: bool,
    target: Option<NodeId>,
    retry_at: Now,
}

impl Call {
    pub(super) fn new(work: Work, deadline: Now) -> Call {
        Call {
            work,
            deadline,
            attempts: 0,
            refused: 0,
            was_refused: false,
            target: None,
            retry_at: Now(0),
        }
    }

    pub(super) fn target(&self) -> Option<NodeId> {
        self.target
    }

    /// The node that let the last attempt pass in silence.
    pub(super) fn timed_out(&self) -> Option<NodeId> {
        self.target.filter(|_| !self.was_refused)
    }

    pub(super) fn is_due(&self, now: Now) -> bool {
        now >= self.retry_at
    }

    /// Each attempt may take twice as long as the one before, up to sixteen times.
    pub(super) fn sent(&mut self, now: Now, target: NodeId, retry_us: u64, jitter_us: u64) {
        self.retry_at = now.plus((retry_us << self.attempts.min(4)) + jitter_us);
        self.attempts += 1;
        self.was_refused = false;
        self.target = Some(target);
    }

    pub(super) fn retry_soon(&mut self, now: Now) {
        self.retry_at = now;
    }

    pub(super) fn refused(&mut self, retry_at: Now) {
        self.refused = (self.refused + 1).min(self.attempts);
        self.was_refused = true;
        self.retry_at = retry_at;
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
