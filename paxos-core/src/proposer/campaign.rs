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
use crate::slot::Slot;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;

/// A campaign lasts at most so many election timeouts, however many parts of promises come.
const PATIENCE: u64 = 20;

#[derive(Debug)]
pub(super) struct Campaign {
    phase: Phase,
    began_at: Now,
    patient_until: Now,
}

#[derive(Debug)]
enum Phase {
    /// No ballot is used yet.
    Poll { attempt: u64, consents: AcceptorSet, sent_at: Now },
    /// Phase 1 of this ballot; each acceptor is asked for one part of its promise at a time.
    Prepare { ballot: Ballot, promises: Promises, asked: BTreeMap<AcceptorSet, Asked> },
}

/// What an acceptor was asked for last.
#[derive(Clone, Copy, Debug)]
struct Asked {
    from: Slot,
    at: Now,
    times: u32,
}

impl Campaign {
    /// Begins with a poll, which disturbs nobody.
    pub(super) fn poll(common: &mut Common, now: Now, out: &mut Output<NoRecord>) -> Campaign {
        common.attempts = common.attempts.wrapping_add(1);
        let campaign = Campaign {
            phase: Phase::Poll { attempt: common.attempts, consents: 0, sent_at: now },
            began_at: now,
            patient_until: now.plus(common.election_timeout()),
        };
        let poll = AcceptorMsg::Poll { attempt: common.attempts };
        common.send_acceptors(0, &poll, out);
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
        let Phase::Poll { attempt: mine, consents, .. } = &mut self.phase else { return };
        if attempt != *mine {
            return;
        }
        *consents |= common.bit(from);
        if common.configuration.as_ref().is_some_and(|c| c.quorums.phase1(*consents)) {
            let ballot = common.next_ballot();
            common.see(ballot);
            common.campaigns += 1;
            let (promises, asked) = Default::default();
            self.phase = Phase::Prepare { ballot, promises, asked };
            self.began_at = now;
            self.patient_until = now.plus(common.election_timeout());
            self.prepare(common, now, out);
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
        let Phase::Prepare { ballot: mine, promises, .. } = &mut self.phase else { return None };
        let bit = common.bit(from);
        if ballot != *mine || bit == 0 {
            return None;
        }
        let is_news = promises.add(bit, part);
        if !common.configuration.as_ref()?.quorums.phase1(promises.complete()) {
            if is_news {
                let patient_until = now.plus(common.options.timing.election_timeout_us());
                self.patient_until = self.patient_until.max(patient_until);
                self.prepare(common, now, out);
            }
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
        let timing = common.options.timing;
        let is_over = now.since(self.began_at) >= PATIENCE * timing.election_timeout_us();
        if now >= self.patient_until || is_over {
            if self.asked().is_some() {
                common.failures += 1;
                return Some(Stance::Follow(Follow::back_off(common, now)));
            }
            return Some(Stance::Campaign(Campaign::poll(common, now, out)));
        }
        match &mut self.phase {
            Phase::Poll { attempt, consents, sent_at } => {
                if now.since(*sent_at) >= timing.heartbeat_us() {
                    *sent_at = now;
                    let poll = AcceptorMsg::Poll { attempt: *attempt };
                    common.send_acceptors(*consents, &poll, out);
                }
            }
            Phase::Prepare { .. } => self.prepare(common, now, out),
        }
        None
    }

    /// Asks each acceptor for the first part of its promise that is missing: at once when the part
    /// before it is there, again when nothing came of that, and less often each time, since a part
    /// may be large and its way slow.
    fn prepare(&mut self, common: &Common, now: Now, out: &mut Output<NoRecord>) {
        let Phase::Prepare { ballot, promises, asked } = &mut self.phase else { return };
        let heartbeat = common.options.timing.heartbeat_us();
        for (i, member) in common.acceptors().iter().enumerate() {
            let bit = 1 << i;
            if promises.complete() & bit != 0 {
                continue;
            }
            let from = promises.wants(bit);
            let times = match asked.get(&bit).filter(|asked| asked.from == from) {
                Some(Asked { at, times, .. }) if now.since(*at) < heartbeat << times => continue,
                Some(Asked { times, .. }) => (times + 1).min(4),
                None => 0,
            };
            asked.insert(bit, Asked { from, at: now, times });
            out.send(member.node, AcceptorMsg::Prepare { ballot: *ballot, from });
        }
    }
}
