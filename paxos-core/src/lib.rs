//! The rules of Multi-Paxos as deterministic state machines.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod acceptor;
pub mod ballot;
pub mod client;
pub mod config;
pub mod entry;
pub mod gate;
pub mod learner;
pub mod message;
pub mod proposer;
pub mod quorum;
pub mod record;
pub mod rng;
pub mod role;
pub mod slot;
pub mod state;

pub use acceptor::{Acceptor, AcceptorOptions, AcceptorStatus};
pub use ballot::{Ballot, Incarnation, MemberId, NodeId};
pub use client::{CallId, Client, ClientOptions, Outcome, Refusal, Ticket};
pub use config::{ClusterId, Configuration, Feed, Layout, Limits, Now, Timing};
pub use entry::{Body, Command, Entry, SessionId, Vote};
pub use gate::Gate;
pub use learner::{Learner, LearnerOptions, LearnerStatus};
pub use message::{
    AcceptorMsg, ClientMsg, Entries, LearnerMsg, Packet, PromisePart, ProposerMsg, Refused, Reply,
    RoleName,
};
pub use proposer::{Proposer, ProposerOptions, ProposerStatus};
pub use quorum::Quorums;
pub use record::Record;
pub use role::{NoRecord, Outgoing, Output, Role};
pub use slot::{Slot, SlotRange};
pub use state::{Applied, StateMachine};
