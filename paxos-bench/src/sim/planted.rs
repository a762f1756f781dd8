//! Bugs on demand: each must be found, or the simulation is too weak.

use super::{Violation, run};
use paxos_core::planted::{Planted, is_planted, plant};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A bug must be found within so many seeds.
pub const SEEDS_MAX: u64 = 500;

/// The bug of the rules that is there now.
pub(super) fn planted() -> Option<Planted> {
    Planted::RULES.into_iter().find(|bug| is_planted(*bug))
}

/// Looks for a bug, on so many threads. Gives back what the first seed that shows it violates;
/// nothing, where no seed shows it.
pub fn hunt(bug: Planted, threads: u64) -> Option<Violation> {
    plant(Some(bug));
    let next = AtomicU64::new(0);
    let is_found = AtomicBool::new(false);
    let first: Mutex<Option<Violation>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                // Seeds are taken in order, and each that was taken is run to its end: so the first
                // that shows the bug is always the same.
                while !is_found.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS_MAX {
                        break;
                    }
                    let Err(violation) = run(seed) else { continue };
                    is_found.store(true, Ordering::Relaxed);
                    let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
                    if first.as_ref().is_none_or(|known| known.seed > seed) {
                        *first = Some(violation);
                    }
                }
            });
        }
    });
    plant(None);
    first.into_inner().unwrap_or_else(PoisonError::into_inner)
}
