//! Sees whether two processes run with the identity of one member. Pure: it is told who came.

use crate::hello::Peer;
use paxos_core::{MemberId, Now};
use std::collections::BTreeMap;

/// Members that are watched; further ones are not.
const MEMBERS_MAX: usize = 1024;

/// It is said again after so long, if it is still so.
const SILENCE_US: u64 = 60_000_000;

/// The lives that members came with.
///
/// A life is random at each start of a process, so one that has ended never comes back. If it does
/// come after another one, both of their processes run.
#[derive(Debug, Default)]
pub(crate) struct Lives(BTreeMap<MemberId, Seen>);

#[derive(Debug)]
struct Seen {
    life: u64,
    before: Option<u64>,
    said_at: Option<Now>,
}

impl Lives {
    /// A peer has shaken hands. Gives back whether it is time to say that there are two of it.
    pub(crate) fn came(&mut self, now: Now, peer: Peer) -> bool {
        let Peer { member, life, .. } = peer;
        if !self.0.contains_key(&member) && self.0.len() >= MEMBERS_MAX {
            return false;
        }
        let first = Seen { life, before: None, said_at: None };
        let seen = self.0.entry(member).or_insert(first);
        if seen.life == life {
            return false;
        }
        let is_back = seen.before == Some(life);
        (seen.before, seen.life) = (Some(seen.life), life);
        let is_due = seen.said_at.is_none_or(|at| now.since(at) >= SILENCE_US);
        if is_back && is_due {
            seen.said_at = Some(now);
        }
        is_back && is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paxos_core::{Incarnation, NodeId};

    const SECOND: u64 = 1_000_000;

    fn peer(node: u64, life: u64) -> Peer {
        let member = MemberId { node: NodeId(node), incarnation: Incarnation(7) };
        Peer { member, life, version: 1 }
    }

    #[test]
    fn a_life_that_comes_back_is_a_second_process() {
        let mut lives = Lives::default();
        let mut came = |second: u64, life| lives.came(Now(second * SECOND), peer(3, life));
        assert!(!came(0, 1) && !came(1, 1), "it dials again");
        assert!(!came(2, 2) && !came(3, 3), "it is started again, twice");
        assert!(!came(4, 3) && came(5, 2), "a life that had ended");
        assert!(!came(6, 3) && !came(64, 2), "that was said");
        assert!(came(65, 3), "it is still so");
    }

    #[test]
    fn members_are_told_apart_and_there_are_only_so_many() {
        let mut lives = Lives::default();
        let now = Now(0);
        assert!(!lives.came(now, peer(1, 1)) && !lives.came(now, peer(2, 2)));
        assert!(!lives.came(now, peer(2, 3)) && lives.came(now, peer(2, 2)));
        let wiped = MemberId { incarnation: Incarnation(8), ..peer(1, 1).member };
        let wiped = Peer { member: wiped, ..peer(1, 5) };
        assert!(!lives.came(now, wiped) && !lives.came(now, peer(1, 1)), "another member");
        for node in 0..3 * MEMBERS_MAX as u64 {
            assert!(!lives.came(now, peer(node, 9)));
        }
        assert_eq!(lives.0.len(), MEMBERS_MAX);
    }
}
