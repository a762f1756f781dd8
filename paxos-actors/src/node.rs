//! A node: any subset of the roles, as actors on the current arbiter, with their routes.

mod builder;
mod plan;
mod view;

pub use builder::{NoState, NodeBuilder, NodeError};
pub use plan::LayoutError;
pub use view::NodeView;

use crate::control::{SetRoutes, Stop};
use crate::ending::{Ending, NodeEnd};
use crate::role_actor::{
    AcceptorActor, ClientActor, Hosted, LearnerActor, ProposerActor, RoleActor, ShellStatus,
};
use crate::routes::{Counts, Routes};
use crate::submit::ClientHandle;
use actix::Addr;
use paxos_core::{AcceptorStatus, LearnerStatus, MemberId, ProposerStatus, RoleName, StateMachine};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A running node. Dropping it is a crash: its actors end at once, and nothing is drained.
#[derive(Debug)]
pub struct Node<S: StateMachine> {
    me: MemberId,
    roles: Roles<S>,
    routes: Arc<Routes>,
    ending: Ending,
}

/// The actors of a node.
#[derive(Debug)]
struct Roles<S: StateMachine> {
    acceptor: Option<Addr<AcceptorActor>>,
    proposer: Option<Addr<ProposerActor>>,
    learner: Option<Addr<LearnerActor<S>>>,
    client: Option<Addr<ClientActor>>,
}

/// What a node tells about itself. An actor that has ended tells nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Itself.
    pub me: MemberId,
    /// Its acceptor.
    pub acceptor: Option<AcceptorStatus>,
    /// Its proposer.
    pub proposer: Option<ProposerStatus>,
    /// Its learner.
    pub learner: Option<LearnerStatus>,
    /// Each role's actor: how far its log is, and what it refused.
    pub shells: BTreeMap<RoleName, ShellStatus>,
    /// What was posted and lost through its routes since it started.
    pub counts: Counts,
}

impl<S: StateMachine> Node<S> {
    /// Itself.
    pub fn me(&self) -> MemberId {
        self.me
    }

    /// Its acceptor, if it has one.
    pub fn acceptor(&self) -> Option<&Addr<AcceptorActor>> {
        self.roles.acceptor.as_ref()
    }

    /// Its proposer, if it has one.
    pub fn proposer(&self) -> Option<&Addr<ProposerActor>> {
        self.roles.proposer.as_ref()
    }

    /// Its learner, if it has one.
    pub fn learner(&self) -> Option<&Addr<LearnerActor<S>>> {
        self.roles.learner.as_ref()
    }

    /// Its client, if it has one.
    pub fn client(&self) -> Option<ClientHandle> {
        self.roles.client.clone().map(ClientHandle::new)
    }

    /// The table through which it posts; what comes in over a link is posted here too.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.clone()
    }

    /// Adds the mailboxes of its roles to another node's table.
    pub fn add_to(&self, routes: Routes) -> Routes {
        self.roles.add_to(routes, self.me)
    }

    /// Posts through `base` from now on, to which its own roles are added. The counts go on.
    pub async fn set_routes(&mut self, base: Routes) {
        self.routes = Arc::new(self.roles.add_to(base.replacing(&self.routes), self.me));
        tokio::join!(
            hand_over(&self.roles.acceptor, &self.routes),
            hand_over(&self.roles.proposer, &self.routes),
            hand_over(&self.roles.learner, &self.routes),
            hand_over(&self.roles.client, &self.routes),
        );
    }

    /// What it tells about itself.
    pub async fn status(&self) -> NodeStatus {
        self.view().status().await
    }

    /// A look at it, for others.
    pub fn view(&self) -> NodeView<S> {
        NodeView { me: self.me, roles: self.roles.clone(), routes: self.routes.clone() }
    }

    /// Stops in order: the log is finished and closed, and every actor is gone.
    pub async fn stop(self) -> NodeEnd {
        let Roles { acceptor, proposer, learner, client } = &self.roles;
        tokio::join!(stop(acceptor), stop(proposer), stop(learner), stop(client));
        self.ending.end(NodeEnd::Stopped);
        self.ending.wait().await
    }

    /// Waits until it has ended, of itself or otherwise, and its log is closed.
    pub async fn ended(&self) -> NodeEnd {
        self.ending.wait().await
    }

    /// What its actors end with; it can be waited for without the node.
    pub fn ending(&self) -> Ending {
        self.ending.clone()
    }
}

impl<S: StateMachine> Drop for Node<S> {
    fn drop(&mut self) {
        self.ending.end(NodeEnd::Stopped);
    }
}

// Derived, it would ask the same of the state.
impl<S: StateMachine> Clone for Roles<S> {
    fn clone(&self) -> Roles<S> {
        let Roles { acceptor, proposer, learner, client } = self;
        Roles {
            acceptor: acceptor.clone(),
            proposer: proposer.clone(),
            learner: learner.clone(),
            client: client.clone(),
        }
    }
}

impl<S: StateMachine> Roles<S> {
    /// The table with the mailboxes of these actors.
    fn add_to(&self, mut routes: Routes, me: MemberId) -> Routes {
        if let Some(acceptor) = &self.acceptor {
            routes = routes.acceptor(me.node, acceptor.clone().recipient());
        }
        if let Some(proposer) = &self.proposer {
            routes = routes.proposer(me.node, proposer.clone().recipient());
        }
        if let Some(learner) = &self.learner {
            routes = routes.learner(me.node, learner.clone().recipient());
        }
        if let Some(client) = &self.client {
            routes = routes.client(me.node, client.clone().recipient());
        }
        routes
    }
}

// An actor that does not answer has ended, and needs nothing any more.

async fn hand_over<R: Hosted>(actor: &Option<Addr<RoleActor<R>>>, routes: &Arc<Routes>) {
    if let Some(actor) = actor {
        let _ = actor.send(SetRoutes(routes.clone())).await;
    }
}

async fn stop<R: Hosted>(actor: &Option<Addr<RoleActor<R>>>) {
    if let Some(actor) = actor {
        let _ = actor.send(Stop).await;
    }
}
