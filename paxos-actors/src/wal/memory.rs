//! A log in memory, without a thread: for nodes that may forget everything.

use crate::log::{Log, LogEvent};
use actix::Recipient;

/// A log that lives as long as its value. What is appended is durable at once, as far as memory
/// goes, and stays for the epochs to come.
#[derive(Debug)]
pub struct MemoryLog<R: Send + 'static> {
    records: Vec<R>,
    reader: Option<(u64, Recipient<LogEvent<R>>)>,
}

impl<R: Send + 'static> MemoryLog<R> {
    /// An empty log.
    pub fn new() -> MemoryLog<R> {
        MemoryLog { records: Vec::new(), reader: None }
    }
}

impl<R: Send + 'static> Default for MemoryLog<R> {
    fn default() -> MemoryLog<R> {
        MemoryLog::new()
    }
}

impl<R: Clone + Send + 'static> Log<R> for MemoryLog<R> {
    fn open(&mut self, epoch: u64, events: Recipient<LogEvent<R>>) {
        events.do_send(LogEvent::Replayed { epoch, records: self.records.clone() });
        events.do_send(LogEvent::Ready { epoch, lsn: self.records.len() as u64 });
        self.reader = Some((epoch, events));
    }

    fn append(&mut self, epoch: u64, records: Vec<R>) {
        match &self.reader {
            Some((current, events)) if *current == epoch && !records.is_empty() => {
                self.records.extend(records);
                events.do_send(LogEvent::Durable { epoch, lsn: self.records.len() as u64 });
            }
            _ => {}
        }
    }
}
