//! Messages that wait together are taken in one turn.

use super::{Hosted, RoleActor};
use crate::awake;
use crate::clock;
use crate::log::Log;
use actix::prelude::*;
use paxos_core::{Now, Outgoing, Output};
use std::mem;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use tracing::{Level, enabled, trace};

/// A turn ends after so many steps, or when they have asked for so many records and messages,
/// though more mail may wait: from another thread, it can come as fast as it is taken.
const TURN_MAX: usize = 1024;

/// What has happened since the last flush.
pub(super) struct Turn<T> {
    /// When it began, for all of its steps; none where there was no step yet.
    pub(super) now: Option<Now>,
    steps: usize,
    /// What came in, if turns are traced.
    inputs: Vec<String>,
    /// What its steps have asked for.
    pub(super) out: Output<T>,
    /// Mail that the log has let go.
    pub(super) free: Vec<Outgoing>,
}

impl<T> Default for Turn<T> {
    fn default() -> Turn<T> {
        Turn { now: None, steps: 0, inputs: Vec::new(), out: Output::new(), free: Vec::new() }
    }
}

impl<R: Hosted> RoleActor<R> {
    /// Steps the role. What it asks for is done at the end of the turn.
    pub(crate) fn step<T>(
        &mut self,
        input: Option<String>,
        run: impl FnOnce(&mut R, &mut R::Desk, Now, &mut Output<R::Record>) -> T,
    ) -> T {
        self.turn.inputs.extend(input);
        let now = *self.turn.now.get_or_insert_with(clock::now);
        let result = run(&mut self.role, &mut self.desk, now, &mut self.turn.out);
        let Output { records, mail, feed } = &self.turn.out;
        self.turn.steps += 1;
        if self.turn.steps.max(records.len() + mail.len() + feed.len()) >= TURN_MAX {
            self.flush();
        }
        result
    }

    /// Ends the turn: does what its steps have asked for. All turns are traced here.
    pub(crate) fn flush(&mut self) {
        if let Some(now) = self.turn.now.take() {
            awake::turned();
            self.turn.steps = 0;
            self.role.flush(now, &mut self.turn.out);
            if !self.turn.inputs.is_empty() {
                let (inputs, output) = (mem::take(&mut self.turn.inputs), &self.turn.out);
                trace!(role = ?R::NAME, me = %self.me, ?inputs, ?output);
            }
            if let Some(end) = self.role.broken() {
                // What a broken role asks for is not to be believed either.
                self.turn = Turn::default();
                return self.presence.ending().end(end);
            }
            self.role.after_flush(&mut self.desk, self.epoch, self.log.as_deref_mut());
            if !self.turn.out.is_empty() {
                self.settle();
            }
        }
        if !self.turn.free.is_empty() {
            // What is lost is counted there, and Paxos survives it.
            self.routes.post_all(self.me, &mut self.turn.free);
        }
    }

    fn settle(&mut self) {
        let (log, epoch) = (&mut self.log, self.epoch);
        let lsn = self.gate.appended() + self.turn.out.records.len() as u64;
        let append = |records: &mut Vec<R::Record>| match log {
            Some(log) => log.append(epoch, records),
            // Without a log, no mail waits.
            None => Some(lsn),
        };
        self.gate.submit(&mut self.turn.out, append, &mut self.turn.free);
    }
}

/// Ends a turn when the mailbox is empty: actix polls what a context has spawned each time that it
/// is through with its mailbox.
pub(super) struct EndOfTurn;

impl<R: Hosted> ActorFuture<RoleActor<R>> for EndOfTurn {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut RoleActor<R>,
        _: &mut Context<RoleActor<R>>,
        _: &mut Task<'_>,
    ) -> Poll<()> {
        actor.flush();
        Poll::Pending
    }
}

/// What an input is traced as, if turns are traced at all.
pub(crate) fn traced(input: impl FnOnce() -> String) -> Option<String> {
    enabled!(Level::TRACE).then(input)
}
