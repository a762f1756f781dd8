//! Reads of all keys with a prefix, page by page.

use super::engine::Ask;
use super::error::KvError;
use super::{KvClient, unexpected};
use crate::op::{KeyValue, Query, QueryResult, Range, RangePage};
use bytes::Bytes;

/// A scan that is under way. Each page is asked for when it is wanted, and all are read at the
/// revision of the first: together they are what was there at one moment.
///
/// The store keeps a revision for a bounded number of changes after it, so a scan must not take
/// too long: one whose revision is not kept any more ends with [`KvError::ScanTooOld`].
#[derive(Clone, Debug)]
pub struct Scan {
    client: KvClient,
    /// What is left; none: nothing.
    rest: Option<Range>,
}

/// A part of what a scan finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The revision that was read at, the same for every page of a scan.
    pub revision: u64,
    /// Keys in the order of their bytes. None are found only on a page that is the only one.
    pub found: Vec<KeyValue>,
}

impl Scan {
    pub(super) fn new(client: KvClient, prefix: Bytes) -> Scan {
        Scan { client, rest: Some(Range::prefix(prefix)) }
    }

    /// Finds this many keys at most.
    pub fn limit(mut self, keys: u64) -> Scan {
        if let Some(rest) = &mut self.rest {
            rest.limit = keys;
        }
        self
    }

    /// Leaves the values out.
    pub fn keys_only(mut self) -> Scan {
        if let Some(rest) = &mut self.rest {
            rest.keys_only = true;
        }
        self
    }

    /// The next page: about 1 MiB at most. None: all was found. After an error it can be asked for
    /// again.
    pub async fn next_page(&mut self) -> Result<Option<Page>, KvError> {
        let Some(rest) = &self.rest else { return Ok(None) };
        let query = Query::Range(rest.clone()).encode()?;
        let result = self.client.call(query, Ask::Read).await?;
        match QueryResult::decode(&result)
            .map_err(|error| KvError::Unreadable(error.to_string()))?
        {
            QueryResult::Range(page) => Ok(Some(self.take(page))),
            QueryResult::NotKept(error) => Err(KvError::ScanTooOld(error)),
            QueryResult::Refused(limit) => Err(limit.into()),
            other => Err(unexpected(&other)),
        }
    }

    fn take(&mut self, RangePage { revision, found, next }: RangePage) -> Page {
        self.rest = self.rest.take().zip(next).and_then(|(rest, from)| {
            let limit = rest.limit.saturating_sub(found.len() as u64);
            // Without progress there would be no end.
            let goes_on = limit > 0 && !found.is_empty();
            goes_on.then_some(Range { from, limit, revision: Some(revision), ..rest })
        });
        Page { revision, found }
    }
}
