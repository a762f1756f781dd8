//! Asking whether a campaign is welcome (R9). It changes nothing and uses nothing up.

use super::common::{self, Common};
use crate::config::{Configuration, Now};
use crate::message::AcceptorMsg;
use crate::quorum::AcceptorSet;
use crate::role::{NoRecord, Output};

#[derive(Debug)]
pub(super) struct Poll {
    attempt: u64,
    consents: AcceptorSet,
    asked_at: Now,
    sent_at: Now,
}

impl Poll {
    /// Asks all acceptors.
    pub(super) fn ask(
        configuration: &Configuration,
        common: &mut Common,
        now: Now,
        out: &mut Output<NoRecord>,
    ) -> Poll {
        common.attempts = common.attempts.wrapping_add(1);
        let poll = Poll { attempt: common.attempts, consents: 0, asked_at: now, sent_at: now };
        poll.send(configuration, out);
        poll
    }

    /// An acceptor consents. Gives back whether a phase-1 quorum has.
    pub(super) fn consents(
        &mut self,
        configuration: &Configuration,
        bit: AcceptorSet,
        attempt: u64,
    ) -> bool {
        if attempt != self.attempt {
            return false;
        }
        self.consents |= bit;
        configuration.quorums.phase1(self.consents)
    }

    /// Whether it was begun too long ago: who consented at first may have died since.
    pub(super) fn is_stale(&self, now: Now, timeout_us: u64) -> bool {
        now.since(self.asked_at) >= timeout_us
    }

    /// Asks the acceptors again that have not consented.
    pub(super) fn tick(
        &mut self,
        configuration: &Configuration,
        common: &Common,
        now: Now,
        out: &mut Output<NoRecord>,
    ) {
        if now.since(self.sent_at) >= common.options.timing.heartbeat_us() {
            self.sent_at = now;
            self.send(configuration, out);
        }
    }

    fn send(&self, configuration: &Configuration, out: &mut Output<NoRecord>) {
        let msg = AcceptorMsg::Poll { attempt: self.attempt };
        common::ask(configuration, self.consents, &msg, out);
    }
}
