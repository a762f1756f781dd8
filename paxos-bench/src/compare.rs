//! The same load on this store and on another one, on the same machine and the same disk.
//!
//! Absolute figures depend on the machine and on the hour, so the two are measured in turn, each
//! time with fresh processes and empty data, and only medians and their ratios are reported.
//!
//! Each other store is one variant of [`Peer`], and one file that says how to find it, start it
//! and connect to it.

#[cfg(feature = "etcd")]
mod etcd;
mod ours;
mod processes;
mod summary;

pub use self::summary::{Point, Side, Summary};

use crate::load::{Load, Report};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A store to compare with, which is installed here.
#[derive(Clone, Debug)]
pub enum Peer {
    /// etcd, by its server's binary.
    #[cfg(feature = "etcd")]
    Etcd(PathBuf),
}

/// What is compared, and where.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The binary of this store, `paxos-kv`.
    pub ours: PathBuf,
    /// The other store.
    pub peer: Peer,
    /// Each load is a point of the comparison.
    pub loads: Vec<Load>,
    /// How often each store is measured at each point.
    pub rounds: usize,
    /// Data goes into a directory below this one, which is removed at the end: the disk that both
    /// stores write to.
    pub directory: PathBuf,
}

/// Why a comparison failed.
#[derive(Debug, Error)]
pub enum CompareError {
    /// No directory for the data, or no ports.
    #[error("cannot prepare a cluster: {0}")]
    Prepare(#[source] std::io::Error),
    /// A server's binary does not run.
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
}

impl Peer {
    /// The first other store that this program knows and that is installed here; or what is
    /// missing, and how to get it.
    pub fn find() -> Result<Peer, &'static str> {
        #[cfg(feature = "etcd")]
        {
            let missing = "etcd is not in PATH: install it (Debian: apt-get install etcd-server)";
            in_path("etcd").map(Peer::Etcd).ok_or(missing)
        }
        #[cfg(not(feature = "etcd"))]
        Err("this paxos-bench knows no other store: build it with --features etcd")
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match *self {
            #[cfg(feature = "etcd")]
            Peer::Etcd(_) => etcd::NAME,
        }
    }

    #[cfg_attr(not(feature = "etcd"), expect(unused_variables))]
    async fn turn(&self, load: &Load, directory: &Path) -> Result<Report, CompareError> {
        match *self {
            #[cfg(feature = "etcd")]
            Peer::Etcd(ref binary) => etcd::turn(binary, load, directory).await,
        }
    }
}

impl Comparison {
    /// Measures, and tells each report as it comes: the store, the point, and the round.
    pub async fn run(
        &self,
        mut tell: impl FnMut(&'static str, &Load, &Report),
    ) -> Result<Summary, CompareError> {
        let mut points = Vec::new();
        for load in &self.loads {
            let (mut ours, mut peers) = (Vec::new(), Vec::new());
            for _ in 0..self.rounds {
                let report = ours::turn(&self.ours, load, &self.directory).await?;
                tell(ours::NAME, load, &report);
                ours.push(report);
                let report = self.peer.turn(load, &self.directory).await?;
                tell(self.peer.name(), load, &report);
                peers.push(report);
            }
            points.push(Point::of(load, &ours, &peers));
        }
        Ok(Summary { peer: self.peer.name(), points })
    }
}

/// A program, by the directories of `PATH`.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// A report of a load under which something worked.
fn some(store: &'static str, report: Report) -> Result<Report, CompareError> {
    if report.any() { Ok(report) } else { Err(CompareError::Nothing(store)) }
}
