//! A look at a node that needs no hold of it.

use super::{NodeStatus, Roles};
use crate::control::{Inspect, Report};
use crate::role_actor::{Hosted, RoleActor, ShellStatus};
use crate::routes::Routes;
use actix::Addr;
use paxos_core::{Learner, MemberId, RoleName, StateMachine};
use std::fmt;
use std::sync::Arc;

/// What a node can be asked, by whoever does not own it. Cheap to clone; it keeps nothing alive
/// beyond the node's end.
pub struct NodeView<S: StateMachine> {
    pub(super) me: MemberId,
    pub(super) roles: Roles<S>,
    pub(super) routes: Arc<Routes>,
}

impl<S: StateMachine> NodeView<S> {
    /// What the node tells about itself.
    pub async fn status(&self) -> NodeStatus {
        let Roles { acceptor, proposer, learner, client } = &self.roles;
        let (acceptor, proposer, learner, shells) = tokio::join!(
            inspect(acceptor, |acceptor| acceptor.status()),
            inspect(proposer, |proposer| proposer.status()),
            inspect(learner, |learner| learner.status()),
            async {
                let (a, p, l, c) = tokio::join!(
                    report(acceptor),
                    report(proposer),
                    report(learner),
                    report(client)
                );
                [a, p, l, c].into_iter().flatten().collect()
            }
        );
        let counts = self.routes.counts();
        NodeStatus { me: self.me, acceptor, proposer, learner, shells, counts }
    }

    /// Looks at the state of its learner; none if it has no learner, or its learner has ended.
    pub async fn state<T: Send + 'static>(
        &self,
        look: impl FnOnce(&S) -> T + Send + 'static,
    ) -> Option<T> {
        inspect(&self.roles.learner, |learner: &Learner<S>| look(learner.state())).await
    }
}

// Derived, it would ask the same of the state.

impl<S: StateMachine> Clone for NodeView<S> {
    fn clone(&self) -> NodeView<S> {
        NodeView { me: self.me, roles: self.roles.clone(), routes: self.routes.clone() }
    }
}

impl<S: StateMachine> fmt::Debug for NodeView<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeView({})", self.me)
    }
}

// An actor that does not answer has ended, and tells nothing.

async fn inspect<R: Hosted, T: Send + 'static>(
    actor: &Option<Addr<RoleActor<R>>>,
    look: impl FnOnce(&R) -> T + Send + 'static,
) -> Option<T> {
    actor.as_ref()?.send(Inspect::new(look)).await.ok()
}

async fn report<R: Hosted>(actor: &Option<Addr<RoleActor<R>>>) -> Option<(RoleName, ShellStatus)> {
    Some((R::NAME, actor.as_ref()?.send(Report).await.ok()?))
}
