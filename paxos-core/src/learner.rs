//! The learner: applies what was chosen, in order.

use crate::ballot::{MemberId, NodeId};
use crate::config::{Layout, Limits, Now, Timing};
use crate::message::LearnerMsg;
use crate::role::{NoRecord, Output, Role};
use crate::slot::Slot;
use crate::state::StateMachine;

/// What a learner is made with.
#[derive(Clone, Debug)]
pub struct LearnerOptions {
    /// Itself.
    pub me: MemberId,
    /// The node of the proposer that it is paired with; its own where it has one.
    pub proposer: NodeId,
    /// The first members, as every one of them was told.
    pub layout: Layout,
    /// How long to wait.
    pub timing: Timing,
    /// How much to hold.
    pub limits: Limits,
}

/// What a learner tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnerStatus {
    /// Every slot below is applied.
    pub applied_below: Slot,
    /// Every slot below is known to be chosen.
    pub chosen_below: Slot,
    /// Log time at the last slot applied.
    pub log_time_ms: u64,
    /// Digest of sessions and state at `applied_below`.
    pub digest: u64,
    /// Sessions open.
    pub sessions: u64,
}

/// The learner, around the state that it replicates.
#[derive(Debug)]
pub struct Learner<S> {
    options: LearnerOptions,
    state: S,
}

impl<S: StateMachine> Learner<S> {
    /// A learner that has applied nothing to `state` yet.
    pub fn new(options: LearnerOptions, state: S) -> Learner<S> {
        Learner { options, state }
    }

    /// What it tells about itself.
    pub fn status(&self) -> LearnerStatus {
        LearnerStatus {
            applied_below: Slot::ZERO,
            chosen_below: Slot::ZERO,
            log_time_ms: 0,
            digest: 0,
            sessions: 0,
        }
    }

    /// The replicated state.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Itself.
    pub fn me(&self) -> MemberId {
        self.options.me
    }
}

impl<S: StateMachine> Role for Learner<S> {
    type Msg = LearnerMsg;
    type Record = NoRecord;

    fn receive(&mut self, _: Now, _: MemberId, _: LearnerMsg, _: &mut Output<NoRecord>) {}

    fn tick(&mut self, _: Now, _: &mut Output<NoRecord>) {}

    fn replay(&mut self, record: NoRecord) {
        match record {}
    }
}
