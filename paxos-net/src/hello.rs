//! The handshake: what both ends of a connection say about themselves, and who is let in. Pure.
//!
//! ```text
//! dialler                      acceptor
//!   | ------ Hello ------------> |      who I am, whom I want
//!   | <----- Welcome / Refuse -- |      who I am, or why not
//!   | ------ Confirm / Refuse -> |      the acceptor's nonce, or why not
//!   | ------ frames -----------> |
//! ```
//! A note has a header whose layout holds for every version, and a body:
//!
//! ```text
//!  0                 8        10       12       14         18
//!  +-----------------+--------+--------+--------+----------+------ - - -
//!  | magic           | oldest | newest | length | crc32c   | body
//!  +-----------------+--------+--------+--------+----------+------ - - -
//! ```
//! All numbers are little endian. `oldest` and `newest` are the versions of the protocol that the
//! sender speaks. The checksum covers the bytes in front of it and the body. The body is a [`Note`]
//! in the encoding of [`paxos_actors::codec`]; a `Refuse` reads the same in every version.
//!
//! The nonces bind a connection to this very exchange: a recording of an earlier one is refused,
//! because it cannot echo the acceptor's nonce.

use paxos_actors::codec::{self, CodecError};
use paxos_core::{ClusterId, Incarnation, MemberId, NodeId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use thiserror::Error;

/// The first bytes of every note.
pub const MAGIC: [u8; 8] = *b"MPAXOS\r\n";

/// The versions of the protocol that this build speaks.
pub const VERSIONS: Versions = Versions { oldest: 1, newest: 1 };

/// Bytes of a note's header.
const HEADER_BYTES: usize = 18;

/// Bytes of a note's header that its checksum covers.
const COVERED_BYTES: usize = 14;

/// No note's body is longer. Three notes stay far below what a stranger may make us hold.
const BODY_BYTES_MAX: usize = 1024;

/// A range of protocol versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest version spoken.
    pub oldest: u16,
    /// The newest version spoken.
    pub newest: u16,
}

/// One message of the handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// The dialler's first words.
    Hello(Hello),
    /// The acceptor lets the dialler in.
    Welcome(Welcome),
    /// The dialler agrees; mail follows.
    Confirm {
        /// The nonce of the `Welcome`.
        echo: u64,
    },
    /// Either end refuses; the connection ends.
    Refuse(Refusal),
}

/// Who dials, and whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The dialler's cluster; none before its roster is stored (rule R23).
    pub cluster: Option<ClusterId>,
    /// Of the layout that the dialler was started with; see [`paxos_core::Layout::fingerprint`].
    pub layout: u64,
    /// The dialler.
    pub from: MemberId,
    /// Random at each start of the dialler's process.
    pub life: u64,
    /// The node that should be at this address.
    pub to: NodeId,
    /// Random for each connection.
    pub nonce: u64,
}

/// Who was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version to speak from now on.
    pub version: u16,
    /// The acceptor's cluster; none before its roster is stored.
    pub cluster: Option<ClusterId>,
    /// Of the layout that the acceptor was started with.
    pub layout: u64,
    /// The acceptor.
    pub from: MemberId,
    /// Random at each start of the acceptor's process.
    pub life: u64,
    /// The nonce of the `Hello`.
    pub echo: u64,
    /// Random for each connection.
    pub nonce: u64,
}

/// Why one end does not talk to the other. It is about the end that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Refusal {
    /// No version is spoken by both.
    #[error("it speaks versions {oldest} to {newest} of the protocol: upgrade the older one first")]
    Version {
        /// The refuser's oldest version.
        oldest: u16,
        /// The refuser's newest version.
        newest: u16,
    },
    /// Both ends say that they are the same node.
    #[error("it has the same node id: a node reached itself, or two nodes were given one id")]
    SameNode,
    /// Another node lives at this address.
    #[error("it is node {node}: correct its address in the list of peers")]
    WrongNode {
        /// The refuser.
        node: NodeId,
    },
    /// The node is not in the refuser's list of peers.
    #[error("it does not know this node id: add it to the list of peers")]
    UnknownNode,
    /// The refuser belongs to another cluster.
    #[error("it belongs to cluster {known}: correct the address or the data directory")]
    WrongCluster {
        /// The refuser's cluster.
        known: ClusterId,
    },
    /// The node is a member with another data directory (rule R24).
    #[error(
        "it knows this node as incarnation {:016x}: the data directory was replaced or wiped; put \
         the old one back. If that is lost, this node stays down, and the others go on without it",
        known.0
    )]
    NotAMember {
        /// The incarnation that is the member.
        known: Incarnation,
    },
    /// A nonce was not echoed: the words belong to some other connection.
    #[error("the handshake was not made for this connection")]
    Replayed,
    /// The first members were told different layouts: they would never form a cluster.
    #[error(
        "it was started with another list of nodes and roles: start every first node with the \
         same one"
    )]
    OtherLayout,
}

/// Why bytes are no note.
#[derive(Debug, Error)]
pub enum HelloError {
    /// Whoever dialled speaks something else.
    #[error("not a peer: the connection does not begin as one")]
    Magic,
    /// Longer than any note.
    #[error("a note of {0} bytes is above the limit of {BODY_BYTES_MAX} bytes")]
    TooLong(u16),
    /// The bytes are not those that were sent.
    #[error("the checksum of the handshake does not match: the bytes were damaged or made up")]
    Checksum,
    /// The body is not a note that this version knows, and its sender speaks none of ours.
    #[error("it speaks versions {} to {} of the protocol", .0.oldest, .0.newest)]
    Version(Versions),
    /// The body is not a note.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// The member at the other end, as the handshake proved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who it is.
    pub member: MemberId,
    /// Which start of its process.
    pub life: u64,
    /// The version that both speak.
    pub version: u16,
}

/// What a node knows about itself and the others when it shakes hands.
#[derive(Clone, Debug)]
pub struct Identity {
    /// This member.
    pub me: MemberId,
    /// Random at each start of this process.
    pub life: u64,
    /// The nodes that may connect.
    pub peers: BTreeSet<NodeId>,
    /// Of the layout that this node was started with.
    pub layout: u64,
    /// The cluster, once the roster is stored.
    pub cluster: Option<ClusterId>,
    /// The members, once the roster is stored. A node in this list has this incarnation.
    pub members: Vec<MemberId>,
}

impl Identity {
    /// The dialler's first words to `to`.
    pub fn hello(&self, to: NodeId, nonce: u64) -> Hello {
        let Identity { cluster, layout, me: from, life, .. } = *self;
        Hello { cluster, layout, from, life, to, nonce }
    }

    /// The acceptor's judgement of a `Hello`.
    pub fn admit(&self, versions: Versions, hello: &Hello) -> Result<Peer, Refusal> {
        let version = versions.common(VERSIONS).ok_or(Refusal::version())?;
        if hello.from.node == self.me.node {
            return Err(Refusal::SameNode);
        }
        if hello.to != self.me.node {
            return Err(Refusal::WrongNode { node: self.me.node });
        }
        self.check(hello.from, hello.cluster, hello.layout)?;
        Ok(Peer { member: hello.from, life: hello.life, version })
    }

    /// The acceptor's answer to a `Hello` that it admits.
    pub fn welcome(&self, peer: Peer, hello: &Hello, nonce: u64) -> Welcome {
        let Peer { version, .. } = peer;
        let Identity { cluster, layout, me: from, life, .. } = *self;
        Welcome { version, cluster, layout, from, life, echo: hello.nonce, nonce }
    }

    /// The dialler's judgement of the answer to its `Hello`.
    pub fn accept(&self, hello: &Hello, welcome: &Welcome) -> Result<Peer, Refusal> {
        let Welcome { version, from, life, .. } = *welcome;
        if welcome.echo != hello.nonce {
            return Err(Refusal::Replayed);
        }
        if !VERSIONS.contains(version) {
            return Err(Refusal::version());
        }
        if from.node == self.me.node {
            return Err(Refusal::SameNode);
        }
        if from.node != hello.to {
            return Err(Refusal::WrongNode { node: self.me.node });
        }
        self.check(from, welcome.cluster, welcome.layout)?;
        Ok(Peer { member: from, life, version })
    }

    /// Whether the roster lists this member.
    pub fn lists(&self, member: MemberId) -> bool {
        self.members.contains(&member)
    }

    /// Whether the roster lists this node as another member.
    pub fn contradicts(&self, member: MemberId) -> bool {
        self.known(member.node).is_some_and(|known| known != member)
    }

    fn known(&self, node: NodeId) -> Option<MemberId> {
        self.members.iter().copied().find(|member| member.node == node)
    }

    fn check(
        &self,
        member: MemberId,
        cluster: Option<ClusterId>,
        layout: u64,
    ) -> Result<(), Refusal> {
        match (self.cluster, cluster) {
            (Some(known), Some(theirs)) if known != theirs => {
                return Err(Refusal::WrongCluster { known });
            }
            (Some(_), Some(_)) => {}
            // Once there is a cluster, what it was first told counts no more.
            _ if layout != self.layout => return Err(Refusal::OtherLayout),
            _ => {}
        }
        if !self.peers.contains(&member.node) {
            return Err(Refusal::UnknownNode);
        }
        match self.known(member.node) {
            Some(known) if known != member => Err(Refusal::NotAMember { known: known.incarnation }),
            _ => Ok(()),
        }
    }
}

impl Versions {
    /// The newest version that both speak.
    pub fn common(self, other: Versions) -> Option<u16> {
        let newest = self.newest.min(other.newest);
        (newest >= self.oldest.max(other.oldest)).then_some(newest)
    }

    fn contains(self, version: u16) -> bool {
        self.oldest <= version && version <= self.newest
    }
}

impl Refusal {
    /// No version is spoken by both.
    pub fn version() -> Refusal {
        Refusal::Version { oldest: VERSIONS.oldest, newest: VERSIONS.newest }
    }
}

impl Note {
    /// The bytes of this note, from an end that speaks [`VERSIONS`].
    pub fn encode(&self) -> Result<Vec<u8>, CodecError> {
        let mut bytes = vec![0; HEADER_BYTES];
        codec::encode(self, &mut bytes)?;
        let length = (bytes.len() - HEADER_BYTES) as u16;
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSIONS.oldest.to_le_bytes());
        bytes[10..12].copy_from_slice(&VERSIONS.newest.to_le_bytes());
        bytes[12..14].copy_from_slice(&length.to_le_bytes());
        let crc = checksum(&bytes[..COVERED_BYTES], &bytes[HEADER_BYTES..]);
        bytes[COVERED_BYTES..HEADER_BYTES].copy_from_slice(&crc);
        Ok(bytes)
    }

    /// How many bytes the note has that begins with `bytes`, as far as they tell; at least one
    /// more while the header is not there. Bytes that begin no note are refused at once.
    pub fn wanted(bytes: &[u8]) -> Result<usize, HelloError> {
        let begun = bytes.len().min(MAGIC.len());
        if bytes[..begun] != MAGIC[..begun] {
            return Err(HelloError::Magic);
        }
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(HEADER_BYTES) };
        let length = u16::from_le_bytes([header[12], header[13]]);
        if usize::from(length) > BODY_BYTES_MAX {
            return Err(HelloError::TooLong(length));
        }
        Ok(HEADER_BYTES + usize::from(length))
    }

    /// Reads a note of [`Note::wanted`] bytes, and the versions that its sender speaks.
    pub fn decode(bytes: &[u8]) -> Result<(Versions, Note), HelloError> {
        let Some((header, body)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(HelloError::Checksum);
        };
        if Note::wanted(bytes)? != bytes.len()
            || header[COVERED_BYTES..] != checksum(&header[..COVERED_BYTES], body)
        {
            return Err(HelloError::Checksum);
        }
        let oldest = u16::from_le_bytes([header[8], header[9]]);
        let newest = u16::from_le_bytes([header[10], header[11]]);
        let versions = Versions { oldest, newest };
        match codec::decode(body) {
            Ok(note) => Ok((versions, note)),
            Err(_) if versions.common(VERSIONS).is_none() => Err(HelloError::Version(versions)),
            Err(error) => Err(error.into()),
        }
    }
}

fn checksum(covered: &[u8], body: &[u8]) -> [u8; 4] {
    crc32c::crc32c_append(crc32c::crc32c(covered), body).to_le_bytes()
}
