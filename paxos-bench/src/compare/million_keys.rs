//! A million keys: how much memory a server has for them, and how long all servers need to be there
//! again after they were killed, with the log as it is then.

use super::CompareError;
use super::cluster::{ALL, Store, Timing, until};
use super::figure::{Figure, Sample};
use super::row::{Sockets, VALUE_BYTES};
use super::usage;
use crate::load::{Drive, Load, Target};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

const KEYS: u64 = 1_000_000;

/// Bytes of all values.
pub(super) const RAW_BYTES: u64 = KEYS * VALUE_BYTES as u64;

/// Clients that write the keys.
const WRITERS: usize = 256;

/// Writes of one key that may fail, before the whole fails.
const ATTEMPTS_MAX: u32 = 10;

/// After a write that failed, its client waits so long.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// Measures a fresh cluster.
pub(super) async fn measure<S: Store>(
    binary: &Path,
    directory: &Path,
) -> Result<Sample, CompareError> {
    let mut cluster = S::start(binary, directory, Timing::Own)?;
    write_all(&mut cluster).await?;
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

fn key(number: u64) -> Bytes {
    format!("load-{number}").into()
}

/// Writes every key once.
async fn write_all<S: Store>(cluster: &mut S) -> Result<(), CompareError> {
    let duration = Duration::ZERO;
    let drive = Drive::Closed { clients: WRITERS };
    let load = Load { drive, writes_percent: 100, value_bytes: VALUE_BYTES, keys: KEYS, duration };
    let mut connections = Vec::new();
    for _ in 0..S::connections(&load, Sockets::Shared) {
        connections.push(until(cluster, S::ready).await?);
    }
    let next = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let connection = connections[writer % connections.len()].clone();
        writers.spawn(write(connection, next.clone()));
    }
    match writers.join_all().await.iter().all(|is_done| *is_done) {
        true => Ok(()),
        false => Err(CompareError::Nothing(S::NAME)),
    }
}

/// Writes keys, until there are no more; whether none failed for good.
async fn write<T: Target>(connection: T, next: Arc<AtomicU64>) -> bool {
    let value = Bytes::from(vec![b'v'; VALUE_BYTES]);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= KEYS {
            return true;
        }
        let mut failed = 0;
        while !connection.put(key(number), value.clone()).await {
            failed += 1;
            if failed == ATTEMPTS_MAX {
                return false;
            }
            sleep(AFTER_ERROR).await;
        }
    }
}
