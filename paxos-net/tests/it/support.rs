//! What the tests share: messages of every kind, actors that collect mail, bridges on loopback.

use actix::prelude::*;
use bytes::Bytes;
use paxos_actors::{Envelope, Routes};
use paxos_core::{
    AcceptorMsg, Ballot, Body, ClientMsg, ClusterId, Command, CommandName, Entries, Entry,
    Incarnation, Layout, LearnerMsg, MemberId, NodeId, Packet, PromisePart, ProposerMsg, Reply,
    RoleName, SessionId, SessionRules, Slot, SlotRange, SnapshotId, Vote,
};
use paxos_net::{Bridge, BridgeEvent, BridgeOptions, Count, Patience};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

pub fn member(node: u64) -> MemberId {
    MemberId { node: NodeId(node), incarnation: Incarnation(node * 100) }
}

pub fn ballot() -> Ballot {
    Ballot { round: 3, node: NodeId(1), life: 9 }
}

pub fn session() -> SessionId {
    SessionId { slot: Slot(4), index: 1 }
}

pub fn command(value: &[u8]) -> Command {
    let value = Bytes::copy_from_slice(value);
    let body = Body::Run { session: session(), sequence: 6, acked_below: 5, value };
    Command { client: NodeId(1), learner: NodeId(2), body }
}

pub fn entry() -> Entry {
    let register = Body::Register { nonce: 77 };
    let register = Command { client: NodeId(1), learner: NodeId(2), body: register };
    Entry { log_time_ms: 12, commands: Arc::new([command(b"value"), register]) }
}

pub fn snapshot() -> SnapshotId {
    SnapshotId { below: Slot(8), log_time_ms: 3, bytes: 9, crc: 0xFEED }
}

/// One sound message of every kind for every role.
pub fn samples() -> Vec<Packet> {
    let (ballot, slot, id, hops, nonce) = (ballot(), Slot(8), 5, 1, 77);
    let slots = SlotRange::new(Slot(2), Slot(9));
    let vote = Vote { ballot, entry: entry() };
    let roster = Layout::full(&[NodeId(1), NodeId(2), NodeId(3)])
        .unwrap()
        .roster(|node| Some(Incarnation(node.0)))
        .unwrap();
    let part = PromisePart {
        trimmed: Slot(1),
        chosen_below: slot,
        log_time_ms: 3,
        from: slot,
        below: Some(Slot(20)),
        votes: vec![(Slot(9), vote.clone()), (Slot(12), vote.clone())],
    };
    let entries = Entries {
        from: Slot(3),
        entries: vec![entry(), Entry::noop(13)],
        chosen_below: slot,
        trimmed: Slot(1),
    };
    let refused =
        vec![CommandName::Register { nonce }, CommandName::Run { session: session(), sequence: 6 }];
    let (sequence, retry_after_ms) = (6, 20);
    let reply = |reply| ClientMsg::Reply { session: session(), sequence, reply };
    let acceptor = [
        AcceptorMsg::Introduce { stored: Some(ClusterId(7)), formed: true },
        AcceptorMsg::AskRoster { role: RoleName::Learner },
        AcceptorMsg::Poll { attempt: 2 },
        AcceptorMsg::Prepare { ballot, from: Slot::ZERO },
        AcceptorMsg::Accept { ballot, slot, entry: entry(), chosen: slots },
        AcceptorMsg::Heartbeat { ballot, round: 4, chosen: SlotRange::default() },
        AcceptorMsg::Fetch { from: slot, role: RoleName::Acceptor },
        AcceptorMsg::Entries(entries.clone()),
        AcceptorMsg::Covered { cluster: ClusterId(7), below: slot, log_time_ms: 3 },
    ];
    let proposer = [
        ProposerMsg::Roster(Box::new(roster.clone())),
        ProposerMsg::Propose { commands: vec![command(b"x")], hops },
        ProposerMsg::Polled { attempt: 2, consent: true, promised: Ballot::ZERO },
        ProposerMsg::Promise { ballot, part: Box::new(part) },
        ProposerMsg::Accepted { ballot, slots },
        ProposerMsg::HeartbeatAck { ballot, round: 4, chosen_below: slot },
        ProposerMsg::Reject { ballot, promised: ballot },
        ProposerMsg::Leading { ballot },
        ProposerMsg::Progress {
            life: 1,
            applied_below: slot,
            log_time_ms: 3,
            expiry_ms: Some(60_003),
        },
        ProposerMsg::AskReadIndex { learner: NodeId(2), id, hops },
    ];
    let learner = [
        LearnerMsg::Roster(Box::new(roster)),
        LearnerMsg::Voted { slot, vote },
        LearnerMsg::Chosen { ballot, slots },
        LearnerMsg::Entries(entries),
        LearnerMsg::Read { id, query: Bytes::from_static(b"query") },
        LearnerMsg::ReadIndex { id, below: slot },
        LearnerMsg::FetchSnapshot { id: Some(snapshot()), offset: 4 },
        LearnerMsg::SnapshotPart { id: snapshot(), offset: 4, data: Bytes::from_static(b"bytes") },
        LearnerMsg::NoSnapshot { id: None },
    ];
    let client = [
        ClientMsg::Registered { nonce, session: session(), rules: SessionRules::default() },
        ClientMsg::TooLarge { session: session(), sequence: 1, bytes: 5, bytes_max: 4 },
        ClientMsg::NotRegistered { nonce },
        reply(Reply::Applied(Bytes::from_static(b"result"))),
        reply(Reply::Expired),
        reply(Reply::OutOfWindow),
        ClientMsg::Busy { refused, retry_after_ms },
        ClientMsg::ReadReply { id, result: Bytes::from_static(b"result") },
        ClientMsg::ReadBusy { id, retry_after_ms },
        ClientMsg::LeaderHint { leader: NodeId(1) },
    ];
    let acceptor = acceptor.into_iter().map(Packet::from);
    let proposer = proposer.into_iter().map(Packet::from);
    let learner = learner.into_iter().map(Packet::from);
    let client = client.into_iter().map(Packet::from);
    acceptor.chain(proposer).chain(learner).chain(client).collect()
}

/// Hands on whatever it gets, for any role.
pub struct Collector(mpsc::UnboundedSender<(MemberId, Packet)>);

impl Actor for Collector {
    type Context = Context<Collector>;
}

impl<M: Into<Packet> + Send + 'static> Handler<Envelope<M>> for Collector {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<M>, ctx: &mut Context<Collector>) {
        let from = envelope.from;
        for msg in envelope.messages() {
            if self.0.send((from, msg.into())).is_err() {
                ctx.stop();
            }
        }
    }
}

/// A node whose roles only collect mail.
pub struct Node {
    pub bridge: Bridge,
    pub routes: Arc<Routes>,
    pub mail: mpsc::UnboundedReceiver<(MemberId, Packet)>,
    pub events: mpsc::Receiver<BridgeEvent>,
}

/// Options of node `node` with life `life`, with little patience for signs of life and none of
/// the waiting between attempts.
pub fn options(node: u64, life: u64, peers: &[(u64, SocketAddr)]) -> BridgeOptions {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let peers: BTreeMap<_, _> = peers.iter().map(|(n, a)| (NodeId(*n), a.to_string())).collect();
    let mut options = BridgeOptions::new(member(node), life, listen, 9, peers);
    options.patience = Patience {
        ping: Duration::from_millis(20),
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(20),
        ..Patience::default()
    };
    options
}

/// An address that is free at this moment.
pub fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

impl Node {
    pub fn start(options: BridgeOptions) -> Node {
        let node = options.me.node;
        let mut bridge = Bridge::bind(options).unwrap();
        let (sender, mail) = mpsc::unbounded_channel();
        let collector = Collector(sender).start();
        collector.do_send(Capacity);
        let routes = Routes::new()
            .acceptor(node, collector.clone().recipient())
            .proposer(node, collector.clone().recipient())
            .learner(node, collector.clone().recipient())
            .client(node, collector.recipient());
        let routes = Arc::new(bridge.routes(routes));
        bridge.accept(Arc::clone(&routes));
        let events = bridge.events().unwrap();
        assert!(bridge.events().is_none());
        Node { bridge, routes, mail, events }
    }

    /// Waits for this event; others are passed over.
    pub async fn until(&mut self, event: BridgeEvent) {
        while self.events.recv().await.expect("the bridge lives") != event {}
    }

    /// Waits until a counter is as high.
    pub async fn counted(&self, what: Count, at_least: u64) {
        while self.bridge.counters().get(what) < at_least {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Capacity;

impl Handler<Capacity> for Collector {
    type Result = ();

    fn handle(&mut self, _: Capacity, ctx: &mut Context<Collector>) {
        ctx.set_mailbox_capacity(16_384);
    }
}
