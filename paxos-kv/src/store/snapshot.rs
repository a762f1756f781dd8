//! The store as parts that another store can be made from.
//!
//! The encoding is part of the format of snapshots: variants are only ever added at the end. Keys
//! come in order, and of each key the versions that are kept, oldest first. All else that a store
//! has follows from these, so that equal stores give equal parts.

use super::history::{History, Superseded};
use super::keys::Entry;
use super::{Store, Version, fingerprint};
use crate::op::{self, Meta};
use bytes::Bytes;
use paxos_actors::codec;
use paxos_core::Unrestorable;
use serde::{Deserialize, Serialize};
use std::{iter, mem};

/// Bytes of versions in a part, about; a larger version goes alone.
const PART_BYTES: usize = 256 << 10;

/// Bytes that a version takes beside its key and its value, about.
const VERSION_FRAMING_BYTES: usize = 16;

/// One part.
#[derive(Debug, Serialize, Deserialize)]
enum Part {
    /// The first.
    Header { revision: u64, compacted: u64 },
    /// The next versions.
    Versions(Vec<Saved>),
}

/// A version of a key.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    key: Bytes,
    meta: Meta,
    value: Option<Bytes>,
}

impl Store {
    /// The parts of the store as it is now, made when they are asked for.
    pub(super) fn parts(&self) -> impl Iterator<Item = Bytes> + Send + use<> {
        let header = Part::Header { revision: self.revision, compacted: self.compacted };
        let mut versions = self.saved();
        let batches = iter::from_fn(move || {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while bytes < PART_BYTES
                && let Some(version) = versions.next()
            {
                let value = version.value.as_ref().map_or(0, Bytes::len);
                bytes += VERSION_FRAMING_BYTES + version.key.len() + value;
                batch.push(version);
            }
            (!batch.is_empty()).then_some(Part::Versions(batch))
        });
        iter::once(header).chain(batches).map(|part| op::encode(&part))
    }

    /// Takes the next part of a snapshot.
    pub(super) fn take(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        let part = codec::decode(part).map_err(|_| Unrestorable("a part cannot be decoded"))?;
        match part {
            Part::Header { revision, compacted } => {
                if self.revision != 1 || revision == 0 || compacted > revision {
                    return Err(Unrestorable("a header in the wrong place"));
                }
                (self.revision, self.compacted) = (revision, compacted);
                self.history = History::of(revision - 1);
                Ok(())
            }
            Part::Versions(versions) => versions.into_iter().try_for_each(|saved| self.add(saved)),
        }
    }

    /// Adds the next version of a key.
    fn add(&mut self, saved: Saved) -> Result<(), Unrestorable> {
        let Saved { key, meta, value } = saved;
        if meta.mod_revision > self.revision {
            return Err(Unrestorable("a version from the future"));
        }
        let digest = value.as_ref().map_or(0, |value| fingerprint(&key, value, meta));
        let is_deletion = value.is_none();
        let version = Version { meta, value, digest };
        self.sum.add(&version);
        let Some(present) = self.keys.get_mut(&key) else {
            self.keys.insert(key, version);
            return Ok(());
        };
        if present.meta.mod_revision >= meta.mod_revision {
            return Err(Unrestorable("versions out of order"));
        }
        let version = mem::replace(present, version);
        self.sum.subtract(&version);
        let superseded = Superseded { version, deleted: is_deletion.then_some(key) };
        match self.history.put(self.revision - meta.mod_revision, superseded) {
            true => Ok(()),
            false => Err(Unrestorable("a superseded version that cannot be kept")),
        }
    }

    /// The versions that are kept, key by key and oldest first, from a copy.
    fn saved(&self) -> impl Iterator<Item = Saved> + Send + use<> {
        let (newest, history) = (self.revision, self.history.clone());
        self.keys.copy().flat_map(move |Entry { key, present }| {
            let mut versions: Vec<_> = history.versions(newest, &present).cloned().collect();
            versions.reverse();
            let versions = versions.into_iter();
            versions.map(move |Version { meta, value, .. }| Saved { key: key.clone(), meta, value })
        })
    }
}
