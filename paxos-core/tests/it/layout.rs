//! Which layouts there are, who is paired with whom, and what is refused.

use paxos_core::quorum::QuorumError;
use paxos_core::*;
use std::collections::BTreeMap;

fn nodes(ids: &[u64]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

fn feed(learner: u64, acceptor: u64) -> Feed {
    Feed { learner: NodeId(learner), acceptor: NodeId(acceptor) }
}

/// Proposers at 4 and 5, learners at 6, 7 and 8, acceptors at 1, 2 and 3.
fn separate() -> Layout {
    Layout {
        acceptors: nodes(&[1, 2, 3]),
        proposers: nodes(&[4, 5]),
        learners: vec![feed(6, 1), feed(7, 2), feed(8, 3)],
        quorums: Quorums::majority(3).unwrap(),
        window: 16,
        sessions: SessionRules::default(),
    }
}

fn parts(text: &[(u64, &str)]) -> BTreeMap<NodeId, Part> {
    text.iter().map(|&(node, part)| (NodeId(node), part.parse().unwrap())).collect()
}

fn of(text: &[(u64, &str)]) -> Result<Layout, LayoutError> {
    Layout::of(&parts(text), QuorumRule::Majority)
}

const ALL: &str = "proposer+acceptor+learner";

#[test]
fn a_node_with_all_roles_is_its_own_pair() {
    let full = Layout::full(&nodes(&[1, 2, 3])).unwrap();
    assert_eq!(full.check(), Ok(()));
    let own = Some(NodeId(2));
    assert_eq!((full.learner_of(NodeId(2)), full.proposer_of(NodeId(2))), (own, own));
    assert_eq!(full.roles(NodeId(2)), Roles::ALL);
    assert_eq!(of(&[(1, ALL), (2, ALL), (3, ALL)]), Ok(full));
}

#[test]
fn separate_roles_are_paired_both_ways_and_a_learner_left_over_shares() {
    let layout = separate();
    assert_eq!(layout.check(), Ok(()));
    let pairs = |node| (layout.learner_of(NodeId(node)), layout.proposer_of(NodeId(node)));
    assert_eq!(pairs(1), (None, None));
    assert_eq!((pairs(4), pairs(6)), ((Some(NodeId(6)), None), (None, Some(NodeId(4)))));
    assert_eq!((pairs(5), pairs(7)), ((Some(NodeId(7)), None), (None, Some(NodeId(5)))));
    assert_eq!(pairs(8), (None, Some(NodeId(4))));
    assert_eq!(pairs(9), (None, None));
    assert!(layout.roles(NodeId(9)).is_empty());
    assert_eq!(layout.nodes(), (1..=8).map(NodeId).collect());
}

#[test]
fn learners_are_fed_by_their_own_node_else_as_named_else_by_the_least_loaded_in_order() {
    let text = [
        (1, ALL),
        (2, "acceptor"),
        (3, "acceptor"),
        (4, "learner"),
        (5, "learner@3"),
        (6, "learner"),
        (7, "proposer+learner"),
    ];
    let feeds = [feed(1, 1), feed(4, 2), feed(5, 3), feed(6, 1), feed(7, 2)];
    assert_eq!(of(&text).unwrap().learners, feeds);
}

#[test]
fn a_layout_that_cannot_work_is_refused_by_name() {
    let refused = |change: fn(&mut Layout)| {
        let mut layout = separate();
        change(&mut layout);
        layout.check().unwrap_err()
    };
    assert_eq!(refused(|l| l.learners.clear()), LayoutError::Missing("learner"));
    assert_eq!(refused(|l| l.acceptors.reverse()), LayoutError::Unordered("acceptor"));
    assert_eq!(refused(|l| l.proposers.push(NodeId(5))), LayoutError::Unordered("proposer"));
    assert_eq!(
        refused(|l| l.acceptors.push(NodeId(9))),
        LayoutError::Quorums { quorums: 3, acceptors: 4 }
    );
    assert_eq!(
        refused(|l| l.learners[0].acceptor = NodeId(4)),
        LayoutError::Feed { learner: NodeId(6), acceptor: NodeId(4) }
    );
    assert_eq!(refused(|l| l.learners.insert(0, feed(1, 2))), LayoutError::OwnFeed(NodeId(1)));
    assert_eq!(refused(|l| l.learners.truncate(1)), LayoutError::Unpaired(NodeId(5)));
    for window in [0, Layout::WINDOW_MAX + 1] {
        let layout = Layout { window, ..separate() };
        assert_eq!(layout.check(), Err(LayoutError::Window(window)));
    }
    let most = Layout::NODES_MAX as u64;
    let proposers = |count| (10..10 + count).map(NodeId).collect::<Vec<_>>();
    let learners = |count| (10..10 + count).map(|node| feed(node, 1)).collect::<Vec<_>>();
    let layout =
        |count| Layout { proposers: proposers(count), learners: learners(count), ..separate() };
    assert_eq!(layout(most).check(), Ok(()));
    let excess = LayoutError::TooMany { role: "proposer", count: Layout::NODES_MAX + 1 };
    assert_eq!(layout(most + 1).check(), Err(excess));
}

/// R26: three acceptors of five have a learner beside them; the two others need learners on as
/// many nodes as the smallest phase-2 quorum has. Where all have their own, nobody needs more.
#[test]
fn r26_a_layout_with_too_few_learners_for_its_voters_is_refused() {
    let text = [(1, ALL), (2, "acceptor"), (3, "acceptor")];
    let error = LayoutError::TooFewLearners { learners: 1, needed: 2, voter: NodeId(2) };
    assert_eq!(of(&text), Err(error));
    let said = error.to_string();
    assert!(said.contains("add learners, or give node 2 one"), "{said}");
    // With a learner more, or with smaller phase-2 quorums, it can work.
    assert!(of(&[(1, ALL), (2, "acceptor"), (3, "acceptor"), (4, "learner")]).is_ok());
    let small = QuorumRule::Sizes { phase1: 3, phase2: 1 };
    assert!(Layout::of(&parts(&text), small).is_ok());
    let larger = QuorumRule::Sizes { phase1: 1, phase2: 3 };
    let full = [(1, ALL), (2, "acceptor+learner"), (3, "acceptor+learner")];
    assert!(Layout::of(&parts(&full), larger).is_ok());
}

#[test]
fn quorums_that_need_not_meet_are_refused() {
    let full = parts(&[(1, ALL), (2, ALL), (3, ALL)]);
    let rule: QuorumRule = "1,2".parse().unwrap();
    let disjoint = QuorumError::Disjoint { phase1: 1, phase2: 2, acceptors: 3 };
    assert_eq!(Layout::of(&full, rule), Err(LayoutError::Unsound(disjoint)));
    let rule = "2x3".parse().unwrap();
    let other = LayoutError::Quorums { quorums: 6, acceptors: 3 };
    assert_eq!(Layout::of(&full, rule), Err(other));
}

#[test]
fn what_a_node_is_to_be_reads_as_it_is_written() {
    for text in [ALL, "acceptor", "proposer+learner", "learner@3", "proposer+learner@12"] {
        assert_eq!(text.parse::<Part>().unwrap().to_string(), text);
    }
    for text in ["majority", "4,2", "2x3"] {
        assert_eq!(text.parse::<QuorumRule>().unwrap().to_string(), text);
    }
    assert_eq!("learner, acceptor".parse::<Roles>().unwrap().to_string(), "acceptor+learner");
    let refused = |text: &str| text.parse::<Part>().unwrap_err().to_string();
    assert!(refused("leader").contains("\"leader\" is no role"));
    assert!(refused("").contains("there are proposer, acceptor and learner"));
    assert!(refused("learner+learner").contains("named twice"));
    assert!(refused("learner@x").contains("write learner@3"));
    assert!(refused("proposer@3").contains("only learners are"));
    for text in ["", "3", "most", "3x", "x", "-1,4"] {
        assert!(text.parse::<QuorumRule>().is_err(), "{text}");
    }
}

#[test]
fn quorums_are_shown_as_their_rule_is_written() {
    let four = parts(&[(1, ALL), (2, ALL), (3, ALL), (4, ALL)]);
    for rule in ["majority", "4,1", "2x2"] {
        let layout = Layout::of(&four, rule.parse().unwrap()).unwrap();
        assert_eq!(layout.quorums.to_string(), rule);
    }
}

#[test]
fn timing_that_no_cluster_could_keep_is_refused() {
    let said = |heartbeat, timeout| Timing::new(heartbeat, timeout).map_err(|e| e.to_string());
    let too_short = "an election timeout of 9 ms is too short: at least 10 ms".to_owned();
    assert_eq!(said(1, 9), Err(too_short));
    assert!(said(3, 10).is_ok() && said(4, 10).is_err() && said(0, 300).is_err());
    assert!(said(50, 600_000).is_ok() && said(50, 600_001).is_err());
}
