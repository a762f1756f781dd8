//! Three real processes of the `paxos-kv` command on loopback.

use paxos_kv::client::KvClient;
use paxos_kv::wire::Status;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a test waits for something that must come before it gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);

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
fn free_ports(count: usize) -> Vec<SocketAddr> {
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

/// Waits until `probe` gives something.
pub async fn wait_for<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < give_up, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One node: its place on disk and in the net, and its process while it runs.
#[derive(Debug)]
pub struct Node {
    pub id: u64,
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
    observer: Option<KvClient>,
    dir: TempDir,
}

impl Cluster {
    /// Three nodes with empty data directories, started, one of which leads.
    pub async fn start() -> Cluster {
        let mut cluster = Cluster::lay_out(3);
        for at in 0..cluster.nodes.len() {
            cluster.start_node(at);
        }
        let observer = wait_for("a node that answers", async || {
            KvClient::connect(cluster.endpoints()).await.ok()
        });
        let observer = observer.await.timeout(Duration::from_millis(500));
        cluster.observer = Some(observer);
        cluster.leader().await;
        cluster
    }

    fn lay_out(count: usize) -> Cluster {
        let dir = TempDir::new().unwrap();
        let ports = free_ports(2 * count);
        let node = |at: usize| Node {
            id: at as u64 + 1,
            client: ports[2 * at],
            peer: ports[2 * at + 1],
            data_dir: dir.path().join(format!("data-{}", at + 1)),
            log: dir.path().join(format!("log-{}", at + 1)),
            child: None,
        };
        Cluster { nodes: (0..count).map(node).collect(), observer: None, dir }
    }

    /// The command line that serves a node.
    pub fn serve(&self, at: usize) -> Command {
        self.serve_from(at, &self.nodes[at].data_dir)
    }

    /// The command line that serves a node with other data.
    pub fn serve_from(&self, at: usize, data_dir: &Path) -> Command {
        let node = &self.nodes[at];
        let members: Vec<_> =
            self.nodes.iter().map(|node| format!("{}={}", node.id, node.peer)).collect();
        let mut serve = Command::new(program());
        serve.arg("serve").args(["--id", &node.id.to_string()]).arg("--data-dir");
        serve.arg(data_dir).args(["--listen-client", &node.client.to_string()]);
        serve.args(["--listen-peer", &node.peer.to_string()]);
        serve.args(["--initial-cluster", &members.join(",")]);
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

    /// Where clients reach the nodes.
    pub fn endpoints(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.client.to_string()).collect()
    }

    /// A client of all nodes, whose calls outlast every election and restart of these tests.
    pub async fn client(&self) -> KvClient {
        patient(self.endpoints()).await
    }

    /// What each node says of itself; none while it does not answer.
    pub async fn statuses(&self) -> Vec<Option<Status>> {
        let observer = self.observer.as_ref().expect("the cluster has started");
        let all = observer.status().await.unwrap();
        all.into_iter().map(|endpoint| endpoint.status.ok().map(|status| *status)).collect()
    }

    /// The node that leads.
    pub async fn leader(&self) -> usize {
        wait_for("a leader", async || {
            let all = self.statuses().await;
            all.iter()
                .position(|status| status.as_ref().is_some_and(|status| status.stance == "lead"))
        })
        .await
    }

    /// Waits until a node has applied all that any node knew to be chosen when this was asked.
    pub async fn caught_up(&self, at: usize) {
        let all = self.statuses().await;
        let goal = all.iter().flatten().map(|status| status.chosen_below).max().unwrap();
        wait_for("a node that catches up", async || {
            let status = self.statuses().await.swap_remove(at)?;
            (status.applied_below >= goal).then_some(())
        })
        .await;
    }

    /// Waits until all nodes have applied equally much, and compares their digests.
    pub async fn check_digests(&self) {
        let digests = wait_for("nodes that have applied the same slots", async || {
            let all: Vec<Status> = self.statuses().await.into_iter().collect::<Option<Vec<_>>>()?;
            let equal = all.iter().all(|node| node.applied_below == all[0].applied_below);
            equal.then(|| all.into_iter().map(|node| node.digest).collect::<Vec<_>>())
        })
        .await;
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    }
}

/// A client whose calls outlast every election and restart of these tests.
pub async fn patient(endpoints: Vec<String>) -> KvClient {
    KvClient::connect(endpoints).await.unwrap().timeout(PATIENCE)
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
