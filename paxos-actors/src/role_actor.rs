//! The one actor: it hosts a role, and does for it what a role cannot do.

mod hosted;
mod ticks;
mod turn;

pub use hosted::Hosted;
pub(crate) use turn::traced;

use self::turn::{EndOfTurn, Turn};
use crate::ending::{Ending, NodeEnd, Presence};
use crate::envelope::Envelope;
use crate::log::{Log, LogEvent};
use crate::routes::Routes;
use crate::snapshots::SnapshotTold;
use actix::prelude::*;
use paxos_core::{
    Acceptor, Client, Gate, Learner, Limits, MemberId, Output, Proposer, SnapshotEvent,
    StateMachine, Timing,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// An acceptor as an actor.
pub type AcceptorActor = RoleActor<Acceptor>;
/// A proposer as an actor.
pub type ProposerActor = RoleActor<Proposer>;
/// A learner as an actor.
pub type LearnerActor<S> = RoleActor<Learner<S>>;
/// A client as an actor; [`crate::submit`] says how to use it.
pub type ClientActor = RoleActor<Client>;

/// Hosts a role: feeds it messages and time, holds its mail back until the log has its records,
/// and posts it.
///
/// Messages that wait together are one turn: the role takes all of them, then it is flushed, and
/// what it has asked for in all goes to the log and to the mailboxes at once.
///
/// It begins by opening the log, and drops what arrives until all is replayed: a boot is a
/// restart. If it panics, or its log fails, everything that shares its [`Ending`] ends.
pub struct RoleActor<R: Hosted> {
    me: MemberId,
    make: Box<dyn Fn() -> R>,
    timing: Timing,
    limits: Limits,
    log: Option<Box<R::Log>>,
    routes: Arc<Routes>,
    role: R,
    desk: R::Desk,
    turn: Turn<R::Record>,
    gate: Gate,
    /// Counts the openings of the log.
    epoch: u64,
    phase: Phase,
    dropped: Dropped,
    /// The last field: it goes when the log is gone.
    presence: Presence,
}

enum Phase {
    /// The log is being read.
    Replaying,
    Running,
    /// The log is being finished. Whoever waits for the stop hears when these are dropped, which
    /// is when the actor is gone.
    Stopping(Vec<oneshot::Sender<()>>),
}

/// Messages that an actor refused at the door. Paxos survives the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The log was not replayed yet, or the actor was stopping.
    pub not_running: u64,
    /// The log was behind by more than [`Limits::log_backlog_max`].
    pub overload: u64,
}

/// What an actor tells about itself; its role has a status of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShellStatus {
    /// The log is replayed and the role takes messages.
    pub running: bool,
    /// Records handed to the log in all.
    pub appended: u64,
    /// Records known to be durable.
    pub durable: u64,
    /// Messages refused.
    pub dropped: Dropped,
}

impl<R: Hosted> RoleActor<R> {
    /// An actor for the role that `make` makes: once now, and again each time it is restarted from
    /// its log. It has default timing and limits, no log, no routes, and ends alone.
    pub fn new(me: MemberId, make: impl Fn() -> R + 'static) -> RoleActor<R> {
        RoleActor {
            me,
            role: make(),
            make: Box::new(make),
            timing: Timing::default(),
            limits: Limits::default(),
            log: None,
            routes: Arc::default(),
            desk: R::Desk::default(),
            turn: Turn::default(),
            gate: Gate::new(0),
            epoch: 0,
            phase: Phase::Replaying,
            dropped: Dropped::default(),
            presence: Ending::new().join(R::NAME),
        }
    }

    /// How often to tick.
    pub fn timing(mut self, timing: Timing) -> RoleActor<R> {
        self.timing = timing;
        self
    }

    /// How much to hold.
    pub fn limits(mut self, limits: Limits) -> RoleActor<R> {
        self.limits = limits;
        self
    }

    /// Where records go. Without a log they are forgotten, and no mail waits for them: right for a
    /// role that has none.
    pub fn log(mut self, log: Box<R::Log>) -> RoleActor<R> {
        self.log = Some(log);
        self
    }

    /// Where mail goes, until [`crate::control::SetRoutes`] says otherwise.
    pub fn routes(mut self, routes: Arc<Routes>) -> RoleActor<R> {
        self.routes = routes;
        self
    }

    /// With whom it ends.
    pub fn ending(mut self, ending: &Ending) -> RoleActor<R> {
        self.presence = ending.join(R::NAME);
        self
    }
}

impl<R: Hosted> Actor for RoleActor<R> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(self.limits.mailbox_max);
        ctx.spawn(EndOfTurn);
        let (actor, ending) = (ctx.address().downgrade(), self.presence.ending().clone());
        let interval = Duration::from_micros(self.timing.tick_us());
        actix_rt::spawn(ticks::send_ticks(actor, ending, interval));
        self.boot(ctx);
    }
}

impl<R: Hosted> Handler<Envelope<R::Msg>> for RoleActor<R> {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<R::Msg>, _: &mut Context<Self>) {
        let from = envelope.from;
        envelope.messages().for_each(|msg| self.take(from, msg));
    }
}

impl<R: Hosted> Handler<LogEvent<R::Record>> for RoleActor<R> {
    type Result = ();

    fn handle(&mut self, event: LogEvent<R::Record>, ctx: &mut Context<Self>) {
        if event.epoch() != self.epoch || self.has_ended() {
            return;
        }
        match event {
            LogEvent::Replayed { records, .. } => {
                records.into_iter().for_each(|record| self.role.replay(record));
            }
            LogEvent::Ready { lsn, .. } => {
                self.gate = Gate::new(lsn);
                self.phase = Phase::Running;
            }
            LogEvent::Durable { lsn, .. } => {
                self.gate.release(lsn, &mut self.turn.free);
                self.stop_if_finished(ctx);
            }
            LogEvent::Failed { error, .. } => {
                self.presence.ending().end(R::log_failed(error));
                ctx.terminate();
            }
        }
    }
}

impl<R: Hosted> RoleActor<R> {
    /// Takes one message, or refuses it.
    fn take(&mut self, from: MemberId, msg: R::Msg) {
        if !self.is_running() {
            self.dropped.not_running += 1;
        } else if self.is_overloaded() {
            self.dropped.overload += 1;
        } else {
            let input = traced(|| format!("{from}: {msg:?}"));
            self.step(input, |role, _, now, out| role.receive(now, from, msg, out));
        }
    }

    /// Begins an epoch: the role has what the log holds, and nothing else.
    fn boot(&mut self, ctx: &mut Context<Self>) {
        self.epoch += 1;
        self.turn = Turn::default();
        self.gate = Gate::new(0);
        self.phase = Phase::Replaying;
        match &mut self.log {
            Some(log) => {
                R::before_open(log, ctx.address());
                log.open(self.epoch, ctx.address().recipient());
            }
            None => self.phase = Phase::Running,
        }
    }

    /// Forgets what is only in memory and boots.
    pub(crate) fn restart(&mut self, ctx: &mut Context<Self>) {
        if !matches!(self.phase, Phase::Stopping(_)) {
            // What the turn asked for was before the restart.
            self.flush();
            self.role = (self.make)();
            self.desk = R::Desk::default();
            self.boot(ctx);
        }
    }

    /// Steps no more, lets the log finish, and stops. `done` is dropped with the actor.
    pub(crate) fn stop(&mut self, done: oneshot::Sender<()>, ctx: &mut Context<Self>) {
        match &mut self.phase {
            Phase::Stopping(waiting) => waiting.push(done),
            Phase::Replaying | Phase::Running => self.phase = Phase::Stopping(vec![done]),
        }
        self.stop_if_finished(ctx);
    }

    fn stop_if_finished(&mut self, ctx: &mut Context<Self>) {
        if matches!(self.phase, Phase::Stopping(_)) {
            self.flush();
            if self.gate.backlog() == 0 {
                ctx.stop();
            }
        }
    }

    pub(crate) fn set_routes(&mut self, routes: Arc<Routes>) {
        // Mail of this turn goes the old way.
        self.flush();
        self.routes = routes;
    }

    pub(crate) fn role(&self) -> &R {
        &self.role
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running) && !self.has_ended()
    }

    /// The log is behind: by records, or by mail of steps that had none of their own. What this
    /// turn has asked for counts too.
    fn is_overloaded(&self) -> bool {
        let Output { records, mail, .. } = &self.turn.out;
        let backlog = self.gate.backlog() + records.len() as u64;
        // Without records under way, mail waits for nothing but the end of the turn.
        let held = if backlog > 0 { self.gate.held() + mail.len() } else { 0 };
        backlog.max(held as u64) > self.limits.log_backlog_max
    }

    /// The tick that ends this actor stands in its mailbox behind what came before it.
    fn has_ended(&self) -> bool {
        self.presence.ending().reason().is_some()
    }

    pub(crate) fn shell_status(&self) -> ShellStatus {
        ShellStatus {
            running: self.is_running(),
            appended: self.gate.appended(),
            durable: self.gate.durable(),
            dropped: self.dropped,
        }
    }
}

/// Nothing inside is ever pinned.
impl<R: Hosted> Unpin for RoleActor<R> {}

impl<S: StateMachine> Handler<SnapshotTold> for LearnerActor<S> {
    type Result = ();

    fn handle(&mut self, told: SnapshotTold, ctx: &mut Context<Self>) {
        let SnapshotTold { epoch, event } = told;
        if epoch != self.epoch || self.has_ended() || matches!(self.phase, Phase::Stopping(_)) {
            return;
        }
        // All was replayed, and nothing else has happened yet.
        if matches!(event, SnapshotEvent::Found { .. })
            && let Err(error) = self.role.restored()
        {
            self.presence.ending().end(NodeEnd::SnapshotsFailed(Arc::new(error)));
            return ctx.terminate();
        }
        let input = traced(|| format!("{event:?}"));
        if self.step(input, |role, _, now, out| role.snapshot_event(now, event, out)) {
            self.restart(ctx);
        }
    }
}
