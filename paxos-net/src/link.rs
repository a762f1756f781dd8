//! The way to one peer: an actor whose mailbox stands for the roles of another process.
//!
//! Mail is encoded as it is taken from the mailbox. When the mailbox is empty, actix polls the
//! [`Pump`], which writes all of it at once: many frames a syscall, no timer and no other task on
//! the way. While the peer is not connected, mail is dropped: it would be stale when it arrived.

use crate::bridge::{BridgeEvent, Shared};
use crate::counters::Count;
use crate::frame::{FrameError, FrameReader, FrameWriter};
use crate::handshake::{self, HandshakeError};
use crate::hello::{Peer, Refusal};
use crate::wire::{MAIL, NOTICE_BYTES_MAX, PING, PONG};
use actix::prelude::*;
use paxos_actors::Envelope;
use paxos_core::{NodeId, Packet};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};

/// Attempts to connect that fail before it is worth a line in the log: some seconds of them.
const FAILURES_MIN: u64 = 8;

/// The link to one peer. Its mailbox takes the mail for every role there.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
    node: NodeId,
    address: String,
    out: FrameWriter,
    connection: Option<Connection>,
    connects: u64,
    /// Attempts to connect that failed in a row.
    failures: u64,
    backoff: Duration,
}

/// The roster was stored: whoever is not listed must shake hands again.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Recheck;

/// Close the connection and end.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

#[derive(Clone, Copy, Debug)]
struct Connection {
    peer: Peer,
    since: Instant,
    pump: SpawnHandle,
}

/// Why a connection came to its end.
#[derive(Debug, Error)]
enum Cut {
    #[error("the other end closed it")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the other end took no bytes")]
    Stalled,
    #[error("the other end fell silent")]
    Silent,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the other end sent what it must not")]
    Mail,
    #[error("the roster does not list it")]
    Unlisted,
}

/// Moves bytes between a link and its socket.
struct Pump {
    stream: TcpStream,
    inbound: FrameReader,
    ticker: Interval,
    /// Something was written since the last tick.
    progress: bool,
    progress_at: Instant,
    heard: bool,
    heard_at: Instant,
    /// The oldest ping without an answer.
    asked_at: Option<Instant>,
}

impl Link {
    /// The link to `node`, which is expected at `address`.
    pub(crate) fn new(shared: Arc<Shared>, node: NodeId, address: String) -> Link {
        Link {
            out: FrameWriter::new(shared.options.limits.peer_frame_bytes_max),
            backoff: shared.options.patience.backoff_min,
            connection: None,
            connects: 0,
            failures: 0,
            shared,
            node,
            address,
        }
    }

    fn dial(&mut self, ctx: &mut Context<Link>) {
        let dialling = dial(Arc::clone(&self.shared), self.node, self.address.clone());
        ctx.spawn(dialling.into_actor(self).map(|dialled, link, ctx| match dialled {
            Ok((stream, peer)) => link.connected(stream, peer, ctx),
            Err(error) => link.failed(error, ctx),
        }));
    }

    fn connected(&mut self, stream: TcpStream, peer: Peer, ctx: &mut Context<Link>) {
        if self.shared.identity().contradicts(peer.member) {
            return self.retry(ctx);
        }
        tracing::info!(peer = %peer.member, address = self.address, "connected to peer");
        self.shared.counters.add(Count::Connects, 1);
        self.shared.counters.add(Count::Reconnects, u64::from(self.connects > 0));
        self.connects += 1;
        self.failures = 0;
        self.out.reset();
        let pump = Pump::new(stream, self.shared.options.patience.ping);
        let pump = ctx.spawn(pump.map(|cut, link: &mut Link, ctx| link.lost(cut, ctx)));
        self.connection = Some(Connection { peer, since: Instant::now(), pump });
        self.shared.tell(BridgeEvent::Connected { member: peer.member });
    }

    fn lost(&mut self, cut: Cut, ctx: &mut Context<Link>) {
        let Some(Connection { peer, since, pump }) = self.connection.take() else { return };
        ctx.cancel_future(pump);
        tracing::warn!(peer = %peer.member, address = self.address, reason = %cut, "lost peer");
        if matches!(cut, Cut::Stalled | Cut::Silent) {
            self.shared.counters.add(Count::TimedOut, 1);
        }
        self.out.reset();
        // Only a connection that lasted proves that the trouble is over.
        if since.elapsed() >= self.shared.options.patience.backoff_max {
            self.backoff = self.shared.options.patience.backoff_min;
        }
        self.shared.tell(BridgeEvent::Lost { member: peer.member });
        self.retry(ctx);
    }

    fn failed(&mut self, error: HandshakeError, ctx: &mut Context<Link>) {
        match error {
            HandshakeError::RefusedBy(node, refusal) => {
                if self.shared.counters.add(Count::RefusedByPeer, 1).is_power_of_two() {
                    let address = &self.address;
                    tracing::error!(peer = %node, address, reason = %refusal, "refused by peer");
                }
                self.shared.tell(BridgeEvent::RefusedBy { node, refusal });
                self.backoff = self.shared.options.patience.backoff_max;
            }
            HandshakeError::Refused(refusal) => {
                self.shared.refused(refusal, &self.address);
                self.backoff = self.shared.options.patience.backoff_max;
            }
            error => {
                self.failures += 1;
                let (peer, address, times) = (self.node, &self.address, self.failures);
                // Nodes that start together miss each other at first.
                if times >= FAILURES_MIN && times.is_power_of_two() {
                    tracing::warn!(%peer, address, %error, times, "cannot connect to peer yet");
                } else {
                    tracing::debug!(%peer, address, %error, "cannot connect to peer");
                }
            }
        }
        self.retry(ctx);
    }

    /// The peer needs as long as it is since `asked_at` to answer.
    fn took(&self, asked_at: Instant) {
        if let Some(latency) = self.shared.round_trips.of(self.node) {
            latency.record(u64::try_from(asked_at.elapsed().as_micros()).unwrap_or(u64::MAX));
        }
    }

    /// Dials again after a time between half the backoff and all of it, then doubles the backoff.
    fn retry(&mut self, ctx: &mut Context<Link>) {
        let wait = self.backoff.mul_f64(rand::random_range(0.5..=1.0));
        self.backoff = (self.backoff * 2).min(self.shared.options.patience.backoff_max);
        ctx.run_later(wait, |link, ctx| link.dial(ctx));
    }
}

impl Actor for Link {
    type Context = Context<Link>;

    fn started(&mut self, ctx: &mut Context<Link>) {
        ctx.set_mailbox_capacity(self.shared.options.limits.mailbox_max);
        self.dial(ctx);
    }
}

impl<M> Handler<Envelope<M>> for Link
where
    M: Into<Packet> + Send + 'static,
{
    type Result = ();

    fn handle(&mut self, envelope: Envelope<M>, _: &mut Context<Link>) {
        // The handshake proved who this node is: it cannot speak for anybody else.
        let me = self.shared.options.me;
        assert_eq!(envelope.from, me, "mail of another member given to a link");
        let to = envelope.to;
        envelope.messages().for_each(|msg| self.send(to, msg.into()));
    }
}

impl Link {
    /// Puts a message behind those that wait, or loses it.
    fn send(&mut self, to: NodeId, packet: Packet) {
        let count = if self.connection.is_none() {
            Count::DroppedNotConnected
        } else if self.out.len() >= self.shared.options.outbound_bytes_max {
            Count::DroppedFull
        } else {
            match self.out.push(MAIL, &(to, packet)) {
                Ok(()) => Count::FramesOut,
                Err(error) => {
                    tracing::warn!(peer = %self.node, %error, "cannot send");
                    Count::DroppedTooLong
                }
            }
        };
        self.shared.counters.add(count, 1);
    }
}

impl Handler<Recheck> for Link {
    type Result = ();

    fn handle(&mut self, _: Recheck, ctx: &mut Context<Link>) {
        let Some(Connection { peer, .. }) = self.connection else { return };
        if !self.shared.identity().lists(peer.member) {
            self.lost(Cut::Unlisted, ctx);
        }
    }
}

impl Handler<Stop> for Link {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Link>) {
        ctx.stop();
    }
}

impl Shared {
    /// This node refused a peer. Strangers can cause it, so not every time is worth a line.
    pub(crate) fn refused(&self, refusal: Refusal, address: &str) {
        if self.counters.add(refusal.into(), 1).is_power_of_two() {
            tracing::warn!(address, told = %refusal, "refused a peer");
        }
    }
}

async fn dial(
    shared: Arc<Shared>,
    to: NodeId,
    address: String,
) -> Result<(TcpStream, Peer), HandshakeError> {
    let dialling = async {
        let mut stream = TcpStream::connect(&address).await?;
        stream.set_nodelay(true)?;
        let peer = handshake::dial(&mut stream, || shared.identity(), to).await?;
        Ok((stream, peer))
    };
    timeout(shared.options.patience.handshake, dialling)
        .await
        .unwrap_or(Err(HandshakeError::Deadline))
}

impl Pump {
    fn new(stream: TcpStream, ping: Duration) -> Pump {
        let mut ticker = interval(ping);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let inbound = FrameReader::new(NOTICE_BYTES_MAX);
        let (progress_at, heard_at) = (Instant::now(), Instant::now());
        let (progress, heard, asked_at) = (false, false, None);
        Pump { stream, inbound, ticker, progress, progress_at, heard, heard_at, asked_at }
    }

    /// Reads what the other end has to say, which is only that it lives.
    fn read(&mut self, link: &Link, task: &mut Task<'_>) -> Poll<Cut> {
        let mut bytes = [0; 256];
        loop {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(task, &mut buffer)) {
                Ok(()) if buffer.filled().is_empty() => return Poll::Ready(Cut::Closed),
                Ok(()) => self.inbound.feed(buffer.filled()),
                Err(error) => return Poll::Ready(error.into()),
            }
            loop {
                match self.inbound.next_frame() {
                    Ok(Some(frame)) if frame.kind == PONG => {
                        self.heard = true;
                        if let Some(asked_at) = self.asked_at.take() {
                            link.took(asked_at);
                        }
                    }
                    Ok(None) => break,
                    Ok(Some(_)) => return Poll::Ready(Cut::Mail),
                    Err(error) => return Poll::Ready(error.into()),
                }
            }
        }
    }

    /// At each tick: a ping, and a look at how long the other end has not been heard from.
    fn tick(&mut self, link: &mut Link, task: &mut Task<'_>) -> Poll<Cut> {
        let now = ready!(self.ticker.poll_tick(task));
        let patience = &link.shared.options.patience;
        let progress = std::mem::take(&mut self.progress);
        if progress || link.out.is_empty() {
            self.progress_at = now;
        }
        // Pings wait behind mail. A queue that moves is a sign of life: once the system's buffers
        // are full, it moves only when the other end takes something.
        if std::mem::take(&mut self.heard) || (progress && !link.out.is_empty()) {
            self.heard_at = now;
        }
        if now - self.progress_at >= patience.stall {
            return Poll::Ready(Cut::Stalled);
        }
        if now - self.heard_at >= patience.silence {
            return Poll::Ready(Cut::Silent);
        }
        // What is not answered yet has taken as long as this at least.
        match self.asked_at {
            Some(asked_at) => link.took(asked_at),
            None => self.asked_at = Some(Instant::now()),
        }
        match link.out.push(PING, &()) {
            // Asks the ticker again, so that it wakes this task for the next one.
            Ok(()) => self.tick(link, task),
            Err(error) => Poll::Ready(Cut::Frame(error)),
        }
    }

    /// Writes everything that waits, as far as the socket takes it.
    fn write(&mut self, link: &mut Link, task: &mut Task<'_>) -> Poll<Cut> {
        while !link.out.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(task, link.out.bytes())) {
                Ok(count) => {
                    self.progress = true;
                    link.out.advance(count);
                    link.shared.counters.add(Count::WritesOut, 1);
                    link.shared.counters.add(Count::BytesOut, count as u64);
                }
                Err(error) => return Poll::Ready(error.into()),
            }
        }
        Poll::Pending
    }
}

impl ActorFuture<Link> for Pump {
    type Output = Cut;

    fn poll(
        self: Pin<&mut Self>,
        link: &mut Link,
        _: &mut Context<Link>,
        task: &mut Task<'_>,
    ) -> Poll<Cut> {
        let pump = self.get_mut();
        // Reading comes first: after a stall of this process, what has arrived counts as heard.
        if let Poll::Ready(cut) = pump.read(link, task) {
            return Poll::Ready(cut);
        }
        if let Poll::Ready(cut) = pump.tick(link, task) {
            return Poll::Ready(cut);
        }
        pump.write(link, task)
    }
}
