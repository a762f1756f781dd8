//! What a log amounts to at some point: as much as its headers restate.

use crate::wal::frame::Frame;
use paxos_core::{Ballot, ClusterId, Configuration, Record, Slot, SlotRange};

/// What the log says up to some point of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The roster that was stored.
    pub roster: Option<Box<Configuration>>,
    /// Whether all first members have stored it.
    pub formed: bool,
    /// The highest ballot promised or voted in.
    pub promised: Ballot,
    /// Slots below are forgotten.
    pub trimmed: Slot,
    /// Log time at the last slot that is forgotten, in milliseconds.
    pub trimmed_ms: u64,
    /// Every slot below was stated as chosen, or is forgotten. More may have been.
    pub chosen_below: Slot,
    /// How many records the log had.
    pub lsn: u64,
    /// The crc of the last frame's header; 0 for none.
    pub crc: u32,
}

impl State {
    /// The cluster, as far as it is known: 0 before the roster is stored.
    pub fn cluster(&self) -> ClusterId {
        self.roster.as_ref().map_or(ClusterId(0), |roster| roster.cluster_id())
    }

    /// Takes the next record.
    pub fn apply(&mut self, record: &Record) {
        self.lsn += 1;
        match record {
            Record::Roster(roster) => self.roster = Some(roster.clone()),
            Record::Formed => self.formed = true,
            Record::Promised(ballot) => self.promised = self.promised.max(*ballot),
            Record::Voted { vote, .. } => self.promised = self.promised.max(vote.ballot),
            Record::Chosen { slots, .. } => self.chosen(*slots),
            Record::Learned { .. } => self.chosen(slots(record)),
            Record::Trimmed { below, log_time_ms } => {
                if *below > self.trimmed {
                    self.trimmed = *below;
                    self.trimmed_ms = self.trimmed_ms.max(*log_time_ms);
                }
                self.chosen_below = self.chosen_below.max(*below);
            }
        }
    }

    /// The records that say again what was said before this point, as far as it is not about slots
    /// that are forgotten at `newest`, the last header of the log. That one counts, and not this
    /// state's own: segments went for it, so what comes next may speak of slots whose records are
    /// gone. All of these are below what it says is trimmed.
    pub fn restated(&self, newest: &State) -> impl Iterator<Item = Record> {
        let promised = (self.promised > Ballot::ZERO).then_some(Record::Promised(self.promised));
        let State { trimmed: below, trimmed_ms: log_time_ms, .. } = *newest;
        let trimmed = (below > Slot::ZERO).then_some(Record::Trimmed { below, log_time_ms });
        let roster = self.roster.clone().map(Record::Roster);
        let formed = self.formed.then_some(Record::Formed);
        [roster, formed, promised, trimmed].into_iter().flatten()
    }

    /// Whether a frame can be the next one.
    pub fn leads_to(&self, frame: &Frame) -> bool {
        if planted!(StaleSegmentReused) {
            return true;
        }
        frame.crc_before == self.crc && frame.lsn == self.lsn && frame.promised >= self.promised
    }

    fn chosen(&mut self, slots: SlotRange) {
        if slots.from <= self.chosen_below {
            self.chosen_below = self.chosen_below.max(slots.below);
        }
    }
}

/// The slots that a record is about; none for most.
pub(crate) fn slots(record: &Record) -> SlotRange {
    match record {
        Record::Voted { slot, .. } | Record::Learned { slot, .. } => {
            SlotRange::new(*slot, Slot(slot.0.saturating_add(1)))
        }
        Record::Chosen { slots, .. } => *slots,
        _ => SlotRange::default(),
    }
}

/// The smallest range that has the slots of both.
pub(crate) fn cover(a: SlotRange, b: SlotRange) -> SlotRange {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => SlotRange::new(a.from.min(b.from), a.below.max(b.below)),
    }
}
