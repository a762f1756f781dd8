//! Reads of many keys.

use super::{KeyValue, Limit, check_bound};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Bytes that one answer finds, at most; a larger key goes alone. What is behind them has to be
/// asked for.
pub const RANGE_BYTES_MAX: u64 = 1 << 20;

/// What each key found counts beside its bytes, so that there are not too many small ones.
pub const FOUND_BYTES: u64 = 64;

/// Asks for keys with their values, in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first key that may be found. It may be empty: every key is behind that.
    pub from: Bytes,
    /// The keys found are before this one; none: up to the last.
    pub to: Option<Bytes>,
    /// The revision to read at; none: the newest.
    pub revision: Option<u64>,
    /// Keys found, at most.
    pub limit: u64,
    /// Bytes found, at most, where that is less than [`RANGE_BYTES_MAX`]. One key is found anyway.
    pub bytes_max: u64,
    /// Leave the values out.
    pub keys_only: bool,
}

/// A [`Range`] in the bytes that it was decoded from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RangeRef<'a> {
    /// See [`Range::from`].
    pub from: &'a [u8],
    /// See [`Range::to`].
    #[serde(borrow)]
    pub to: Option<&'a [u8]>,
    /// See [`Range::revision`].
    pub revision: Option<u64>,
    /// See [`Range::limit`].
    pub limit: u64,
    /// See [`Range::bytes_max`].
    pub bytes_max: u64,
    /// See [`Range::keys_only`].
    pub keys_only: bool,
}

/// A part of what a [`Range`] asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangePage {
    /// The revision that was read at.
    pub revision: u64,
    /// The keys, in the order of their bytes.
    pub found: Vec<KeyValue>,
    /// The first key of the range that is not among them; none: these are all.
    pub next: Option<Bytes>,
}

/// What was at some revision cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum RevisionError {
    /// It was compacted.
    #[error("revision {asked} is compacted: ask for {oldest} or a later one")]
    Compacted {
        /// The revision asked for.
        asked: u64,
        /// The oldest revision that can be asked for.
        oldest: u64,
    },
    /// It has not been made yet.
    #[error("revision {asked} is in the future: the store is at {newest}")]
    Future {
        /// The revision asked for.
        asked: u64,
        /// The newest revision.
        newest: u64,
    },
}

impl Range {
    /// All keys that begin with `prefix`; every key, where it is empty.
    pub fn prefix(prefix: impl Into<Bytes>) -> Range {
        let from = prefix.into();
        Range {
            to: behind(&from),
            from,
            revision: None,
            limit: u64::MAX,
            bytes_max: RANGE_BYTES_MAX,
            keys_only: false,
        }
    }
}

impl RangeRef<'_> {
    pub(super) fn check(&self) -> Result<(), Limit> {
        check_bound(self.from)?;
        self.to.map_or(Ok(()), check_bound)
    }
}

/// The first key that is behind all with this prefix, if there is one.
fn behind(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|&byte| byte < u8::MAX)?;
    let mut behind = prefix[..=last].to_vec();
    behind[last] += 1;
    Some(behind.into())
}
