//! How a program uses a client that is an actor.

use crate::log::Log;
use crate::role_actor::{ClientActor, Hosted, traced};
use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use bytes::Bytes;
use paxos_core::{CallId, Client, NoRecord, Now, Outcome, Output, RoleName};
use std::collections::BTreeMap;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::oneshot;

/// Has `value` run on the state machine, exactly once.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Outcome")]
pub struct Write {
    /// Opaque to all but the state machine.
    pub value: Bytes,
    /// The call ends no later than this from now.
    pub timeout: Duration,
}

/// Asks `query` of a state that has all that was acknowledged before now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Outcome")]
pub struct Read {
    /// Opaque to all but the state machine.
    pub query: Bytes,
    /// The call ends no later than this from now.
    pub timeout: Duration,
}

/// A client's actor as a program holds it. Cheap to clone, and shared by threads.
#[derive(Clone, Debug)]
pub struct ClientHandle {
    actor: Addr<ClientActor>,
    timeout: Duration,
}

/// The client's actor has ended. Whether a write that was open is applied is not known, and
/// cannot be found out through this client any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the client has ended; the outcome of its open calls is unknown")]
pub struct ClientGone;

impl ClientHandle {
    /// How long a call may take unless told otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// A handle on a client's actor.
    pub fn new(actor: Addr<ClientActor>) -> ClientHandle {
        ClientHandle { actor, timeout: Self::TIMEOUT }
    }

    /// The same client, with another time limit for its calls.
    pub fn timeout(mut self, timeout: Duration) -> ClientHandle {
        self.timeout = timeout;
        self
    }

    /// Has `value` run on the state machine, exactly once.
    pub async fn write(&self, value: impl Into<Bytes>) -> Result<Outcome, ClientGone> {
        let write = Write { value: value.into(), timeout: self.timeout };
        self.actor.send(write).await.map_err(|_| ClientGone)
    }

    /// Asks `query` of a state that has all that was acknowledged before now.
    pub async fn read(&self, query: impl Into<Bytes>) -> Result<Outcome, ClientGone> {
        let read = Read { query: query.into(), timeout: self.timeout };
        self.actor.send(read).await.map_err(|_| ClientGone)
    }
}

/// Who waits for which call.
#[derive(Debug, Default)]
pub struct Waiting(BTreeMap<CallId, oneshot::Sender<Outcome>>);

impl Hosted for Client {
    const NAME: RoleName = RoleName::Client;
    type Desk = Waiting;
    type Log = dyn Log<NoRecord>;

    fn after_step(
        &mut self,
        desk: &mut Waiting,
        _: u64,
        _: Option<&mut (dyn Log<NoRecord> + 'static)>,
    ) {
        for (call, outcome) in self.finished() {
            if let Some(caller) = desk.0.remove(&call) {
                // A caller that no longer listens is no concern of the client's.
                let _ = caller.send(outcome);
            }
        }
    }
}

impl Handler<Write> for ClientActor {
    type Result = Pending;

    fn handle(&mut self, Write { value, timeout }: Write, _: &mut Context<Self>) -> Pending {
        let input = traced(|| format!("write {} bytes", value.len()));
        self.call(input, timeout, |client, now, deadline, out| {
            client.write(now, value, deadline, out)
        })
    }
}

impl Handler<Read> for ClientActor {
    type Result = Pending;

    fn handle(&mut self, Read { query, timeout }: Read, _: &mut Context<Self>) -> Pending {
        let input = traced(|| format!("read {} bytes", query.len()));
        self.call(input, timeout, |client, now, deadline, out| {
            client.read(now, query, deadline, out)
        })
    }
}

impl ClientActor {
    fn call(
        &mut self,
        input: Option<String>,
        timeout: Duration,
        begin: impl FnOnce(&mut Client, Now, Now, &mut Output<NoRecord>) -> CallId,
    ) -> Pending {
        let (caller, outcome) = oneshot::channel();
        if self.is_running() {
            let timeout_us = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
            // The caller is noted within the step: the call may end in it.
            self.step(input, |client, desk, now, out| {
                let call = begin(client, now, now.plus(timeout_us), out);
                desk.0.insert(call, caller);
            });
        }
        Pending(outcome)
    }
}

/// The answer to a call, once it is there. If the actor ends before, whoever awaits the message
/// gets [`MailboxError::Closed`].
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Outcome>);

impl<M: Message<Result = Outcome>> MessageResponse<ClientActor, M> for Pending {
    fn handle(self, _: &mut Context<ClientActor>, answer: Option<OneshotSender<Outcome>>) {
        actix_rt::spawn(async move {
            if let (Ok(outcome), Some(answer)) = (self.0.await, answer) {
                let _ = answer.send(outcome);
            }
        });
    }
}
