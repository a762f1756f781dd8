//! What an acceptor must find again after a crash.

use crate::ballot::Ballot;
use crate::config::Configuration;
use crate::entry::{Entry, Vote};
use crate::slot::{Slot, SlotRange};
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// One change of an acceptor's durable state, in the order of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The first configuration. Stored once; a member never stores another (rule R23). In a box,
    /// since it is rare, and would make every record as large.
    Roster(Box<Configuration>),
    /// All first members have stored the roster.
    Formed,
    /// Promised: nothing below this ballot is voted for any more.
    Promised(Ballot),
    /// Voted. It raises the promise to the vote's ballot as well.
    Voted {
        /// The slot.
        slot: Slot,
        /// The vote.
        vote: Vote,
    },
    /// The votes of this ballot in these slots are chosen (rule R8).
    Chosen {
        /// The ballot that was counted.
        ballot: Ballot,
        /// The slots.
        slots: SlotRange,
    },
    /// The chosen entry of a slot, fetched from an acceptor that held it as chosen.
    Learned {
        /// The slot.
        slot: Slot,
        /// What was chosen there.
        entry: Entry,
    },
    /// The slots below are forgotten, since snapshots cover them (rule R26).
    Trimmed {
        /// The first slot that is kept.
        below: Slot,
        /// Log time at the last slot below, in milliseconds.
        log_time_ms: u64,
    },
}
