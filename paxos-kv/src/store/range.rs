//! Reads of many keys, a bounded part at a time.

use super::Store;
use super::rows::Row;
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
        for row in self.between(range) {
            let Some(mut found) = self.row_at(row, revision) else { continue };
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
        Ok(found.and_then(|row| self.row_at(row, revision)))
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

    fn between<'a>(&'a self, range: &RangeRef<'a>) -> impl Iterator<Item = Row<'a>> {
        // A range that ends before it begins has nothing.
        let from = match range.to {
            Some(to) => range.from.min(to),
            None => range.from,
        };
        self.keys.range(from, range.to)
    }

    fn row_at(&self, row: Row<'_>, revision: u64) -> Option<KeyValue> {
        if row.meta.mod_revision <= revision {
            return row.key_value();
        }
        let mut versions = self.history.before(self.revision, row.meta.mod_revision);
        let version = versions.find(|version| version.meta.mod_revision <= revision)?;
        let (key, value) = (Bytes::copy_from_slice(row.key), version.value.clone()?);
        Some(KeyValue { key, value, meta: version.meta })
    }
}
