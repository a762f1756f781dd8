//! What becomes of mail on its way.

use super::setup::Shape;
use paxos_core::rng::Rng;
use paxos_core::*;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes that wait at one narrow link: as with real ones, about a window of large entries.
const QUEUE_BYTES_MAX: u64 = 16_000;

/// All links between nodes. What is outside (clients) is reached as well as nodes can be.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// Messages lost, in 1/1000.
    pub loss: u64,
    /// Messages delivered twice, in 1/1000.
    pub duplication: u64,
    /// Messages that take much longer than others, in 1/1000: they arrive out of order.
    pub straggling: u64,
    /// What every message takes longer, in microseconds.
    pub delay_us: u64,
    /// Pairs (from, to) that are cut.
    pub cut: BTreeSet<(NodeId, NodeId)>,
    /// Nodes that nobody reaches until then.
    pub away_until: BTreeMap<NodeId, u64>,
    /// Links that keep what they are given until then.
    pub clogged_until: BTreeMap<(NodeId, NodeId), u64>,
    /// What a link between two nodes carries, in bytes per millisecond; none: all there is.
    pub rate: Option<u64>,
    /// When each narrow link will have carried all that waits there, in microseconds.
    busy_until: BTreeMap<(NodeId, NodeId), u64>,
}

/// The fate of one message: when its copies arrive. None: it is lost.
pub(super) type Arrivals = Vec<u64>;

impl Network {
    /// Ends what is wrong. Narrow links are not: they stay narrow, and what waits there waits.
    pub fn heal(&mut self) {
        let busy_until = std::mem::take(&mut self.busy_until);
        *self = Network { rate: self.rate, busy_until, ..Network::default() };
    }

    /// Cuts all links between these nodes but those that `is_kept` names.
    pub fn keep(&mut self, nodes: &BTreeSet<NodeId>, is_kept: impl Fn(NodeId, NodeId) -> bool) {
        let pairs = nodes.iter().flat_map(|&a| nodes.iter().map(move |&b| (a, b)));
        let cut = pairs.filter(|&(a, b)| a != b && !is_kept(a, b));
        self.cut.extend(cut);
    }

    /// Gives the network a shape around the node `middle`, with the last leader where the shape has
    /// a place for it. Gives back the nodes that can go on.
    pub fn shape(
        &mut self,
        shape: Shape,
        nodes: &BTreeSet<NodeId>,
        leader: NodeId,
        middle: NodeId,
    ) -> BTreeSet<NodeId> {
        let mut others = nodes.iter().copied().filter(|&node| node != leader && node != middle);
        let near = |middle: NodeId| move |a: NodeId, b: NodeId| a == middle || b == middle;
        match shape {
            Shape::Star => {
                self.keep(nodes, near(middle));
                nodes.clone()
            }
            Shape::Constrained => {
                self.keep(nodes, |a, b| near(middle)(a, b) && a != leader && b != leader);
                nodes.iter().copied().filter(|&node| node != leader).collect()
            }
            Shape::StaleLeader => {
                let able: BTreeSet<NodeId> = others.by_ref().take(2).chain([middle]).collect();
                let inside = |a, b| able.contains(&a) && able.contains(&b);
                let across = |a, b| (a == leader && b == middle) || (a == middle && b == leader);
                self.keep(nodes, |a, b| inside(a, b) || across(a, b));
                able
            }
        }
    }

    pub fn send(
        &mut self,
        now: u64,
        from: NodeId,
        to: NodeId,
        bytes: u64,
        rng: &mut Rng,
    ) -> Arrivals {
        if from == to {
            // A mailbox of the same process; it may be full, rarely.
            let full = self.loss > 0 && rng.between(0, 2000) == 0;
            return if full { vec![] } else { vec![rng.between(1, 5)] };
        }
        if self.cut.contains(&(from, to)) || rng.between(0, 1000) < self.loss {
            return vec![];
        }
        let is_away = |node| self.away_until.get(&node).is_some_and(|&until| now < until);
        if is_away(from) || is_away(to) {
            return vec![];
        }
        let Some(queued) = self.queue(now, from, to, bytes) else { return vec![] };
        let clogged =
            self.clogged_until.get(&(from, to)).map_or(0, |until| until.saturating_sub(now));
        let copies = 1 + u64::from(rng.between(0, 1000) < self.duplication);
        let straggling = self.straggling;
        let wait = |rng: &mut Rng| match rng.between(0, 1000) < straggling {
            true => rng.between(1_000, 2_000_000),
            false => rng.between(50, 1_500),
        };
        // A narrow link keeps the order of what it carries.
        let jitter = queued.map(|_| 50);
        let longer = queued.unwrap_or(0) + clogged + self.delay_us;
        (0..copies).map(|_| longer + jitter.unwrap_or_else(|| wait(rng))).collect()
    }

    /// How long until a link has carried these bytes, behind all that waits there; `Some(None)` at
    /// a link that is not narrow. None: too much waits, so that the message is lost.
    fn queue(&mut self, now: u64, from: NodeId, to: NodeId, bytes: u64) -> Option<Option<u64>> {
        let Some(rate) = self.rate.filter(|_| bytes > 0) else { return Some(None) };
        let busy_until = self.busy_until.entry((from, to)).or_default();
        let waits = busy_until.saturating_sub(now);
        if waits * rate / 1000 >= QUEUE_BYTES_MAX {
            return None;
        }
        let queued = waits + bytes * 1000 / rate;
        *busy_until = now + queued;
        Some(Some(queued))
    }
}

/// Bytes of a message between nodes, about.
pub(super) fn bytes(packet: &Packet) -> u64 {
    let entries = |entries: &Entries| entries.entries.iter().map(Entry::weight).sum::<usize>();
    let payload = match packet {
        Packet::Acceptor(AcceptorMsg::Accept { entry, .. }) => entry.weight(),
        Packet::Acceptor(AcceptorMsg::Entries(e)) | Packet::Learner(LearnerMsg::Entries(e)) => {
            entries(e)
        }
        Packet::Learner(LearnerMsg::Voted { vote, .. }) => vote.entry.weight(),
        Packet::Learner(LearnerMsg::SnapshotPart { data, .. }) => data.len(),
        Packet::Proposer(ProposerMsg::Promise { part, .. }) => {
            part.votes.iter().map(|(_, vote)| vote.entry.weight()).sum()
        }
        Packet::Proposer(ProposerMsg::Propose { commands, .. }) => {
            commands.iter().map(Command::weight).sum()
        }
        _ => 0,
    };
    16 + payload as u64
}
