//! Three nodes in one process replicate a table of scores. The leader is killed; nothing is lost.
//!
//! `cargo run -p examples --example in_process_cluster`

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use paxos_actors::cluster::Cluster;
use paxos_actors::submit::ClientHandle;
use paxos_core::{Applied, NodeId, Outcome, StateMachine};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is replicated. A command is a player's name and gives that player one point.
#[derive(Default)]
struct Scores(BTreeMap<Bytes, u64>);

impl StateMachine for Scores {
    fn apply(&mut self, _: Applied, player: &Bytes) -> Bytes {
        let points = self.0.entry(player.clone()).or_default();
        *points += 1;
        points.to_string().into()
    }

    fn query(&self, player: &Bytes) -> Bytes {
        self.0.get(player).copied().unwrap_or_default().to_string().into()
    }

    fn digest(&self) -> u64 {
        let mix = |digest: u64, n: u64| (digest ^ n).wrapping_mul(0x100_0000_01b3);
        self.0.iter().fold(0, |digest, (player, &points)| {
            mix(player.iter().fold(digest, |digest, &byte| mix(digest, byte.into())), points)
        })
    }
}

#[actix::main]
async fn main() -> Result<()> {
    let mut cluster = Cluster::builder(3, |_| Scores::default())?.start().await?;
    let client = cluster.client().await?;
    for points in 1..=100 {
        ensure!(score(&client, "ada").await? == points, "each point counts once");
    }
    println!("ada has 100 points");

    let leader = cluster.leader().await.context("someone ordered those points")?;
    cluster.kill(leader).await?;
    println!("node {leader}, the leader, is dead");
    for points in 101..=200 {
        ensure!(score(&client, "ada").await? == points, "the others know the first 100");
    }
    let successor = cluster.leader().await.context("someone ordered those points")?;
    println!("ada has 200 points; node {successor} leads now");

    cluster.restart(leader).await?;
    let mut looks = 0;
    while points_at(&cluster, leader).await != Some(200) {
        looks += 1;
        ensure!(looks < 3000, "node {leader} does not catch up");
        actix_rt::time::sleep(Duration::from_millis(10)).await;
    }
    let read = client.read("ada").await?;
    ensure!(read == Outcome::Done("200".into()), "a read sees all that was acknowledged: {read:?}");
    println!("node {leader} is back, and has learned what it missed");
    Ok(())
}

/// Gives a player one point, exactly once, and says how many that makes.
async fn score(client: &ClientHandle, player: &'static str) -> Result<u64> {
    match client.write(player).await? {
        Outcome::Done(points) => Ok(std::str::from_utf8(&points)?.parse()?),
        other => anyhow::bail!("no point for {player}: {other:?}"),
    }
}

/// What one node has applied, be it behind or not.
async fn points_at(cluster: &Cluster<Scores>, node: NodeId) -> Option<u64> {
    cluster.inspect(node, |scores| scores.0.get("ada".as_bytes()).copied()).await?
}
