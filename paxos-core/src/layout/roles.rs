//! The roles of one node, as people write them.

use super::error::RolesError;
use crate::ballot::NodeId;
use crate::quorum::{QuorumError, Quorums};
use alloc::borrow::ToOwned;
use core::fmt;
use core::str::FromStr;

/// Any subset of the roles that a layout assigns. Written `proposer+acceptor+learner`; a comma
/// separates as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Roles {
    /// Orders commands, and may lead.
    pub proposer: bool,
    /// Promises and votes.
    pub acceptor: bool,
    /// Applies what was chosen.
    pub learner: bool,
}

/// What one node is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its roles.
    pub roles: Roles,
    /// Who feeds its learner; none: its own acceptor, or the next one that is free.
    pub fed_by: Option<NodeId>,
}

/// Which acceptors must agree, before their number is known. Written `majority`, `4,2` (sizes of
/// phase-1 and phase-2 quorums) or `2x3` (rows and columns of a grid).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QuorumRule {
    /// [`Quorums::majority`].
    #[default]
    Majority,
    /// [`Quorums::sizes`].
    Sizes {
        /// So many promise.
        phase1: usize,
        /// So many choose.
        phase2: usize,
    },
    /// [`Quorums::grid`].
    Grid {
        /// A full row promises.
        rows: usize,
        /// A full column chooses.
        columns: usize,
    },
}

impl Roles {
    /// Every role.
    pub const ALL: Roles = Roles { proposer: true, acceptor: true, learner: true };

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Roles::default()
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        let each =
            [(self.proposer, "proposer"), (self.acceptor, "acceptor"), (self.learner, "learner")];
        each.into_iter().filter(|(has, _)| *has).map(|(_, name)| name)
    }
}

impl QuorumRule {
    /// The quorums among so many acceptors.
    pub fn quorums(self, acceptors: usize) -> Result<Quorums, QuorumError> {
        match self {
            QuorumRule::Majority => Quorums::majority(acceptors),
            QuorumRule::Sizes { phase1, phase2 } => Quorums::sizes(acceptors, phase1, phase2),
            QuorumRule::Grid { rows, columns } => Quorums::grid(rows, columns),
        }
    }
}

impl Default for Part {
    fn default() -> Part {
        Part { roles: Roles::ALL, fed_by: None }
    }
}

impl FromStr for Roles {
    type Err = RolesError;

    fn from_str(text: &str) -> Result<Roles, RolesError> {
        let mut roles = Roles::default();
        for name in text.split(['+', ',']) {
            let role = match name.trim() {
                "proposer" => &mut roles.proposer,
                "acceptor" => &mut roles.acceptor,
                "learner" => &mut roles.learner,
                other => return Err(RolesError::Role(other.to_owned())),
            };
            if core::mem::replace(role, true) {
                return Err(RolesError::Twice(name.trim().to_owned()));
            }
        }
        Ok(roles)
    }
}

/// What may follow a node's number and a slash: `acceptor`, `proposer+learner@3`.
impl FromStr for Part {
    type Err = RolesError;

    fn from_str(text: &str) -> Result<Part, RolesError> {
        let Some((roles, feeder)) = text.split_once('@') else {
            return Ok(Part { roles: text.parse()?, fed_by: None });
        };
        let roles: Roles = roles.parse()?;
        let node = feeder.trim().parse().map_err(|_| RolesError::Feeder(feeder.to_owned()))?;
        match roles.learner {
            true => Ok(Part { roles, fed_by: Some(NodeId(node)) }),
            false => Err(RolesError::NothingToFeed(text.to_owned())),
        }
    }
}

impl FromStr for QuorumRule {
    type Err = RolesError;

    fn from_str(text: &str) -> Result<QuorumRule, RolesError> {
        let numbers = |separator| {
            let (a, b) = text.split_once(separator)?;
            Some((a.trim().parse().ok()?, b.trim().parse().ok()?))
        };
        if text.trim() == "majority" {
            Ok(QuorumRule::Majority)
        } else if let Some((phase1, phase2)) = numbers(',') {
            Ok(QuorumRule::Sizes { phase1, phase2 })
        } else if let Some((rows, columns)) = numbers('x') {
            Ok(QuorumRule::Grid { rows, columns })
        } else {
            Err(RolesError::Quorums(text.to_owned()))
        }
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.names().enumerate() {
            write!(f, "{}{name}", if place == 0 { "" } else { "+" })?;
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.roles)?;
        self.fed_by.map_or(Ok(()), |node| write!(f, "@{node}"))
    }
}

impl fmt::Display for QuorumRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuorumRule::Majority => write!(f, "majority"),
            QuorumRule::Sizes { phase1, phase2 } => write!(f, "{phase1},{phase2}"),
            QuorumRule::Grid { rows, columns } => write!(f, "{rows}x{columns}"),
        }
    }
}
