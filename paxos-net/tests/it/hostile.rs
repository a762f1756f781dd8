//! What strangers and broken peers send, written by hand onto a socket.

use crate::support::{Node, ballot, entry, member, options};
use paxos_core::{AcceptorMsg, Ballot, NodeId, Packet, Slot, SlotRange};
use paxos_net::hello::{Hello, Note};
use paxos_net::wire::{MAIL, PING, PONG};
use paxos_net::{BridgeEvent, Count, FrameReader, FrameWriter};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

fn node() -> Node {
    Node::start(options(2, 22, &[(1, NOWHERE)]))
}

/// Node 1, by hand, let in by `node`.
async fn enter(node: &Node) -> TcpStream {
    let (mut stream, confirm) = knock(node, 11).await;
    stream.write_all(&confirm).await.unwrap();
    stream
}

/// Node 1, by hand, in this life: `node` would let it in. What it has still to say for that.
async fn knock(node: &Node, life: u64) -> (TcpStream, Vec<u8>) {
    let mut stream = TcpStream::connect(node.bridge.local_addr()).await.unwrap();
    let (from, to) = (member(1), NodeId(2));
    let hello = Note::Hello(Hello { cluster: None, layout: 9, from, life, to, nonce: 5 });
    stream.write_all(&hello.encode().unwrap()).await.unwrap();
    let Note::Welcome(welcome) = note(&mut stream).await else { panic!("not let in") };
    (stream, Note::Confirm { echo: welcome.nonce }.encode().unwrap())
}

async fn note(stream: &mut TcpStream) -> Note {
    let mut bytes = Vec::new();
    while bytes.len() < Note::wanted(&bytes).unwrap() {
        bytes.push(stream.read_u8().await.unwrap());
    }
    Note::decode(&bytes).unwrap().1
}

/// Waits until the other end closes; what it says until then does not matter.
async fn closed(mut stream: TcpStream) {
    let mut bytes = [0; 64];
    while !matches!(stream.read(&mut bytes).await, Ok(0) | Err(_)) {}
}

fn mail(to: u64, packet: impl Into<Packet>) -> (NodeId, Packet) {
    (NodeId(to), packet.into())
}

fn prepare(round: u64) -> AcceptorMsg {
    AcceptorMsg::Prepare { ballot: Ballot { round, ..ballot() }, from: Slot::ZERO }
}

/// The node still lets an honest peer in and takes its mail.
async fn still_serves(node: &mut Node) {
    let mut stream = enter(node).await;
    let mut frames = FrameWriter::new(4096);
    frames.push(MAIL, &mail(2, prepare(3))).unwrap();
    stream.write_all(frames.bytes()).await.unwrap();
    assert_eq!(node.mail.recv().await, Some((member(1), prepare(3).into())));
}

#[actix::test]
async fn garbage_on_the_port_is_turned_away() {
    let mut node = node();
    for garbage in [&[0xff; 4][..], b"GET / HTTP/1.1\r\n\r\n", &[0; 100]] {
        let mut stream = TcpStream::connect(node.bridge.local_addr()).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        closed(stream).await;
    }
    node.counted(Count::HandshakeGarbage, 3).await;
    still_serves(&mut node).await;
}

#[actix::test]
async fn a_handshake_that_never_ends_is_cut() {
    let mut options = options(2, 22, &[(1, NOWHERE)]);
    options.patience.handshake = Duration::from_millis(20);
    let node = Node::start(options);
    let mut stream = TcpStream::connect(node.bridge.local_addr()).await.unwrap();
    stream.write_all(b"MPAX").await.unwrap();
    closed(stream).await;
    node.counted(Count::HandshakeTimedOut, 1).await;
}

#[actix::test]
async fn a_frame_that_claims_4_gib_ends_the_connection() {
    let mut node = node();
    let mut stream = enter(&node).await;
    stream.write_all(&[0xff; 4]).await.unwrap();
    closed(stream).await;
    node.counted(Count::FramesGarbage, 1).await;
    still_serves(&mut node).await;
}

/// The last words of a handshake may be held up in the network, until the process that said them is
/// gone, and the next one is let in: that one stays, and nothing of the first comes behind it.
#[actix::test]
async fn a_handshake_that_ends_late_cuts_no_newer_connection() {
    let mut node = node();
    let (mut first, confirm) = knock(&node, 11).await;
    let (mut second, then) = knock(&node, 12).await;
    second.write_all(&then).await.unwrap();
    let mut frames = FrameWriter::new(4096);
    frames.push(MAIL, &mail(2, prepare(2))).unwrap();
    second.write_all(frames.bytes()).await.unwrap();
    assert_eq!(node.mail.recv().await, Some((member(1), prepare(2).into())));

    let mut late = FrameWriter::new(4096);
    late.push(MAIL, &mail(2, prepare(1))).unwrap();
    first.write_all(&[&confirm, late.bytes()].concat()).await.unwrap();
    closed(first).await;
    node.counted(Count::ConnectionsStale, 1).await;
    let length = frames.len();
    frames.push(MAIL, &mail(2, prepare(3))).unwrap();
    second.write_all(&frames.bytes()[length..]).await.unwrap();
    assert_eq!(node.mail.recv().await, Some((member(1), prepare(3).into())));
}

/// The same, when the newer connection is closed again: what it said stands all the same.
#[actix::test]
async fn a_handshake_that_ends_late_comes_not_behind_what_a_newer_life_said() {
    let mut node = node();
    let (mut first, confirm) = knock(&node, 11).await;
    let (mut second, then) = knock(&node, 12).await;
    let mut frames = FrameWriter::new(4096);
    frames.push(MAIL, &mail(2, prepare(2))).unwrap();
    second.write_all(&[&then, frames.bytes()].concat()).await.unwrap();
    assert_eq!(node.mail.recv().await, Some((member(1), prepare(2).into())));
    second.shutdown().await.unwrap();
    closed(second).await;

    let mut late = FrameWriter::new(4096);
    late.push(MAIL, &mail(2, prepare(1))).unwrap();
    first.write_all(&[&confirm, late.bytes()].concat()).await.unwrap();
    first.shutdown().await.unwrap();
    closed(first).await;
    still_serves(&mut node).await;
    assert_eq!(node.bridge.counters().get(Count::ConnectionsStale), 1);
}

/// What comes late of a life that has ended does not say that its process still runs.
#[actix::test]
async fn a_handshake_that_ends_late_is_no_second_process() {
    let node = node();
    let _before = enter(&node).await;
    let (mut late, confirm) = knock(&node, 11).await;
    let (mut next, then) = knock(&node, 12).await;
    next.write_all(&then).await.unwrap();
    node.counted(Count::ConnectionsStale, 1).await;
    late.write_all(&confirm).await.unwrap();
    closed(late).await;
    node.counted(Count::ConnectionsStale, 2).await;
    assert_eq!(node.bridge.counters().get(Count::Twins), 0);
}

#[actix::test]
async fn frames_that_carry_no_mail_end_the_connection() {
    let mut node = node();
    for kind in [MAIL, PONG, 99] {
        let mut stream = enter(&node).await;
        let mut frames = FrameWriter::new(4096);
        frames.push(kind, &[0xffu8; 5]).unwrap();
        stream.write_all(frames.bytes()).await.unwrap();
        closed(stream).await;
    }
    node.counted(Count::FramesGarbage, 3).await;
    still_serves(&mut node).await;
}

#[actix::test]
async fn repeated_frames_are_posted_once_and_a_gap_ends_the_connection() {
    let mut node = node();
    let mut stream = enter(&node).await;
    let mut frames = FrameWriter::new(4096);
    for round in 1..=4 {
        frames.push(MAIL, &mail(2, prepare(round))).unwrap();
    }
    let size = frames.len() / 4;
    let bytes = frames.bytes();
    stream.write_all(&bytes[..2 * size]).await.unwrap();
    stream.write_all(&bytes[..2 * size]).await.unwrap();
    stream.write_all(&bytes[3 * size..]).await.unwrap();
    closed(stream).await;
    node.counted(Count::FramesReordered, 1).await;
    for round in 1..=2 {
        assert_eq!(node.mail.recv().await, Some((member(1), prepare(round).into())));
    }
    assert!(node.mail.try_recv().is_err());
    assert_eq!(node.bridge.counters().get(Count::FramesRepeated), 2);
}

#[actix::test]
async fn mail_for_another_node_is_dropped_and_not_forwarded() {
    let mut node = node();
    let mut stream = enter(&node).await;
    let mut frames = FrameWriter::new(4096);
    frames.push(MAIL, &mail(1, prepare(1))).unwrap();
    frames.push(MAIL, &mail(3, prepare(2))).unwrap();
    frames.push(MAIL, &mail(2, prepare(3))).unwrap();
    stream.write_all(frames.bytes()).await.unwrap();
    assert_eq!(node.mail.recv().await, Some((member(1), prepare(3).into())));
    let counters = node.bridge.counters();
    assert_eq!(counters.get(Count::FramesMisdirected), 2);
    assert_eq!(counters.get(Count::DroppedNotConnected), 0, "nothing went to the link of node 1");
}

#[actix::test]
async fn absurd_messages_end_the_connection() {
    let mut node = node();
    let slot = Slot(1 << 63);
    let (ballot, chosen) = (ballot(), SlotRange::default());
    let absurd = [
        prepare(u64::MAX),
        prepare(0),
        AcceptorMsg::Accept { ballot, slot, entry: entry(), chosen },
    ];
    for (i, msg) in (1..).zip(absurd) {
        let mut stream = enter(&node).await;
        let mut frames = FrameWriter::new(4096);
        frames.push(MAIL, &mail(2, msg)).unwrap();
        stream.write_all(frames.bytes()).await.unwrap();
        closed(stream).await;
        node.counted(Count::FramesUnsound, i).await;
    }
    assert!(node.mail.try_recv().is_err());
    still_serves(&mut node).await;
}

#[actix::test]
async fn a_recorded_session_is_refused() {
    let mut node = node();
    let mut stream = enter(&node).await;
    let mut frames = FrameWriter::new(4096);
    frames.push(MAIL, &mail(2, prepare(1))).unwrap();
    stream.write_all(frames.bytes()).await.unwrap();
    assert!(node.mail.recv().await.is_some());

    let mut replay = TcpStream::connect(node.bridge.local_addr()).await.unwrap();
    let (from, to) = (member(1), NodeId(2));
    let hello = Note::Hello(Hello { cluster: None, layout: 9, from, life: 11, to, nonce: 5 });
    let confirm = Note::Confirm { echo: 12345 };
    let mut recording = hello.encode().unwrap();
    recording.extend(confirm.encode().unwrap());
    recording.extend(frames.bytes());
    replay.write_all(&recording).await.unwrap();
    closed(replay).await;
    node.counted(Count::RefusedReplayed, 1).await;
    assert!(node.mail.try_recv().is_err());

    frames.reset();
    drop(stream);
    still_serves(&mut node).await;
}

#[actix::test]
async fn too_many_strangers_do_not_keep_a_peer_out() {
    let mut options = options(2, 22, &[(1, NOWHERE)]);
    options.inbound_per_address_max = 4;
    let mut node = Node::start(options);
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(node.bridge.local_addr()).await.unwrap());
    }
    still_serves(&mut node).await;
    assert!(node.bridge.counters().get(Count::ConnectionsExcess) >= 16);
}

#[actix::test]
async fn pings_are_answered_and_a_silent_peer_is_cut() {
    let mut options = options(2, 22, &[(1, NOWHERE)]);
    options.patience.silence = Duration::from_millis(300);
    let node = Node::start(options);
    let mut stream = enter(&node).await;
    let mut frames = FrameWriter::new(64);
    frames.push(PING, &()).unwrap();
    stream.write_all(frames.bytes()).await.unwrap();
    let mut pongs = FrameReader::new(64);
    while !matches!(pongs.next_frame().unwrap(), Some(frame) if frame.kind == PONG) {
        let read = stream.read_buf(pongs.room()).await.unwrap();
        assert!(read > 0, "closed before the answer");
    }
    closed(stream).await;
    node.counted(Count::TimedOut, 1).await;
}

/// Lets node 1 in as node 2 would, and gives the connection.
async fn let_in(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let Note::Hello(hello) = note(&mut stream).await else { panic!("no hello") };
    let welcome = paxos_net::hello::Welcome {
        version: 1,
        cluster: None,
        layout: 9,
        from: member(2),
        life: 22,
        echo: hello.nonce,
        nonce: 6,
    };
    stream.write_all(&Note::Welcome(welcome).encode().unwrap()).await.unwrap();
    assert_eq!(note(&mut stream).await, Note::Confirm { echo: 6 });
    stream
}

#[actix::test]
async fn a_peer_that_does_not_answer_is_cut_and_dialled_again() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut options = options(1, 11, &[(2, listener.local_addr().unwrap())]);
    options.patience.silence = Duration::from_millis(100);
    let mut node = Node::start(options);
    let silent = let_in(&listener).await;
    node.until(BridgeEvent::Lost { member: member(2) }).await;
    assert_eq!(node.bridge.counters().get(Count::TimedOut), 1);
    let again = let_in(&listener).await;
    drop((silent, again));
}

#[actix::test]
async fn a_peer_that_takes_no_bytes_is_cut() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut options = options(1, 11, &[(2, listener.local_addr().unwrap())]);
    options.patience.stall = Duration::from_millis(100);
    let mut node = Node::start(options);
    let stuck = let_in(&listener).await;
    node.until(BridgeEvent::Connected { member: member(2) }).await;
    let value = vec![0; 1 << 20];
    let mut lost = false;
    while !lost {
        let commands = vec![crate::support::command(&value)];
        let packet = paxos_core::ProposerMsg::Propose { commands, hops: 0 }.into();
        node.routes.post(member(1), paxos_core::Outgoing { to: NodeId(2), packet });
        tokio::time::sleep(Duration::from_millis(5)).await;
        lost = matches!(node.events.try_recv(), Ok(BridgeEvent::Lost { .. }));
    }
    assert_eq!(node.bridge.counters().get(Count::TimedOut), 1);
    drop(stuck);
}

#[actix::test]
async fn a_peer_that_sends_mail_where_none_belongs_is_cut() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut node = Node::start(options(1, 11, &[(2, listener.local_addr().unwrap())]));
    let mut stream = let_in(&listener).await;
    let mut frames = FrameWriter::new(4096);
    frames.push(MAIL, &()).unwrap();
    stream.write_all(frames.bytes()).await.unwrap();
    node.until(BridgeEvent::Lost { member: member(2) }).await;
}
