//! A store as the comparison drives it, whichever it is.

use super::figure::{Figure, Sample};
use super::processes::{Processes, until_ready};
use super::row::Sockets;
use super::{CompareError, usage};
use crate::load::{self, Load, Report, Target};
use std::path::Path;
use std::time::Duration;

/// A cluster of three servers on loopback.
pub(crate) trait Store: Sized {
    type Client: Target;

    const NAME: &'static str;

    /// Starts its servers on empty data below `directory`.
    fn start(binary: &Path, directory: &Path, timing: Timing) -> Result<Self, CompareError>;

    fn processes(&mut self) -> &mut Processes;

    /// The server that leads.
    async fn leader(&self) -> Result<usize, String>;

    /// A connection to these servers.
    async fn connect(&self, servers: &[usize]) -> Result<Self::Client, String>;

    /// Whom the clients of a load connect to: what serves them best.
    async fn best(&self) -> Result<Vec<usize>, String>;

    /// How many connections carry a load.
    fn connections(load: &Load, sockets: Sockets) -> usize;

    /// A connection for a load, on which a write succeeds.
    async fn ready(&self) -> Result<Self::Client, String> {
        let client = self.connect(&self.best().await?).await?;
        let written = client.put("ready".into(), "yes".into()).await;
        if written { Ok(client) } else { Err("a write failed".into()) }
    }
}

/// How long servers wait for a leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timing {
    /// As long as each store does by itself.
    Own,
    /// All the same.
    Equal,
}

/// All servers of a cluster.
pub(crate) const ALL: [usize; 3] = [0, 1, 2];

/// Measures a fresh cluster under a load.
pub(crate) async fn under_load<S: Store>(
    binary: &Path,
    load: &Load,
    sockets: Sockets,
    directory: &Path,
) -> Result<Sample, CompareError> {
    measure(&mut S::start(binary, directory, Timing::Own)?, load, sockets).await
}

/// Connections for a load, each of which has carried a write.
pub(crate) async fn connections<S: Store>(
    cluster: &mut S,
    load: &Load,
    sockets: Sockets,
) -> Result<Vec<S::Client>, CompareError> {
    let mut connections = Vec::new();
    for _ in 0..S::connections(load, sockets) {
        connections.push(until(cluster, S::ready).await?);
    }
    Ok(connections)
}

/// Measures a cluster that was started, under a load.
pub(crate) async fn measure<S: Store>(
    cluster: &mut S,
    load: &Load,
    sockets: Sockets,
) -> Result<Sample, CompareError> {
    let connections = connections(cluster, load, sockets).await?;
    let pids = cluster.processes().pids();
    let (mut begin, mut end, mut done) = (None, None, 0);
    let report = load::run(load, &connections, |progress| {
        // The first second is warm-up.
        if begin.is_none() {
            begin = usage::cpu(&pids);
        }
        (end, done) = (usage::cpu(&pids), progress.done);
    })
    .await;
    if !report.any() {
        return Err(CompareError::Nothing(S::NAME));
    }
    let cpu = begin.zip(end).map(|(begin, end)| end.saturating_sub(begin));
    Ok(sample(load, &report).with(Figure::CpuUsPerOp, cpu.and_then(|cpu| per_op(cpu, done))))
}

/// Tries until something works, for as long as a cluster may need to serve.
pub(crate) async fn until<S: Store, T>(
    cluster: &mut S,
    attempt: impl AsyncFn(&S) -> Result<T, String>,
) -> Result<T, CompareError> {
    let ready = until_ready(async || attempt(cluster).await).await;
    ready.map_err(|reason| cluster.processes().not_ready(reason))
}

/// Microseconds of processor time for each request; none, where there was none.
pub(crate) fn per_op(cpu: Duration, requests: u64) -> Option<f64> {
    let us = cpu.as_micros() as f64 / requests as f64;
    (requests > 0).then(|| (us * 10.0).round() / 10.0)
}

/// The figures of a report.
fn sample(load: &Load, report: &Report) -> Sample {
    // Where there are both, writes are what costs.
    let latency = if load.writes_percent == 0 { report.read_us } else { report.write_us };
    let us = |us: Option<u64>| us.map(|us| us as f64);
    let done = report.ops_per_s * load.duration.as_secs_f64();
    let failed = report.errors as f64;
    Sample::default()
        .with(Figure::OpsPerS, report.ops_per_s)
        .with(Figure::P50Us, us(latency.p50))
        .with(Figure::P99Us, us(latency.p99))
        .with(Figure::ErrorsPercent, 100.0 * failed / (done + failed))
}
