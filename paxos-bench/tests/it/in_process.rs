//! A whole cluster in a thread of this process, whose nodes can be killed like processes.

use crate::observer::Observer;
use paxos_bench::processes::free_addresses;
use paxos_core::{NodeId, Timing};
use paxos_kv::server::{LocalCluster, LocalOptions};
use std::ops::Deref;
use std::thread::JoinHandle;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

/// The nodes, all on one arbiter.
#[derive(Debug)]
pub struct InProcess {
    orders: Option<mpsc::UnboundedSender<(Order, oneshot::Sender<()>)>>,
    thread: Option<JoinHandle<()>>,
    observer: Observer,
    _dir: TempDir,
}

#[derive(Debug)]
enum Order {
    Kill(NodeId),
    Restart(NodeId),
}

impl InProcess {
    /// Nodes with these roles, started, one of which leads.
    pub async fn start_with(parts: &[&str]) -> InProcess {
        let dir = TempDir::new().unwrap();
        let listen_client = free_addresses(parts.len()).unwrap();
        let endpoints = listen_client.iter().map(|address| address.to_string()).collect();
        let each = parts.iter().enumerate().filter(|(_, part)| !part.is_empty());
        let part = |(at, part): (usize, &&str)| (NodeId(at as u64 + 1), part.parse().unwrap());
        let options = LocalOptions {
            data_dir: dir.path().to_owned(),
            listen_client,
            parts: each.map(part).collect(),
            timing: Timing::default(),
            snapshot_log_bytes: 100_000,
        };
        let (orders, ordered) = mpsc::unbounded_channel();
        let thread = std::thread::spawn(|| actix_rt::System::new().block_on(run(options, ordered)));
        let observer = Observer::new(endpoints).await;
        observer.leader().await;
        InProcess { orders: Some(orders), thread: Some(thread), observer, _dir: dir }
    }

    pub async fn kill(&self, at: usize) {
        self.order(Order::Kill(NodeId(at as u64 + 1))).await;
    }

    pub async fn restart(&self, at: usize) {
        self.order(Order::Restart(NodeId(at as u64 + 1))).await;
    }

    async fn order(&self, order: Order) {
        let (done, obeyed) = oneshot::channel();
        self.orders.as_ref().unwrap().send((order, done)).unwrap();
        obeyed.await.unwrap();
    }
}

async fn run(
    options: LocalOptions,
    mut ordered: mpsc::UnboundedReceiver<(Order, oneshot::Sender<()>)>,
) {
    let mut cluster = LocalCluster::start(options).await.unwrap();
    while let Some((order, done)) = ordered.recv().await {
        match order {
            Order::Kill(node) => cluster.kill(node).await,
            Order::Restart(node) => cluster.restart(node).await.unwrap(),
        }
        let _ = done.send(());
    }
    cluster.stop().await;
}

impl Deref for InProcess {
    type Target = Observer;

    fn deref(&self) -> &Observer {
        &self.observer
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there has been reported.
            let _ = thread.join();
        }
    }
}
