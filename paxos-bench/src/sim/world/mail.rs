//! Mail on its way: who takes it, and what becomes of it.

use super::{Event, World};
use crate::sim::clients::FIRST_CLIENT;
use crate::sim::network;
use paxos_core::*;

impl World {
    pub(super) fn deliver(&mut self, from: MemberId, mail: Outgoing, boot: Option<u64>) {
        if mail.to.0 >= FIRST_CLIENT {
            let c = (mail.to.0 - FIRST_CLIENT) as usize;
            let Packet::Client(msg) = mail.packet else { return };
            let now = Now(self.now);
            return self.step_client(c, |client, out| client.receive(now, from, msg, out));
        }
        let is_call = from.node.0 >= FIRST_CLIENT;
        let to = if is_call { self.takes(mail.to, &mail.packet) } else { mail.to };
        let i = (to.0 - 1) as usize;
        if boot.is_some_and(|boot| boot != self.nodes[i].boot) {
            return;
        }
        if self.nodes[i].paused_until > self.now {
            let wait = self.wake_up(i);
            return self.after(wait, Event::Mail { from, mail, boot });
        }
        self.note(|| format!("{from} -> {}: {:?}", mail.to, mail.packet));
        let now = self.turn_now(i);
        match mail.packet {
            Packet::Acceptor(msg) => self.step_acceptor(i, |a, out| a.receive(now, from, msg, out)),
            Packet::Proposer(msg) => self.step_proposer(i, |p, out| p.receive(now, from, msg, out)),
            Packet::Learner(msg) => {
                self.step_learner(i, |l, out| l.receive(now, from, msg, out));
            }
            Packet::Client(_) => {}
        }
    }

    /// The node that takes this packet when a client gives it to `node`, as its client port does.
    fn takes(&self, node: NodeId, packet: &Packet) -> NodeId {
        let layout = &self.setup.layout;
        let roles = layout.roles(node);
        match packet {
            Packet::Proposer(_) if !roles.proposer => {
                layout.proposer_of(node).unwrap_or(layout.proposers[0])
            }
            Packet::Learner(_) if !roles.learner => {
                layout.learner_of(node).unwrap_or(layout.learners[0].learner)
            }
            _ => node,
        }
    }

    pub(super) fn post(&mut self, i: usize, mail: Vec<Outgoing>) {
        for mail in mail {
            let (me, boot) = (self.nodes[i].me, self.nodes[i].boot);
            self.observer.leaves(me, boot, &mail);
            self.send(me, mail, Some(boot));
        }
    }

    pub(super) fn send(&mut self, from: MemberId, mail: Outgoing, boot: Option<u64>) {
        let boot = boot.filter(|_| mail.to == from.node);
        let is_inside = from.node.0 < FIRST_CLIENT && mail.to.0 < FIRST_CLIENT;
        let bytes = match self.network.rate {
            Some(_) if is_inside => network::bytes(&mail.packet),
            _ => 0,
        };
        let mut arrivals = self.network.send(self.now, from.node, mail.to, bytes, &mut self.rng);
        // A client counts refusals against attempts, as a route allows: at most once.
        if matches!(mail.packet, Packet::Proposer(ProposerMsg::Propose { .. }) | Packet::Client(_))
        {
            arrivals.truncate(1);
        }
        for delay in arrivals {
            self.after(delay, Event::Mail { from, mail: mail.clone(), boot });
        }
    }
}
