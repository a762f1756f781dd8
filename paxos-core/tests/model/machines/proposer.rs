//! A proposer, and the commands of its clients.

use super::{Event, FAR_US, Machine, View, letters};
use crate::bounds::Bounds;
use crate::letter::Letter;
use crate::text;
use bytes::Bytes;
use paxos_core::*;

/// A proposer, and the clients that have commands for it.
pub(super) struct ProposerMachine {
    options: ProposerOptions,
    roster: Configuration,
    commands: u64,
    proposer: Proposer,
    clock: Now,
    view: View,
}

impl ProposerMachine {
    pub(super) fn new(bounds: &Bounds, node: NodeId) -> ProposerMachine {
        let options = ProposerOptions {
            me: bounds.member(node),
            life: 1,
            seed: 1,
            learner: bounds.layout().learner_of(node).unwrap_or_default(),
            layout: bounds.layout(),
            timing: Timing::default(),
            limits: bounds.limits(),
        };
        let mut machine = ProposerMachine {
            proposer: Proposer::new(options.clone()),
            options,
            roster: bounds.roster(),
            commands: if node.0 == 1 + bounds.acceptors { bounds.commands } else { 1 },
            clock: Now(0),
            view: View::default(),
        };
        machine.boot();
        machine
    }

    /// It knows the configuration, and has heard nothing else.
    fn boot(&mut self) {
        let options = ProposerOptions { life: 1 + self.view.crashes, ..self.options.clone() };
        self.proposer = Proposer::new(options);
        let roster = ProposerMsg::Roster(Box::new(self.roster.clone()));
        let out = self.hear(self.roster.acceptors[0], roster);
        assert!(out.is_empty(), "it follows nobody");
    }

    fn hear(&mut self, from: MemberId, msg: ProposerMsg) -> Vec<Letter> {
        let mut out = Output::new();
        self.proposer.receive(self.clock, from, msg, &mut out);
        self.proposer.flush(self.clock, &mut out);
        letters(self.options.me, out.mail)
    }

    fn tick(&mut self) -> Vec<Letter> {
        let mut out = Output::new();
        self.proposer.tick(self.clock, &mut out);
        letters(self.options.me, out.mail)
    }

    fn polls(&self) -> bool {
        let ProposerStatus { stance, ballot, .. } = self.proposer.status();
        stance == StanceName::Campaign && ballot == Ballot::ZERO
    }

    /// Whatever it is at, it gives up, and then finds that nobody leads.
    fn time_out(&mut self) -> Vec<Letter> {
        let mut polls = Vec::new();
        while !self.polls() {
            self.clock = self.clock.plus(FAR_US);
            polls = self.tick();
            assert!(self.polls() || polls.is_empty(), "it is silent while it gives up: {polls:?}");
        }
        for nth in 0..self.commands {
            let sequence = self.view.time_outs * self.commands + nth;
            let out = self.hear(
                CLIENT,
                ProposerMsg::Propose {
                    commands: vec![command(self.options.me.node, sequence)],
                    hops: 0,
                },
            );
            assert!(out.is_empty(), "commands wait for a leadership");
        }
        self.view.time_outs += 1;
        polls
    }
}

const CLIENT: MemberId = MemberId { node: NodeId(99), incarnation: Incarnation(99) };

/// The session of the commands that come to the proposer at `node`.
pub fn session(node: NodeId) -> SessionId {
    SessionId { slot: Slot(0), index: node.0 as u32 }
}

/// The nth command that comes to the proposer at `node`: no two are the same.
fn command(node: NodeId, sequence: u64) -> Command {
    let value = Bytes::from(format!("{}{node}", (b'a' + sequence as u8) as char));
    let body = Body::Run { session: session(node), sequence, acked_below: 0, value };
    Command { client: CLIENT.node, learner: NodeId(0), body }
}

impl Machine for ProposerMachine {
    fn happen(&mut self, event: &Event) -> Vec<Letter> {
        match event {
            Event::Letter(Letter { from, packet: Packet::Proposer(msg), .. }) => {
                self.hear(*from, msg.clone())
            }
            Event::TimeOut => self.time_out(),
            Event::Beat => {
                self.view.beats += 1;
                self.clock = self.clock.plus(Timing::default().heartbeat_us());
                self.tick()
            }
            Event::Crash => {
                self.view.crashes += 1;
                self.boot();
                Vec::new()
            }
            other => unreachable!("no proposer hears of {other:?}"),
        }
    }

    fn view(&self) -> View {
        let ProposerStatus { stance, ballot, chosen_below, .. } = self.proposer.status();
        let leads = (stance == StanceName::Lead).then_some(ballot);
        let asks = (stance == StanceName::Campaign && !self.polls()).then_some(ballot);
        View { leads, asks, chosen_below: chosen_below.0, ..self.view.clone() }
    }

    /// How long it is patient is not a part, nor what that was drawn from: each time-out is longer.
    fn text(&mut self) -> String {
        let text = format!("{:#?}{:?}{:?}", self.proposer, self.view, self.clock);
        text::without(text, &["patient_until", "rng"])
    }
}
