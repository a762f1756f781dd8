//! One connection of a client, from dialling to its end.

use crate::wire::{REQUEST, RESPONSE, Refused, Request, Response, Status, VERSION};
use paxos_core::{ClientMsg, Limits, NodeId};
use paxos_net::frame::{FrameError, FrameReader, FrameWriter};
use std::io;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// How long a connection may take until the node has said who it is.
const HELLO_DEADLINE: Duration = Duration::from_secs(2);

/// No more requests are encoded while so many bytes wait to be written.
const OUTBOUND_BYTES_HIGH: usize = 4 << 20;

/// What a connection tells the engine.
#[derive(Debug)]
pub(super) enum News {
    /// The node has said who it is.
    Up { endpoint: usize, node: NodeId },
    /// The node has something for the client's state machine.
    Heard { endpoint: usize, messages: Vec<ClientMsg> },
    /// There is no connection (any more).
    Down { endpoint: usize, error: LinkError },
}

/// Why there is no connection (any more).
#[derive(Debug, Error)]
pub(super) enum LinkError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the node closed the connection")]
    Closed,
    #[error("no answer within {} s; is this the client port of a node?", HELLO_DEADLINE.as_secs())]
    Silent,
    #[error("{0}; is this the client port of a node?")]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the node answered what was not asked")]
    Unexpected,
    #[error("it is not needed any more")]
    Done,
}

/// A connection that has shaken hands.
struct Connection {
    stream: TcpStream,
    reader: FrameReader,
    writer: FrameWriter,
    node: NodeId,
}

/// Dials, not before its time, and carries requests and answers until the connection ends.
pub(super) async fn run(
    endpoint: usize,
    address: String,
    dial_at: Instant,
    mut requests: mpsc::Receiver<Vec<Request>>,
    news: mpsc::Sender<News>,
) {
    sleep_until(dial_at).await;
    let error = match Connection::open(&address).await {
        Err(error) => error,
        Ok(connection) => {
            // The engine is gone when nobody takes the news, and then nothing is left to do.
            let _ = news.send(News::Up { endpoint, node: connection.node }).await;
            match connection.carry(endpoint, &mut requests, &news).await {
                Err(error) => error,
                Ok(()) => LinkError::Done,
            }
        }
    };
    tracing::debug!(%address, %error, "connection ended");
    let _ = news.send(News::Down { endpoint, error }).await;
}

/// Asks a node for its status, on a connection of its own.
pub(super) async fn status(address: &str, within: Duration) -> Result<Box<Status>, LinkError> {
    let ask = async {
        let mut connection = Connection::open(address).await?;
        connection.writer.push(REQUEST, &Request::Status)?;
        connection.write_all().await?;
        match connection.read_one().await? {
            Response::Status(status) => Ok(status),
            Response::Refused(refused) => Err(refused.into()),
            _ => Err(LinkError::Unexpected),
        }
    };
    timeout(within, ask).await.unwrap_or(Err(LinkError::Silent))
}

impl Connection {
    async fn open(address: &str) -> Result<Connection, LinkError> {
        let shaking = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let max = Limits::default().client_frame_bytes_max;
            let (reader, writer) = (FrameReader::new(max), FrameWriter::new(max));
            let mut connection = Connection { stream, reader, writer, node: NodeId(0) };
            connection.writer.push(REQUEST, &Request::Hello { version: VERSION })?;
            connection.write_all().await?;
            match connection.read_one().await? {
                Response::Hello { node, .. } => connection.node = node.node,
                Response::Refused(refused) => return Err(refused.into()),
                _ => return Err(LinkError::Unexpected),
            }
            Ok(connection)
        };
        timeout(HELLO_DEADLINE, shaking).await.unwrap_or(Err(LinkError::Silent))
    }

    async fn write_all(&mut self) -> Result<(), LinkError> {
        while !self.writer.is_empty() {
            let count = self.stream.write(self.writer.bytes()).await?;
            self.writer.advance(count);
        }
        Ok(())
    }

    async fn read_one(&mut self) -> Result<Response, LinkError> {
        loop {
            if let Some(response) = next(&mut self.reader)? {
                return Ok(response);
            }
            if self.stream.read_buf(self.reader.room()).await? == 0 {
                return Err(LinkError::Closed);
            }
        }
    }

    /// Many requests leave in one write, and many answers come in one read.
    async fn carry(
        mut self,
        endpoint: usize,
        requests: &mut mpsc::Receiver<Vec<Request>>,
        news: &mpsc::Sender<News>,
    ) -> Result<(), LinkError> {
        let (mut incoming, mut outgoing) = self.stream.split();
        loop {
            tokio::select! {
                batch = requests.recv(), if self.writer.len() < OUTBOUND_BYTES_HIGH => {
                    let Some(batch) = batch else { return Ok(()) };
                    for request in batch {
                        self.writer.push(REQUEST, &request)?;
                    }
                }
                count = outgoing.write(self.writer.bytes()), if !self.writer.is_empty() => {
                    self.writer.advance(count?);
                }
                count = incoming.read_buf(self.reader.room()) => {
                    if count? == 0 {
                        return Err(LinkError::Closed);
                    }
                    let mut messages = Vec::new();
                    while let Some(response) = next(&mut self.reader)? {
                        match response {
                            Response::Client(message) => messages.push(message),
                            Response::Refused(refused) => return Err(refused.into()),
                            _ => return Err(LinkError::Unexpected),
                        }
                    }
                    if !messages.is_empty() {
                        let heard = News::Heard { endpoint, messages };
                        news.send(heard).await.map_err(|_| LinkError::Done)?;
                    }
                }
            }
        }
    }
}

fn next(reader: &mut FrameReader) -> Result<Option<Response>, LinkError> {
    match reader.next_frame()? {
        None => Ok(None),
        Some(frame) if frame.kind == RESPONSE => Ok(Some(frame.decode()?)),
        Some(_) => Err(LinkError::Unexpected),
    }
}
