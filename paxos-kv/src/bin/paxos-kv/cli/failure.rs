//! How the command fails, and what it exits with.

use paxos_kv::KvError;
use paxos_kv::server::ServerError;
use std::io;
use std::process::ExitCode;
use thiserror::Error;

/// Why the command did not do what was asked.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// It was asked for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A node cannot be started with these settings: everything that is wrong with them.
    #[error("{}", .0.join("\nerror: "))]
    Unsound(Vec<String>),
    /// It was refused, or failed.
    #[error("{0}")]
    Failed(String),
    /// It may have been done, or may yet be.
    #[error("{0}")]
    Unknown(KvError),
}

impl Failure {
    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Failed(_) => ExitCode::from(1),
            Failure::Usage(_) | Failure::Unsound(_) => ExitCode::from(2),
            Failure::Unknown(_) => ExitCode::from(3),
        }
    }
}

impl From<KvError> for Failure {
    fn from(error: KvError) -> Failure {
        match error {
            KvError::Unknown(_) | KvError::Ended => Failure::Unknown(error),
            error => Failure::Failed(error.to_string()),
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Failure {
        match error {
            ServerError::NotInCluster(_) | ServerError::OnePort(_) | ServerError::Quorums(_) => {
                Failure::Usage(error.to_string())
            }
            error => Failure::Failed(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Failed(error.to_string())
    }
}
