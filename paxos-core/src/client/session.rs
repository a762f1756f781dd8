//! A client's side of its session.

use super::CallId;
use super::pace::Pace;
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
    pub(super) pace: Pace,
}

impl Opening {
    pub(super) fn new(nonce: u64) -> Opening {
        Opening { nonce, pace: Pace::default() }
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
