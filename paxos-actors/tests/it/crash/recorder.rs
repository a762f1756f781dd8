//! A disk that works, and writes down what it is asked to change.

use super::images::Image;
use paxos_actors::wal::{Disk, DiskError, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// One change, by the number of its file: names come and go.
#[derive(Clone, Debug)]
pub enum Op {
    Create {
        name: String,
        file: usize,
    },
    Write {
        file: usize,
        offset: u64,
        bytes: Arc<[u8]>,
    },
    Sync {
        file: usize,
    },
    /// A sync that failed: what it should have synced is in the cache, and goes nowhere any more.
    LostSync {
        file: usize,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        name: String,
    },
    SyncDirectory,
}

/// What holds after so many operations. States are judged by the last mark before them.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub ops: usize,
    /// Which of the subject's lives it is: each recovery begins one.
    pub life: usize,
    /// So much was said to be durable: a state that lacks any of it is illegal.
    pub told: u64,
    /// So much was begun: a state that has more is made up.
    pub begun: u64,
}

/// What was recorded.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// What was there before, durably; its files are the first ones.
    pub before: Image,
    pub ops: Vec<Op>,
    pub marks: Vec<Mark>,
}

/// The disk. Clones are the same one.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    recording: Recording,
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    /// After so many operations nothing is done any more.
    last: Option<usize>,
    syncs: u64,
    /// This sync fails.
    failing_sync: Option<u64>,
}

impl Recorder {
    /// A disk with these files. The sync of this number, if there is one, fails in the way of a
    /// cache that then calls its pages clean.
    pub fn new(before: Image, failing_sync: Option<u64>) -> Recorder {
        let mut inside = Inside { failing_sync, ..Inside::default() };
        for (name, bytes) in &before {
            inside.names.insert(name.clone(), inside.files.len());
            inside.files.push(bytes.to_vec());
        }
        inside.recording.before = before;
        Recorder(Arc::new(Mutex::new(inside)))
    }

    /// The process ends after so many operations from here, or does not.
    pub fn end_after(&self, operations: Option<usize>) {
        let mut inside = self.inside();
        inside.last = operations.map(|operations| inside.recording.ops.len() + operations);
    }

    /// How many syncs of files there were.
    pub fn syncs(&self) -> u64 {
        self.inside().syncs
    }

    /// From here on this holds.
    pub fn mark(&self, life: usize, told: u64, begun: u64) {
        let mut inside = self.inside();
        let ops = inside.recording.ops.len();
        inside.recording.marks.push(Mark { ops, life, told, begun });
    }

    pub fn recording(&self) -> Recording {
        self.inside().recording.clone()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().expect("the recorder is whole")
    }

    fn act<T>(
        &self,
        path: &Path,
        act: impl FnOnce(&mut Inside) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        act(&mut self.inside()).map_err(|source| DiskError::new("use", path, source))
    }

    fn handle(&self, name: &str, file: usize) -> Box<dyn DiskFile> {
        Box::new(RecordedFile { recorder: self.clone(), path: self.path(name), file })
    }
}

impl Inside {
    fn record(&mut self, op: Op) -> io::Result<()> {
        if self.last.is_some_and(|last| self.recording.ops.len() >= last) {
            return Err(io::Error::other("the process has ended"));
        }
        self.recording.ops.push(op);
        Ok(())
    }

    fn number(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or(io::ErrorKind::NotFound.into())
    }
}

impl Disk for Recorder {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        Ok(self.inside().names.keys().cloned().collect())
    }

    fn open(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = self.act(&self.path(name), |inside| inside.number(name))?;
        Ok(self.handle(name, file))
    }

    fn create(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = self.act(&self.path(name), |inside| {
            let file = inside.files.len();
            inside.record(Op::Create { name: name.to_owned(), file })?;
            inside.files.push(Vec::new());
            inside.names.insert(name.to_owned(), file);
            Ok(file)
        })?;
        Ok(self.handle(name, file))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.act(&self.path(to), |inside| {
            let file = inside.number(from)?;
            inside.record(Op::Rename { from: from.to_owned(), to: to.to_owned() })?;
            inside.names.remove(from);
            inside.names.insert(to.to_owned(), file);
            Ok(())
        })
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.act(&self.path(name), |inside| {
            inside.number(name)?;
            inside.record(Op::Remove { name: name.to_owned() })?;
            inside.names.remove(name);
            Ok(())
        })
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.act(&self.path(""), |inside| inside.record(Op::SyncDirectory))
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new("recorded").join(name)
    }
}

struct RecordedFile {
    recorder: Recorder,
    path: PathBuf,
    file: usize,
}

impl DiskFile for RecordedFile {
    fn size(&self) -> Result<u64, DiskError> {
        Ok(self.recorder.inside().files[self.file].len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.recorder.act(&self.path, |inside| {
            let found =
                inside.files[self.file].get(offset as usize..offset as usize + buffer.len());
            buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let file = self.file;
        self.recorder.act(&self.path, |inside| {
            inside.record(Op::Write { file, offset, bytes: bytes.into() })?;
            overwrite(&mut inside.files[file], offset, bytes);
            Ok(())
        })
    }

    fn sync_data(&mut self) -> Result<(), DiskError> {
        let file = self.file;
        self.recorder.act(&self.path, |inside| {
            inside.syncs += 1;
            if inside.failing_sync == Some(inside.syncs) {
                inside.record(Op::LostSync { file })?;
                return Err(io::Error::other("the disk does not sync"));
            }
            inside.record(Op::Sync { file })
        })
    }
}

pub fn overwrite(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if file.len() < end {
        file.resize(end, 0);
    }
    file[start..end].copy_from_slice(bytes);
}
