//! One visit at a point: fresh servers, what is to be there before, and the load.

use super::curve::Setup;
use super::{Growth, Visit};
use crate::compare::cluster::{self, Store};
use crate::compare::figure::{Figure, Sample};
use crate::compare::fill::fill;
use crate::compare::ours::Ours;
use crate::compare::row::Sockets;
use crate::compare::{CompareError, usage};
use crate::load::{Drive, Load};
use std::time::Duration;
use tokio::time::timeout;

/// A visit takes no longer, beside the time that is measured: five million keys need minutes.
const PREPARED: Duration = Duration::from_secs(900);

/// A server has about so many bytes for each key, beside the value: more than it was seen to have.
const BYTES_PER_KEY: u64 = 640;

/// And so many with few keys.
const BYTES_PER_SERVER: u64 = 256 << 20;

/// Measures at a point.
pub(super) async fn visit(growth: &Growth, setup: &Setup) -> Visit {
    let within = PREPARED + growth.time;
    let refused = |what: String| Err(CompareError::Refused(what));
    if let Some(lacking) = lacking(needed_bytes(setup), usage::available_bytes()) {
        return refused(lacking);
    }
    match timeout(within, fresh(growth, setup)).await {
        Ok(visit) => visit,
        Err(_) => refused(format!("it was not done within {} s", within.as_secs())),
    }
}

async fn fresh(growth: &Growth, setup: &Setup) -> Visit {
    let Setup { layout, clients, value_bytes, keys, is_filled, snapshots } = setup;
    let mut cluster = Ours::launch(&growth.paxos_kv, &growth.directory, layout)?;
    if *is_filled {
        fill(&mut cluster, *keys, *value_bytes).await?;
    }
    let load = Load {
        drive: Drive::Closed { clients: *clients },
        writes_percent: 100,
        value_bytes: *value_bytes,
        keys: *keys,
        duration: growth.time,
    };
    let before = cluster::until(&mut cluster, async |cluster| written(cluster).await).await?;
    let sample = cluster::measure(&mut cluster, &load, Sockets::Shared).await?;
    let after = cluster::until(&mut cluster, async |cluster| written(cluster).await).await?;
    let written = after.saturating_sub(before);
    if let Some(why) = snapshots.and_then(|wanted| not_meant(wanted, written)) {
        return Err(CompareError::Refused(why.into()));
    }
    Ok(with_state(&mut cluster, sample).with(Figure::Snapshots, written as f64))
}

/// Why it is not what was meant, if snapshots were to be written, or not to be.
fn not_meant(wanted: bool, written: u64) -> Option<&'static str> {
    match (wanted, written) {
        (true, 0) => Some("no snapshot was written meanwhile: give it more --seconds"),
        (false, 1..) => Some("a snapshot was written meanwhile"),
        _ => None,
    }
}

/// What the servers hold in the end.
fn with_state(cluster: &mut Ours, sample: Sample) -> Sample {
    let processes = cluster.processes();
    let resident = processes.pids().into_iter().filter_map(usage::resident_bytes).max();
    sample
        .with(Figure::ResidentBytes, resident.map(|bytes| bytes as f64))
        .with(Figure::DiskBytes, processes.disk_bytes() as f64)
}

/// Snapshots that all nodes have written so far.
async fn written(cluster: &Ours) -> Result<u64, String> {
    let mut all = 0;
    for at in cluster.statuses().await? {
        all += at.status?.counters.snapshots.get("written").copied().unwrap_or(0);
    }
    Ok(all)
}

/// What all servers of a point may come to have in memory.
fn needed_bytes(setup: &Setup) -> u64 {
    let each = BYTES_PER_SERVER + setup.keys * (BYTES_PER_KEY + setup.value_bytes as u64);
    setup.layout.servers() as u64 * each
}

/// Why it cannot be tried, if it cannot.
fn lacking(needed: u64, available: Option<u64>) -> Option<String> {
    let available = available.filter(|&available| available < needed)?;
    let mib = |bytes: u64| bytes >> 20;
    let (needed, available) = (mib(needed), mib(available));
    Some(format!("it needs about {needed} MiB of memory, and {available} MiB are to be had"))
}

#[cfg(test)]
mod tests {
    use super::super::CurveName;
    use super::*;

    #[test]
    fn without_a_snapshot_nothing_is_said_of_snapshots() {
        let is_meant = |wanted, written| not_meant(wanted, written).is_none();
        assert!(is_meant(true, 1) && is_meant(false, 0));
        assert!(!is_meant(true, 0) && !is_meant(false, 1));
    }

    #[test]
    fn what_would_not_fit_into_memory_is_not_tried() {
        let points = CurveName::Keys.points();
        let needed: Vec<_> =
            points.iter().map(|point| needed_bytes(&CurveName::Keys.setup(point))).collect();
        assert!(needed[0] < 1 << 30 && needed[3] > 10 << 30, "{needed:?}");
        assert_eq!(lacking(needed[3], Some(needed[3])), None);
        assert_eq!(lacking(needed[3], None), None, "a system that does not tell may have enough");
        let what = "it needs about 2 MiB of memory, and 1 MiB are to be had";
        assert_eq!(lacking(2 << 20, Some(1 << 20)).as_deref(), Some(what));
    }
}
