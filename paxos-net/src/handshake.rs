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

#[cfg(test)]
mod tests {
    use super::*;
    use paxos_core::{ClusterId, Incarnation, MemberId};
    use std::time::Duration;
    use tokio::io::{DuplexStream, duplex};
    use tokio::time::timeout;

    fn identity(node: u64) -> Identity {
        Identity {
            me: MemberId { node: NodeId(node), incarnation: Incarnation(node * 100) },
            life: node * 1000,
            peers: [NodeId(1), NodeId(2), NodeId(3)].into(),
            layout: 9,
            cluster: Some(ClusterId(7)),
            members: Vec::new(),
        }
    }

    async fn shake(
        dialler: Identity,
        acceptor: Identity,
    ) -> (Result<Peer, HandshakeError>, Result<Peer, HandshakeError>) {
        let (mut a, mut b) = duplex(64);
        tokio::join!(async { dial(&mut a, || dialler.clone(), NodeId(2)).await }, async {
            accept(&mut b, || acceptor.clone()).await
        },)
    }

    #[tokio::test]
    async fn both_ends_learn_who_the_other_is() {
        let (dialled, accepted) = shake(identity(1), identity(2)).await;
        let peer = |node| {
            let Identity { me, life, .. } = identity(node);
            Peer { member: me, life, version: 1 }
        };
        assert_eq!((dialled.unwrap(), accepted.unwrap()), (peer(2), peer(1)));
    }

    #[tokio::test]
    async fn who_is_refused_is_told_why() {
        let stranger = Identity { cluster: Some(ClusterId(8)), ..identity(1) };
        let (dialled, accepted) = shake(stranger, identity(2)).await;
        let refusal = Refusal::WrongCluster { known: ClusterId(7) };
        assert!(matches!(dialled, Err(HandshakeError::RefusedBy(NodeId(2), r)) if r == refusal));
        assert!(matches!(accepted, Err(HandshakeError::Refused(r)) if r == refusal));
    }

    #[tokio::test]
    async fn the_dialler_refuses_too() {
        let known = Incarnation(5);
        let other = MemberId { node: NodeId(2), incarnation: known };
        let dialler = Identity { members: vec![other], ..identity(1) };
        let (dialled, accepted) = shake(dialler, identity(2)).await;
        let refusal = Refusal::NotAMember { known };
        assert!(matches!(dialled, Err(HandshakeError::Refused(r)) if r == refusal));
        assert!(matches!(accepted, Err(HandshakeError::RefusedBy(NodeId(1), r)) if r == refusal));
    }

    #[tokio::test]
    async fn a_recorded_handshake_is_refused() {
        let hello = Note::Hello(identity(1).hello(NodeId(2), 5)).encode().unwrap();
        let mut recording = hello.clone();
        let (mut a, mut b) = duplex(4096);
        let (_, echo) = tokio::join!(accept(&mut b, || identity(2)), async {
            a.write_all(&hello).await.unwrap();
            let (_, Note::Welcome(welcome)) = read(&mut a).await.unwrap() else { panic!() };
            let confirm = Note::Confirm { echo: welcome.nonce }.encode().unwrap();
            a.write_all(&confirm).await.unwrap();
            confirm
        });
        recording.extend_from_slice(&echo);

        let (mut a, mut b) = duplex(4096);
        a.write_all(&recording).await.unwrap();
        let replayed = accept(&mut b, || identity(2)).await;
        assert!(matches!(replayed, Err(HandshakeError::Refused(Refusal::Replayed))));
    }

    #[tokio::test]
    async fn a_dialler_of_an_unknown_version_is_told_which_are_spoken() {
        // A note that this version cannot read, from one that speaks 9 only.
        let mut bytes = Note::Confirm { echo: 0 }.encode().unwrap();
        bytes[8..12].copy_from_slice(&[9, 0, 9, 0]);
        bytes[18] = 77;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..14]), &bytes[18..]);
        bytes[14..18].copy_from_slice(&crc.to_le_bytes());
        let (mut a, mut b) = duplex(4096);
        a.write_all(&bytes).await.unwrap();
        let refusal = Refusal::Version { oldest: 1, newest: 1 };
        let accepted = accept(&mut b, || identity(2)).await;
        assert!(matches!(accepted, Err(HandshakeError::Refused(r)) if r == refusal));
        assert_eq!(read(&mut a).await.unwrap().1, Note::Refuse(refusal));
    }

    #[tokio::test]
    async fn notes_out_of_turn_are_refused() {
        for note in [Note::Confirm { echo: 0 }, Note::Refuse(Refusal::SameNode)] {
            let (mut a, mut b) = duplex(4096);
            write(&mut a, &note).await.unwrap();
            let accepted = accept(&mut b, || identity(2)).await;
            assert!(matches!(accepted, Err(HandshakeError::OutOfOrder)), "{note:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_byte_a_second_does_not_get_far() {
        let hello = Note::Hello(identity(1).hello(NodeId(2), 5)).encode().unwrap();
        let (a, mut b): (DuplexStream, _) = duplex(4096);
        let drip = tokio::spawn(async move {
            let mut a = a;
            for byte in hello {
                a.write_all(&[byte]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let accepting = timeout(Duration::from_secs(5), accept(&mut b, || identity(2)));
        assert!(accepting.await.is_err());
        drip.abort();
    }
}
