//! Why no cluster can have a layout, and why text names none.

use super::Layout;
use crate::ballot::NodeId;
use crate::config::SessionRules;
use crate::quorum::QuorumError;
use alloc::string::String;
use core::fmt;

/// Why no cluster can have this layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The node has no part in it.
    NoRole(NodeId),
    /// A list of nodes is not ascending, or names a node twice.
    Unordered(&'static str),
    /// More nodes have this role than may.
    TooMany {
        /// The role.
        role: &'static str,
        /// How many have it.
        count: usize,
    },
    /// The quorums cannot be formed, or need not meet.
    Unsound(QuorumError),
    /// The quorums were made for another number of acceptors.
    Quorums {
        /// Acceptors that the quorums count.
        quorums: usize,
        /// Acceptors in the layout.
        acceptors: usize,
    },
    /// Nobody has this role.
    Missing(&'static str),
    /// A learner would be fed by a node that does not vote.
    Feed {
        /// The learner.
        learner: NodeId,
        /// Who was to feed it.
        acceptor: NodeId,
    },
    /// A learner that has an acceptor beside it would be fed by another one.
    OwnFeed(NodeId),
    /// A learner reports to one proposer only.
    Unpaired(NodeId),
    /// Acceptors that only vote could never forget anything (rule R26).
    TooFewLearners {
        /// Learners in the layout.
        learners: usize,
        /// Acceptors in the smallest phase-2 quorum.
        needed: usize,
        /// An acceptor without a learner on its node.
        voter: NodeId,
    },
    /// Leaders could not have any slot in flight, or more than anybody holds.
    Window(u64),
    /// Sessions could not live, or there could be more of them than anybody holds.
    Sessions(SessionRules),
}

/// Why text does not say what a node is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolesError {
    /// There is no such role.
    Role(String),
    /// A role is named twice.
    Twice(String),
    /// A learner is to be fed by what is no node.
    Feeder(String),
    /// Somebody is to feed a node without a learner.
    NothingToFeed(String),
    /// There is no such rule for quorums.
    Quorums(String),
}

impl From<QuorumError> for LayoutError {
    fn from(error: QuorumError) -> LayoutError {
        LayoutError::Unsound(error)
    }
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutError::NoRole(node) => {
                let roles = "name it as acceptor, proposer or learner";
                write!(f, "node {node} has no role in the layout: {roles}")
            }
            LayoutError::Unordered(role) => {
                write!(f, "the {role}s of the layout must be in ascending order, each node once")
            }
            LayoutError::TooMany { role, count } => {
                write!(f, "the layout has {count} {role}s: at most {}", Layout::NODES_MAX)
            }
            LayoutError::Unsound(error) => write!(f, "{error}"),
            LayoutError::Quorums { quorums, acceptors } => write!(
                f,
                "the quorums are made for {quorums} acceptors, but the layout has {acceptors}"
            ),
            LayoutError::Missing(role) => {
                write!(f, "no node is {role}: at least one must be")
            }
            LayoutError::Feed { learner, acceptor } => write!(
                f,
                "the learner at node {learner} is to be fed by node {acceptor}, which has no \
                 acceptor: name one that has"
            ),
            LayoutError::OwnFeed(node) => {
                write!(f, "the learner at node {node} must be fed by the acceptor of its own node")
            }
            LayoutError::Unpaired(node) => write!(
                f,
                "the proposer at node {node} has no learner to be paired with: each proposer needs \
                 a learner on its own node, or one on a node without a proposer"
            ),
            LayoutError::TooFewLearners { learners, needed, voter } => write!(
                f,
                "the acceptor at node {voter} has no learner on its node, and can forget only what \
                 learners on {needed} nodes, as many as the smallest phase-2 quorum, have on disk: \
                 the layout has {learners}; add learners, or give node {voter} one"
            ),
            LayoutError::Sessions(rules) => {
                write!(f, "no cluster can have these rules for sessions: {rules:?}")
            }
            LayoutError::Window(window) => {
                write!(f, "the window must be 1 to {}, not {window}", Layout::WINDOW_MAX)
            }
        }
    }
}

impl fmt::Display for RolesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RolesError::Role(name) => {
                write!(f, "\"{name}\" is no role: there are proposer, acceptor and learner")
            }
            RolesError::Twice(name) => write!(f, "the role {name} is named twice"),
            RolesError::Feeder(node) => {
                write!(f, "\"{node}\" is no node's number: write learner@3 for one fed by node 3")
            }
            RolesError::NothingToFeed(text) => {
                write!(f, "\"{text}\" has no learner that could be fed: only learners are")
            }
            RolesError::Quorums(text) => write!(
                f,
                "\"{text}\" is no rule for quorums: there are majority, PHASE1,PHASE2 as in 4,2, \
                 and ROWSxCOLUMNS as in 2x3"
            ),
        }
    }
}

impl core::error::Error for LayoutError {}

impl core::error::Error for RolesError {}
