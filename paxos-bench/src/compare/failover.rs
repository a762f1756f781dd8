//! Writes that are due at a steady rate, while one leader after the other is killed.
//!
//! Writes go on when one is answered that was due after the leader had ended: the leader cannot
//! have answered that one. Both stores wait as long for a leader before they elect another.

use super::CompareError;
use super::cluster::{ALL, Store, Timing, until};
use super::figure::{Figure, Sample};
use super::processes::READY;
use crate::load::Target;
use bytes::Bytes;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until, timeout};

/// A leader is heard from at least this often.
pub(super) const HEARTBEAT_MS: u64 = 50;

/// A leader that is silent for as long is replaced.
pub(super) const ELECTION_TIMEOUT_MS: u64 = 300;

/// Leaders that are killed in one measurement.
const KILLS: usize = 5;

/// A write is due every so often.
const EVERY: Duration = Duration::from_millis(2);

/// Writes go on for so long between all servers being there and the next kill.
const SETTLED: Duration = Duration::from_secs(1);

/// What is open at the end is waited for so long: longer than a call of a client takes.
const DRAIN: Duration = Duration::from_secs(10);

const RETRY: Duration = Duration::from_millis(1);

/// What became of the writes. A write is a key of its own, by its number.
#[derive(Debug, Default)]
struct Writes {
    acknowledged: Vec<u64>,
    failed: u64,
    /// When the last leader was dead.
    dead_since: Option<Instant>,
    /// When the first write was answered that was due after that.
    resumed: Option<Instant>,
}

type Shared = Arc<Mutex<Writes>>;

/// Measures a fresh cluster.
pub(super) async fn measure<S: Store>(
    binary: &Path,
    directory: &Path,
) -> Result<Sample, CompareError> {
    let mut cluster = S::start(binary, directory, Timing::Equal)?;
    until(&mut cluster, S::ready).await?;
    let client = until(&mut cluster, async |cluster| cluster.connect(&ALL).await).await?;
    let writes = Shared::default();
    let (end, ended) = oneshot::channel();
    let writing = tokio::spawn(write(client.clone(), writes.clone(), ended));
    let resumed_ms = kill_leaders(&mut cluster, &writes).await;
    drop(end);
    // Nothing is sent any more, and what is open is waited for.
    let mut open = writing.await.expect("the writer does not panic");
    let drained = timeout(DRAIN, async { while open.join_next().await.is_some() {} }).await;
    let unanswered = if drained.is_err() { open.len() as u64 } else { 0 };
    open.shutdown().await;
    let resumed_ms = resumed_ms?;
    let Writes { acknowledged, failed, .. } = std::mem::take(&mut *lock(&writes));
    let lost = lost(&mut cluster, &client, &acknowledged).await?;
    let (done, failed) = (acknowledged.len() as f64, (failed + unanswered) as f64);
    let sample = Sample { resumed_ms, ..Sample::default() };
    Ok(sample
        .with(Figure::LostWrites, lost as f64)
        .with(Figure::ErrorsPercent, 100.0 * failed / (done + failed)))
}

/// Kills each leader that comes, and starts it again. Gives back after how many milliseconds writes
/// went on.
async fn kill_leaders<S: Store>(
    cluster: &mut S,
    writes: &Shared,
) -> Result<Vec<f64>, CompareError> {
    let mut resumed_ms = Vec::new();
    for _ in 0..KILLS {
        for server in ALL {
            until(cluster, async |cluster| serves(cluster, server).await).await?;
        }
        sleep(SETTLED).await;
        let leader = until(cluster, S::leader).await?;
        cluster.processes().kill(leader)?;
        let dead = Instant::now();
        {
            let mut writes = lock(writes);
            (writes.dead_since, writes.resumed) = (Some(dead), None);
        }
        let resumed = loop {
            if let Some(resumed) = lock(writes).resumed {
                break resumed;
            }
            if dead.elapsed() > READY {
                return Err(cluster.processes().not_ready("writes do not go on".into()));
            }
            sleep(RETRY).await;
        };
        resumed_ms.push(((resumed - dead).as_secs_f64() * 1e4).round() / 10.0);
        sleep(SETTLED).await;
        cluster.processes().restart(leader)?;
    }
    Ok(resumed_ms)
}

/// Whether a server answers reads by itself.
async fn serves<S: Store>(cluster: &S, server: usize) -> Result<(), String> {
    let answer = cluster.connect(&[server]).await?.get("ready".into()).await;
    answer.map(|_| ()).ok_or_else(|| "a read failed".into())
}

/// Sends what is due until `ended`, and gives back what is open then.
async fn write<T: Target>(
    client: T,
    writes: Shared,
    mut ended: oneshot::Receiver<()>,
) -> JoinSet<()> {
    let mut open = JoinSet::new();
    let start = Instant::now();
    for number in 0.. {
        let due = start + EVERY * number;
        tokio::select! {
            _ = &mut ended => break,
            () = sleep_until(due.into()) => {}
        }
        while open.try_join_next().is_some() {}
        let (client, writes) = (client.clone(), writes.clone());
        open.spawn(async move {
            let number = u64::from(number);
            let is_done = client.put(key(number), "v".into()).await;
            lock(&writes).take(number, due, is_done);
        });
    }
    open
}

impl Writes {
    /// Takes what became of a write.
    fn take(&mut self, number: u64, due: Instant, is_done: bool) {
        if !is_done {
            self.failed += 1;
            return;
        }
        self.acknowledged.push(number);
        if self.resumed.is_none() && self.dead_since.is_some_and(|dead| due >= dead) {
            self.resumed = Some(Instant::now());
        }
    }
}

/// How many of these writes are not there.
async fn lost<S: Store>(
    cluster: &mut S,
    client: &S::Client,
    acknowledged: &[u64],
) -> Result<u64, CompareError> {
    let mut lost = 0;
    for &number in acknowledged {
        let read = async |_: &S| client.get(key(number)).await.ok_or("a read failed".to_owned());
        lost += u64::from(!until(cluster, read).await?);
    }
    Ok(lost)
}

fn key(number: u64) -> Bytes {
    format!("write-{number}").into()
}

fn lock(writes: &Shared) -> MutexGuard<'_, Writes> {
    writes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_go_on_with_the_first_that_was_due_after_the_death() {
        let dead = Instant::now();
        let mut writes = Writes { dead_since: Some(dead), ..Writes::default() };
        writes.take(0, dead - EVERY, true);
        writes.take(1, dead + EVERY, false);
        assert_eq!(writes.resumed, None, "the first may be of before, and the second failed");
        writes.take(2, dead + EVERY * 2, true);
        let first = writes.resumed;
        assert!(first.is_some_and(|resumed| resumed >= dead));
        writes.take(3, dead + EVERY * 3, true);
        assert_eq!((writes.resumed, writes.failed), (first, 1));
        assert_eq!(writes.acknowledged, [0, 2, 3]);
    }
}
