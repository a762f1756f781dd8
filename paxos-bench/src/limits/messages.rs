//! Messages to an actor that shares an arbiter with who sends them.

use actix::prelude::*;
use serde::Serialize;
use std::time::{Duration, Instant};

/// So many messages are sent before the actor has a turn.
const STREAM: u32 = 1000;

/// What a message costs, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Messages {
    /// A message, and the wait for its answer.
    pub request_reply_ns: f64,
    /// One of many that are sent without waiting, the handling included.
    pub stream_ns: f64,
}

struct Counter(u64);

#[derive(Message)]
#[rtype(result = "u64")]
struct Count;

impl Actor for Counter {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(STREAM as usize);
    }
}

impl Handler<Count> for Counter {
    type Result = u64;

    fn handle(&mut self, Count: Count, _: &mut Context<Self>) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// Measures each for `time`, on a thread of its own: the caller may have a runtime already.
pub fn measure(time: Duration) -> Messages {
    let measuring = std::thread::spawn(move || actix_rt::System::new().block_on(both(time)));
    measuring.join().expect("what measures messages does not panic")
}

async fn both(time: Duration) -> Messages {
    let counter = Counter(0).start();
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < time {
        sent = ask(&counter).await;
    }
    let request_reply_ns = begun.elapsed().as_nanos() as f64 / sent as f64;
    let (begun, before) = (Instant::now(), sent);
    while begun.elapsed() < time {
        (0..STREAM).for_each(|_| counter.do_send(Count));
        sent = ask(&counter).await;
    }
    let stream_ns = begun.elapsed().as_nanos() as f64 / (sent - before) as f64;
    Messages { request_reply_ns, stream_ns }
}

async fn ask(counter: &Addr<Counter>) -> u64 {
    counter.send(Count).await.expect("the counter runs as long as this has its address")
}
