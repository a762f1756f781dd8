//! What a client and a node say to each other on the client port.
//!
//! Values of [`Request`] and [`Response`] travel in frames ([`paxos_net::frame`]). The client
//! speaks first, with a `Hello`, and waits; the node answers with its own, or with a `Refused` and
//! the end of the connection. From then on each side sends when it has something to say: answers
//! name what they answer, and come in any order.

use paxos_core::{ClientMsg, Command, MemberId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use thiserror::Error;

/// The version of this protocol.
pub const VERSION: u16 = 1;

/// The kind of a frame with a [`Request`].
pub const REQUEST: u8 = 16;

/// The kind of a frame with a [`Response`].
pub const RESPONSE: u8 = 17;

/// What a client says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The first words.
    Hello {
        /// The version that the client speaks.
        version: u16,
    },
    /// Please get these commands chosen. Where their replies go is for the node to say.
    Propose(Vec<Command>),
    /// Run this query on state that has all that was acknowledged before now.
    Read {
        /// The client's number of the read.
        id: u64,
        /// A [`crate::op::Query`].
        query: bytes::Bytes,
    },
    /// How is the node?
    Status,
}

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Response {
    /// The answer to `Hello`.
    Hello {
        /// The version that both speak from now on.
        version: u16,
        /// The node.
        node: MemberId,
    },
    /// For the client's state machine.
    Client(ClientMsg),
    /// The answer to `Status`.
    Status(Box<Status>),
    /// The node does not go on with this connection.
    Refused(Refused),
}

/// Why a node ends a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Refused {
    /// The client speaks another version.
    #[error(
        "the node speaks version {0} of the protocol, this client version {VERSION}: upgrade the \
         older one"
    )]
    Version(u16),
    /// There are as many connections as there may be.
    #[error(
        "the node has {0} client connections, which is all it takes: close some, or use \
         another node"
    )]
    Connections(u64),
    /// The client sent something that cannot be taken.
    #[error("the node cannot read what it was sent: {0}")]
    Unreadable(String),
    /// Client connections hold as many bytes as they may, and this one wanted more.
    #[error(
        "the node's client connections hold {0} bytes of unfinished requests and untaken answers, \
         which is all that it has for them: send again later, or use another node"
    )]
    Memory(u64),
}

/// What a node tells about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The node.
    pub node: u64,
    /// The cluster, once it is formed.
    pub cluster: Option<String>,
    /// Until then: first nodes that have to be heard from.
    pub awaited: Vec<u64>,
    /// Its roles.
    pub roles: Vec<String>,
    /// `follow`, `campaign` or `lead`.
    pub stance: String,
    /// The ballot that it follows, campaigns with or leads.
    pub ballot: String,
    /// The ballot that its acceptor has promised.
    pub promised: String,
    /// The leader, where it knows one.
    pub leader: Option<u64>,
    /// Every slot below is known to be chosen.
    pub chosen_below: u64,
    /// Every slot below is applied.
    pub applied_below: u64,
    /// Its newest snapshot on disk has the effect of every slot below; 0: it has none.
    pub snapshot_below: u64,
    /// It waits for the snapshot of a peer, and can do nothing else.
    pub wants_snapshot: bool,
    /// Its log has forgotten every slot below.
    pub trimmed: u64,
    /// Digest of the state and the sessions at `applied_below`, in hexadecimal.
    pub digest: String,
    /// Log time at `applied_below`, in milliseconds.
    pub log_time_ms: u64,
    /// The revision of the store.
    pub revision: u64,
    /// Keys with a value.
    pub keys: u64,
    /// Sessions open.
    pub sessions: u64,
    /// What it counted since it started.
    pub counters: Counters,
}

/// What a node counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Times that the log was made durable.
    pub fsyncs: u64,
    /// Records appended to the log.
    pub records: u64,
    /// How often this node's proposer sent `Prepare` with a new ballot. Outside of this project
    /// such a campaign is called an election, and so it is in JSON.
    #[serde(rename = "elections")]
    pub campaigns: u64,
    /// Messages lost at a full mailbox, for want of a mailbox, or refused by a role's actor.
    pub drops: u64,
    /// Messages posted, by kind.
    pub messages: BTreeMap<String, u64>,
    /// The log.
    pub log: BTreeMap<String, u64>,
    /// Snapshots: written, installed, sent.
    pub snapshots: BTreeMap<String, u64>,
    /// Links to peers.
    pub links: BTreeMap<String, u64>,
    /// The client port.
    pub clients: BTreeMap<String, u64>,
}
