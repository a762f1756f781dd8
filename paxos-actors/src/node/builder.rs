//! Puts a node together, and refuses what cannot work.

use super::plan::Plan;
use super::{Node, Roles};
use crate::control::SetRoutes;
use crate::ending::Ending;
use crate::log::Log;
use crate::role_actor::{
    AcceptorActor, ClientActor, Hosted, LearnerActor, ProposerActor, RoleActor,
};
use crate::routes::Routes;
use crate::snapshots::SnapshotStore;
use actix::prelude::*;
use bytes::Bytes;
use paxos_core::rng::mix;
use paxos_core::{
    Acceptor, AcceptorOptions, Applied, Client, ClientOptions, Layout, LayoutError, Learner,
    LearnerOptions, Limits, MemberId, NodeId, Proposer, ProposerOptions, Record, SnapshotParts,
    StateMachine, Timing, Unrestorable,
};
use std::cell::Cell;
use std::sync::Arc;
use thiserror::Error;

/// A node in the making: it will have the roles that `layout` gives its node.
pub struct NodeBuilder<S: StateMachine> {
    me: MemberId,
    layout: Layout,
    timing: Timing,
    limits: Limits,
    life: u64,
    seed: u64,
    log: Option<Box<dyn Log<Record>>>,
    state: Option<Box<dyn Fn() -> S>>,
    snapshots: Option<Box<dyn SnapshotStore>>,
    client: Option<Vec<NodeId>>,
    base: Routes,
}

/// The state of a node without a learner.
#[derive(Debug)]
pub enum NoState {}

/// Why a node cannot be started.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The layout is at fault.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The node has an acceptor, which must not forget.
    #[error("node {0} has an acceptor, which needs a log: give it one with `log`")]
    NoLog(NodeId),
    /// The node has a learner, which needs a state to apply commands to.
    #[error("node {0} has a learner, which needs a state machine: give it one with `learner`")]
    NoState(NodeId),
}

impl NodeBuilder<NoState> {
    /// The node of `me`, with default timing and limits, and a life and a seed drawn at random.
    pub fn new(me: MemberId, layout: Layout) -> NodeBuilder<NoState> {
        NodeBuilder {
            me,
            layout,
            timing: Timing::default(),
            limits: Limits::default(),
            life: rand::random(),
            seed: rand::random(),
            log: None,
            state: None,
            snapshots: None,
            client: None,
            base: Routes::new(),
        }
    }
}

impl<S: StateMachine> NodeBuilder<S> {
    /// How long its roles wait.
    pub fn timing(mut self, timing: Timing) -> NodeBuilder<S> {
        self.timing = timing;
        self
    }

    /// How much its roles hold.
    pub fn limits(mut self, limits: Limits) -> NodeBuilder<S> {
        self.limits = limits;
        self
    }

    /// The life of its roles, and of its links where it has any. It must be another at each start:
    /// two lives that are the same own the same ballots.
    pub fn life(mut self, life: u64) -> NodeBuilder<S> {
        self.life = life;
        self
    }

    /// The log of its acceptor.
    pub fn log(mut self, log: Box<dyn Log<Record>>) -> NodeBuilder<S> {
        self.log = Some(log);
        self
    }

    /// What makes the state, with nothing applied to it, that its learner replicates.
    pub fn learner<T: StateMachine>(self, state: impl Fn() -> T + 'static) -> NodeBuilder<T> {
        let NodeBuilder { me, layout, timing, limits, life, seed, .. } = self;
        let NodeBuilder { log, snapshots, client, base, .. } = self;
        let state: Option<Box<dyn Fn() -> T>> = Some(Box::new(state));
        NodeBuilder { me, layout, timing, limits, life, seed, log, state, snapshots, client, base }
    }

    /// Where its learner keeps snapshots. Without it there are none: the learner begins with
    /// nothing at each start, its acceptor's log is never trimmed, and what acceptors elsewhere
    /// have forgotten is out of its reach.
    pub fn snapshots(mut self, snapshots: Box<dyn SnapshotStore>) -> NodeBuilder<S> {
        self.snapshots = Some(snapshots);
        self
    }

    /// A client as well, which calls `nodes` in order of preference. A node may have nothing else.
    pub fn client(mut self, nodes: Vec<NodeId>) -> NodeBuilder<S> {
        self.client = Some(nodes);
        self
    }

    /// The table to which its own roles are added: links to other nodes, clients.
    pub fn routes(mut self, base: Routes) -> NodeBuilder<S> {
        self.base = base;
        self
    }

    /// Starts the actors on the current arbiter. They take messages once the log is replayed.
    pub fn start(mut self) -> Result<Node<S>, NodeError> {
        let node = self.me.node;
        let plan = Plan::of(&self.layout, node)?;
        if plan.is_empty() && self.client.is_none() {
            return Err(LayoutError::NoRole(node).into());
        }
        let ending = Ending::new();
        // Nothing is started before everything is known to be there.
        let acceptor = match (plan.acceptor, self.log.take()) {
            (true, Some(log)) => Some(self.acceptor_actor(log)),
            (true, None) => return Err(NodeError::NoLog(node)),
            (false, _) => None,
        };
        let learner = match (plan.learner, self.state.take()) {
            (Some(proposer), Some(state)) => {
                let actor = self.learner_actor(proposer, state);
                Some(match self.snapshots.take() {
                    Some(snapshots) => actor.log(snapshots),
                    None => actor,
                })
            }
            (Some(_), None) => return Err(NodeError::NoState(node)),
            (None, _) => None,
        };
        let proposer = plan.proposer.map(|learner| self.proposer_actor(learner));
        let client = self.client.take().map(|nodes| self.client_actor(nodes));
        let roles = Roles {
            acceptor: acceptor.map(|actor| self.launch(actor, &ending)),
            proposer: proposer.map(|actor| self.launch(actor, &ending)),
            learner: learner.map(|actor| self.launch(actor, &ending)),
            client: client.map(|actor| self.launch(actor, &ending)),
        };
        let routes = Arc::new(roles.add_to(self.base, self.me));
        // The first message that each of them gets: nobody else knows their addresses yet.
        roles.acceptor.iter().for_each(|actor| actor.do_send(SetRoutes(routes.clone())));
        roles.learner.iter().for_each(|actor| actor.do_send(SetRoutes(routes.clone())));
        roles.proposer.iter().for_each(|actor| actor.do_send(SetRoutes(routes.clone())));
        roles.client.iter().for_each(|actor| actor.do_send(SetRoutes(routes.clone())));
        Ok(Node { me: self.me, roles, routes, ending })
    }
}

impl<S: StateMachine> NodeBuilder<S> {
    fn acceptor_actor(&self, log: Box<dyn Log<Record>>) -> AcceptorActor {
        let options = AcceptorOptions {
            me: self.me,
            layout: self.layout.clone(),
            timing: self.timing,
            limits: self.limits,
        };
        RoleActor::new(self.me, move || Acceptor::new(options.clone())).log(log)
    }

    fn proposer_actor(&self, learner: NodeId) -> ProposerActor {
        let options = ProposerOptions {
            me: self.me,
            life: self.life,
            seed: self.seed,
            learner,
            layout: self.layout.clone(),
            timing: self.timing,
            limits: self.limits,
        };
        let life = lives(self.life);
        RoleActor::new(self.me, move || {
            Proposer::new(ProposerOptions { life: life(), ..options.clone() })
        })
    }

    fn learner_actor(&self, proposer: NodeId, state: Box<dyn Fn() -> S>) -> LearnerActor<S> {
        let options = LearnerOptions {
            me: self.me,
            life: self.life,
            proposer,
            layout: self.layout.clone(),
            timing: self.timing,
            limits: self.limits,
        };
        let life = lives(self.life);
        RoleActor::new(self.me, move || {
            Learner::new(LearnerOptions { life: life(), ..options.clone() }, state())
        })
    }

    fn client_actor(&self, nodes: Vec<NodeId>) -> ClientActor {
        let options = ClientOptions {
            me: self.me,
            nodes,
            seed: self.seed,
            // By then a leader that was lost has a successor, as a rule.
            retry_us: self.timing.election_timeout_us(),
            limits: self.limits,
        };
        let seed = lives(self.seed);
        RoleActor::new(self.me, move || {
            Client::new(ClientOptions { seed: seed(), ..options.clone() })
        })
    }

    fn launch<R: Hosted>(&self, actor: RoleActor<R>, ending: &Ending) -> Addr<RoleActor<R>> {
        actor.timing(self.timing).limits(self.limits).ending(ending).start()
    }
}

/// A number for each life of a role: `first`, and another each time it is restarted in place. A
/// proposer must not own its former ballots, nor anyone take a former life's answers for its own.
fn lives(first: u64) -> impl Fn() -> u64 {
    let next = Cell::new(first);
    move || next.replace(mix(next.get().wrapping_add(1)))
}

impl StateMachine for NoState {
    fn apply(&mut self, _: Applied, _: &Bytes) -> Bytes {
        match *self {}
    }

    fn query(&self, _: &Bytes) -> Bytes {
        match *self {}
    }

    fn digest(&self) -> u64 {
        match *self {}
    }

    fn snapshot(&self) -> SnapshotParts {
        match *self {}
    }

    fn restore(&mut self, _: &Bytes) -> Result<(), Unrestorable> {
        match *self {}
    }
}
