//! How a program uses a client that is an actor.

use crate::log::Log;
use crate::role_actor::{ClientActor, Hosted, traced};
use actix::dev::{MessageResponse, OneshotSender};
use actix::prelude::*;
use bytes::Bytes;
use paxos_core::rng::mix;
use paxos_core::{CallId, Client, NoRecord, Now, Outcome, Output, RoleName};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
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
        let timeout = self.timeout;
        self.submit(|caller| Submit::Write(Write { value: value.into(), timeout }, caller)).await
    }

    /// Asks `query` of a state that has all that was acknowledged before now.
    pub async fn read(&self, query: impl Into<Bytes>) -> Result<Outcome, ClientGone> {
        let timeout = self.timeout;
        self.submit(|caller| Submit::Read(Read { query: query.into(), timeout }, caller)).await
    }

    async fn submit(&self, call: impl FnOnce(Caller) -> Submit) -> Result<Outcome, ClientGone> {
        let (caller, outcome) = oneshot::channel();
        match self.actor.try_send(call(caller)) {
            Ok(()) => {}
            // Waits for room in the mailbox.
            Err(SendError::Full(call)) => self.actor.send(call).await.map_err(|_| ClientGone)?,
            Err(SendError::Closed(_)) => return Err(ClientGone),
        }
        outcome.await.map_err(|_| ClientGone)
    }
}

/// Who waits for the outcome of a call.
type Caller = oneshot::Sender<Outcome>;

/// A call with its caller, who hears of the outcome from the desk itself. An answer through actix
/// would need a task for each call, since it must be there when the message was handled.
#[derive(Debug, Message)]
#[rtype(result = "()")]
enum Submit {
    Write(Write, Caller),
    Read(Read, Caller),
}

/// Who waits for which call.
#[derive(Debug, Default)]
pub struct Waiting(HashMap<CallId, Caller, BuildHasherDefault<CallHasher>>);

/// Spreads ids, which nobody else can choose.
#[derive(Debug, Default)]
struct CallHasher(u64);

impl Hasher for CallHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = mix(self.0 ^ id);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Hosted for Client {
    const NAME: RoleName = RoleName::Client;
    type Desk = Waiting;
    type Log = dyn Log<NoRecord>;

    fn after_flush(
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

impl Handler<Submit> for ClientActor {
    type Result = ();

    fn handle(&mut self, call: Submit, _: &mut Context<Self>) {
        match call {
            Submit::Write(write, caller) => self.write(write, caller),
            Submit::Read(read, caller) => self.read(read, caller),
        }
    }
}

impl Handler<Write> for ClientActor {
    type Result = Pending;

    fn handle(&mut self, write: Write, _: &mut Context<Self>) -> Pending {
        let (caller, outcome) = oneshot::channel();
        self.write(write, caller);
        Pending(outcome)
    }
}

impl Handler<Read> for ClientActor {
    type Result = Pending;

    fn handle(&mut self, read: Read, _: &mut Context<Self>) -> Pending {
        let (caller, outcome) = oneshot::channel();
        self.read(read, caller);
        Pending(outcome)
    }
}

impl ClientActor {
    fn write(&mut self, Write { value, timeout }: Write, caller: Caller) {
        let input = traced(|| format!("write {} bytes", value.len()));
        self.call(input, timeout, caller, |client, now, deadline, out| {
            client.write(now, value, deadline, out)
        });
    }

    fn read(&mut self, Read { query, timeout }: Read, caller: Caller) {
        let input = traced(|| format!("read {} bytes", query.len()));
        self.call(input, timeout, caller, |client, now, deadline, out| {
            client.read(now, query, deadline, out)
        });
    }

    /// Begins a call. Before the actor runs, and once it ends, the caller is let go.
    fn call(
        &mut self,
        input: Option<String>,
        timeout: Duration,
        caller: Caller,
        begin: impl FnOnce(&mut Client, Now, Now, &mut Output<NoRecord>) -> CallId,
    ) {
        if self.is_running() {
            let timeout_us = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
            // The caller is noted within the step: the call may end in it.
            self.step(input, |client, desk, now, out| {
                let call = begin(client, now, now.plus(timeout_us), out);
                desk.0.insert(call, caller);
            });
        }
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
