//! Bugs on demand: each must give a counter-example, the shortest that there is.
//!
//! ```text
//! RUSTFLAGS="--cfg paxos_planted" CARGO_TARGET_DIR=target/planted \
//!     cargo test -p paxos-core --test model planted -- --nocapture
//! ```

use super::bounds::{self, Bounds};
use super::cluster::{self, Cluster};
use super::facts::Finding;
use super::{THREADS, told};
use paxos_core::planted::{Planted, plant};
use stateright::{Checker, HasDiscoveries, Model};

/// A bug, where it shows, and every invariant that it must be seen to break there.
const BUGS: [(Planted, Bounds, &[Finding]); 5] = [
    (
        Planted::ToldBeforeDurable,
        bounds::ONE_DECREE_CRASHES,
        &[Finding::VolatileTold, Finding::PromiseFell, Finding::TwoEntriesChosen],
    ),
    (
        Planted::BallotReuse,
        bounds::ONE_DECREE_CRASHES,
        &[Finding::BallotOfTwoEntries, Finding::TwoEntriesChosen],
    ),
    (Planted::OwnValue, bounds::TWO_SLOTS, &[Finding::OtherProposed, Finding::TwoEntriesChosen]),
    (
        Planted::PromiseNotRaised,
        bounds::ONE_DECREE,
        &[Finding::PromiseFell, Finding::TwoEntriesChosen],
    ),
    (Planted::VoteTakenForChoice, bounds::LEARNERS, &[Finding::AppliedOther]),
];

/// In one test, since a bug is planted in the whole process.
#[test]
fn each_gives_a_counter_example() {
    for (bug, bounds, broken) in BUGS {
        plant(Some(bug));
        let names: Vec<_> = broken.iter().map(|&finding| cluster::name(finding)).collect();
        let until = HasDiscoveries::AllOf(names.iter().copied().collect());
        let checker = Cluster::new(bounds).checker().threads(THREADS).finish_when(until);
        let checker = checker.spawn_bfs().join();
        let states = checker.unique_state_count();
        println!("{bug:?} ({}), after {states} states, within: {bounds}", bug as u32);
        for name in names {
            let path = checker.discovery(name);
            let path = path.unwrap_or_else(|| panic!("{bug:?} does not break {name}"));
            println!(" {name}:\n{}", told(checker.model(), path));
        }
        plant(None);
    }
}
