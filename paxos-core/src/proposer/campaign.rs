//! Campaigning: ask whether a campaign is welcome (R9), then phase 1.

use super::Stance;
use super::common::Common;
use super::follow::Follow;
use super::lead::Lead;
use super::poll::Poll;
use super::promises::Promises;
use crate::ballot::Ballot;
use crate::config::{Configuration, Now};
use crate::message::{AcceptorMsg, PromisePart};
use crate::quorum::AcceptorSet;
use crate::role::{NoRecord, Output};
use crate::slot::Slot;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

/// A campaign lasts at most so many election timeouts, however many parts of promises come.
const PATIENCE: u64 = 20;

/// How often in a row a candidate lets others lead because its learner could not follow.
const YIELDS_MAX: u32 = 3;

#[derive(Debug)]
pub(super) struct Campaign {
    pub(super) configuration: Arc<Configuration>,
    phase: Phase,
    began_at: Now,
    patient_until: Now,
}

#[derive(Debug)]
enum Phase {
    /// No ballot is used yet.
    Poll(Poll),
    /// Phase 1 of this ballot; each acceptor is asked for one part of its promise at a time.
    Prepare {
        ballot: Ballot,
        promises: Promises,
        asked: BTreeMap<AcceptorSet, Asked>,
        forgetful: Forgetful,
    },
}

/// Acceptors that have promised, and forgotten what the learner here has not applied.
#[derive(Clone, Copy, Debug, Default)]
struct Forgetful {
    who: AcceptorSet,
    /// They have forgotten the slots below.
    trimmed: Slot,
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
    pub(super) fn poll(
        configuration: Arc<Configuration>,
        common: &mut Common,
        now: Now,
        out: &mut Output<NoRecord>,
    ) -> Campaign {
        let phase = Phase::Poll(Poll::ask(&configuration, common, now, out));
        let patient_until = now.plus(common.election_timeout());
        Campaign { configuration, phase, began_at: now, patient_until }
    }

    /// Begins with the consent of a phase-1 quorum, in a ballot above all that they have promised.
    pub(super) fn prepare(
        configuration: Arc<Configuration>,
        common: &mut Common,
        now: Now,
        out: &mut Output<NoRecord>,
    ) -> Campaign {
        let ballot = common.next_ballot();
        common.see(ballot);
        common.campaigns += 1;
        let (promises, asked, forgetful) = Default::default();
        let phase = Phase::Prepare { ballot, promises, asked, forgetful };
        let patient_until = now.plus(common.election_timeout());
        let mut campaign = Campaign { configuration, phase, began_at: now, patient_until };
        campaign.ask(common, now, out);
        campaign
    }

    /// The ballot that promises were asked for.
    pub(super) fn asked(&self) -> Option<Ballot> {
        match self.phase {
            Phase::Poll(_) => None,
            Phase::Prepare { ballot, .. } => Some(ballot),
        }
    }

    /// An acceptor consents. When a phase-1 quorum has, the campaign itself begins.
    pub(super) fn polled(
        &mut self,
        common: &mut Common,
        now: Now,
        bit: AcceptorSet,
        attempt: u64,
        out: &mut Output<NoRecord>,
    ) -> Option<Stance> {
        let Phase::Poll(poll) = &mut self.phase else { return None };
        if !poll.consents(&self.configuration, bit, attempt) {
            return None;
        }
        let configuration = Arc::clone(&self.configuration);
        Some(Stance::Campaign(Campaign::prepare(configuration, common, now, out)))
    }

    /// A part of a promise. When a phase-1 quorum has promised, this proposer leads.
    pub(super) fn promised(
        &mut self,
        common: &mut Common,
        now: Now,
        bit: AcceptorSet,
        ballot: Ballot,
        part: PromisePart,
        out: &mut Output<NoRecord>,
    ) -> Option<Stance> {
        let Phase::Prepare { ballot: mine, promises, forgetful, .. } = &mut self.phase else {
            return None;
        };
        if ballot != *mine && !planted!(StalePromise) {
            return None;
        }
        // R6: what was trimmed can only come to the learner as a snapshot. A quorum without this
        // acceptor may have all of it.
        if part.trimmed > common.applied_below && part.trimmed <= Slot::MAX {
            forgetful.who |= bit;
            forgetful.trimmed = forgetful.trimmed.max(part.trimmed);
            return self.yields(common, now);
        }
        let is_news = promises.add(bit, part);
        let others = if planted!(ForgetfulCounted) { forgetful.who } else { 0 };
        if !self.configuration.quorums.phase1(promises.complete() | others) {
            if is_news {
                let patient_until = now.plus(common.options.timing.election_timeout_us());
                self.patient_until = self.patient_until.max(patient_until);
                self.ask(common, now, out);
            }
            return self.yields(common, now);
        }
        let adopted = core::mem::take(promises).adopt();
        let configuration = Arc::clone(&self.configuration);
        // A leader proposes nothing before its learner comes near (R20), and all writes wait for
        // it. After a restart of all, everybody is behind: then one must lead nevertheless.
        let near = Slot(adopted.chosen_below.0.saturating_sub(configuration.window));
        if near > common.applied_below && common.yields < YIELDS_MAX {
            common.yields += 1;
            return Some(Stance::Follow(Follow::behind(configuration, common, now, near)));
        }
        (common.failures, common.yields) = (0, 0);
        Some(Stance::Lead(Box::new(Lead::begin(configuration, common, now, ballot, adopted, out))))
    }

    /// A quorum has promised, but with one that has forgotten what the learner needs: lets another
    /// lead. When that came to nothing, waits for a quorum without it.
    fn yields(&self, common: &mut Common, now: Now) -> Option<Stance> {
        let Phase::Prepare { promises, forgetful, .. } = &self.phase else { return None };
        let have = promises.complete() | forgetful.who;
        if common.yields >= YIELDS_MAX || !self.configuration.quorums.phase1(have) {
            return None;
        }
        common.yields += 1;
        let (configuration, slot) = (Arc::clone(&self.configuration), forgetful.trimmed);
        Some(Stance::Follow(Follow::behind(configuration, common, now, slot)))
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
            let configuration = Arc::clone(&self.configuration);
            return Some(match self.phase {
                Phase::Poll(_) => Stance::Campaign(Campaign::poll(configuration, common, now, out)),
                Phase::Prepare { forgetful: Forgetful { who: 0, .. }, .. } => {
                    Stance::Follow(Follow::back_off(configuration, common, now))
                }
                Phase::Prepare { forgetful, .. } => {
                    Stance::Follow(Follow::behind(configuration, common, now, forgetful.trimmed))
                }
            });
        }
        match &mut self.phase {
            Phase::Poll(poll) => poll.tick(&self.configuration, common, now, out),
            Phase::Prepare { .. } => self.ask(common, now, out),
        }
        None
    }

    /// Asks each acceptor for the first part of its promise that is missing: at once when the part
    /// before it is there, again when nothing came of that, and less often each time, since a part
    /// may be large and its way slow.
    fn ask(&mut self, common: &Common, now: Now, out: &mut Output<NoRecord>) {
        let Phase::Prepare { ballot, promises, asked, forgetful } = &mut self.phase else { return };
        let heartbeat = common.options.timing.heartbeat_us();
        for (i, member) in self.configuration.acceptors.iter().enumerate() {
            let bit = 1 << i;
            if (promises.complete() | forgetful.who) & bit != 0 {
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
