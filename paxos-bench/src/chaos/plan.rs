//! When which fault strikes: all of it from one seed. Pure.

use super::fault::{Class, Kind};
use paxos_core::rng::Rng;
use std::time::Duration;

/// One event: its faults begin together, and are healed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// One fault, or two of different classes.
    pub kinds: Vec<Kind>,
    /// Decides what the kinds leave open, such as which node it is.
    pub seed: u64,
    /// How long until they are healed.
    pub hold: Duration,
    /// How long until the next event.
    pub calm: Duration,
}

/// How fast events come, in milliseconds: at least, and less than.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long a fault lasts.
    pub hold_ms: (u64, u64),
    /// How long it is quiet.
    pub calm_ms: (u64, u64),
}

/// One event in so many has two faults, if two are at hand.
const PAIR_ONE_IN: u64 = 4;

/// Events without an end. Kinds come in rounds, each in another order: after as many events as
/// there are kinds, each of them was there.
#[derive(Clone, Debug)]
pub struct Plan {
    kinds: Vec<Kind>,
    pace: Pace,
    rng: Rng,
    round: Vec<Kind>,
}

impl Plan {
    /// The plan that belongs to a seed. Without kinds it has no event.
    pub fn new(seed: u64, kinds: &[Kind], pace: Pace) -> Plan {
        Plan { kinds: kinds.to_vec(), pace, rng: Rng::new(seed), round: Vec::new() }
    }

    /// A second kind, out of the same round, that can strike together with the first.
    fn partner(&mut self, first: Kind) -> Option<Kind> {
        if self.rng.between(0, PAIR_ONE_IN) != 0 {
            return None;
        }
        let wanted = match first.class() {
            Class::Nodes => Class::Links,
            Class::Links => Class::Nodes,
            Class::Disks => return None,
        };
        let at = self.round.iter().rposition(|kind| kind.class() == wanted)?;
        Some(self.round.remove(at))
    }
}

impl Iterator for Plan {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        if self.round.is_empty() {
            self.round = self.kinds.clone();
            shuffle(&mut self.round, &mut self.rng);
        }
        let first = self.round.pop()?;
        let mut kinds = vec![first];
        kinds.extend(self.partner(first));
        let Pace { hold_ms, calm_ms } = self.pace;
        let hold = Duration::from_millis(self.rng.between(hold_ms.0, hold_ms.1));
        let calm = Duration::from_millis(self.rng.between(calm_ms.0, calm_ms.1));
        Some(Event { kinds, seed: self.rng.next_u64(), hold, calm })
    }
}

/// Any order, all as likely (Fisher and Yates).
pub(super) fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for at in (1..items.len()).rev() {
        items.swap(at, rng.between(0, at as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    const PACE: Pace = Pace { hold_ms: (100, 200), calm_ms: (10, 20) };

    #[test]
    fn a_seed_has_one_plan_and_another_seed_another() {
        for kinds in [Kind::PROCESSES, Kind::ACTORS] {
            let plan = |seed| Plan::new(seed, kinds, PACE).take(100).collect::<Vec<_>>();
            assert_eq!(plan(1), plan(1));
            assert_ne!(plan(1), plan(2));
        }
        assert_eq!(Plan::new(1, &[], PACE).next(), None);
    }

    #[test]
    fn each_round_has_every_kind_once() {
        for seed in 0..50 {
            let events = Plan::new(seed, Kind::PROCESSES, PACE).take(200);
            let kinds: Vec<Kind> = events.flat_map(|event| event.kinds).collect();
            for round in kinds.chunks_exact(Kind::PROCESSES.len()) {
                let found: BTreeSet<Kind> = round.iter().copied().collect();
                assert_eq!(found.len(), Kind::PROCESSES.len(), "seed {seed}: {round:?}");
            }
        }
    }

    #[test]
    fn pairs_are_of_nodes_and_links_and_times_are_within_the_pace() {
        let mut pairs = BTreeMap::new();
        for event in Plan::new(7, Kind::PROCESSES, PACE).take(2000) {
            assert!((100..200).contains(&event.hold.as_millis()), "{event:?}");
            assert!((10..20).contains(&event.calm.as_millis()), "{event:?}");
            if let [one, two] = event.kinds[..] {
                let classes = [one.class(), two.class()];
                assert!(!classes.contains(&Class::Disks) && classes[0] != classes[1], "{event:?}");
                *pairs.entry((one, two)).or_insert(0) += 1;
            }
        }
        assert!(pairs.len() > 50, "many different pairs: {}", pairs.len());
    }
}
