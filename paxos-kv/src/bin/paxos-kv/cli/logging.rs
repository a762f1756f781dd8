//! What a node says about what it does, on standard error.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::io::{self, IsTerminal};
use std::str::FromStr;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What to log, and how.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// What to log: off, error, warn, info, debug or trace, or a filter like `paxos_net=debug`.
    #[arg(long, value_name = "LEVEL", default_value = "warn")]
    log_level: LogLevel,
    /// How to log.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// A filter that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct LogLevel(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Logs from now on.
pub(super) fn start(level: &LogLevel, format: LogFormat) {
    // A line that cannot be written is lost: to tell of it there, as is the default, would panic.
    let subscriber = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal())
        .with_env_filter(EnvFilter::new(&level.0));
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

impl LogArgs {
    /// Logs from now on.
    pub(super) fn start(&self) {
        start(&self.log_level, self.log_format);
    }

    /// The flags that say the same.
    pub(super) fn flags(&self) -> [String; 2] {
        let format = match self.log_format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        [format!("--log-level={}", self.log_level.0), format!("--log-format={format}")]
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(level: &str) -> Result<LogLevel, String> {
        // A filter takes any word for the name of a crate, and would log nothing.
        let is_word = level.chars().all(char::is_alphanumeric);
        if is_word && level.parse::<LevelFilter>().is_err() {
            return Err(format!("\"{level}\" is none of off, error, warn, info, debug and trace"));
        }
        match EnvFilter::try_new(level) {
            Ok(_) => Ok(LogLevel(level.to_owned())),
            Err(error) => Err(format!("\"{level}\" is no filter for the log: {error}")),
        }
    }
}

impl TryFrom<String> for LogLevel {
    type Error = String;

    fn try_from(level: String) -> Result<LogLevel, String> {
        level.parse()
    }
}

impl From<LogLevel> for String {
    fn from(level: LogLevel) -> String {
        level.0
    }
}
