//! The client port: the listener, and the actor that is the node's client to the other roles.

use super::budget::Budget;
use super::connection::{self, Outbound};
use super::desk::{ConnectionId, Desk};
use super::status::Inspector;
use super::targets::Targets;
use crate::wire::{RESPONSE, Refused, Response};
use actix::prelude::*;
use actix_rt::task::JoinHandle;
use paxos_actors::{Envelope, Routes, clock};
use paxos_core::{ClientMsg, Limits, MemberId};
use paxos_net::frame::FrameWriter;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// Client connections, at most.
const CONNECTIONS_MAX: usize = 1000;

/// A pause after the system could not give a connection, for want of file descriptors perhaps.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes what the other roles have to say to clients and hands it to their connections. It and the
/// connections share an arbiter: what arrives in one drain of the mailbox leaves in one write per
/// connection.
#[derive(Debug)]
pub(super) struct ClientPort(Rc<Shared>);

/// What the actor and the connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) me: MemberId,
    pub(super) limits: Limits,
    pub(super) counters: Counters,
    pub(super) targets: Targets,
    /// The way to the other roles, once there is one.
    pub(super) routes: RefCell<Arc<Routes>>,
    pub(super) desk: RefCell<Desk>,
    pub(super) budget: Budget,
    outbound: RefCell<HashMap<ConnectionId, Rc<Outbound>>>,
}

/// What the client port counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) opened: Cell<u64>,
    pub(super) refused: Cell<u64>,
    pub(super) garbage: Cell<u64>,
    pub(super) slow: Cell<u64>,
    pub(super) memory: Cell<u64>,
    pub(super) commands: Cell<u64>,
    pub(super) reads: Cell<u64>,
    pub(super) busy: Cell<u64>,
    pub(super) replies: Cell<u64>,
    pub(super) writes: Cell<u64>,
}

/// The port of a node, before and while clients are let in.
#[derive(Debug)]
pub(super) struct Port {
    actor: Addr<ClientPort>,
    shared: Rc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// What a connection needs of its node.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) shared: Rc<Shared>,
    pub(super) inspector: Inspector,
}

impl Port {
    /// The port of a node whose other roles need not exist yet.
    pub(super) fn new(me: MemberId, limits: Limits, targets: Targets) -> Port {
        let shared = Rc::new(Shared {
            me,
            limits,
            counters: Counters::default(),
            targets,
            routes: RefCell::default(),
            desk: RefCell::new(Desk::new(rand::random())),
            budget: Budget::default(),
            outbound: RefCell::default(),
        });
        let actor = ClientPort(Rc::clone(&shared)).start();
        Port { actor, shared, accepting: None }
    }

    /// Adds the port to a table: the other roles find the node's clients here.
    pub(super) fn add_to(&self, routes: Routes) -> Routes {
        routes.client(self.shared.me.node, self.actor.clone().recipient())
    }

    /// Where calls go.
    pub(super) fn targets(&self) -> &Targets {
        &self.shared.targets
    }

    /// What its connections hold.
    #[cfg(test)]
    pub(super) fn budget(&self) -> &Budget {
        &self.shared.budget
    }

    /// Posts calls through this table from now on.
    pub(super) fn set_routes(&self, routes: Arc<Routes>) {
        self.shared.routes.replace(routes);
    }

    /// Lets clients in.
    pub(super) fn open(&mut self, listener: TcpListener, inspector: Inspector) {
        let back = Rc::new(Back { shared: Rc::clone(&self.shared), inspector });
        self.accepting = Some(actix_rt::spawn(accept(back, listener)));
    }

    /// Closes the port and all connections.
    pub(super) async fn close(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // It ends as cancelled; what matters is that the port is free then.
            let _ = accepting.await;
        }
        self.shared.outbound.borrow().values().for_each(|outbound| outbound.close());
        // The table has the way to this port, too: neither would ever go.
        self.set_routes(Arc::default());
        // An error says that the actor has stopped, which is what is wanted.
        let _ = self.actor.send(Close).await;
    }
}

impl Shared {
    /// Puts a message into the queue of a connection.
    pub(super) fn send(&self, connection: ConnectionId, message: ClientMsg) {
        if let Some(outbound) = self.outbound.borrow().get(&connection) {
            self.counters.replies.set(self.counters.replies.get() + 1);
            outbound.push(&Response::Client(message));
        }
    }
}

impl Counters {
    /// All of them, by name; `open`: connections at this moment.
    pub(super) fn read(&self, open: usize) -> BTreeMap<String, u64> {
        let counters = [
            ("connections_opened", &self.opened),
            ("connections_refused", &self.refused),
            ("connections_cut_garbage", &self.garbage),
            ("connections_cut_slow", &self.slow),
            ("connections_cut_memory", &self.memory),
            ("commands", &self.commands),
            ("reads", &self.reads),
            ("busy", &self.busy),
            ("replies", &self.replies),
            ("writes", &self.writes),
        ];
        let counted = counters.into_iter().map(|(name, counter)| (name.to_owned(), counter.get()));
        counted.chain([("connections".to_owned(), open as u64)]).collect()
    }
}

/// Adds one and gives the new value.
pub(super) fn count(counter: &Cell<u64>) -> u64 {
    counter.set(counter.get() + 1);
    counter.get()
}

async fn accept(back: Rc<Back>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => enter(&back, stream, address),
            Err(error) => {
                tracing::warn!(%error, "cannot take a client connection");
                actix_rt::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn enter(back: &Rc<Back>, stream: TcpStream, address: SocketAddr) {
    let shared = &back.shared;
    let open = shared.desk.borrow().len();
    if open >= CONNECTIONS_MAX {
        if count(&shared.counters.refused).is_power_of_two() {
            tracing::warn!(%address, open, "turned a client away: too many connections");
        }
        return refuse(shared.limits, &stream, Refused::Connections(open as u64));
    }
    count(&shared.counters.opened);
    let id = shared.desk.borrow_mut().enter();
    let outbound = Rc::new(Outbound::new(shared.limits));
    shared.outbound.borrow_mut().insert(id, Rc::clone(&outbound));
    let back = Rc::clone(back);
    actix_rt::spawn(async move {
        connection::run(&back, id, &outbound, stream, address).await;
        back.shared.outbound.borrow_mut().remove(&id);
        back.shared.desk.borrow_mut().leave(id);
    });
}

/// Says why as far as the socket takes it, and closes.
fn refuse(limits: Limits, stream: &TcpStream, refused: Refused) {
    let mut writer = FrameWriter::new(limits.client_frame_bytes_max);
    if writer.push(RESPONSE, &Response::Refused(refused)).is_ok() {
        let _: io::Result<usize> = stream.try_write(writer.bytes());
    }
}

#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Close;

impl Actor for ClientPort {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(self.0.limits.mailbox_max);
    }
}

impl Handler<Envelope<ClientMsg>> for ClientPort {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<ClientMsg>, _: &mut Context<Self>) {
        let Shared { desk, .. } = &*self.0;
        let route = |connection, message| self.0.send(connection, message);
        let (mut desk, now) = (desk.borrow_mut(), clock::now());
        envelope.messages().for_each(|msg| desk.route(now, msg, route));
    }
}

impl Handler<Close> for ClientPort {
    type Result = ();

    fn handle(&mut self, _: Close, context: &mut Context<Self>) {
        context.stop();
    }
}
