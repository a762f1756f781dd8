//! What a layout gives a node to do.

use paxos_core::{Layout, LayoutError, NodeId};

/// The roles of one node, and whom they are paired with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) acceptor: bool,
    /// There is a proposer, and this is the node of its learner.
    pub(crate) proposer: Option<NodeId>,
    /// There is a learner, and this is the node of its proposer.
    pub(crate) learner: Option<NodeId>,
}

impl Plan {
    /// What `layout` gives `node` to do: maybe nothing.
    pub(crate) fn of(layout: &Layout, node: NodeId) -> Result<Plan, LayoutError> {
        layout.check()?;
        Ok(Plan {
            acceptor: layout.acceptors.contains(&node),
            proposer: layout.learner_of(node),
            learner: layout.proposer_of(node),
        })
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        !self.acceptor && self.proposer.is_none() && self.learner.is_none()
    }
}
