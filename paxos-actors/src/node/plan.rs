//! What a layout gives a node to do.

use paxos_core::{Layout, NodeId};
use thiserror::Error;

/// The roles of one node, and whom they are paired with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) acceptor: bool,
    /// There is a proposer, and this is the node of its learner.
    pub(crate) proposer: Option<NodeId>,
    /// There is a learner, and this is the node of its proposer.
    pub(crate) learner: Option<NodeId>,
}

/// Why no cluster can have this layout.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// The node has no part in it.
    #[error("node {0} has no role in the layout: name it as acceptor, proposer or learner")]
    NoRole(NodeId),
    /// A list of nodes is not ascending, or names a node twice.
    #[error("the {0} of the layout must be in ascending order, each node once")]
    Unordered(&'static str),
    /// The quorums were made for another number of acceptors.
    #[error("the quorums are made for {quorums} acceptors, but the layout has {acceptors}")]
    Quorums {
        /// Acceptors that the quorums count.
        quorums: usize,
        /// Acceptors in the layout.
        acceptors: usize,
    },
    /// Nobody could order commands, or nobody could apply them.
    #[error("the layout has no {0}: it needs at least one")]
    Missing(&'static str),
    /// A learner would be fed by a node that does not vote.
    #[error("the learner at node {learner} is to be fed by node {acceptor}, which has no acceptor")]
    Feed {
        /// The learner.
        learner: NodeId,
        /// Who was to feed it.
        acceptor: NodeId,
    },
    /// A learner that has an acceptor beside it would be fed by another one.
    #[error("the learner at node {0} must be fed by the acceptor of its own node")]
    OwnFeed(NodeId),
    /// A learner reports to one proposer only.
    #[error(
        "the proposer at node {0} has no learner to be paired with: each proposer needs a learner \
         on its own node, or one on a node without a proposer"
    )]
    Unpaired(NodeId),
    /// Leaders could not have any slot in flight.
    #[error("the window must be at least 1")]
    Window,
}

impl Plan {
    /// What `layout` gives `node` to do: maybe nothing.
    pub(crate) fn of(layout: &Layout, node: NodeId) -> Result<Plan, LayoutError> {
        check(layout)?;
        let learners: Vec<NodeId> = layout.learners.iter().map(|feed| feed.learner).collect();
        // Roles that have no neighbour of the other kind are paired in order. A learner that is
        // left over shares a proposer; a proposer that is left over was refused.
        let alone = |these: &[NodeId], those: &[NodeId]| -> Vec<NodeId> {
            these.iter().copied().filter(|n| !those.contains(n)).collect()
        };
        let lone_proposers = alone(&layout.proposers, &learners);
        let lone_learners = alone(&learners, &layout.proposers);
        if let Some(&proposer) = lone_proposers.get(lone_learners.len()) {
            return Err(LayoutError::Unpaired(proposer));
        }
        let place = |list: &[NodeId]| list.iter().position(|&n| n == node);
        let has_both = layout.proposers.contains(&node) && learners.contains(&node);
        let proposer = place(&lone_proposers).map(|at| lone_learners[at]);
        let learner = place(&lone_learners).map(|at| match lone_proposers.get(at) {
            Some(&proposer) => proposer,
            None => layout.proposers[at % layout.proposers.len()],
        });
        Ok(Plan {
            acceptor: layout.acceptors.contains(&node),
            proposer: proposer.or(has_both.then_some(node)),
            learner: learner.or(has_both.then_some(node)),
        })
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        !self.acceptor && self.proposer.is_none() && self.learner.is_none()
    }
}

fn check(layout: &Layout) -> Result<(), LayoutError> {
    let learners: Vec<NodeId> = layout.learners.iter().map(|feed| feed.learner).collect();
    for (name, list) in [
        ("acceptors", &layout.acceptors),
        ("proposers", &layout.proposers),
        ("learners", &learners),
    ] {
        if list.is_empty() {
            return Err(LayoutError::Missing(name));
        }
        if !list.is_sorted_by(|a, b| a < b) {
            return Err(LayoutError::Unordered(name));
        }
    }
    let (quorums, acceptors) = (layout.quorums.acceptors(), layout.acceptors.len());
    if quorums != acceptors {
        return Err(LayoutError::Quorums { quorums, acceptors });
    }
    for feed in &layout.learners {
        if !layout.acceptors.contains(&feed.acceptor) {
            let (learner, acceptor) = (feed.learner, feed.acceptor);
            return Err(LayoutError::Feed { learner, acceptor });
        }
        if layout.acceptors.contains(&feed.learner) && feed.acceptor != feed.learner {
            return Err(LayoutError::OwnFeed(feed.learner));
        }
    }
    if layout.window == 0 {
        return Err(LayoutError::Window);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos_core::{Feed, Quorums, SessionRules};

    fn nodes(ids: &[u64]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    fn full(n: u64) -> Layout {
        Layout::full(&nodes(&(1..=n).collect::<Vec<_>>())).expect("sound")
    }

    fn separate() -> Layout {
        let feed =
            |learner, acceptor| Feed { learner: NodeId(learner), acceptor: NodeId(acceptor) };
        Layout {
            acceptors: nodes(&[1, 2, 3]),
            proposers: nodes(&[4, 5]),
            learners: vec![feed(6, 1), feed(7, 2), feed(8, 3)],
            quorums: Quorums::majority(3).expect("sound"),
            window: 16,
            sessions: SessionRules::default(),
        }
    }

    #[test]
    fn a_node_with_all_roles_is_its_own_pair() {
        let plan = Plan::of(&full(3), NodeId(2)).expect("sound");
        let own = Some(NodeId(2));
        assert_eq!(plan, Plan { acceptor: true, proposer: own, learner: own });
    }

    #[test]
    fn separate_roles_are_paired_both_ways_and_a_learner_left_over_shares() {
        let plan = |n| Plan::of(&separate(), NodeId(n)).expect("sound");
        assert_eq!(plan(1), Plan { acceptor: true, proposer: None, learner: None });
        assert_eq!((plan(4).proposer, plan(6).learner), (Some(NodeId(6)), Some(NodeId(4))));
        assert_eq!((plan(5).proposer, plan(7).learner), (Some(NodeId(7)), Some(NodeId(5))));
        assert_eq!(plan(8).learner, Some(NodeId(4)));
        assert!(plan(9).is_empty());
    }

    #[test]
    fn a_layout_that_cannot_work_is_refused_by_name() {
        let refused = |change: fn(&mut Layout)| {
            let mut layout = separate();
            change(&mut layout);
            Plan::of(&layout, NodeId(1)).expect_err("refused")
        };
        assert_eq!(refused(|l| l.learners.clear()), LayoutError::Missing("learners"));
        assert_eq!(refused(|l| l.acceptors.reverse()), LayoutError::Unordered("acceptors"));
        assert_eq!(refused(|l| l.proposers.push(NodeId(5))), LayoutError::Unordered("proposers"));
        assert_eq!(
            refused(|l| l.acceptors.push(NodeId(9))),
            LayoutError::Quorums { quorums: 3, acceptors: 4 }
        );
        assert_eq!(
            refused(|l| l.learners[0].acceptor = NodeId(4)),
            LayoutError::Feed { learner: NodeId(6), acceptor: NodeId(4) }
        );
        assert_eq!(
            refused(|l| l.learners.insert(0, Feed { learner: NodeId(1), acceptor: NodeId(2) })),
            LayoutError::OwnFeed(NodeId(1))
        );
        assert_eq!(refused(|l| l.learners.truncate(1)), LayoutError::Unpaired(NodeId(5)));
        assert_eq!(refused(|l| l.window = 0), LayoutError::Window);
    }
}
