//! Which node has which role: what can work, and who works with whom.

mod error;
mod roles;

pub use error::{LayoutError, RolesError};
pub use roles::{Part, QuorumRule, Roles};

use crate::ballot::{Incarnation, MemberId, NodeId};
use crate::config::{Configuration, SessionRules};
use crate::quorum::{QuorumError, Quorums};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A learner and the acceptor that feeds it votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Feed {
    /// The node of the learner.
    pub learner: NodeId,
    /// The node of the acceptor that sends it each vote; its own where it has one.
    pub acceptor: NodeId,
}

/// Which node has which role, before anyone knows the incarnations. Every first member is started
/// with the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Layout {
    /// Nodes with an acceptor, ascending.
    pub acceptors: Vec<NodeId>,
    /// Nodes with a proposer, ascending.
    pub proposers: Vec<NodeId>,
    /// Nodes with a learner, ascending, and who feeds them.
    pub learners: Vec<Feed>,
    /// Which acceptors must agree.
    pub quorums: Quorums,
    /// How many slots a leader may be ahead of the learner that it is paired with (rules R19, R20).
    pub window: u64,
    /// How long sessions live, and what they keep.
    pub sessions: SessionRules,
}

impl Layout {
    /// Slots in flight unless told otherwise.
    pub const WINDOW: u64 = 16;

    /// Slots in flight, at most.
    pub const WINDOW_MAX: u64 = 1 << 20;

    /// Proposers, or learners, at most.
    pub const NODES_MAX: usize = 1024;

    /// Every node has all roles, and majorities decide.
    pub fn full(nodes: &[NodeId]) -> Result<Layout, QuorumError> {
        let mut nodes = nodes.to_vec();
        nodes.sort_unstable();
        nodes.dedup();
        Ok(Layout {
            quorums: Quorums::majority(nodes.len())?,
            learners: nodes.iter().map(|&n| Feed { learner: n, acceptor: n }).collect(),
            proposers: nodes.clone(),
            acceptors: nodes,
            window: Self::WINDOW,
            sessions: SessionRules::default(),
        })
    }

    /// Each node has the roles of its part, and `quorums` decide. A learner without an acceptor on
    /// its node, for whom no other is named, is fed by the first of those that feed the fewest.
    pub fn of(parts: &BTreeMap<NodeId, Part>, quorums: QuorumRule) -> Result<Layout, LayoutError> {
        let with = |has: fn(&Roles) -> bool| -> Vec<NodeId> {
            parts.iter().filter(|(_, part)| has(&part.roles)).map(|(&node, _)| node).collect()
        };
        let acceptors = with(|roles| roles.acceptor);
        let mut fed: BTreeMap<NodeId, u64> = acceptors.iter().map(|&node| (node, 0)).collect();
        let learners = with(|roles| roles.learner);
        let named = |node: &NodeId| {
            let own = acceptors.contains(node).then_some(*node);
            parts.get(node).and_then(|part| part.fed_by).or(own)
        };
        for acceptor in learners.iter().filter_map(named) {
            *fed.entry(acceptor).or_default() += 1;
        }
        let mut feeds = Vec::new();
        for learner in learners {
            let free = || {
                let least = acceptors.iter().copied().min_by_key(|node| fed.get(node).copied());
                least.inspect(|&node| *fed.entry(node).or_default() += 1)
            };
            let acceptor = named(&learner).or_else(free).ok_or(LayoutError::Missing("acceptor"))?;
            feeds.push(Feed { learner, acceptor });
        }
        let layout = Layout {
            quorums: quorums.quorums(acceptors.len())?,
            proposers: with(|roles| roles.proposer),
            learners: feeds,
            acceptors,
            window: Self::WINDOW,
            sessions: SessionRules::default(),
        };
        layout.check()?;
        Ok(layout)
    }

    /// What can be said against the layout. Whoever starts a node asks this, and whoever is told of
    /// a layout by another node.
    pub fn check(&self) -> Result<(), LayoutError> {
        self.check_lists()?;
        let (quorums, acceptors) = (self.quorums.acceptors(), self.acceptors.len());
        if quorums != acceptors {
            return Err(LayoutError::Quorums { quorums, acceptors });
        }
        for &Feed { learner, acceptor } in &self.learners {
            if !self.acceptors.contains(&acceptor) {
                return Err(LayoutError::Feed { learner, acceptor });
            }
            if self.acceptors.contains(&learner) && acceptor != learner {
                return Err(LayoutError::OwnFeed(learner));
            }
        }
        if let Some(&proposer) = self.lone_proposers().nth(self.lone_learners().count()) {
            return Err(LayoutError::Unpaired(proposer));
        }
        // R26: what an acceptor that only votes forgets must be on as many disks as a vote.
        let voter = self.acceptors.iter().find(|&&node| !self.has_learner(node));
        let (learners, needed) = (self.learners.len(), self.quorums.phase2_min());
        match voter {
            Some(&voter) if learners < needed => {
                Err(LayoutError::TooFewLearners { learners, needed, voter })
            }
            _ if self.window == 0 || self.window > Self::WINDOW_MAX => {
                Err(LayoutError::Window(self.window))
            }
            _ if !self.sessions.are_sound() => Err(LayoutError::Sessions(self.sessions)),
            _ => Ok(()),
        }
    }

    fn check_lists(&self) -> Result<(), LayoutError> {
        let learners: Vec<NodeId> = self.learners.iter().map(|feed| feed.learner).collect();
        let lists =
            [("acceptor", &self.acceptors), ("proposer", &self.proposers), ("learner", &learners)];
        for (name, list) in lists {
            if list.is_empty() {
                return Err(LayoutError::Missing(name));
            }
            if list.len() > Self::NODES_MAX {
                return Err(LayoutError::TooMany { role: name, count: list.len() });
            }
            if !list.is_sorted_by(|a, b| a < b) {
                return Err(LayoutError::Unordered(name));
            }
        }
        Ok(())
    }

    /// Every node, ascending.
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        let learners = self.learners.iter().map(|feed| &feed.learner);
        self.acceptors.iter().chain(&self.proposers).chain(learners).copied().collect()
    }

    /// The roles of a node.
    pub fn roles(&self, node: NodeId) -> Roles {
        Roles {
            proposer: self.proposers.contains(&node),
            acceptor: self.acceptors.contains(&node),
            learner: self.has_learner(node),
        }
    }

    /// The node of the learner that the proposer of `node` is paired with (rules R7, R15): its own,
    /// else, in order, one that has no proposer beside it.
    pub fn learner_of(&self, node: NodeId) -> Option<NodeId> {
        if self.has_learner(node) {
            return self.proposers.contains(&node).then_some(node);
        }
        let place = self.lone_proposers().position(|&proposer| proposer == node)?;
        self.lone_learners().nth(place)
    }

    /// The node of the proposer that the learner of `node` reports to and asks: the one that is
    /// paired with it; a learner that is left over shares one.
    pub fn proposer_of(&self, node: NodeId) -> Option<NodeId> {
        if self.proposers.contains(&node) {
            return self.has_learner(node).then_some(node);
        }
        let place = self.lone_learners().position(|learner| learner == node)?;
        let shared = || self.proposers.get(place % self.proposers.len().max(1));
        self.lone_proposers().nth(place).or_else(shared).copied()
    }

    fn has_learner(&self, node: NodeId) -> bool {
        self.learners.iter().any(|feed| feed.learner == node)
    }

    /// Proposers without a learner on their node.
    fn lone_proposers(&self) -> impl Iterator<Item = &NodeId> {
        self.proposers.iter().filter(|&&node| !self.has_learner(node))
    }

    /// Learners without a proposer on their node.
    fn lone_learners(&self) -> impl Iterator<Item = NodeId> {
        let learners = self.learners.iter().map(|feed| feed.learner);
        learners.filter(|node| !self.proposers.contains(node))
    }

    /// Equal for equal layouts, and different for different ones.
    pub fn fingerprint(&self) -> u64 {
        self.roster(|_| Some(Incarnation(0))).map_or(0, |roster| roster.cluster_id().0)
    }

    /// The layout with a member at each acceptor's node; `None` while one is not known.
    pub fn roster(&self, known: impl Fn(NodeId) -> Option<Incarnation>) -> Option<Configuration> {
        let member = |&node: &NodeId| Some(MemberId { node, incarnation: known(node)? });
        let acceptors = self.acceptors.iter().map(member).collect::<Option<Vec<_>>>()?;
        Some(Configuration {
            acceptors,
            proposers: self.proposers.clone(),
            learners: self.learners.clone(),
            quorums: self.quorums,
            window: self.window,
            sessions: self.sessions,
        })
    }
}
