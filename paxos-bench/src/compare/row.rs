//! What a row of the comparison is: some work, another store, and what is to be reached.

use super::figure::Figure;
use crate::load::{Drive, Load};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// Keys of the rows' loads, unless they say otherwise.
pub(crate) const KEYS: u64 = 10_000;

/// Bytes of each value, unless a load says otherwise.
pub(crate) const VALUE_BYTES: usize = 256;

/// The same work for this store and for another.
#[derive(Clone, Debug)]
pub struct Row {
    /// How it is called.
    pub name: Cow<'static, str>,
    /// The other store.
    pub peer: PeerName,
    /// What is done.
    pub work: Work,
    /// What is looked at, and what it is to be.
    pub targets: &'static [Target],
}

/// Another store that this program knows how to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PeerName {
    /// Three servers of etcd.
    Etcd,
    /// One server of Redis, which is not replicated and syncs before it answers.
    Redis,
    /// openraft in one process and in memory.
    Openraft,
    /// The bare core of omnipaxos.
    Omnipaxos,
    /// The bare core of raft-rs.
    RaftRs,
}

impl PeerName {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            PeerName::Etcd => "etcd",
            PeerName::Redis => "redis",
            PeerName::Openraft => "openraft",
            PeerName::Omnipaxos => "omnipaxos",
            PeerName::RaftRs => "raft-rs",
        }
    }
}

/// What is done, and measured.
#[derive(Clone, Debug)]
pub enum Work {
    /// Clients in a closed loop, on values of 256 bytes.
    Closed {
        /// How many requests are open at a time.
        clients: usize,
        /// Of a hundred requests, so many are writes.
        writes_percent: u8,
        /// Connections of this store's clients.
        sockets: Sockets,
    },
    /// A million keys; then all servers are killed and started again.
    MillionKeys,
    /// Writes at a steady rate while leaders are killed, one after the other.
    Failover,
    /// Three nodes in one process and in memory, under writes in a closed loop.
    Actors {
        /// How many writes are open at a time.
        clients: usize,
        /// Whether clients have a thread of their own.
        own_thread: bool,
        /// Threads that nodes run on.
        threads: Threads,
    },
    /// The rules of three nodes in one loop, in memory.
    Core {
        /// Messages are handed over after so many entries.
        every: u64,
    },
    /// A load that someone wants to see.
    Custom(Load),
}

/// With how many threads each side is fastest.
#[derive(Clone, Copy, Debug)]
pub struct Threads {
    /// Those of our nodes.
    pub ours: u8,
    /// Those of the peer's nodes.
    pub theirs: u8,
}

/// How many connections this store's clients have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sockets {
    /// A few, for all of them.
    Shared,
    /// One for each client.
    Each,
}

impl Work {
    /// The load that it is, and how it is connected, where it is one.
    pub(super) fn load(&self, duration: Duration) -> Option<(Load, Sockets)> {
        Some(match *self {
            Work::Closed { clients, writes_percent, sockets } => {
                let drive = Drive::Closed { clients };
                let (value_bytes, keys) = (VALUE_BYTES, KEYS);
                (Load { drive, writes_percent, value_bytes, keys, duration }, sockets)
            }
            Work::Custom(ref load) => (load.clone(), Sockets::Shared),
            _ => return None,
        })
    }

    /// Clients whose writes the bare loop can do as well, if the work is that.
    pub(super) fn writers(&self) -> Option<usize> {
        match *self {
            Work::Closed { clients, writes_percent: 100, sockets: Sockets::Shared } => {
                Some(clients)
            }
            _ => None,
        }
    }
}

/// A figure, what it is set against, and how many times as good it must be and should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Target {
    /// What is looked at.
    pub figure: Figure,
    /// What it is set against.
    pub against: Against,
    /// ★: the least ratio.
    pub must: Option<f64>,
    /// The ratio to aim at.
    pub goal: Option<f64>,
}

/// What a figure is set against.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The other store's.
    Peer,
    /// The bare loop's, at as many clients.
    BareLoop,
    /// So much.
    Amount(f64),
}

impl Target {
    /// Against the other store: at least so many times as good, and better so many times.
    pub(super) const fn peer(figure: Figure, must: f64, goal: f64) -> Target {
        Target { figure, against: Against::Peer, must: Some(must), goal: Some(goal) }
    }

    /// No worse than this: the least, or what to aim at.
    pub(super) const fn amount(figure: Figure, amount: f64, is_must: bool) -> Target {
        let (must, goal) = if is_must { (Some(1.0), None) } else { (None, Some(1.0)) };
        Target { figure, against: Against::Amount(amount), must, goal }
    }

    /// Only told.
    pub(super) const fn told(figure: Figure, against: Against) -> Target {
        Target { figure, against, must: None, goal: None }
    }

    /// What a ratio says.
    pub fn judge(&self, ratio: Option<f64>) -> Verdict {
        let reaches = |least: f64| ratio.is_some_and(|ratio| ratio >= least);
        match (self.must, self.goal) {
            (Some(must), _) if !reaches(must) => Verdict::Missed,
            (_, Some(goal)) if reaches(goal) => Verdict::Goal,
            (Some(_), _) => Verdict::Must,
            (None, Some(_)) => Verdict::BelowGoal,
            (None, None) => Verdict::Told,
        }
    }
}

/// What was reached of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Less than must be.
    Missed,
    /// The goal.
    Goal,
    /// What must be, and not the goal.
    Must,
    /// Not the goal; nothing must be.
    BelowGoal,
    /// Nothing is asked for.
    Told,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Missed => "★ MISSED",
            Verdict::Goal => "goal",
            Verdict::Must => "★",
            Verdict::BelowGoal => "below the goal",
            Verdict::Told => "",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_judged_by_what_must_be_and_what_should_be() {
        let both = Target::peer(Figure::OpsPerS, 3.0, 4.0);
        let goal = Target { must: None, ..both };
        let must = Target { goal: None, ..both };
        let told = Target::told(Figure::OpsPerS, Against::Peer);
        let verdicts = |ratio| [both, goal, must, told].map(|target| target.judge(ratio));
        use Verdict::{BelowGoal, Goal, Missed, Must, Told};
        assert_eq!(verdicts(Some(2.99)), [Missed, BelowGoal, Missed, Told]);
        assert_eq!(verdicts(Some(3.0)), [Must, BelowGoal, Must, Told]);
        assert_eq!(verdicts(Some(4.0)), [Goal, Goal, Must, Told]);
        assert_eq!(verdicts(None), [Missed, BelowGoal, Missed, Told], "nothing was measured");
    }
}
