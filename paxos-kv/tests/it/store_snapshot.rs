//! A store that is restored from its snapshot is the same store.

use crate::golden::{Golden, Vector};
use bytes::Bytes;
use paxos_actors::codec;
use paxos_core::rng::Rng;
use paxos_core::{Applied, SnapshotParts, StateMachine, Unrestorable};
use paxos_kv::store::{HISTORY_REVISIONS_MAX, RevisionError};
use paxos_kv::{Expect, KeyValue, Op, Query, QueryResult, Range, Store};
use proptest::prelude::*;
use std::thread;

fn apply(store: &mut Store, op: &Op) -> Bytes {
    store.apply(Applied::default(), &op.encode().unwrap())
}

fn key(n: u64) -> Bytes {
    format!("key-{n:05}").into()
}

/// Some change; keys come and go, a few of them often.
fn op(rng: &mut Rng, keys: u64) -> Op {
    let below = if rng.between(0, 3) == 0 { 4 } else { keys };
    let key = key(rng.between(0, below));
    let value = Bytes::from(vec![rng.next_u64() as u8; rng.between(0, 40) as usize]);
    match rng.between(0, 6) {
        0 => Op::Delete { key },
        1 => Op::Cas { key, expect: Expect::Absent, value },
        _ => Op::Put { key, value },
    }
}

fn restored(parts: SnapshotParts) -> Store {
    let mut store = Store::new();
    for part in parts {
        assert!(part.len() <= 1 << 20, "a part of {} bytes", part.len());
        store.restore(&part).unwrap();
    }
    store
}

fn all(store: &Store, revision: u64) -> Result<Vec<KeyValue>, RevisionError> {
    let range = Range { revision: Some(revision), limit: u64::MAX, ..Range::prefix("") };
    let query = Query::Range(range).encode().unwrap();
    match QueryResult::decode(&store.query(&query)).unwrap() {
        QueryResult::Range(page) => {
            assert_eq!(page.next, None);
            Ok(page.found)
        }
        QueryResult::NotKept(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

/// Everything that a store tells, at every revision.
type Told = (u64, u64, u64, (u64, u64), Vec<Result<Vec<KeyValue>, RevisionError>>);

fn told(store: &Store) -> Told {
    let revisions = store.revision().saturating_sub(20)..=store.revision();
    let first = store.revision().saturating_sub(HISTORY_REVISIONS_MAX + 2).max(1);
    let looks = [first, first + 2, first + 300].into_iter().chain(revisions);
    let states = looks.map(|revision| all(store, revision)).collect();
    (store.digest(), store.revision(), store.len(), store.history(), states)
}

const GOLDEN: Golden = Golden { file: "store.txt", document: "wal-format.md", word: 1 };

#[test]
fn golden_parts() {
    let mut store = Store::new();
    let (key, value) = (Bytes::from_static(b"key"), Bytes::from_static(b"one"));
    apply(&mut store, &Op::Put { key: key.clone(), value });
    apply(&mut store, &Op::Delete { key: key.clone() });
    apply(&mut store, &Op::Put { key, value: Bytes::from_static(b"two") });
    let parts: Vec<_> = store.snapshot().collect();
    let vector = |name: &str, value: &str, part: &Bytes| Vector::new(name, value, part.to_vec());
    GOLDEN.check(vec![
        vector("Part.Header", "revision 4, of which all are kept", &parts[0]),
        vector("Part.Versions", "key = one at 2, deleted at 3, key = two at 4", &parts[1]),
    ]);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn a_restored_store_is_the_same_and_goes_on_the_same(
        (seed, before, meanwhile, after) in (any::<u64>(), 0..2500usize, 0..300usize, 0..1500usize),
        keys in prop::sample::select(vec![6, 200, 2000]),
    ) {
        let mut rng = Rng::new(seed);
        let mut store = Store::new();
        (0..before).for_each(|_| drop(apply(&mut store, &op(&mut rng, keys))));
        let expected = told(&store);
        let parts = store.snapshot();
        // Read out only when the store has gone on: it is of the moment when it was taken.
        let ops: Vec<_> = (0..meanwhile + after).map(|_| op(&mut rng, keys)).collect();
        ops[..meanwhile].iter().for_each(|op| drop(apply(&mut store, op)));
        let mut again = restored(parts);
        prop_assert_eq!(told(&again), expected);
        for op in &ops[..meanwhile] {
            apply(&mut again, op);
        }
        // It does not only look the same: it compacts at the same changes, too.
        for op in &ops[meanwhile..] {
            prop_assert_eq!(apply(&mut again, op), apply(&mut store, op));
            prop_assert_eq!(again.digest(), store.digest());
            prop_assert_eq!(again.history(), store.history());
        }
        prop_assert_eq!(told(&again), told(&store));
        let parts = |store: &Store| store.snapshot().collect::<Vec<_>>();
        prop_assert_eq!(parts(&again), parts(&store), "equal stores give equal parts");
    }
}

#[test]
fn a_snapshot_can_be_read_by_another_thread_while_the_store_is_written() {
    let mut rng = Rng::new(7);
    let mut store = Store::new();
    for n in 0..20_000 {
        apply(&mut store, &Op::Put { key: key(n), value: vec![n as u8; 100].into() });
    }
    let expected = (store.digest(), store.len(), store.history());
    let parts = store.snapshot();
    let reader = thread::spawn(move || {
        let restored = restored(parts);
        (restored.digest(), restored.len(), restored.history())
    });
    for _ in 0..20_000 {
        apply(&mut store, &op(&mut rng, 20_000));
    }
    assert_eq!(reader.join().unwrap(), expected);
    assert_ne!(store.digest(), expected.0);
}

#[test]
fn large_values_and_long_histories_come_in_parts() {
    let mut store = Store::new();
    for n in 0..50 {
        let value = Bytes::from(vec![n; 1 << 20]);
        apply(&mut store, &Op::Put { key: Bytes::from_static(b"one key"), value });
    }
    let parts: Vec<_> = store.snapshot().collect();
    assert!(parts.len() > 40, "{}", parts.len());
    assert!(parts.iter().all(|part| part.len() < (1 << 20) + (512 << 10)));
    let mut again = Store::new();
    parts.iter().for_each(|part| again.restore(part).unwrap());
    assert_eq!((again.digest(), again.history()), (store.digest(), store.history()));
}

#[test]
fn parts_that_make_no_sense_are_refused() {
    let mut store = Store::new();
    for n in 0..3 {
        apply(&mut store, &Op::Put { key: key(n), value: Bytes::new() });
    }
    let parts: Vec<_> = store.snapshot().collect();
    let refused = |parts: &[Bytes]| {
        let mut store = Store::new();
        let error = parts.iter().find_map(|part| store.restore(part).err());
        error.map(|Unrestorable(what)| what)
    };
    assert_eq!(refused(&parts), None);
    assert_eq!(refused(&parts[1..]), Some("a version from the future"));
    assert_eq!(refused(&[&parts[..], &parts[..1]].concat()), Some("a header in the wrong place"));
    assert_eq!(refused(&[&parts[..], &parts[1..]].concat()), Some("versions out of order"));
    let cut = parts[1].slice(..parts[1].len() - 1);
    assert_eq!(refused(&[parts[0].clone(), cut]), Some("a part cannot be decoded"));
}

/// A part that no store writes.
fn crafted(part: impl serde::Serialize) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode(&part, &mut bytes).unwrap();
    bytes.into()
}

#[test]
fn numbers_that_no_store_comes_to_are_refused() {
    let header = |revision: u64| crafted((0u32, revision, 1u64));
    // The variant; key, (create_revision, mod_revision, version), value of each.
    type Saved = (Bytes, (u64, u64, u64), Option<Bytes>);
    let versions = |versions: &[Saved]| crafted((1u32, versions));
    let saved = |n: u64, meta: (u64, u64, u64)| (key(n), meta, Some(Bytes::from_static(b"v")));
    let refused = |parts: &[Bytes]| {
        let mut store = Store::new();
        let error = parts.iter().find_map(|part| store.restore(part).err());
        // It is looked at and goes on without a panic, whatever it was told.
        store.digest();
        apply(&mut store, &Op::Put { key: key(1), value: Bytes::new() });
        apply(&mut store, &Op::Put { key: key(2), value: Bytes::new() });
        error.map(|Unrestorable(what)| what)
    };
    assert_eq!(refused(&[header(3), versions(&[saved(1, (2, 2, 1)), saved(2, (3, 3, 1))])]), None);
    let two = [header(3), versions(&[saved(1, (2, 2, 1)), saved(2, (2, 2, 1))])];
    assert_eq!(refused(&two), Some("two versions of one revision"));
    assert_eq!(refused(&[header(u64::MAX)]), Some("a header in the wrong place"));
    let absurd = Some("a version that counts more than its revision");
    assert_eq!(refused(&[header(3), versions(&[saved(1, (2, 2, u64::MAX))])]), absurd);
    assert_eq!(refused(&[header(3), versions(&[saved(1, (u64::MAX, 2, 1))])]), absurd);
}
