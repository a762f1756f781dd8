//! A client's side of its session.

use super::CallId;
use super::call::Last;
use crate::ballot::NodeId;
use crate::config::{Now, SessionRules};
use crate::entry::SessionId;
use alloc::collections::BTreeMap;

#[derive(Debug)]
pub(super) enum Session {
    None,
    Opening(Opening),
    Open { id: SessionId, rules: SessionRules, next_sequence: u64, used_at: Now },
}

#[derive(Debug)]
pub(super) struct Opening {
    pub(super) nonce: u64,
    /// Attempts that may have left this client, since it was worth to hurry.
    attempts: usize,
    /// Where the last attempt went, and what is known of it.
    last: Option<(NodeId, Last)>,
    pub(super) retry_at: Now,
}

impl Opening {
    pub(super) fn new(nonce: u64) -> Opening {
        Opening { nonce, attempts: 0, last: None, retry_at: Now(0) }
    }

    pub(super) fn target(&self) -> Option<NodeId> {
        self.last.map(|(target, _)| target)
    }

    /// Each attempt may take twice as long as the one before, up to sixteen times.
    pub(super) fn sent(&mut self, now: Now, target: NodeId, retry_us: u64, jitter_us: u64) {
        self.retry_at = now.plus((retry_us << self.attempts.min(4)) + jitter_us);
        self.attempts += 1;
        self.last = Some((target, Last::Sent));
    }

    /// An attempt to `target` did not leave.
    pub(super) fn unsent(&mut self, target: NodeId) {
        self.attempts = self.attempts.saturating_sub(1);
        if self.target() == Some(target) {
            self.last = Some((target, Last::Unsent));
        }
    }

    /// There is a connection to `node` now: what waits for it goes at once, anything else soon.
    /// What was refused waits for as long as it was told to.
    pub(super) fn reached(&mut self, now: Now, node: NodeId, retry_us: u64) {
        self.attempts = 0;
        match self.last {
            Some((_, Last::Refused)) => {}
            Some((target, Last::Unsent)) if target == node => {
                self.last = None;
                self.retry_at = now;
            }
            _ => self.retry_at = self.retry_at.min(now.plus(retry_us)),
        }
    }

    pub(super) fn refused(&mut self, retry_at: Now) {
        self.last = self.last.map(|(target, _)| (target, Last::Refused));
        self.retry_at = retry_at;
    }
}

impl Session {
    /// The session was opened; `false` where it was not asked for.
    pub(super) fn open(
        &mut self,
        now: Now,
        nonce: u64,
        id: SessionId,
        rules: SessionRules,
    ) -> bool {
        let asked = matches!(self, Session::Opening(opening) if opening.nonce == nonce);
        if asked {
            *self = Session::Open { id, rules, next_sequence: 0, used_at: now };
        }
        asked
    }

    /// Lets go of a session that was silent for a third of its time to live: the cluster's clock
    /// may run ahead of this client's, and a write to a closed session would be of unknown fate.
    pub(super) fn close_if_stale(&mut self, now: Now) {
        if let Session::Open { used_at, rules, .. } = self
            && now.since(*used_at) >= rules.ttl_ms.saturating_mul(1000) / 3
        {
            *self = Session::None;
        }
    }

    /// The cluster does not know the session any more.
    pub(super) fn close(&mut self, session: SessionId) {
        if matches!(self, Session::Open { id, .. } if *id == session) {
            *self = Session::None;
        }
    }

    /// The cluster has just answered in this session.
    pub(super) fn used(&mut self, now: Now, session: SessionId) {
        if let Session::Open { id, used_at, .. } = self
            && *id == session
        {
            *used_at = now;
        }
    }

    /// The number of the next write: none without a session, or when the session's window is full.
    pub(super) fn number(
        &mut self,
        open: &BTreeMap<(SessionId, u64), CallId>,
    ) -> Option<(SessionId, u64)> {
        let Session::Open { id, rules, next_sequence, .. } = self else { return None };
        let first = open.range((*id, 0)..).next().filter(|((session, _), _)| session == id);
        let acked_below = first.map_or(*next_sequence, |(&(_, lowest), _)| lowest);
        if *next_sequence - acked_below >= rules.window {
            return None;
        }
        let number = (*id, *next_sequence);
        *next_sequence += 1;
        Some(number)
    }
}
