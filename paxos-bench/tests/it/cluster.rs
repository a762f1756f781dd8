//! Real processes of the `paxos-kv` command on loopback.

pub use crate::observer::{PATIENCE, patient, wait_for};

use crate::observer::Observer;
use paxos_bench::processes::{self, Place, Process, free_addresses, last_lines};
use std::fs;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use tempfile::TempDir;

/// The `paxos-kv` command, in the profile and the target directory of this test. Cargo builds the
/// programs of other packages for nobody, so the first test that asks has it built.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        // target / profile / deps / this test
        let profile = test.ancestors().nth(2).unwrap();
        if let Some(cargo) = std::env::var_os("CARGO") {
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "-p", "paxos-kv", "--bins", "--target-dir"]);
            build.arg(profile.parent().unwrap());
            if profile.ends_with("release") {
                build.arg("--release");
            }
            assert!(build.status().unwrap().success(), "paxos-kv was not built");
        }
        let program = profile.join("paxos-kv");
        assert!(program.exists(), "there is no {}: build paxos-kv first", program.display());
        program
    })
}

/// One node: its place on disk and in the net, and its process while it runs.
#[derive(Debug)]
pub struct Node {
    pub id: u64,
    /// Its roles, as the initial cluster names them; empty for all.
    pub part: &'static str,
    pub client: SocketAddr,
    pub peer: SocketAddr,
    pub data_dir: PathBuf,
    pub log: PathBuf,
    process: Option<Process>,
}

/// A cluster whose processes end with it. When a test fails, the ends of their logs are shown.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: Vec<Node>,
    observer: Option<Observer>,
    /// What each of them is told beside its place.
    flags: &'static [&'static str],
    dir: TempDir,
}

impl Cluster {
    /// Three nodes with empty data directories, started, one of which leads.
    pub async fn start() -> Cluster {
        Cluster::start_with(&["", "", ""]).await
    }

    /// Three nodes that are told this as well.
    pub async fn start_told(flags: &'static [&'static str]) -> Cluster {
        let mut cluster = Cluster::lay_out(&["", "", ""]);
        cluster.flags = flags;
        cluster.launch().await;
        cluster
    }

    /// Nodes with these roles and empty data directories, started, one of which leads.
    pub async fn start_with(parts: &[&'static str]) -> Cluster {
        let mut cluster = Cluster::lay_out(parts);
        cluster.launch().await;
        cluster
    }

    async fn launch(&mut self) {
        for at in 0..self.nodes.len() {
            self.start_node(at);
        }
        let endpoints = self.nodes.iter().map(|node| node.client.to_string()).collect();
        self.observer = Some(Observer::new(endpoints).await);
        self.leader().await;
    }

    fn lay_out(parts: &[&'static str]) -> Cluster {
        let count = parts.len();
        let dir = TempDir::new().unwrap();
        let ports = free_addresses(2 * count).unwrap();
        let node = |at: usize| Node {
            id: at as u64 + 1,
            part: parts[at],
            client: ports[2 * at],
            peer: ports[2 * at + 1],
            data_dir: dir.path().join(format!("data-{}", at + 1)),
            log: dir.path().join(format!("log-{}", at + 1)),
            process: None,
        };
        Cluster { nodes: (0..count).map(node).collect(), observer: None, flags: &[], dir }
    }

    /// The command line that serves a node.
    pub fn serve(&self, at: usize) -> Command {
        self.serve_from(at, &self.nodes[at].data_dir)
    }

    /// The command line that serves a node with other data.
    pub fn serve_from(&self, at: usize, data_dir: &Path) -> Command {
        let node = &self.nodes[at];
        let member = |node: &Node| match node.part {
            "" => format!("{}={}", node.id, node.peer),
            part => format!("{}/{part}={}", node.id, node.peer),
        };
        let members: Vec<_> = self.nodes.iter().map(member).collect();
        let data_dir = data_dir.to_owned();
        let place = Place { id: node.id, client: node.client, peer: node.peer, data_dir };
        let mut serve = processes::serve(program(), &place, &members.join(","));
        serve.args(self.flags).stdin(Stdio::null());
        serve
    }

    /// Starts a node that does not run; its log goes on where it ended.
    pub fn start_node(&mut self, at: usize) {
        assert!(self.nodes[at].process.is_none(), "node {} runs", self.nodes[at].id);
        let started = Process::start(self.serve(at), &self.nodes[at].log);
        self.nodes[at].process = Some(started.unwrap());
    }

    /// The process of a node that runs.
    pub fn pid(&self, at: usize) -> u32 {
        self.nodes[at].process.as_ref().expect("the node runs").pid()
    }

    /// Ends a node as `kill -9` does.
    pub fn kill_9(&mut self, at: usize) {
        let mut process = self.nodes[at].process.take().expect("the node runs");
        process.kill_9().unwrap();
    }

    /// What a node has logged.
    pub fn logged(&self, at: usize) -> String {
        fs::read_to_string(&self.nodes[at].log).unwrap_or_default()
    }
}

impl Deref for Cluster {
    type Target = Observer;

    fn deref(&self) -> &Observer {
        self.observer.as_ref().expect("the cluster has started")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.process = None);
        if thread::panicking() {
            for node in &self.nodes {
                let end = last_lines(&node.log, 40);
                eprintln!("---- the end of the log of node {}\n{end}", node.id);
            }
            self.dir.disable_cleanup(true);
            eprintln!("---- kept: {}", self.dir.path().display());
        }
    }
}
