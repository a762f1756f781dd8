//! The rules of Multi-Paxos as deterministic state machines.
//!
//! ```
//! use paxos_core::*;
//!
//! let layout = Layout::full(&[NodeId(1)]).unwrap();
//! let me = MemberId { node: NodeId(1), incarnation: Incarnation(7) };
//! let (timing, limits) = (Timing::default(), Limits::default());
//! let mut acceptor = Acceptor::new(AcceptorOptions { me, layout, timing, limits });
//! let mut out = Output::new();
//! acceptor.tick(Now(0), &mut out); // introduces itself to the other first members
//! assert_eq!(out.mail[0].to, NodeId(1));
//! ```
//!
//! A [`Role`] takes messages and the time, and gives back an [`Output`]: records for the log, and
//! mail that may leave when they are durable, which the [`Gate`] sees to. The four roles are
//! [`Acceptor`], [`Proposer`], [`Learner`] and [`Client`]; they talk only by the messages of
//! [`message`], which is the file to open first.
//!
//! What is deliberately not here: clocks, disks, sockets, threads, logging, randomness but an
//! injected seed, and iteration in hash order. What drives the roles (`paxos-actors`, a simulator,
//! a test) decides what time it is, what is durable and what arrives.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

/// Whether a bug was asked for: never, in a build that users get.
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(paxos_planted)]
        let planted = $crate::planted::is_planted($crate::planted::Planted::$bug);
        #[cfg(not(paxos_planted))]
        let planted = false;
        planted
    }};
}

pub mod acceptor;
mod ahead;
pub mod ballot;
pub mod client;
pub mod config;
pub mod digest;
pub mod entry;
pub mod gate;
pub mod layout;
pub mod learner;
pub mod message;
#[cfg(paxos_planted)]
pub mod planted;
pub mod proposer;
pub mod quorum;
pub mod record;
pub mod rng;
pub mod role;
mod roster;
pub mod session;
pub mod slot;
pub mod snapshot;
pub mod state;
pub mod synod;

pub use acceptor::{Acceptor, AcceptorOptions, AcceptorStatus};
pub use ballot::{Ballot, Incarnation, MemberId, NodeId};
pub use client::{CallId, Client, ClientOptions, Outcome, Refusal, Ticket};
pub use config::{ClusterId, Configuration, Limits, Now, SessionRules, Timing};
pub use entry::{Body, Command, CommandName, Entry, SessionId, Vote};
pub use gate::Gate;
pub use layout::{Feed, Layout, LayoutError, Part, QuorumRule, Roles};
pub use learner::{Learner, LearnerOptions, LearnerStatus};
pub use message::{
    AcceptorMsg, ClientMsg, Entries, Kind, LearnerMsg, Packet, PromisePart, ProposerMsg, Reply,
    RoleName,
};
pub use proposer::{Proposer, ProposerOptions, ProposerStatus, StanceName};
pub use quorum::Quorums;
pub use record::Record;
pub use role::{NoRecord, Outgoing, Output, Role};
pub use session::{SessionState, Sessions, Verdict};
pub use slot::{Slot, SlotRange};
pub use snapshot::{
    SnapshotEvent, SnapshotId, SnapshotParts, SnapshotPiece, SnapshotSource, SnapshotTask,
    Unmendable,
};
pub use state::{Applied, StateMachine, Unrestorable};
