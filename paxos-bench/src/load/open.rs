//! The open loop.
//!
//! A thread of its own keeps the time: the runtime's timers are a millisecond coarse, and that
//! would be blamed on the store.

use super::report::OpenLoop;
use super::schedule::{Schedule, Turn};
use super::tally::{self, Ended};
use super::{Load, Progress, Requests, Span, Tallies, Target, watch};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What is open at the end is waited for so long: longer than a call of a client takes. What has
/// not ended by then has failed.
const DRAIN: Duration = Duration::from_secs(10);

/// How fast, and how many at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) rate: u64,
    pub(super) in_flight_max: u32,
}

/// What the thread that sends has counted, warm-up excluded.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    due: u64,
    late: u64,
    refused: u64,
}

struct Sender<T> {
    requests: Requests,
    connections: Vec<T>,
    tallies: Tallies,
    span: Span,
    /// A permit for each request that may be open.
    room: Arc<Semaphore>,
    runtime: Handle,
}

pub(super) async fn run<T: Target>(
    load: &Load,
    pace: Pace,
    connections: &[T],
    tallies: &Tallies,
    span: Span,
    progress: &mut impl FnMut(Progress),
) -> OpenLoop {
    let room = Arc::new(Semaphore::new(pace.in_flight_max as usize));
    let sender = Sender {
        requests: Requests::new(load, 0),
        connections: connections.to_vec(),
        tallies: tallies.clone(),
        span,
        room: room.clone(),
        runtime: Handle::current(),
    };
    let schedule = Schedule::new(pace.rate, span.end - span.start);
    let sending = tokio::task::spawn_blocking(move || sender.run(schedule));
    let in_flight = || Some(u64::from(pace.in_flight_max) - room.available_permits() as u64);
    watch(tallies, span, in_flight, progress).await;
    let sent = sending.await.expect("the sender does not panic");
    // Their latencies count, or a stall at the end would not show.
    let _ = timeout(DRAIN, room.acquire_many(pace.in_flight_max)).await;
    let all = tally::sum(tallies);
    let unanswered = sent.due.saturating_sub(all.done() + all.errors());
    if let Some(first) = tallies.first() {
        first.lock().unwrap_or_else(PoisonError::into_inner).fail(unanswered);
    }
    OpenLoop {
        rate_per_s: pace.rate,
        in_flight_max: pace.in_flight_max,
        due: sent.due,
        sent_late: sent.late,
        refused: sent.refused,
        outstanding: all.after_end() + unanswered,
    }
}

impl<T: Target> Sender<T> {
    /// Sends what is due, until all is.
    fn run(mut self, mut schedule: Schedule) -> Sent {
        let mut sent = Sent::default();
        loop {
            let elapsed = self.span.start.elapsed();
            match schedule.turn(elapsed, self.room.available_permits() > 0) {
                Turn::Done => return sent,
                Turn::Wait { until } => thread::sleep(until - elapsed),
                Turn::Refuse { due } => {
                    if self.counts(due) {
                        sent.due += 1;
                        sent.refused += 1;
                        self.tallies[0].lock().unwrap_or_else(PoisonError::into_inner).fail(1);
                    }
                }
                Turn::Send { due, late } => {
                    let counts = self.counts(due);
                    sent.due += u64::from(counts);
                    sent.late += u64::from(counts && late);
                    self.send(due, counts);
                }
            }
        }
    }

    fn counts(&self, due: Duration) -> bool {
        self.span.start + due >= self.span.begin
    }

    fn send(&mut self, due: Duration, counts: bool) {
        // This thread alone takes permits, so there still is one.
        let Ok(permit) = self.room.clone().try_acquire_owned() else { return };
        let request = self.requests.draw();
        let is_write = request.is_write();
        self.connections.rotate_left(1);
        self.tallies.rotate_left(1);
        let (connection, tally) = (self.connections[0].clone(), self.tallies[0].clone());
        let Span { start, end, .. } = self.span;
        self.runtime.spawn(async move {
            let ok = request.send(&connection).await;
            let answered = Instant::now();
            if counts {
                let latency = answered - (start + due);
                let ended = Ended { is_write, latency, ok, in_time: answered < end };
                tally.lock().unwrap_or_else(PoisonError::into_inner).take(ended);
            }
            drop(permit);
        });
    }
}
