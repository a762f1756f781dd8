//! The way from one node to another: an actor whose mailbox stands for the roles of the other.

use super::super::shape::Way;
use actix::prelude::*;
use paxos_actors::{Envelope, Posted, Routes};
use paxos_core::rng::Rng;
use paxos_core::{
    AcceptorMsg, ClientMsg, LearnerMsg, MemberId, NodeId, Outgoing, Packet, ProposerMsg,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Letters that wait for their time; more are lost.
const WAITING_MAX: usize = 4096;

/// Letters in a mailbox; more are refused.
const MAILBOX_MAX: usize = 1024;

/// What a wire does, and where it leads. Whoever makes faults has it, too.
#[derive(Debug, Default)]
pub(super) struct Control {
    inside: Mutex<Inside>,
    full: AtomicU64,
}

#[derive(Debug, Default)]
struct Inside {
    way: Way,
    /// Each letter comes so many times more often.
    flood: u64,
    /// The mailboxes of the other node's present life.
    target: Arc<Routes>,
}

impl Control {
    /// What is sent passes like this from now on.
    pub(super) fn bend(&self, way: Way) {
        self.inside().way = way;
    }

    /// Each letter comes so many times more often from now on.
    pub(super) fn flood(&self, copies: u64) {
        self.inside().flood = copies;
    }

    /// The other node lives here from now on.
    pub(super) fn lead_to(&self, target: Arc<Routes>) {
        self.inside().target = target;
    }

    /// Letters that found a mailbox full.
    pub(super) fn full(&self) -> u64 {
        self.full.load(Ordering::Relaxed)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, from: MemberId, mail: Outgoing) {
        let target = self.inside().target.clone();
        if target.post(from, mail) == Posted::Full {
            self.full.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Passes mail on, or does not.
#[derive(Debug)]
pub(super) struct Wire {
    control: Arc<Control>,
    rng: Rng,
    waiting: usize,
}

impl Wire {
    /// Starts a wire on the current arbiter.
    pub(super) fn start(control: Arc<Control>, seed: u64) -> Addr<Wire> {
        Actor::start(Wire { control, rng: Rng::new(seed), waiting: 0 })
    }

    /// Adds this as the way to all roles of a node.
    pub(super) fn add_to(wire: &Addr<Wire>, routes: Routes, node: NodeId) -> Routes {
        routes
            .acceptor(node, wire.clone().recipient::<Envelope<AcceptorMsg>>())
            .proposer(node, wire.clone().recipient::<Envelope<ProposerMsg>>())
            .learner(node, wire.clone().recipient::<Envelope<LearnerMsg>>())
            .client(node, wire.clone().recipient::<Envelope<ClientMsg>>())
    }

    fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.rng.between(0, 100) < percent
    }
}

impl Actor for Wire {
    type Context = Context<Wire>;

    fn started(&mut self, ctx: &mut Context<Wire>) {
        ctx.set_mailbox_capacity(MAILBOX_MAX);
    }
}

impl<M: Into<Packet> + Send + 'static> Handler<Envelope<M>> for Wire {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<M>, ctx: &mut Context<Wire>) {
        let (from, to) = (envelope.from, envelope.to);
        for msg in envelope.messages() {
            self.pass(from, Outgoing { to, packet: msg.into() }, ctx);
        }
    }
}

impl Wire {
    /// What becomes of one message.
    fn pass(&mut self, from: MemberId, mail: Outgoing, ctx: &mut Context<Wire>) {
        let (way, flood) = {
            let inside = self.control.inside();
            (inside.way, inside.flood)
        };
        if way.is_blocked || self.chance(way.loss_percent) {
            return;
        }
        let copies = 1 + flood + u64::from(self.chance(way.twice_percent));
        for _ in 0..copies {
            let (mail, jitter_ms) = (mail.clone(), self.rng.between(0, way.jitter_ms));
            match way.delay_ms + jitter_ms {
                0 => self.control.post(from, mail),
                _ if self.waiting >= WAITING_MAX => {}
                ms => {
                    self.waiting += 1;
                    ctx.run_later(Duration::from_millis(ms), move |wire, _| {
                        wire.waiting -= 1;
                        wire.control.post(from, mail);
                    });
                }
            }
        }
    }
}
