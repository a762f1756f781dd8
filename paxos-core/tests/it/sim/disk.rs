//! A log that takes its time, and forgets what was not synced.

use paxos_core::rng::Rng;
use paxos_core::{Ballot, Record, Slot};

/// Records of one acceptor. A sync covers what was appended when it began.
#[derive(Debug, Default)]
pub struct Disk {
    pub durable: Vec<Record>,
    /// Records that the log does not hold any more.
    dropped: u64,
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

    /// How many records the log had.
    pub fn lsn(&self) -> u64 {
        self.dropped + self.durable.len() as u64
    }

    /// The log is opened again. Some of what lies wholly below its last trimming may be gone, as
    /// segments go: what it said of other things is said again.
    pub fn restart(&mut self, rng: &mut Rng) {
        let trimmed = |record: &Record| match record {
            Record::Trimmed { below, .. } => *below,
            _ => Slot::ZERO,
        };
        let Some(last) = self.durable.iter().rposition(|r| trimmed(r) > Slot::ZERO) else { return };
        let below = trimmed(&self.durable[last]);
        let is_needed = |record: &Record| match record {
            Record::Voted { slot, .. } | Record::Learned { slot, .. } => *slot >= below,
            Record::Chosen { slots, .. } => slots.below > below,
            _ => false,
        };
        let most = self.durable.iter().position(is_needed).unwrap_or(last).min(last);
        let gone = rng.between(0, most as u64 + 1) as usize;
        if gone < 4 {
            // What is said again would be more.
            return;
        }
        let lsn = self.lsn();
        let mut restated = Vec::new();
        let mut promised = Ballot::ZERO;
        for record in self.durable.drain(..gone) {
            match record {
                Record::Promised(ballot) => promised = promised.max(ballot),
                Record::Voted { vote, .. } => promised = promised.max(vote.ballot),
                Record::Roster(_) | Record::Formed => restated.push(record),
                _ => {}
            }
        }
        if promised > Ballot::ZERO {
            restated.push(Record::Promised(promised));
        }
        restated.push(self.durable[last - gone].clone());
        self.durable.splice(..0, restated);
        self.dropped = lsn - self.durable.len() as u64;
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
