//! What is sent.

use paxos_core::*;
use std::fmt;

/// Mail under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub from: MemberId,
    pub to: NodeId,
    pub packet: Packet,
}

/// What it says, as far as it matters to who reads how a rule was broken.
impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.packet.kind(), self.from.node)?;
        match &self.packet {
            Packet::Acceptor(AcceptorMsg::Prepare { ballot, .. }) => write!(f, ": {ballot}"),
            Packet::Acceptor(AcceptorMsg::Accept { ballot, slot, entry, .. }) => {
                write!(f, ": {ballot}, slot {slot} = {}", values(entry))
            }
            Packet::Proposer(ProposerMsg::Promise { ballot, part }) => {
                write!(f, ": {ballot}")?;
                part.votes.iter().try_for_each(|(slot, Vote { ballot, entry })| {
                    write!(f, ", slot {slot} = {} in {ballot}", values(entry))
                })
            }
            Packet::Proposer(ProposerMsg::Accepted { ballot, slots }) => {
                write!(f, ": {ballot}, slots {} to below {}", slots.from, slots.below)
            }
            packet => write!(f, ": {packet:?}"),
        }
    }
}

fn values(entry: &Entry) -> String {
    let value = |command: &Command| match &command.body {
        Body::Run { value, .. } => String::from_utf8_lossy(value).into_owned(),
        Body::Register { .. } => "a session".into(),
    };
    match entry.is_noop() {
        true => "no-op".into(),
        false => entry.commands.iter().map(value).collect(),
    }
}
