//! What a store of snapshots counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a store did since its start. Shared by the thread that counts and those that read.
#[derive(Debug, Default)]
pub struct Counters {
    written: AtomicU64,
    written_bytes: AtomicU64,
    not_written: AtomicU64,
    installed: AtomicU64,
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    unsound: AtomicU64,
}

/// What [`Counters`] had counted at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Snapshots written.
    pub written: u64,
    /// Bytes of them.
    pub written_bytes: u64,
    /// Snapshots that were begun and not finished.
    pub not_written: u64,
    /// Snapshots of peers that became this node's own.
    pub installed: u64,
    /// Bytes read for peers.
    pub sent_bytes: u64,
    /// Bytes kept that peers sent.
    pub received_bytes: u64,
    /// Transfers that came to nothing: damaged, or without room.
    pub unsound: u64,
}

impl Counters {
    /// What was counted up to now.
    pub fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            written: read(&self.written),
            written_bytes: read(&self.written_bytes),
            not_written: read(&self.not_written),
            installed: read(&self.installed),
            sent_bytes: read(&self.sent_bytes),
            received_bytes: read(&self.received_bytes),
            unsound: read(&self.unsound),
        }
    }

    pub(super) fn wrote(&self, bytes: u64) {
        self.written.fetch_add(1, Ordering::Relaxed);
        self.written_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn gave_up(&self) {
        self.not_written.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn installed(&self) {
        self.installed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn unsound(&self) {
        self.unsound.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counts {
    /// Each count with its name.
    pub fn named(&self) -> [(&'static str, u64); 7] {
        [
            ("written", self.written),
            ("written_bytes", self.written_bytes),
            ("not_written", self.not_written),
            ("installed", self.installed),
            ("sent_bytes", self.sent_bytes),
            ("received_bytes", self.received_bytes),
            ("unsound", self.unsound),
        ]
    }
}
