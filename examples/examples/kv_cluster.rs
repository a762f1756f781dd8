//! The key-value store with three durable nodes in your process, and its client. They are stopped
//! and started again; nothing is lost.
//!
//! `cargo run -p examples --example kv_cluster`

use anyhow::{Context, Result, ensure};
use paxos_kv::server::{LocalCluster, LocalOptions};
use paxos_kv::{Expect, KvClient, Swap};
use std::path::Path;

#[actix::main]
async fn main() -> Result<()> {
    let data = tempfile::tempdir()?;
    let cluster = start(data.path()).await?;
    let client = connect(&cluster).await?;

    let put = client.put("colour", "blue").await?;
    let get = client.get("colour").await?.context("it was put")?;
    ensure!(get.value == "blue" && get.meta == put);
    println!("colour is blue, version {}", put.version);

    // A lock: whoever is first makes the key.
    let first = client.cas("lock", Expect::Absent, "me").await?;
    let second = client.cas("lock", Expect::Absent, "you").await?;
    ensure!(matches!(first, Swap::Swapped(_)) && matches!(second, Swap::NotSwapped(Some(_))));
    println!("the lock is mine");

    // Many callers share one client; their commands share entries, and entries share fsyncs.
    let puts = (0..100).map(|i| {
        let client = client.clone();
        actix_rt::spawn(async move { client.put(format!("n/{i}"), i.to_string()).await })
    });
    for put in puts.collect::<Vec<_>>() {
        put.await??;
    }
    drop(client);
    cluster.stop().await;
    println!("stopped with 102 keys");

    let cluster = start(data.path()).await?;
    let client = connect(&cluster).await?;
    let get = client.get("n/99").await?.context("nothing acknowledged is lost")?;
    ensure!(get.value == "99");
    let colour = client.put("colour", "green").await?;
    ensure!(colour.version == put.version + 1, "versions go on");
    println!("started again: all is there, and colour is green, version {}", colour.version);
    cluster.stop().await;
    Ok(())
}

/// Three nodes whose client ports the system chooses.
async fn start(data: &Path) -> Result<LocalCluster> {
    let listen_client = vec![([127, 0, 0, 1], 0).into(); 3];
    Ok(LocalCluster::start(LocalOptions::new(data, listen_client)).await?)
}

async fn connect(cluster: &LocalCluster) -> Result<KvClient> {
    Ok(KvClient::connect(cluster.client_addrs().iter().map(ToString::to_string)).await?)
}
