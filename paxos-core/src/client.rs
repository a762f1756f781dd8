//! The client: numbers its calls, sends them, and sends them again until their fate is known.

mod batch;
mod call;
mod calls;
mod numbered;
mod pace;
mod session;

use self::batch::Batch;
use self::call::{Call, Work};
use self::calls::Calls;
use self::numbered::Numbered;
use self::session::{Opening, Session};
use crate::ballot::{MemberId, NodeId};
use crate::config::{Limits, Now};
use crate::entry::{Body, Command, CommandName, SessionId};
use crate::message::{ClientMsg, LearnerMsg, Packet, ProposerMsg, Reply};
use crate::rng::Rng;
use crate::role::{NoRecord, Outgoing, Output, Role};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;

/// What a client is made with.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The node that replies are sent to.
    pub me: MemberId,
    /// Nodes that have a proposer (for writes) and a learner (for reads), in order of preference.
    pub nodes: Vec<NodeId>,
    /// Spreads its retries.
    pub seed: u64,
    /// How long the first attempt may take before the call is sent again, in microseconds; each
    /// further one may take twice as long, with jitter, up to sixteen times.
    pub retry_us: u64,
    /// How much to hold.
    pub limits: Limits,
}

/// Names a call of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// How a call ended (rule R17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The command was applied once, or the query was run, with this result.
    Done(Bytes),
    /// Nothing was done, and nothing will be.
    NotApplied(Refusal),
    /// The command may have been applied, or may yet be. The ticket says which one it was.
    Unknown(Ticket),
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Every attempt was refused at the door: the cluster has too much to do.
    Busy,
    /// The time was up before any attempt left this client, or, for a read, before an answer came.
    TimedOut,
    /// This client has as many calls open as it may.
    TooManyCalls,
    /// The value, or the query, has too many bytes.
    TooLarge {
        /// How many it has.
        bytes: u64,
        /// How many it may have.
        bytes_max: u64,
    },
}

/// Names a command whose outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The session it belongs to.
    pub session: SessionId,
    /// Its place in the session.
    pub sequence: u64,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.session, self.sequence)
    }
}

/// The client.
///
/// Writes belong to a session, which it opens with its first write, and again when it was silent
/// for so long that the cluster may have closed it. A session gives each write a sequence number;
/// with it the cluster recognises a repetition, so that a write can be sent as often as it takes.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    rng: Rng,
    calls: Calls,
    numbered: Numbered,
    finished: Vec<(CallId, Outcome)>,
    session: Session,
    /// A write waits for a number: for a session, or for room in its window.
    blocked: bool,
    batch: Batch,
    /// The place in `options.nodes` where calls are sent first.
    preferred: usize,
}

impl Client {
    /// A client without a session; it opens one with its first write.
    ///
    /// # Panics
    /// If `options.nodes` is empty.
    pub fn new(options: ClientOptions) -> Client {
        assert!(!options.nodes.is_empty(), "a client needs a node to send to");
        let mut rng = Rng::new(options.seed);
        Client {
            calls: Calls::new(rng.next_u64()),
            numbered: Numbered::default(),
            finished: Vec::new(),
            session: Session::None,
            blocked: false,
            batch: Batch::new(options.limits.part_bytes_max),
            preferred: 0,
            rng,
            options,
        }
    }

    /// Has `value` run on the state machine, exactly once. Ends no later than `deadline`.
    pub fn write(
        &mut self,
        now: Now,
        value: Bytes,
        deadline: Now,
        out: &mut Output<NoRecord>,
    ) -> CallId {
        self.call(now, Work::Write { value, number: None }, deadline, out)
    }

    /// Asks `query` of state that has all that was acknowledged before now.
    pub fn read(
        &mut self,
        now: Now,
        query: Bytes,
        deadline: Now,
        out: &mut Output<NoRecord>,
    ) -> CallId {
        self.call(now, Work::Read { query }, deadline, out)
    }

    /// The connection to `node` was lost: what waits for it is sent elsewhere.
    pub fn unreachable(&mut self, now: Now, node: NodeId, out: &mut Output<NoRecord>) {
        if self.options.nodes.get(self.preferred) == Some(&node) {
            self.preferred = (self.preferred + 1) % self.options.nodes.len();
        }
        for call in self.calls.iter_mut().filter(|call| call.pace.target() == Some(node)) {
            call.pace.retry_soon(now);
        }
        if let Session::Opening(opening) = &mut self.session
            && opening.pace.target() == Some(node)
        {
            opening.pace.retry_soon(now);
        }
        self.advance(now, out);
    }

    /// There is a connection to `node` now: what waits for it is sent. What was refused waits on.
    pub fn reachable(&mut self, now: Now, node: NodeId, out: &mut Output<NoRecord>) {
        let retry_us = self.options.retry_us;
        self.calls.iter_mut().for_each(|call| call.pace.reached(now, node, retry_us));
        if let Session::Opening(opening) = &mut self.session {
            opening.pace.reached(now, node, retry_us);
        }
        self.advance(now, out);
    }

    /// This mail never left, for there was no connection: it is as if it had not been tried (R17).
    /// It goes when its node is [`Client::reachable`], or elsewhere when that takes too long.
    pub fn unsent(&mut self, mail: &Outgoing) {
        let commands = match &mail.packet {
            Packet::Proposer(ProposerMsg::Propose { commands, .. }) => &commands[..],
            Packet::Learner(LearnerMsg::Read { id, .. }) => {
                if let Some(call) = self.calls.get_mut(CallId(*id)) {
                    call.unsent(mail.to);
                }
                return;
            }
            _ => return,
        };
        for command in commands {
            match (&command.body, &mut self.session) {
                (Body::Run { session, sequence, .. }, _) => {
                    let id = self.numbered.get((*session, *sequence));
                    if let Some(call) = id.and_then(|id| self.calls.get_mut(id)) {
                        call.unsent(mail.to);
                    }
                }
                (Body::Register { nonce }, Session::Opening(opening))
                    if opening.nonce == *nonce =>
                {
                    opening.pace.unsent(mail.to);
                }
                (Body::Register { .. }, _) => {}
            }
        }
    }

    /// The calls that ended since this was asked last. Ask after every step.
    pub fn finished(&mut self) -> impl Iterator<Item = (CallId, Outcome)> {
        self.finished.drain(..)
    }

    /// Itself.
    pub fn me(&self) -> MemberId {
        self.options.me
    }

    fn call(&mut self, now: Now, work: Work, deadline: Now, out: &mut Output<NoRecord>) -> CallId {
        let (bytes, bytes_max) = (work.bytes() as u64, self.options.limits.value_bytes_max as u64);
        if bytes > bytes_max {
            return self.refuse(Refusal::TooLarge { bytes, bytes_max });
        }
        if !self.calls.has_room(self.options.limits.calls_max) {
            return self.refuse(Refusal::TooManyCalls);
        }
        let id = self.calls.open(Call::new(work, deadline));
        self.session.close_if_stale(now);
        self.attempt(now, id, out);
        id
    }

    /// Ends a call before it begins.
    fn refuse(&mut self, refusal: Refusal) -> CallId {
        let id = self.calls.never_open();
        self.finished.push((id, Outcome::NotApplied(refusal)));
        id
    }

    /// Sends one call, if it can be sent now.
    fn attempt(&mut self, now: Now, id: CallId, out: &mut Output<NoRecord>) {
        let Some(call) = self.calls.get_mut(id) else { return };
        let nodes = &self.options.nodes;
        if call.pace.timed_out() == Some(nodes[self.preferred]) {
            self.preferred = (self.preferred + 1) % nodes.len();
        }
        let target = nodes[self.preferred];
        match &mut call.work {
            Work::Read { query } => {
                out.send(target, LearnerMsg::Read { id: id.0, query: query.clone() });
            }
            Work::Write { value, number } => {
                if number.is_none()
                    && let Session::Open { rules, .. } = &self.session
                {
                    *number = self.numbered.give(rules.window, id);
                }
                let Some((session, sequence)) = *number else {
                    self.blocked = true;
                    return self.open_session(now, out);
                };
                let acked_below = self.numbered.acked_below((session, sequence));
                let value = value.clone();
                let body = Body::Run { session, sequence, acked_below, value };
                let command = Command { client: self.options.me.node, learner: target, body };
                self.batch.send(target, command, out);
            }
        }
        let jitter = self.rng.between(0, self.options.retry_us / 2 + 1);
        call.sent(now, target, self.options.retry_us, jitter);
    }

    fn open_session(&mut self, now: Now, out: &mut Output<NoRecord>) {
        match &mut self.session {
            Session::Open { .. } => return,
            Session::Opening(opening) if !opening.pace.is_due(now) => return,
            Session::Opening(_) => {}
            Session::None => {
                let nonce = self.rng.next_u64();
                self.session = Session::Opening(Opening::new(nonce));
            }
        }
        let Session::Opening(opening) = &mut self.session else { return };
        let nodes = &self.options.nodes;
        if opening.pace.target() == Some(nodes[self.preferred]) {
            self.preferred = (self.preferred + 1) % nodes.len();
        }
        let target = nodes[self.preferred];
        let jitter = self.rng.between(0, self.options.retry_us / 2 + 1);
        opening.pace.sent(now, target, self.options.retry_us, jitter);
        let body = Body::Register { nonce: opening.nonce };
        let command = Command { client: self.options.me.node, learner: target, body };
        self.batch.send(target, command, out);
    }

    /// Sends what is due, and ends what has waited for too long.
    fn advance(&mut self, now: Now, out: &mut Output<NoRecord>) {
        for id in self.calls.ids_where(|call| now >= call.deadline) {
            self.give_up(id);
        }
        for id in self.calls.ids_where(|call| call.pace.is_due(now)) {
            self.attempt(now, id, out);
        }
    }

    fn give_up(&mut self, id: CallId) {
        let outcome = self.calls.get(id).map(Call::fate);
        if let Some(outcome) = outcome {
            self.finish(id, outcome);
        }
    }

    fn finish(&mut self, id: CallId, outcome: Outcome) {
        if let Some(call) = self.calls.end(id) {
            if let Work::Write { number: Some(number), .. } = call.work {
                self.numbered.end(number);
            }
            self.finished.push((id, outcome));
        }
    }

    fn replied(&mut self, now: Now, session: SessionId, sequence: u64, reply: Reply) {
        let Some(id) = self.numbered.get((session, sequence)) else { return };
        self.session.used(now, session);
        match reply {
            Reply::Applied(result) => self.finish(id, Outcome::Done(result)),
            Reply::Expired | Reply::OutOfWindow => {
                // Nothing was done this time; an earlier attempt may have been applied.
                self.session.close(session);
                self.finish(id, Outcome::Unknown(Ticket { session, sequence }));
            }
        }
    }

    /// No node takes the command, whichever it is sent to. What became of an attempt that was not
    /// refused is another matter: limits may differ.
    fn too_large(&mut self, now: Now, number: (SessionId, u64), refusal: Refusal) {
        let Some(id) = self.numbered.get(number) else { return };
        if let Some(call) = self.calls.get_mut(id) {
            call.refused(now);
            let outcome = match call.fate() {
                Outcome::NotApplied(_) => Outcome::NotApplied(refusal),
                other => other,
            };
            self.finish(id, outcome);
        }
    }

    fn busy(&mut self, now: Now, refused: Vec<CommandName>, retry_after_ms: u64) {
        let retry_at = now.plus(retry_after_ms.min(10_000) * 1000);
        for command in refused {
            match command {
                CommandName::Register { nonce } => match &mut self.session {
                    Session::Opening(opening) if opening.nonce == nonce => {
                        opening.pace.refused(retry_at);
                    }
                    _ => {}
                },
                CommandName::Run { session, sequence } => {
                    let id = self.numbered.get((session, sequence));
                    if let Some(call) = id.and_then(|id| self.calls.get_mut(id)) {
                        call.refused(retry_at);
                    }
                }
            }
        }
    }
}

impl Role for Client {
    type Msg = ClientMsg;
    type Record = NoRecord;

    fn receive(&mut self, now: Now, _: MemberId, msg: ClientMsg, out: &mut Output<NoRecord>) {
        match msg {
            ClientMsg::Registered { nonce, session, rules } => {
                if self.session.open(now, nonce, session, rules) {
                    self.numbered.begin(session);
                    self.advance(now, out);
                }
            }
            ClientMsg::NotRegistered { nonce } => {
                let wait = self.options.retry_us / 1000;
                self.busy(now, vec![CommandName::Register { nonce }], wait);
            }
            ClientMsg::Reply { session, sequence, reply } => {
                self.replied(now, session, sequence, reply);
                if core::mem::take(&mut self.blocked) {
                    self.advance(now, out);
                }
            }
            ClientMsg::TooLarge { session, sequence, bytes, bytes_max } => {
                self.too_large(now, (session, sequence), Refusal::TooLarge { bytes, bytes_max });
            }
            ClientMsg::Busy { refused, retry_after_ms } => self.busy(now, refused, retry_after_ms),
            ClientMsg::ReadReply { id, result } => {
                if matches!(self.calls.get(CallId(id)), Some(Call { work: Work::Read { .. }, .. }))
                {
                    self.finish(CallId(id), Outcome::Done(result));
                }
            }
            ClientMsg::ReadBusy { id, retry_after_ms } => {
                let retry_at = now.plus(retry_after_ms.min(10_000) * 1000);
                if let Some(call) = self.calls.get_mut(CallId(id)) {
                    call.refused(retry_at);
                }
            }
            ClientMsg::LeaderHint { leader } => {
                let at = self.options.nodes.iter().position(|&node| node == leader);
                self.preferred = at.unwrap_or(self.preferred);
            }
        }
    }

    fn tick(&mut self, now: Now, out: &mut Output<NoRecord>) {
        self.advance(now, out);
    }

    fn replay(&mut self, record: NoRecord) {
        match record {}
    }
}
