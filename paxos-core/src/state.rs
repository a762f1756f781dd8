//! What is replicated: the user's own type.

use crate::slot::Slot;
use bytes::Bytes;

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
}
