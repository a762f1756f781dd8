//! Keys that are there before something is measured.

use super::CompareError;
use super::cluster::{Store, connections};
use super::row::Sockets;
use crate::load::{Drive, Load, Target};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Clients that write the keys.
const WRITERS: usize = 256;

/// Writes of one key that may fail, before the whole fails.
const ATTEMPTS_MAX: u32 = 10;

/// After a write that failed, its client waits so long.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// The keys of a load are called so.
pub(super) fn key(number: u64) -> Bytes {
    format!("load-{number}").into()
}

/// Writes every key once.
pub(crate) async fn fill<S: Store>(
    cluster: &mut S,
    keys: u64,
    value_bytes: usize,
) -> Result<(), CompareError> {
    let duration = Duration::ZERO;
    let drive = Drive::Closed { clients: WRITERS };
    let load = Load { drive, writes_percent: 100, value_bytes, keys, duration };
    let connections = connections(cluster, &load, Sockets::Shared).await?;
    let next = Arc::new(AtomicU64::new(0));
    let value = Bytes::from(vec![b'v'; value_bytes]);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let connection = connections[writer % connections.len()].clone();
        writers.spawn(write(connection, next.clone(), keys, value.clone()));
    }
    match writers.join_all().await.iter().all(|is_done| *is_done) {
        true => Ok(()),
        false => Err(CompareError::Nothing(S::NAME)),
    }
}

/// Writes keys, until there are no more; whether none failed for good.
async fn write<T: Target>(connection: T, next: Arc<AtomicU64>, keys: u64, value: Bytes) -> bool {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= keys {
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
