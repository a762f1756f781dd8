//! Exhaustive tables: every message of a role, in every state that matters to it, with the whole
//! output that must follow. Anything that is not in a row's output must not happen.

pub mod acceptor;
pub mod client;
mod formation;
mod learner;
pub mod proposer;
pub mod session;

use bytes::Bytes;
use paxos_core::*;
use std::fmt::Debug;
use std::sync::Arc;

/// The time at which every state of the tables stands.
const T0: Now = Now(10_000_000);

/// The client of every command.
const CLIENT: MemberId = MemberId { node: NodeId(9), incarnation: Incarnation(9) };

/// Nobody's member: the node is one of the cluster, the data directory is not.
const STRANGER: MemberId = MemberId { node: NodeId(2), incarnation: Incarnation(666) };

/// One message, and all that must follow from it.
struct Row<R: Role> {
    name: &'static str,
    now: Now,
    from: MemberId,
    msg: R::Msg,
    then: Output<R::Record>,
}

/// A row at `T0`.
fn row<R: Role>(
    name: &'static str,
    from: MemberId,
    msg: R::Msg,
    then: Output<R::Record>,
) -> Row<R> {
    Row { name, now: T0, from, msg, then }
}

/// Checks each row on a role that is in the state that `make` makes.
fn check<R: Role>(state: &str, make: impl Fn() -> R, rows: impl IntoIterator<Item = Row<R>>)
where
    R::Record: PartialEq,
{
    for Row { name, now, from, msg, then } in rows {
        let mut out = Output::new();
        let mut role = make();
        role.receive(now, from, msg.clone(), &mut out);
        role.flush(now, &mut out);
        assert_whole(&format!("{state}: {name}: {msg:?}"), &out, &then);
    }
}

/// Lets time pass until `now`, and gives back the output.
fn tick<R: Role>(role: &mut R, now: Now) -> Output<R::Record> {
    let mut out = Output::new();
    role.tick(now, &mut out);
    out
}

/// Delivers one message at `T0`, and gives back the output.
fn tell<R: Role>(role: &mut R, from: MemberId, msg: R::Msg) -> Output<R::Record> {
    let mut out = Output::new();
    role.receive(T0, from, msg, &mut out);
    role.flush(T0, &mut out);
    out
}

fn assert_whole<R: Debug + PartialEq>(what: &str, out: &Output<R>, then: &Output<R>) {
    assert!(out == then, "{what}\n  gave     {out:#?}\n  and not  {then:#?}");
}

/// Nothing happens.
fn nothing<R>() -> Output<R> {
    Output::new()
}

/// Mail only.
fn mail<R, P: Into<Packet>>(mail: impl IntoIterator<Item = (u64, P)>) -> Output<R> {
    let mut out = Output::new();
    mail.into_iter().for_each(|(to, packet)| out.send(NodeId(to), packet));
    out
}

/// The same to each of the three nodes.
fn to_all<R>(msg: impl Into<Packet>) -> Output<R> {
    let packet = msg.into();
    mail([1, 2, 3].map(|to| (to, packet.clone())))
}

/// Both outputs, one after the other.
fn and<R>(mut first: Output<R>, second: Output<R>) -> Output<R> {
    first.records.extend(second.records);
    first.mail.extend(second.mail);
    first.feed.extend(second.feed);
    first
}

fn member(node: u64) -> MemberId {
    MemberId { node: NodeId(node), incarnation: Incarnation(100 + node) }
}

/// Three nodes with all roles.
fn layout() -> Layout {
    Layout::full(&[NodeId(1), NodeId(2), NodeId(3)]).unwrap()
}

fn roster() -> Configuration {
    layout().roster(|node| Some(member(node.0).incarnation)).unwrap()
}

fn ballot(round: u64, node: u64) -> Ballot {
    Ballot { round, node: NodeId(node), life: node }
}

fn slots(from: u64, below: u64) -> SlotRange {
    SlotRange::new(Slot(from), Slot(below))
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

const SESSION: SessionId = SessionId { slot: Slot(0), index: 0 };

fn command(sequence: u64, value: &str) -> Command {
    let body = Body::Run { session: SESSION, sequence, acked_below: 0, value: bytes(value) };
    Command { client: CLIENT.node, learner: NodeId(1), body }
}

fn register(nonce: u64) -> Command {
    Command { client: CLIENT.node, learner: NodeId(1), body: Body::Register { nonce } }
}

fn batch(log_time_ms: u64, commands: impl IntoIterator<Item = Command>) -> Entry {
    Entry { log_time_ms, commands: commands.into_iter().collect::<Arc<[Command]>>() }
}

/// An entry with the one command `value`.
fn entry(value: &str) -> Entry {
    batch(0, [command(0, value)])
}

fn vote(ballot: Ballot, value: &str) -> Vote {
    Vote { ballot, entry: entry(value) }
}
