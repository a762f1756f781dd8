//! What is replicated: the user's own type.

use crate::slot::Slot;
use crate::snapshot::SnapshotParts;
use bytes::Bytes;
use core::fmt;

/// Where in the log a command stands, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The slot.
    pub slot: Slot,
    /// The place in the slot's entry.
    pub index: u32,
    /// Log time in milliseconds: never goes back, the same on every replica (rule R18).
    pub log_time_ms: u64,
}

/// A state that every learner keeps equal by applying the same commands in the same order.
///
/// It must be deterministic: no clock, no randomness, no iteration over hash maps, no floating
/// point whose result differs between machines. A command that makes no sense gets a result that
/// says so, the same everywhere.
pub trait StateMachine: 'static {
    /// Applies one command and gives its result. Called once per command, in the order of the log.
    fn apply(&mut self, at: Applied, command: &Bytes) -> Bytes;

    /// Answers a question without changing anything.
    fn query(&self, query: &Bytes) -> Bytes;

    /// A digest of the whole state: equal states have equal digests.
    fn digest(&self) -> u64;

    /// The state as it is now, in parts of at most about a mebibyte, to be read out by another
    /// thread while commands go on being applied here: so it must share what it reads, or copy it.
    /// Calls happen between two commands, and should be quick. Equal states should give equal
    /// parts.
    fn snapshot(&self) -> SnapshotParts;

    /// Takes the next part of a snapshot. The first comes to a state with nothing applied.
    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable>;
}

/// A part of a snapshot that a state machine cannot read, although it is what was written: another
/// version of the program may have written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrestorable(pub &'static str);

impl fmt::Display for Unrestorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a snapshot cannot be restored: {}; was it written by another version?", self.0)
    }
}

impl core::error::Error for Unrestorable {}
