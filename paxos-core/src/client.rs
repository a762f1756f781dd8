//! The client: numbers its calls, sends them, and sends them again.

use crate::ballot::{MemberId, NodeId};
use crate::config::{Limits, Now};
use crate::entry::SessionId;
use crate::message::ClientMsg;
use crate::role::{NoRecord, Output, Role};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// What a client is made with.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The node that replies are sent to.
    pub me: MemberId,
    /// Nodes that have a proposer (for writes) and a learner (for reads), in order of preference.
    pub nodes: Vec<NodeId>,
    /// Spreads its retries.
    pub seed: u64,
    /// How long the first attempt may take before the call is sent again, in microseconds; each
    /// further one may take twice as long, with jitter, up to sixteen times.
    pub retry_us: u64,
    /// How much to hold.
    pub limits: Limits,
}

/// Names a call of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// How a call ended (rule R17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command was applied once, or the query was run, with this result.
    Done(Bytes),
    /// Nothing was done, and nothing will be.
    NotApplied(Refusal),
    /// The command may have been applied, or may yet be. The ticket says which one it was.
    Unknown(Ticket),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Every attempt was refused at the door: the cluster has too much to do.
    Busy,
    /// The time was up before any attempt left this client, or, for a read, before an answer came.
    TimedOut,
    /// This client has as many calls open as it may.
    TooManyCalls,
}

/// Names a command whose outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The session it belongs to.
    pub session: SessionId,
    /// Its place in the session.
    pub sequence: u64,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.session, self.sequence)
    }
}

/// The client.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
}

impl Client {
    /// A client without a session; it opens one with its first command.
    pub fn new(options: ClientOptions) -> Client {
        Client { options }
    }

    /// Has `value` run on the state machine, exactly once. Ends no later than `deadline`.
    pub fn write(&mut self, _: Now, _: Bytes, _deadline: Now, _: &mut Output<NoRecord>) -> CallId {
        CallId(0)
    }

    /// Asks `query` of state that has all that was acknowledged before now.
    pub fn read(&mut self, _: Now, _: Bytes, _deadline: Now, _: &mut Output<NoRecord>) -> CallId {
        CallId(0)
    }

    /// The connection to `node` was lost: what waits for it is sent elsewhere.
    pub fn unreachable(&mut self, _: Now, _node: NodeId, _: &mut Output<NoRecord>) {}

    /// The calls that ended since this was asked last. Ask after every step.
    pub fn finished(&mut self) -> Vec<(CallId, Outcome)> {
        Vec::new()
    }

    /// Itself.
    pub fn me(&self) -> MemberId {
        self.options.me
    }
}

impl Role for Client {
    type Msg = ClientMsg;
    type Record = NoRecord;

    fn receive(&mut self, _: Now, _: MemberId, _: ClientMsg, _: &mut Output<NoRecord>) {}

    fn tick(&mut self, _: Now, _: &mut Output<NoRecord>) {}

    fn replay(&mut self, record: NoRecord) {
        match record {}
    }
}
