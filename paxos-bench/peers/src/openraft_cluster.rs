//! Three nodes of openraft in one process: they call each other directly, and keep all in memory.

mod router;
mod store;

use self::router::Router;
use self::store::{Kv, Log};
use crate::closed_loop::{self, Measured, Span};
use anyhow::Context;
use bytes::Bytes;
use openraft::{Config, Raft, SnapshotPolicy};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

const KEYS: u64 = 10_000;
const NODES: u64 = 3;
const HISTOGRAMS: usize = 8;

openraft::declare_raft_types!(
    /// A write of a value to a key; nothing is answered. A snapshot is a copy of the table.
    pub Types:
        D = Put,
        R = (),
        Node = openraft::EmptyNode,
        SnapshotData = Vec<Bytes>,
);

/// A write. The value is shared by all that keep it.
#[derive(Clone, Debug)]
pub struct Put {
    pub key: u64,
    pub value: Bytes,
}

/// What to do.
pub struct Plan {
    pub clients: usize,
    pub time: Duration,
    pub payload: usize,
    pub own_thread: bool,
    pub threads: usize,
}

type Node = Raft<Types>;

pub fn run(plan: Plan) -> anyhow::Result<Measured> {
    let nodes = Builder::new_multi_thread().worker_threads(plan.threads).enable_all().build()?;
    // Started by a task, so that even the nodes' first tasks are where all others are.
    let leader = nodes.block_on(async { tokio::spawn(start()).await })??;
    if plan.own_thread {
        let clients = Builder::new_current_thread().enable_all().build()?;
        let measured = clients.block_on(measure(&plan, leader, &clients));
        nodes.shutdown_background();
        return measured;
    }
    let measured = nodes.block_on(measure(&plan, leader, &nodes));
    nodes.shutdown_background();
    measured
}

/// Starts the cluster, and gives back the node that leads.
async fn start() -> anyhow::Result<Node> {
    let config = Config {
        heartbeat_interval: 200,
        election_timeout_min: 1000,
        election_timeout_max: 2000,
        // Larger answers larger batches of many clients; more than this gained nothing.
        max_payload_entries: 4096,
        purge_batch_size: 4096,
        // Logs are forgotten now and then, so that memory is bounded as it would be in use.
        snapshot_policy: SnapshotPolicy::LogsSinceLast(100_000),
        max_in_snapshot_log_to_keep: 20_000,
        replication_lag_threshold: 1_000_000,
        ..Default::default()
    };
    let config = Arc::new(config.validate()?);
    let router = Router::default();
    for id in 0..NODES {
        let (log, kv) = (Log::default(), Kv::default());
        router.add(id, Raft::new(id, config.clone(), router.clone(), log, kv).await?);
    }
    let leader = router.node(0).context("was just added")?;
    leader.initialize((0..NODES).collect::<BTreeSet<u64>>()).await?;
    let wait = leader.wait(Some(Duration::from_secs(10)));
    wait.current_leader(0, "the first node leads").await?;
    Ok(leader)
}

async fn measure(plan: &Plan, leader: Node, on: &Runtime) -> anyhow::Result<Measured> {
    // Made before, since they would come from outside: here it is measured what becomes of them.
    let values: Arc<[Bytes]> = (0..KEYS).map(|_| Bytes::from(vec![7; plan.payload])).collect();
    let span = Span::after_warm_up(plan.time);
    let latencies = (0..HISTOGRAMS).map(|_| closed_loop::latencies());
    let latencies = latencies.collect::<anyhow::Result<Vec<_>>>()?;
    let client = |client: u64| -> JoinHandle<anyhow::Result<()>> {
        let (leader, values) = (leader.clone(), values.clone());
        let latencies = latencies[client as usize % HISTOGRAMS].clone();
        on.spawn(closed_loop::client(span, latencies, move |number| {
            let key = (client * 7919 + number) % KEYS;
            let put = Put { key, value: values[key as usize].clone() };
            let leader = leader.clone();
            async move {
                leader.client_write(put).await?;
                Ok(())
            }
        }))
    };
    let clients: Vec<_> = (0..plan.clients as u64).map(client).collect();
    for client in clients {
        client.await??;
    }
    closed_loop::sum(&latencies, plan.time)
}
