//! Real processes of the `paxos-kv` command on loopback.

pub use crate::observer::{PATIENCE, patient, wait_for};

use crate::observer::Observer;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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

/// Ports of loopback that nobody listened at a moment ago.
pub fn free_ports(count: usize) -> Vec<SocketAddr> {
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap()).collect()
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
    child: Option<Child>,
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
        let ports = free_ports(2 * count);
        let node = |at: usize| Node {
            id: at as u64 + 1,
            part: parts[at],
            client: ports[2 * at],
            peer: ports[2 * at + 1],
            data_dir: dir.path().join(format!("data-{}", at + 1)),
            log: dir.path().join(format!("log-{}", at + 1)),
            child: None,
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
        let mut serve = Command::new(program());
        serve.arg("serve").args(["--id", &node.id.to_string()]).arg("--data-dir");
        serve.arg(data_dir).args(["--listen-client", &node.client.to_string()]);
        serve.args(["--listen-peer", &node.peer.to_string()]);
        serve.args(["--initial-cluster", &members.join(",")]).args(self.flags);
        serve.stdin(Stdio::null());
        serve
    }

    /// Starts a node that does not run; its log goes on where it ended.
    pub fn start_node(&mut self, at: usize) {
        assert!(self.nodes[at].child.is_none(), "node {} runs", self.nodes[at].id);
        let log = File::options().create(true).append(true).open(&self.nodes[at].log).unwrap();
        let mut serve = self.serve(at);
        serve.stdout(log.try_clone().unwrap()).stderr(log);
        self.nodes[at].child = Some(serve.spawn().unwrap());
    }

    /// The process of a node that runs.
    pub fn pid(&self, at: usize) -> u32 {
        self.nodes[at].child.as_ref().expect("the node runs").id()
    }

    /// Ends a node as `kill -9` does.
    pub fn kill_9(&mut self, at: usize) {
        let mut child = self.nodes[at].child.take().expect("the node runs");
        child.kill().unwrap();
        child.wait().unwrap();
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
        for node in &mut self.nodes {
            if let Some(mut child) = node.child.take() {
                // It may have ended by itself; then there is nothing left to do.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        if thread::panicking() {
            for at in 0..self.nodes.len() {
                let log = self.logged(at);
                let lines: Vec<_> = log.lines().collect();
                let end = lines[lines.len().saturating_sub(40)..].join("\n");
                eprintln!("---- the end of the log of node {}\n{end}", self.nodes[at].id);
            }
            self.dir.disable_cleanup(true);
            eprintln!("---- kept: {}", self.dir.path().display());
        }
    }
}
