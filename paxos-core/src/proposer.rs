//! The proposer: orders commands, and leads when it must.

use crate::ballot::{Ballot, MemberId, NodeId};
use crate::config::{Layout, Limits, Now, Timing};
use crate::message::ProposerMsg;
use crate::role::{NoRecord, Output, Role};
use crate::slot::Slot;

/// What a proposer is made with.
#[derive(Clone, Debug)]
pub struct ProposerOptions {
    /// Itself.
    pub me: MemberId,
    /// Random at each process start: a part of every ballot.
    pub life: u64,
    /// Spreads its timeouts.
    pub seed: u64,
    /// The node of the learner that it is paired with; its own where it has one.
    pub learner: NodeId,
    /// The first members, as every one of them was told.
    pub layout: Layout,
    /// How long to wait.
    pub timing: Timing,
    /// How much to hold.
    pub limits: Limits,
}

/// What a proposer tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposerStatus {
    /// `follow`, `campaign` or `lead`.
    pub stance: &'static str,
    /// The ballot that it follows, campaigns with or leads.
    pub ballot: Ballot,
    /// The node of the leader, where it knows one.
    pub leader: Option<NodeId>,
    /// As leader: every slot below is chosen.
    pub chosen_below: Slot,
    /// How often it sent `Prepare` with a new ballot.
    pub campaigns: u64,
}

/// The proposer.
#[derive(Debug)]
pub struct Proposer {
    options: ProposerOptions,
}

impl Proposer {
    /// A proposer that follows nobody yet.
    pub fn new(options: ProposerOptions) -> Proposer {
        Proposer { options }
    }

    /// What it tells about itself.
    pub fn status(&self) -> ProposerStatus {
        ProposerStatus {
            stance: "follow",
            ballot: Ballot::ZERO,
            leader: None,
            chosen_below: Slot::ZERO,
            campaigns: 0,
        }
    }

    /// Itself.
    pub fn me(&self) -> MemberId {
        self.options.me
    }
}

impl Role for Proposer {
    type Msg = ProposerMsg;
    type Record = NoRecord;

    fn receive(&mut self, _: Now, _: MemberId, _: ProposerMsg, _: &mut Output<NoRecord>) {}

    fn tick(&mut self, _: Now, _: &mut Output<NoRecord>) {}

    fn replay(&mut self, record: NoRecord) {
        match record {}
    }
}
