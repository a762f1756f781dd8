//! What is on disk on its way to an actor, a part at a time.

use crate::log::LogEvent;
use actix::Recipient;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Bytes of records in one part of a replay; a larger record goes alone.
const PART_BYTES_MAX: usize = 1 << 20;

/// Bytes that a record takes in a part at least.
const RECORD_BYTES_MIN: usize = 64;

/// The actor that records are replayed to, and the epoch that this begins.
pub(crate) struct Reader<R: Send + 'static> {
    pub epoch: u64,
    pub events: Recipient<LogEvent<R>>,
}

/// A replay from a thread of its own.
pub(crate) struct Parts<'a, R: Send + 'static> {
    reader: &'a Reader<R>,
    /// Set when whoever holds the thread's handle waits for the thread to end.
    closing: &'a AtomicBool,
    records: Vec<R>,
    bytes: usize,
    is_gone: bool,
}

impl<'a, R: Send + 'static> Parts<'a, R> {
    pub fn new(reader: &'a Reader<R>, closing: &'a AtomicBool) -> Parts<'a, R> {
        Parts { reader, closing, records: Vec::new(), bytes: 0, is_gone: false }
    }

    /// Adds the next record, which takes so many bytes.
    pub fn push(&mut self, record: R, bytes: usize) {
        self.records.push(record);
        self.bytes += bytes.max(RECORD_BYTES_MIN);
        if self.bytes >= PART_BYTES_MAX {
            self.flush();
        }
    }

    /// Sends a part and waits until the actor has taken it in, so that only one is in memory. An
    /// actor that is gone misses the rest.
    pub fn flush(&mut self) {
        self.bytes = 0;
        let records = mem::take(&mut self.records);
        if records.is_empty() || self.is_gone {
            return;
        }
        let Reader { epoch, events } = self.reader;
        let mut taken = pin!(events.send(LogEvent::Replayed { epoch: *epoch, records }));
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        self.is_gone = loop {
            match taken.as_mut().poll(&mut context) {
                Poll::Ready(answer) => break answer.is_err(),
                // The one who closes the log may well be the actor that should take the part.
                Poll::Pending if self.closing.load(Ordering::Acquire) => break true,
                Poll::Pending => thread::park(),
            }
        };
    }
}

/// Wakes a thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
