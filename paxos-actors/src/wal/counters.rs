//! What the log's thread counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a log did since its start. Shared by the thread that counts and those that read.
#[derive(Debug, Default)]
pub struct Counters {
    fsyncs: AtomicU64,
    frames: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
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
}

impl Counters {
    /// What was counted up to now.
    pub fn read(&self) -> Counts {
        Counts {
            fsyncs: self.fsyncs.load(Ordering::Relaxed),
            frames: self.frames.load(Ordering::Relaxed),
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn synced(&self) {
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sealed(&self, records: u32) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records.into(), Ordering::Relaxed);
    }

    pub(crate) fn wrote(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
