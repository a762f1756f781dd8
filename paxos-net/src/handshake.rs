//! The handshake on a stream: [`crate::hello`]'s notes, sent and read.

use crate::hello::{HelloError, Identity, Note, Peer, Refusal, Versions};
use paxos_actors::codec::CodecError;
use paxos_core::NodeId;
use std::io;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Why two nodes do not talk.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What arrived is not a handshake.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// A note cannot be written.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A note came out of turn.
    #[error("the handshake is out of order")]
    OutOfOrder,
    /// It took too long.
    #[error("the handshake took too long")]
    Deadline,
    /// The other end refuses this node.
    #[error("refused by node {0}: {1}")]
    RefusedBy(NodeId, Refusal),
    /// This node refuses the other end, and has told it so. The reason speaks to the other end.
    #[error("the other end was refused and told: {0}")]
    Refused(Refusal),
}

/// The dialler's side. `me` gives the node's identity of this moment.
pub(crate) async fn dial<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    me: impl Fn() -> Identity,
    to: NodeId,
) -> Result<Peer, HandshakeError> {
    let hello = me().hello(to, rand::random());
    write(stream, &Note::Hello(hello.clone())).await?;
    let welcome = match read(stream).await? {
        (_, Note::Welcome(welcome)) => welcome,
        (_, Note::Refuse(refusal)) => return Err(HandshakeError::RefusedBy(to, refusal)),
        _ => return Err(HandshakeError::OutOfOrder),
    };
    match me().accept(&hello, &welcome) {
        Ok(peer) => {
            write(stream, &Note::Confirm { echo: welcome.nonce }).await?;
            Ok(peer)
        }
        Err(refusal) => refuse(stream, refusal).await,
    }
}

/// The acceptor's side.
pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    me: impl Fn() -> Identity,
) -> Result<Peer, HandshakeError> {
    let (versions, hello) = match read(stream).await {
        Ok((versions, Note::Hello(hello))) => (versions, hello),
        Ok(_) => return Err(HandshakeError::OutOfOrder),
        Err(HandshakeError::Hello(HelloError::Version(_))) => {
            return refuse(stream, Refusal::version()).await;
        }
        Err(error) => return Err(error),
    };
    let peer = match me().admit(versions, &hello) {
        Ok(peer) => peer,
        Err(refusal) => return refuse(stream, refusal).await,
    };
    let nonce = rand::random();
    write(stream, &Note::Welcome(me().welcome(peer, &hello, nonce))).await?;
    match read(stream).await? {
        (_, Note::Confirm { echo }) if echo == nonce => {}
        (_, Note::Confirm { .. }) => return refuse(stream, Refusal::Replayed).await,
        (_, Note::Refuse(refusal)) => {
            return Err(HandshakeError::RefusedBy(peer.member.node, refusal));
        }
        _ => return Err(HandshakeError::OutOfOrder),
    }
    // The roster may have been stored while the other end made up its mind.
    match me().admit(versions, &hello) {
        Ok(peer) => Ok(peer),
        Err(refusal) => refuse(stream, refusal).await,
    }
}

async fn refuse<S: AsyncWrite + Unpin>(
    stream: &mut S,
    refusal: Refusal,
) -> Result<Peer, HandshakeError> {
    write(stream, &Note::Refuse(refusal)).await?;
    stream.shutdown().await?;
    Err(HandshakeError::Refused(refusal))
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, note: &Note) -> Result<(), HandshakeError> {
    stream.write_all(&note.encode()?).await?;
    Ok(())
}

/// Reads one note and not a byte more, so that frames can follow.
async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(Versions, Note), HandshakeError> {
    let mut bytes = Vec::new();
    loop {
        let have = bytes.len();
        let wanted = Note::wanted(&bytes)?;
        if have == wanted {
            return Ok(Note::decode(&bytes)?);
        }
        bytes.resize(wanted, 0);
        let read = stream.read(&mut bytes[have..]).await?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        bytes.truncate(have + read);
    }
}
