//! A machine of the simulation, and the process that runs on it.

use super::disk::Disk;
use super::machine::Lists;
use super::shelf::Shelf;
use paxos_core::rng::Rng;
use paxos_core::*;

/// A machine: its disks outlive its processes.
pub struct Node {
    pub me: MemberId,
    pub disk: Disk,
    pub shelf: Shelf,
    pub boot: u64,
    /// The clock runs this much too fast, in 1/1000, from this time on.
    pub drift: u64,
    pub paused_until: u64,
    pub process: Option<Process>,
}

/// The roles that the layout gives a node.
pub struct Process {
    pub acceptor: Option<Voter>,
    pub proposer: Option<Proposer>,
    pub learner: Option<Learner<Lists>>,
}

/// An acceptor and what holds its mail back.
pub struct Voter {
    pub acceptor: Acceptor,
    pub gate: Gate,
    pub promised: Ballot,
}

/// Which roles work together. The shell of a real node finds this out from the layout.
#[derive(Clone, Debug)]
pub struct Cast {
    pub layout: Layout,
    /// (proposer, the learner that it is paired with).
    pub pairs: Vec<(NodeId, NodeId)>,
    /// (learner, the proposer that it asks).
    pub asks: Vec<(NodeId, NodeId)>,
}

impl Node {
    pub fn new(node: NodeId) -> Node {
        Node {
            me: MemberId { node, incarnation: Incarnation(node.0 * 7) },
            disk: Disk::default(),
            shelf: Shelf::default(),
            boot: 0,
            drift: 0,
            paused_until: 0,
            process: None,
        }
    }

    pub fn acceptor(&self) -> Option<&Acceptor> {
        Some(&self.process.as_ref()?.acceptor.as_ref()?.acceptor)
    }

    pub fn proposer(&self) -> Option<&Proposer> {
        self.process.as_ref()?.proposer.as_ref()
    }

    pub fn learner(&self) -> Option<&Learner<Lists>> {
        self.process.as_ref()?.learner.as_ref()
    }
}

impl Cast {
    /// All roles on every node, or roles apart: by the seed.
    pub fn draw(rng: &mut Rng) -> Cast {
        match rng.between(0, 9) {
            0 => Cast::apart(),
            1 => Cast::mixed(),
            roll => Cast::full([1, 3, 3, 3, 3, 5, 5][roll as usize - 2]),
        }
    }

    fn full(n: u64) -> Cast {
        let ids: Vec<NodeId> = (1..=n).map(NodeId).collect();
        let own: Vec<_> = ids.iter().map(|&node| (node, node)).collect();
        let layout = Layout::full(&ids).expect("a sound layout");
        Cast { layout, pairs: own.clone(), asks: own }
    }

    /// Three acceptors, two proposers, two learners: seven processes.
    fn apart() -> Cast {
        let ids = |ids: &[u64]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
        let layout = Layout {
            acceptors: ids(&[1, 2, 3]),
            proposers: ids(&[4, 5]),
            learners: vec![feed(6, 1), feed(7, 2)],
            quorums: Quorums::majority(3).expect("they meet"),
            window: Layout::WINDOW,
            sessions: SessionRules::default(),
        };
        let pairs = vec![(NodeId(4), NodeId(6)), (NodeId(5), NodeId(7))];
        let asks = pairs.iter().map(|&(proposer, learner)| (learner, proposer)).collect();
        Cast { layout, pairs, asks }
    }

    /// Three nodes with all roles, two that only vote, one that only learns.
    fn mixed() -> Cast {
        let Cast { mut layout, pairs, mut asks } = Cast::full(3);
        layout.acceptors.extend([NodeId(4), NodeId(5)]);
        layout.learners.push(feed(6, 4));
        layout.quorums = Quorums::majority(5).expect("they meet");
        asks.push((NodeId(6), NodeId(1)));
        Cast { layout, pairs, asks }
    }

    /// The number of nodes: they are numbered from 1.
    pub fn size(&self) -> u64 {
        let Layout { acceptors, proposers, learners, .. } = &self.layout;
        let learners = learners.iter().map(|feed| &feed.learner);
        let nodes = acceptors.iter().chain(proposers).chain(learners);
        nodes.map(|node| node.0).max().unwrap_or(0)
    }

    /// The node that takes this packet when a client gives it to `node`.
    pub fn takes(&self, node: NodeId, packet: &Packet) -> NodeId {
        let other = |pairs: &[(NodeId, NodeId)]| {
            pairs.iter().find(|(one, _)| *one == node).map(|&(_, other)| other)
        };
        let has_proposer = self.layout.proposers.contains(&node);
        let has_learner = self.layout.learners.iter().any(|feed| feed.learner == node);
        match packet {
            Packet::Proposer(_) if !has_proposer => other(&self.asks).unwrap_or(self.pairs[0].0),
            Packet::Learner(_) if !has_learner => other(&self.pairs).unwrap_or(self.asks[0].0),
            _ => node,
        }
    }
}

fn feed(learner: u64, acceptor: u64) -> Feed {
    Feed { learner: NodeId(learner), acceptor: NodeId(acceptor) }
}
