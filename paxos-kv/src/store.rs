//! The replicated state: a store of many versions.
//!
//! Every change makes a new revision of the whole store, and a key keeps the values that it had at
//! earlier revisions until they are compacted. As in etcd, an empty store is at revision 1, so the
//! first change makes revision 2.
//!
//! Compaction is a rule of the state machine, not a setting of a node, because replicas must agree
//! on it: superseded values are kept while they belong to the last [`HISTORY_REVISIONS_MAX`]
//! revisions and have at most [`HISTORY_BYTES_MAX`] bytes together.

mod history;
mod keys;
mod order;
mod range;
mod rows;
mod snapshot;

pub use crate::op::RevisionError;

use self::history::{History, Superseded};
use self::keys::Keys;
use self::rows::Row;
use crate::op::{ExpectRef, KeyValue, Meta, OpRef, OpResult, QueryRef, QueryResult};
use bytes::Bytes;
use paxos_core::digest::digest;
use paxos_core::rng::mix;
use paxos_core::{Applied, SnapshotParts, StateMachine, Unrestorable};
use std::collections::BTreeSet;

/// Values are superseded for this many revisions before they are compacted.
pub const HISTORY_REVISIONS_MAX: u64 = 1000;

/// Bytes of superseded values, at most; the oldest are compacted first.
pub const HISTORY_BYTES_MAX: u64 = 64 << 20;

/// What one superseded version counts beside its value, so that small ones are bounded too.
const VERSION_OVERHEAD_BYTES: u64 = 64;

/// The store.
#[derive(Debug)]
pub struct Store {
    revision: u64,
    compacted: u64,
    keys: Keys,
    history: History,
    sum: Sum,
    /// While a snapshot is restored: the last revisions that versions were found of.
    taken: BTreeSet<u64>,
}

/// What the present versions are together.
#[derive(Debug, Default)]
struct Sum {
    /// How many have a value.
    live: u64,
    digest: u64,
}

/// A version of a key, by itself.
#[derive(Clone, Debug)]
struct Version {
    /// What it was like from `meta.mod_revision` on.
    meta: Meta,
    /// None: the key was deleted. Then `meta` has the revision of the deletion, and version 0.
    value: Option<Bytes>,
    /// What it adds to the digest of the store while it is the present version of its key.
    digest: u64,
}

/// A version that becomes the present one of its key.
#[derive(Clone, Copy, Debug)]
struct Present<'a> {
    meta: Meta,
    value: Option<&'a [u8]>,
    digest: u64,
    /// What the value is a part of: a long one need not be copied.
    within: &'a Bytes,
}

impl Store {
    /// An empty store, at revision 1.
    pub fn new() -> Store {
        Store {
            revision: 1,
            compacted: 1,
            keys: Keys::new(),
            history: History::default(),
            sum: Sum::default(),
            taken: BTreeSet::new(),
        }
    }

    /// The revision that the last change made.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// How many keys have a value.
    pub fn len(&self) -> u64 {
        self.sum.live
    }

    /// Whether no key has a value.
    pub fn is_empty(&self) -> bool {
        self.sum.live == 0
    }

    /// How many superseded versions are kept, and their bytes.
    pub fn history(&self) -> (u64, u64) {
        (self.history.count(), self.history.bytes())
    }

    /// The present value of a key.
    pub fn value(&self, key: &[u8]) -> Option<KeyValue> {
        self.keys.get(key)?.key_value()
    }

    fn run(&mut self, command: &Bytes) -> OpResult {
        match OpRef::decode(command) {
            Err(limit) => OpResult::Refused(limit),
            Ok(OpRef::Put { key, value }) => OpResult::Put { meta: self.put(key, value, command) },
            Ok(OpRef::Delete { key }) => {
                let existed = self.delete(key, command);
                OpResult::Deleted { revision: self.revision, existed }
            }
            Ok(OpRef::Cas { key, expect, value }) => {
                let found = self.present(key);
                let expected = match expect {
                    ExpectRef::Absent => found.is_none(),
                    ExpectRef::Version(version) => {
                        found.map_or(0, |(_, meta)| meta.version) == version
                    }
                    ExpectRef::Value(value) => found.is_some_and(|(found, _)| found == value),
                };
                if expected {
                    OpResult::Swapped { meta: self.put(key, value, command) }
                } else {
                    let found = found.map(|(_, meta)| meta);
                    OpResult::NotSwapped { revision: self.revision, found }
                }
            }
        }
    }

    fn present(&self, key: &[u8]) -> Option<(&[u8], Meta)> {
        let row = self.keys.get(key)?;
        Some((row.value?.bytes(), row.meta))
    }

    fn put(&mut self, key: &[u8], value: &[u8], within: &Bytes) -> Meta {
        self.revision += 1;
        let mod_revision = self.revision;
        self.push(key, |present| {
            let meta = match present.filter(|present| present.value.is_some()) {
                Some(Row { meta: Meta { create_revision, version, .. }, .. }) => {
                    Meta { create_revision, mod_revision, version: version + 1 }
                }
                None => Meta { create_revision: mod_revision, mod_revision, version: 1 },
            };
            let digest = fingerprint(key, value, meta);
            Present { meta, value: Some(value), digest, within }
        })
    }

    fn delete(&mut self, key: &[u8], within: &Bytes) -> bool {
        if self.present(key).is_none() {
            return false;
        }
        self.revision += 1;
        let meta = Meta { create_revision: 0, mod_revision: self.revision, version: 0 };
        self.push(key, |_| Present { meta, value: None, digest: 0, within });
        true
    }

    /// Makes what `next` gives for the present version of a key, if it has one, the present one.
    ///
    /// The key is looked up once: in a large store that is most of what a change costs.
    fn push<'a>(&mut self, key: &[u8], next: impl FnOnce(Option<Row<'_>>) -> Present<'a>) -> Meta {
        let row = self.keys.find(key);
        let present = next(row.and_then(|row| self.keys.row(row)));
        self.sum.add(present.digest, present.value.is_some());
        let superseded = match row {
            None => {
                self.keys.insert(key, present);
                None
            }
            Some(row) => self.keys.replace(row, present).map(|version| {
                let deleted = present.value.is_none().then(|| Bytes::copy_from_slice(key));
                Superseded { version, deleted }
            }),
        };
        if let Some(Superseded { version, .. }) = &superseded {
            self.sum.subtract(version);
        }
        self.history.push(superseded);
        self.compact();
        present.meta
    }

    /// Forgets what is out of the bounds of the history, oldest first: a few versions per change.
    fn compact(&mut self) {
        while let Some((superseded, after)) = self.history.pop() {
            let Some(Superseded { deleted, .. }) = superseded else { continue };
            let at = self.revision - after;
            self.compacted = self.compacted.max(at);
            // Nothing is left to tell of a key that was deleted and whose values are forgotten.
            if let Some(key) = deleted
                && self.keys.get(&key).is_some_and(|found| found.meta.mod_revision == at)
            {
                self.keys.remove(&key);
            }
        }
    }
}

impl Sum {
    /// A version becomes the present one of its key.
    fn add(&mut self, digest: u64, is_live: bool) {
        self.digest = self.digest.wrapping_add(digest);
        self.live += u64::from(is_live);
    }

    /// A version is the present one of its key no more.
    fn subtract(&mut self, version: &Version) {
        self.digest = self.digest.wrapping_sub(version.digest);
        self.live -= u64::from(version.value.is_some());
    }
}

impl StateMachine for Store {
    fn apply(&mut self, _: Applied, command: &Bytes) -> Bytes {
        self.taken.clear();
        self.run(command).encode()
    }

    fn query(&self, query: &Bytes) -> Bytes {
        let result = match QueryRef::decode(query) {
            Err(limit) => QueryResult::Refused(limit),
            Ok(QueryRef::Get { key }) => {
                QueryResult::Got { revision: self.revision, found: self.value(key) }
            }
            Ok(QueryRef::Range(range)) => match self.range(&range) {
                Ok(page) => QueryResult::Range(page),
                Err(error) => QueryResult::NotKept(error),
            },
        };
        result.encode()
    }

    fn digest(&self) -> u64 {
        mix(self.sum.digest ^ mix(self.revision))
    }

    /// Copies what the keys stand in, and no key: some milliseconds for a million of them. While
    /// the parts are read out, what changes is copied once, some 64 keys at a time.
    fn snapshot(&self) -> SnapshotParts {
        Box::new(self.parts())
    }

    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        self.take(part)
    }
}

impl Default for Store {
    fn default() -> Store {
        Store::new()
    }
}

impl Row<'_> {
    fn key_value(&self) -> Option<KeyValue> {
        let (key, value) = (Bytes::copy_from_slice(self.key), self.value?.to_bytes());
        Some(KeyValue { key, value, meta: self.meta })
    }
}

/// A value as a part of what it came in, without a copy, unless that would keep much else alive.
fn part(within: &Bytes, value: &[u8]) -> Bytes {
    match value.len() * 2 < within.len() {
        true => Bytes::copy_from_slice(value),
        false => within.slice_ref(value),
    }
}

/// Of all present versions together, the sum is the digest of the store: the order does not matter.
fn fingerprint(key: &[u8], value: &[u8], meta: Meta) -> u64 {
    let Meta { create_revision, mod_revision, version } = meta;
    let meta = mix(create_revision ^ mix(mod_revision ^ mix(version)));
    digest(digest(meta, key), value)
}

fn bytes_of(version: &Version) -> u64 {
    VERSION_OVERHEAD_BYTES + version.value.as_ref().map_or(0, |value| value.len() as u64)
}
