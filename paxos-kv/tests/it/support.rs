//! Processes and clusters under test. Everything listens on 127.0.0.1 only.

use paxos_kv::KvClient;
use std::ffi::OsStr;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take before a test gives up. Nothing is expected to come near it.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a command ended.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs the command to its end.
pub fn paxos_kv<A: AsRef<OsStr>>(args: &[A]) -> Run {
    paxos_kv_with(args, b"")
}

/// Runs the command to its end with this standard input.
pub fn paxos_kv_with<A: AsRef<OsStr>>(args: &[A], stdin: &[u8]) -> Run {
    let mut child = command(args).stdin(Stdio::piped()).spawn().unwrap();
    // A command that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap().into()
}

/// Runs the command to its end with these variables in its environment.
pub fn paxos_kv_in<A: AsRef<OsStr>>(variables: &[(&str, &str)], args: &[A]) -> Run {
    command(args).envs(variables.iter().copied()).output().unwrap().into()
}

pub fn command<A: AsRef<OsStr>>(args: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paxos-kv"));
    command.args(args);
    // Whoever runs the tests may have settings of their own.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PAXOS_KV_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A port that nobody listens on. It lies below those that the system gives to connections, so that
/// none of them takes it before a node does, or while a node is down.
pub fn closed_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port =
            10_000 + (std::process::id().wrapping_mul(97).wrapping_add(next) % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "gave up waiting: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A cluster of processes. They are killed when it is dropped.
pub struct Processes {
    pub dir: TempDir,
    nodes: Vec<Option<Child>>,
    pub clients: Vec<u16>,
    pub peers: Vec<u16>,
    /// What each is named as in the initial cluster, behind its number.
    parts: Vec<&'static str>,
}

impl Processes {
    /// A cluster of so many nodes, none of which runs yet.
    pub fn new(nodes: usize) -> Processes {
        Processes::with_parts(&vec![""; nodes])
    }

    /// A cluster of nodes with these roles, as in `/acceptor`; none runs yet.
    pub fn with_parts(parts: &[&'static str]) -> Processes {
        let nodes = parts.len();
        let ports = |_| closed_port();
        Processes {
            dir: tempfile::tempdir().unwrap(),
            nodes: (0..nodes).map(|_| None).collect(),
            clients: (0..nodes).map(ports).collect(),
            peers: (0..nodes).map(ports).collect(),
            parts: parts.to_vec(),
        }
    }

    /// A cluster of so many nodes that answers.
    pub fn started(nodes: usize) -> Processes {
        let mut cluster = Processes::new(nodes);
        (1..=nodes).for_each(|node| cluster.start(node));
        until("the cluster answers", || cluster.run(&["put", "first", "0"]).code == 0);
        cluster
    }

    pub fn data_dir(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("node-{node}"))
    }

    pub fn initial_cluster(&self) -> String {
        let each = self.peers.iter().enumerate();
        let name = |i: usize| format!("{}{}", i + 1, self.parts[i]);
        each.map(|(i, port)| format!("{}=127.0.0.1:{port}", name(i))).collect::<Vec<_>>().join(",")
    }

    /// What a node is started with.
    pub fn serve_args(&self, node: usize, data_dir: &Path) -> Vec<String> {
        let (client, peer) = (self.clients[node - 1], self.peers[node - 1]);
        let mut args = vec!["serve".to_owned(), format!("--id={node}")];
        args.push(format!("--data-dir={}", data_dir.display()));
        args.push(format!("--listen-client=127.0.0.1:{client}"));
        args.push(format!("--listen-peer=127.0.0.1:{peer}"));
        args.push(format!("--initial-cluster={}", self.initial_cluster()));
        args.push("--log-level=warn".to_owned());
        args
    }

    pub fn start(&mut self, node: usize) {
        self.start_with(node, &self.serve_args(node, &self.data_dir(node)));
    }

    /// Starts a node with other arguments than its own.
    pub fn start_with(&mut self, node: usize, args: &[String]) {
        let log = std::fs::File::options().append(true).create(true).open(self.log(node)).unwrap();
        self.start_logging(node, args, log.into());
    }

    /// Starts a node whose standard error is something else than its log.
    pub fn start_logging(&mut self, node: usize, args: &[String], log: Stdio) {
        let child = command(args).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.nodes[node - 1] = Some(child);
    }

    fn log(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("node-{node}.log"))
    }

    /// What a node has said on its standard error.
    pub fn said(&self, node: usize) -> String {
        std::fs::read_to_string(self.log(node)).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(&mut self, node: usize) {
        let mut child = self.nodes[node - 1].take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks a node to stop, and gives the code that it exits with.
    pub fn stop(&mut self, node: usize) -> Option<i32> {
        let mut child = self.nodes[node - 1].take().unwrap();
        let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        child.wait().unwrap().code()
    }

    pub fn endpoints(&self) -> String {
        let each = self.clients.iter().map(|port| format!("127.0.0.1:{port}"));
        each.collect::<Vec<_>>().join(",")
    }

    /// Runs a client command against all endpoints.
    pub fn run(&self, args: &[&str]) -> Run {
        paxos_kv(&[args, &["--endpoints", &self.endpoints()]].concat())
    }

    /// The status of each node, in their order.
    pub fn status(&self) -> Vec<serde_json::Value> {
        let run = self.run(&["status", "-o", "json"]);
        match serde_json::from_str::<serde_json::Value>(&run.stdout) {
            Ok(status) => status["nodes"].as_array().unwrap().clone(),
            Err(_) => Vec::new(),
        }
    }

    /// Who leads, once somebody does.
    pub fn leader(&self) -> usize {
        let mut leader = None;
        until("somebody leads", || {
            leader = self.status().iter().position(|node| node["stance"] == "lead");
            leader.is_some()
        });
        leader.unwrap() + 1
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in self.nodes.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for node in 1..=self.nodes.len() {
                eprintln!("node {node} said:\n{}", self.said(node));
            }
        }
    }
}

/// A runtime without timers: what a caller may have.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// A client of these endpoints.
pub fn client(endpoints: &str) -> KvClient {
    runtime().block_on(KvClient::connect(endpoints.split(','))).unwrap()
}
