//! Why there is no log, or no more of it.

use crate::codec::CodecError;
use crate::wal::disk::DiskError;
use paxos_core::NodeId;
use std::path::PathBuf;
use thiserror::Error;

/// What to do with a data directory that cannot be trusted.
const WAY_OUT: &str = "this node stays down, because it might forget a promise or a vote; bring \
                       the file back as it was. If it is lost, so is this node: the others go on \
                       without it, as long as a majority of the first nodes is left";

/// Why a log cannot be opened, or cannot go on.
#[derive(Debug, Error)]
pub enum WalError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The data directory is another node's.
    #[error(
        "{} says that this data directory belongs to node {found}, not to node {expected}: start \
         node {found} here, or give node {expected} its own data directory", .path.display()
    )]
    OtherNode {
        /// The identity file.
        path: PathBuf,
        /// Whose it is.
        found: NodeId,
        /// Whose it was said to be.
        expected: NodeId,
    },
    /// There is a log, and nothing says whose.
    #[error("{} is missing although its directory holds a log: {WAY_OUT}", .path.display())]
    IdentityMissing {
        /// The identity file.
        path: PathBuf,
    },
    /// A file of the log is missing.
    #[error("{} is missing: {WAY_OUT}", .path.display())]
    SegmentMissing {
        /// The segment.
        path: PathBuf,
    },
    /// A file was written by another version of this software.
    #[error(
        "{} has format version {found}, and only version {known} is known here: use the release \
         that wrote it, or a later one", .path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this software reads and writes.
        known: u32,
    },
    /// A segment belongs to another member or another cluster.
    #[error("{} belongs to another {what} than this data directory: {WAY_OUT}", .path.display())]
    Foreign {
        /// The segment.
        path: PathBuf,
        /// `member` or `cluster`.
        what: &'static str,
    },
    /// What was durable is damaged.
    #[error("{} is damaged at offset {offset} ({what}): {WAY_OUT}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damage begins, in bytes.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A record is larger than a segment.
    #[error(
        "a record of {bytes} bytes does not fit a segment of {segment_bytes} bytes: use larger \
         segments"
    )]
    RecordTooLarge {
        /// Bytes of the record.
        bytes: usize,
        /// Bytes of a segment.
        segment_bytes: u32,
    },
    /// A size of segments that the log does not take.
    #[error("a segment of {0} bytes: it must be a multiple of 4096 from 4096 to 1073741824")]
    SegmentSize(u32),
    /// A record cannot be written as bytes.
    #[error("a record does not fit its format: {0}; this is a bug, please report it")]
    Codec(#[from] CodecError),
    /// More records are queued than the log was told to expect.
    #[error(
        "the log's queue is full at {0} requests: its writer ignores its bound; this is a bug, \
         please report it"
    )]
    Overrun(usize),
    /// The log's thread could not be started.
    #[error("cannot start the log's thread: {0}; raise the limit on threads")]
    Thread(#[source] std::io::Error),
    /// The log's thread is gone without a word.
    #[error("the log's thread has stopped; this is a bug, please report it")]
    Stopped,
}
