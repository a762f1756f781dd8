//! The message that actors exchange.

use actix::Message;
use paxos_core::{MemberId, NodeId};

/// A role's message on its way: who sent it and which node it is for.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Envelope<M> {
    /// The member that sent it, as its link has proved.
    pub from: MemberId,
    /// The node it is for.
    pub to: NodeId,
    /// What it says.
    pub msg: M,
}
