//! A proxy that cuts connections after it has passed requests on, so that their replies are lost.

use paxos_core::rng::Rng;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// In front of one node. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    pub endpoint: SocketAddr,
    cuts: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

/// Of so many reads from clients, one is passed on and then the connection is cut.
const ONE_IN: u64 = 400;

impl Proxy {
    /// In front of `node`; `seed` says when it cuts.
    pub async fn start(node: SocketAddr, seed: u64) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicU64::new(0));
        let counted = cuts.clone();
        let task = tokio::spawn(async move {
            let mut rng = Rng::new(seed);
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (rng, cuts) = (Rng::new(rng.next_u64()), counted.clone());
                tokio::spawn(async move {
                    // A connection that ends is what this is for.
                    if let Ok(Cut) = pass(client, node, rng).await {
                        cuts.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Proxy { endpoint, cuts, task }
    }

    /// How many connections it has cut.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Cut;

/// Passes bytes on until an end is gone (an error) or the connection is cut.
async fn pass(mut client: TcpStream, node: SocketAddr, mut rng: Rng) -> std::io::Result<Cut> {
    let mut node = TcpStream::connect(node).await?;
    client.set_nodelay(true)?;
    node.set_nodelay(true)?;
    let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let gone = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    loop {
        tokio::select! {
            asked = client.read(&mut up) => match asked? {
                0 => return Err(gone()),
                bytes => {
                    node.write_all(&up[..bytes]).await?;
                    if rng.between(0, ONE_IN) == 0 {
                        return Ok(Cut);
                    }
                }
            },
            answered = node.read(&mut down) => match answered? {
                0 => return Err(gone()),
                bytes => client.write_all(&down[..bytes]).await?,
            },
        }
    }
}
