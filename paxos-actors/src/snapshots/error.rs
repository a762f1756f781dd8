//! Why there are no snapshots, or no more of them.

use crate::wal::DiskError;
use std::path::PathBuf;
use thiserror::Error;

/// Why snapshots cannot be read, or cannot be kept any more.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
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
    /// The only snapshot is damaged.
    #[error(
        "{} is damaged at offset {offset} ({what}), and no other learner has what is in it: this \
         node stays down, because its log has forgotten what the snapshot covers; bring the file \
         back as it was", .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins, in bytes.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The data directory was emptied, and the snapshots in it were not.
    #[error(
        "{} has snapshots, but the data directory that it is in has no identity: what they are of \
         may be another cluster; put back what was removed, or, to start as a new member, remove \
         the snapshots as well", .path.display()
    )]
    Stray {
        /// The directory of the snapshots.
        path: PathBuf,
    },
    /// More tasks are queued than a learner has at a time.
    #[error(
        "the queue for snapshots is full at {0} tasks: its learner ignores its bound; this is a \
         bug, please report it"
    )]
    Overrun(usize),
    /// The thread could not be started.
    #[error("cannot start the thread for snapshots: {0}; raise the limit on threads")]
    Thread(#[source] std::io::Error),
    /// The thread is gone without a word.
    #[error("the thread for snapshots has stopped; this is a bug, please report it")]
    Stopped,
}
