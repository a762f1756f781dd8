//! Who takes part, how many must agree, how long to wait, how much to hold.

use crate::ballot::{MemberId, NodeId};
use crate::layout::{Feed, Layout};
use crate::quorum::{AcceptorSet, Quorums};
use crate::rng::mix;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Microseconds on a clock that never goes back and counts suspension. Never wall time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now(pub u64);

impl Now {
    /// Microseconds since `then`; 0 where `then` is not before.
    pub fn since(self, then: Now) -> u64 {
        self.0.saturating_sub(then.0)
    }

    /// This moment and `us` microseconds.
    pub fn plus(self, us: u64) -> Now {
        Now(self.0.saturating_add(us))
    }
}

/// Names a cluster: the hash of the roster that its first members stored (rule R23).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ClusterId(pub u64);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What decides over sessions. The table of sessions is replicated, so these are equal everywhere,
/// and not among [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionRules {
    /// Log time without a command after which a session expires, in milliseconds.
    pub ttl_ms: u64,
    /// Open sessions; a new one is refused when there are as many.
    pub sessions_max: u64,
    /// Answers that a session keeps: sequences `[acked_below, acked_below + W)` (rule R16).
    pub window: u64,
}

impl SessionRules {
    /// The longest that a session lives without a command, in milliseconds of log time.
    pub const TTL_MS_MAX: u64 = 1 << 50;

    /// Open sessions, at most.
    pub const SESSIONS_MAX: u64 = 1 << 24;

    /// Answers that a session keeps, at most.
    pub const WINDOW_MAX: u64 = 1 << 20;

    /// Whether anybody can hold to them.
    pub fn are_sound(&self) -> bool {
        (1..=Self::TTL_MS_MAX).contains(&self.ttl_ms)
            && (1..=Self::SESSIONS_MAX).contains(&self.sessions_max)
            && (1..=Self::WINDOW_MAX).contains(&self.window)
    }
}

impl Default for SessionRules {
    fn default() -> SessionRules {
        SessionRules { ttl_ms: 60_000, sessions_max: 100_000, window: 1024 }
    }
}

/// Who takes part from some slot on. Equal everywhere, since it is part of the replicated state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Configuration {
    /// The members whose votes count, ascending; at most [`crate::quorum::ACCEPTORS_MAX`].
    pub acceptors: Vec<MemberId>,
    /// Nodes with a proposer.
    pub proposers: Vec<NodeId>,
    /// Nodes with a learner, and who feeds them.
    pub learners: Vec<Feed>,
    /// Which acceptors must agree.
    pub quorums: Quorums,
    /// How many slots a leader may be ahead of the learner that it is paired with.
    pub window: u64,
    /// How long sessions live, and what they keep.
    pub sessions: SessionRules,
}

impl Configuration {
    /// The bit of a member's vote; 0 for whoever is not a member (invariant 6).
    #[inline]
    pub fn bit(&self, member: MemberId) -> AcceptorSet {
        self.acceptors.iter().position(|&m| m == member).map_or(0, |i| 1 << i)
    }

    /// Whether `member` may propose. Where its node has an acceptor too, the incarnation is known.
    #[inline]
    pub fn has_proposer(&self, member: MemberId) -> bool {
        let known = self.acceptors.iter().find(|m| m.node == member.node);
        self.proposers.contains(&member.node) && known.is_none_or(|&m| m == member)
    }

    /// Whether `member` may speak as a learner. Where its node has an acceptor too, the incarnation
    /// is known.
    pub fn has_learner(&self, member: MemberId) -> bool {
        let known = self.acceptors.iter().find(|m| m.node == member.node);
        self.learners.iter().any(|feed| feed.learner == member.node)
            && known.is_none_or(|&m| m == member)
    }

    /// The layout that this configuration fills.
    pub fn layout(&self) -> Layout {
        Layout {
            acceptors: self.acceptors.iter().map(|m| m.node).collect(),
            proposers: self.proposers.clone(),
            learners: self.learners.clone(),
            quorums: self.quorums,
            window: self.window,
            sessions: self.sessions,
        }
    }

    /// The hash of the first configuration of a cluster, which names the cluster (rule R23).
    pub fn cluster_id(&self) -> ClusterId {
        let mut hash = mix(self.window);
        let mut add = |word: u64| hash = mix(hash ^ word).wrapping_add(word);
        // Each list with its length, so that none runs into the next.
        add(self.acceptors.len() as u64);
        for member in &self.acceptors {
            add(member.node.0);
            add(member.incarnation.0);
        }
        add(self.proposers.len() as u64);
        for node in &self.proposers {
            add(node.0);
        }
        add(self.learners.len() as u64);
        for feed in &self.learners {
            add(feed.learner.0);
            add(feed.acceptor.0);
        }
        let SessionRules { ttl_ms, sessions_max, window } = self.sessions;
        [ttl_ms, sessions_max, window].into_iter().for_each(&mut add);
        add(self.quorums.fingerprint());
        ClusterId(hash)
    }
}

/// How long to wait, in microseconds. A value that exists is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    heartbeat_us: u64,
    election_timeout_us: u64,
}

/// Why timing was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimingError {
    /// A heartbeat interval of zero.
    NoHeartbeat,
    /// A leader must be able to lose heartbeats without losing its office.
    Ratio {
        /// The heartbeat interval asked for.
        heartbeat_ms: u64,
        /// The election timeout asked for.
        election_timeout_ms: u64,
    },
    /// Longer than ten minutes.
    TooLong(u64),
    /// Shorter than what a message and an fsync may take anywhere.
    TooShort(u64),
}

impl Timing {
    /// An election timeout is at least this many heartbeat intervals.
    pub const RATIO_MIN: u64 = 3;

    /// The shortest election timeout, in milliseconds: shells tick once a millisecond at most, and
    /// a few ticks must fit in.
    pub const ELECTION_TIMEOUT_MS_MIN: u64 = 10;

    /// Checks and takes both times.
    pub fn new(heartbeat_ms: u64, election_timeout_ms: u64) -> Result<Timing, TimingError> {
        if heartbeat_ms == 0 {
            return Err(TimingError::NoHeartbeat);
        }
        if election_timeout_ms > 600_000 {
            return Err(TimingError::TooLong(election_timeout_ms));
        }
        if election_timeout_ms < Self::ELECTION_TIMEOUT_MS_MIN {
            return Err(TimingError::TooShort(election_timeout_ms));
        }
        if election_timeout_ms / Self::RATIO_MIN < heartbeat_ms {
            return Err(TimingError::Ratio { heartbeat_ms, election_timeout_ms });
        }
        Ok(Timing {
            heartbeat_us: heartbeat_ms * 1000,
            election_timeout_us: election_timeout_ms * 1000,
        })
    }

    /// A leader is heard from at least this often, in microseconds.
    pub fn heartbeat_us(&self) -> u64 {
        self.heartbeat_us
    }

    /// A leader that was not heard from for one to two of these is followed no more.
    pub fn election_timeout_us(&self) -> u64 {
        self.election_timeout_us
    }

    /// How often a shell calls [`crate::Role::tick`], in microseconds.
    pub fn tick_us(&self) -> u64 {
        (self.heartbeat_us / 5).max(1000)
    }
}

impl Default for Timing {
    fn default() -> Timing {
        Timing { heartbeat_us: 50_000, election_timeout_us: 300_000 }
    }
}

impl fmt::Display for TimingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TimingError::NoHeartbeat => write!(f, "the heartbeat interval must be at least 1 ms"),
            TimingError::TooLong(ms) => {
                write!(f, "an election timeout of {ms} ms is too long: at most 600000 ms")
            }
            TimingError::TooShort(ms) => write!(
                f,
                "an election timeout of {ms} ms is too short: at least {} ms",
                Timing::ELECTION_TIMEOUT_MS_MIN
            ),
            TimingError::Ratio { heartbeat_ms, election_timeout_ms } => write!(
                f,
                "an election timeout of {election_timeout_ms} ms is unsafe with a heartbeat every \
                 {heartbeat_ms} ms: it must be at least {} times as long ({} ms or more)",
                Timing::RATIO_MIN,
                heartbeat_ms.saturating_mul(Timing::RATIO_MIN)
            ),
        }
    }
}

impl core::error::Error for TimingError {}

/// Every bound of what roles and their mailboxes hold, in one place; what connections hold is
/// bounded beside their code. What is full refuses, and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a client's value, or of its query: one command. A larger one is refused, so that
    /// every entry fits a frame between nodes.
    pub value_bytes_max: usize,
    /// Bytes of commands in one entry; a larger command goes alone.
    pub entry_bytes_max: usize,
    /// Bytes of entries in one part of an answer; one larger entry goes alone.
    pub part_bytes_max: usize,
    /// Bytes of one frame between nodes.
    pub peer_frame_bytes_max: usize,
    /// Bytes of one frame between a client and a node.
    pub client_frame_bytes_max: usize,
    /// Bytes of entries that a leader has proposed and that are not chosen yet. It finds out by
    /// itself how much less the links carry in time. The window bounds slots in the same way.
    pub flight_bytes_max: usize,
    /// Bytes of commands that wait for a slot at a proposer.
    pub queue_bytes_max: usize,
    /// Votes that a learner holds ahead of what it applied.
    pub fed_slots_max: u64,
    /// Bytes of the votes that a learner holds ahead of what it applied.
    pub fed_bytes_max: usize,
    /// Reads that wait at one learner or one proposer.
    pub reads_max: usize,
    /// Calls that one client has open; never more than 65,535.
    pub calls_max: usize,
    /// Bytes of entries that are applied before another snapshot is written; more, where the last
    /// snapshot was larger: so no more is written to snapshots than to the log.
    pub snapshot_log_bytes: u64,
    /// Envelopes in an actor's mailbox, each of them with a message, or a few hundred.
    pub mailbox_max: usize,
    /// Records handed to the log and not yet durable, and messages that wait for them.
    pub log_backlog_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        const MIB: usize = 1 << 20;
        Limits {
            value_bytes_max: 3 * MIB / 2,
            entry_bytes_max: MIB,
            part_bytes_max: 2 * MIB,
            peer_frame_bytes_max: 4 * MIB,
            client_frame_bytes_max: 2 * MIB,
            flight_bytes_max: 4 * MIB,
            queue_bytes_max: 64 * MIB,
            fed_slots_max: 4096,
            fed_bytes_max: 64 * MIB,
            reads_max: 65_536,
            calls_max: 1024,
            snapshot_log_bytes: 64 << 20,
            mailbox_max: 16_384,
            log_backlog_max: 16_384,
        }
    }
}
