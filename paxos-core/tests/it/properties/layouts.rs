//! Layouts: what is accepted can work, and what is written can be read.

use super::cases;
use paxos_core::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn parts() -> impl Strategy<Value = BTreeMap<NodeId, Part>> {
    let roles = (any::<bool>(), any::<bool>(), any::<bool>());
    let roles =
        roles.prop_map(|(proposer, acceptor, learner)| Roles { proposer, acceptor, learner });
    let part = (roles, proptest::option::weighted(0.05, 0..9u64)).prop_map(|(roles, fed_by)| {
        Part { roles, fed_by: fed_by.filter(|_| roles.learner).map(NodeId) }
    });
    proptest::collection::btree_map((0..9u64).prop_map(NodeId), part, 1..9)
}

fn rules() -> impl Strategy<Value = QuorumRule> {
    let sizes = (0..7usize, 0..7usize);
    let grid = (0..4usize, 0..4usize);
    prop_oneof![
        4 => Just(QuorumRule::Majority),
        1 => sizes.prop_map(|(phase1, phase2)| QuorumRule::Sizes { phase1, phase2 }),
        1 => grid.prop_map(|(rows, columns)| QuorumRule::Grid { rows, columns }),
    ]
}

proptest! {
    #![proptest_config(cases())]

    /// A layout that is not refused has what each role needs of the others: a learner for each
    /// proposer, of its own; an acceptor that feeds each learner; quorums that meet; and learners
    /// on enough disks where acceptors have none beside them (R26).
    #[test]
    fn what_is_accepted_can_work(parts in parts(), rule in rules()) {
        let Ok(layout) = Layout::of(&parts, rule) else { return Ok(()) };
        prop_assert_eq!(layout.check(), Ok(()));
        let mut taken = BTreeSet::new();
        for &node in &layout.proposers {
            let learner = layout.learner_of(node).expect("each proposer has a learner");
            prop_assert!(layout.roles(learner).learner);
            prop_assert_eq!(layout.proposer_of(learner), Some(node));
            prop_assert!(taken.insert(learner), "{} serves two proposers", learner);
        }
        for feed in &layout.learners {
            prop_assert!(layout.acceptors.contains(&feed.acceptor));
            prop_assert!(layout.proposer_of(feed.learner).is_some());
            let is_own = feed.acceptor == feed.learner;
            prop_assert!(is_own || !layout.acceptors.contains(&feed.learner));
        }
        let all = 1u32 << layout.acceptors.len();
        for set in 0..all {
            let others = (all - 1) & !set;
            prop_assert!(!(layout.quorums.phase1(set) && layout.quorums.phase2(others)));
        }
        let voters = layout.acceptors.iter().filter(|&&node| !layout.roles(node).learner);
        prop_assert!(voters.count() == 0 || layout.learners.len() >= layout.quorums.phase2_min());
    }

    /// Each node has in the layout the roles that were written for it, and no other.
    #[test]
    fn nodes_have_the_roles_of_their_parts(parts in parts(), rule in rules()) {
        let Ok(layout) = Layout::of(&parts, rule) else { return Ok(()) };
        for (&node, part) in &parts {
            prop_assert_eq!(layout.roles(node), part.roles);
            let feed = layout.learners.iter().find(|feed| feed.learner == node);
            if let Some(named) = part.fed_by {
                prop_assert_eq!(feed.map(|feed| feed.acceptor), Some(named));
            }
        }
        let with_roles = parts.iter().filter(|(_, part)| !part.roles.is_empty());
        prop_assert_eq!(layout.nodes(), with_roles.map(|(&node, _)| node).collect());
    }

    /// A roster is complete or not there: it names each acceptor's incarnation.
    #[test]
    fn a_roster_waits_for_every_acceptor(count in 1..9u64, missing in 0..12u64) {
        let layout = Layout::full(&(0..count).map(NodeId).collect::<Vec<_>>()).unwrap();
        let known = |node: NodeId| (node.0 != missing).then_some(Incarnation(100 + node.0));
        let roster = layout.roster(known);
        prop_assert_eq!(roster.is_some(), missing >= count);
        for member in roster.iter().flat_map(|roster| &roster.acceptors) {
            prop_assert_eq!(member.incarnation.0, 100 + member.node.0);
        }
    }

    /// What is written of a part, or of a rule of quorums, reads as the same.
    #[test]
    fn text_reads_as_it_was_written(parts in parts(), rule in rules()) {
        for part in parts.values().filter(|part| !part.roles.is_empty()) {
            prop_assert_eq!(part.to_string().parse::<Part>().ok(), Some(*part));
        }
        prop_assert_eq!(rule.to_string().parse::<QuorumRule>().ok(), Some(rule));
    }

    /// Whatever somebody writes is read or refused with a word on what to write; nothing panics.
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9@+,x ]{0,24}") {
        if let Err(error) = text.parse::<Part>() {
            prop_assert!(!error.to_string().is_empty());
        }
        let _ = text.parse::<QuorumRule>();
    }

    /// Two layouts that differ have other fingerprints: so nodes find out that they do.
    #[test]
    fn fingerprints_tell_layouts_apart(one in parts(), other in parts(), rule in rules()) {
        if let (Ok(one), Ok(other)) = (Layout::of(&one, rule), Layout::of(&other, rule)) {
            prop_assert_eq!(one == other, one.fingerprint() == other.fingerprint());
        }
    }
}
