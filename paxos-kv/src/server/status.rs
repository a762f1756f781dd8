//! What a node tells about itself.

use super::Links;
use crate::store::Store;
use crate::wire::{Counters, Status};
use actix::Addr;
use paxos_actors::Routes;
use paxos_actors::control::{Inspect, Report};
use paxos_actors::node::Node;
use paxos_actors::role_actor::{AcceptorActor, Hosted, LearnerActor, ProposerActor, RoleActor};
use paxos_actors::wal;
use paxos_core::{Learner, MemberId};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Looks into the roles of a node.
#[derive(Clone)]
pub(super) struct Inspector {
    me: MemberId,
    acceptor: Option<Addr<AcceptorActor>>,
    proposer: Option<Addr<ProposerActor>>,
    learner: Option<Addr<LearnerActor<Store>>>,
    routes: Arc<Routes>,
    log: Arc<wal::Counters>,
    links: Option<Links>,
}

impl Inspector {
    pub(super) fn new(
        node: &Node<Store>,
        log: Arc<wal::Counters>,
        links: Option<Links>,
    ) -> Inspector {
        Inspector {
            me: node.me(),
            acceptor: node.acceptor().cloned(),
            proposer: node.proposer().cloned(),
            learner: node.learner().cloned(),
            routes: node.routes(),
            log,
            links,
        }
    }

    /// What the node tells; what a role that has ended would tell is left out.
    pub(super) async fn status(&self) -> Status {
        let mut status = Status { node: self.me.node.0, ..Status::default() };
        status.counters = self.counters();
        self.ask_proposer(&mut status).await;
        self.ask_acceptor(&mut status).await;
        self.ask_learner(&mut status).await;
        status
    }

    fn counters(&self) -> Counters {
        let (log, counts) = (self.log.read(), self.routes.counts());
        let named = |(name, count): (&str, u64)| (name.to_owned(), count);
        Counters {
            fsyncs: log.fsyncs,
            records: log.records,
            elections: 0,
            drops: counts.full + counts.unreachable,
            messages: counts.posted.into_iter().filter(|&(_, n)| n > 0).map(named).collect(),
            log: [
                ("frames", log.frames),
                ("bytes", log.bytes),
                ("fsync_us_max", log.fsync_us_max),
                ("fsync_us_avg", log.fsync_us_avg),
            ]
            .map(named)
            .into(),
            links: self.links.as_ref().map(Links::read).unwrap_or_default(),
            clients: Default::default(),
        }
    }

    async fn ask_proposer(&self, status: &mut Status) {
        let Some(actor) = &self.proposer else { return };
        let look = Inspect::new(|role: &paxos_core::Proposer| role.status());
        let Ok(proposer) = actor.send(look).await else { return };
        status.roles.push("proposer".to_owned());
        status.stance = proposer.stance.to_owned();
        status.ballot = proposer.ballot.to_string();
        status.leader = proposer.leader.map(|node| node.0);
        status.chosen_below = status.chosen_below.max(proposer.chosen_below.0);
        status.counters.elections = proposer.campaigns;
        status.counters.drops += dropped(actor).await;
    }

    async fn ask_acceptor(&self, status: &mut Status) {
        let Some(actor) = &self.acceptor else { return };
        let look = Inspect::new(|role: &paxos_core::Acceptor| role.status());
        let Ok(acceptor) = actor.send(look).await else { return };
        status.roles.push("acceptor".to_owned());
        status.promised = acceptor.promised.to_string();
        status.cluster = acceptor.cluster.filter(|_| acceptor.formed).map(|id| id.to_string());
        status.chosen_below = status.chosen_below.max(acceptor.chosen_below.0);
        status.counters.drops += dropped(actor).await;
    }

    async fn ask_learner(&self, status: &mut Status) {
        let Some(actor) = &self.learner else { return };
        let look = Inspect::new(|role: &Learner<Store>| {
            (role.status(), role.state().revision(), role.state().len())
        });
        let Ok((learner, revision, keys)) = actor.send(look).await else { return };
        status.roles.push("learner".to_owned());
        status.chosen_below = status.chosen_below.max(learner.chosen_below.0);
        status.applied_below = learner.applied_below.0;
        status.digest = format!("{:016x}", learner.digest);
        status.log_time_ms = learner.log_time_ms;
        status.sessions = learner.sessions;
        (status.revision, status.keys) = (revision, keys);
        status.counters.drops += dropped(actor).await;
    }
}

impl Links {
    /// All counters by name, and the round trips: the longest, and to each peer.
    fn read(&self) -> BTreeMap<String, u64> {
        let counters = self.counters.read().into_iter();
        let mut read: BTreeMap<_, _> =
            counters.map(|(name, count)| (name.to_owned(), count)).collect();
        let mut max_us = 0;
        for (node, latency) in self.round_trips.each() {
            max_us = max_us.max(latency.max_us());
            read.insert(format!("round_trip_us_max_to_{node}"), latency.max_us());
            read.insert(format!("round_trip_us_avg_to_{node}"), latency.average_us());
        }
        read.insert("round_trip_us_max".to_owned(), max_us);
        read
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inspector({})", self.me)
    }
}

async fn dropped<R: Hosted>(actor: &Addr<RoleActor<R>>) -> u64 {
    match actor.send(Report).await {
        Ok(shell) => shell.dropped.not_running + shell.dropped.overload,
        Err(_) => 0,
    }
}
