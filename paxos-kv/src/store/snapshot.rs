//! The store as parts that another store can be made from.
//!
//! The encoding is part of the format of snapshots: variants are only ever added at the end. Keys
//! come in order, and of each key the versions that are kept, oldest first. All else that a store
//! has follows from these, so that equal stores give equal parts.

use super::history::{History, Superseded};
use super::rows::{Row, RowId, Rows};
use super::{HISTORY_REVISIONS_MAX, Present, Store, fingerprint};
use crate::op::{self, Meta};
use bytes::Bytes;
use paxos_actors::codec;
use paxos_core::Unrestorable;
use serde::{Deserialize, Serialize, Serializer};
use std::iter;

/// Bytes of versions in a part, about; a larger version goes alone.
const PART_BYTES: usize = 256 << 10;

/// Bytes that a version takes beside its key and its value, about.
const VERSION_FRAMING_BYTES: usize = 16;

/// No store comes to have more revisions, and to these some may be added without overflow.
const REVISION_MAX: u64 = 1 << 62;

/// One part.
#[derive(Debug, Serialize, Deserialize)]
enum Part<'a> {
    /// The first.
    Header { revision: u64, compacted: u64 },
    /// The next versions.
    #[serde(borrow)]
    Versions(Vec<Saved<'a>>),
}

/// A version of a key.
#[derive(Debug, Serialize, Deserialize)]
struct Saved<'a> {
    #[serde(borrow)]
    key: Raw<'a>,
    meta: Meta,
    #[serde(borrow)]
    value: Option<Raw<'a>>,
}

/// Bytes where they stand.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Raw<'a>(#[serde(borrow)] &'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// The versions of a store as they were at some moment, on their way into parts.
struct Versions<I> {
    newest: u64,
    history: History,
    keys: Rows,
    order: I,
    /// The key that comes next, and how many of its versions are in parts already.
    next: Option<(RowId, usize)>,
}

impl<I: Iterator<Item = RowId>> Versions<I> {
    fn part(&mut self) -> Option<Bytes> {
        let Versions { newest, history, keys, order, next } = self;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < PART_BYTES
            && let Some((id, taken)) = *next
        {
            let first = batch.len();
            keys.get(id).into_iter().for_each(|row| add(row, *newest, history, &mut batch));
            let kept = batch.len() - first;
            batch.drain(first..first + taken);
            let mut end = first;
            while bytes < PART_BYTES && end < batch.len() {
                bytes += batch[end].weight();
                end += 1;
            }
            let left = batch.len() - end;
            batch.truncate(end);
            *next = match left {
                0 => order.next().map(|id| (id, 0)),
                left => Some((id, kept - left)),
            };
        }
        (!batch.is_empty()).then(|| op::encode(&Part::Versions(batch)))
    }
}

impl Store {
    /// The parts of the store as it is now, made when they are asked for.
    pub(super) fn parts(&self) -> impl Iterator<Item = Bytes> + Send + use<> {
        let header = Part::Header { revision: self.revision, compacted: self.compacted };
        let (keys, mut order) = self.keys.copy();
        let next = order.next().map(|id| (id, 0));
        let (newest, history) = (self.revision, self.history.clone());
        let mut versions = Versions { newest, history, keys, order, next };
        iter::once(op::encode(&header)).chain(iter::from_fn(move || versions.part()))
    }

    /// Takes the next part of a snapshot.
    pub(super) fn take(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        let decoded = codec::decode_borrowed(part);
        match decoded.map_err(|_| Unrestorable("a part cannot be decoded"))? {
            Part::Header { revision, compacted } => {
                let is_sound = (1..=REVISION_MAX).contains(&revision) && compacted <= revision;
                if self.revision != 1 || !is_sound {
                    return Err(Unrestorable("a header in the wrong place"));
                }
                (self.revision, self.compacted) = (revision, compacted);
                self.history = History::of(revision - 1);
                Ok(())
            }
            Part::Versions(versions) => {
                versions.into_iter().try_for_each(|saved| self.add(saved, part))
            }
        }
    }

    /// Adds the next version of a key.
    fn add(&mut self, saved: Saved<'_>, within: &Bytes) -> Result<(), Unrestorable> {
        let Saved { key: Raw(key), meta, value } = saved;
        if meta.mod_revision > self.revision {
            return Err(Unrestorable("a version from the future"));
        }
        if meta.create_revision > meta.mod_revision || meta.version > meta.mod_revision {
            return Err(Unrestorable("a version that counts more than its revision"));
        }
        let row = self.keys.find(key);
        let before = row.and_then(|row| self.keys.row(row));
        if before.is_some_and(|before| before.meta.mod_revision >= meta.mod_revision) {
            return Err(Unrestorable("versions out of order"));
        }
        // In the history a revision stands for the one version that it made.
        let is_recent = self.revision - meta.mod_revision <= HISTORY_REVISIONS_MAX;
        if is_recent && !self.taken.insert(meta.mod_revision) {
            return Err(Unrestorable("two versions of one revision"));
        }
        let value = value.map(|Raw(value)| value);
        let digest = value.map_or(0, |value| fingerprint(key, value, meta));
        let present = Present { meta, value, digest, within };
        self.sum.add(digest, value.is_some());
        let Some(version) = row.and_then(|row| self.keys.replace(row, present)) else {
            self.keys.insert(key, present);
            return Ok(());
        };
        self.sum.subtract(&version);
        let deleted = value.is_none().then(|| Bytes::copy_from_slice(key));
        let superseded = Superseded { version, deleted };
        match self.history.put(self.revision - meta.mod_revision, superseded) {
            true => Ok(()),
            false => Err(Unrestorable("a superseded version that cannot be kept")),
        }
    }
}

/// Adds the versions of a key that are kept, oldest first.
fn add<'a>(row: Row<'a>, newest: u64, history: &'a History, to: &mut Vec<Saved<'a>>) {
    let (first, key) = (to.len(), Raw(row.key));
    to.extend(history.before(newest, row.meta.mod_revision).map(|version| {
        let value = version.value.as_deref().map(Raw);
        Saved { key, meta: version.meta, value }
    }));
    to[first..].reverse();
    to.push(Saved { key, meta: row.meta, value: row.value.map(|value| Raw(value.bytes())) });
}

impl Saved<'_> {
    fn weight(&self) -> usize {
        let value = self.value.map_or(0, |Raw(value)| value.len());
        VERSION_FRAMING_BYTES + self.key.0.len() + value
    }
}
