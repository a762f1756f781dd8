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

/// Messages in one envelope: so much is lost at once where a mailbox is full.
const ENVELOPE_MAX: usize = 256;

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
#[derive(Debug)]
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
        self.post_run(from, mail, std::iter::empty())
    }

    /// Sends messages on their way, or loses them; the room that they took stays. Those in a row
    /// that are of one kind, and for one node, share an envelope.
    pub fn post_all(&self, from: MemberId, mail: &mut Vec<Outgoing>) {
        let mut mail = mail.drain(..);
        while let Some(first) = mail.next() {
            let (to, kind) = (first.to, first.packet.kind());
            let rest = mail.as_slice().iter().take(ENVELOPE_MAX - 1);
            let run = rest.take_while(|next| next.to == to && next.packet.kind() == kind).count();
            // What is lost is counted, and Paxos survives it.
            let _ = self.post_run(from, first, mail.by_ref().take(run));
        }
    }

    fn post_run(
        &self,
        from: MemberId,
        first: Outgoing,
        rest: impl ExactSizeIterator<Item = Outgoing>,
    ) -> Posted {
        let Outgoing { to, packet } = first;
        let (kind, count) = (packet.kind(), 1 + rest.len());
        macro_rules! deliver {
            ($table:ident, $role:path, $msg:ident) => {{
                // With exact room, the box is not made anew.
                let mut more = Vec::with_capacity(rest.len());
                more.extend(rest.filter_map(|next| match next.packet {
                    $role(msg) => Some(msg),
                    _ => None,
                }));
                deliver(&self.$table, Envelope { from, to, msg: $msg, more: more.into() })
            }};
        }
        let posted = match packet {
            Packet::Acceptor(msg) => deliver!(acceptors, Packet::Acceptor, msg),
            Packet::Proposer(msg) => deliver!(proposers, Packet::Proposer, msg),
            Packet::Learner(msg) => deliver!(learners, Packet::Learner, msg),
            Packet::Client(msg) => deliver!(clients, Packet::Client, msg),
        };
        self.counters.count(kind, count as u64, posted);
        posted
    }

    /// What was posted and lost through this table, and those that it replaced.
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            posted: std::array::from_fn(|_| AtomicU64::default()),
            full: AtomicU64::default(),
            unreachable: AtomicU64::default(),
        }
    }
}

impl Counters {
    fn count(&self, kind: Kind, count: u64, posted: Posted) {
        let counter = match posted {
            Posted::Queued => &self.posted[kind as usize],
            Posted::Full => &self.full,
            Posted::Unreachable => &self.unreachable,
        };
        counter.fetch_add(count, Ordering::Relaxed);
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
