//! The real disk: a directory of the file system.

use crate::wal::disk::{Disk, DiskError, DiskFile};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The name of the file whose lock says that a process has the directory.
const LOCK: &str = "lock";

/// A directory of the file system, held by this process until the value is dropped.
#[derive(Debug)]
pub struct FileDisk {
    directory: PathBuf,
    handle: File,
    /// Its lock ends with the process, however that ends.
    _lock: File,
}

impl FileDisk {
    /// Takes the directory for this process, and makes it first where there is none.
    pub fn open(directory: impl Into<PathBuf>) -> Result<FileDisk, DiskError> {
        let directory = directory.into();
        make_durably(&directory)?;
        let path = directory.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| DiskError::new("open", &path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DiskError::InUse { directory }),
            Err(TryLockError::Error(source)) => return Err(DiskError::new("lock", &path, source)),
        }
        let handle =
            File::open(&directory).map_err(|source| DiskError::new("open", &directory, source))?;
        Ok(FileDisk { directory, handle, _lock: lock })
    }
}

impl Disk for FileDisk {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        let failed = |source| DiskError::new("list", &self.directory, source);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            // A name that is not text is none of ours.
            names.extend(entry.map_err(failed)?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn open(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        self.open_with(name, OpenOptions::new().read(true).write(true))
    }

    fn create(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut options = OpenOptions::new();
        self.open_with(name, options.read(true).write(true).create(true).truncate(true))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        fs::rename(self.path(from), self.path(to))
            .map_err(|source| DiskError::new("rename to", &self.path(to), source))
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        let path = self.path(name);
        fs::remove_file(&path).map_err(|source| DiskError::new("remove", &path, source))
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.handle.sync_all().map_err(|source| DiskError::new("sync", &self.directory, source))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl FileDisk {
    fn open_with(&self, name: &str, how: &OpenOptions) -> Result<Box<dyn DiskFile>, DiskError> {
        let path = self.path(name);
        let file = how.open(&path).map_err(|source| DiskError::new("open", &path, source))?;
        Ok(Box::new(RealFile { path, file }))
    }
}

struct RealFile {
    /// As it was opened.
    path: PathBuf,
    file: File,
}

impl RealFile {
    /// What the system reports, with the name that the file has now: it may have been renamed.
    fn failed(&self, action: &'static str, source: io::Error) -> DiskError {
        let now = fs::read_link(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        DiskError::new(action, now.as_ref().unwrap_or(&self.path), source)
    }
}

impl DiskFile for RealFile {
    fn size(&self) -> Result<u64, DiskError> {
        let metadata = self.file.metadata();
        Ok(metadata.map_err(|source| self.failed("look at", source))?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.file.read_exact_at(buffer, offset).map_err(|source| self.failed("read", source))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.file.write_all_at(bytes, offset).map_err(|source| self.failed("write", source))
    }

    fn sync_data(&mut self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(|source| self.failed("sync", source))
    }
}

/// Makes a directory and those above it, each of them durable in the one that holds it.
fn make_durably(directory: &Path) -> Result<(), DiskError> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = match directory.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    make_durably(above)?;
    match fs::create_dir(directory) {
        Err(source) if !directory.is_dir() => {
            return Err(DiskError::new("make the directory", directory, source));
        }
        _ => {}
    }
    let synced = File::open(above).and_then(|handle| handle.sync_all());
    synced.map_err(|source| DiskError::new("sync", above, source))
}
