//! Reads of many keys, a bounded part at a time.

use super::keys::Entry;
use super::{Store, key_value};
use crate::op::range::{FOUND_BYTES, RANGE_BYTES_MAX};
use crate::op::{KeyValue, RangePage, RangeRef, RevisionError};
use bytes::Bytes;

impl Store {
    /// A part of a range: all through its limit, or as much as fits its bytes.
    ///
    /// Keys that are passed over, because they have no value at the revision, are as few as the
    /// history allows: a deletion, or the making of a key, is a revision of its own.
    pub fn range(&self, range: &RangeRef<'_>) -> Result<RangePage, RevisionError> {
        let revision = range.revision.unwrap_or(self.revision);
        self.check_kept(revision)?;
        let mut page = RangePage { revision, found: Vec::new(), next: None };
        let bytes_max = range.bytes_max.min(RANGE_BYTES_MAX);
        let mut bytes = 0;
        for entry in self.between(range) {
            let Some(mut found) = self.entry_at(entry, revision) else { continue };
            if range.keys_only {
                found.value = Bytes::new();
            }
            bytes += FOUND_BYTES + (found.key.len() + found.value.len()) as u64;
            let is_full = bytes > bytes_max && !page.found.is_empty();
            if is_full || page.found.len() as u64 >= range.limit {
                page.next = Some(found.key);
                break;
            }
            page.found.push(found);
        }
        Ok(page)
    }

    /// The value that a key had at a revision.
    pub fn at(&self, key: &[u8], revision: u64) -> Result<Option<KeyValue>, RevisionError> {
        self.check_kept(revision)?;
        let found = self.keys.get(key);
        Ok(found.and_then(|entry| self.entry_at(entry, revision)))
    }

    fn check_kept(&self, revision: u64) -> Result<(), RevisionError> {
        if revision < self.compacted {
            return Err(RevisionError::Compacted { asked: revision, oldest: self.compacted });
        }
        if revision > self.revision {
            return Err(RevisionError::Future { asked: revision, newest: self.revision });
        }
        Ok(())
    }

    fn between(&self, range: &RangeRef<'_>) -> impl Iterator<Item = &Entry> {
        // A range that ends before it begins has nothing.
        let from = match range.to {
            Some(to) => range.from.min(to),
            None => range.from,
        };
        self.keys.range(from, range.to)
    }

    fn entry_at(&self, Entry { key, present }: &Entry, revision: u64) -> Option<KeyValue> {
        let mut versions = self.history.versions(self.revision, present);
        key_value(key, versions.find(|version| version.meta.mod_revision <= revision)?)
    }
}
