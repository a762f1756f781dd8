//! A client's side of its session.

use super::pace::Pace;
use crate::config::{Now, SessionRules};
use crate::entry::SessionId;

#[derive(Debug)]
pub(super) enum Session {
    None,
    Opening(Opening),
    Open { id: SessionId, rules: SessionRules, used_at: Now },
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
            *self = Session::Open { id, rules, used_at: now };
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
}
