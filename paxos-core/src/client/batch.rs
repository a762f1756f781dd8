//! Commands of one turn share a message.

use crate::ballot::NodeId;
use crate::entry::Command;
use crate::message::{Packet, ProposerMsg};
use crate::role::{NoRecord, Outgoing, Output};
use alloc::vec;

/// The last message with commands, which may still be in the output: then it takes more.
#[derive(Debug)]
pub(super) struct Batch {
    /// Bytes of the commands in it, about.
    bytes: usize,
    bytes_max: usize,
}

impl Batch {
    pub(super) fn new(bytes_max: usize) -> Batch {
        Batch { bytes: 0, bytes_max }
    }

    /// Sends a command: behind the last one, if that goes to the same node and both fit in a frame.
    pub(super) fn send(&mut self, to: NodeId, command: Command, out: &mut Output<NoRecord>) {
        let weight = command.weight();
        if let Some(Outgoing { to: last, packet: Packet::Proposer(msg) }) = out.mail.last_mut()
            && let ProposerMsg::Propose { commands, .. } = msg
            && *last == to
            && self.bytes + weight <= self.bytes_max
        {
            self.bytes += weight;
            return commands.push(command);
        }
        self.bytes = weight;
        out.send(to, ProposerMsg::Propose { commands: vec![command], hops: 0 });
    }
}
