//! Following: wait for a leader to be heard from, and campaign when none is.

use super::Stance;
use super::campaign::Campaign;
use super::common::Common;
use crate::ballot::Ballot;
use crate::config::{Configuration, Now};
use crate::role::{NoRecord, Output};
use crate::slot::Slot;
use alloc::sync::Arc;

/// A proposer whose learner is behind lets others lead for so many election timeouts.
const YIELD: u64 = 4;

#[derive(Debug)]
pub(super) struct Follow {
    pub(super) configuration: Arc<Configuration>,
    leader: Option<Ballot>,
    patient_until: Now,
    /// The paired learner must have applied all below before a campaign makes sense.
    behind: Option<Slot>,
}

impl Follow {
    /// Nobody leads, as far as is known.
    pub(super) fn nobody(
        configuration: Arc<Configuration>,
        common: &mut Common,
        now: Now,
    ) -> Follow {
        let patient_until = now.plus(common.election_timeout());
        Follow { configuration, leader: None, patient_until, behind: None }
    }

    /// A campaign was lost.
    pub(super) fn back_off(
        configuration: Arc<Configuration>,
        common: &mut Common,
        now: Now,
    ) -> Follow {
        common.failures += 1;
        let patient_until = now.plus(common.backoff());
        Follow { configuration, leader: None, patient_until, behind: None }
    }

    /// A campaign was won, and the paired learner is too far behind to lead (R6): another should,
    /// whose learner is not. If none does, this one tries again, at the latest when its learner is
    /// there.
    pub(super) fn behind(
        configuration: Arc<Configuration>,
        common: &mut Common,
        now: Now,
        slot: Slot,
    ) -> Follow {
        let timeout = common.options.timing.election_timeout_us();
        let follow = Follow::back_off(configuration, common, now);
        let patient_until = follow.patient_until.plus(YIELD * timeout);
        Follow { patient_until, behind: Some(slot), ..follow }
    }

    /// It led, was answered, and moved nothing: its learner has ended, perhaps. All others have
    /// campaigned before it does so again.
    pub(super) fn stand_back(
        configuration: Arc<Configuration>,
        common: &mut Common,
        now: Now,
    ) -> Follow {
        let timeout = common.options.timing.election_timeout_us();
        let follow = Follow::nobody(configuration, common, now);
        Follow { patient_until: follow.patient_until.plus(2 * timeout), ..follow }
    }

    /// The owner of `ballot` leads.
    pub(super) fn leader_heard(
        configuration: Arc<Configuration>,
        common: &mut Common,
        now: Now,
        ballot: Ballot,
    ) -> Follow {
        let patient_until = now.plus(common.election_timeout());
        Follow { configuration, leader: Some(ballot), patient_until, behind: None }
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
        if self.behind.is_some_and(|slot| slot <= common.applied_below) {
            self.behind = None;
            self.patient_until = self.patient_until.min(now.plus(common.backoff()));
        }
        let configuration = Arc::clone(&self.configuration);
        (now >= self.patient_until)
            .then(|| Stance::Campaign(Campaign::poll(configuration, common, now, out)))
    }
}
