//! The one exit: what reaches a mailbox, and what is lost.

use crate::support::*;
use actix::prelude::*;
use paxos_actors::{Posted, Routes};
use paxos_core::{Ballot, ClientMsg, Kind, NodeId, Outgoing, ProposerMsg};

fn hint(n: u64) -> Outgoing {
    Outgoing { to: SINK, packet: ClientMsg::LeaderHint { leader: NodeId(n) }.into() }
}

#[actix::test]
async fn mail_reaches_the_role_that_its_packet_names() {
    let sink = Sink::default().start();
    let routes = to_sink(&sink);
    assert_eq!(routes.post(ME, hint(1)), Posted::Queued);
    let packet = ProposerMsg::Leading { ballot: Ballot::ZERO }.into();
    assert_eq!(routes.post(ME, Outgoing { to: SINK, packet }), Posted::Unreachable);
    assert_eq!(sink.send(Seen).await.expect("alive"), [1]);
    let counts = routes.counts();
    assert_eq!((counts.posted[&Kind::LeaderHint], counts.full, counts.unreachable), (1, 0, 1));
}

#[actix::test]
async fn a_full_mailbox_loses_and_counts() {
    let sink = Sink { capacity: Some(4), ..Sink::default() }.start();
    sink.send(Seen).await.expect("alive");
    let routes = to_sink(&sink);
    // Nothing is awaited: the sink cannot take anything out meanwhile.
    let posted: Vec<Posted> = (0..100).map(|n| routes.post(ME, hint(n))).collect();
    let queued = posted.iter().filter(|&&p| p == Posted::Queued).count();
    assert!(queued < 10, "{queued} messages in a mailbox for 4");
    assert!(posted[queued..].iter().all(|&p| p == Posted::Full), "later ones do not slip in");
    let seen = sink.send(Seen).await.expect("alive");
    assert_eq!(seen, (0..queued as u64).collect::<Vec<_>>(), "in order, the first ones");
    assert_eq!(routes.counts().full, 100 - queued as u64);
}

#[actix::test]
async fn a_mailbox_whose_actor_is_gone_is_unreachable() {
    let sink = Sink::default().start();
    let routes = to_sink(&sink);
    sink.send(Halt).await.expect("answered");
    tokio::task::yield_now().await;
    assert_eq!(routes.post(ME, hint(1)), Posted::Unreachable);
}

#[actix::test]
async fn a_table_that_replaces_another_goes_on_counting() {
    let sink = Sink::default().start();
    let former = to_sink(&sink);
    former.post(ME, hint(1));
    let routes = Routes::new().replacing(&former);
    assert_eq!(routes.post(ME, hint(2)), Posted::Unreachable);
    let counts = routes.counts();
    assert_eq!((counts.posted[&Kind::LeaderHint], counts.unreachable), (1, 1));
}
