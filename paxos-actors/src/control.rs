//! What the owner of an actor tells it. Send these with [`actix::Addr::send`] and await the answer.

use crate::role_actor::{Hosted, RoleActor, ShellStatus};
use crate::routes::Routes;
use actix::prelude::*;
use std::fmt;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Posts through this table from now on.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct SetRoutes(pub Arc<Routes>);

/// Tells how the actor fares; [`Inspect`] asks the role itself.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "ShellStatus")]
pub struct Report;

/// Starts the role anew from its log, as after a crash: what is only in memory is lost, mail that
/// waits for the log too. Without effect on an actor that is stopping.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Restart;

/// Stops in order: no more steps, the log is finished, and mail that waited for it goes out. The
/// answer comes when the actor is gone. Calls that a client has open end without an answer.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Looks at a role between two steps and takes back what was seen. Keep it short: nothing else
/// happens in the actor meanwhile.
pub struct Inspect<R, T>(Box<dyn FnOnce(&R) -> T + Send>);

impl<R, T> Inspect<R, T> {
    /// Runs `look` on the role.
    pub fn new(look: impl FnOnce(&R) -> T + Send + 'static) -> Inspect<R, T> {
        Inspect(Box::new(look))
    }
}

impl<R, T> fmt::Debug for Inspect<R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inspect")
    }
}

impl<R: 'static, T: 'static> Message for Inspect<R, T> {
    type Result = T;
}

impl<R: Hosted> Handler<SetRoutes> for RoleActor<R> {
    type Result = ();

    fn handle(&mut self, SetRoutes(routes): SetRoutes, _: &mut Context<Self>) {
        self.set_routes(routes);
    }
}

impl<R: Hosted> Handler<Report> for RoleActor<R> {
    type Result = MessageResult<Report>;

    fn handle(&mut self, _: Report, _: &mut Context<Self>) -> Self::Result {
        // Whoever looks sees what the messages before this one led to.
        self.flush();
        MessageResult(self.shell_status())
    }
}

impl<R: Hosted, T: 'static> Handler<Inspect<R, T>> for RoleActor<R> {
    type Result = MessageResult<Inspect<R, T>>;

    fn handle(&mut self, Inspect(look): Inspect<R, T>, _: &mut Context<Self>) -> Self::Result {
        self.flush();
        MessageResult(look(self.role()))
    }
}

impl<R: Hosted> Handler<Restart> for RoleActor<R> {
    type Result = ();

    fn handle(&mut self, _: Restart, ctx: &mut Context<Self>) {
        self.restart(ctx);
    }
}

impl<R: Hosted> Handler<Stop> for RoleActor<R> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) -> Self::Result {
        let (done, gone) = oneshot::channel();
        self.stop(done, ctx);
        // Never sent on: the actor drops its end as it goes.
        Box::pin(async move {
            let _ = gone.await;
        })
    }
}
