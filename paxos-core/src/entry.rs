//! What is voted for: an entry is a batch of commands.

use crate::ballot::{Ballot, NodeId};
use crate::slot::Slot;
use alloc::sync::Arc;
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The content of one slot: a batch of commands, or none at all (a no-op). Cheap to clone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds of log time that the leader stamped (rule R18); no wall clock enters it.
    pub log_time_ms: u64,
    /// The batch, in the order in which it is applied.
    pub commands: Arc<[Command]>,
}

impl Entry {
    /// An entry without commands. It fills holes and lets log time pass.
    pub fn noop(log_time_ms: u64) -> Entry {
        Entry { log_time_ms, commands: Arc::new([]) }
    }

    /// Whether the entry has no commands.
    pub fn is_noop(&self) -> bool {
        self.commands.is_empty()
    }

    /// What an entry without commands weighs.
    pub(crate) const WEIGHT: usize = 16;

    /// Bytes that the entry takes, about: what batches and answers are measured by.
    #[inline]
    pub fn weight(&self) -> usize {
        Self::WEIGHT + self.commands.iter().map(Command::weight).sum::<usize>()
    }
}

/// The (slot, index) at which a session was registered: its id for ever (rule R16).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct SessionId {
    /// The slot of the registration.
    pub slot: Slot,
    /// The place of the registration in that slot's entry.
    pub index: u32,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.index)
    }
}

/// One thing that a client wants done, exactly once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The node of the client: where the reply goes.
    pub client: NodeId,
    /// The node whose learner sends the reply. The first proposer that takes the command names the
    /// one that it is paired with (rule R15).
    pub learner: NodeId,
    /// What is to be done.
    pub body: Body,
}

impl Command {
    /// Bytes that the command takes, about.
    pub fn weight(&self) -> usize {
        match &self.body {
            Body::Register { .. } => 32,
            Body::Run { value, .. } => 48 + value.len(),
        }
    }

    /// What its client knows it by.
    pub fn name(&self) -> CommandName {
        match self.body {
            Body::Register { nonce } => CommandName::Register { nonce },
            Body::Run { session, sequence, .. } => CommandName::Run { session, sequence },
        }
    }
}

/// What a command does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// Opens a session. `nonce` is random and only matches the reply to the request.
    Register {
        /// Chosen by the client.
        nonce: u64,
    },
    /// Runs `value` on the state machine, once per (session, sequence).
    Run {
        /// The session.
        session: SessionId,
        /// The place of the command in the session; the first is 0.
        sequence: u64,
        /// The client has the answers of all sequences below this one, and asks for none again.
        acked_below: u64,
        /// Opaque to all but the state machine.
        value: Bytes,
    },
}

/// Which command it is, without what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandName {
    /// A registration.
    Register {
        /// Its nonce.
        nonce: u64,
    },
    /// A command of a session.
    Run {
        /// The session.
        session: SessionId,
        /// The command's place in it.
        sequence: u64,
    },
}

/// An acceptor's vote for one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The ballot voted in.
    pub ballot: Ballot,
    /// The entry voted for.
    pub entry: Entry,
}

/// `noop@5ms` or `[3]@5ms`, and the commands in the alternate form.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return f
                .debug_struct("Entry")
                .field("log_time_ms", &self.log_time_ms)
                .field("commands", &self.commands)
                .finish();
        }
        if self.is_noop() {
            return write!(f, "noop@{}ms", self.log_time_ms);
        }
        write!(f, "[{}]@{}ms", self.commands.len(), self.log_time_ms)
    }
}
