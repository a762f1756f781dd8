//! Where mail goes: the one exit of every role, and of every link.

use crate::envelope::Envelope;
use actix::Recipient;
use actix::prelude::SendError;
use paxos_core::{
    AcceptorMsg, ClientMsg, Kind, LearnerMsg, MemberId, NodeId, Outgoing, Packet, ProposerMsg,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One table of mailboxes per role: the node's own actors, and a link for each other node.
///
/// Immutable, and replaced whole. Each mailbox has one handle, shared by all through an `Arc` of
/// the table, because actix bounds a mailbox per handle.
///
/// What a route promises, and nothing above may assume more: at most once; in order per link while
/// it is connected; may drop; may be delivered after a reconnect only if member and life still
/// match.
#[derive(Debug, Default)]
pub struct Routes {
    acceptors: BTreeMap<NodeId, Recipient<Envelope<AcceptorMsg>>>,
    proposers: BTreeMap<NodeId, Recipient<Envelope<ProposerMsg>>>,
    learners: BTreeMap<NodeId, Recipient<Envelope<LearnerMsg>>>,
    clients: BTreeMap<NodeId, Recipient<Envelope<ClientMsg>>>,
    counters: Arc<Counters>,
}

/// What became of a message at its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It is in a mailbox.
    Queued,
    /// The mailbox was full: the message is lost, which Paxos survives.
    Full,
    /// No mailbox, or its actor has stopped: the message is lost.
    Unreachable,
}

/// Messages posted, by kind, and messages lost.
#[derive(Debug, Default)]
pub struct Counters {
    posted: [AtomicU64; Kind::ALL.len()],
    full: AtomicU64,
    unreachable: AtomicU64,
}

/// What [`Counters`] had counted at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that reached a mailbox, by kind.
    pub posted: BTreeMap<Kind, u64>,
    /// Messages lost at a full mailbox.
    pub full: u64,
    /// Messages lost for want of a mailbox.
    pub unreachable: u64,
}

impl Routes {
    /// A table without mailboxes.
    pub fn new() -> Routes {
        Routes::default()
    }

    /// Adds the mailbox of the acceptor at `node`.
    pub fn acceptor(mut self, node: NodeId, to: Recipient<Envelope<AcceptorMsg>>) -> Routes {
        self.acceptors.insert(node, to);
        self
    }

    /// Adds the mailbox of the proposer at `node`.
    pub fn proposer(mut self, node: NodeId, to: Recipient<Envelope<ProposerMsg>>) -> Routes {
        self.proposers.insert(node, to);
        self
    }

    /// Adds the mailbox of the learner at `node`.
    pub fn learner(mut self, node: NodeId, to: Recipient<Envelope<LearnerMsg>>) -> Routes {
        self.learners.insert(node, to);
        self
    }

    /// Adds the mailbox of the client at `node`.
    pub fn client(mut self, node: NodeId, to: Recipient<Envelope<ClientMsg>>) -> Routes {
        self.clients.insert(node, to);
        self
    }

    /// Goes on counting where `former` stopped, since this table replaces it.
    pub fn replacing(mut self, former: &Routes) -> Routes {
        self.counters = former.counters.clone();
        self
    }

    /// Sends one message on its way, or loses it.
    pub fn post(&self, from: MemberId, mail: Outgoing) -> Posted {
        let Outgoing { to, packet } = mail;
        let kind = packet.kind();
        let posted = match packet {
            Packet::Acceptor(msg) => deliver(&self.acceptors, Envelope { from, to, msg }),
            Packet::Proposer(msg) => deliver(&self.proposers, Envelope { from, to, msg }),
            Packet::Learner(msg) => deliver(&self.learners, Envelope { from, to, msg }),
            Packet::Client(msg) => deliver(&self.clients, Envelope { from, to, msg }),
        };
        self.counters.count(kind, posted);
        posted
    }

    /// What was posted and lost through this table, and those that it replaced.
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }
}

impl Counters {
    fn count(&self, kind: Kind, posted: Posted) {
        let counter = match posted {
            Posted::Queued => &self.posted[kind as usize],
            Posted::Full => &self.full,
            Posted::Unreachable => &self.unreachable,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            posted: Kind::ALL.iter().copied().zip(self.posted.iter().map(read)).collect(),
            full: read(&self.full),
            unreachable: read(&self.unreachable),
        }
    }
}

fn deliver<M: Send + 'static>(
    table: &BTreeMap<NodeId, Recipient<Envelope<M>>>,
    envelope: Envelope<M>,
) -> Posted {
    match table.get(&envelope.to).map(|mailbox| mailbox.try_send(envelope)) {
        Some(Ok(())) => Posted::Queued,
        Some(Err(SendError::Full(_))) => Posted::Full,
        Some(Err(SendError::Closed(_))) | None => Posted::Unreachable,
    }
}
