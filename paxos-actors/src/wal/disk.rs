//! What the log asks of a disk. All file access goes through here, so that a simulator can stand
//! in for the disk and fail it.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// One directory with files in it, for one process.
///
/// What was written is only in the file's cache until [`DiskFile::sync_data`] returns, and what was
/// created, renamed or removed only in the directory's until [`Disk::sync_directory`] does: a crash
/// may lose any part of it.
pub trait Disk: Send {
    /// The names of the files.
    fn list(&self) -> Result<Vec<String>, DiskError>;

    /// Opens a file that exists.
    fn open(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError>;

    /// Makes an empty file; one of that name is emptied.
    fn create(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError>;

    /// Gives a file another name; a file that had it is gone. Open files stay open.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError>;

    /// Removes a file.
    fn remove(&mut self, name: &str) -> Result<(), DiskError>;

    /// Makes durable which files there are and how they are called.
    fn sync_directory(&mut self) -> Result<(), DiskError>;

    /// What errors call a file of that name.
    fn path(&self, name: &str) -> PathBuf;
}

/// An open file.
pub trait DiskFile: Send {
    /// Bytes in the file.
    fn size(&self) -> Result<u64, DiskError>;

    /// Fills `buffer` with the bytes from `offset` on. An end of file before that is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError>;

    /// Writes all of `bytes` at `offset`; the file grows where it must.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError>;

    /// Makes the bytes of the file durable, and its size.
    fn sync_data(&mut self) -> Result<(), DiskError>;
}

/// Why a disk did not do what it was asked.
#[derive(Debug, Error)]
pub enum DiskError {
    /// Another process has the directory.
    #[error(
        "the data directory {} is in use by another process: stop that process, or give this one \
         a data directory of its own", .directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The disk is full.
    #[error(
        "no space left on the disk for {}: make room on it, then start the node again; nothing \
         acknowledged is lost", .path.display()
    )]
    Full {
        /// The file that could not be written.
        path: PathBuf,
    },
    /// Anything else that the system reports.
    #[error(
        "cannot {action} {}: {source}; see to the disk, then start the node again",
        .path.display()
    )]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl DiskError {
    /// The error that the system's `source` amounts to.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> DiskError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                DiskError::Full { path: path.to_owned() }
            }
            _ => DiskError::Io { action, path: path.to_owned(), source },
        }
    }
}
