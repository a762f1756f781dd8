//! The write-ahead log: what an acceptor must find again after a crash, durable before anyone
//! hears of it.
//!
//! A data directory has these files, all of them written through [`Disk`] alone:
//!
//! ```text
//! lock                   held by the process that uses the directory
//! identity               whose directory it is; see identity.rs for its bytes
//! 0000000000000001.wal   segments, numbered in hexadecimal: a header (header.rs) and frames
//! 0000000000000002.wal     (frame.rs), one frame behind the other
//! spare.wal              the segment that is being prepared; no part of the log
//! ```
//! Real bytes of each are in `docs/wal-format.md`, with what may be changed and how.
//!
//! **Writing.** A segment is made in advance and full of zeros, so that a sync need not also make
//! the file's size durable. Whatever has queued is written at once and synced once. When a segment
//! is full, the next gets its header, then its name, then frames, each durable before the next
//! step. A header restates what came before it, so that old segments can go as soon as all slots
//! that they mention are trimmed; it says which segment is the oldest that still counts. What the
//! newest header says is trimmed is replayed first: the segments that went may have held records
//! that those behind build on.
//!
//! **Cluster.** The roster is a record like others, so the frames before the first roll know no
//! cluster: checksums in a segment are over the cluster that the segment's own header names, 0
//! where it was made before the roster was stored. A header's cluster must be that of the roster
//! which it restates, and that of the records before it.
//!
//! **Reading.** Everything below the end that the next header states was durable, and everything
//! below the `synced` of any frame behind: a bad frame there is corruption, and the log refuses to
//! open. Any other bad frame ends the log, even with valid frames behind it, for one un-synced
//! write may have reached the disk in part. The log then goes on in a new segment, whose header
//! says where the old one ends: what stands behind is cut off for ever. Frames at the end that
//! nothing proves durable are written again and synced before the log counts them.
//!
//! **Failing.** After the first write or sync that fails, nothing is written any more.

mod counters;
pub mod disk;
mod error;
mod file;
mod frame;
mod header;
mod identity;
mod memory;
mod memory_disk;
mod recover;
mod segments;
mod state;
mod thread;

pub use counters::{Counters, Counts};
pub use disk::{Disk, DiskError, DiskFile};
pub use error::WalError;
pub use file::FileDisk;
pub use identity::Identity;
pub use memory::MemoryLog;
pub use memory_disk::{MemoryDisk, MountedDisk};
pub use recover::Found;
pub use segments::Segments;

use crate::log::{Log, LogEvent};
use crate::wal::thread::{Request, Worker};
use actix::Recipient;
use crossbeam_channel::{Sender, TrySendError, bounded};
use paxos_core::{Incarnation, Limits, NodeId, Record};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Bytes that a segment may have; a multiple of the first.
const SEGMENT_BYTES: RangeInclusive<u32> = 4096..=1 << 30;

/// What a log is opened with.
#[derive(Clone, Copy, Debug)]
pub struct WalOptions {
    /// Whose log it is.
    pub node: NodeId,
    /// The incarnation, if the data directory is a new one: must be random.
    pub incarnation: Incarnation,
    /// Bytes of a new segment: a multiple of 4096.
    pub segment_bytes: u32,
    /// Requests that may be queued. Whoever appends must keep its own bound below it.
    pub queue_max: usize,
}

impl WalOptions {
    /// Segments of 64 MiB, and room for twice the backlog that [`Limits`] allow.
    pub fn new(node: NodeId) -> WalOptions {
        WalOptions {
            node,
            incarnation: Incarnation(rand::random()),
            segment_bytes: 64 << 20,
            queue_max: 2 * Limits::default().log_backlog_max as usize,
        }
    }
}

/// An acceptor's log on disk: the handle of the log's thread. Dropped, it waits until all that was
/// appended is durable.
pub struct Wal {
    identity: Identity,
    counters: Arc<Counters>,
    closing: Arc<AtomicBool>,
    /// The way to the thread, or why there is none any more.
    requests: Result<Sender<Request>, Arc<WalError>>,
    reader: Option<(u64, Recipient<LogEvent<Record>>)>,
    thread: Option<JoinHandle<()>>,
}

impl Wal {
    /// Takes a data directory, makes it if it is empty, and starts the thread. The records are
    /// read, and damage among them is reported, when an epoch begins.
    pub fn open(disk: impl Disk + 'static, options: WalOptions) -> Result<Wal, WalError> {
        let found = Found::open(disk, options)?;
        let identity = found.identity();
        let counters = found.counters();
        let closing = Arc::new(AtomicBool::new(false));
        let (requests, queue) = bounded(options.queue_max);
        let worker = Worker::new(found, queue, closing.clone());
        let thread = std::thread::Builder::new()
            .name(format!("wal-{}", options.node))
            .spawn(|| worker.run())
            .map_err(WalError::Thread)?;
        Ok(Wal {
            identity,
            counters,
            closing,
            requests: Ok(requests),
            reader: None,
            thread: Some(thread),
        })
    }

    /// Whose log it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// What the log counts.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Waits until all that was appended is durable, or the log has failed, and ends the thread.
    pub fn close(self) {}

    /// Hands a request to the thread. One that does not fit may not be followed by others: the log
    /// would have a hole.
    fn request(&mut self, request: Request) {
        let error = match &self.requests {
            Err(error) => error.clone(),
            Ok(requests) => match requests.try_send(request) {
                Ok(()) => return,
                Err(TrySendError::Full(_)) => {
                    Arc::new(WalError::Overrun(requests.capacity().unwrap_or(0)))
                }
                Err(TrySendError::Disconnected(_)) => Arc::new(WalError::Stopped),
            },
        };
        self.requests = Err(error.clone());
        if let Some((epoch, events)) = &self.reader {
            events.do_send(LogEvent::Failed { epoch: *epoch, error });
        }
    }
}

impl Log<Record> for Wal {
    fn open(&mut self, epoch: u64, events: Recipient<LogEvent<Record>>) {
        self.reader = Some((epoch, events.clone()));
        self.request(Request::Open { epoch, events });
    }

    fn append(&mut self, epoch: u64, records: &mut Vec<Record>) -> Option<u64> {
        if !records.is_empty() {
            self.request(Request::Append { epoch, records: std::mem::take(records) });
        }
        None
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        self.requests = Err(Arc::new(WalError::Stopped));
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in the thread has been reported as such, and the log as stopped.
            let _ = thread.join();
        }
    }
}
