//! The `paxos-kv` command.

mod cli;

use clap::{CommandFactory, Parser};
use cli::Cli;
use cli::failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    abort_on_panic();
    match cli::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            Cli::command().error(clap::error::ErrorKind::ValueValidation, message).exit()
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}

/// A role that panicked has found its own state broken, and a half-dead node is worse than a dead
/// one.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        eprintln!("error: this is a bug; what is in the log is sound: start the node again");
        std::process::abort();
    }));
}
