//! A log in memory, without a thread: for nodes that may forget everything.

use crate::log::{Log, LogEvent};
use actix::Recipient;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A log that lives as long as its value. What is appended is durable at once, as far as memory
/// goes, and stays for the epochs to come. A clone has the same records: it lets a node that starts
/// again find what it left.
#[derive(Debug)]
pub struct MemoryLog<R: Send + 'static> {
    records: Arc<Mutex<Vec<R>>>,
    reader: Option<(u64, Recipient<LogEvent<R>>)>,
}

impl<R: Send + 'static> MemoryLog<R> {
    /// An empty log.
    pub fn new() -> MemoryLog<R> {
        MemoryLog { records: Arc::default(), reader: None }
    }

    fn records(&self) -> MutexGuard<'_, Vec<R>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Send + 'static> Default for MemoryLog<R> {
    fn default() -> MemoryLog<R> {
        MemoryLog::new()
    }
}

impl<R: Send + 'static> Clone for MemoryLog<R> {
    fn clone(&self) -> MemoryLog<R> {
        MemoryLog { records: self.records.clone(), reader: None }
    }
}

impl<R: Clone + Send + 'static> Log<R> for MemoryLog<R> {
    fn open(&mut self, epoch: u64, events: Recipient<LogEvent<R>>) {
        let records = self.records().clone();
        let lsn = records.len() as u64;
        events.do_send(LogEvent::Replayed { epoch, records });
        events.do_send(LogEvent::Ready { epoch, lsn });
        self.reader = Some((epoch, events));
    }

    fn append(&mut self, epoch: u64, records: Vec<R>) {
        let Some((current, events)) = &self.reader else { return };
        if *current == epoch && !records.is_empty() {
            let mut held = self.records();
            held.extend(records);
            events.do_send(LogEvent::Durable { epoch, lsn: held.len() as u64 });
        }
    }
}
