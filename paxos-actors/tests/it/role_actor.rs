//! The actor around a role: the order of log and mail, and how it ends.

use crate::support::*;
use crate::trace;
use actix::prelude::*;
use paxos_actors::control::{Inspect, Report, Restart, Stop};
use paxos_actors::ending::{Ending, NodeEnd};
use paxos_actors::role_actor::{Dropped, RoleActor};
use paxos_actors::{LogEvent, clock};
use paxos_core::{Limits, RoleName, Timing};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

struct Stage {
    puppet: Addr<PuppetActor>,
    log: HandLog,
    log_closed: Arc<AtomicBool>,
    sink: Addr<Sink>,
    ending: Ending,
}

impl Stage {
    /// A puppet whose log is opened and not replayed yet.
    async fn new() -> Stage {
        Stage::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Stage {
        let (sink, log, log_closed) = (Sink::default().start(), HandLog::default(), Arc::default());
        let ending = Ending::new();
        let puppet = RoleActor::new(ME, Puppet::default)
            .limits(limits)
            .log(log.side(&log_closed))
            .routes(to_sink(&sink))
            .ending(&ending)
            .start();
        puppet.send(Report).await.expect("alive");
        Stage { puppet, log, log_closed, sink, ending }
    }

    fn tell(&self, orders: impl IntoIterator<Item = Order>) {
        orders.into_iter().for_each(|order| tell(&self.puppet, order));
    }

    /// All that has been mailed, once everything told so far is done.
    async fn seen(&self) -> Vec<u64> {
        self.puppet.send(Report).await.expect("alive");
        self.sink.send(Seen).await.expect("alive")
    }

    async fn stored(&self) -> Vec<u64> {
        self.puppet.send(Inspect::new(|p: &Puppet| p.stored.clone())).await.expect("alive")
    }

    async fn dropped(&self) -> Dropped {
        self.puppet.send(Report).await.expect("alive").dropped
    }
}

/// Until the future has been polled as often as it takes for it to wait for something.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[actix::test]
async fn mail_waits_for_its_records_and_for_all_before_them() {
    let stage = Stage::new().await;
    stage.log.ready(0);
    stage.tell([Order::Mail(1)]);
    assert_eq!(stage.seen().await, [1]);
    stage.tell([Order::Store(2)]);
    assert_eq!(stage.seen().await, [1]);
    stage.tell([Order::Mail(3)]);
    assert_eq!(stage.seen().await, [1], "what had no record waits for those before it");
    stage.tell([Order::Store(4), Order::Feed(5)]);
    assert_eq!(stage.seen().await, [1, 5], "feed overtakes, mail waits");
    assert_eq!(stage.log.lock().appended, [2, 4]);
    stage.log.durable(1);
    assert_eq!(stage.seen().await, [1, 5, 2, 3]);
    stage.log.durable(2);
    stage.tell([Order::Mail(6)]);
    assert_eq!(stage.seen().await, [1, 5, 2, 3, 4, 6]);
}

#[actix::test]
async fn what_waits_together_is_one_turn_and_goes_to_the_log_at_once() {
    let stage = Stage::new().await;
    stage.log.ready(0);
    stage.tell([Order::Mail(1), Order::Store(2), Order::Store(3), Order::Mail(4)]);
    assert!(stage.seen().await.is_empty(), "mail of a turn waits for all of its records");
    assert_eq!(stage.log.lock().appends, 1);
    stage.log.durable(1);
    assert!(stage.seen().await.is_empty());
    stage.log.durable(2);
    assert_eq!(stage.seen().await, [1, 2, 3, 4]);
}

/// Senders on other threads can keep a mailbox from ever being empty.
#[actix::test]
async fn a_turn_that_asks_for_much_ends_before_the_mailbox_is_empty() {
    let stage = Stage::new().await;
    stage.log.ready(0);
    stage.tell((0..3000).map(Order::Store));
    assert_eq!(stage.stored().await.len(), 3000);
    assert_eq!(stage.log.lock().appends, 6, "512 orders ask for 1,024 records and messages");
    assert!(stage.log.lock().appended.iter().copied().eq(0..3000));
}

#[actix::test]
async fn mail_that_waits_for_no_record_is_no_overload() {
    let stage = Stage::with(Limits { log_backlog_max: 1, ..Limits::default() }).await;
    stage.log.ready(0);
    stage.tell((0..600).map(Order::Mail));
    assert_eq!(stage.dropped().await, Dropped::default());
    assert!(stage.seen().await.into_iter().eq(0..600), "envelopes are bounded, and keep the order");
}

#[actix::test]
async fn the_log_may_speak_from_its_own_thread() {
    let stage = Stage::new().await;
    stage.log.ready(0);
    stage.tell([Order::Store(1)]);
    assert!(stage.seen().await.is_empty());
    let log = stage.log.clone();
    std::thread::spawn(move || log.durable(1)).join().expect("sent");
    assert_eq!(stage.seen().await, [1]);
}

#[actix::test]
async fn what_comes_before_the_log_is_replayed_is_dropped_and_counted() {
    let stage = Stage::new().await;
    stage.tell([Order::Store(9), Order::Mail(9)]);
    stage.log.event(LogEvent::Replayed { epoch: 1, records: vec![1, 2] });
    stage.log.event(LogEvent::Replayed { epoch: 1, records: vec![3] });
    assert!(!stage.puppet.send(Report).await.expect("alive").running);
    stage.log.ready(3);
    stage.tell([Order::Store(4)]);
    assert_eq!(stage.stored().await, [1, 2, 3, 4]);
    assert_eq!(stage.dropped().await, Dropped { not_running: 2, overload: 0 });
    let shell = stage.puppet.send(Report).await.expect("alive");
    assert_eq!((shell.running, shell.appended, shell.durable), (true, 4, 3));
}

#[actix::test]
async fn a_restart_begins_from_the_log_and_ignores_the_former_epoch() {
    let stage = Stage::new().await;
    stage.log.ready(0);
    stage.tell([Order::Store(1), Order::Store(2)]);
    stage.puppet.send(Restart).await.expect("alive");
    assert_eq!(stage.log.lock().epoch, 2);
    stage.log.event(LogEvent::Ready { epoch: 1, lsn: 7 });
    stage.log.event(LogEvent::Durable { epoch: 1, lsn: 2 });
    stage.log.event(LogEvent::Replayed { epoch: 1, records: vec![9] });
    assert!(stage.stored().await.is_empty(), "memory is forgotten");
    stage.log.event(LogEvent::Replayed { epoch: 2, records: vec![1] });
    stage.log.ready(1);
    stage.tell([Order::Mail(3)]);
    assert_eq!(stage.stored().await, [1]);
    assert_eq!(stage.seen().await, [3], "held mail of the former epoch is lost");
}

#[actix::test]
async fn a_log_that_is_behind_refuses_more_work_until_it_catches_up() {
    let stage = Stage::with(Limits { log_backlog_max: 1, ..Limits::default() }).await;
    stage.log.ready(0);
    stage.tell([Order::Store(1), Order::Store(2), Order::Store(3)]);
    assert_eq!(stage.stored().await, [1, 2]);
    stage.log.durable(2);
    stage.tell([Order::Store(4)]);
    assert_eq!(stage.stored().await, [1, 2, 4]);
    assert_eq!(stage.dropped().await, Dropped { not_running: 0, overload: 1 });
}

#[actix::test]
async fn without_a_log_all_mail_is_free() {
    let sink = Sink::default().start();
    let puppet = RoleActor::new(ME, Puppet::default).routes(to_sink(&sink)).start();
    tell(&puppet, Order::Store(1));
    tell(&puppet, Order::Mail(2));
    puppet.send(Report).await.expect("alive");
    assert_eq!(sink.send(Seen).await.expect("alive"), [1, 2]);
}

#[actix::test]
async fn a_panic_ends_the_node_names_the_role_and_takes_the_neighbours_along() {
    let stage = Stage::new().await;
    let neighbour = RoleActor::new(ME, Puppet::default).ending(&stage.ending).start();
    stage.log.ready(0);
    stage.tell([Order::Panic]);
    let end = stage.ending.wait().await;
    assert!(matches!(end, NodeEnd::Panicked { role: RoleName::Acceptor }), "{end}");
    assert!(!stage.puppet.connected() && !neighbour.connected());
    assert!(stage.log_closed.load(Ordering::SeqCst));
}

#[actix::test]
async fn a_neighbour_does_no_work_after_the_end() {
    let stage = Stage::new().await;
    stage.log.ready(0);
    stage.tell([Order::Store(1)]);
    assert!(stage.seen().await.is_empty());
    stage.ending.end(NodeEnd::Stopped);
    stage.log.durable(1);
    stage.tell([Order::Mail(2)]);
    stage.ending.wait().await;
    assert!(stage.sink.send(Seen).await.expect("alive").is_empty());
}

#[actix::test]
async fn a_failed_log_ends_the_node_with_its_error() {
    let stage = Stage::new().await;
    stage.log.ready(0);
    stage.tell([Order::Store(1)]);
    let error = Arc::new(std::io::Error::other("no more space in segment 7"));
    stage.log.event(LogEvent::Failed { epoch: 1, error });
    stage.log.durable(1);
    let end = stage.ending.wait().await;
    assert_eq!(end.to_string(), "the log failed: no more space in segment 7");
    assert!(stage.sink.send(Seen).await.expect("alive").is_empty(), "its mail stays held");
}

#[actix::test]
async fn a_stop_waits_for_the_log_and_lets_its_mail_go() {
    let stage = Stage::new().await;
    stage.log.ready(0);
    stage.tell([Order::Store(1)]);
    let stopped = actix_rt::spawn(stage.puppet.send(Stop));
    settle().await;
    assert!(!stopped.is_finished(), "record 1 is not durable yet");
    stage.tell([Order::Mail(2)]);
    stage.log.durable(1);
    stopped.await.expect("no panic").expect("answered");
    assert!(stage.log_closed.load(Ordering::SeqCst));
    assert_eq!(stage.sink.send(Seen).await.expect("alive"), [1]);
}

#[actix::test]
async fn a_stop_during_replay_does_not_wait() {
    let stage = Stage::new().await;
    stage.puppet.send(Stop).await.expect("answered");
    assert!(stage.log_closed.load(Ordering::SeqCst));
}

/// Timers fire on the next full millisecond.
const TIMER_STEP: Duration = Duration::from_millis(1);

#[actix::test]
async fn ticks_that_were_missed_are_not_made_up_for() {
    tokio::time::pause();
    let timing = Timing::new(100, 300).expect("sound");
    let tick = Duration::from_micros(timing.tick_us()) + TIMER_STEP;
    let puppet = RoleActor::new(ME, Puppet::default).timing(timing).start();
    puppet.send(Report).await.expect("alive");
    let ticks = async || {
        settle().await;
        puppet.send(Inspect::new(|p: &Puppet| p.ticks)).await.expect("alive")
    };
    assert_eq!(ticks().await, 0);
    tokio::time::advance(100 * tick).await;
    assert_eq!(ticks().await, 1);
    tokio::time::advance(tick).await;
    assert_eq!(ticks().await, 2);
}

#[actix::test]
async fn a_restart_leaves_one_tick_per_interval() {
    tokio::time::pause();
    let tick = Duration::from_micros(Timing::default().tick_us()) + TIMER_STEP;
    let puppet = RoleActor::new(ME, Puppet::default).start();
    puppet.send(Restart).await.expect("alive");
    puppet.send(Restart).await.expect("alive");
    for _ in 0..3 {
        settle().await;
        tokio::time::advance(tick).await;
    }
    settle().await;
    let ticks = puppet.send(Inspect::new(|p: &Puppet| p.ticks)).await.expect("alive");
    assert_eq!(ticks, 3);
}

#[actix::test]
async fn each_turn_is_traced_as_role_inputs_and_output() {
    trace::listen();
    let timing = Timing::new(100_000, 300_000).expect("sound"); // no tick gets in between
    let puppet = RoleActor::new(ME, Puppet::default).timing(timing).start();
    tell(&puppet, Order::Mail(6));
    tell(&puppet, Order::Mail(7));
    puppet.send(Report).await.expect("alive");
    let lines = trace::heard();
    tell(&puppet, Order::Mail(8));
    puppet.send(Report).await.expect("alive");
    assert!(trace::heard().is_empty(), "nobody listens");
    let [line] = &lines[..] else { panic!("one turn, one line: {lines:?}") };
    for part in ["role=Acceptor", "me=1#", ": Mail(6)", ": Mail(7)", "LeaderHint"] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
}

#[test]
fn the_clock_never_goes_back() {
    let times: Vec<_> = (0..1000).map(|_| clock::now()).collect();
    assert!(times.is_sorted());
}
