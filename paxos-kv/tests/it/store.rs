//! The store against a model that keeps everything.

use bytes::Bytes;
use paxos_core::{Applied, StateMachine};
use paxos_kv::op::Meta;
use paxos_kv::store::{HISTORY_BYTES_MAX, HISTORY_REVISIONS_MAX, RevisionError};
use paxos_kv::{
    Expect, KeyValue, Limit, Op, OpResult, Query, QueryResult, Range, RangePage, Store,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Every state that the store ever had, by revision.
#[derive(Debug, Default)]
struct Model {
    states: Vec<BTreeMap<Bytes, (Bytes, Meta)>>,
}

impl Model {
    fn new() -> Model {
        Model { states: vec![BTreeMap::new()] }
    }

    fn revision(&self) -> u64 {
        self.states.len() as u64
    }

    fn now(&self) -> &BTreeMap<Bytes, (Bytes, Meta)> {
        &self.states[self.states.len() - 1]
    }

    fn run(&mut self, op: &Op) -> OpResult {
        match op {
            Op::Put { key, value } => OpResult::Put { meta: self.put(key, value) },
            Op::Delete { key } => {
                let mut next = self.now().clone();
                let existed = next.remove(key).is_some();
                if existed {
                    self.states.push(next);
                }
                OpResult::Deleted { revision: self.revision(), existed }
            }
            Op::Cas { key, expect, value } => {
                let found = self.now().get(key).cloned();
                let expected = match expect {
                    Expect::Absent => found.is_none(),
                    Expect::Value(value) => found.as_ref().is_some_and(|(found, _)| found == value),
                    Expect::Version(version) => {
                        found.as_ref().map_or(0, |(_, meta)| meta.version) == *version
                    }
                };
                if expected {
                    return OpResult::Swapped { meta: self.put(key, value) };
                }
                let found = found.map(|(_, meta)| meta);
                OpResult::NotSwapped { revision: self.revision(), found }
            }
        }
    }

    fn put(&mut self, key: &Bytes, value: &Bytes) -> Meta {
        let mut next = self.now().clone();
        let mod_revision = self.revision() + 1;
        let meta = match next.get(key) {
            Some((_, old)) => Meta { mod_revision, version: old.version + 1, ..*old },
            None => Meta { create_revision: mod_revision, mod_revision, version: 1 },
        };
        next.insert(key.clone(), (value.clone(), meta));
        self.states.push(next);
        meta
    }

    fn at(&self, key: &[u8], revision: u64) -> Option<KeyValue> {
        let (key, (value, meta)) = self.states[revision as usize - 1].get_key_value(key)?;
        Some(KeyValue { key: key.clone(), value: value.clone(), meta: *meta })
    }
}

fn apply(store: &mut Store, op: &Op) -> OpResult {
    let command = op.encode().unwrap();
    OpResult::decode(&store.apply(Applied::default(), &command)).unwrap()
}

fn put(store: &mut Store, key: &'static str, value: &'static str) -> OpResult {
    apply(store, &Op::Put { key: Bytes::from_static(key.as_bytes()), value: value.into() })
}

fn page(store: &Store, range: &Range) -> Result<RangePage, RevisionError> {
    let query = Query::Range(range.clone()).encode().unwrap();
    match QueryResult::decode(&store.query(&query)).unwrap() {
        QueryResult::Range(page) => Ok(page),
        QueryResult::NotKept(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn keys(page: &RangePage) -> Vec<&str> {
    page.found.iter().map(|found| std::str::from_utf8(&found.key).unwrap()).collect()
}

fn op() -> impl Strategy<Value = Op> {
    let key = || prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(Bytes::from);
    let value = || prop::sample::select(vec!["", "x", "y"]).prop_map(Bytes::from);
    let expect = prop_oneof![
        Just(Expect::Absent),
        value().prop_map(Expect::Value),
        (0u64..4).prop_map(Expect::Version),
    ];
    prop_oneof![
        3 => (key(), value()).prop_map(|(key, value)| Op::Put { key, value }),
        2 => key().prop_map(|key| Op::Delete { key }),
        3 => (key(), expect, value())
            .prop_map(|(key, expect, value)| Op::Cas { key, expect, value }),
    ]
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(ops in proptest::collection::vec(op(), 0..120)) {
        let (mut store, mut model) = (Store::new(), Model::new());
        for op in &ops {
            let (revision, digest) = (store.revision(), store.digest());
            prop_assert_eq!(apply(&mut store, op), model.run(op), "{:?}", op);
            prop_assert_eq!(store.revision(), model.revision());
            prop_assert_eq!(store.len(), model.now().len() as u64);
            prop_assert_eq!(store.digest() != digest, store.revision() != revision);
        }
        for revision in 1..=model.revision() {
            for key in ["a", "b", "c", "d"] {
                let found = store.at(key.as_bytes(), revision);
                prop_assert_eq!(found, Ok(model.at(key.as_bytes(), revision)));
            }
        }
        for revision in 1..=model.revision() {
            let range = Range { revision: Some(revision), limit: 2, ..Range::prefix("") };
            let mut page = page(&store, &range).unwrap();
            let mut found = page.found;
            while let Some(from) = page.next {
                page = self::page(&store, &Range { from, ..range.clone() }).unwrap();
                prop_assert!((1..=2).contains(&page.found.len()) && page.revision == revision);
                found.extend(page.found);
            }
            let expected = ["a", "b", "c", "d"].map(|key| model.at(key.as_bytes(), revision));
            prop_assert_eq!(found, expected.into_iter().flatten().collect::<Vec<_>>());
        }
        // A replica that applies the same has the same digest.
        let mut replica = Store::new();
        for op in &ops {
            apply(&mut replica, op);
        }
        prop_assert_eq!(replica.digest(), store.digest());
    }
}

#[test]
fn digests_tell_states_apart() {
    let of = |puts: &[(&'static str, &'static str)]| {
        let mut store = Store::new();
        for (key, value) in puts {
            put(&mut store, key, value);
        }
        store.digest()
    };
    let states = [
        of(&[]),
        of(&[("a", "x")]),
        of(&[("a", "y")]),
        of(&[("b", "x")]),
        of(&[("a", ""), ("b", "")]),
        of(&[("b", ""), ("a", "")]),
        of(&[("a", "x"), ("a", "x")]),
        of(&[("ax", ""), ("a", "x")]),
    ];
    for (i, one) in states.iter().enumerate() {
        assert!(states[..i].iter().all(|other| other != one), "state {i} has another's digest");
    }
}

#[test]
fn revisions_and_versions_are_those_of_etcd() {
    let mut store = Store::new();
    assert_eq!(store.revision(), 1);
    let meta =
        |create_revision, mod_revision, version| Meta { create_revision, mod_revision, version };
    assert_eq!(put(&mut store, "a", "1"), OpResult::Put { meta: meta(2, 2, 1) });
    assert_eq!(put(&mut store, "a", "2"), OpResult::Put { meta: meta(2, 3, 2) });
    let delete = Op::Delete { key: "a".into() };
    assert_eq!(apply(&mut store, &delete), OpResult::Deleted { revision: 4, existed: true });
    assert_eq!(apply(&mut store, &delete), OpResult::Deleted { revision: 4, existed: false });
    assert_eq!(put(&mut store, "a", "3"), OpResult::Put { meta: meta(5, 5, 1) });
}

#[test]
fn overwriting_levels_off() {
    let mut store = Store::new();
    for i in 0..20_000u64 {
        let key = Bytes::from(format!("key-{}", i % 100));
        apply(&mut store, &Op::Put { key, value: Bytes::from(vec![0; 10]) });
    }
    let (versions, _) = store.history();
    assert!(versions <= HISTORY_REVISIONS_MAX, "{versions}");
    assert_eq!(store.len(), 100);
    let newest = store.revision();
    assert!(store.at(b"key-0", newest - HISTORY_REVISIONS_MAX + 1).unwrap().is_some());
    let compacted = store.at(b"key-0", newest - HISTORY_REVISIONS_MAX - 1);
    assert!(matches!(compacted, Err(RevisionError::Compacted { .. })), "{compacted:?}");
    assert!(matches!(store.at(b"key-0", newest + 1), Err(RevisionError::Future { .. })));
}

#[test]
fn history_is_bounded_in_bytes_too() {
    let mut store = Store::new();
    for _ in 0..100 {
        apply(&mut store, &Op::Put { key: "big".into(), value: Bytes::from(vec![7; 1 << 20]) });
    }
    let (versions, bytes) = store.history();
    assert!(bytes <= HISTORY_BYTES_MAX && versions < 64, "{versions} versions, {bytes} bytes");
    assert_eq!(store.value(b"big").unwrap().meta.version, 100);
}

#[test]
fn deleted_keys_are_forgotten() {
    let mut store = Store::new();
    for i in 0..5_000u64 {
        let key = Bytes::from(format!("key-{i}"));
        apply(&mut store, &Op::Put { key: key.clone(), value: "x".into() });
        apply(&mut store, &Op::Delete { key });
    }
    assert!(store.is_empty());
    let (versions, bytes) = store.history();
    assert!(versions <= HISTORY_REVISIONS_MAX && bytes < 100_000, "{versions}, {bytes}");
}

#[test]
fn what_is_over_a_limit_is_refused_and_changes_nothing() {
    let mut store = Store::new();
    let digest = store.digest();
    for (command, limit) in [
        (Bytes::from_static(b"\x00\x00\x01x"), Limit::KeyEmpty),
        (Bytes::from_static(b"nonsense"), Limit::Unreadable),
        (Bytes::from(vec![0; (3 << 19) + 1]), Limit::Request((3 << 19) + 1)),
    ] {
        let result = store.apply(Applied::default(), &command);
        assert_eq!(OpResult::decode(&result).unwrap(), OpResult::Refused(limit));
    }
    assert_eq!((store.revision(), store.digest()), (1, digest));
    let result = store.query(&Bytes::from_static(b"\x00\x00"));
    assert_eq!(QueryResult::decode(&result).unwrap(), QueryResult::Refused(Limit::KeyEmpty));
}

#[test]
fn a_query_gets_what_was_put() {
    let mut store = Store::new();
    put(&mut store, "a", "x");
    let query = Query::Get { key: "a".into() }.encode().unwrap();
    let result = QueryResult::decode(&store.query(&query)).unwrap();
    let meta = Meta { create_revision: 2, mod_revision: 2, version: 1 };
    let found = Some(KeyValue { key: "a".into(), value: "x".into(), meta });
    assert_eq!(result, QueryResult::Got { revision: 2, found });
}

#[test]
fn a_range_begins_with_its_first_key_and_ends_before_its_last() {
    let mut store = Store::new();
    for key in ["a", "a/1", "a/2", "a/3", "a0", "b"] {
        put(&mut store, key, key);
    }
    let found = |range: Range| {
        let page = page(&store, &range).unwrap();
        (keys(&page).join(" "), page.next)
    };
    assert_eq!(found(Range::prefix("a/")), ("a/1 a/2 a/3".into(), None));
    assert_eq!(found(Range::prefix("")), ("a a/1 a/2 a/3 a0 b".into(), None));
    assert_eq!(found(Range::prefix("c")), (String::new(), None));
    let to_b = Range { to: Some("b".into()), ..Range::prefix("a/3") };
    assert_eq!(found(to_b), ("a/3 a0".into(), None));
    let limit = |limit| Range { limit, ..Range::prefix("a/") };
    assert_eq!(found(limit(2)), ("a/1 a/2".into(), Some("a/3".into())));
    assert_eq!(found(limit(3)), ("a/1 a/2 a/3".into(), None));
    assert_eq!(found(limit(0)), (String::new(), Some("a/1".into())));
    let backwards = Range { to: Some("a".into()), ..Range::prefix("b") };
    assert_eq!(found(backwards), (String::new(), None));
    let keys_only = page(&store, &Range { keys_only: true, ..Range::prefix("b") }).unwrap();
    assert_eq!((keys(&keys_only), keys_only.found[0].value.len()), (vec!["b"], 0));
    assert_eq!(keys_only.found[0].meta.version, 1);
}

#[test]
fn an_answer_has_a_bounded_number_of_bytes_and_one_key_at_least() {
    let mut store = Store::new();
    let mut put = |key: String, bytes| {
        apply(&mut store, &Op::Put { key: key.into(), value: vec![7; bytes].into() });
    };
    (0..3).for_each(|i| put(format!("big-{i}"), 1 << 20));
    (0..20_000).for_each(|i| put(format!("small-{i:05}"), 0));
    let big = page(&store, &Range::prefix("big")).unwrap();
    assert_eq!((keys(&big), &big.next), (vec!["big-0"], &Some("big-1".into())));
    let keys_only = page(&store, &Range { keys_only: true, ..Range::prefix("big") }).unwrap();
    assert_eq!((keys_only.found.len(), keys_only.next), (3, None));
    let small = page(&store, &Range { bytes_max: u64::MAX, ..Range::prefix("small") }).unwrap();
    assert_eq!(small.found.len(), (1 << 20) / (64 + 11), "small keys are not for nothing");
    let few = page(&store, &Range { bytes_max: 150, ..Range::prefix("small") }).unwrap();
    assert_eq!(keys(&few), ["small-00000", "small-00001"]);
}

#[test]
fn a_range_at_a_revision_that_is_not_kept_says_so() {
    let mut store = Store::new();
    for _ in 0..HISTORY_REVISIONS_MAX + 10 {
        put(&mut store, "a", "x");
    }
    let at = |revision| page(&store, &Range { revision: Some(revision), ..Range::prefix("") });
    let newest = store.revision();
    assert_eq!(at(newest + 1), Err(RevisionError::Future { asked: newest + 1, newest }));
    let Err(RevisionError::Compacted { asked: 5, oldest }) = at(5) else { panic!("{:?}", at(5)) };
    assert!(at(oldest - 1).is_err());
    assert_eq!(at(oldest).unwrap().found[0].meta.mod_revision, oldest);
}
