//! How a call fails.

use crate::op::{Limit, RevisionError};
use paxos_core::{Refusal, Ticket};
use thiserror::Error;

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KvError {
    /// It is over a limit. Nothing was done.
    #[error(transparent)]
    Refused(#[from] Limit),
    /// Nothing was done, and nothing will be: it is safe to ask again.
    #[error("nothing was done: {}", reason(.0))]
    NotApplied(Refusal),
    /// A write may have been done, or may yet be.
    #[error(
        "the outcome is unknown (ticket {0}): the cluster did not answer in time; read the key to \
         see whether the write was done"
    )]
    Unknown(Ticket),
    /// The store has changed too much since the scan began to tell what else was there then.
    #[error(
        "the scan took too long to be of one moment ({0}): scan again, and a smaller prefix, or \
         while less is written"
    )]
    ScanTooOld(RevisionError),
    /// Nothing was done, because no endpoint can be reached.
    #[error("{0}")]
    Unavailable(String),
    /// The node's answer is not one that this version knows. A write was done.
    #[error(
        "the answer cannot be read ({0}): upgrade this client, or the node, to the same version"
    )]
    Unreadable(String),
    /// The client's thread is gone. A write may have been done.
    #[error("the client has ended; the outcome is unknown: make a new client")]
    Ended,
}

fn reason(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Busy => "the cluster has too much to do; try again later",
        Refusal::TimedOut => {
            "the cluster did not answer in time; see whether it has a leader with `status`"
        }
        Refusal::TooManyCalls => "this client has too many calls open; await some of them first",
    }
}
