//! Chosen entries that come late or not at all, and who feeds the learner.

use super::Learner;
use crate::ballot::{MemberId, NodeId};
use crate::config::Now;
use crate::layout::Feed;
use crate::message::{AcceptorMsg, Entries, RoleName};
use crate::role::Output;
use crate::slot::Slot;
use crate::snapshot::SnapshotPiece;
use crate::state::StateMachine;

impl<S: StateMachine> Learner<S> {
    /// Applies entries that an acceptor holds as chosen.
    pub(super) fn fetched(
        &mut self,
        now: Now,
        from: MemberId,
        fetched: Entries,
        out: &mut Output<SnapshotPiece>,
    ) {
        self.unanswered = 0;
        if fetched.from > self.applied_below || fetched.chosen_below > Slot::MAX {
            return;
        }
        let before = self.applied_below;
        let skip = before.since(fetched.from) as usize;
        for entry in fetched.entries.into_iter().skip(skip) {
            let bytes = entry.weight();
            self.apply(entry, bytes, out);
        }
        while let Some((entry, bytes)) = self.backlog.take(self.applied_below) {
            self.apply(entry, bytes, out);
        }
        self.backlog.hear_of(fetched.chosen_below);
        self.moved(now, before, out);
        if self.applied_below > before {
            self.tell_progress(now, out);
        }
        if fetched.trimmed > self.applied_below && fetched.trimmed <= Slot::MAX {
            self.need_snapshot(from.node, fetched.trimmed);
        }
        if before < self.applied_below && self.applied_below < fetched.chosen_below {
            self.ask(from.node, out);
        }
    }

    /// Fetches what is missing: from the acceptor that feeds this learner, or, where that one is
    /// silent, from another. An answer may be large and its way slow, so that each question waits
    /// longer than the one before.
    pub(super) fn fetch(&mut self, now: Now, out: &mut Output<SnapshotPiece>) {
        let behind = self.backlog.chosen_below() > self.applied_below || self.fetches == 0;
        let timing = self.options.timing;
        let patience = match behind {
            true => timing.heartbeat_us() << self.unanswered.saturating_sub(1),
            false => timing.election_timeout_us(),
        };
        if self.fetches > 0 && now.since(self.moved_at) < patience {
            return;
        }
        let acceptors = &self.options.layout.acceptors;
        let feeder = self.feeder();
        // The feeder, then another, then the feeder again: it is the nearest.
        let other = acceptors[(self.fetches / 2) % acceptors.len()];
        let node = if self.fetches.is_multiple_of(2) { feeder.unwrap_or(other) } else { other };
        self.fetches += 1;
        self.unanswered = (self.unanswered + u32::from(behind)).min(4);
        self.moved_at = now;
        self.ask(node, out);
    }

    /// The acceptor that the layout has feed this learner.
    fn feeder(&self) -> Option<NodeId> {
        let mine = |feed: &&Feed| feed.learner == self.options.me.node;
        self.options.layout.learners.iter().find(mine).map(|feed| feed.acceptor)
    }

    fn ask(&self, node: NodeId, out: &mut Output<SnapshotPiece>) {
        out.send(node, AcceptorMsg::Fetch { from: self.applied_below, role: RoleName::Learner });
    }

    /// Votes come from the acceptor at `node`.
    #[inline]
    pub(super) fn fed(&mut self, now: Now, node: NodeId) {
        if self.feeder() == Some(node) {
            self.fed_at = now;
            self.stand_in = None;
        } else if now.since(self.fed_at) >= self.options.timing.election_timeout_us() {
            self.stand_in = Some(node);
        }
    }

    /// An acceptor feeds a learner that is not its own for a while after each `Fetch`: one that
    /// stands in for a silent one goes on for as long as it is asked.
    pub(super) fn stay_fed(&self, out: &mut Output<SnapshotPiece>) {
        if let Some(node) = self.stand_in {
            self.ask(node, out);
        }
    }
}
