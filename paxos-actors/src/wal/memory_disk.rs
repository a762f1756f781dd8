//! A disk in memory that can fail in the ways of real ones: for tests and simulators.

use crate::wal::disk::{Disk, DiskError, DiskFile};
use paxos_core::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a write to a real disk may be split into by a crash.
const SECTOR_BYTES: u64 = 512;

/// A simulated disk with one directory. What was synced and what was not are kept apart, so that a
/// crash can lose the difference. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<Inside>>);

/// The disk as one process has it, until the process ends: see [`MemoryDisk::mount`].
#[derive(Debug)]
pub struct MountedDisk {
    disk: MemoryDisk,
    life: u64,
}

#[derive(Debug, Default)]
struct Inside {
    /// How many processes have ended. A handle of an ended one does nothing any more.
    life: u64,
    files: BTreeMap<u64, MemoryFile>,
    /// File numbers by name: as processes see them, and as a crash leaves them.
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// The steps between the two.
    unsynced_names: Vec<Naming>,
    next_file: u64,
    operations: u64,
    /// The power fails at this operation.
    last_operation: Option<u64>,
    capacity: Option<u64>,
    fail_writes: bool,
    fail_syncs: bool,
    skip_syncs: bool,
}

#[derive(Debug, Default)]
struct MemoryFile {
    /// As processes see it.
    bytes: Vec<u8>,
    /// As a crash leaves it.
    durable: Vec<u8>,
    /// Writes between the two.
    unsynced: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug)]
enum Naming {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// Takes the disk for a process.
    pub fn mount(&self) -> MountedDisk {
        MountedDisk { disk: self.clone(), life: self.inside().life }
    }

    /// The process ends; the disk and its cache go on.
    pub fn kill(&self) {
        self.inside().end_life();
    }

    /// The power fails. What was not synced is lost: all of it, or, with a seed, whatever the seed
    /// says, in whole writes, sectors and torn sectors. Names are lost from the last change back.
    pub fn crash(&self, seed: Option<u64>) {
        let mut inside = self.inside();
        inside.end_life();
        inside.lose(seed.map(Rng::new));
    }

    /// From now on writes fail, or do not.
    pub fn fail_writes(&self, fail: bool) {
        self.inside().fail_writes = fail;
    }

    /// From now on syncs fail, or do not. A sync that fails forgets what it should have synced: it
    /// can be read, but the next sync does not save it either.
    pub fn fail_syncs(&self, fail: bool) {
        self.inside().fail_syncs = fail;
    }

    /// From now on syncs do nothing, and say that all is well; or work again.
    pub fn skip_syncs(&self, skip: bool) {
        self.inside().skip_syncs = skip;
    }

    /// From now on the files have at most so many bytes together.
    pub fn limit(&self, capacity: Option<u64>) {
        self.inside().capacity = capacity;
    }

    /// The power fails after so many operations that change something: that one is still done, and
    /// says that it failed. A crash decides what is left.
    pub fn fail_after(&self, operations: u64) {
        let mut inside = self.inside();
        inside.last_operation = Some(inside.operations + operations);
    }

    /// How many operations have changed something.
    pub fn operations(&self) -> u64 {
        self.inside().operations
    }

    /// The names of the files.
    pub fn names(&self) -> Vec<String> {
        self.inside().names.keys().cloned().collect()
    }

    /// The content of a file.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let inside = self.inside();
        let number = inside.names.get(name)?;
        inside.files.get(number).map(|file| file.bytes.clone())
    }

    /// Puts a file on the disk, durably, or replaces its content.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut inside = self.inside();
        let number = inside.new_file();
        let durable = bytes.clone();
        inside.files.insert(number, MemoryFile { bytes, durable, unsynced: Vec::new() });
        inside.names.insert(name.to_owned(), number);
        inside.durable_names.insert(name.to_owned(), number);
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // A test that panicked elsewhere says so itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn end_life(&mut self) {
        self.life += 1;
        self.last_operation = None;
    }

    fn lose(&mut self, mut rng: Option<Rng>) {
        let kept = match &mut rng {
            Some(rng) => rng.between(0, self.unsynced_names.len() as u64 + 1) as usize,
            None => 0,
        };
        for naming in self.unsynced_names.drain(..).take(kept) {
            naming.apply(&mut self.durable_names);
        }
        self.names = self.durable_names.clone();
        self.forget_nameless();
        for file in self.files.values_mut() {
            for (offset, bytes) in std::mem::take(&mut file.unsynced) {
                if let Some(rng) = &mut rng {
                    keep_some(&mut file.durable, offset, &bytes, rng);
                }
            }
            file.bytes = file.durable.clone();
        }
    }

    /// Files that are called nothing any more, and would not be after a crash, are gone.
    fn forget_nameless(&mut self) {
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        self.files.retain(|number, _| named.contains(number));
    }

    fn new_file(&mut self) -> u64 {
        self.next_file += 1;
        self.next_file
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|n| self.files.get(n)).map(|f| f.bytes.len() as u64).sum()
    }

    /// Counts an operation that changes something. The last one before the power fails is done, and
    /// nothing after it.
    fn operate(&mut self, act: impl FnOnce(&mut Inside)) -> io::Result<()> {
        let off = || Err(io::Error::other("the power is off"));
        match self.last_operation {
            Some(last) if self.operations >= last => return off(),
            _ => self.operations += 1,
        }
        act(self);
        if self.last_operation == Some(self.operations) { off() } else { Ok(()) }
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.unsynced_names.push(naming);
    }

    fn write(&mut self, number: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.fail_writes {
            return Err(io::Error::other("the disk does not write"));
        }
        let size = self.files.get(&number).map_or(0, |file| file.bytes.len() as u64);
        let grows = (offset + bytes.len() as u64).saturating_sub(size);
        if grows > 0 && self.capacity.is_some_and(|capacity| self.used() + grows > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.operate(|inside| {
            let file = inside.files.entry(number).or_default();
            overwrite(&mut file.bytes, offset, bytes);
            file.unsynced.push((offset, bytes.to_vec()));
        })
    }

    fn sync(&mut self, number: u64) -> io::Result<()> {
        let (fail, skip) = (self.fail_syncs, self.skip_syncs);
        self.operate(|inside| {
            let file = inside.files.entry(number).or_default();
            if skip {
                return;
            }
            for (offset, bytes) in std::mem::take(&mut file.unsynced) {
                if !fail {
                    overwrite(&mut file.durable, offset, &bytes);
                }
            }
        })?;
        if fail { Err(io::Error::other("the disk does not sync")) } else { Ok(()) }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Naming::Create(name, number) => {
                names.insert(name.clone(), *number);
            }
            Naming::Rename(from, to) => {
                if let Some(number) = names.remove(from) {
                    names.insert(to.clone(), number);
                }
            }
            Naming::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

fn overwrite(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if file.len() < end {
        file.resize(end, 0);
    }
    file[start..end].copy_from_slice(bytes);
}

/// Writes what a crash lets through: all, nothing, or each sector by chance and one of them torn.
fn keep_some(file: &mut Vec<u8>, offset: u64, bytes: &[u8], rng: &mut Rng) {
    let how = rng.between(0, 4);
    let mut at = 0;
    while at < bytes.len() {
        let sector_left = SECTOR_BYTES - (offset + at as u64) % SECTOR_BYTES;
        let end = bytes.len().min(at + sector_left as usize);
        let kept = match how {
            0 => 0,
            1 => end - at,
            _ => match rng.between(0, 8) {
                0..=2 => 0,
                3 => rng.between(0, (end - at) as u64) as usize,
                _ => end - at,
            },
        };
        overwrite(file, offset + at as u64, &bytes[at..at + kept]);
        at = end;
    }
}

impl MountedDisk {
    /// Does something to the disk, if the process still lives.
    fn act<T>(
        &self,
        action: &'static str,
        path: &Path,
        act: impl FnOnce(&mut Inside) -> io::Result<T>,
    ) -> Result<T, DiskError> {
        let mut inside = self.disk.inside();
        let done = match inside.life == self.life {
            true => act(&mut inside),
            false => Err(io::Error::other("the process has ended")),
        };
        done.map_err(|source| DiskError::new(action, path, source))
    }

    fn handle(&self, name: &str, number: u64) -> Box<dyn DiskFile> {
        let disk = MountedDisk { disk: self.disk.clone(), life: self.life };
        Box::new(MountedFile { path: self.path(name), disk, number })
    }
}

impl Disk for MountedDisk {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        self.act("list", &self.path(""), |inside| Ok(inside.names.keys().cloned().collect()))
    }

    fn open(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let number = self.act("open", &self.path(name), |inside| {
            inside.names.get(name).copied().ok_or(io::ErrorKind::NotFound.into())
        })?;
        Ok(self.handle(name, number))
    }

    fn create(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let number = self.act("create", &self.path(name), |inside| {
            let number = inside.new_file();
            inside.operate(|inside| {
                inside.files.insert(number, MemoryFile::default());
                inside.name(Naming::Create(name.to_owned(), number));
            })?;
            Ok(number)
        })?;
        Ok(self.handle(name, number))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.act("rename to", &self.path(to), |inside| {
            if !inside.names.contains_key(from) {
                return Err(io::ErrorKind::NotFound.into());
            }
            inside.operate(|inside| inside.name(Naming::Rename(from.to_owned(), to.to_owned())))
        })
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.act("remove", &self.path(name), |inside| {
            if !inside.names.contains_key(name) {
                return Err(io::ErrorKind::NotFound.into());
            }
            inside.operate(|inside| inside.name(Naming::Remove(name.to_owned())))
        })
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.act("sync", &self.path(""), |inside| {
            let (fail, skip) = (inside.fail_syncs, inside.skip_syncs);
            inside.operate(|inside| {
                if !fail && !skip {
                    inside.unsynced_names.clear();
                    inside.durable_names = inside.names.clone();
                    inside.forget_nameless();
                }
            })?;
            if fail { Err(io::Error::other("the disk does not sync")) } else { Ok(()) }
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new("memory").join(name)
    }
}

struct MountedFile {
    path: PathBuf,
    disk: MountedDisk,
    number: u64,
}

impl DiskFile for MountedFile {
    fn size(&self) -> Result<u64, DiskError> {
        self.disk.act("look at", &self.path, |inside| {
            Ok(inside.files.get(&self.number).map_or(0, |file| file.bytes.len() as u64))
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.disk.act("read", &self.path, |inside| {
            let bytes = inside.files.get(&self.number).map_or(&[][..], |file| &file.bytes);
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let found = bytes.get(start..start.saturating_add(buffer.len()));
            buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.disk.act("write", &self.path, |inside| inside.write(self.number, offset, bytes))
    }

    fn sync_data(&mut self) -> Result<(), DiskError> {
        self.disk.act("sync", &self.path, |inside| inside.sync(self.number))
    }
}
