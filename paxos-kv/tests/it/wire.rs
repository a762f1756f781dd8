//! What is on the client port, byte by byte.

use crate::golden::{Golden, Vector};
use bytes::Bytes;
use paxos_actors::codec;
use paxos_core::{
    Body, ClientMsg, Command, CommandName, Incarnation, MemberId, NodeId, Reply, SessionId,
    SessionRules, Slot,
};
use paxos_kv::op::{Meta, Op, OpResult, Query, QueryResult};
use paxos_kv::wire::{REQUEST, RESPONSE, Refused, Request, Response, Status, VERSION};
use paxos_kv::{KeyValue, Limit};
use paxos_net::FrameWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

const REQUESTS: Golden = Golden { file: "requests.txt", document: "wire-format.md", word: 1 };
const RESPONSES: Golden = Golden { file: "responses.txt", document: "wire-format.md", word: 1 };

const SESSION: SessionId = SessionId { slot: Slot(4), index: 1 };
const META: Meta = Meta { create_revision: 2, mod_revision: 300, version: 9 };

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// What a client says, from its first words on.
fn requests() -> Vec<Request> {
    // A node puts its own number in place of these two.
    let command = |body| Command { client: NodeId(0), learner: NodeId(0), body };
    let put = Op::Put { key: bytes("key"), value: bytes("value") }.encode().unwrap();
    let put = Body::Run { session: SESSION, sequence: 6, acked_below: 5, value: put };
    vec![
        Request::Hello { version: VERSION },
        Request::Propose(vec![command(Body::Register { nonce: 77 })]),
        Request::Propose(vec![command(put)]),
        Request::Read { id: 5, query: Query::Get { key: bytes("key") }.encode().unwrap() },
        Request::Status,
    ]
}

/// What a node says.
fn responses() -> Vec<Response> {
    let node = MemberId { node: NodeId(2), incarnation: Incarnation(200) };
    let reply = |reply| ClientMsg::Reply { session: SESSION, sequence: 6, reply };
    let found = Some(KeyValue { key: bytes("key"), value: bytes("value"), meta: META });
    let run = CommandName::Run { session: SESSION, sequence: 6 };
    let register = CommandName::Register { nonce: 77 };
    let to_client = [
        ClientMsg::Registered { nonce: 77, session: SESSION, rules: SessionRules::default() },
        ClientMsg::NotRegistered { nonce: 77 },
        reply(Reply::Applied(OpResult::Put { meta: META }.encode())),
        reply(Reply::Applied(OpResult::Refused(Limit::Key(8193)).encode())),
        reply(Reply::Expired),
        reply(Reply::OutOfWindow),
        ClientMsg::Busy { refused: vec![register, run], retry_after_ms: 50 },
        ClientMsg::ReadReply { id: 5, result: QueryResult::Got { revision: 300, found }.encode() },
        ClientMsg::ReadBusy { id: 5, retry_after_ms: 50 },
        ClientMsg::LeaderHint { leader: NodeId(1) },
    ];
    let refused = [
        Refused::Version(VERSION),
        Refused::Connections(1024),
        Refused::Unreadable("a request out of turn".into()),
        Refused::Memory(1 << 28),
    ];
    let status = Status { node: 2, stance: "lead".into(), keys: 3, ..Status::default() };
    let mut responses = vec![Response::Hello { version: VERSION, node }];
    responses.extend(to_client.map(Response::Client));
    responses.push(Response::Status(Box::new(status)));
    responses.extend(refused.map(Response::Refused));
    responses
}

/// The values as payloads, behind the first one as a whole frame.
fn check<T>(golden: &Golden, kind: u8, values: Vec<T>)
where
    T: Serialize + DeserializeOwned + Debug + PartialEq,
{
    let mut frame = FrameWriter::new(1024);
    frame.push(kind, &values[0]).unwrap();
    let value = format!("frame 0: {:?}", values[0]);
    let mut vectors = vec![Vector::new("Frame", value, frame.bytes().to_vec())];
    for value in &values {
        let mut bytes = Vec::new();
        codec::encode(value, &mut bytes).unwrap();
        vectors.push(Vector::variant("", 2, format!("{value:?}"), bytes));
    }
    golden.check(vectors);
    let read = golden.read().into_iter().skip(1).map(|(name, bytes)| {
        codec::decode::<T>(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
    });
    assert_eq!(read.collect::<Vec<_>>(), values);
}

#[test]
fn golden_requests() {
    check(&REQUESTS, REQUEST, requests());
}

#[test]
fn golden_responses() {
    check(&RESPONSES, RESPONSE, responses());
}
