//! Bugs on demand: each must be found by the simulation, or the simulation is too weak.
//!
//! ```text
//! RUSTFLAGS="--cfg paxos_planted" CARGO_TARGET_DIR=target/planted cargo test -p paxos-core planted
//! ```

use super::run;
use paxos_core::planted::{Planted, plant};

/// A bug must be found within so many seeds.
const SEEDS_MAX: u64 = 500;

#[test]
fn every_planted_bug_is_found() {
    for bug in Planted::ALL {
        plant(Some(bug));
        let found = (0..SEEDS_MAX).find_map(|seed| Some((seed, run(seed).err()?)));
        plant(None);
        let (seed, violation) = found.unwrap_or_else(|| panic!("{bug:?} is not found"));
        let violation = violation.lines().next().unwrap_or_default();
        println!("{bug:?} ({}): after {} seeds: {violation}", bug as u32, seed + 1);
    }
}
