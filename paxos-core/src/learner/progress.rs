//! How far a learner has come, as its proposer must know.

use super::Learner;
use crate::config::Now;
use crate::message::ProposerMsg;
use crate::role::Output;
use crate::snapshot::SnapshotPiece;
use crate::state::StateMachine;

/// A leader hears at once when no more than one in so many slots of its window is left to it.
const WINDOW_LEFT: u64 = 4;

impl<S: StateMachine> Learner<S> {
    /// A leader must know how far it may go (R20) before it has gone so far; the votes tell how far
    /// it has, but between nodes they are told too late. Otherwise it hears as often as there are
    /// heartbeats, as a proposer that follows does: less than is applied is never too much.
    #[inline]
    pub(super) fn owes_progress(&self) -> bool {
        let window = self.configuration.as_ref().map_or(0, |c| c.window);
        let used = self.backlog.fed_below().max(self.applied_below).since(self.told_below);
        let proposer = self.options.proposer;
        let is_due = proposer != self.options.me.node || used >= window - window / WINDOW_LEFT;
        self.leader == Some(proposer) && self.applied_below > self.told_below && is_due
    }

    /// Tells the proposer how far it may go.
    pub(super) fn tell_progress(&mut self, now: Now, out: &mut Output<SnapshotPiece>) {
        (self.told_at, self.told_below) = (Some(now), self.applied_below);
        let (life, applied_below) = (self.options.life, self.applied_below);
        let (log_time_ms, expiry_ms) = (self.log_time_ms, self.sessions.next_expiry_ms());
        out.post(self.options.proposer, || ProposerMsg::Progress {
            life,
            applied_below,
            log_time_ms,
            expiry_ms,
        });
    }
}
