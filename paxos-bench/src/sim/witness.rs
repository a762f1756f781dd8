//! What was applied, and whether it explains all that clients saw.
//!
//! Every learner's store tells here what it applies, so the one order of all commands is known, and
//! nothing need be searched: a model of the store, which shares no code with it, goes through that
//! order, and every answer must be what the model gives. Answers tell the revision of the store, so
//! that even a read has its place. That order must also agree with time (Herlihy and Wing, 1990).

use super::clients::{Answer, Call};
use bytes::Bytes;
use paxos_core::{Applied, Slot, SnapshotParts, StateMachine, Unrestorable};
use paxos_kv::op::{Expect, KeyValue, Meta, Op, OpResult};
use paxos_kv::store::Store;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What was applied, by slot and place in the entry. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness(Rc<RefCell<BTreeMap<(Slot, u32), Bytes>>>);

/// A store that tells what it applies.
#[derive(Debug)]
pub(super) struct Watched {
    store: Store,
    last: (Slot, u32),
    witness: Witness,
}

impl Watched {
    pub fn new(witness: &Witness) -> Watched {
        let witness = witness.clone();
        Watched { store: Store::new(), last: (Slot::ZERO, 0), witness }
    }
}

impl StateMachine for Watched {
    fn apply(&mut self, at: Applied, command: &Bytes) -> Bytes {
        let place = (at.slot, at.index);
        assert!(place >= self.last, "invariant 8: applied {place:?} after {:?}", self.last);
        self.last = (at.slot, at.index + 1);
        let mut applied = self.witness.0.borrow_mut();
        let first = applied.entry(place).or_insert_with(|| command.clone());
        assert_eq!(first, command, "invariant 8: another command is applied at {place:?}");
        drop(applied);
        self.store.apply(at, command)
    }

    fn query(&self, query: &Bytes) -> Bytes {
        self.store.query(query)
    }

    fn digest(&self) -> u64 {
        self.store.digest()
    }

    fn snapshot(&self) -> SnapshotParts {
        self.store.snapshot()
    }

    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        self.store.restore(part)
    }
}

/// A value of a key, from a revision on; none: it was deleted.
type Value = Option<(Bytes, Meta)>;

/// The model: what the store must have answered.
#[derive(Debug)]
struct Model {
    revision: u64,
    /// The values of each key, by the revision from which on it had them.
    keys: BTreeMap<Bytes, BTreeMap<u64, Value>>,
    /// What was answered to the command that has this value: values are never written twice.
    answers: BTreeMap<Bytes, OpResult>,
    /// Revisions that deleted this key.
    deletions: BTreeSet<(Bytes, u64)>,
    /// Commands to delete a key.
    deletes: BTreeMap<Bytes, u64>,
}

impl Witness {
    /// Whether what was applied explains the answers to these calls.
    ///
    /// # Panics
    /// If it does not.
    pub fn judge(&self, calls: &[Call]) {
        let mut model = Model::new();
        for command in self.0.borrow().values() {
            model.apply(command);
        }
        let mut begun = BTreeSet::new();
        let mut told = BTreeSet::new();
        let mut deletes: BTreeMap<&Bytes, u64> = BTreeMap::new();
        for call in calls {
            match &call.op {
                Some(Op::Put { value, .. } | Op::Cas { value, .. }) => drop(begun.insert(value)),
                Some(Op::Delete { .. }) if matches!(call.answer, Some((_, Answer::NotApplied))) => {
                }
                Some(Op::Delete { key }) => *deletes.entry(key).or_default() += 1,
                None => {}
            }
            model.explain(call);
            if let Some((_, answer)) = call.answer.as_ref().filter(|(_, a)| a.is_change()) {
                assert!(told.insert(answer.revision()), "{call:?} and another made one revision");
            }
        }
        let unasked = model.answers.keys().find(|value| !begun.contains(value));
        assert!(unasked.is_none(), "{unasked:?} was applied, and nobody asked for it");
        for (key, count) in &model.deletes {
            let asked = deletes.get(key).copied().unwrap_or(0);
            assert!(*count <= asked, "{key:?} was deleted {count} times, and {asked} were asked");
        }
        agrees_with_time(calls);
    }
}

impl Model {
    fn new() -> Model {
        Model {
            revision: 1,
            keys: BTreeMap::new(),
            answers: BTreeMap::new(),
            deletions: BTreeSet::new(),
            deletes: BTreeMap::new(),
        }
    }

    fn value(&self, key: &Bytes, revision: u64) -> Value {
        let (_, value) = self.keys.get(key)?.range(..=revision).next_back()?;
        value.clone()
    }

    fn put(&mut self, key: Bytes, value: Bytes) -> Meta {
        let before = self.value(&key, self.revision);
        self.revision += 1;
        let mod_revision = self.revision;
        let (create_revision, version) =
            before.map_or((mod_revision, 1), |(_, meta)| (meta.create_revision, meta.version + 1));
        let meta = Meta { create_revision, mod_revision, version };
        self.keys.entry(key).or_default().insert(mod_revision, Some((value, meta)));
        meta
    }

    fn apply(&mut self, command: &Bytes) {
        let op: Op = paxos_actors::codec::decode(command).expect("what was written can be read");
        let (value, answer) = match op {
            Op::Put { key, value } => (value.clone(), OpResult::Put { meta: self.put(key, value) }),
            Op::Cas { key, expect, value } => {
                let found = self.value(&key, self.revision);
                let is_expected = match expect {
                    Expect::Absent => found.is_none(),
                    Expect::Value(expected) => found.as_ref().is_some_and(|(v, _)| *v == expected),
                    Expect::Version(version) => {
                        found.as_ref().map_or(0, |(_, meta)| meta.version) == version
                    }
                };
                let answer = if is_expected {
                    OpResult::Swapped { meta: self.put(key, value.clone()) }
                } else {
                    let found = found.map(|(_, meta)| meta);
                    OpResult::NotSwapped { revision: self.revision, found }
                };
                (value, answer)
            }
            Op::Delete { key } => {
                *self.deletes.entry(key.clone()).or_default() += 1;
                if self.value(&key, self.revision).is_some() {
                    self.revision += 1;
                    self.keys.entry(key.clone()).or_default().insert(self.revision, None);
                    self.deletions.insert((key, self.revision));
                }
                return;
            }
        };
        let text = String::from_utf8_lossy(&value).into_owned();
        let first = self.answers.insert(value, answer);
        assert!(first.is_none(), "invariant 8: {text} is applied twice");
    }

    fn explain(&self, call: &Call) {
        let key = &call.key;
        let applied = match &call.op {
            Some(Op::Put { value, .. } | Op::Cas { value, .. }) => self.answers.get(value),
            _ => None,
        };
        match &call.answer {
            Some((_, Answer::Changed(OpResult::Deleted { revision, existed }))) => {
                let is_right = match existed {
                    true => self.deletions.contains(&(key.clone(), *revision)),
                    false => self.value(key, *revision).is_none(),
                };
                assert!(is_right, "{call:?} is not what the key was like");
            }
            Some((_, Answer::Changed(result))) => {
                assert_eq!(Some(result), applied, "invariant 11: {call:?} is lost or another");
            }
            Some((_, Answer::Got { revision, found })) => {
                let right = self.value(key, *revision).map(|(value, meta)| KeyValue {
                    key: key.clone(),
                    value,
                    meta,
                });
                assert_eq!(*found, right, "{call:?} is not what was at that revision");
            }
            Some((_, Answer::NotApplied)) => {
                assert!(applied.is_none(), "{call:?} was applied nevertheless");
            }
            None => {}
        }
    }
}

/// What was answered before something else was asked has the lower revision.
fn agrees_with_time(calls: &[Call]) {
    let told = |call: &Call| {
        let (at, answer) = call.answer.as_ref()?;
        Some((*at, answer.revision()?))
    };
    let mut ends: Vec<(u64, u64)> = calls.iter().filter_map(told).collect();
    ends.sort_unstable();
    let (mut past, mut highest) = (ends.into_iter().peekable(), 0);
    // Calls are in the order in which they were begun.
    for call in calls {
        while let Some((_, revision)) = past.next_if(|(at, _)| *at < call.invoked) {
            highest = highest.max(revision);
        }
        let Some((_, answer)) = &call.answer else { continue };
        let Some(revision) = answer.revision() else { continue };
        let least = if answer.is_change() { highest + 1 } else { highest };
        assert!(
            revision >= least,
            "stale: revision {highest} had been told before {call:?} was asked"
        );
    }
}
