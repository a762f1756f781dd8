//! The kinds of faults.

use serde::Serialize;
use std::fmt;

/// A kind of fault. [`Kind::PROCESSES`] and [`Kind::ACTORS`] say what can be made where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One node is killed.
    KillOne,
    /// The node that leads is killed.
    KillLeader,
    /// A majority is killed at once.
    KillMajority,
    /// All nodes are killed at once.
    KillAll,
    /// One node after the other is stopped in order and started again.
    Rolling,
    /// One node stands still, as under SIGSTOP.
    PauseOne,
    /// The node that leads stands still.
    PauseLeader,
    /// A minority and the others do not hear each other.
    Halves,
    /// One node is cut off.
    IsolateOne,
    /// The node that leads is cut off.
    IsolateLeader,
    /// Two halves, and one node that hears both.
    Bridge,
    /// One node is heard, and hears nobody; or the other way round.
    OneWay,
    /// Each node hears a majority, and no two the same.
    MajorityRing,
    /// All links take long.
    SlowLinks,
    /// All links of one node pass few bytes a second.
    Throttle,
    /// Connections are accepted, and nothing passes on them.
    Stall,
    /// All connections between nodes are reset.
    CutLinks,
    /// All connections of clients are reset.
    CutClients,
    /// There is no room on the disk of one node.
    FullDisk,
    /// The disk of one node fails to sync.
    FailedSync,
    /// Mail is lost, comes twice, and comes in another order.
    LossyLinks,
    /// A role is started anew from its log, in place.
    RestartRole,
    /// One node gets more mail than its mailboxes hold.
    FullMailboxes,
    /// One actor takes long for each thing that it does.
    SlowActor,
}

/// What a fault has to do with; two of different classes may strike at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nodes and actors.
    Nodes,
    /// Links.
    Links,
    /// Disks; never with another.
    Disks,
}

impl Kind {
    /// What can be done to processes.
    pub const PROCESSES: &[Kind] = &[
        Kind::KillOne,
        Kind::KillLeader,
        Kind::KillMajority,
        Kind::KillAll,
        Kind::Rolling,
        Kind::PauseOne,
        Kind::PauseLeader,
        Kind::Halves,
        Kind::IsolateOne,
        Kind::IsolateLeader,
        Kind::Bridge,
        Kind::OneWay,
        Kind::MajorityRing,
        Kind::SlowLinks,
        Kind::Throttle,
        Kind::Stall,
        Kind::CutLinks,
        Kind::CutClients,
        Kind::FullDisk,
        Kind::FailedSync,
    ];

    /// What can be done to actors.
    pub const ACTORS: &[Kind] = &[
        Kind::KillOne,
        Kind::KillLeader,
        Kind::KillMajority,
        Kind::KillAll,
        Kind::Halves,
        Kind::IsolateOne,
        Kind::IsolateLeader,
        Kind::Bridge,
        Kind::OneWay,
        Kind::MajorityRing,
        Kind::SlowLinks,
        Kind::LossyLinks,
        Kind::RestartRole,
        Kind::FullMailboxes,
        Kind::SlowActor,
        Kind::FullDisk,
        Kind::FailedSync,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::KillOne => "kill-one",
            Kind::KillLeader => "kill-leader",
            Kind::KillMajority => "kill-majority",
            Kind::KillAll => "kill-all",
            Kind::Rolling => "rolling",
            Kind::PauseOne => "pause-one",
            Kind::PauseLeader => "pause-leader",
            Kind::Halves => "halves",
            Kind::IsolateOne => "isolate-one",
            Kind::IsolateLeader => "isolate-leader",
            Kind::Bridge => "bridge",
            Kind::OneWay => "one-way",
            Kind::MajorityRing => "majority-ring",
            Kind::SlowLinks => "slow-links",
            Kind::Throttle => "throttle",
            Kind::Stall => "stall",
            Kind::CutLinks => "cut-links",
            Kind::CutClients => "cut-clients",
            Kind::FullDisk => "full-disk",
            Kind::FailedSync => "failed-sync",
            Kind::LossyLinks => "lossy-links",
            Kind::RestartRole => "restart-role",
            Kind::FullMailboxes => "full-mailboxes",
            Kind::SlowActor => "slow-actor",
        }
    }

    /// What it has to do with.
    pub fn class(self) -> Class {
        match self {
            Kind::KillOne
            | Kind::KillLeader
            | Kind::KillMajority
            | Kind::KillAll
            | Kind::Rolling
            | Kind::PauseOne
            | Kind::PauseLeader
            | Kind::RestartRole
            | Kind::FullMailboxes
            | Kind::SlowActor => Class::Nodes,
            Kind::FullDisk | Kind::FailedSync => Class::Disks,
            _ => Class::Links,
        }
    }

    /// Whether it strikes the node that leads, and nothing where there is none.
    pub fn is_of_leader(self) -> bool {
        matches!(self, Kind::KillLeader | Kind::PauseLeader | Kind::IsolateLeader)
    }

    /// Nodes that a cluster needs for it to be what its name says.
    pub fn nodes_min(self) -> usize {
        match self {
            Kind::MajorityRing => 5,
            _ => 3,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
