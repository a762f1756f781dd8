//! What actors exchange.

use actix::Message;
use paxos_core::{MemberId, NodeId};

/// A role's messages on their way: who sent them and which node they are for.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Envelope<M> {
    /// The member that sent them, as its link has proved.
    pub from: MemberId,
    /// The node they are for.
    pub to: NodeId,
    /// The first message; as a rule the only one.
    pub msg: M,
    /// Messages behind it.
    pub more: Box<[M]>,
}

impl<M> Envelope<M> {
    /// An envelope with one message.
    pub fn new(from: MemberId, to: NodeId, msg: M) -> Envelope<M> {
        Envelope { from, to, msg, more: Box::default() }
    }

    /// The messages, in order.
    pub fn messages(self) -> impl Iterator<Item = M> {
        std::iter::once(self.msg).chain(self.more)
    }
}
