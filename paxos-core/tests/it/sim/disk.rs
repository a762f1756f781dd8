//! A log that takes its time, and forgets what was not synced.

use paxos_core::Record;
use paxos_core::rng::Rng;

/// Records of one acceptor. A sync covers what was appended when it began.
#[derive(Debug, Default)]
pub struct Disk {
    pub durable: Vec<Record>,
    unsynced: Vec<Record>,
    syncing: usize,
    pub slow: bool,
}

impl Disk {
    /// Appends records. Gives back how long the sync takes that must now begin, if one must.
    pub fn append(&mut self, records: Vec<Record>, rng: &mut Rng) -> Option<u64> {
        self.unsynced.extend(records);
        self.sync(rng)
    }

    fn sync(&mut self, rng: &mut Rng) -> Option<u64> {
        if self.syncing > 0 || self.unsynced.is_empty() {
            return None;
        }
        self.syncing = self.unsynced.len();
        Some(if self.slow { rng.between(20_000, 200_000) } else { rng.between(50, 3_000) })
    }

    /// The sync is done. Gives back the records now durable, and the time of the next sync.
    pub fn synced(&mut self, rng: &mut Rng) -> (Vec<Record>, Option<u64>) {
        let records: Vec<Record> = self.unsynced.drain(..self.syncing).collect();
        self.durable.extend(records.iter().cloned());
        self.syncing = 0;
        (records, self.sync(rng))
    }

    /// The machine loses power: of what was not synced, some may have reached the disk, in order.
    /// Gives back those records.
    pub fn crash(&mut self, rng: &mut Rng) -> Vec<Record> {
        let kept = rng.between(0, self.unsynced.len() as u64 + 1) as usize;
        let kept: Vec<Record> = self.unsynced.drain(..).take(kept).collect();
        self.durable.extend(kept.iter().cloned());
        self.syncing = 0;
        kept
    }
}
