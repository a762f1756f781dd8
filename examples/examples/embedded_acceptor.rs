//! One acceptor in an actix system of your own. Your actor plays the proposer: it asks for a
//! promise and a vote, as on a page of "Paxos Made Simple".
//!
//! `cargo run -p examples --example embedded_acceptor`

use actix::prelude::*;
use anyhow::{Context as _, Result, ensure};
use paxos_actors::control::{SetRoutes, Stop};
use paxos_actors::role_actor::{AcceptorActor, RoleActor};
use paxos_actors::wal::MemoryLog;
use paxos_actors::{Envelope, Routes};
use paxos_core::*;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

const ACCEPTOR: NodeId = NodeId(1);
const PROPOSER: NodeId = NodeId(2);

/// Your actor: whatever the acceptor says to the proposer comes here.
struct Mine(mpsc::UnboundedSender<ProposerMsg>);

impl Actor for Mine {
    type Context = Context<Self>;
}

impl Handler<Envelope<ProposerMsg>> for Mine {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ProposerMsg>, _: &mut Context<Self>) {
        for msg in envelope.messages() {
            let _ = self.0.send(msg);
        }
    }
}

#[actix::main]
async fn main() -> Result<()> {
    let layout = Layout {
        acceptors: vec![ACCEPTOR],
        proposers: vec![PROPOSER],
        learners: vec![Feed { learner: PROPOSER, acceptor: ACCEPTOR }],
        ..Layout::full(&[ACCEPTOR])?
    };
    let me = MemberId { node: ACCEPTOR, incarnation: Incarnation(7) };
    let (timing, limits) = (Timing::default(), Limits::default());
    let options = AcceptorOptions { me, layout, timing, limits };
    // `wal::Wal` instead of `MemoryLog` makes it durable.
    let acceptor: Addr<AcceptorActor> = RoleActor::new(me, move || Acceptor::new(options.clone()))
        .log(Box::new(MemoryLog::new()))
        .start();

    let (heard, mut answers) = mpsc::unbounded_channel();
    let mine = Mine(heard).start();
    let routes = Routes::new()
        .acceptor(ACCEPTOR, acceptor.clone().recipient())
        .proposer(PROPOSER, mine.recipient());
    acceptor.send(SetRoutes(Arc::new(routes))).await?;

    // The only first member meets itself, and then tells who votes.
    let ask = |msg| {
        let from = MemberId { node: PROPOSER, incarnation: Incarnation(8) };
        acceptor.do_send(Envelope::new(from, ACCEPTOR, msg));
    };
    let roster = loop {
        ask(AcceptorMsg::AskRoster { role: RoleName::Proposer });
        match timeout(Duration::from_millis(20), answers.recv()).await {
            Ok(Some(ProposerMsg::Roster(roster))) => break *roster,
            _ => continue,
        }
    };
    println!("it votes: {}", roster.acceptors[0]);
    while answers.try_recv().is_ok() {}

    let ballot = Ballot { round: 1, node: PROPOSER, life: 42 };
    ask(AcceptorMsg::Prepare { ballot, from: Slot::ZERO });
    let promise = answers.recv().await.context("an answer")?;
    ensure!(matches!(promise, ProposerMsg::Promise { ballot: b, .. } if b == ballot));
    println!("it promises {ballot}");

    let (slot, entry) = (Slot(0), Entry::noop(0));
    ask(AcceptorMsg::Accept { ballot, slot, entry, chosen: SlotRange::default() });
    let voted = answers.recv().await.context("an answer")?;
    let slots = SlotRange::new(Slot(0), Slot(1));
    ensure!(voted == ProposerMsg::Accepted { ballot, slots }, "{voted:?}");
    println!("it has voted for slot {slot}: one of one is a quorum, so that is chosen");

    let lower = Ballot { round: 1, node: PROPOSER, life: 41 };
    ask(AcceptorMsg::Prepare { ballot: lower, from: Slot::ZERO });
    let refusal = answers.recv().await.context("an answer")?;
    ensure!(refusal == ProposerMsg::Reject { ballot: lower, promised: ballot }, "{refusal:?}");
    println!("it has promised not to go below {ballot}");
    acceptor.send(Stop).await?;
    Ok(())
}
