//! The log's thread: takes what is queued, writes once, syncs once, says so once.

use crate::log::LogEvent;
use crate::wal::error::WalError;
use crate::wal::recover::Found;
use crate::wal::segments::Segments;
use actix::Recipient;
use crossbeam_channel::Receiver;
use paxos_core::Record;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Bytes of one write, about; what is queued behind them waits for the next.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// Bytes of records in one part of a replay; a larger record goes alone.
const PART_BYTES_MAX: usize = 1 << 20;

/// Bytes that a record takes in a part at least.
const RECORD_BYTES_MIN: usize = 64;

/// What the handle asks of the thread.
pub(crate) enum Request {
    Open { epoch: u64, events: Recipient<LogEvent<Record>> },
    Append { epoch: u64, records: Vec<Record> },
}

/// The thread's own state.
pub(crate) struct Worker {
    requests: Receiver<Request>,
    /// Set when the handle waits for the end of the thread.
    closing: Arc<AtomicBool>,
    stage: Stage,
    reader: Option<Reader>,
}

enum Stage {
    /// Nothing was read yet.
    Found(Found),
    /// The log can be written.
    Open(Box<Segments>),
    /// For ever.
    Failed(Arc<WalError>),
}

/// Who writes the log now.
struct Reader {
    epoch: u64,
    events: Recipient<LogEvent<Record>>,
}

impl Worker {
    pub fn new(found: Found, requests: Receiver<Request>, closing: Arc<AtomicBool>) -> Worker {
        Worker { requests, closing, stage: Stage::Found(found), reader: None }
    }

    /// Runs until the handle is gone and its last request is done.
    pub fn run(mut self) {
        while let Ok(mut request) = self.requests.recv() {
            loop {
                let next = match request {
                    Request::Open { epoch, events } => {
                        self.open(Reader { epoch, events });
                        None
                    }
                    Request::Append { epoch, records } => self.write(epoch, records),
                };
                match next {
                    Some(behind) => request = behind,
                    None => break,
                }
            }
        }
    }

    /// Begins an epoch.
    fn open(&mut self, reader: Reader) {
        let mut parts = Parts::new(&reader, &self.closing);
        let failed = Stage::Failed(Arc::new(WalError::Stopped));
        let mut sink = |record, bytes| parts.push(record, bytes);
        let opened = match mem::replace(&mut self.stage, failed) {
            Stage::Found(found) => found.replay(&mut sink).map(Box::new).map_err(Arc::new),
            Stage::Open(mut segments) => {
                segments.replay(&mut sink).map(|()| segments).map_err(Arc::new)
            }
            Stage::Failed(error) => Err(error),
        };
        parts.flush();
        let epoch = reader.epoch;
        match opened {
            Ok(segments) => {
                let lsn = segments.lsn();
                reader.events.do_send(LogEvent::Ready { epoch, lsn });
                self.stage = Stage::Open(segments);
                self.reader = Some(reader);
            }
            Err(error) => {
                self.reader = Some(reader);
                self.fail(error);
            }
        }
    }

    /// Writes the records, and what is queued behind them. Gives back the request that ended the
    /// batch, if it was not an append.
    fn write(&mut self, epoch: u64, records: Vec<Record>) -> Option<Request> {
        let (Stage::Open(segments), Some(reader)) = (&mut self.stage, &self.reader) else {
            return None;
        };
        let mut behind = None;
        let mut written = Ok(());
        let mut next = Some((epoch, records));
        while let Some((epoch, records)) = next.take() {
            if epoch == reader.epoch {
                written = segments.append(&records);
            }
            if written.is_ok() && segments.pending_bytes() < BATCH_BYTES_MAX {
                match self.requests.try_recv() {
                    Ok(Request::Append { epoch, records }) => next = Some((epoch, records)),
                    Ok(open) => behind = Some(open),
                    Err(_) => {}
                }
            }
        }
        let prepared = written.and_then(|()| segments.commit()).and_then(|lsn| {
            reader.events.do_send(LogEvent::Durable { epoch: reader.epoch, lsn });
            segments.prepare()
        });
        if let Err(error) = prepared {
            self.fail(Arc::new(error));
        }
        behind
    }

    /// Nothing more is written, whatever comes: after a failure no one knows what is durable.
    fn fail(&mut self, error: Arc<WalError>) {
        if let Some(Reader { epoch, events }) = &self.reader {
            events.do_send(LogEvent::Failed { epoch: *epoch, error: error.clone() });
        }
        self.stage = Stage::Failed(error);
    }
}

/// A replay on its way to the actor, a part at a time.
struct Parts<'a> {
    reader: &'a Reader,
    closing: &'a AtomicBool,
    records: Vec<Record>,
    bytes: usize,
    is_gone: bool,
}

impl<'a> Parts<'a> {
    fn new(reader: &'a Reader, closing: &'a AtomicBool) -> Parts<'a> {
        Parts { reader, closing, records: Vec::new(), bytes: 0, is_gone: false }
    }

    fn push(&mut self, record: Record, bytes: usize) {
        self.records.push(record);
        self.bytes += bytes.max(RECORD_BYTES_MIN);
        if self.bytes >= PART_BYTES_MAX {
            self.flush();
        }
    }

    /// Sends a part and waits until the actor has taken it in, so that only one is in memory. An
    /// actor that is gone misses the rest.
    fn flush(&mut self) {
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
