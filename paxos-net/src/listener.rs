//! Where peers come in: who may, how many, and what becomes of their frames.

use crate::bridge::{Shared, lock};
use crate::counters::Count;
use crate::frame::{FrameError, FrameReader, FrameWriter};
use crate::handshake::{self, HandshakeError};
use crate::hello::Peer;
use crate::validate::{Unsound, validate};
use crate::wire::{MAIL, NOTICE_BYTES_MAX, PING, PONG};
use paxos_actors::Routes;
use paxos_core::{NodeId, Outgoing, Packet};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// A pause after the system could not give a connection, for want of file descriptors perhaps.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listening socket.
#[derive(Debug)]
pub(crate) struct Listener(TcpListener);

/// The inbound connections that are open.
#[derive(Debug)]
pub(crate) struct Inbound {
    connections_max: usize,
    per_address_max: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    connections: BTreeMap<u64, Connection>,
    /// The newest connection of each node that was ever let in, open or not. Only listed nodes are
    /// let in, so there are no more of these than peers.
    newest: BTreeMap<NodeId, u64>,
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    /// Known once the handshake is over.
    peer: Option<Peer>,
    /// Known once its task runs.
    task: Option<AbortHandle>,
}

/// A connection's place among those that are open. It is free again when this is dropped.
struct Place {
    shared: Arc<Shared>,
    id: u64,
}

/// Why an inbound connection was cut.
#[derive(Debug, Error)]
enum Cut {
    #[error("the other end closed it")]
    Closed,
    #[error("the other end fell silent")]
    Silent,
    #[error("unknown kind of frame: {0}")]
    Kind(u8),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Unsound(#[from] Unsound),
}

impl Listener {
    /// Takes the address. It gives the one taken, which has a port where 0 was asked for.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<(Listener, SocketAddr)> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((Listener(TcpListener::from_std(listener)?), address))
    }

    /// Lets peers in until it is aborted.
    pub(crate) async fn run(self, shared: Arc<Shared>, routes: Arc<Routes>) {
        loop {
            match self.0.accept().await {
                Ok((stream, address)) => enter(&shared, &routes, stream, address),
                Err(error) => {
                    tracing::warn!(%error, "cannot take a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn enter(shared: &Arc<Shared>, routes: &Arc<Routes>, stream: TcpStream, address: SocketAddr) {
    let Some(id) = shared.inbound.enter(address.ip(), || {
        shared.counters.add(Count::ConnectionsExcess, 1);
    }) else {
        return;
    };
    let place = Place { shared: Arc::clone(shared), id };
    let task = actix_rt::spawn(serve(place, stream, address, Arc::clone(routes)));
    shared.inbound.runs(id, task.abort_handle());
}

/// One inbound connection, from its first byte to its end.
async fn serve(place: Place, mut stream: TcpStream, address: SocketAddr, routes: Arc<Routes>) {
    let shared = &place.shared;
    let shaking = async {
        stream.set_nodelay(true)?;
        handshake::accept(&mut stream, || shared.identity()).await
    };
    let shaken = timeout(shared.options.patience.handshake, shaking).await;
    match shaken.unwrap_or(Err(HandshakeError::Deadline)) {
        Ok(peer) => {
            let Some(replaced) = shared.inbound.admit(place.id, peer) else {
                shared.counters.add(Count::ConnectionsStale, 1);
                tracing::info!(peer = %peer.member, %address, "a connection came to life too late");
                return;
            };
            shared.counters.add(Count::ConnectionsStale, replaced);
            // Not before: what a former life left in the network is no second process.
            shared.watch_lives(peer, address);
            let Err(cut) = receive(shared, &mut stream, peer, &routes).await;
            count(shared, &cut);
            tracing::info!(peer = %peer.member, %address, reason = %cut, "peer left");
        }
        Err(error) => turn_away(shared, error, address),
    }
}

fn turn_away(shared: &Shared, error: HandshakeError, address: SocketAddr) {
    let what = match error {
        HandshakeError::Refused(refusal) => return shared.refused(refusal, &address.to_string()),
        // Only a log line: a stranger can claim any name here, but not at an address we dial.
        HandshakeError::RefusedBy(..) => Count::RefusedByPeer,
        HandshakeError::Deadline => Count::HandshakeTimedOut,
        _ => Count::HandshakeGarbage,
    };
    // Strangers can cause it, so not every time is worth a line.
    if shared.counters.add(what, 1).is_power_of_two() {
        tracing::warn!(%address, %error, "turned a connection away");
    }
}

fn count(shared: &Shared, cut: &Cut) {
    let what = match cut {
        Cut::Closed | Cut::Io(_) => return,
        Cut::Silent => Count::TimedOut,
        Cut::Frame(FrameError::Gap { .. }) => Count::FramesReordered,
        Cut::Frame(_) | Cut::Kind(_) => Count::FramesGarbage,
        Cut::Unsound(_) => Count::FramesUnsound,
    };
    shared.counters.add(what, 1);
}

/// Posts the mail of an admitted peer until the connection is cut.
async fn receive(
    shared: &Shared,
    stream: &mut TcpStream,
    peer: Peer,
    routes: &Routes,
) -> Result<Infallible, Cut> {
    let patience = &shared.options.patience;
    let mut frames = FrameReader::new(shared.options.limits.peer_frame_bytes_max);
    let mut pongs = FrameWriter::new(NOTICE_BYTES_MAX);
    let mut ticker = interval(patience.ping);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = true;
    let mut heard_at = Instant::now();
    loop {
        // Reading comes first: after a stall of this process, what has arrived counts as heard.
        tokio::select! {
            biased;
            read = stream.read_buf(frames.room()) => {
                let bytes = read?;
                if bytes == 0 {
                    return Err(Cut::Closed);
                }
                heard = true;
                shared.counters.add(Count::BytesIn, bytes as u64);
                post(shared, &mut frames, &mut pongs, peer, routes)?;
            }
            now = ticker.tick() => {
                if std::mem::take(&mut heard) {
                    heard_at = now;
                } else if now - heard_at >= patience.silence {
                    return Err(Cut::Silent);
                }
            }
        }
        answer(stream, &mut pongs)?;
    }
}

/// Posts every frame that has arrived whole.
fn post(
    shared: &Shared,
    frames: &mut FrameReader,
    pongs: &mut FrameWriter,
    peer: Peer,
    routes: &Routes,
) -> Result<(), Cut> {
    let repeated = frames.repeated();
    let mut mail = Vec::new();
    let mut count = 0;
    let result = loop {
        match frames.next_frame() {
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
            Ok(Some(frame)) => match frame.kind {
                // One answer that waits is enough.
                PING if !pongs.is_empty() => {}
                PING => {
                    if let Err(error) = pongs.push(PONG, &()) {
                        break Err(error.into());
                    }
                }
                MAIL => {
                    count += 1;
                    let (to, packet) = match frame.decode::<(NodeId, Packet)>() {
                        Ok(mail) => mail,
                        Err(error) => break Err(error.into()),
                    };
                    if let Err(unsound) = validate(&packet) {
                        break Err(unsound.into());
                    }
                    // Mail for another node is dropped and never forwarded: whoever wants to reach
                    // it dials it.
                    if to == shared.options.me.node {
                        mail.push(Outgoing { to, packet });
                    } else {
                        shared.counters.add(Count::FramesMisdirected, 1);
                    }
                }
                kind => break Err(Cut::Kind(kind)),
            },
        }
    };
    routes.post_all(peer.member, &mut mail);
    shared.counters.add(Count::FramesIn, count);
    shared.counters.add(Count::FramesRepeated, frames.repeated() - repeated);
    result
}

/// Sends what the socket takes; the rest goes with the next read or tick.
fn answer(stream: &TcpStream, pongs: &mut FrameWriter) -> io::Result<()> {
    while !pongs.is_empty() {
        match stream.try_write(pongs.bytes()) {
            Ok(count) => pongs.advance(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Inbound {
    /// None open yet.
    pub(crate) fn new(connections_max: usize, per_address_max: usize) -> Inbound {
        Inbound { connections_max, per_address_max, open: Mutex::default() }
    }

    /// Cuts the connections that are not to be kept; those still shaking hands have no peer.
    pub(crate) fn retain(&self, keep: impl Fn(Option<Peer>) -> bool) {
        lock(&self.open).cut(|_, connection| !keep(connection.peer));
    }

    /// A place for one more. Where there is none, the oldest that still shakes hands has to go:
    /// an honest peer needs milliseconds for it. Where all have, there is none.
    fn enter(&self, address: IpAddr, excess: impl Fn()) -> Option<u64> {
        let mut open = lock(&self.open);
        let here = open.connections.values().filter(|c| c.address == address).count();
        let full_here = here >= self.per_address_max;
        if full_here || open.connections.len() >= self.connections_max {
            excess();
            let shaking = |c: &Connection| c.peer.is_none() && (!full_here || c.address == address);
            let oldest = open.connections.iter().find(|(_, c)| shaking(c)).map(|(&id, _)| id)?;
            open.cut(|id, _| id == oldest);
        }
        let id = open.next;
        open.next += 1;
        open.connections.insert(id, Connection { address, peer: None, task: None });
        Some(id)
    }

    fn runs(&self, id: u64, task: AbortHandle) {
        if let Some(connection) = lock(&self.open).connections.get_mut(&id) {
            connection.task = Some(task);
        }
    }

    /// The connection is this peer's now, and every older one of its node is cut: what it still
    /// carries is stale. Gives how many were; none where this one is stale itself: the last words
    /// of its handshake came when a newer connection of its node had been let in, whether that one
    /// is still open or not. Roles rely on it that nothing of a node's former life comes behind
    /// what a later one sent.
    fn admit(&self, id: u64, peer: Peer) -> Option<u64> {
        let node = peer.member.node;
        let is_its = |c: &Connection| c.peer.is_some_and(|peer| peer.member.node == node);
        let mut open = lock(&self.open);
        if open.newest.get(&node).is_some_and(|newest| *newest > id) {
            return None;
        }
        open.connections.get_mut(&id)?.peer = Some(peer);
        open.newest.insert(node, id);
        Some(open.cut(|other, connection| other != id && is_its(connection)))
    }
}

impl Open {
    fn cut(&mut self, unwanted: impl Fn(u64, &Connection) -> bool) -> u64 {
        let before = self.connections.len();
        self.connections.retain(|&id, connection| {
            let cut = unwanted(id, connection);
            if let (true, Some(task)) = (cut, &connection.task) {
                task.abort();
            }
            !cut
        });
        (before - self.connections.len()) as u64
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.shared.inbound.open).connections.remove(&self.id);
    }
}
