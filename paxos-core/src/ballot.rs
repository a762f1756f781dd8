//! Nodes, members and ballots.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A place in the cluster, chosen by whoever lays it out. It says where mail goes, not who answers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct NodeId(pub u64);

/// Random, made together with a data directory: a wiped disk is another incarnation (rule R24).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Incarnation(pub u64);

/// Who answers: a node and the data directory that it speaks for. Votes count per member.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct MemberId {
    /// Where it is.
    pub node: NodeId,
    /// Which data directory it has.
    pub incarnation: Incarnation,
}

/// A ballot, totally ordered by round, node, life ("Paxos Made Simple", 2.2: proposal numbers).
///
/// A ballot has one owner in all history: rounds are Lamport clocks, and `life` is random at each
/// process start, so that a restarted proposer cannot use a ballot of its former life.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// A Lamport clock: above every round that its owner had seen.
    pub round: u64,
    /// The owner.
    pub node: NodeId,
    /// The owner's process start.
    pub life: u64,
}

impl Ballot {
    /// Below every ballot that anyone owns.
    pub const ZERO: Ballot = Ballot { round: 0, node: NodeId(0), life: 0 };

    /// The highest round that is still believed. A peer that names a higher one is ignored, so that
    /// one absurd message cannot use up the rounds for everybody.
    pub const ROUND_MAX: u64 = 1 << 56;

    /// How far a ballot may be above the promise of an acceptor that has not heard of those
    /// between.
    ///
    /// Rounds rise by one with each campaign, of which there are some dozens a second at the very
    /// most: a member would have to be down for years to miss so many, and a promise is never lost
    /// with a restart (a wiped disk is no member, R24). So whatever asks for more is not to be
    /// believed. If it were, one such ballot near [`Ballot::ROUND_MAX`] would be the last. A ballot
    /// that is too high by up to this is followed, and a member that missed it must be able to
    /// follow as well: one bit that flipped makes a difference of 2^32 and leaves 2^31 rounds of
    /// that, or makes one of 2^33, which is not believed.
    pub const JUMP_MAX: u64 = 3 << 31;

    /// Whether a ballot of this round can come next to who has seen `round`.
    #[inline]
    pub fn follows(&self, round: u64) -> bool {
        self.round <= round.saturating_add(Self::JUMP_MAX)
    }

    /// Whether a well-behaved proposer can own this ballot.
    #[inline]
    pub fn is_sound(&self) -> bool {
        self.round > 0 && self.round <= Self::ROUND_MAX
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:016x}", self.node, self.incarnation.0)
    }
}

/// `round.node`; the life only tells apart what should never meet.
impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round, self.node)
    }
}

impl fmt::Debug for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}/{:x}", self.round, self.node, self.life)
    }
}
