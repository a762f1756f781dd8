//! The closed loop.

use super::tally::{Ended, Tally};
use super::{Load, Progress, Requests, Span, Tallies, Target, watch};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// After a request that failed, a client waits so long before its next.
const AFTER_ERROR: Duration = Duration::from_millis(10);

pub(super) async fn run<T: Target>(
    load: &Load,
    clients: usize,
    connections: &[T],
    tallies: &Tallies,
    span: Span,
    progress: &mut impl FnMut(Progress),
) {
    let mut running = JoinSet::new();
    for number in 0..clients {
        let at = number % connections.len();
        let requests = Requests::new(load, number as u64);
        running.spawn(client(requests, connections[at].clone(), tallies[at].clone(), span));
    }
    watch(tallies, span, || None, progress).await;
    // What is still open ends after the measured time and does not count: nobody waits for it.
    running.shutdown().await;
}

async fn client<T: Target>(
    mut requests: Requests,
    connection: T,
    tally: Arc<Mutex<Tally>>,
    span: Span,
) {
    loop {
        let request = requests.draw();
        let is_write = request.is_write();
        let asked = Instant::now();
        let ok = request.send(&connection).await;
        let answered = Instant::now();
        if answered >= span.end {
            return;
        }
        if asked >= span.begin {
            let ended = Ended { is_write, latency: answered - asked, ok, in_time: true };
            tally.lock().unwrap_or_else(PoisonError::into_inner).take(ended);
        }
        if !ok {
            tokio::time::sleep(AFTER_ERROR).await;
        }
    }
}
