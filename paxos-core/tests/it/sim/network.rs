//! What becomes of mail on its way.

use paxos_core::NodeId;
use paxos_core::rng::Rng;
use std::collections::BTreeSet;

#[derive(Debug)]
pub struct Network {
    /// Messages lost, in 1/1000.
    pub loss: u64,
    /// Messages delivered twice, in 1/1000.
    pub duplication: u64,
    /// Messages that take much longer than others, in 1/1000: they arrive out of order.
    pub straggling: u64,
    /// Pairs (from, to) that are cut.
    pub cut: BTreeSet<(NodeId, NodeId)>,
}

/// The fate of one message: when its copies arrive. None: it is lost.
pub type Arrivals = Vec<u64>;

impl Network {
    pub fn calm() -> Network {
        Network { loss: 0, duplication: 0, straggling: 0, cut: BTreeSet::new() }
    }

    pub fn send(&self, from: NodeId, to: NodeId, rng: &mut Rng) -> Arrivals {
        if from == to {
            // A mailbox of the same process; it may be full, rarely.
            let full = self.loss > 0 && rng.between(0, 2000) == 0;
            return if full { vec![] } else { vec![rng.between(1, 5)] };
        }
        if self.cut.contains(&(from, to)) || rng.between(0, 1000) < self.loss {
            return vec![];
        }
        let copies = 1 + u64::from(rng.between(0, 1000) < self.duplication);
        let delay = |rng: &mut Rng| match rng.between(0, 1000) < self.straggling {
            true => rng.between(1_000, 2_000_000),
            false => rng.between(50, 1_500),
        };
        (0..copies).map(|_| delay(rng)).collect()
    }
}
