//! Commands and queries as bytes. The bytes are a part of the log's format.

use bytes::Bytes;
use paxos_kv::op::{
    ExpectRef, KEY_BYTES_MAX, Limit, Meta, OpRef, QueryRef, REQUEST_BYTES_MAX, RevisionError,
    VALUE_BYTES_MAX,
};
use paxos_kv::{Expect, KeyValue, Op, OpResult, Query, QueryResult, Range, RangePage};
use proptest::prelude::*;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn cas(expect: Expect) -> Op {
    Op::Cas { key: bytes("k"), expect, value: bytes("new") }
}

#[test]
fn golden() {
    let put = Op::Put { key: bytes("key"), value: bytes("value") };
    assert_eq!(put.encode().unwrap(), b"\x00\x03key\x05value"[..]);
    let delete = Op::Delete { key: bytes("key") };
    assert_eq!(delete.encode().unwrap(), b"\x01\x03key"[..]);
    assert_eq!(cas(Expect::Absent).encode().unwrap(), b"\x02\x01k\x00\x03new"[..]);
    let value = cas(Expect::Value(bytes("old")));
    assert_eq!(value.encode().unwrap(), b"\x02\x01k\x01\x03old\x03new"[..]);
    assert_eq!(cas(Expect::Version(7)).encode().unwrap(), b"\x02\x01k\x02\x07\x03new"[..]);
    let get = Query::Get { key: bytes("key") };
    assert_eq!(get.encode().unwrap(), b"\x00\x03key"[..]);
    let range = Range {
        revision: Some(7),
        limit: 9,
        bytes_max: 300,
        keys_only: true,
        ..Range::prefix("key")
    };
    let golden = b"\x01\x03key\x01\x03kez\x01\x07\x09\xfb\x2c\x01\x01";
    assert_eq!(Query::Range(range).encode().unwrap(), golden[..]);
    let all = Query::Range(Range { limit: 1, bytes_max: 2, ..Range::prefix("") });
    assert_eq!(all.encode().unwrap(), b"\x01\x00\x00\x00\x01\x02\x00"[..]);
}

#[test]
fn golden_results() {
    let meta = Meta { create_revision: 2, mod_revision: 300, version: 9 };
    let results = [
        (OpResult::Put { meta }, &b"\x00\x02\xfb\x2c\x01\x09"[..]),
        (OpResult::Deleted { revision: 4, existed: true }, b"\x01\x04\x01"),
        (OpResult::Swapped { meta }, b"\x02\x02\xfb\x2c\x01\x09"),
        (OpResult::NotSwapped { revision: 4, found: None }, b"\x03\x04\x00"),
        (
            OpResult::NotSwapped { revision: 4, found: Some(meta) },
            b"\x03\x04\x01\x02\xfb\x2c\x01\x09",
        ),
        (OpResult::Refused(Limit::KeyEmpty), b"\x04\x00"),
    ];
    for (result, golden) in results {
        assert_eq!(result.encode(), golden, "{result:?}");
        assert_eq!(OpResult::decode(golden).unwrap(), result);
    }
    let found = Some(KeyValue { key: bytes("k"), value: bytes("v"), meta });
    let got = QueryResult::Got { revision: 5, found };
    assert_eq!(got.encode(), b"\x00\x05\x01\x01k\x01v\x02\xfb\x2c\x01\x09"[..]);
    assert_eq!(QueryResult::decode(&got.encode()).unwrap(), got);
    let found = vec![KeyValue { key: bytes("k"), value: bytes("v"), meta }];
    let compacted = RevisionError::Compacted { asked: 3, oldest: 8 };
    let results = [
        (
            QueryResult::Range(RangePage { revision: 5, found, next: Some(bytes("l")) }),
            &b"\x02\x05\x01\x01k\x01v\x02\xfb\x2c\x01\x09\x01\x01l"[..],
        ),
        (QueryResult::NotKept(compacted), b"\x03\x00\x03\x08"),
        (QueryResult::NotKept(RevisionError::Future { asked: 9, newest: 8 }), b"\x03\x01\x09\x08"),
    ];
    for (result, golden) in results {
        assert_eq!(result.encode(), golden, "{result:?}");
        assert_eq!(QueryResult::decode(golden).unwrap(), result);
    }
}

#[test]
fn a_prefix_ends_before_the_first_key_that_does_not_have_it() {
    let end = |prefix: &'static [u8]| Range::prefix(prefix).to;
    assert_eq!(end(b"a"), Some(bytes("b")));
    assert_eq!(end(b"a/\xff\xff"), Some(bytes("a0")));
    assert_eq!((end(b""), end(b"\xff\xff")), (None, None));
}

#[test]
fn limits() {
    let sized = |length| Bytes::from(vec![b'x'; length]);
    let put = |key, value| Op::Put { key: sized(key), value: sized(value) }.encode().map(|_| ());
    assert_eq!(put(0, 1), Err(Limit::KeyEmpty));
    assert_eq!(put(1, 0), Ok(()), "a value may be empty");
    assert_eq!(put(KEY_BYTES_MAX, VALUE_BYTES_MAX), Ok(()));
    assert_eq!(put(KEY_BYTES_MAX + 1, 1), Err(Limit::Key(8193)));
    assert_eq!(put(1, VALUE_BYTES_MAX + 1), Err(Limit::Value(1_048_577)));

    let cas = |expected, value| {
        let expect = Expect::Value(sized(expected));
        Op::Cas { key: sized(1), expect, value: sized(value) }.encode().map(|_| ())
    };
    assert_eq!(cas(VALUE_BYTES_MAX, 1 << 18), Ok(()));
    assert_eq!(cas(VALUE_BYTES_MAX + 1, 1), Err(Limit::Value(1_048_577)));
    assert!(matches!(cas(VALUE_BYTES_MAX, VALUE_BYTES_MAX), Err(Limit::Request(_))));

    let to = |length| {
        let range = Range { to: Some(sized(length)), ..Range::prefix("") };
        Query::Range(range).encode().map(|_| ())
    };
    assert_eq!((to(0), to(KEY_BYTES_MAX)), (Ok(()), Ok(())));
    assert_eq!(to(KEY_BYTES_MAX + 1), Err(Limit::Key(8193)));
    let prefix = Query::Range(Range::prefix(sized(KEY_BYTES_MAX + 1))).encode();
    assert_eq!(prefix, Err(Limit::Key(8193)));
    let get = |key| Query::Get { key: sized(key) }.encode().map(|_| ());
    assert_eq!(get(0), Err(Limit::KeyEmpty));
    assert_eq!(get(KEY_BYTES_MAX + 1), Err(Limit::Key(8193)));
    assert_eq!((KEY_BYTES_MAX, VALUE_BYTES_MAX, REQUEST_BYTES_MAX), (8192, 1_048_576, 1_572_864));
    let taken = paxos_core::Limits::default().value_bytes_max;
    assert!(REQUEST_BYTES_MAX <= taken, "no proposer or learner refuses what the door lets in");
}

#[test]
fn what_is_no_command_is_refused() {
    for garbage in
        [&b""[..], b"\x09", b"\x00\x03ke", b"\x01\x03keyrest", b"\x01\xfd\xff\xff\xff\xff"]
    {
        assert_eq!(OpRef::decode(garbage), Err(Limit::Unreadable), "{garbage:?}");
        assert_eq!(QueryRef::decode(garbage), Err(Limit::Unreadable), "{garbage:?}");
    }
}

fn op() -> impl Strategy<Value = Op> {
    let data = || proptest::collection::vec(any::<u8>(), 1..40).prop_map(Bytes::from);
    let expect = prop_oneof![
        Just(Expect::Absent),
        data().prop_map(Expect::Value),
        any::<u64>().prop_map(Expect::Version),
    ];
    prop_oneof![
        (data(), data()).prop_map(|(key, value)| Op::Put { key, value }),
        data().prop_map(|key| Op::Delete { key }),
        (data(), expect, data()).prop_map(|(key, expect, value)| Op::Cas { key, expect, value }),
    ]
}

fn owned(op: &OpRef<'_>) -> Op {
    let own = |part: &[u8]| Bytes::copy_from_slice(part);
    match op {
        OpRef::Put { key, value } => Op::Put { key: own(key), value: own(value) },
        OpRef::Delete { key } => Op::Delete { key: own(key) },
        OpRef::Cas { key, expect, value } => {
            let expect = match expect {
                ExpectRef::Absent => Expect::Absent,
                ExpectRef::Value(value) => Expect::Value(own(value)),
                ExpectRef::Version(version) => Expect::Version(*version),
            };
            Op::Cas { key: own(key), expect, value: own(value) }
        }
    }
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(op in op()) {
        let encoded = op.encode().unwrap();
        prop_assert_eq!(owned(&OpRef::decode(&encoded).unwrap()), op);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = OpRef::decode(&bytes);
        let _ = QueryRef::decode(&bytes);
        let _ = OpResult::decode(&bytes);
        let _ = QueryResult::decode(&bytes);
    }
}
