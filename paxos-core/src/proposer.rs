//! The proposer: takes commands, follows a leader, and becomes one when it must.
//!
//! Open `Stance` first: what a proposer does at a time is one variant, which owns its data
//! ("Paxos Made Moderately Complex": scouts and commanders).

mod campaign;
mod clock;
mod common;
mod flight;
mod follow;
mod lead;
mod poll;
mod promises;
mod rounds;

use self::campaign::Campaign;
use self::common::Common;
use self::follow::Follow;
use self::lead::Lead;
use crate::ballot::{Ballot, MemberId, NodeId};
use crate::config::{Configuration, Limits, Now, Timing};
use crate::entry::Command;
use crate::layout::Layout;
use crate::message::{AcceptorMsg, ClientMsg, ProposerMsg, RoleName};
use crate::quorum::AcceptorSet;
use crate::role::{NoRecord, Output, Role};
use crate::slot::{Slot, SlotRange};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Mail between proposers is forwarded at most this often.
const HOPS_MAX: u8 = 2;

/// What a proposer is made with.
#[derive(Clone, Debug)]
pub struct ProposerOptions {
    /// Itself.
    pub me: MemberId,
    /// Random at each process start: a part of every ballot.
    pub life: u64,
    /// Spreads its timeouts.
    pub seed: u64,
    /// The node of the learner that it is paired with; its own where it has one.
    pub learner: NodeId,
    /// The first members, as every one of them was told.
    pub layout: Layout,
    /// How long to wait.
    pub timing: Timing,
    /// How much to hold.
    pub limits: Limits,
}

/// What a proposer tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposerStatus {
    /// What it is at.
    pub stance: StanceName,
    /// The ballot that it follows, campaigns with or leads; [`Ballot::ZERO`] where there is none.
    pub ballot: Ballot,
    /// The node of the leader, where it knows one.
    pub leader: Option<NodeId>,
    /// As leader: every slot below is chosen.
    pub chosen_below: Slot,
    /// How often it sent `Prepare` with a new ballot.
    pub campaigns: u64,
}

/// What a proposer is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StanceName {
    /// It follows a leader, or nobody yet.
    Follow,
    /// It polls, or asks for promises.
    Campaign,
    /// It leads.
    Lead,
}

/// The proposer.
#[derive(Debug)]
pub struct Proposer {
    common: Common,
    stance: Stance,
}

#[derive(Debug)]
enum Stance {
    /// The configuration is not known yet, and was last asked for at this time.
    Meet(Option<Now>),
    Follow(Follow),
    Campaign(Campaign),
    Lead(Box<Lead>),
}

impl Proposer {
    /// A proposer that follows nobody yet.
    pub fn new(options: ProposerOptions) -> Proposer {
        Proposer { common: Common::new(options), stance: Stance::Meet(None) }
    }

    /// What it tells about itself.
    pub fn status(&self) -> ProposerStatus {
        let (stance, ballot, leader, chosen_below) = match &self.stance {
            Stance::Meet(_) => (StanceName::Follow, Ballot::ZERO, None, Slot::ZERO),
            Stance::Follow(follow) => match follow.leader() {
                Some(ballot) => (StanceName::Follow, ballot, Some(ballot.node), Slot::ZERO),
                None => (StanceName::Follow, Ballot::ZERO, None, Slot::ZERO),
            },
            Stance::Campaign(campaign) => {
                (StanceName::Campaign, campaign.asked().unwrap_or_default(), None, Slot::ZERO)
            }
            Stance::Lead(lead) => {
                (StanceName::Lead, lead.ballot(), Some(self.common.me().node), lead.chosen_below())
            }
        };
        ProposerStatus { stance, ballot, leader, chosen_below, campaigns: self.common.campaigns }
    }

    /// Itself.
    pub fn me(&self) -> MemberId {
        self.common.me()
    }

    /// The configuration, once it is known: whoever follows, campaigns or leads has it.
    pub fn configuration(&self) -> Option<&Arc<Configuration>> {
        match &self.stance {
            Stance::Meet(_) => None,
            Stance::Follow(follow) => Some(&follow.configuration),
            Stance::Campaign(campaign) => Some(&campaign.configuration),
            Stance::Lead(lead) => Some(&lead.configuration),
        }
    }

    /// R15: any proposer takes any command.
    fn propose(
        &mut self,
        from: MemberId,
        mut commands: Vec<Command>,
        hops: u8,
        out: &mut Output<NoRecord>,
    ) {
        self.common.refuse_too_large(&mut commands, out);
        if hops == 0 {
            for command in &mut commands {
                command.learner = self.common.options.learner;
            }
        }
        match &mut self.stance {
            Stance::Follow(follow) => match follow.leader() {
                Some(leader) if hops < HOPS_MAX && leader.node != from.node => {
                    if hops == 0 {
                        let leader = leader.node;
                        out.send(from.node, ClientMsg::LeaderHint { leader });
                    }
                    self.common.forward(leader.node, commands, hops + 1, out);
                }
                _ => self.common.enqueue(commands, out),
            },
            Stance::Meet(_) | Stance::Campaign(_) | Stance::Lead(_) => {
                self.common.enqueue(commands, out);
            }
        }
    }

    fn ask_read_index(
        &mut self,
        now: Now,
        learner: NodeId,
        id: u64,
        hops: u8,
        out: &mut Output<NoRecord>,
    ) {
        match &mut self.stance {
            Stance::Follow(follow) => {
                if let Some(leader) = follow.leader().filter(|_| hops < HOPS_MAX) {
                    let hops = hops + 1;
                    out.send(leader.node, ProposerMsg::AskReadIndex { learner, id, hops });
                }
            }
            // The learner asks again.
            Stance::Meet(_) | Stance::Campaign(_) => {}
            Stance::Lead(lead) => lead.ask_read_index(&self.common, now, learner, id, out),
        }
    }

    /// The roster is here.
    fn met(&mut self, now: Now, roster: Configuration) {
        if let Stance::Meet(_) = self.stance {
            let follow = Follow::nobody(Arc::new(roster), &mut self.common, now);
            self.stance = Stance::Follow(follow);
        }
    }

    /// Another proposer leads: follow it, unless this one has asked for a higher ballot since.
    fn led(&mut self, now: Now, from: MemberId, ballot: Ballot, out: &mut Output<NoRecord>) {
        let Some(configuration) = self.configuration().cloned() else { return };
        let is_owner = ballot.node == from.node && from != self.common.me();
        if !is_owner || !configuration.has_proposer(from) || !self.common.believes(ballot) {
            return;
        }
        self.common.see(ballot);
        let mine = match &self.stance {
            Stance::Meet(_) => None,
            Stance::Follow(follow) => follow.leader(),
            Stance::Campaign(campaign) => campaign.asked(),
            Stance::Lead(lead) => Some(lead.ballot()),
        };
        if mine.is_none_or(|mine| mine <= ballot) {
            (self.common.failures, self.common.yields) = (0, 0);
            let follow = Follow::leader_heard(configuration, &mut self.common, now, ballot);
            self.stance = Stance::Follow(follow);
            let commands = self.common.drain_queue();
            self.common.forward(ballot.node, commands, 1, out);
        }
    }

    /// A member answers. What others say is no matter of any quorum (invariant 6).
    fn answered(
        &mut self,
        now: Now,
        bit: AcceptorSet,
        msg: ProposerMsg,
        out: &mut Output<NoRecord>,
    ) -> Option<Stance> {
        let common = &mut self.common;
        match (msg, &mut self.stance) {
            (ProposerMsg::Polled { attempt, consent, promised }, stance) => {
                common.see(promised);
                match stance {
                    Stance::Campaign(campaign) if consent => {
                        campaign.polled(common, now, bit, attempt, out)
                    }
                    Stance::Lead(lead) if consent => lead.polled(common, now, bit, attempt, out),
                    _ => None,
                }
            }
            (ProposerMsg::Promise { ballot, part }, Stance::Campaign(campaign)) => {
                campaign.promised(common, now, bit, ballot, *part, out)
            }
            (ProposerMsg::Reject { ballot, promised }, stance) => {
                common.see(promised);
                match stance {
                    Stance::Campaign(c) if c.asked() == Some(ballot) && promised > ballot => {
                        let configuration = Arc::clone(&c.configuration);
                        Some(Stance::Follow(Follow::back_off(configuration, common, now)))
                    }
                    // One `Reject` does not depose a leader that a quorum still answers (R10).
                    Stance::Lead(lead) if lead.ballot() == ballot && promised > ballot => {
                        lead.outbid(now);
                        None
                    }
                    _ => None,
                }
            }
            (ProposerMsg::HeartbeatAck { ballot, round, chosen_below }, Stance::Lead(lead)) => {
                if lead.ballot() == ballot {
                    lead.acked(now, bit, round, chosen_below, out);
                }
                None
            }
            _ => None,
        }
    }

    /// A vote of a member.
    fn accepted(
        &mut self,
        now: Now,
        from: MemberId,
        ballot: Ballot,
        slots: SlotRange,
        out: &mut Output<NoRecord>,
    ) {
        let Stance::Lead(lead) = &mut self.stance else { return };
        let bit = lead.configuration.bit(from);
        if bit != 0 && (lead.ballot() == ballot || planted!(BallotsMixed)) {
            lead.accepted(&mut self.common, now, bit, slots, out);
        }
    }

    fn ask_roster(&mut self, now: Now, out: &mut Output<NoRecord>) {
        let Stance::Meet(asked_at) = &mut self.stance else { return };
        let patience = self.common.options.timing.heartbeat_us();
        if asked_at.is_none_or(|at| now.since(at) >= patience) {
            *asked_at = Some(now);
            for &node in &self.common.options.layout.acceptors {
                out.send(node, AcceptorMsg::AskRoster { role: RoleName::Proposer });
            }
        }
    }
}

impl Role for Proposer {
    type Msg = ProposerMsg;
    type Record = NoRecord;

    fn receive(&mut self, now: Now, from: MemberId, msg: ProposerMsg, out: &mut Output<NoRecord>) {
        match msg {
            ProposerMsg::Roster(roster) => self.met(now, *roster),
            ProposerMsg::Propose { commands, hops } => self.propose(from, commands, hops, out),
            ProposerMsg::AskReadIndex { learner, id, hops } => {
                self.ask_read_index(now, learner, id, hops, out);
            }
            ProposerMsg::Accepted { ballot, slots } => {
                self.accepted(now, from, ballot, slots, out);
            }
            ProposerMsg::Leading { ballot } => self.led(now, from, ballot, out),
            ProposerMsg::Progress { life, applied_below, log_time_ms, expiry_ms } => {
                let common = &mut self.common;
                if from.node == common.options.learner && applied_below <= Slot::MAX {
                    common.progress(life, applied_below, log_time_ms, expiry_ms);
                    if let Stance::Lead(lead) = &mut self.stance {
                        lead.pump(common, now, out);
                    }
                }
            }
            ProposerMsg::Polled { .. }
            | ProposerMsg::Promise { .. }
            | ProposerMsg::Reject { .. }
            | ProposerMsg::HeartbeatAck { .. } => {
                let bit = self.configuration().map_or(0, |c| c.bit(from));
                if bit != 0
                    && let Some(next) = self.answered(now, bit, msg, out)
                {
                    self.stance = next;
                }
            }
        }
    }

    /// R1: what has come together becomes one entry, as far as it fits.
    fn flush(&mut self, now: Now, out: &mut Output<NoRecord>) {
        if let Stance::Lead(lead) = &mut self.stance
            && !self.common.queue_is_empty()
        {
            lead.pump(&mut self.common, now, out);
        }
    }

    fn tick(&mut self, now: Now, out: &mut Output<NoRecord>) {
        self.flush(now, out);
        let next = match &mut self.stance {
            Stance::Meet(_) => return self.ask_roster(now, out),
            Stance::Follow(follow) => follow.tick(&mut self.common, now, out),
            Stance::Campaign(campaign) => campaign.tick(&mut self.common, now, out),
            Stance::Lead(lead) => lead.tick(&mut self.common, now, out),
        };
        if let Some(next) = next {
            self.stance = next;
        }
    }

    fn replay(&mut self, record: NoRecord) {
        match record {}
    }
}

/// `follow`, `campaign` or `lead`.
impl fmt::Display for StanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StanceName::Follow => "follow",
            StanceName::Campaign => "campaign",
            StanceName::Lead => "lead",
        })
    }
}
