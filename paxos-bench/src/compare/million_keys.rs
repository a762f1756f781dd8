//! A million keys: how much memory a server has for them, and how long all servers need to be there
//! again after they were killed, with the log as it is then.

use super::CompareError;
use super::cluster::{ALL, Store, Timing, until};
use super::figure::{Figure, Sample};
use super::fill::{fill, key};
use super::row::VALUE_BYTES;
use super::usage;
use crate::load::Target;
use std::path::Path;
use std::time::Instant;

const KEYS: u64 = 1_000_000;

/// Bytes of all values.
pub(super) const RAW_BYTES: u64 = KEYS * VALUE_BYTES as u64;

/// Measures a fresh cluster.
pub(super) async fn measure<S: Store>(
    binary: &Path,
    directory: &Path,
) -> Result<Sample, CompareError> {
    let mut cluster = S::start(binary, directory, Timing::Own)?;
    fill(&mut cluster, KEYS, VALUE_BYTES).await?;
    let pids = cluster.processes().pids();
    let resident = pids.iter().filter_map(|&pid| usage::resident_bytes(pid)).max();
    for server in ALL {
        cluster.processes().kill(server)?;
    }
    let begun = Instant::now();
    for server in ALL {
        cluster.processes().restart(server)?;
    }
    until(&mut cluster, async |cluster| {
        let client = cluster.connect(&ALL).await?;
        match client.get(key(KEYS - 1)).await {
            Some(true) => Ok(()),
            Some(false) => Err("a key is lost".into()),
            None => Err("a read failed".into()),
        }
    })
    .await?;
    let restart_ms = (begun.elapsed().as_secs_f64() * 1000.0).round();
    let resident = resident.map(|bytes| bytes as f64);
    Ok(Sample::default().with(Figure::ResidentBytes, resident).with(Figure::RestartMs, restart_ms))
}
