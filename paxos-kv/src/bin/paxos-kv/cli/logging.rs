//! What a node says about what it does, on standard error.

use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal};
use tracing_subscriber::EnvFilter;

/// What to log, and how.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// What to log: off, error, warn, info, debug or trace, or a filter like `paxos_net=debug`.
    #[arg(long, value_name = "LEVEL", value_parser = filter)]
    log_level: Option<String>,
    /// How to log.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogArgs {
    /// Logs from now on.
    pub(super) fn start(&self, default: &str) {
        let level = self.log_level.as_deref().unwrap_or(default);
        let subscriber = tracing_subscriber::fmt()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_env_filter(EnvFilter::new(level));
        match self.log_format {
            LogFormat::Text => subscriber.init(),
            LogFormat::Json => subscriber.json().init(),
        }
    }
}

fn filter(level: &str) -> Result<String, String> {
    EnvFilter::try_new(level).map(|_| level.to_owned()).map_err(|error| error.to_string())
}
