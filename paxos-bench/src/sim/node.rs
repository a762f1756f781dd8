//! A machine of the simulation, and the process that runs on it.

use super::disk::SimDisk;
use super::storage::{LogThread, SnapshotThread};
use super::witness::Watched;
use paxos_core::*;

/// A machine: its disks outlive its processes.
pub(super) struct Node {
    pub me: MemberId,
    pub log_disk: SimDisk,
    pub snapshot_disk: SimDisk,
    /// A hundred times as slow as others.
    pub is_slow: bool,
    /// Loses power when its disk is next at work.
    pub crashes_in_write: bool,
    /// How many processes there were.
    pub boot: u64,
    /// The clock is this much ahead, in microseconds, and runs this fast, in 1/1000.
    pub clock_ahead: u64,
    pub clock_rate: u64,
    pub clock_since: u64,
    pub paused_until: u64,
    /// What was durable in its log was spoilt.
    pub is_spoilt: bool,
    /// A snapshot of it was spoilt.
    pub is_rotten: bool,
    /// Down for ever: it has found its log damaged.
    pub is_halted: bool,
    /// Stays down until the end, or for ever.
    pub is_down: bool,
    pub process: Option<Process>,
    /// The snapshot that it last called durable.
    pub snapshot_below: Slot,
    /// Records that are known to be durable.
    pub durable: u64,
}

/// The roles that the layout gives a node, and its threads.
pub(super) struct Process {
    pub acceptor: Option<Voter>,
    pub proposer: Option<Proposer>,
    pub learner: Option<Replica>,
    pub turn: Turn,
}

/// What the steps of a node's roles have asked for since the last flush. A crash forgets it.
#[derive(Default)]
pub(super) struct Turn {
    pub is_open: bool,
    /// When it began.
    pub now: Option<Now>,
    pub voted: Output<Record>,
    pub proposed: Output<NoRecord>,
    pub learned: Output<SnapshotPiece>,
}

/// An acceptor, its log, and what holds its mail back.
pub(super) struct Voter {
    pub acceptor: Acceptor,
    pub gate: Gate,
    pub log: LogThread,
    pub promised: Ballot,
}

/// A learner around the key-value store, and its snapshots.
pub(super) struct Replica {
    pub learner: Learner<Watched>,
    pub snapshots: SnapshotThread,
}

impl Node {
    pub fn new(node: NodeId) -> Node {
        Node {
            me: MemberId { node, incarnation: Incarnation(node.0 * 7) },
            log_disk: SimDisk::default(),
            snapshot_disk: SimDisk::default(),
            is_slow: false,
            crashes_in_write: false,
            boot: 0,
            clock_ahead: 0,
            clock_rate: 1000,
            clock_since: 0,
            paused_until: 0,
            is_spoilt: false,
            is_rotten: false,
            is_halted: false,
            is_down: false,
            process: None,
            snapshot_below: Slot::ZERO,
            durable: 0,
        }
    }

    /// The node's own time at a moment of true time. It never goes back.
    pub fn clock(&self, now: u64) -> Now {
        Now(self.clock_ahead + (now - self.clock_since) * self.clock_rate / 1000)
    }

    /// From now on the clock runs at another rate, and is so much further ahead.
    pub fn set_clock(&mut self, now: u64, rate: u64, jump: u64) {
        self.clock_ahead = self.clock(now).0 + jump;
        (self.clock_since, self.clock_rate) = (now, rate);
    }

    /// Disks do what they are asked, in time, and have room and power.
    pub fn heal_disks(&mut self) {
        self.log_disk.heal();
        self.snapshot_disk.heal();
        self.is_slow = false;
        self.crashes_in_write = false;
    }

    /// The acceptor of the process that has this number, if it is the present one.
    pub fn voter(&mut self, boot: u64) -> Option<&mut Voter> {
        self.process.as_mut().filter(|_| boot == self.boot)?.acceptor.as_mut()
    }

    /// The learner of the process that has this number, if it is the present one.
    pub fn replica(&mut self, boot: u64) -> Option<&mut Replica> {
        self.process.as_mut().filter(|_| boot == self.boot)?.learner.as_mut()
    }

    /// Disks that failed once do not fail again.
    pub fn end_failures(&self) {
        self.log_disk.end_failures();
        self.snapshot_disk.end_failures();
    }

    pub fn acceptor(&self) -> Option<&Acceptor> {
        Some(&self.process.as_ref()?.acceptor.as_ref()?.acceptor)
    }

    pub fn proposer(&self) -> Option<&Proposer> {
        self.process.as_ref()?.proposer.as_ref()
    }

    pub fn learner(&self) -> Option<&Learner<Watched>> {
        Some(&self.process.as_ref()?.learner.as_ref()?.learner)
    }

    pub fn leads(&self) -> bool {
        self.proposer().is_some_and(|proposer| proposer.status().stance == StanceName::Lead)
    }
}
