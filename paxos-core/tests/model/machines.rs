//! The real roles, each as a machine to which one thing happens at a time.

mod acceptor;
mod learner;
mod proposer;

use self::acceptor::AcceptorMachine;
use self::learner::LearnerMachine;
use self::proposer::ProposerMachine;
use super::bounds::Bounds;
use super::letter::Letter;
use bytes::Bytes;
use paxos_core::*;

/// Longer than any patience of a role. Each time-out of the model lets this much time pass on the
/// clock of one node, so that it comes however long the role drew its patience.
const FAR_US: u64 = 60_000_000;

/// What happens to a node.
#[derive(Clone, Debug)]
pub enum Event {
    /// A letter arrives.
    Letter(Letter),
    /// Its acceptor is asked whether a campaign is welcome. It answers from what is durable, a long
    /// time after it heard a leader, and forgets that it was asked: a poll changes nothing (R9).
    Poll(Letter),
    /// A command comes to its proposer, and time passes until it polls.
    TimeOut,
    /// It leads, and time passes until the next heartbeat.
    Beat,
    /// All records of its acceptor become durable.
    Sync,
    /// Time passes until its acceptor asks another for what it misses.
    Fetch,
    /// Its process ends, and starts anew from what is durable.
    Crash,
}

/// What the model asks of a machine, taken down once.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The promise in force, if it is an acceptor.
    pub promised: Ballot,
    /// The promise that a crash leaves.
    pub promised_durably: Ballot,
    /// Every slot below is held as chosen, or, by a leader, counted.
    pub chosen_below: u64,
    /// Records that are not durable.
    pub pending: usize,
    /// A crash is still to come.
    pub may_crash: bool,
    /// As a proposer: the ballot in which it leads.
    pub leads: Option<Ballot>,
    /// As a proposer: the ballot for which it asks for promises.
    pub asks: Option<Ballot>,
    /// What was asked of a proposer so far.
    pub time_outs: u64,
    pub beats: u64,
    pub fetches: u64,
    pub crashes: u64,
    /// A crash took records with it.
    pub forgot: bool,
    /// Slots and commands, in the order in which a learner applied them.
    pub applied: Vec<(Slot, Bytes)>,
    /// A rule that a single step has broken.
    pub broken: Option<&'static str>,
}

/// A machine, and what it sends.
pub trait Machine {
    fn happen(&mut self, event: &Event) -> Vec<Letter>;

    fn view(&self) -> View;

    /// Equal for machines that nothing can tell apart from now on. The machine is used up.
    fn text(&mut self) -> String;
}

/// The machine at a node of the layout, when nothing has happened yet.
pub fn machine(bounds: &Bounds, node: NodeId) -> Box<dyn Machine> {
    let roles = bounds.layout().roles(node);
    if roles.acceptor {
        Box::new(AcceptorMachine::new(bounds, node))
    } else if roles.proposer {
        Box::new(ProposerMachine::new(bounds, node))
    } else {
        Box::new(LearnerMachine::new(bounds, node))
    }
}

fn letters(from: MemberId, mail: Vec<Outgoing>) -> Vec<Letter> {
    mail.into_iter().map(|Outgoing { to, packet }| Letter { from, to, packet }).collect()
}
