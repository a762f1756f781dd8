//! A log as a role's actor sees it. [`crate::wal`] has the one on disk and the one in memory.

use actix::{Message, Recipient};
use std::sync::Arc;

/// Where a role's records go.
///
/// An epoch begins with [`Log::open`] and ends with the next one: each restart of an actor opens a
/// new epoch, and events of an old one are ignored. Sequence numbers (lsn: how many records were
/// appended in all) go on from epoch to epoch.
pub trait Log<R: Send + 'static>: Send {
    /// Begins an epoch. The log sends every record that it holds, in parts, to `events`, then
    /// [`LogEvent::Ready`].
    fn open(&mut self, epoch: u64, events: Recipient<LogEvent<R>>);

    /// Appends records, in this order. [`LogEvent::Durable`] tells when they are durable; one such
    /// event may speak for many appends. Where they are at once, it gives back what the event would
    /// say: how many records are durable in all. What it leaves in `records` is dropped: in an
    /// epoch that is over, a log takes nothing.
    fn append(&mut self, epoch: u64, records: &mut Vec<R>) -> Option<u64>;
}

/// What a log tells the actor that writes it.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub enum LogEvent<R: Send + 'static> {
    /// Records that the log holds, the next ones in order.
    Replayed {
        /// The epoch.
        epoch: u64,
        /// The records.
        records: Vec<R>,
    },
    /// All records were replayed; the role may run.
    Ready {
        /// The epoch.
        epoch: u64,
        /// How many records were appended in all: the gate starts here.
        lsn: u64,
    },
    /// Everything up to here is durable.
    Durable {
        /// The epoch.
        epoch: u64,
        /// How many records are durable in all.
        lsn: u64,
    },
    /// The log cannot go on; the node must stop. No more is durable than was said before.
    Failed {
        /// The epoch.
        epoch: u64,
        /// What happened, where, and what can be done.
        error: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl<R: Send + 'static> LogEvent<R> {
    /// The epoch that it belongs to.
    pub fn epoch(&self) -> u64 {
        match self {
            LogEvent::Replayed { epoch, .. }
            | LogEvent::Ready { epoch, .. }
            | LogEvent::Durable { epoch, .. }
            | LogEvent::Failed { epoch, .. } => *epoch,
        }
    }
}
