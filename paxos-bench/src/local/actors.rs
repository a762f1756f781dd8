//! A cluster of actors in memory, and clients in a closed loop.

use super::KEYS;
use super::closed_loop::{self, Seen, Span};
use super::values::{self, Values};
use actix_rt::{Arbiter, ArbiterHandle};
use bytes::Bytes;
use paxos_actors::cluster::{Cluster, ClusterError};
use paxos_actors::submit::{ClientGone, ClientHandle};
use paxos_core::{Limits, NodeId, Outcome};
use serde::Serialize;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;
use thiserror::Error;
use tokio::task::{JoinError, JoinSet};

/// How often the nodes are asked who leads.
const PAUSE: Duration = Duration::from_millis(20);

/// Calls that one client's actor carries. A session keeps as many answers at most.
const CALLS_MAX: usize = 512;

/// Commands between two snapshots, about: as many as the other libraries keep.
const SNAPSHOT_COMMANDS: usize = 100_000;

/// Where clients run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientsOn {
    /// On the arbiter of the node that leads.
    Same,
    /// On an arbiter of their own, which is a thread; their client's actor too.
    Own,
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Clients that send their next write when their last is answered.
    pub clients: usize,
    /// Where they run.
    pub clients_on: ClientsOn,
    /// Threads that the nodes run on: 1, or 2, of which the first node has one.
    pub threads: usize,
    /// Bytes of each value.
    pub payload: usize,
    /// How long they write before it is measured.
    pub warm_up: Duration,
    /// How long it is measured.
    pub time: Duration,
}

/// What it came to. As JSON it is one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActorsReport {
    peer: &'static str,
    clients: usize,
    /// Writes answered in the measured time, per second.
    pub ops_per_s: f64,
    /// Half of the writes took no longer, in microseconds.
    pub p50_us: f64,
    /// 99 of 100 writes took no longer, in microseconds.
    pub p99_us: f64,
    /// Writes that were answered, warm-up included, by client.
    #[serde(skip)]
    pub answered: Vec<u64>,
    /// Writes that each node had applied in the end.
    #[serde(skip)]
    pub applied: Vec<u64>,
}

/// Why there is nothing to report.
#[derive(Debug, Error)]
pub enum ActorsError {
    /// The cluster cannot be started.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A write failed.
    #[error("a write was not applied: {0:?}; is the machine overloaded?")]
    NotApplied(Outcome),
    /// A client's actor has ended.
    #[error(transparent)]
    Gone(#[from] ClientGone),
    /// A client has panicked.
    #[error("a client has ended: {0}")]
    Client(#[from] JoinError),
}

/// Runs the plan on the current arbiter.
pub async fn run(plan: Plan) -> Result<ActorsReport, ActorsError> {
    let mut builder =
        Cluster::builder(3, |_| Values::default()).expect("three nodes have majorities");
    let snapshot_log_bytes = (SNAPSHOT_COMMANDS * plan.payload) as u64;
    builder = builder.limits(Limits { snapshot_log_bytes, ..Limits::default() });
    let others = (plan.threads > 1).then(Arbiter::new);
    for node in [NodeId(2), NodeId(3)] {
        if let Some(others) = &others {
            builder = builder.on(node, &others.handle());
        }
    }
    let mut cluster = builder.start().await?;
    let leader = loop {
        match cluster.leader().await {
            Some(leader) => break leader,
            None => tokio::time::sleep(PAUSE).await,
        }
    };
    let arbiter = match plan.clients_on {
        ClientsOn::Own => Some(Arbiter::new()),
        ClientsOn::Same => others.filter(|_| leader != NodeId(1)),
    };
    let arbiter = arbiter.as_ref().map(Arbiter::handle);
    let span = Span::after(plan.warm_up, plan.time);
    let mut handles = Vec::new();
    for _ in 0..plan.clients.div_ceil(CALLS_MAX) {
        handles.push(match &arbiter {
            Some(arbiter) => cluster.client_on(arbiter).await?,
            None => cluster.client().await?,
        });
    }
    let seen = match &arbiter {
        Some(arbiter) => on_arbiter(arbiter, plan, span, handles).await?,
        None => clients(plan, span, handles).await?,
    };
    Ok(ActorsReport {
        peer: "paxos-actors",
        clients: plan.clients,
        ops_per_s: (seen.in_time() as f64 / plan.time.as_secs_f64()).round(),
        p50_us: seen.us(0.5),
        p99_us: seen.us(0.99),
        applied: applied(&cluster, seen.done.iter().sum()).await,
        answered: seen.done,
    })
}

async fn clients(plan: Plan, span: Span, handles: Vec<ClientHandle>) -> Result<Seen, ActorsError> {
    // One clone for each client, not for each request.
    let handles: Vec<_> = handles.into_iter().map(Rc::new).collect();
    let seen = Rc::new(RefCell::new(Seen::nothing(plan.clients)));
    let mut clients = JoinSet::new();
    // Made before, since they would come from outside: here it is measured what becomes of them.
    let value: Vec<u8> = vec![7; plan.payload];
    let commands: Rc<[Bytes]> = (0..KEYS).map(|key| values::write(key, &value)).collect();
    for client in 0..plan.clients {
        let (handle, commands) = (handles[client % handles.len()].clone(), commands.clone());
        let call = move |number| {
            let handle = handle.clone();
            let key = (client as u64 * 7919 + number) % KEYS;
            let command = commands[key as usize].clone();
            async move {
                match handle.write(command).await? {
                    Outcome::Done(_) => Ok(()),
                    other => Err(ActorsError::NotApplied(other)),
                }
            }
        };
        clients.spawn_local(closed_loop::client(client, span, seen.clone(), call));
    }
    while let Some(one) = clients.join_next().await {
        one??;
    }
    Ok(seen.replace(Seen::nothing(0)))
}

async fn on_arbiter(
    arbiter: &ArbiterHandle,
    plan: Plan,
    span: Span,
    handles: Vec<ClientHandle>,
) -> Result<Seen, ActorsError> {
    let (done, seen) = tokio::sync::oneshot::channel();
    arbiter.spawn_fn(move || {
        actix_rt::spawn(async move {
            // Whoever waits has ended, if this cannot be sent.
            let _ = done.send(clients(plan, span, handles).await);
        });
    });
    seen.await.map_err(|_| ClientGone)?
}

/// What each node has applied, once that is all that was answered; or what it is after a second.
async fn applied(cluster: &Cluster<Values>, answered: u64) -> Vec<u64> {
    let mut applied = Vec::new();
    for _ in 0..50 {
        applied.clear();
        for node in (1..=3).map(NodeId) {
            let look = |values: &Values| (values.applied(), values.bytes());
            applied.extend(cluster.inspect(node, look).await.map(|(applied, _)| applied));
        }
        if applied.iter().all(|&applied| applied >= answered) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    applied
}

impl fmt::Display for ActorsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ActorsReport { clients, ops_per_s, p50_us, p99_us, .. } = self;
        writeln!(
            f,
            "{ops_per_s:.0} writes per second by {clients} clients; p50 {p50_us:.1} µs, p99 \
             {p99_us:.1} µs"
        )
    }
}
