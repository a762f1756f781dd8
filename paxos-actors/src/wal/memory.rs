//! A log in memory, without a thread: for nodes that may forget everything.

use crate::log::{Log, LogEvent};
use crate::wal::state::{self, State};
use actix::Recipient;
use paxos_core::Record;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A log that lives as long as its value. What is appended is durable at once, as far as memory
/// goes, and stays for the epochs to come, until its slots are trimmed. A clone has the same
/// records: it lets a node that starts again find what it left.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    held: Arc<Mutex<Held>>,
    /// The epoch that this handle opened last.
    epoch: Option<u64>,
}

#[derive(Debug, Default)]
struct Held {
    /// What the records amount to that are not held any more.
    gone: State,
    /// What all records amount to.
    all: State,
    records: VecDeque<Record>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> MemoryLog {
        MemoryLog::default()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn append(&mut self, records: &mut Vec<Record>) {
        let mut trims = false;
        for record in records.drain(..) {
            trims |= matches!(record, Record::Trimmed { .. });
            self.all.apply(&record);
            self.records.push_back(record);
        }
        if trims {
            self.forget();
        }
    }

    /// Lets go of the first records that speak only of slots which are trimmed, and of what can be
    /// said again in short.
    fn forget(&mut self) {
        while let Some(first) = self.records.front() {
            if state::slots(first).below > self.all.trimmed {
                break;
            }
            self.gone.apply(first);
            self.records.pop_front();
        }
    }
}

impl Log<Record> for MemoryLog {
    fn open(&mut self, epoch: u64, events: Recipient<LogEvent<Record>>) {
        let (records, lsn) = {
            let held = self.held();
            let again = held.gone.restated(&held.all);
            (again.chain(held.records.iter().cloned()).collect(), held.all.lsn)
        };
        events.do_send(LogEvent::Replayed { epoch, records });
        events.do_send(LogEvent::Ready { epoch, lsn });
        self.epoch = Some(epoch);
    }

    fn append(&mut self, epoch: u64, records: &mut Vec<Record>) -> Option<u64> {
        self.epoch.filter(|current| *current == epoch)?;
        let mut held = self.held();
        held.append(records);
        Some(held.all.lsn)
    }
}
