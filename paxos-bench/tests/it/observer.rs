//! What the nodes of a cluster say of themselves, however they are run.

use paxos_kv::KvClient;
use paxos_kv::wire::Status;
use std::time::{Duration, Instant};

/// How long a test waits for something that must come before it gives up.
pub const PATIENCE: Duration = Duration::from_secs(120);

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

/// A client whose calls outlast every election and restart of these tests.
pub async fn patient(endpoints: Vec<String>) -> KvClient {
    KvClient::connect(endpoints).await.unwrap().timeout(PATIENCE)
}

/// Asks all nodes, and compares what they say.
#[derive(Debug)]
pub struct Observer {
    endpoints: Vec<String>,
    client: KvClient,
}

impl Observer {
    /// Waits until a node of these answers.
    pub async fn new(endpoints: Vec<String>) -> Observer {
        let client = wait_for("a node that answers", async || {
            KvClient::connect(endpoints.clone()).await.ok()
        });
        let client = client.await.timeout(Duration::from_millis(500));
        Observer { endpoints, client }
    }

    /// Where clients reach the nodes.
    pub fn endpoints(&self) -> Vec<String> {
        self.endpoints.clone()
    }

    /// A client of all nodes, whose calls outlast every election and restart of these tests.
    pub async fn client(&self) -> KvClient {
        patient(self.endpoints()).await
    }

    /// What each node says of itself; none while it does not answer.
    pub async fn statuses(&self) -> Vec<Option<Status>> {
        let all = self.client.status().await.unwrap();
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

    /// Waits until a node knows to be chosen, and has applied where it has a learner, all that any
    /// node knew to be chosen when this was asked.
    pub async fn caught_up(&self, at: usize) {
        let all = self.statuses().await;
        let goal = all.iter().flatten().map(|status| status.chosen_below).max().unwrap();
        wait_for("a node that catches up", async || {
            let status = self.statuses().await.swap_remove(at)?;
            let reached = match status.roles.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                // It only knows what it has counted itself.
                ["proposer"] => goal,
                ["acceptor"] => status.chosen_below,
                _ if has(&status, "learner") => status.applied_below,
                _ => status.chosen_below,
            };
            (reached >= goal).then_some(())
        })
        .await;
    }

    /// Waits until all learners have applied equally much, and compares their digests.
    pub async fn check_digests(&self) {
        let digests = wait_for("learners that have applied the same slots", async || {
            let all: Vec<Status> = self.statuses().await.into_iter().collect::<Option<Vec<_>>>()?;
            let learners: Vec<_> = all.into_iter().filter(|node| has(node, "learner")).collect();
            let equal = learners.iter().all(|node| node.applied_below == learners[0].applied_below);
            equal.then(|| learners.into_iter().map(|node| node.digest).collect::<Vec<_>>())
        })
        .await;
        assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
    }
}

/// Whether a node has a role.
pub fn has(status: &Status, role: &str) -> bool {
    status.roles.iter().any(|name| name == role)
}
