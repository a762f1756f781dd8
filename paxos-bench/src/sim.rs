//! Whole clusters in virtual time, on one thread, where one seed decides everything: who takes part
//! and with which roles, timings, clocks, the workload, and what the network, the disks and the
//! processes do wrong.
//!
//! Nothing of what is tested is made for the test: it is the roles of `paxos-core`, the log and the
//! snapshot files of `paxos-actors` on a disk in memory, and the store and sessions of `paxos-kv`.
//! What actors, mailboxes and sockets do, and threads, the simulation does instead.
//!
//! ```
//! use paxos_bench::sim;
//!
//! let report = sim::run(7).expect("a violation prints what went wrong, and how to see it again");
//! assert!(report.done > 0);
//! ```

mod clients;
mod disk;
mod faults;
mod network;
mod node;
mod observer;
#[cfg(paxos_planted)]
pub mod planted;
mod queue;
mod recovery;
mod report;
mod setup;
mod storage;
mod witness;
mod world;

pub use faults::FaultKind;
pub use report::{Campaign, Report, Violation, Which};

use paxos_core::rng::Rng;
use setup::Setup;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use world::World;

/// Runs one seed to its end.
pub fn run(seed: u64) -> Result<Report, Violation> {
    run_traced(seed, false).1
}

/// Runs one seed, and tells all that happened, line by line: the same for the same seed.
pub fn trace(seed: u64) -> (String, Result<Report, Violation>) {
    run_traced(seed, true)
}

/// A cluster without faults under a steady load, for a minute of virtual time: how fast it is.
pub fn calm(nodes: u64) -> Result<Report, Violation> {
    let world = World::new(nodes, Setup::calm(nodes), Rng::new(nodes), false);
    finish(world, nodes, Which::Calm).1
}

fn run_traced(seed: u64, traced: bool) -> (String, Result<Report, Violation>) {
    let mut rng = Rng::new(seed);
    let setup = Setup::draw(&mut rng);
    finish(World::new(seed, setup, rng, traced), seed, drawn())
}

/// A run that a seed decides, with the bug that is planted.
#[cfg(paxos_planted)]
fn drawn() -> Which {
    planted::planted().map_or(Which::Drawn, |bug| Which::Planted(bug as u32))
}

#[cfg(not(paxos_planted))]
fn drawn() -> Which {
    Which::Drawn
}

fn finish(mut world: World, seed: u64, run: Which) -> (String, Result<Report, Violation>) {
    let said = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        Violation { seed, what: text.unwrap_or_default(), run }
    };
    let result = catch_unwind(AssertUnwindSafe(|| recovery::run(&mut world)));
    let report = result.map(|()| Report::of(seed, &world)).map_err(said);
    (world.trace().to_owned(), report)
}
