//! What a fault of links does to which of them. Pure.

use super::fault::Kind;
use super::plan::shuffle;
use paxos_core::rng::Rng;
use std::collections::BTreeMap;

/// How one link passes what goes one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Nothing passes.
    pub is_blocked: bool,
    /// Everything comes so much later.
    pub delay_ms: u64,
    /// And each thing later by less than this, so that mail overtakes mail; bytes cannot.
    pub jitter_ms: u64,
    /// No more bytes than this pass in a second.
    pub bytes_per_s: Option<u64>,
    /// Of a hundred letters so many are lost; bytes cannot be.
    pub loss_percent: u64,
    /// Of a hundred letters so many come twice; bytes cannot.
    pub twice_percent: u64,
}

impl Way {
    /// Nothing passes.
    pub const BLOCKED: Way = Way {
        is_blocked: true,
        delay_ms: 0,
        jitter_ms: 0,
        bytes_per_s: None,
        loss_percent: 0,
        twice_percent: 0,
    };
}

/// Ways that are not as they should be, by who sends and who hears; nodes are numbered from 0.
pub type Shape = BTreeMap<(usize, usize), Way>;

/// What a fault does to the links of so many nodes, one of which leads. A fault that is none of
/// links does nothing to them.
pub fn shape(kind: Kind, nodes: usize, leader: usize, rng: &mut Rng) -> Shape {
    let mut order: Vec<usize> = (0..nodes).collect();
    shuffle(&mut order, rng);
    let one = order[0];
    // So many are still a minority.
    let few = (nodes - 1) / 2;
    let place = |node| order.iter().position(|&other| other == node).unwrap_or_default();
    let slow = Way { delay_ms: rng.between(20, 120), jitter_ms: 20, ..Way::default() };
    match kind {
        Kind::Halves => blocked(nodes, |a, b| (place(a) < few) != (place(b) < few)),
        Kind::IsolateOne | Kind::Stall => blocked(nodes, |a, b| a == one || b == one),
        Kind::IsolateLeader => blocked(nodes, |a, b| a == leader || b == leader),
        Kind::Bridge => {
            // The last one in order hears both; the others are in halves.
            let side = |node| place(node) < nodes / 2;
            let bridge = order[nodes - 1];
            blocked(nodes, |a, b| a != bridge && b != bridge && side(a) != side(b))
        }
        Kind::OneWay if rng.between(0, 2) == 0 => blocked(nodes, |a, _| a == one),
        Kind::OneWay => blocked(nodes, |_, b| b == one),
        Kind::MajorityRing => {
            // Each hears so many on either side of it in a ring, and itself.
            let reach = (nodes / 2).div_ceil(2);
            let apart = |a: usize, b: usize| {
                let apart = place(a).abs_diff(place(b));
                apart.min(nodes - apart)
            };
            blocked(nodes, |a, b| apart(a, b) > reach)
        }
        Kind::SlowLinks => ways(nodes, slow, |_, _| true),
        Kind::Throttle => {
            let bytes_per_s = Some(rng.between(2_000, 50_000));
            ways(nodes, Way { bytes_per_s, ..Way::default() }, |a, b| a == one || b == one)
        }
        Kind::LossyLinks => {
            let (loss_percent, twice_percent) = (rng.between(5, 30), rng.between(5, 50));
            let lossy = Way { loss_percent, twice_percent, jitter_ms: 20, ..Way::default() };
            ways(nodes, lossy, |_, _| true)
        }
        _ => Shape::new(),
    }
}

fn blocked(nodes: usize, is: impl Fn(usize, usize) -> bool) -> Shape {
    ways(nodes, Way::BLOCKED, is)
}

fn ways(nodes: usize, way: Way, is: impl Fn(usize, usize) -> bool) -> Shape {
    let pairs = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
    pairs.filter(|&(from, to)| from != to && is(from, to)).map(|pair| (pair, way)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Whom each node hears, itself too.
    fn heard(nodes: usize, shape: &Shape) -> Vec<BTreeSet<usize>> {
        let hears = |from, to| !shape.get(&(from, to)).is_some_and(|way| way.is_blocked);
        let all = |to| (0..nodes).filter(|&from| hears(from, to)).collect();
        (0..nodes).map(all).collect()
    }

    fn each(kind: Kind, nodes: usize, check: impl Fn(Vec<BTreeSet<usize>>)) {
        for seed in 0..50 {
            check(heard(nodes, &shape(kind, nodes, 1, &mut Rng::new(seed))));
        }
    }

    #[test]
    fn halves_are_a_minority_and_a_majority() {
        for nodes in [3, 4, 5, 7] {
            each(Kind::Halves, nodes, |heard| {
                let sizes: BTreeSet<_> = heard.iter().map(BTreeSet::len).collect();
                assert_eq!(sizes, [(nodes - 1) / 2, nodes - (nodes - 1) / 2].into());
            });
        }
    }

    #[test]
    fn who_is_isolated_hears_itself_alone_and_nobody_hears_it() {
        let alone = |heard: &Vec<BTreeSet<usize>>, node: usize| {
            heard[node].len() == 1
                && heard.iter().filter(|heard| heard.contains(&node)).count() == 1
        };
        each(Kind::IsolateOne, 5, |heard| {
            assert_eq!((0..5).filter(|&node| alone(&heard, node)).count(), 1);
        });
        each(Kind::IsolateLeader, 5, |heard| assert!(alone(&heard, 1)));
    }

    #[test]
    fn a_bridge_is_heard_by_all_and_joins_halves_that_do_not_hear_each_other() {
        for nodes in [3, 5, 7] {
            each(Kind::Bridge, nodes, |heard| {
                let all: Vec<_> = (0..nodes).filter(|&at| heard[at].len() == nodes).collect();
                assert_eq!(all.len(), 1);
                assert!(heard.iter().all(|heard| heard.contains(&all[0])));
            });
        }
    }

    #[test]
    fn one_way_leaves_the_other_way() {
        each(Kind::OneWay, 5, |heard| {
            let deaf = heard.iter().filter(|heard| heard.len() == 1).count();
            let mute = heard.iter().filter(|heard| heard.len() == 4).count();
            assert!((deaf, mute) == (1, 0) || (deaf, mute) == (0, 4), "{heard:?}");
        });
    }

    #[test]
    fn in_a_ring_each_hears_a_majority_and_no_two_the_same() {
        for nodes in [5, 6, 7] {
            each(Kind::MajorityRing, nodes, |heard| {
                let most = nodes / 2 + 1..nodes;
                assert!(heard.iter().all(|heard| most.contains(&heard.len())));
                assert_eq!(heard.iter().collect::<BTreeSet<_>>().len(), nodes);
            });
        }
        each(Kind::MajorityRing, 5, |heard| assert!(heard.iter().all(|heard| heard.len() == 3)));
    }
}
