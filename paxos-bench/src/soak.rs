//! A soak: a load below the peak for long, under which nothing may grow; then more than there is
//! room for, of which as much as ever must be done; then the same load as before, which must soon
//! be served as before.
//!
//! The keys are bounded and all of them have a value before, so the state is level by itself: what
//! grows is the servers' own. Requests are due at a fixed rate, and latencies count from when they
//! were due.

mod judge;
mod phases;
mod report;

pub use self::judge::Judged;
pub use self::report::{Phase, Report, Resources, Sampled};

use crate::compare::CompareError;
use crate::compare::cluster::{Store, Timing, connections};
use crate::compare::fill::fill;
use crate::compare::machine::Machine;
use crate::compare::ours::Ours;
use crate::compare::row::Sockets;
use crate::load::{Drive, Load};
use std::path::PathBuf;
use std::time::Duration;

/// Clients in a closed loop that find the peak.
pub const CLIENTS: usize = 256;

/// How it is done, and where.
#[derive(Clone, Debug)]
pub struct Soak {
    /// The server of this store.
    pub paxos_kv: PathBuf,
    /// Data goes into a directory below this one, which is removed at the end.
    pub directory: PathBuf,
    /// How long the peak is looked for.
    pub peak: Duration,
    /// How long the steady load takes.
    pub steady: Duration,
    /// The part of the peak that is due meanwhile.
    pub load: f64,
    /// How long the overload takes; none is made where this is zero.
    pub overloaded: Duration,
    /// How many times the peak is due meanwhile.
    pub overload: f64,
    /// Keys that are written, again and again.
    pub keys: u64,
    /// Bytes of each value.
    pub value_bytes: usize,
    /// How often memory and descriptors are looked at.
    pub every: Duration,
}

impl Soak {
    /// Runs on fresh servers, and tells how it is coming along. An error says that there was no
    /// run.
    pub async fn run(&self, mut tell: impl FnMut(&str)) -> Result<Report, CompareError> {
        let mut cluster = Ours::start(&self.paxos_kv, &self.directory, Timing::Own)?;
        fill(&mut cluster, self.keys, self.value_bytes).await?;
        let load = self.load(Drive::Closed { clients: CLIENTS }, self.peak);
        let clients = connections(&mut cluster, &load, Sockets::Shared).await?;
        let pids = cluster.processes().pids();
        let mut report = Report::of(Machine::of(&self.directory, Some(&self.paxos_kv)));
        report.peak_per_s = phases::peak(&load, &clients, &mut tell).await?;
        let due = |times: f64| ((report.peak_per_s * times) as u64).max(1);
        let (rate, over) = (due(self.load), due(self.overload));
        let sampler = phases::Sampler { pids: &pids, every: self.every };
        let steady = sampler.steady(&self.open(rate, self.steady), &clients, &mut tell).await;
        let limit_us = steady.phase.load.write_us.p99.map(|p99| 2 * p99);
        report.take_steady(steady);
        if !self.overloaded.is_zero() {
            let mut many = Vec::new();
            for _ in 0..phases::OVERLOAD_CONNECTIONS {
                many.push(crate::compare::cluster::until(&mut cluster, Ours::ready).await?);
            }
            let load = self.open(over, self.overloaded);
            let after = self.open(rate, phases::RECOVERY);
            let overload = phases::overload((&load, &many), (&after, &clients), &mut tell).await;
            report.take_overload(overload, limit_us);
        }
        Ok(report)
    }

    fn load(&self, drive: Drive, duration: Duration) -> Load {
        let (keys, value_bytes) = (self.keys, self.value_bytes);
        Load { drive, writes_percent: 100, value_bytes, keys, duration }
    }

    fn open(&self, rate: u64, duration: Duration) -> Load {
        let in_flight_max = phases::IN_FLIGHT_MAX;
        self.load(Drive::Open { rate, in_flight_max }, duration)
    }
}
