//! What nobody should send or start: each ends in one clear error, and the cluster goes on.

use crate::cluster::{self, Cluster};
use paxos_kv::KvClient;
use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Puts before, and checks after, that nothing was lost and that the cluster takes writes.
struct Witness {
    client: KvClient,
    puts: u64,
}

impl Witness {
    async fn of(cluster: &Cluster) -> Witness {
        let mut witness = Witness { client: cluster.client().await, puts: 0 };
        for _ in 0..20 {
            witness.put().await;
        }
        witness
    }

    async fn put(&mut self) {
        self.puts += 1;
        let meta = self.client.put("witness", self.puts.to_string()).await.unwrap();
        assert_eq!(meta.version, self.puts);
    }

    async fn check(&mut self) {
        let found = self.client.get("witness").await.unwrap().unwrap();
        assert_eq!(found.value, self.puts.to_string().as_bytes());
        self.put().await;
    }
}

/// Runs a process until it ends by itself, with one clear error, which it gives.
fn refused(mut serve: Command) -> String {
    let ended = serve.stdout(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(matches!(ended.status.code(), Some(1 | 2)), "{:?}: {text}", ended.status);
    let errors = text.lines().filter(|line| line.to_lowercase().contains("error")).count();
    assert_eq!(errors, 1, "one clear error:\n{text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_or_a_port_in_use_is_refused() {
    let cluster = Cluster::start().await;
    let mut witness = Witness::of(&cluster).await;
    let node = &cluster.nodes[0];
    let text = refused(cluster.serve(0));
    assert!(text.contains(&node.data_dir.display().to_string()), "no directory named:\n{text}");

    let text = refused(cluster.serve_from(0, &node.data_dir.with_file_name("elsewhere")));
    let ports = [node.client.port().to_string(), node.peer.port().to_string()];
    assert!(ports.iter().any(|port| text.contains(port)), "no port named:\n{text}");

    let mut serve = cluster.serve(0);
    serve.arg("--no-such-flag");
    let text = refused(serve);
    assert!(text.contains("--no-such-flag"), "no flag named:\n{text}");
    witness.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_member_is_refused_and_the_others_go_on() {
    let mut cluster = Cluster::start().await;
    let mut witness = Witness::of(&cluster).await;
    let at = (cluster.leader().await + 1) % 3;
    cluster.kill_9(at);
    fs::remove_dir_all(&cluster.nodes[at].data_dir).unwrap();
    let before = cluster.logged(at).len();
    cluster.start_node(at);
    cluster::wait_for("an error of the wiped member", async || {
        let log = cluster.logged(at);
        log[before..].contains("it knows this node as incarnation").then_some(())
    })
    .await;
    // It does not stay, to be of harm some other time.
    cluster::wait_for("the end of the wiped member", async || {
        cluster.statuses().await[at].is_none().then_some(())
    })
    .await;
    witness.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_another_cluster_is_refused() {
    let mut cluster = Cluster::start().await;
    let mut other = Cluster::start().await;
    let mut witness = Witness::of(&cluster).await;
    let at = (cluster.leader().await + 1) % 3;
    cluster.kill_9(at);
    other.kill_9(at);
    // The data of the other cluster's member, at an address of this one.
    fs::remove_dir_all(&cluster.nodes[at].data_dir).unwrap();
    fs::rename(&other.nodes[at].data_dir, &cluster.nodes[at].data_dir).unwrap();
    let before = cluster.logged(at).len();
    cluster.start_node(at);
    cluster::wait_for("a refusal of the stranger", async || {
        // Before it has read its log, the stranger knows no cluster of its own to be told of: then
        // it hears that the member at this place is another one.
        let log = cluster.logged(at).split_off(before);
        let told = ["it belongs to cluster", "it knows this node as incarnation"];
        told.iter().any(|told| log.contains(told)).then_some(())
    })
    .await;
    witness.check().await;
}

/// Sends bytes, and waits until the other end has closed the connection.
async fn send_and_be_cut(to: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    // The node may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(cluster::PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "{to} keeps a connection on which garbage came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_and_a_frame_that_claims_four_gibibytes_are_cut_off() {
    let cluster = Cluster::start().await;
    let mut witness = Witness::of(&cluster).await;
    let garbage: Vec<u8> =
        (0..4096u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut huge = vec![0xff; 4];
    huge.extend([0; 60]);
    for node in &cluster.nodes {
        for bytes in [&garbage, &huge] {
            send_and_be_cut(node.client, bytes).await;
            send_and_be_cut(node.peer, bytes).await;
        }
    }
    witness.check().await;
    cluster.check_digests().await;
}
