//! A program on tokio's own runtime that hosts the actors: they live on a thread with an actix
//! system, and the handle of a client goes anywhere.
//!
//! `cargo run -p examples --example tokio_main`

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use paxos_actors::cluster::Cluster;
use paxos_actors::submit::ClientHandle;
use paxos_core::{Applied, Outcome, SnapshotParts, StateMachine, Unrestorable};
use tokio::sync::oneshot;

/// A number that is counted up.
#[derive(Default)]
struct Counter(u64);

impl StateMachine for Counter {
    fn apply(&mut self, _: Applied, _: &Bytes) -> Bytes {
        self.0 += 1;
        self.0.to_string().into()
    }

    fn query(&self, _: &Bytes) -> Bytes {
        self.0.to_string().into()
    }

    fn digest(&self) -> u64 {
        self.0
    }

    fn snapshot(&self) -> SnapshotParts {
        Box::new(std::iter::once(Bytes::copy_from_slice(&self.0.to_le_bytes())))
    }

    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        self.0 =
            part.as_ref().try_into().map(u64::from_le_bytes).map_err(|_| Unrestorable("u64"))?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let (started, client) = oneshot::channel();
    let (stop, stopped) = oneshot::channel();
    let actors =
        std::thread::spawn(move || actix_rt::System::new().block_on(host(started, stopped)));
    let client = client.await.context("the cluster does not start")?;

    // From here on only tokio: tasks on any of its threads share the client.
    let tasks = (0..8).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            for _ in 0..25 {
                client.write("up").await?;
            }
            anyhow::Ok(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    let count = client.read("").await?;
    ensure!(count == Outcome::Done("200".into()), "each counts once: {count:?}");
    println!("8 tasks have counted to 200");

    // The cluster ends with its owner.
    drop(stop);
    actors.join().map_err(|_| anyhow::anyhow!("the actors' thread panicked"))?
}

/// Runs a cluster until `stopped` resolves.
async fn host(
    started: oneshot::Sender<ClientHandle>,
    stopped: oneshot::Receiver<()>,
) -> Result<()> {
    let mut cluster = Cluster::builder(3, |_| Counter::default())?.start().await?;
    let client = cluster.client().await?;
    started.send(client).ok().context("nobody waits for the cluster")?;
    // It resolves with an error, since nothing is ever sent.
    let _ = stopped.await;
    Ok(())
}
