//! `paxos-kv dev --processes`: each node is a process, `paxos-kv serve`, and a child of this one.
//!
//! Children are in process groups of their own, so that an interrupt at the terminal reaches this
//! process alone, which then stops them in order. If this process ends in any other way, the system
//! kills them.

use super::{DevArgs, ready, say};
use crate::cli::failure::Failure;
use crate::cli::prompt::{self, Order};
use crate::cli::serve::Stopped;
use paxos_core::Timing;
use paxos_kv::server::check_size;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::task::Poll;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A node that was asked to stop is killed after so long.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The nodes, and those of their processes that run.
struct Nodes {
    executable: PathBuf,
    data_dir: PathBuf,
    clients: Vec<SocketAddr>,
    peers: Vec<SocketAddr>,
    /// What all of them are told alike.
    flags: Vec<String>,
    running: BTreeMap<u16, Child>,
}

pub(super) fn run(args: &DevArgs, timing: Timing) -> Result<(), Failure> {
    check_size(&args.data_dir, args.nodes.into())?;
    // All children are started by this thread: the system kills them when it ends.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stopped = Stopped::new()?;
        let mut nodes = Nodes::new(args)?;
        say(&format!("data directory: {}", args.data_dir.display()))?;
        let ended = tokio::select! {
            () = stopped.wait() => Ok(()),
            ended = nodes.run(timing, args.has_prompt()) => ended,
        };
        nodes.stop().await;
        ended
    })
}

impl Nodes {
    fn new(args: &DevArgs) -> io::Result<Nodes> {
        let (clients, peers) = (args.listen(0), args.listen(1));
        let each = peers.iter().enumerate();
        let cluster: Vec<_> = each.map(|(place, peer)| format!("{}={peer}", place + 1)).collect();
        let mut flags = vec![
            format!("--initial-cluster={}", cluster.join(",")),
            format!("--heartbeat-ms={}", args.timing.heartbeat_ms),
            format!("--election-timeout-ms={}", args.timing.election_timeout_ms),
            format!("--end-with={}", std::process::id()),
        ];
        flags.extend(args.log.flags());
        let (executable, data_dir) = (std::env::current_exe()?, args.data_dir.clone());
        Ok(Nodes { executable, data_dir, clients, peers, flags, running: BTreeMap::new() })
    }

    /// Runs all nodes until whoever sits there wants no more, or one cannot be started.
    async fn run(&mut self, timing: Timing, has_prompt: bool) -> Result<(), Failure> {
        for node in 1..=self.clients.len() as u16 {
            say(&self.start(node)?)?;
        }
        let clients = self.clients.clone();
        let client = tokio::select! {
            client = ready(&clients, timing) => client?,
            // It has said why.
            (node, status) = self.ended() => {
                return Err(Failure::Failed(format!("node {node} cannot be started: {status}")));
            }
        };
        let (orders, mut ordered) = mpsc::unbounded_channel();
        let mut prompting = pin!(async {
            match has_prompt {
                true => prompt::run(client, Some(orders)).await,
                // Until it is told to stop.
                false => std::future::pending().await,
            }
        });
        loop {
            tokio::select! {
                over = &mut prompting => return over,
                (node, status) = self.ended() => {
                    let way_out = way_out(node, has_prompt);
                    say(&format!("node {node} has ended: {status}{way_out}"))?;
                }
                Some((order, reply)) = ordered.recv() => {
                    // The prompt may be gone.
                    let _ = reply.send(self.obey(order).unwrap_or_else(|error| error.to_string()));
                }
            }
        }
    }

    /// Starts a node, and gives what there is to say of it.
    fn start(&mut self, node: u16) -> io::Result<String> {
        let place = usize::from(node) - 1;
        let data_dir = self.data_dir.join(format!("node-{node}"));
        let (clients, peers) = (self.clients[place], self.peers[place]);
        let mut command = Command::new(&self.executable);
        for (name, _) in std::env::vars_os() {
            // They would be settings of every node.
            if name.to_string_lossy().starts_with("PAXOS_KV_") {
                command.env_remove(name);
            }
        }
        command.arg("serve").arg("--data-dir").arg(&data_dir).args(&self.flags);
        command.arg(format!("--id={node}"));
        command.arg(format!("--listen-client={clients}")).arg(format!("--listen-peer={peers}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0).kill_on_drop(true);
        let child = command.spawn()?;
        let pid = child.id().unwrap_or_default();
        self.running.insert(node, child);
        Ok(format!("node {node}: pid {pid}, clients {clients}, data {}", data_dir.display()))
    }

    fn obey(&mut self, order: Order) -> io::Result<String> {
        let (Order::Start(node) | Order::Kill(node)) = order;
        if !(1..=self.clients.len()).contains(&node.into()) {
            let last = self.clients.len();
            return Ok(format!("there is no node {node}: name one from 1 to {last}"));
        }
        match (order, self.running.get_mut(&node)) {
            (Order::Start(_), Some(_)) => Ok(format!("node {node} runs: kill {node} kills it")),
            (Order::Start(_), None) => self.start(node),
            (Order::Kill(_), None) => {
                Ok(format!("node {node} does not run: start {node} starts it"))
            }
            (Order::Kill(_), Some(child)) => {
                child.start_kill()?;
                Ok(format!("node {node} is killed"))
            }
        }
    }

    /// Waits until a process has ended, of itself or otherwise.
    async fn ended(&mut self) -> (u16, String) {
        let (node, status) = std::future::poll_fn(|task| {
            for (&node, child) in &mut self.running {
                if let Poll::Ready(status) = pin!(child.wait()).poll(task) {
                    return Poll::Ready((node, status));
                }
            }
            Poll::Pending
        })
        .await;
        self.running.remove(&node);
        let shown = |status: io::Result<ExitStatus>| match status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        (node, shown(status))
    }

    /// Stops all processes in order, and kills those that do not stop.
    async fn stop(&mut self) {
        for child in self.running.values() {
            let pid = child.id().and_then(|pid| Pid::from_raw(pid as i32));
            // A process that has ended cannot be asked, and need not be.
            let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        }
        let all = async {
            while !self.running.is_empty() {
                self.ended().await;
            }
        };
        if timeout(STOP_WITHIN, all).await.is_err() {
            for child in self.running.values_mut() {
                let _ = child.kill().await;
            }
        }
    }
}

fn way_out(node: u16, has_prompt: bool) -> String {
    match has_prompt {
        true => format!("; start {node} starts it again"),
        false => String::new(),
    }
}
