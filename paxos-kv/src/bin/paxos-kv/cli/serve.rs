//! `paxos-kv serve`: one node of a cluster.

use super::failure::Failure;
use super::logging;
use super::print::complain;
use super::settings::{SettingsArgs, Sound};
use clap::{ArgMatches, Args};
use paxos_kv::server::Server;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use std::io;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// End when this process, which started this one, has ended: for `dev --processes`.
    #[arg(long, value_name = "PID", hide = true)]
    end_with: Option<u32>,
}

pub(super) fn run(args: ServeArgs, matches: &ArgMatches) -> Result<(), Failure> {
    if let Some(parent) = args.end_with {
        end_with(parent)?;
    }
    let sound = args.settings.merge(matches)?.check().map_err(Failure::Unsound)?;
    let Sound { server: options, warnings, log_level, log_format } = sound;
    logging::start(&log_level, log_format);
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    abort_on_panic();
    actix_rt::System::new().block_on(async {
        let mut stopped = Stopped::new()?;
        let mut server = Server::start(options).await?;
        let (clients, peers) = (server.client_addr(), server.peer_addr());
        tracing::info!(node = %server.me(), %clients, %peers, "started");
        tokio::select! {
            reason = server.ended() => {
                server.stop().await;
                return Err(reason.into());
            }
            () = stopped.wait() => {}
        }
        tracing::info!("stopping");
        server.stop().await;
        Ok(())
    })
}

/// The system kills this process when its parent has ended, however that ends.
fn end_with(parent: u32) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)?;
    // It may have ended before the system was told.
    match getppid().is_some_and(|now| now.as_raw_pid() as u32 == parent) {
        true => Ok(()),
        false => Err(Failure::Failed(format!("process {parent} is not the parent of this one"))),
    }
}

/// A role that panicked has found its own state broken, and a half-dead node is worse than a dead
/// one.
pub(super) fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        complain("error: this is a bug; what is in the log is sound: start the node again");
        std::process::abort();
    }));
}

/// Somebody wants the process to end: SIGINT or SIGTERM.
pub(super) struct Stopped {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stopped {
    /// From now on the signals do not end the process of themselves.
    pub(super) fn new() -> io::Result<Stopped> {
        Ok(Stopped {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
