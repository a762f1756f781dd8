//! Where the calls of a node's clients go. Pure.

use paxos_core::{Layout, NodeId};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The node's own roles, else those that they are paired with, else the others of the layout in
/// order: so any node serves any call, whatever its roles.
#[derive(Debug)]
pub(super) struct Targets {
    /// Proposers, and the learner that each has reply.
    proposers: Vec<(NodeId, NodeId)>,
    learners: Vec<NodeId>,
    /// Nodes to which nothing can be sent at the moment.
    away: RefCell<BTreeSet<NodeId>>,
}

impl Targets {
    /// Of the client port of `me`.
    pub(super) fn new(me: NodeId, layout: &Layout) -> Targets {
        let nearest = layout.proposer_of(me);
        let mut proposers: Vec<(NodeId, NodeId)> =
            layout.proposers.iter().filter_map(|&p| Some((p, layout.learner_of(p)?))).collect();
        proposers.sort_by_key(|&(node, _)| (node != me, Some(node) != nearest));
        let nearest = layout.learner_of(me);
        let mut learners: Vec<NodeId> = layout.learners.iter().map(|feed| feed.learner).collect();
        learners.sort_by_key(|&node| (node != me, Some(node) != nearest));
        Targets { proposers, learners, away: RefCell::default() }
    }

    /// Whether mail can go to `node` from now on.
    pub(super) fn set_away(&self, node: NodeId, is_away: bool) {
        let mut away = self.away.borrow_mut();
        if is_away {
            away.insert(node);
        } else {
            away.remove(&node);
        }
    }

    /// Who takes commands: the first whose learner can be reached too, since that one replies.
    pub(super) fn proposer(&self) -> Option<NodeId> {
        let away = self.away.borrow();
        let up = || self.proposers.iter().filter(|(proposer, _)| !away.contains(proposer));
        let whole = up().find(|(_, learner)| !away.contains(learner));
        whole.or_else(|| up().next()).map(|&(proposer, _)| proposer)
    }

    /// Who takes reads.
    pub(super) fn learner(&self) -> Option<NodeId> {
        let away = self.away.borrow();
        self.learners.iter().copied().find(|node| !away.contains(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos_core::{Part, QuorumRule};

    /// Two proposers, three acceptors, two learners.
    fn separate() -> Layout {
        let part = |text: &str| text.parse::<Part>().expect("a part");
        let parts = [
            (1, "proposer"),
            (2, "proposer"),
            (3, "acceptor"),
            (4, "acceptor"),
            (5, "acceptor"),
            (6, "learner"),
            (7, "learner"),
        ];
        let parts = parts.map(|(node, text)| (NodeId(node), part(text)));
        Layout::of(&parts.into(), QuorumRule::Majority).expect("a layout")
    }

    fn targets(me: u64) -> Targets {
        Targets::new(NodeId(me), &separate())
    }

    fn chosen(targets: &Targets) -> (Option<u64>, Option<u64>) {
        (targets.proposer().map(|node| node.0), targets.learner().map(|node| node.0))
    }

    #[test]
    fn own_roles_go_before_paired_ones_before_others() {
        assert_eq!(chosen(&targets(1)), (Some(1), Some(6)));
        assert_eq!(chosen(&targets(2)), (Some(2), Some(7)));
        assert_eq!(chosen(&targets(4)), (Some(1), Some(6)));
        assert_eq!(chosen(&targets(6)), (Some(1), Some(6)));
        assert_eq!(chosen(&targets(7)), (Some(2), Some(7)));
    }

    #[test]
    fn who_is_away_is_passed_over_and_so_is_a_proposer_whose_learner_is() {
        let targets = targets(1);
        targets.set_away(NodeId(6), true);
        assert_eq!(chosen(&targets), (Some(2), Some(7)));
        targets.set_away(NodeId(7), true);
        assert_eq!(chosen(&targets), (Some(1), None));
        targets.set_away(NodeId(7), false);
        targets.set_away(NodeId(2), true);
        assert_eq!(chosen(&targets), (Some(1), Some(7)));
        targets.set_away(NodeId(6), false);
        assert_eq!(chosen(&targets), (Some(1), Some(6)));
    }
}
