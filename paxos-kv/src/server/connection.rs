//! One client connection, from its first byte to its end.

use super::budget::Share;
use super::desk::ConnectionId;
use super::port::{Back, Shared, count};
use crate::op::{OpRef, OpResult, QueryRef, QueryResult};
use crate::wire::{REQUEST, RESPONSE, Refused, Request, Response, VERSION};
use bytes::Bytes;
use paxos_actors::Posted;
use paxos_core::{
    Body, ClientMsg, Command, LearnerMsg, Limits, NodeId, Outgoing, Packet, ProposerMsg, Reply,
};
use paxos_net::frame::{FrameError, FrameReader, FrameWriter};
use paxos_net::validate::{self, Unsound};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

/// A client must have said who it is within this time.
const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// A client has said hello before it has sent more bytes than this.
const HELLO_BYTES_MAX: usize = 1024;

/// A request that has begun must be complete within this time.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// A connection on which nothing is said for so long is closed; a client dials again when it has
/// something to say.
const IDLE_DEADLINE: Duration = Duration::from_secs(600);

/// A client must take some of what waits for it within this time.
const STALL_DEADLINE: Duration = Duration::from_secs(10);

/// No more requests are read while more bytes than this wait to be written.
const OUTBOUND_BYTES_HIGH: usize = 4 << 20;

/// A connection for which more bytes than this wait is cut.
const OUTBOUND_BYTES_MAX: usize = 64 << 20;

/// A registration that was refused may be sent again after this many milliseconds.
const REGISTER_AFTER_MS: u64 = 10_000;

/// A refused request may be sent again after this many milliseconds.
const RETRY_AFTER_MS: u64 = 50;

/// What waits to be written to one connection.
#[derive(Debug)]
pub(super) struct Outbound {
    writer: RefCell<FrameWriter>,
    wake: Notify,
    /// It was closed from this side.
    closed: Cell<bool>,
    /// More waits than may.
    overrun: Cell<bool>,
    /// Questions for the status that are under way.
    status_asked: Cell<u64>,
}

/// Why a connection ended.
#[derive(Debug, Error)]
enum End {
    #[error("the client closed it")]
    Closed,
    #[error("the node stops")]
    Stopping,
    #[error("the client does not take its answers")]
    Slow,
    #[error("nothing was said for {} s", IDLE_DEADLINE.as_secs())]
    Idle,
    #[error("the client did not finish its request within {} s", REQUEST_DEADLINE.as_secs())]
    Unfinished,
    #[error("the client did not say hello within {} s", HELLO_DEADLINE.as_secs())]
    Silent,
    #[error("the client speaks version {0} of the protocol, this node version {VERSION}")]
    Version(u16),
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    #[error("a request out of turn")]
    Turn,
    #[error("all client connections together hold {0} bytes, which is more than they may")]
    Memory(usize),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// In an entry it would be refused by every peer, for ever.
    #[error(transparent)]
    Unsound(#[from] Unsound),
}

/// Serves one connection until it ends.
pub(super) async fn run(
    back: &Rc<Back>,
    id: ConnectionId,
    outbound: &Rc<Outbound>,
    stream: TcpStream,
    address: SocketAddr,
) {
    let (reader, share) = (FrameReader::new(frame_max(back)), back.shared.budget.share());
    let mut connection = Connection { back, id, outbound, stream, reader, share };
    let end = match timeout(HELLO_DEADLINE, connection.hello()).await {
        Err(_) => End::Silent,
        Ok(Err(end)) => end,
        Ok(Ok(())) => match connection.serve().await {
            Err(end) => end,
            Ok(never) => match never {},
        },
    };
    connection.part(&end);
    let counters = &back.shared.counters;
    let times = match end {
        End::Closed | End::Stopping | End::Idle | End::Io(_) => {
            return tracing::debug!(%address, reason = %end, "client left");
        }
        End::Slow => count(&counters.slow),
        End::Memory(_) => count(&counters.memory),
        _ => count(&counters.garbage),
    };
    // Strangers can cause it, so not every time is worth a line.
    if times.is_power_of_two() {
        tracing::warn!(%address, reason = %end, times, "cut a client connection");
    }
}

struct Connection<'a> {
    back: &'a Rc<Back>,
    id: ConnectionId,
    outbound: &'a Rc<Outbound>,
    stream: TcpStream,
    reader: FrameReader,
    /// Of the bytes that all connections may hold.
    share: Share<'a>,
}

impl Connection<'_> {
    async fn hello(&mut self) -> Result<(), End> {
        self.stream.set_nodelay(true)?;
        let version = loop {
            if let Some(request) = self.next()? {
                match request {
                    Request::Hello { version } => break version,
                    _ => return Err(End::Turn),
                }
            }
            // A stranger may make this node hold no more than a hello has.
            if self.reader.room().len() > HELLO_BYTES_MAX {
                return Err(End::Turn);
            }
            self.stream.readable().await?;
            self.read()?;
        };
        if version != VERSION {
            return Err(End::Version(version));
        }
        self.outbound.push(&Response::Hello { version, node: self.back.shared.me });
        Ok(())
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        // A client may have said more behind its hello.
        self.take()?;
        let mut progress_at = Instant::now();
        // Since when the client has said nothing, or has been about to finish a request.
        let mut heard_at = Instant::now();
        loop {
            if self.write()? {
                progress_at = Instant::now();
            }
            if self.outbound.closed.get() {
                return Err(End::Stopping);
            }
            self.account()?;
            let waiting = self.outbound.len();
            if self.outbound.overrun.get() {
                return Err(End::Slow);
            }
            if waiting == 0 {
                progress_at = Instant::now();
            }
            let unfinished = self.reader.is_within_frame();
            tokio::select! {
                () = self.outbound.wake.notified() => {}
                ready = self.stream.writable(), if waiting > 0 => ready?,
                ready = self.stream.readable(), if waiting < OUTBOUND_BYTES_HIGH => {
                    ready?;
                    self.read()?;
                    if self.take()? || !unfinished {
                        heard_at = Instant::now();
                    }
                }
                () = sleep_until(progress_at + STALL_DEADLINE), if waiting > 0 => {
                    return Err(End::Slow);
                }
                () = sleep_until(heard_at + REQUEST_DEADLINE), if unfinished => {
                    return Err(End::Unfinished);
                }
                () = sleep_until(heard_at + IDLE_DEADLINE), if waiting == 0 => {
                    return Err(End::Idle);
                }
            }
        }
    }

    /// Says how much it holds now, and ends where that is more than there is for all.
    fn account(&mut self) -> Result<(), End> {
        let budget = &self.back.shared.budget;
        if budget.is_tight() {
            self.reader.shrink();
            self.outbound.writer.borrow_mut().shrink();
        }
        let held = self.reader.held() + self.outbound.writer.borrow().held();
        match self.share.holds(held) {
            true => Ok(()),
            false => Err(End::Memory(budget.held())),
        }
    }

    /// Reads what has arrived, one chunk of it.
    fn read(&mut self) -> Result<(), End> {
        match self.stream.try_read_buf(self.reader.room()) {
            Ok(0) => Err(End::Closed),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn next(&mut self) -> Result<Option<Request>, End> {
        match self.reader.next_frame()? {
            None => Ok(None),
            Some(frame) if frame.kind == REQUEST => Ok(Some(frame.decode()?)),
            Some(frame) => Err(End::Kind(frame.kind)),
        }
    }

    /// Takes every request that has arrived whole; whether there was any. The commands of a chunk
    /// go to the proposer in one message.
    fn take(&mut self) -> Result<bool, End> {
        let mut commands = Vec::new();
        let mut took = false;
        while let Some(request) = self.next()? {
            took = true;
            match request {
                Request::Propose(proposed) => {
                    validate::commands(&proposed)?;
                    commands.extend(proposed.into_iter().filter_map(|command| self.admit(command)));
                }
                Request::Read { id, query } => self.read_state(id, query),
                Request::Status => self.tell_status(),
                Request::Hello { .. } => return Err(End::Turn),
            }
        }
        self.propose(commands);
        Ok(took)
    }

    /// The door: what is over a limit is answered here and goes no further.
    fn admit(&self, mut command: Command) -> Option<Command> {
        let shared = &self.back.shared;
        count(&shared.counters.commands);
        if let Body::Run { session, sequence, value, .. } = &command.body
            && let Err(limit) = OpRef::decode(value)
        {
            let (session, sequence) = (*session, *sequence);
            let reply = Reply::Applied(OpResult::Refused(limit).encode());
            shared.send(self.id, ClientMsg::Reply { session, sequence, reply });
            return None;
        }
        if !shared.desk.borrow_mut().admits(paxos_actors::clock::now(), self.id, &command) {
            let (refused, retry_after_ms) = (vec![command.name()], REGISTER_AFTER_MS);
            count(&shared.counters.busy);
            shared.send(self.id, ClientMsg::Busy { refused, retry_after_ms });
            return None;
        }
        command.client = shared.me.node;
        command.learner = shared.me.node;
        shared.desk.borrow_mut().proposed(self.id, &command);
        Some(command)
    }

    fn propose(&self, commands: Vec<Command>) {
        if commands.is_empty() {
            return;
        }
        let shared = &self.back.shared;
        let refused = commands.iter().map(Command::name).collect();
        let packet = ProposerMsg::Propose { commands, hops: 0 }.into();
        if !self.post(shared.targets.proposer(), packet) {
            count(&shared.counters.busy);
            shared.send(self.id, ClientMsg::Busy { refused, retry_after_ms: RETRY_AFTER_MS });
        }
    }

    /// Whether it is on its way: there is somebody to send it to, who is not flooded.
    fn post(&self, to: Option<NodeId>, packet: Packet) -> bool {
        let Shared { me, routes, .. } = &*self.back.shared;
        let post = |to| routes.borrow().post(*me, Outgoing { to, packet });
        to.map(post) == Some(Posted::Queued)
    }

    fn read_state(&self, id: u64, query: Bytes) {
        let shared = &self.back.shared;
        count(&shared.counters.reads);
        if let Err(limit) = QueryRef::decode(&query) {
            let result = QueryResult::Refused(limit).encode();
            return shared.send(self.id, ClientMsg::ReadReply { id, result });
        }
        let number = shared.desk.borrow_mut().read(self.id, id);
        let packet = LearnerMsg::Read { id: number, query }.into();
        if !self.post(shared.targets.learner(), packet) {
            count(&shared.counters.busy);
            let busy = ClientMsg::ReadBusy { id: number, retry_after_ms: RETRY_AFTER_MS };
            let now = paxos_actors::clock::now();
            let send = |connection, message| shared.send(connection, message);
            shared.desk.borrow_mut().route(now, busy, send);
        }
    }

    /// What is asked while an answer is made gets the same one: a client that asks on and on must
    /// not make this node hold a task for each question.
    fn tell_status(&self) {
        let asked = &self.outbound.status_asked;
        if asked.replace(asked.get() + 1) > 0 {
            return;
        }
        let (back, outbound) = (Rc::clone(self.back), Rc::clone(self.outbound));
        actix_rt::spawn(async move {
            let mut status = back.inspector.status().await;
            let open = back.shared.desk.borrow().len();
            status.counters.clients = back.shared.counters.read(open);
            let response = Response::Status(Box::new(status));
            for _ in 0..outbound.status_asked.replace(0) {
                outbound.push(&response);
            }
        });
    }

    /// Writes what the socket takes; whether it took anything.
    fn write(&self) -> Result<bool, End> {
        let mut writer = self.outbound.writer.borrow_mut();
        let mut wrote = false;
        while !writer.is_empty() {
            match self.stream.try_write(writer.bytes()) {
                Ok(bytes) => {
                    writer.advance(bytes);
                    count(&self.back.shared.counters.writes);
                    wrote = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(wrote)
    }

    /// The last words, as far as the socket takes them.
    fn part(&self, end: &End) {
        let refused = match end {
            End::Closed | End::Stopping | End::Slow | End::Idle | End::Io(_) => return,
            End::Version(_) => Refused::Version(VERSION),
            End::Memory(_) => Refused::Memory(self.back.shared.budget.bytes_max() as u64),
            End::Silent
            | End::Unfinished
            | End::Kind(_)
            | End::Turn
            | End::Frame(_)
            | End::Unsound(_) => Refused::Unreadable(end.to_string()),
        };
        self.outbound.push(&Response::Refused(refused));
        let _: Result<bool, End> = self.write();
    }
}

impl Outbound {
    pub(super) fn new(limits: Limits) -> Outbound {
        Outbound {
            writer: RefCell::new(FrameWriter::new(limits.client_frame_bytes_max)),
            wake: Notify::new(),
            closed: Cell::new(false),
            overrun: Cell::new(false),
            status_asked: Cell::new(0),
        }
    }

    /// Adds a response. The connection's task writes it when it is its turn.
    pub(super) fn push(&self, response: &Response) {
        let mut writer = self.writer.borrow_mut();
        if writer.len() >= OUTBOUND_BYTES_MAX {
            self.overrun.set(true);
        } else if let Err(error) = writer.push(RESPONSE, response) {
            // Limits on requests keep every response below the limit on frames.
            tracing::error!(%error, "a response does not fit a frame");
        }
        self.wake.notify_one();
    }

    /// Ends the connection from this side.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.wake.notify_one();
    }

    fn len(&self) -> usize {
        self.writer.borrow().len()
    }
}

fn frame_max(back: &Back) -> usize {
    back.shared.limits.client_frame_bytes_max
}
