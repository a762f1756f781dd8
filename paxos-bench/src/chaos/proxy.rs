//! A proxy that harms the TCP connections on their way through it.
//!
//! What cannot be done to TCP is not done: bytes are neither lost nor repeated nor reordered within
//! a connection. They come late, slowly, one way only, not at all, or the connection is reset.

use super::shape::Way;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes of one read; what a slow way passes at a time is less.
const CHUNK_BYTES: usize = 16 << 10;

/// Chunks under way in one direction of a connection. What does not fit waits in the socket.
const CHUNKS_MAX: usize = 64;

/// A slow way passes so many pieces a second.
const PIECES_PER_S: u64 = 20;

/// What the proxy does to all of its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rule {
    /// From whoever connects to where the proxy leads.
    forth: Way,
    /// And back.
    back: Way,
    /// New connections are reset.
    refuses: bool,
    /// Connections of before this was raised are reset.
    cuts: u64,
}

/// In front of one address. It ends, and its connections with it, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    endpoint: SocketAddr,
    rule: watch::Sender<Rule>,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counters {
    accepted: AtomicU64,
    reset: AtomicU64,
    bytes: AtomicU64,
}

impl Proxy {
    /// In front of `target`, on a port of loopback that the system chooses. Nobody need listen at
    /// the target yet: then connections are closed at once.
    pub async fn start(target: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = listener.local_addr()?;
        let (rule, told) = watch::channel(Rule::default());
        let counters = Arc::new(Counters::default());
        let task = tokio::spawn(accept(listener, target, told, counters.clone()));
        Ok(Proxy { endpoint, rule, counters, task })
    }

    /// Where to connect to.
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// How what is sent by whoever connects passes from now on.
    pub fn set_forth(&self, way: Way) {
        self.rule.send_modify(|rule| rule.forth = way);
    }

    /// How what comes back passes from now on.
    pub fn set_back(&self, way: Way) {
        self.rule.send_modify(|rule| rule.back = way);
    }

    /// Whether new connections are reset.
    pub fn refuse(&self, refuses: bool) {
        self.rule.send_modify(|rule| rule.refuses = refuses);
    }

    /// Resets all connections.
    pub fn cut(&self) {
        self.rule.send_modify(|rule| rule.cuts += 1);
    }

    /// Everything passes from now on.
    pub fn heal(&self) {
        self.rule.send_modify(|rule| *rule = Rule { cuts: rule.cuts, ..Rule::default() });
    }

    /// Connections that were accepted, refused ones among them.
    pub fn accepted(&self) -> u64 {
        self.counters.accepted.load(Ordering::Relaxed)
    }

    /// Connections that were reset.
    pub fn resets(&self) -> u64 {
        self.counters.reset.load(Ordering::Relaxed)
    }

    /// Bytes that passed, both ways together.
    pub fn bytes(&self) -> u64 {
        self.counters.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The connections see that there is nobody any more who could tell them anything.
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    told: watch::Receiver<Rule>,
    counters: Arc<Counters>,
) {
    loop {
        // Out of descriptors, say: others will be closed.
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        counters.accepted.fetch_add(1, Ordering::Relaxed);
        let (told, counters) = (told.clone(), counters.clone());
        tokio::spawn(async move {
            if told.borrow().refuses {
                return reset([stream], &counters);
            }
            // An end that is gone is what happens here all the time.
            let _ = pass(stream, target, told, &counters).await;
        });
    }
}

/// Closes connections so that the other ends see a reset, and lose what they have not read.
fn reset<const N: usize>(streams: [TcpStream; N], counters: &Counters) {
    counters.reset.fetch_add(1, Ordering::Relaxed);
    for stream in streams {
        // Where it does not work, the end is an orderly one, and still an end.
        let _ = stream.set_zero_linger();
    }
}

/// Passes bytes on until an end is gone or the connection is reset.
async fn pass(
    mut client: TcpStream,
    target: SocketAddr,
    mut told: watch::Receiver<Rule>,
    counters: &Counters,
) -> io::Result<()> {
    let cuts = told.borrow().cuts;
    let mut node = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    node.set_nodelay(true)?;
    let (ways_forth, ways_back) = (told.clone(), told.clone());
    let (client_out, client_in) = client.split();
    let (node_out, node_in) = node.split();
    tokio::select! {
        ended = pump(client_out, node_in, ways_forth, |rule| rule.forth, counters) => return ended,
        ended = pump(node_out, client_in, ways_back, |rule| rule.back, counters) => return ended,
        // The proxy is gone, or it cuts.
        _ = told.wait_for(|rule| rule.cuts > cuts) => {}
    }
    reset([client, node], counters);
    Ok(())
}

/// Passes bytes on in one direction until it ends.
async fn pump(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    told: watch::Receiver<Rule>,
    way: fn(&Rule) -> Way,
    counters: &Counters,
) -> io::Result<()> {
    let (queue, queued) = mpsc::channel(CHUNKS_MAX);
    let read = read(from, queue, told.clone(), way);
    tokio::try_join!(read, write(to, queued, told, way, counters)).map(|_| ())
}

/// Bytes, and when they may arrive.
type Chunk = (Instant, Vec<u8>);

async fn read(
    mut from: ReadHalf<'_>,
    queue: mpsc::Sender<Chunk>,
    told: watch::Receiver<Rule>,
    way: fn(&Rule) -> Way,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let bytes = from.read(&mut buffer).await?;
        let due = Instant::now() + Duration::from_millis(way(&told.borrow()).delay_ms);
        // Who writes has ended, and so this does.
        if bytes == 0 || queue.send((due, buffer[..bytes].to_vec())).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut queued: mpsc::Receiver<Chunk>,
    mut told: watch::Receiver<Rule>,
    way: fn(&Rule) -> Way,
    counters: &Counters,
) -> io::Result<()> {
    while let Some((due, chunk)) = queued.recv().await {
        sleep_until(due).await;
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            let open = told.wait_for(|rule| !way(rule).is_blocked).await;
            let rate = open.map_err(io::Error::other).map(|rule| way(&rule).bytes_per_s)?;
            let piece = rate.map_or(rest.len(), |rate| {
                rest.len().min(usize::try_from(rate / PIECES_PER_S).unwrap_or(usize::MAX).max(1))
            });
            to.write_all(&rest[..piece]).await?;
            counters.bytes.fetch_add(piece as u64, Ordering::Relaxed);
            rest = &rest[piece..];
            if let Some(rate) = rate {
                sleep(Duration::from_secs_f64(piece as f64 / rate.max(1) as f64)).await;
            }
        }
    }
    Ok(())
}
