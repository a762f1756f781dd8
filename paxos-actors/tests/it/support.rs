//! A role that does what it is told, a log that is worked by hand, and a mailbox that remembers.

use actix::prelude::*;
use bytes::Bytes;
use paxos_actors::role_actor::{Hosted, RoleActor};
use paxos_actors::wal::MemoryLog;
use paxos_actors::{Envelope, Log, LogEvent, Routes};
use paxos_core::{
    Applied, ClientMsg, Incarnation, MemberId, NodeId, Now, Outgoing, Output, Record, Role,
    RoleName, SnapshotParts, StateMachine, Unrestorable,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

pub const ME: MemberId = member(1);
/// Where the fake role sends its mail.
pub const SINK: NodeId = NodeId(9);

pub const fn member(node: u64) -> MemberId {
    MemberId { node: NodeId(node), incarnation: Incarnation(node) }
}

/// What the fake role is told to do in one step.
#[derive(Clone, Debug)]
pub enum Order {
    /// Send mail.
    Mail(u64),
    /// Store a record, and send mail with the same number.
    Store(u64),
    /// Send feed.
    Feed(u64),
    /// Break.
    Panic,
}

/// The fake role: remembers what it stored and counts its ticks.
#[derive(Debug, Default)]
pub struct Puppet {
    pub stored: Vec<u64>,
    pub ticks: u64,
}

impl Role for Puppet {
    type Msg = Order;
    type Record = u64;

    fn receive(&mut self, _: Now, _: MemberId, order: Order, out: &mut Output<u64>) {
        let mail = |n| ClientMsg::LeaderHint { leader: NodeId(n) };
        match order {
            Order::Mail(n) => out.send(SINK, mail(n)),
            Order::Store(n) => {
                out.records.push(n);
                self.replay(n);
                out.send(SINK, mail(n));
            }
            Order::Feed(n) => out.feed.push(Outgoing { to: SINK, packet: mail(n).into() }),
            Order::Panic => panic!("told to"),
        }
    }

    fn tick(&mut self, _: Now, _: &mut Output<u64>) {
        self.ticks += 1;
    }

    fn replay(&mut self, record: u64) {
        self.stored.push(record);
    }
}

impl Hosted for Puppet {
    const NAME: RoleName = RoleName::Acceptor;
    type Desk = ();
    type Log = dyn Log<u64>;
}

pub type PuppetActor = RoleActor<Puppet>;

/// Tells the fake role what to do.
pub fn tell(puppet: &Addr<PuppetActor>, order: Order) {
    puppet.do_send(Envelope::new(member(2), ME.node, order));
}

/// A log that is durable when the test says so. Both the actor's side and the test's.
#[derive(Clone, Default)]
pub struct HandLog(Arc<Mutex<Hand>>);

#[derive(Default)]
pub struct Hand {
    pub appended: Vec<u64>,
    pub appends: u64,
    pub epoch: u64,
    events: Option<Recipient<LogEvent<u64>>>,
}

impl HandLog {
    pub fn lock(&self) -> MutexGuard<'_, Hand> {
        self.0.lock().expect("no test panicked with it")
    }

    pub fn event(&self, event: LogEvent<u64>) {
        self.lock().events.as_ref().expect("the log was opened").do_send(event);
    }

    pub fn ready(&self, lsn: u64) {
        let epoch = self.lock().epoch;
        self.event(LogEvent::Ready { epoch, lsn });
    }

    pub fn durable(&self, lsn: u64) {
        let epoch = self.lock().epoch;
        self.event(LogEvent::Durable { epoch, lsn });
    }

    /// The actor's side; `closed` becomes true when the actor lets go of it.
    pub fn side(&self, closed: &Arc<AtomicBool>) -> Box<dyn Log<u64>> {
        Box::new(Side(self.clone(), closed.clone()))
    }
}

struct Side(HandLog, Arc<AtomicBool>);

impl Log<u64> for Side {
    fn open(&mut self, epoch: u64, events: Recipient<LogEvent<u64>>) {
        let mut hand = self.0.lock();
        hand.epoch = epoch;
        hand.events = Some(events);
    }

    fn append(&mut self, epoch: u64, records: &mut Vec<u64>) -> Option<u64> {
        let mut hand = self.0.lock();
        assert_eq!(epoch, hand.epoch);
        hand.appended.append(records);
        hand.appends += 1;
        None
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
    }
}

/// Remembers the numbers that were mailed to it.
#[derive(Default)]
pub struct Sink {
    pub seen: Vec<u64>,
    pub capacity: Option<usize>,
}

#[derive(Message)]
#[rtype(result = "Vec<u64>")]
pub struct Seen;

impl Actor for Sink {
    type Context = Context<Sink>;

    fn started(&mut self, ctx: &mut Context<Sink>) {
        ctx.set_mailbox_capacity(self.capacity.unwrap_or(1000));
    }
}

impl Handler<Envelope<ClientMsg>> for Sink {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ClientMsg>, _: &mut Context<Sink>) {
        for msg in envelope.messages() {
            if let ClientMsg::LeaderHint { leader } = msg {
                self.seen.push(leader.0);
            }
        }
    }
}

impl Handler<Seen> for Sink {
    type Result = Vec<u64>;

    fn handle(&mut self, _: Seen, _: &mut Context<Sink>) -> Vec<u64> {
        self.seen.clone()
    }
}

/// A table that leads to the sink alone.
pub fn to_sink(sink: &Addr<Sink>) -> Arc<Routes> {
    Arc::new(Routes::new().client(SINK, sink.clone().recipient()))
}

/// Ends the sink.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Halt;

impl Handler<Halt> for Sink {
    type Result = ();

    fn handle(&mut self, _: Halt, ctx: &mut Context<Sink>) {
        ctx.stop();
    }
}

/// A state that counts each command, and answers with how often it has seen it. The command `panic`
/// breaks it.
#[derive(Debug, Default)]
pub struct Tally(pub BTreeMap<Bytes, u64>);

impl StateMachine for Tally {
    fn apply(&mut self, _: Applied, command: &Bytes) -> Bytes {
        assert_ne!(command, "panic", "told to");
        let count = self.0.entry(command.clone()).or_default();
        *count += 1;
        count.to_string().into()
    }

    fn query(&self, query: &Bytes) -> Bytes {
        self.0.get(query).copied().unwrap_or_default().to_string().into()
    }

    fn digest(&self) -> u64 {
        let mix = |digest: u64, byte: &u8| digest.wrapping_mul(31).wrapping_add((*byte).into());
        self.0.iter().fold(0, |digest, (key, count)| key.iter().fold(digest, mix) ^ count)
    }

    fn snapshot(&self) -> SnapshotParts {
        // A part for each key: its count, and the key.
        let part = |(key, count): (Bytes, u64)| [&count.to_le_bytes(), &key[..]].concat().into();
        Box::new(self.0.clone().into_iter().map(part))
    }

    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        let (count, key) =
            part.split_first_chunk().ok_or(Unrestorable("a part without a count"))?;
        self.0.insert(part.slice_ref(key), u64::from_le_bytes(*count));
        Ok(())
    }
}

pub fn memory() -> Box<dyn Log<Record>> {
    Box::new(MemoryLog::new())
}
