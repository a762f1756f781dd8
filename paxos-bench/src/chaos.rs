//! Faults on purpose, calls meanwhile, and a judge afterwards.
//!
//! A *nemesis* follows a plan that one seed decides: it kills and pauses nodes, cuts and bends the
//! links between them, and has disks fail. Clients call the store all the while, and what they see
//! is recorded. At the end everything is healed; all nodes must come to the same state, and the
//! history must be linearizable.
//!
//! - [`processes`] does it to real processes, with a proxy of our own on each link;
//! - [`actors`] does it to actors in this process, with mail that is lost, repeated and late.
//!
//! A new fault is a [`Kind`], named and put in a class in `fault.rs`. What it does to links is in
//! `shape.rs`; what else it does is one arm of `strike` in `strikes.rs` for processes and in
//! `actors/strikes.rs` for actors. Whatever it does must be undone by `heal`.

pub mod actors;
mod cluster;
mod fault;
mod kv_caller;
mod nemesis;
mod plan;
pub mod processes;
mod proxy;
mod report;
mod shape;
mod strikes;
mod tally;
mod tools;
mod verdict;
mod work;

pub use self::fault::{Class, Kind};
pub use self::plan::{Event, Pace, Plan};
pub use self::proxy::Proxy;
pub use self::report::{Bounds, Recovery, Report};
pub use self::shape::{Shape, Way, shape};
pub use self::tally::Counts;
pub use self::tools::{enter_namespace, has_namespace};

use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// What is done, to processes and to actors.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides the plan and the calls.
    pub seed: u64,
    /// Nodes of a cluster: 3 to 9.
    pub nodes: usize,
    /// How long faults are made.
    pub duration: Duration,
    /// The faults that are asked for.
    pub kinds: Vec<Kind>,
    /// Calls a second, at most.
    pub rate: u64,
    /// Clients of actors read what one node has applied, as no client may: a run in which nodes are
    /// cut off must fail then. For the proof that it does.
    pub reads_stale: bool,
    /// What must hold beside the answers.
    pub bounds: Bounds,
    /// Logs and histories go into a new directory below this one; after a failure it stays.
    pub directory: PathBuf,
}

impl Options {
    /// An error where no fault is left that can be made.
    fn some(&self, kinds: &[Kind]) -> anyhow::Result<()> {
        let asked: Vec<_> = self.kinds.iter().map(|kind| kind.name()).collect();
        anyhow::ensure!(
            !kinds.is_empty(),
            "none of these faults can be made here: {}; ask for others with --faults",
            asked.join(", ")
        );
        Ok(())
    }

    fn new_directory(&self) -> io::Result<TempDir> {
        let prefix = format!("chaos-{}-", self.seed);
        tempfile::Builder::new().prefix(&prefix).tempdir_in(&self.directory)
    }
}
