//! Two bridges on loopback.

use crate::support::{Node, command, free_address, member, options, samples};
use paxos_actors::Posted;
use paxos_core::{
    AcceptorMsg, ClusterId, Incarnation, MemberId, NodeId, Outgoing, Packet, ProposerMsg,
};
use paxos_net::{Bridge, BridgeError, BridgeEvent, Count, Refusal};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

fn connected(node: u64) -> BridgeEvent {
    BridgeEvent::Connected { member: member(node) }
}

/// Nothing listens there.
fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

/// Node 2, and node 1 that dials it.
fn pair() -> (Node, Node) {
    let two = Node::start(options(2, 22, &[(1, nowhere())]));
    let one = Node::start(options(1, 11, &[(2, two.bridge.local_addr())]));
    (one, two)
}

fn post(node: &Node, from: u64, to: u64, packet: Packet) {
    let posted = node.routes.post(member(from), Outgoing { to: NodeId(to), packet });
    assert_eq!(posted, Posted::Queued);
}

fn poll(attempt: u64) -> Packet {
    AcceptorMsg::Poll { attempt }.into()
}

#[actix::test]
async fn every_kind_of_message_arrives_both_ways() {
    let (a, b) = (free_address(), free_address());
    let mut options1 = options(1, 11, &[(1, a), (2, b)]);
    options1.listen = a;
    let mut options2 = options(2, 22, &[(1, a), (2, b)]);
    options2.listen = b;
    let (mut one, mut two) = (Node::start(options1), Node::start(options2));
    one.until(connected(2)).await;
    two.until(connected(1)).await;
    for packet in samples() {
        post(&one, 1, 2, packet.clone());
        post(&two, 2, 1, packet.clone());
        assert_eq!(two.mail.recv().await, Some((member(1), packet.clone())));
        assert_eq!(one.mail.recv().await, Some((member(2), packet)));
    }
    assert_eq!(two.bridge.counters().get(Count::FramesIn), samples().len() as u64);
    one.bridge.stop().await;
    two.bridge.stop().await;
}

#[actix::test]
async fn mail_arrives_in_order_and_many_frames_leave_in_one_write() {
    const MAIL: u64 = 2_000;
    let (mut one, mut two) = pair();
    one.until(connected(2)).await;
    for attempt in 0..MAIL {
        post(&one, 1, 2, poll(attempt));
    }
    for attempt in 0..MAIL {
        assert_eq!(two.mail.recv().await, Some((member(1), poll(attempt))));
    }
    let counters = one.bridge.counters();
    assert_eq!(counters.get(Count::FramesOut), MAIL);
    let writes = counters.get(Count::WritesOut);
    assert!(writes < MAIL / 10, "{writes} writes for {MAIL} frames");
    assert_eq!(counters.read()["frames_out"], MAIL);
}

#[actix::test]
async fn mail_to_a_peer_that_is_not_connected_is_dropped_and_counted() {
    let one = Node::start(options(1, 11, &[(2, nowhere())]));
    for attempt in 0..5 {
        post(&one, 1, 2, poll(attempt));
    }
    one.counted(Count::DroppedNotConnected, 5).await;
    assert_eq!(one.bridge.counters().get(Count::FramesOut), 0);
}

#[actix::test]
async fn a_peer_that_starts_again_is_connected_again() {
    let (mut one, two) = pair();
    let address = two.bridge.local_addr();
    one.until(connected(2)).await;
    two.bridge.stop().await;
    one.until(BridgeEvent::Lost { member: member(2) }).await;
    let mut options = options(2, 23, &[(1, nowhere())]);
    options.listen = address;
    let mut two = Node::start(options);
    one.until(connected(2)).await;
    post(&one, 1, 2, poll(7));
    assert_eq!(two.mail.recv().await, Some((member(1), poll(7))));
    assert_eq!(one.bridge.counters().get(Count::Reconnects), 1);
}

#[actix::test]
async fn two_processes_with_one_identity_are_noticed() {
    let (mut one, mut two) = pair();
    one.until(connected(2)).await;
    let mut copy = Node::start(options(1, 12, &[(2, two.bridge.local_addr())]));
    copy.until(connected(2)).await;
    // Each cuts the other's connection, and dials again when its own is cut.
    two.counted(Count::Twins, 1).await;
    one.bridge.stop().await;
    copy.bridge.stop().await;
    assert!(two.mail.try_recv().is_err(), "nothing was sent");
}

#[actix::test]
async fn a_newer_life_of_a_peer_replaces_the_older() {
    let (mut one, mut two) = pair();
    one.until(connected(2)).await;
    post(&one, 1, 2, poll(1));
    assert_eq!(two.mail.recv().await, Some((member(1), poll(1))));
    // The old process of node 1 is still there; its connection is cut when the new one is let in.
    let mut again = Node::start(options(1, 12, &[(2, two.bridge.local_addr())]));
    again.until(connected(2)).await;
    two.counted(Count::ConnectionsStale, 1).await;
    one.until(BridgeEvent::Lost { member: member(2) }).await;
}

#[actix::test]
async fn a_full_queue_drops_what_is_newest_and_counts_it() {
    const MAIL: u64 = 1_000;
    let two = Node::start(options(2, 22, &[(1, nowhere())]));
    let mut narrow = options(1, 11, &[(2, two.bridge.local_addr())]);
    narrow.outbound_bytes_max = 100_000;
    let mut one = Node::start(narrow);
    one.until(connected(2)).await;
    let value = vec![0; 1_000];
    for _ in 0..MAIL {
        // All of it is taken from the mailbox before the first byte is written.
        let commands = vec![command(&value)];
        post(&one, 1, 2, ProposerMsg::Propose { commands, hops: 0 }.into());
    }
    one.counted(Count::DroppedFull, 1).await;
    let counters = one.bridge.counters();
    let (sent, full) = (counters.get(Count::FramesOut), counters.get(Count::DroppedFull));
    assert_eq!(sent + full, MAIL);
    assert!(sent < 110, "{sent} frames of a kilobyte in a queue of 100 kB");
}

#[actix::test]
async fn mail_above_the_frame_limit_is_dropped_and_the_rest_goes_on() {
    let (mut one, mut two) = pair();
    one.until(connected(2)).await;
    let commands = vec![command(&vec![0; 5 << 20])];
    post(&one, 1, 2, ProposerMsg::Propose { commands, hops: 0 }.into());
    post(&one, 1, 2, poll(1));
    assert_eq!(two.mail.recv().await, Some((member(1), poll(1))));
    assert_eq!(one.bridge.counters().get(Count::DroppedTooLong), 1);
}

#[actix::test]
async fn a_node_of_another_cluster_is_refused_and_told() {
    let (mut one, two) = pair();
    one.bridge.set_cluster(ClusterId(8), vec![member(1)]);
    two.bridge.set_cluster(ClusterId(7), vec![member(2)]);
    let refusal = Refusal::WrongCluster { known: ClusterId(7) };
    one.until(BridgeEvent::RefusedBy { node: NodeId(2), refusal }).await;
    two.counted(Count::RefusedWrongCluster, 1).await;
}

#[actix::test]
async fn a_wiped_member_is_refused_and_told() {
    let (mut one, two) = pair();
    one.until(connected(2)).await;
    let known = Incarnation(1);
    let old = MemberId { node: NodeId(1), incarnation: known };
    two.bridge.set_cluster(ClusterId(7), vec![old, member(2)]);
    one.until(BridgeEvent::Lost { member: member(2) }).await;
    let refusal = Refusal::NotAMember { known };
    one.until(BridgeEvent::RefusedBy { node: NodeId(2), refusal }).await;
}

#[actix::test]
async fn the_dialler_cuts_who_turns_out_to_be_no_member() {
    let (mut one, two) = pair();
    one.until(connected(2)).await;
    let old = MemberId { node: NodeId(2), incarnation: Incarnation(1) };
    one.bridge.set_cluster(ClusterId(7), vec![member(1), old]);
    one.until(BridgeEvent::Lost { member: member(2) }).await;
    one.counted(Count::RefusedNotAMember, 1).await;
    two.counted(Count::RefusedByPeer, 1).await;
}

#[actix::test]
async fn members_stay_connected_when_the_roster_is_stored() {
    let (mut one, mut two) = pair();
    one.until(connected(2)).await;
    for node in [&one, &two] {
        node.bridge.set_cluster(ClusterId(7), vec![member(1), member(2)]);
    }
    post(&one, 1, 2, poll(1));
    assert_eq!(two.mail.recv().await, Some((member(1), poll(1))));
    assert_eq!(one.bridge.counters().get(Count::Connects), 1);
}

/// A node without an acceptor is not on the roster: it is known by its number, whichever its
/// incarnation.
#[actix::test]
async fn a_node_that_does_not_vote_is_let_in_by_its_number() {
    let (mut one, mut two) = pair();
    one.until(connected(2)).await;
    two.bridge.set_cluster(ClusterId(7), vec![member(2)]);
    // It may have to shake hands again: only now is it known which cluster it must not be of.
    let arrived = async {
        loop {
            post(&one, 1, 2, poll(1));
            if let Ok(mail) = timeout(Duration::from_millis(20), two.mail.recv()).await {
                break mail;
            }
        }
    };
    assert_eq!(arrived.await, Some((member(1), poll(1))));
    one.bridge.stop().await;
    let mut wiped = options(1, 12, &[(2, two.bridge.local_addr())]);
    wiped.me.incarnation = Incarnation(999);
    let me = wiped.me;
    let mut wiped = Node::start(wiped);
    wiped.until(connected(2)).await;
    let mail = Outgoing { to: NodeId(2), packet: poll(2) };
    wiped.routes.post(me, mail);
    while two.mail.recv().await != Some((me, poll(2))) {}
}

#[actix::test]
async fn a_node_that_reaches_itself_or_another_is_refused() {
    let two = Node::start(options(2, 22, &[(1, nowhere()), (3, nowhere())]));
    let address = two.bridge.local_addr();
    let mut same = Node::start(options(2, 22, &[(1, address)]));
    let refusal = Refusal::SameNode;
    same.until(BridgeEvent::RefusedBy { node: NodeId(1), refusal }).await;
    let mut lost = Node::start(options(3, 33, &[(1, address)]));
    let refusal = Refusal::WrongNode { node: NodeId(2) };
    lost.until(BridgeEvent::RefusedBy { node: NodeId(1), refusal }).await;
    let mut stranger = Node::start(options(4, 44, &[(2, address)]));
    let refusal = Refusal::UnknownNode;
    stranger.until(BridgeEvent::RefusedBy { node: NodeId(2), refusal }).await;
}

#[actix::test]
async fn a_port_in_use_is_one_clear_error() {
    let two = Node::start(options(2, 22, &[]));
    let mut options = options(3, 33, &[]);
    options.listen = two.bridge.local_addr();
    let error = Bridge::bind(options).unwrap_err();
    assert!(matches!(error, BridgeError::InUse(_)));
    assert!(error.to_string().contains("in use"), "{error}");
}

#[actix::test]
async fn the_port_is_free_after_a_stop() {
    let (one, two) = pair();
    let address = two.bridge.local_addr();
    two.bridge.stop().await;
    let mut again = options(2, 23, &[]);
    again.listen = address;
    Bridge::bind(again).unwrap().stop().await;
    one.bridge.stop().await;
}

#[actix::test]
async fn the_time_that_a_peer_takes_to_answer_is_measured() {
    let (mut one, two) = pair();
    one.until(connected(2)).await;
    let round_trips = one.bridge.round_trips();
    let to_two = round_trips.of(NodeId(2)).unwrap();
    while to_two.average_us() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(to_two.max_us() >= to_two.average_us() && to_two.take_slowest_us() > 0);
    assert!(round_trips.each().map(|(node, _)| node).eq([NodeId(2)]));
    let back = two.bridge.round_trips();
    assert_eq!(back.of(NodeId(1)).unwrap().max_us(), 0, "it was never connected");
}
