//! How large a cluster, and how much may happen in it.

use super::facts::Finding;
use paxos_core::*;
use std::fmt;

/// A cluster and what may happen in it. Within these bounds, everything that can happen does.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub name: &'static str,
    pub proposers: u64,
    pub acceptors: u64,
    pub learners: u64,
    /// Slots that may be proposed: the window of leaders, since their learner applies nothing.
    pub slots: u64,
    /// Commands that come to the first proposer before each of its campaigns; to the others, one.
    pub commands: u64,
    /// Campaigns of all proposers, and of one.
    pub campaigns: u64,
    pub campaigns_each: u64,
    /// So many acceptors, from the first on, crash once. Which they are makes no difference, since
    /// all acceptors are alike. Until it has crashed, such an acceptor's records become durable at
    /// any time later; those of the others at once, since to be late is the same as slow mail.
    pub crashes: u64,
    /// Restarts of all proposers.
    pub restarts: u64,
    /// Heartbeats of each leader but the first.
    pub beats: u64,
    /// How often each acceptor and learner asks for what it misses.
    pub fetches: u64,
    /// Whether a proposer hears letters one at a time, or two at once where nobody could see what
    /// it makes of the first alone.
    pub is_stepwise: bool,
    /// Messages that the network carries. All others are lost.
    pub carried: &'static [Kind],
    /// What must be seen in some state, or the search has shown little.
    pub sees: &'static [Finding],
}

/// What phases 1 and 2 need. The rest is for progress.
const PHASES: &[Kind] = &[Kind::Prepare, Kind::Promise, Kind::Accept, Kind::Accepted];

/// And what a learner needs.
const TO_LEARNERS: &[Kind] =
    &[Kind::Prepare, Kind::Promise, Kind::Accept, Kind::Accepted, Kind::Voted, Kind::Chosen];

/// And what acceptors need to hear of what is chosen, and to give it to each other.
const OF_CHOSEN: &[Kind] = &[
    Kind::Prepare,
    Kind::Promise,
    Kind::Accept,
    Kind::Accepted,
    Kind::Heartbeat,
    Kind::Fetch,
    Kind::Entries,
];

/// One slot, two proposers that campaign once each, and nobody crashes.
const BASE: Bounds = Bounds {
    name: "base",
    proposers: 2,
    acceptors: 3,
    learners: 0,
    slots: 1,
    commands: 1,
    campaigns: 2,
    campaigns_each: 1,
    crashes: 0,
    restarts: 0,
    beats: 0,
    fetches: 0,
    is_stepwise: false,
    carried: PHASES,
    sees: &[],
};

use Finding::*;

pub const ONE_DECREE: Bounds = Bounds {
    name: "one decree",
    proposers: 3,
    campaigns: 3,
    sees: &[Chosen, ChosenTwice, TwoLead, EachLed, ProposedAgain],
    ..BASE
};

pub const ONE_DECREE_CRASHES: Bounds = Bounds {
    name: "one decree, crashes",
    crashes: 1,
    restarts: 1,
    campaigns_each: 2,
    sees: &[Chosen, ChosenTwice, TwoLead, EachLed, ProposedAgain, Forgot],
    ..BASE
};

pub const TWO_SLOTS: Bounds = Bounds {
    name: "two slots",
    slots: 2,
    commands: 2,
    sees: &[AllChosen, ChosenTwice, TwoLead, EachLed, ProposedAgain, HoleFilled],
    ..BASE
};

pub const TWO_SLOTS_A_CRASH: Bounds = Bounds {
    name: "two slots, a crash",
    slots: 2,
    crashes: 1,
    sees: &[AllChosen, ChosenTwice, TwoLead, EachLed, ProposedAgain, Forgot],
    ..BASE
};

pub const LEARNERS: Bounds = Bounds {
    name: "two slots, a learner",
    learners: 1,
    slots: 2,
    carried: TO_LEARNERS,
    sees: &[AllChosen, ChosenTwice, EachLed, ProposedAgain, Applied],
    ..BASE
};

pub const HEARTBEATS: Bounds = Bounds {
    name: "heartbeats and fetching",
    beats: 1,
    fetches: 1,
    carried: OF_CHOSEN,
    sees: &[AllChosen, EachLed, ProposedAgain, Learned],
    ..BASE
};

/// Without the shortcut that the other bounds take.
pub const STEPWISE: Bounds = Bounds {
    name: "one decree, letters one at a time",
    is_stepwise: true,
    sees: &[Chosen, ChosenTwice, TwoLead, EachLed, ProposedAgain],
    ..BASE
};

/// For a campaign.
pub const LARGE: [Bounds; 6] = [
    Bounds { name: "one decree, three campaigns, letters one at a time", ..STEPWISE_OF_THREE },
    Bounds { name: "two slots, heartbeats and fetching", slots: 2, ..HEARTBEATS },
    Bounds { name: "one decree, two crashes, three campaigns", ..TWO_CRASHES },
    Bounds { name: "two slots, two commands, a crash", commands: 2, ..TWO_SLOTS_A_CRASH },
    Bounds { name: "one decree, four campaigns", campaigns: 4, campaigns_each: 2, ..ONE_DECREE },
    Bounds { name: "two slots, three campaigns", campaigns: 3, campaigns_each: 2, ..TWO_SLOTS },
];

const STEPWISE_OF_THREE: Bounds = Bounds { is_stepwise: true, ..ONE_DECREE };

const TWO_CRASHES: Bounds = Bounds { crashes: 2, campaigns: 3, ..ONE_DECREE_CRASHES };

impl Bounds {
    /// Acceptors come first, then proposers, then learners; no node has two roles, so that whatever
    /// one role knows of another came by mail.
    pub fn layout(&self) -> Layout {
        let nodes = |from: u64, count: u64| (from..from + count).map(NodeId);
        let learners = nodes(1 + self.acceptors + self.proposers, self.learners);
        let feed = |(learner, acceptor)| Feed { learner, acceptor };
        Layout {
            acceptors: nodes(1, self.acceptors).collect(),
            proposers: nodes(1 + self.acceptors, self.proposers).collect(),
            learners: learners.zip(nodes(1, self.acceptors)).map(feed).collect(),
            quorums: Quorums::majority(self.acceptors as usize).unwrap(),
            window: self.slots,
            sessions: SessionRules::default(),
        }
    }

    /// A command goes alone in its entry: so more than one slot is used.
    pub fn limits(&self) -> Limits {
        Limits { entry_bytes_max: 1, ..Limits::default() }
    }

    pub fn member(&self, node: NodeId) -> MemberId {
        MemberId { node, incarnation: Incarnation(100 + node.0) }
    }

    pub fn roster(&self) -> Configuration {
        self.layout().roster(|node| Some(self.member(node).incarnation)).unwrap()
    }

    pub fn nodes(&self) -> u64 {
        self.acceptors + self.proposers + self.learners
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { proposers, acceptors, learners, slots, campaigns, campaigns_each, .. } = self;
        let Bounds { commands, crashes, restarts, beats, fetches, is_stepwise, .. } = self;
        write!(
            f,
            "{proposers} proposers, {acceptors} acceptors, {learners} learners, {slots} slots, \
             {campaigns} campaigns ({campaigns_each} each), {commands} commands for the first, \
             {crashes} crashes, {restarts} restarts, {beats} heartbeats each, {fetches} fetches \
             each, letters one at a time: {is_stepwise}"
        )
    }
}
