//! The same work for this store and for others, on the same machine and the same disk.
//!
//! Absolute figures depend on the machine and on the hour, so the two are measured in turn, each
//! time with fresh processes and empty data, and medians and their ratios are reported, beside what
//! the machine allows ([`crate::limits`]).
//!
//! What is measured, and what is to be reached, stands in [`rows`]. Each other store is one variant
//! of [`PeerName`], and one file that says how to start it and load it.

pub(crate) mod cluster;
#[cfg(feature = "etcd")]
mod etcd;
mod failover;
pub(crate) mod figure;
pub(crate) mod fill;
mod local;
pub(crate) mod machine;
mod million_keys;
pub(crate) mod ours;
#[cfg(feature = "plots")]
pub(crate) mod plot;
mod processes;
mod programs;
mod redis;
pub(crate) mod row;
pub mod rows;
mod summary;
pub(crate) mod table;
pub(crate) mod usage;

pub use self::figure::{Figure, Sample};
pub use self::machine::Machine;
pub use self::programs::{Programs, in_path};
pub use self::redis::Redis;
pub use self::row::{Against, PeerName, Row, Sockets, Target, Verdict, Work};
pub use self::summary::{Judged, Measured, Omitted, Side, Summary, Total};

use self::cluster::Store;
use crate::limits::{MachineLimits, bare_loop};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// What is compared, and where.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What runs.
    pub programs: Programs,
    /// What is measured.
    pub rows: Vec<Row>,
    /// How often each store is measured in each row.
    pub rounds: usize,
    /// How long a load is measured each time.
    pub time: Duration,
    /// Data goes into a directory below this one, which is removed at the end: the disk that all
    /// stores write to.
    pub directory: PathBuf,
}

/// Why a comparison failed.
#[derive(Debug, Error)]
pub enum CompareError {
    /// No directory for the data, or no ports.
    #[error("cannot prepare a cluster: {0}")]
    Prepare(#[source] std::io::Error),
    /// A limit of the machine was not measured.
    #[error("cannot measure what the machine allows: {0}")]
    Limits(#[source] std::io::Error),
    /// It was not tried, or is not what was to be measured.
    #[error("{0}")]
    Refused(String),
    /// A program is not here.
    #[error("{0}")]
    Missing(String),
    /// A program does not run.
    #[error("cannot start {}: {source}", .binary.display())]
    Start {
        /// The binary.
        binary: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Its servers run and do not serve.
    #[error("{store} does not serve after {seconds} s: {reason}\nits servers said:\n{said}")]
    NotReady {
        /// The store.
        store: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// What was tried last.
        reason: String,
        /// The ends of their logs.
        said: String,
    },
    /// It served, but no request of a load succeeded.
    #[error("no request to {0} succeeded under load")]
    Nothing(&'static str),
    /// A program that measures a store printed something else.
    #[error("what measures {0} printed no figures: {1}")]
    Unreadable(&'static str, String),
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Ours,
    Peer,
    BareLoop,
}

impl Comparison {
    /// Measures, and tells each sample as it comes: the row, the store, and what was found. Rows
    /// whose other store is not here are skipped. A row that fails is told of, and the others go
    /// on.
    pub async fn run(
        &self,
        mut tell: impl FnMut(&Row, &'static str, &Sample),
    ) -> Result<Summary, CompareError> {
        let can_run = |row: &&Row| self.programs.lack(row.peer).is_none();
        let (mut limits, mut rows) = (None, Vec::new());
        if self.rows.iter().any(|row| can_run(&row)) {
            let parts = MachineLimits::of_parts(&self.programs.this, &self.directory);
            limits = Some(parts.map_err(CompareError::Limits)?);
        }
        let mut failed = Vec::new();
        for row in self.rows.iter().filter(can_run) {
            match self.row(row, &mut tell).await {
                Ok(measured) => rows.push(measured),
                Err(error) => failed.push(Omitted::of(row, error)),
            }
        }
        Ok(Summary {
            machine: Machine::of(&self.directory, self.programs.paxos_kv.as_deref().ok()),
            rounds: self.rounds,
            seconds: self.time.as_secs_f64(),
            limits,
            rows,
            skipped: self.skipped(),
            failed,
        })
    }

    fn skipped(&self) -> Vec<Omitted> {
        let skip = |row: &Row| Some(Omitted::of(row, self.programs.lack(row.peer)?));
        self.rows.iter().filter_map(skip).collect()
    }

    /// All rounds of a row, until one fails.
    async fn row(
        &self,
        row: &Row,
        tell: &mut impl FnMut(&Row, &'static str, &Sample),
    ) -> Result<Measured, CompareError> {
        let (mut ours, mut theirs, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.rounds {
            for (turn, samples) in
                [(Turn::Ours, &mut ours), (Turn::Peer, &mut theirs), (Turn::BareLoop, &mut bare)]
            {
                if let Some((name, sample)) = self.turn(row, turn).await? {
                    tell(row, name, &sample);
                    samples.push(sample);
                }
            }
        }
        Ok(Measured::of(row, [ours, theirs, bare]))
    }

    /// One measurement; none, where the row has no such side.
    async fn turn(
        &self,
        row: &Row,
        turn: Turn,
    ) -> Result<Option<(&'static str, Sample)>, CompareError> {
        let sample = match (turn, &row.work) {
            (Turn::BareLoop, _) => {
                let sample = row.work.writers().map(|clients| self.bare_loop(clients));
                return Ok(sample.transpose()?.map(|sample| ("bare loop", sample)));
            }
            (Turn::Ours, work @ (Work::Actors { .. } | Work::Core { .. })) => {
                local::ours(&self.programs.this, work, self.time)?
            }
            (Turn::Ours, _) => {
                let binary = missing(&self.programs.paxos_kv)?;
                self.store::<ours::Ours>(binary, row).await?
            }
            (Turn::Peer, work) => match row.peer {
                #[cfg(feature = "etcd")]
                PeerName::Etcd => {
                    let binary = missing(&self.programs.etcd)?;
                    self.store::<etcd::Etcd>(binary, row).await?
                }
                #[cfg(not(feature = "etcd"))]
                PeerName::Etcd => return missing(&self.programs.etcd).map(|_| None),
                PeerName::Redis => {
                    let redis = missing(&self.programs.redis)?;
                    redis::under_load(redis, work.load(self.time), &self.directory).await?
                }
                peer => {
                    let program = missing(&self.programs.peers)?;
                    local::theirs(program, peer, work, self.time)?
                }
            },
        };
        let name = if turn == Turn::Ours { "paxos-kv" } else { row.peer.name() };
        Ok(Some((name, sample)))
    }

    /// One measurement of three servers.
    async fn store<S: Store>(&self, binary: &Path, row: &Row) -> Result<Sample, CompareError> {
        match &row.work {
            Work::MillionKeys => million_keys::measure::<S>(binary, &self.directory).await,
            Work::Failover => failover::measure::<S>(binary, &self.directory).await,
            work => match work.load(self.time) {
                Some((load, sockets)) => {
                    cluster::under_load::<S>(binary, &load, sockets, &self.directory).await
                }
                None => Err(CompareError::Nothing(S::NAME)),
            },
        }
    }

    fn bare_loop(&self, clients: usize) -> Result<Sample, CompareError> {
        let Comparison { programs, directory, time, .. } = self;
        let run = bare_loop::measure(&programs.this, directory, clients, *time);
        let run = run.map_err(CompareError::Limits)?;
        let us = |us: Option<u64>| us.map(|us| us as f64);
        Ok(Sample::default()
            .with(Figure::OpsPerS, run.ops_per_s)
            .with(Figure::P50Us, us(run.us.p50))
            .with(Figure::P99Us, us(run.us.p99)))
    }
}

/// A program, or the error that says that it is missing.
fn missing<T>(found: &Result<T, String>) -> Result<&T, CompareError> {
    found.as_ref().map_err(|why| CompareError::Missing(why.clone()))
}
