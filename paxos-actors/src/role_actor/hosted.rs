//! What an actor must know of the role that it hosts.

use super::{LearnerActor, RoleActor};
use crate::ending::NodeEnd;
use crate::log::Log;
use crate::snapshots::SnapshotStore;
use actix::prelude::*;
use paxos_core::{Acceptor, Learner, NoRecord, Proposer, Record, Role, RoleName, StateMachine};
use std::error::Error;
use std::sync::Arc;

/// A role that an actor can host.
pub trait Hosted: Role {
    /// Its name, in traces and in [`NodeEnd::Panicked`].
    const NAME: RoleName;

    /// What the actor keeps beside the role: who waits for what the role will find out.
    type Desk: Default + 'static;

    /// Where the role finds again, after a crash, what it must: for a learner, a
    /// [`SnapshotStore`].
    type Log: Log<Self::Record> + ?Sized + 'static;

    /// Looks after the desk, and after what the role wants done to its log beside records, in this
    /// epoch. Called after every flush.
    fn after_flush(&mut self, _desk: &mut Self::Desk, _epoch: u64, _log: Option<&mut Self::Log>) {}

    /// Why the node must end, as the role sees it. Asked after every flush.
    fn broken(&self) -> Option<NodeEnd> {
        None
    }

    /// Tells the log, which is about to be opened, where to send what is not a
    /// [`LogEvent`](crate::LogEvent).
    fn before_open(_log: &mut Self::Log, _actor: Addr<RoleActor<Self>>)
    where
        Self: Sized,
    {
    }

    /// Why the node ends when the log cannot go on.
    fn log_failed(error: Arc<dyn Error + Send + Sync>) -> NodeEnd {
        NodeEnd::LogFailed(error)
    }
}

impl Hosted for Acceptor {
    const NAME: RoleName = RoleName::Acceptor;
    type Desk = ();
    type Log = dyn Log<Record>;
}

impl Hosted for Proposer {
    const NAME: RoleName = RoleName::Proposer;
    type Desk = ();
    type Log = dyn Log<NoRecord>;
}

impl<S: StateMachine> Hosted for Learner<S> {
    const NAME: RoleName = RoleName::Learner;
    type Desk = ();
    type Log = dyn SnapshotStore;

    /// Without a store there are no snapshots: what was to be done with them is dropped.
    fn after_flush(
        &mut self,
        _: &mut (),
        epoch: u64,
        store: Option<&mut (dyn SnapshotStore + 'static)>,
    ) {
        let tasks = self.snapshot_tasks();
        if let Some(store) = store {
            tasks.into_iter().for_each(|task| store.submit(epoch, task));
        }
    }

    fn before_open(store: &mut (dyn SnapshotStore + 'static), actor: Addr<LearnerActor<S>>) {
        store.report_to(actor.recipient());
    }

    fn log_failed(error: Arc<dyn Error + Send + Sync>) -> NodeEnd {
        NodeEnd::SnapshotsFailed(error)
    }

    fn broken(&self) -> Option<NodeEnd> {
        Some(NodeEnd::SnapshotsFailed(Arc::new(self.unmendable()?)))
    }
}
