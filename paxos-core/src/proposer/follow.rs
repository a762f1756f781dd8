//! Following: wait for a leader to be heard from, and campaign when none is.

use super::Stance;
use super::campaign::Campaign;
use super::common::Common;
use crate::ballot::Ballot;
use crate::config::Now;
use crate::role::{NoRecord, Output};

#[derive(Debug)]
pub(super) struct Follow {
    leader: Option<Ballot>,
    patient_until: Now,
}

impl Follow {
    /// Before the configuration is known.
    pub(super) fn at_boot() -> Follow {
        Follow { leader: None, patient_until: Now(0) }
    }

    /// Nobody leads, as far as is known.
    pub(super) fn nobody(common: &mut Common, now: Now) -> Follow {
        Follow { leader: None, patient_until: now.plus(common.election_timeout()) }
    }

    /// A campaign was lost.
    pub(super) fn back_off(common: &mut Common, now: Now) -> Follow {
        Follow { leader: None, patient_until: now.plus(common.backoff()) }
    }

    /// It led, was answered, and moved nothing: its learner has ended, perhaps. All others have
    /// campaigned before it does so again.
    pub(super) fn stand_back(common: &mut Common, now: Now) -> Follow {
        let timeout = common.options.timing.election_timeout_us();
        Follow { leader: None, patient_until: now.plus(2 * timeout + common.election_timeout()) }
    }

    /// The owner of `ballot` leads.
    pub(super) fn leader_heard(common: &mut Common, now: Now, ballot: Ballot) -> Follow {
        Follow { leader: Some(ballot), patient_until: now.plus(common.election_timeout()) }
    }

    pub(super) fn leader(&self) -> Option<Ballot> {
        self.leader
    }

    pub(super) fn tick(
        &mut self,
        common: &mut Common,
        now: Now,
        out: &mut Output<NoRecord>,
    ) -> Option<Stance> {
        (now >= self.patient_until).then(|| Stance::Campaign(Campaign::poll(common, now, out)))
    }
}
