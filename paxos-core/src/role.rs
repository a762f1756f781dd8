//! What a role is: a deterministic machine, and what one step of it asks of the world.

use crate::ballot::{MemberId, NodeId};
use crate::config::Now;
use crate::message::Packet;
use alloc::vec::Vec;
use core::fmt::Debug;

/// One Paxos role: a deterministic machine with no clock, no disk, no socket and no errors.
///
/// Stale or senseless input is answered with silence or a refusal, never with a failure.
pub trait Role: 'static {
    /// The one inbound enum of the role.
    type Msg: Debug + Clone + Send + Unpin + 'static;
    /// What this role must find again after a crash.
    type Record: Debug + Clone + Send + Unpin + 'static;

    /// Takes one message.
    fn receive(&mut self, now: Now, from: MemberId, msg: Self::Msg, out: &mut Output<Self::Record>);

    /// Does once what all messages since the last call gave reason for. Called when no more mail
    /// waits; whoever has no mailbox calls it after each message. A role that is not flushed does
    /// the same at the next tick.
    fn flush(&mut self, _now: Now, _out: &mut Output<Self::Record>) {}

    /// Lets time pass. Called about every [`crate::Timing::tick_us`]; late or missed calls are
    /// harmless, since only `now` counts.
    fn tick(&mut self, now: Now, out: &mut Output<Self::Record>);

    /// Applies a record: the only way in which durable state changes, live and at recovery.
    fn replay(&mut self, record: Self::Record);
}

/// The record of a role that needs none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRecord {}

/// A message and the node it is for. The packet says which of the node's roles gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The node it is for.
    pub to: NodeId,
    /// The message.
    pub packet: Packet,
}

/// What one step asks of the world.
///
/// `mail` leaves only when `records`, and all before them, are durable; a step without records
/// waits for those before it too. [`crate::Gate`] sees to that, and no protocol code thinks of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<R> {
    /// To be appended to the log, in this order. They are applied already.
    pub records: Vec<R>,
    /// Leaves when the records are durable.
    pub mail: Vec<Outgoing>,
    /// Votes for the learner that this acceptor feeds. They say nothing of durability, so they
    /// leave at once: a learner applies them only under a `Chosen` (rule R4).
    pub feed: Vec<Outgoing>,
}

impl<R> Output<R> {
    /// Nothing asked.
    pub fn new() -> Output<R> {
        Output { records: Vec::new(), mail: Vec::new(), feed: Vec::new() }
    }

    /// Adds mail.
    #[inline]
    pub fn send(&mut self, to: NodeId, msg: impl Into<Packet>) {
        self.mail.push(Outgoing { to, packet: msg.into() });
    }

    /// Adds mail, for messages of which many are sent: what `msg` makes is written where it stays,
    /// while [`Output::send`] makes it somewhere else and copies it.
    #[inline]
    pub(crate) fn post<M: Into<Packet>>(&mut self, to: NodeId, msg: impl FnOnce() -> M) {
        let outgoing = || Outgoing { to, packet: msg().into() };
        self.mail.extend(core::iter::once_with(outgoing));
    }

    /// Whether nothing was asked.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.mail.is_empty() && self.feed.is_empty()
    }
}

impl<R> Default for Output<R> {
    fn default() -> Output<R> {
        Output::new()
    }
}
