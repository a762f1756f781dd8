//! Nodes: any subset of roles, refused where it cannot work, and their end.

use crate::support::*;
use actix::prelude::*;
use paxos_actors::ending::NodeEnd;
use paxos_actors::node::{LayoutError, Node, NodeBuilder, NodeError};
use paxos_actors::{LogEvent, Posted, Routes};
use paxos_core::{
    Ballot, Feed, Kind, Layout, NodeId, Outgoing, ProposerMsg, Quorums, Record, RoleName,
    SessionRules,
};
use std::sync::Arc;

fn layout(nodes: u64) -> Layout {
    Layout::full(&(1..=nodes).map(NodeId).collect::<Vec<_>>()).expect("sound")
}

/// Acceptor 1, proposer 2, learner 3.
fn separate() -> Layout {
    Layout {
        acceptors: vec![NodeId(1)],
        proposers: vec![NodeId(2)],
        learners: vec![Feed { learner: NodeId(3), acceptor: NodeId(1) }],
        quorums: Quorums::majority(1).expect("sound"),
        window: Layout::WINDOW,
        sessions: SessionRules::default(),
    }
}

#[actix::test]
async fn a_node_that_cannot_work_is_refused_with_the_way_out() {
    let refused = |n, layout| NodeBuilder::new(member(n), layout).start().expect_err("refused");
    assert!(matches!(refused(9, layout(3)), NodeError::Layout(LayoutError::NoRole(NodeId(9)))));
    assert_eq!(
        refused(1, layout(3)).to_string(),
        "node 1 has an acceptor, which needs a log: give it one with `log`"
    );
    assert!(matches!(refused(3, separate()), NodeError::NoState(NodeId(3))));
    let mut odd = separate();
    odd.learners[0].acceptor = NodeId(2);
    assert_eq!(
        refused(1, odd).to_string(),
        "the learner at node 3 is to be fed by node 2, which has no acceptor: name one that has"
    );
}

#[actix::test]
async fn a_node_has_the_roles_of_its_layout_and_no_others() {
    let acceptor =
        NodeBuilder::new(member(1), separate()).log(memory()).start().expect("can start");
    let proposer = NodeBuilder::new(member(2), separate()).start().expect("can start");
    let learner =
        NodeBuilder::new(member(3), separate()).learner(Tally::default).start().expect("can start");
    let status = acceptor.status().await;
    assert_eq!(status.shells.keys().collect::<Vec<_>>(), [&RoleName::Acceptor]);
    assert!(status.acceptor.is_some() && status.proposer.is_none() && status.learner.is_none());
    let status = proposer.status().await;
    assert_eq!(status.shells.keys().collect::<Vec<_>>(), [&RoleName::Proposer]);
    let status = learner.status().await;
    assert_eq!(status.shells.keys().collect::<Vec<_>>(), [&RoleName::Learner]);
    assert_eq!(learner.me(), member(3));
}

#[actix::test]
async fn a_node_posts_through_the_base_table_and_to_itself() {
    let sink = Sink::default().start();
    let base = Routes::new().client(SINK, sink.clone().recipient());
    let mut node = NodeBuilder::new(member(1), layout(1))
        .log(memory())
        .learner(Tally::default)
        .routes(base)
        .start()
        .expect("can start");
    let routes = node.routes();
    let leading =
        || Outgoing { to: NodeId(1), packet: ProposerMsg::Leading { ballot: Ballot::ZERO }.into() };
    assert_eq!(routes.post(ME, leading()), Posted::Queued);
    let before = node.status().await.counts;
    assert_eq!(before.posted[&Kind::Leading], 1);
    node.set_routes(Routes::new()).await;
    assert_eq!(node.routes().post(ME, leading()), Posted::Queued);
    assert_eq!(node.status().await.counts.posted[&Kind::Leading], 2, "counts go on");
}

#[actix::test]
async fn an_orderly_stop_closes_all_actors() {
    let node = start_one();
    let ending = node.ending();
    let proposer = node.proposer().expect("has one").clone();
    assert!(matches!(node.stop().await, NodeEnd::Stopped));
    assert!(!proposer.connected());
    assert!(matches!(ending.wait().await, NodeEnd::Stopped));
}

#[actix::test]
async fn a_node_that_is_dropped_is_gone() {
    let node = start_one();
    let (ending, learner) = (node.ending(), node.learner().expect("has one").clone());
    drop(node);
    assert!(matches!(ending.wait().await, NodeEnd::Stopped));
    assert!(!learner.connected());
}

#[actix::test]
async fn a_log_that_fails_ends_the_whole_node() {
    let node = start_one();
    let error = Arc::new(std::io::Error::other("disk on fire"));
    let failed: LogEvent<Record> = LogEvent::Failed { epoch: 1, error };
    node.acceptor().expect("has one").do_send(failed);
    assert_eq!(node.ended().await.to_string(), "the log failed: disk on fire");
    assert!(!node.proposer().expect("has one").connected());
    assert!(node.status().await.shells.is_empty(), "nobody is left to tell anything");
}

fn start_one() -> Node<Tally> {
    NodeBuilder::new(member(1), layout(1))
        .log(memory())
        .learner(Tally::default)
        .start()
        .expect("can start")
}
