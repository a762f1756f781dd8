//! Campaigning: ask whether a campaign is welcome (R9), then phase 1.

use super::Stance;
use super::common::Common;
use super::follow::Follow;
use super::lead::Lead;
use super::promises::Promises;
use crate::ballot::{Ballot, MemberId};
use crate::config::Now;
use crate::message::{AcceptorMsg, PromisePart};
use crate::quorum::AcceptorSet;
use crate::role::{NoRecord, Output};
use alloc::boxed::Box;

#[derive(Debug)]
pub(super) struct Campaign {
    phase: Phase,
    patient_until: Now,
    sent_at: Now,
}

#[derive(Debug)]
enum Phase {
    /// No ballot is used yet.
    Poll { attempt: u64, consents: AcceptorSet },
    /// Phase 1 of this ballot.
    Prepare { ballot: Ballot, promises: Promises },
}

impl Campaign {
    /// Begins with a poll, which disturbs nobody.
    pub(super) fn poll(common: &mut Common, now: Now, out: &mut Output<NoRecord>) -> Campaign {
        common.attempts = common.attempts.wrapping_add(1);
        let campaign = Campaign {
            phase: Phase::Poll { attempt: common.attempts, consents: 0 },
            patient_until: now.plus(common.election_timeout()),
            sent_at: now,
        };
        campaign.send(common, out);
        campaign
    }

    /// The ballot that promises were asked for.
    pub(super) fn asked(&self) -> Option<Ballot> {
        match self.phase {
            Phase::Poll { .. } => None,
            Phase::Prepare { ballot, .. } => Some(ballot),
        }
    }

    /// An acceptor consents. When a phase-1 quorum has, the campaign begins in a ballot above all
    /// that they have promised.
    pub(super) fn polled(
        &mut self,
        common: &mut Common,
        now: Now,
        from: MemberId,
        attempt: u64,
        out: &mut Output<NoRecord>,
    ) {
        let Phase::Poll { attempt: mine, consents } = &mut self.phase else { return };
        if attempt != *mine {
            return;
        }
        *consents |= common.bit(from);
        if common.configuration.as_ref().is_some_and(|c| c.quorums.phase1(*consents)) {
            let ballot = common.next_ballot();
            common.see(ballot);
            common.campaigns += 1;
            self.phase = Phase::Prepare { ballot, promises: Promises::default() };
            self.patient_until = now.plus(common.election_timeout());
            self.sent_at = now;
            self.send(common, out);
        }
    }

    /// A part of a promise. When a phase-1 quorum has promised, this proposer leads.
    pub(super) fn promised(
        &mut self,
        common: &mut Common,
        now: Now,
        from: MemberId,
        ballot: Ballot,
        part: PromisePart,
        out: &mut Output<NoRecord>,
    ) -> Option<Stance> {
        let Phase::Prepare { ballot: mine, promises } = &mut self.phase else { return None };
        let bit = common.bit(from);
        if ballot != *mine || bit == 0 {
            return None;
        }
        promises.add(bit, part);
        if !common.configuration.as_ref()?.quorums.phase1(promises.complete()) {
            return None;
        }
        let adopted = core::mem::take(promises).adopt();
        if adopted.trimmed > common.applied_below {
            // R6: what was trimmed can only come to the learner as a snapshot. Let another, or
            // another quorum, have a go.
            common.failures += 1;
            return Some(Stance::Follow(Follow::back_off(common, now)));
        }
        common.failures = 0;
        Some(Stance::Lead(Box::new(Lead::begin(common, now, ballot, adopted, out))))
    }

    pub(super) fn tick(
        &mut self,
        common: &mut Common,
        now: Now,
        out: &mut Output<NoRecord>,
    ) -> Option<Stance> {
        if now >= self.patient_until {
            if self.asked().is_some() {
                common.failures += 1;
                return Some(Stance::Follow(Follow::back_off(common, now)));
            }
            return Some(Stance::Campaign(Campaign::poll(common, now, out)));
        }
        if now.since(self.sent_at) >= common.options.timing.heartbeat_us() {
            self.sent_at = now;
            self.send(common, out);
        }
        None
    }

    /// Asks the acceptors that have not answered.
    fn send(&self, common: &Common, out: &mut Output<NoRecord>) {
        let (answered, msg) = match &self.phase {
            Phase::Poll { attempt, consents } => {
                (*consents, AcceptorMsg::Poll { attempt: *attempt })
            }
            Phase::Prepare { ballot, promises } => {
                (promises.complete(), AcceptorMsg::Prepare { ballot: *ballot })
            }
        };
        common.send_acceptors(answered, &msg, out);
    }
}
