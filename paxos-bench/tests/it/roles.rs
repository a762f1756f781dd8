//! One and the same test of the store on every layout of roles: in processes of their own, in
//! several, in one.

use crate::cluster::Cluster;
use crate::in_process::InProcess;
use crate::observer::{Observer, has, patient, wait_for};
use crate::writers::Writers;
use paxos_kv::wire::Status;
use std::ops::Deref;

/// Nodes that can be killed and started again.
trait Killable: Deref<Target = Observer> {
    async fn kill(&mut self, at: usize);
    async fn restart(&mut self, at: usize);
}

impl Killable for Cluster {
    async fn kill(&mut self, at: usize) {
        self.kill_9(at);
    }

    async fn restart(&mut self, at: usize) {
        self.start_node(at);
    }
}

impl Killable for InProcess {
    async fn kill(&mut self, at: usize) {
        InProcess::kill(self, at).await;
    }

    async fn restart(&mut self, at: usize) {
        InProcess::restart(self, at).await;
    }
}

/// A client for each node, which knows no other, writes and reads. The leader is killed, and one
/// node of each role; what was acknowledged is there, once, and all learners agree.
async fn a_node_of_each_role_is_killed(mut cluster: impl Killable) {
    let mut clients = Vec::new();
    for endpoint in cluster.endpoints() {
        clients.push(patient(vec![endpoint]).await);
    }
    let writers = Writers::start(&clients);
    let mut killed = Vec::new();
    for role in ["leader", "proposer", "acceptor", "learner"] {
        writers.wait_for(400).await;
        let at = match role {
            "leader" => cluster.leader().await,
            role => victim(&cluster, role, &killed).await,
        };
        killed.push(at);
        cluster.kill(at).await;
        writers.wait_for(400).await;
        cluster.restart(at).await;
        cluster.caught_up(at).await;
    }
    writers.wait_for(400).await;
    writers.check(&cluster.client().await).await;
    cluster.check_digests().await;
}

/// A node with this role and as few others as there is: one that was not killed yet, if possible.
async fn victim(cluster: &Observer, role: &str, killed: &[usize]) -> usize {
    let all = wait_for("nodes that all answer", async || {
        cluster.statuses().await.into_iter().collect::<Option<Vec<Status>>>()
    })
    .await;
    let nodes = all.iter().enumerate().filter(|(_, status)| has(status, role));
    let fewest = nodes.min_by_key(|(at, status)| (killed.contains(at), status.roles.len()));
    fewest.expect("somebody has it").0
}

const SEVEN: [&str; 7] =
    ["proposer", "proposer", "acceptor", "acceptor", "acceptor", "learner", "learner"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_with_all_roles() {
    a_node_of_each_role_is_killed(Cluster::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_nodes_with_one_role_each() {
    a_node_of_each_role_is_killed(Cluster::start_with(&SEVEN).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_with_all_roles_two_voters_and_a_learner() {
    let parts = ["", "", "", "acceptor", "acceptor", "learner"];
    a_node_of_each_role_is_killed(Cluster::start_with(&parts).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_in_one_process() {
    a_node_of_each_role_is_killed(InProcess::start_with(&["", "", ""]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_nodes_with_one_role_each_in_one_process() {
    a_node_of_each_role_is_killed(InProcess::start_with(&SEVEN).await).await;
}
