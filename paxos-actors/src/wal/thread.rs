//! The log's thread: takes what is queued, writes once, syncs once, says so once.

use crate::log::LogEvent;
use crate::replay::{Parts, Reader};
use crate::wal::error::WalError;
use crate::wal::recover::Found;
use crate::wal::segments::Segments;
use actix::Recipient;
use crossbeam_channel::Receiver;
use paxos_core::Record;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Bytes of one write, about; what is queued behind them waits for the next.
const BATCH_BYTES_MAX: usize = 4 << 20;

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
    reader: Option<Reader<Record>>,
}

enum Stage {
    /// Nothing was read yet.
    Found(Found),
    /// The log can be written.
    Open(Box<Segments>),
    /// For ever.
    Failed(Arc<WalError>),
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
    fn open(&mut self, reader: Reader<Record>) {
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
