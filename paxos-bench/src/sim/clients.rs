//! Clients of the store, and the history of what they saw.

use super::setup::Work;
use crate::check::{History, KvInput, KvOutput, Pending, Recorder};
use bytes::Bytes;
use paxos_core::rng::Rng;
use paxos_core::*;
use paxos_kv::op::{Expect, KeyValue, Op, OpResult, Query, QueryResult};
use std::collections::BTreeMap;

/// The node of the first client.
pub(super) const FIRST_CLIENT: u64 = 101;

/// Behind the part of a value that tells it from others.
const PADDING: char = '.';

/// A client, and its calls that are open.
pub(super) struct SimClient {
    pub client: Client,
    open: BTreeMap<CallId, Open>,
}

/// A call that has not ended.
struct Open {
    /// Its place among all calls.
    call: usize,
    pending: Pending<KvInput, KvOutput>,
}

/// A call as its client saw it. Times are places in the order of all that clients saw.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub key: Bytes,
    /// None: it reads.
    pub op: Option<Op>,
    pub invoked: u64,
    /// None: nobody knows what came of it.
    pub answer: Option<(u64, Answer)>,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Got { revision: u64, found: Option<KeyValue> },
    Changed(OpResult),
    NotApplied,
}

impl Answer {
    /// The revision of the store at which it is true.
    pub fn revision(&self) -> Option<u64> {
        match self {
            Answer::Got { revision, .. }
            | Answer::Changed(
                OpResult::Deleted { revision, .. } | OpResult::NotSwapped { revision, .. },
            ) => Some(*revision),
            Answer::Changed(OpResult::Put { meta } | OpResult::Swapped { meta }) => {
                Some(meta.mod_revision)
            }
            Answer::Changed(OpResult::Refused(_)) | Answer::NotApplied => None,
        }
    }

    /// Whether its revision is one that it made.
    pub fn is_change(&self) -> bool {
        let Answer::Changed(result) = self else { return false };
        let existed = matches!(result, OpResult::Deleted { existed: true, .. });
        existed || matches!(result, OpResult::Put { .. } | OpResult::Swapped { .. })
    }
}

/// All clients, and what they have seen.
pub(super) struct Clients {
    pub all: Vec<SimClient>,
    work: Work,
    recorder: Recorder<KvInput, KvOutput>,
    calls: Vec<Call>,
    /// How much clients have seen.
    time: u64,
    /// The value of each key that was seen last, if it had one.
    latest: BTreeMap<Bytes, Bytes>,
    pub tally: Tally,
}

/// How calls ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub begun: u64,
    pub done: u64,
    pub not_applied: u64,
    pub unknown: u64,
}

impl SimClient {
    pub fn new(number: u64, nodes: Vec<NodeId>, limits: Limits, rng: &mut Rng) -> SimClient {
        let node = NodeId(FIRST_CLIENT + number);
        let me = MemberId { node, incarnation: Incarnation(0) };
        let options = ClientOptions { me, nodes, seed: rng.next_u64(), retry_us: 150_000, limits };
        SimClient { client: Client::new(options), open: BTreeMap::new() }
    }

    /// Calls that it waits for.
    pub fn open(&self) -> usize {
        self.open.len()
    }
}

impl Clients {
    /// None yet.
    pub fn new(work: Work) -> Clients {
        let (recorder, tally, latest) = (Recorder::new(), Tally::default(), BTreeMap::new());
        let (all, calls) = (Vec::new(), Vec::new());
        Clients { all, latest, work, recorder, calls, time: 0, tally }
    }

    /// Client `c` begins a call, on any key; or, with `key`, it reads that one.
    pub fn call(&mut self, c: usize, key: Option<usize>, now: u64, rng: &mut Rng) -> Vec<Outgoing> {
        let look = key.is_some();
        let key = key.unwrap_or_else(|| rng.between(0, self.work.keys) as usize);
        let deadline = Now(now + if look { 30_000_000 } else { rng.between(500_000, 5_000_000) });
        let op = if look { None } else { self.wish(key, rng) };
        let pending = self.recorder.invoke(c as u64, &format!("k{key}"), input(op.as_ref()));
        let SimClient { client, open } = &mut self.all[c];
        let mut out = Output::new();
        let id = match &op {
            None => {
                let query = Query::Get { key: name(key) }.encode().expect("within limits");
                client.read(Now(now), query, deadline, &mut out)
            }
            Some(op) => {
                client.write(Now(now), op.encode().expect("within limits"), deadline, &mut out)
            }
        };
        open.insert(id, Open { call: self.calls.len(), pending });
        self.time += 1;
        self.calls.push(Call { key: name(key), op, invoked: self.time, answer: None });
        self.tally.begun += 1;
        out.mail
    }

    /// What a client asks next; none: it reads.
    fn wish(&mut self, key: usize, rng: &mut Rng) -> Option<Op> {
        let name = name(key);
        let bulk = if rng.between(0, 4) == 0 { self.work.bulk } else { 0 };
        let text = format!("{}{}", self.tally.begun, PADDING.to_string().repeat(bulk));
        let value = Bytes::from(text);
        match rng.between(0, 20) {
            0..8 => None,
            8..14 => Some(Op::Put { key: name, value }),
            14..16 => Some(Op::Delete { key: name }),
            _ => {
                let expect = self.latest.get(&name).cloned().map_or(Expect::Absent, Expect::Value);
                Some(Op::Cas { key: name, expect, value })
            }
        }
    }

    /// Takes down which calls of client `c` have ended.
    pub fn note_ends(&mut self, c: usize) {
        let SimClient { client, open } = &mut self.all[c];
        for (id, outcome) in client.finished() {
            let Some(Open { call, pending }) = open.remove(&id) else { continue };
            let call = &mut self.calls[call];
            self.time += 1;
            match outcome {
                Outcome::Done(result) => {
                    self.tally.done += 1;
                    let answer = answer(call.op.is_none(), &result);
                    pending.ok(output(&answer));
                    match &answer {
                        Answer::Got { found: Some(kv), .. } => {
                            self.latest.insert(call.key.clone(), kv.value.clone());
                        }
                        Answer::Got { found: None, .. } => drop(self.latest.remove(&call.key)),
                        Answer::Changed(_) | Answer::NotApplied => {}
                    }
                    call.answer = Some((self.time, answer));
                }
                Outcome::NotApplied(_) => {
                    self.tally.not_applied += 1;
                    call.answer = Some((self.time, Answer::NotApplied));
                    pending.fail();
                }
                Outcome::Unknown(_) => {
                    self.tally.unknown += 1;
                    pending.unknown();
                }
            }
        }
    }

    /// Client `c` is gone, and another is in its place: what was open is of unknown outcome.
    pub fn replace(&mut self, c: usize, by: SimClient) {
        let old = std::mem::replace(&mut self.all[c], by);
        self.tally.unknown += old.open.len() as u64;
    }

    pub fn are_idle(&self) -> bool {
        self.all.iter().all(|client| client.open() == 0)
    }

    pub fn keys(&self) -> usize {
        self.work.keys as usize
    }

    /// All calls, in the order in which they were begun.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// The same as the checker reads it.
    pub fn history(&self) -> History<KvInput, KvOutput> {
        self.recorder.history()
    }
}

fn name(key: usize) -> Bytes {
    format!("k{key}").into()
}

/// The part of a value that tells it from others.
fn short(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    text.split(PADDING).next().unwrap_or_default().to_owned()
}

fn input(op: Option<&Op>) -> KvInput {
    match op {
        None => KvInput::Get,
        Some(Op::Put { value, .. }) => KvInput::Put(short(value)),
        Some(Op::Delete { .. }) => KvInput::Delete,
        Some(Op::Cas { expect, value, .. }) => {
            let from = match expect {
                Expect::Value(from) => Some(short(from)),
                Expect::Absent | Expect::Version(_) => None,
            };
            KvInput::Cas { from, to: short(value) }
        }
    }
}

fn answer(is_read: bool, result: &Bytes) -> Answer {
    if is_read {
        match QueryResult::decode(result) {
            Ok(QueryResult::Got { revision, found }) => Answer::Got { revision, found },
            other => panic!("a read gives something else than a value: {other:?}"),
        }
    } else {
        match OpResult::decode(result) {
            Ok(result) => Answer::Changed(result),
            Err(error) => panic!("a result that cannot be read: {error}"),
        }
    }
}

fn output(answer: &Answer) -> KvOutput {
    match answer {
        Answer::Got { found, .. } => {
            KvOutput::Got(found.as_ref().map(|kv| (short(&kv.value), Some(kv.meta.version))))
        }
        Answer::Changed(OpResult::Put { meta }) => KvOutput::Put(Some(meta.version)),
        Answer::Changed(OpResult::Deleted { existed, .. }) => KvOutput::Deleted(*existed),
        Answer::Changed(OpResult::Swapped { .. }) => KvOutput::Swapped(true),
        Answer::Changed(OpResult::NotSwapped { .. }) => KvOutput::Swapped(false),
        other => panic!("a command within all limits is answered with {other:?}"),
    }
}
