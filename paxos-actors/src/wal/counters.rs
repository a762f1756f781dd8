//! What the log's thread counts.

use crate::clock;
use crate::latency::Latency;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a log did since its start. Shared by the thread that counts and those that read.
#[derive(Debug, Default)]
pub struct Counters {
    fsyncs: AtomicU64,
    frames: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    segments: AtomicU64,
    fsync: Latency,
}

/// What [`Counters`] had counted at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files synced: once per write, and now and then for a segment.
    pub fsyncs: u64,
    /// Frames appended.
    pub frames: u64,
    /// Records appended.
    pub records: u64,
    /// Bytes of frames written.
    pub bytes: u64,
    /// Segments that the log has now.
    pub segments: u64,
    /// Microseconds that the slowest sync took.
    pub fsync_us_max: u64,
    /// Microseconds that a sync took of late, on average.
    pub fsync_us_avg: u64,
}

impl Counters {
    /// What was counted up to now.
    pub fn read(&self) -> Counts {
        Counts {
            fsyncs: self.fsyncs.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            segments: self.segments.load(Ordering::Relaxed),
            fsync_us_max: self.fsync.max_us(),
            fsync_us_avg: self.fsync.average_us(),
        }
    }

    /// How long syncs take. What waits for one also waits for the write before it, which the system
    /// mostly buffers; where a sync comes with writes of its own, these are in the time.
    pub fn fsync(&self) -> &Latency {
        &self.fsync
    }

    /// Syncs, and counts that and how long it took.
    pub(crate) fn timed<T, E>(&self, sync: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let began = clock::now();
        let done = sync()?;
        self.fsync.record(clock::now().since(began));
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
        Ok(done)
    }

    pub(crate) fn sealed(&self, records: u32) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records.into(), Ordering::Relaxed);
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn has_segments(&self, count: usize) {
        self.segments.store(count as u64, Ordering::Relaxed);
    }
}
