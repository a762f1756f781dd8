//! What wakes an actor when no mail does.

use super::{Hosted, RoleActor, traced};
use crate::ending::Ending;
use actix::WeakAddr;
use actix::prelude::*;
use std::time::Duration;

/// A tick is due, or the node has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Tick;

/// Sends the ticks, and one more when the node ends, for as long as the actor lives. It is a task
/// beside the actor: a future of the actor itself would be polled whenever the actor has mail.
///
/// The next tick is due an interval after the last one was taken. Those that were missed while the
/// process stood still are not made up for: a burst of them would forge an election timeout.
pub(super) async fn send_ticks<R: Hosted>(
    actor: WeakAddr<RoleActor<R>>,
    ending: Ending,
    interval: Duration,
) {
    loop {
        // Either way it is time.
        let _ = tokio::time::timeout(interval, ending.announced()).await;
        let Some(actor) = actor.upgrade() else { break };
        if actor.send(Tick).await.is_err() {
            break;
        }
    }
}

impl<R: Hosted> Handler<Tick> for RoleActor<R> {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Context<Self>) {
        if self.has_ended() {
            ctx.terminate();
        } else if self.is_running() {
            // Time has passed since what stood before it in the mailbox.
            self.flush();
            self.step(traced(|| "tick".into()), |role, _, now, out| role.tick(now, out));
        }
    }
}
