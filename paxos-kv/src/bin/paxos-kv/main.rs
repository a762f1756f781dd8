//! The `paxos-kv` command.

mod cli;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches};
use cli::Cli;
use cli::failure::Failure;
use cli::print::complain;
use std::process::ExitCode;

fn main() -> ExitCode {
    let matches = Cli::command().try_get_matches().unwrap_or_else(|error| wrong_usage(&error));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match cli::run(cli, &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => {
            Cli::command().error(clap::error::ErrorKind::ValueValidation, message).exit()
        }
        Err(failure) => {
            complain(format_args!("error: {failure}"));
            failure.exit_code()
        }
    }
}

/// Says what is wrong, and where to look for a value that is not on the command line.
fn wrong_usage(error: &clap::Error) -> ! {
    if let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg)
        && error.get(ContextKind::InvalidValue).is_some()
        && let Some(flag) = argument.split_whitespace().next().filter(|name| name.starts_with("--"))
        && let name = format!("PAXOS_KV_{}", flag[2..].replace('-', "_").to_uppercase())
        && std::env::var_os(&name).is_some()
        && !std::env::args().any(|given| given.split('=').next() == Some(flag))
    {
        complain(format_args!("{name} in the environment is wrong:"));
    }
    error.exit()
}
