//! What the last revisions superseded.

use super::{HISTORY_BYTES_MAX, HISTORY_REVISIONS_MAX, Version, bytes_of};
use bytes::Bytes;
use std::collections::VecDeque;
use std::iter;

/// The superseded versions that are kept, by the revision that superseded each: a revision
/// supersedes one at most. So the version before any other is found by the revision that made that
/// other one, and to forget the oldest looks no key up.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// The last is of the newest revision.
    revisions: VecDeque<Option<Superseded>>,
    count: u64,
    bytes: u64,
}

/// A version that is the present one no more.
#[derive(Clone, Debug)]
pub(super) struct Superseded {
    pub version: Version,
    /// The key, where the revision that superseded this version deleted it.
    pub deleted: Option<Bytes>,
}

impl History {
    /// What the newest revision superseded, if anything.
    pub(super) fn push(&mut self, superseded: Option<Superseded>) {
        if let Some(Superseded { version, .. }) = &superseded {
            self.count += 1;
            self.bytes += bytes_of(version);
        }
        self.revisions.push_back(superseded);
    }

    /// Forgets the oldest revision that is out of bounds, if there is one: what it superseded, and
    /// how many revisions came after it.
    pub(super) fn pop(&mut self) -> Option<(Option<Superseded>, u64)> {
        let is_long = self.revisions.len() as u64 > HISTORY_REVISIONS_MAX;
        if !is_long && self.bytes <= HISTORY_BYTES_MAX {
            return None;
        }
        let superseded = self.revisions.pop_front()?;
        if let Some(Superseded { version, .. }) = &superseded {
            self.count -= 1;
            self.bytes -= bytes_of(version);
        }
        Some((superseded, self.revisions.len() as u64))
    }

    /// The versions of a key that are kept, from the one before its present one backwards: that
    /// was made at `present`, and the newest revision is this one.
    pub(super) fn before(&self, newest: u64, present: u64) -> impl Iterator<Item = &Version> {
        let before = move |made: u64| self.superseded(newest.checked_sub(made)?);
        iter::successors(before(present), move |version| before(version.meta.mod_revision))
    }

    /// What a revision superseded, if that is kept; so many revisions came after it.
    fn superseded(&self, after: u64) -> Option<&Version> {
        let place = self.place(after)?;
        self.revisions[place].as_ref().map(|superseded| &superseded.version)
    }

    fn place(&self, after: u64) -> Option<usize> {
        self.revisions.len().checked_sub(usize::try_from(after).ok()?.checked_add(1)?)
    }

    /// Room for what the last revisions superseded, before any of it is known.
    pub(super) fn of(revisions: u64) -> History {
        let kept = revisions.min(HISTORY_REVISIONS_MAX) as usize;
        History { revisions: iter::repeat_with(|| None).take(kept).collect(), ..History::default() }
    }

    /// Takes what a revision superseded; so many revisions came after it. No: it is out of reach,
    /// or superseded another one.
    pub(super) fn put(&mut self, after: u64, superseded: Superseded) -> bool {
        let is_empty = |&place: &usize| self.revisions[place].is_none();
        let Some(place) = self.place(after).filter(is_empty) else {
            return false;
        };
        self.count += 1;
        self.bytes += bytes_of(&superseded.version);
        self.revisions[place] = Some(superseded);
        true
    }

    /// How many versions are kept.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}
