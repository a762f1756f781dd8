//! Commands and queries, their results, and how all of these are written as bytes.
//!
//! A command is encoded once, by the client, and decoded once by each replica. Its encoding is part
//! of the log's format: variants are only ever added at the end.

pub mod range;

pub use self::range::{Range, RangePage, RangeRef, RevisionError};

use bytes::Bytes;
use paxos_actors::codec::{self, CodecError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes of a key, at most; at least one.
pub const KEY_BYTES_MAX: usize = 8 << 10;

/// Bytes of a value, at most.
pub const VALUE_BYTES_MAX: usize = 1 << 20;

/// Bytes of an encoded command or query, at most.
pub const REQUEST_BYTES_MAX: usize = 3 << 19;

/// Changes the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Gives the key this value.
    Put {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// Removes the key.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Gives the key this value, if it is as expected.
    Cas {
        /// The key.
        key: Bytes,
        /// What it must be like before.
        expect: Expect,
        /// Its new value.
        value: Bytes,
    },
}

/// What a compare-and-swap expects of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// It has no value.
    Absent,
    /// It has this value.
    Value(Bytes),
    /// It has this version; version 0 is a key without a value.
    Version(u64),
}

/// Asks the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// The value of a key.
    Get {
        /// The key.
        key: Bytes,
    },
    /// Many keys.
    Range(Range),
}

/// A key with its value and where it stands in the history of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// Where it stands.
    pub meta: Meta,
}

/// Where a key stands in the history of the store, as in etcd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The revision that made the key; a key that is deleted and put again is made anew.
    pub create_revision: u64,
    /// The revision that gave it its present value.
    pub mod_revision: u64,
    /// How often it was given a value since it was made. The first one is version 1.
    pub version: u64,
}

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpResult {
    /// The key has its new value.
    Put {
        /// Where it now stands.
        meta: Meta,
    },
    /// The key has no value.
    Deleted {
        /// The revision of the store.
        revision: u64,
        /// Whether the key had a value before.
        existed: bool,
    },
    /// The key was as expected, and has its new value.
    Swapped {
        /// Where it now stands.
        meta: Meta,
    },
    /// The key was not as expected, and nothing was changed.
    NotSwapped {
        /// The revision of the store.
        revision: u64,
        /// Where the key stands; none: it has no value.
        found: Option<Meta>,
    },
    /// The command was over a limit, or is none; nothing was changed.
    Refused(Limit),
}

/// What came of a query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryResult {
    /// The key's value.
    Got {
        /// The revision of the store.
        revision: u64,
        /// None: the key has no value.
        found: Option<KeyValue>,
    },
    /// The query was over a limit, or is none.
    Refused(Limit),
    /// Many keys.
    Range(RangePage),
    /// What was at the revision asked for cannot be told.
    NotKept(RevisionError),
}

/// Why a command or query is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum Limit {
    /// A key without bytes.
    #[error("the key is empty: give it at least one byte")]
    KeyEmpty,
    /// A key that is too long.
    #[error("the key has {0} bytes, and a key has at most {KEY_BYTES_MAX}: use a shorter one")]
    Key(u64),
    /// A value that is too long.
    #[error(
        "the value has {0} bytes, and a value has at most {VALUE_BYTES_MAX}: store it in parts"
    )]
    Value(u64),
    /// A request that is too long as a whole.
    #[error(
        "the request has {0} bytes, and a request has at most {REQUEST_BYTES_MAX}: use shorter \
         values, or compare versions instead of values"
    )]
    Request(u64),
    /// Not a command or query of this version.
    #[error("the request cannot be read: upgrade this node, or the client, to the same version")]
    Unreadable,
}

/// An [`Op`] in the bytes that it was decoded from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum OpRef<'a> {
    /// See [`Op::Put`].
    Put {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// See [`Op::Delete`].
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// See [`Op::Cas`].
    Cas {
        /// The key.
        key: &'a [u8],
        /// What it must be like before.
        #[serde(borrow)]
        expect: ExpectRef<'a>,
        /// Its new value.
        value: &'a [u8],
    },
}

/// An [`Expect`] in the bytes that it was decoded from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum ExpectRef<'a> {
    /// See [`Expect::Absent`].
    Absent,
    /// See [`Expect::Value`].
    #[serde(borrow)]
    Value(&'a [u8]),
    /// See [`Expect::Version`].
    Version(u64),
}

/// A [`Query`] in the bytes that it was decoded from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum QueryRef<'a> {
    /// See [`Query::Get`].
    Get {
        /// The key.
        key: &'a [u8],
    },
    /// See [`Query::Range`].
    #[serde(borrow)]
    Range(RangeRef<'a>),
}

impl Op {
    /// The command as bytes, if it is within all limits.
    pub fn encode(&self) -> Result<Bytes, Limit> {
        let encoded = encode(self);
        OpRef::decode(&encoded)?;
        Ok(encoded)
    }
}

impl Query {
    /// The query as bytes, if it is within all limits.
    pub fn encode(&self) -> Result<Bytes, Limit> {
        let encoded = encode(self);
        QueryRef::decode(&encoded)?;
        Ok(encoded)
    }
}

impl<'a> OpRef<'a> {
    /// Reads a command and checks it: the one place where limits are judged, for clients, for nodes
    /// that take a command, and for replicas that apply one.
    pub fn decode(bytes: &'a [u8]) -> Result<OpRef<'a>, Limit> {
        check_request(bytes)?;
        let op = codec::decode_borrowed(bytes).map_err(|_| Limit::Unreadable)?;
        match &op {
            OpRef::Put { key, value } => {
                check_key(key)?;
                check_value(value)?;
            }
            OpRef::Delete { key } => check_key(key)?,
            OpRef::Cas { key, expect, value } => {
                check_key(key)?;
                check_value(value)?;
                if let ExpectRef::Value(expected) = expect {
                    check_value(expected)?;
                }
            }
        }
        Ok(op)
    }
}

impl<'a> QueryRef<'a> {
    /// Reads a query and checks it, as [`OpRef::decode`] does for commands.
    pub fn decode(bytes: &'a [u8]) -> Result<QueryRef<'a>, Limit> {
        check_request(bytes)?;
        let query = codec::decode_borrowed(bytes).map_err(|_| Limit::Unreadable)?;
        match &query {
            QueryRef::Get { key } => check_key(key)?,
            QueryRef::Range(range) => range.check()?,
        }
        Ok(query)
    }
}

impl OpResult {
    /// The result as bytes.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a result.
    pub fn decode(bytes: &[u8]) -> Result<OpResult, CodecError> {
        codec::decode(bytes)
    }
}

impl QueryResult {
    /// The result as bytes.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads a result.
    pub fn decode(bytes: &[u8]) -> Result<QueryResult, CodecError> {
        codec::decode(bytes)
    }
}

fn encode(value: &impl Serialize) -> Bytes {
    let mut buffer = Vec::new();
    // Only a failing writer or a map without a length cannot be encoded; here is neither.
    let encoded = codec::encode(value, &mut buffer);
    assert!(encoded.is_ok(), "{encoded:?}");
    buffer.into()
}

fn check_request(bytes: &[u8]) -> Result<(), Limit> {
    match bytes.len() {
        0..=REQUEST_BYTES_MAX => Ok(()),
        length => Err(Limit::Request(length as u64)),
    }
}

fn check_key(key: &[u8]) -> Result<(), Limit> {
    match key.len() {
        0 => Err(Limit::KeyEmpty),
        1..=KEY_BYTES_MAX => Ok(()),
        length => Err(Limit::Key(length as u64)),
    }
}

/// An end of a range may be empty, where a key may not.
fn check_bound(key: &[u8]) -> Result<(), Limit> {
    match key.is_empty() {
        true => Ok(()),
        false => check_key(key),
    }
}

fn check_value(value: &[u8]) -> Result<(), Limit> {
    match value.len() {
        0..=VALUE_BYTES_MAX => Ok(()),
        length => Err(Limit::Value(length as u64)),
    }
}
