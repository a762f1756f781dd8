//! Reads that wait at a learner: first for a read index, then for the log (rule R12).

use crate::ballot::NodeId;
use crate::config::{Limits, Now};
use crate::slot::Slot;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;

/// A client's question to the state.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) client: NodeId,
    pub(crate) id: u64,
    pub(crate) query: Bytes,
    since: Now,
}

/// One question for a read index is under way at a time; the reads that come meanwhile share the
/// next one.
#[derive(Debug)]
pub(crate) struct Reads {
    limits: Limits,
    known: BTreeSet<(NodeId, u64)>,
    waiting: Vec<Read>,
    asked: Option<Asked>,
    indexed: BTreeMap<Slot, VecDeque<Read>>,
    question: u64,
}

#[derive(Debug)]
struct Asked {
    id: u64,
    at: Now,
    reads: Vec<Read>,
}

impl Reads {
    /// `first` is where the numbers of questions begin: somewhere else in each life.
    pub(crate) fn new(first: u64, limits: Limits) -> Reads {
        Reads {
            limits,
            known: BTreeSet::new(),
            waiting: Vec::new(),
            asked: None,
            indexed: BTreeMap::new(),
            question: first,
        }
    }

    /// Whether no read waits for anything.
    pub(crate) fn are_none(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes a read; `false` where there are too many. One that waits already is not taken twice.
    pub(crate) fn add(&mut self, now: Now, client: NodeId, id: u64, query: Bytes) -> bool {
        if self.known.contains(&(client, id)) {
            return true;
        }
        if self.known.len() >= self.limits.reads_max {
            return false;
        }
        self.known.insert((client, id));
        self.waiting.push(Read { client, id, query, since: now });
        true
    }

    /// The number of the next question, if reads wait for one and none is under way.
    pub(crate) fn next_question(&mut self, now: Now) -> Option<u64> {
        if self.asked.is_some() || self.waiting.is_empty() {
            return None;
        }
        self.question = self.question.wrapping_add(1);
        let reads = core::mem::take(&mut self.waiting);
        self.asked = Some(Asked { id: self.question, at: now, reads });
        Some(self.question)
    }

    /// The number of the question that got no answer for `patience_us`: it is asked again. Either
    /// answer is good, since both are made after the question's reads had come.
    pub(crate) fn ask_again(&mut self, now: Now, patience_us: u64) -> Option<u64> {
        let asked = self.asked.as_mut().filter(|asked| now.since(asked.at) >= patience_us)?;
        asked.at = now;
        Some(asked.id)
    }

    /// The question is answered; `false` where it is not the one under way.
    pub(crate) fn indexed(&mut self, id: u64, below: Slot) -> bool {
        match self.asked.take() {
            Some(asked) if asked.id == id => {
                self.indexed.entry(below).or_default().extend(asked.reads);
                true
            }
            other => {
                self.asked = other;
                false
            }
        }
    }

    /// The next read whose index is applied.
    pub(crate) fn next_ready(&mut self, applied_below: Slot) -> Option<Read> {
        let mut first = self.indexed.first_entry().filter(|first| *first.key() <= applied_below)?;
        let read = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        let read = read?;
        self.known.remove(&(read.client, read.id));
        Some(read)
    }

    /// Drops reads that are older than any client waits.
    pub(crate) fn give_up(&mut self, now: Now, age_us: u64) {
        let known = &mut self.known;
        let mut young = |read: &Read| {
            let young = now.since(read.since) < age_us;
            if !young {
                known.remove(&(read.client, read.id));
            }
            young
        };
        self.waiting.retain(&mut young);
        if let Some(asked) = &mut self.asked {
            asked.reads.retain(&mut young);
        }
        if self.asked.as_ref().is_some_and(|asked| asked.reads.is_empty()) {
            self.asked = None;
        }
        self.indexed.retain(|_, reads| {
            reads.retain(&mut young);
            !reads.is_empty()
        });
    }
}
