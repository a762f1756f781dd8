//! A disk that remembers what was written, so that old writes can be spoilt.
//!
//! The disk itself is [`MemoryDisk`]: it loses and tears what was not synced. On top of it are the
//! faults that strike what is durable: bits that flip, writes that never arrived, and writes that
//! arrived elsewhere. A log can know of such damage only where something behind it was durable
//! later, so nothing else is spoilt: a last write that never arrived looks like none.

use paxos_actors::wal::{Disk, DiskError, DiskFile, MemoryDisk, MountedDisk};
use paxos_core::rng::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Writes remembered; older ones are never spoilt.
const WRITES_MAX: usize = 256;

/// A machine's disk: it outlives the processes that mount it. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct SimDisk {
    pub memory: MemoryDisk,
    past: Arc<Mutex<Past>>,
}

/// What was written, and which file is called what.
#[derive(Debug, Default)]
struct Past {
    writes: VecDeque<Write>,
    files: BTreeMap<String, u64>,
    next_file: u64,
    /// How many writes there were.
    count: u64,
}

#[derive(Debug)]
struct Write {
    file: u64,
    offset: u64,
    before: Vec<u8>,
    after: Vec<u8>,
    /// Its place among all writes.
    number: u64,
    /// How many writes there were when it was durable; none: it is not.
    durable_at: Option<u64>,
}

impl Write {
    /// Whether it is the later one, and in the same place: segments are used again.
    fn covers_part_of(&self, other: &Write) -> bool {
        let end = |write: &Write| write.offset + write.after.len() as u64;
        let meets = self.offset < end(other) && other.offset < end(self);
        self.file == other.file && self.number > other.number && meets
    }
}

/// How durable bytes are spoilt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Damage {
    /// One bit of a write.
    Flip,
    /// A write never arrived: what was there before is there.
    Lost,
    /// A write went to the place of another.
    Misdirected,
}

impl SimDisk {
    /// Takes the disk for a process.
    pub fn mount(&self) -> Mounted {
        Mounted { disk: self.clone(), mounted: self.memory.mount() }
    }

    /// The process ends. What the cache has stays.
    pub fn kill(&self) {
        self.memory.kill();
    }

    /// The power fails. What was not synced may be lost.
    pub fn crash(&self, rng: &mut Rng) {
        self.memory.crash(Some(rng.next_u64()));
        let mut past = self.past();
        let present = self.memory.names();
        past.files.retain(|name, _| present.contains(name));
        past.writes.retain(|write| write.durable_at.is_some());
    }

    /// Does what it is asked again.
    pub fn end_failures(&self) {
        self.memory.fail_writes(false);
        self.memory.fail_syncs(false);
    }

    /// Does what it is asked again, and has room.
    pub fn heal(&self) {
        self.end_failures();
        self.memory.limit(None);
    }

    /// Bytes of all files.
    pub fn used(&self) -> u64 {
        let sizes = self.memory.names().into_iter().filter_map(|name| self.memory.contents(&name));
        sizes.map(|bytes| bytes.len() as u64).sum()
    }

    /// Spoils a write behind which something else was made durable later. Says whether there was
    /// one. The disk must not be mounted: what a process holds open would not see it.
    pub fn spoil(&self, damage: Damage, rng: &mut Rng) -> bool {
        let past = self.past();
        let name = |write: &Write| past.files.iter().find(|(_, file)| **file == write.file);
        // Zeros say nothing, and neither does a segment that has no name yet.
        let says = |write: &&Write| {
            let is_named = name(write).is_some_and(|(name, _)| !name.starts_with("spare"));
            is_named && write.after.iter().any(|&byte| byte != 0)
        };
        let last = past.writes.iter().filter(says).rfind(|write| write.durable_at.is_some());
        let Some(last) = last else { return false };
        // It was durable when the last one was made, which says so.
        let is_proved =
            |write: &&Write| write.durable_at.is_some_and(|at| at <= last.number) && says(write);
        let proved: Vec<(&String, &Write)> = past
            .writes
            .iter()
            .filter(is_proved)
            .filter(|write| !past.writes.iter().any(|later| later.covers_part_of(write)))
            .filter_map(|write| Some((name(write)?.0, write)))
            .collect();
        if proved.is_empty() {
            return false;
        }
        let any = |rng: &mut Rng| proved[rng.between(0, proved.len() as u64) as usize];
        let (file, write) = any(rng);
        match damage {
            Damage::Flip => {
                let mut bytes = write.after.clone();
                let at = rng.between(0, bytes.len() as u64) as usize;
                bytes[at] ^= 1 << rng.between(0, 8);
                self.overwrite(file, write.offset, &bytes)
            }
            Damage::Lost => self.overwrite(file, write.offset, &write.before),
            Damage::Misdirected => {
                let (other, place) = any(rng);
                let length = write.after.len().min(place.after.len());
                self.overwrite(file, write.offset, &write.before)
                    && self.overwrite(other, place.offset, &write.after[..length])
            }
        }
    }

    /// Flips a bit of any file whose name has this in it.
    pub fn flip_any(&self, part: &str, rng: &mut Rng) -> bool {
        let names: Vec<String> =
            self.memory.names().into_iter().filter(|name| name.contains(part)).collect();
        if names.is_empty() {
            return false;
        }
        let name = &names[rng.between(0, names.len() as u64) as usize];
        let Some(bytes) = self.memory.contents(name).filter(|bytes| !bytes.is_empty()) else {
            return false;
        };
        let at = rng.between(0, bytes.len() as u64);
        self.overwrite(name, at, &[bytes[at as usize] ^ 1 << rng.between(0, 8)])
    }

    fn overwrite(&self, name: &str, offset: u64, with: &[u8]) -> bool {
        let Some(mut bytes) = self.memory.contents(name) else { return false };
        let offset = offset as usize;
        if offset + with.len() > bytes.len() {
            return false;
        }
        bytes[offset..offset + with.len()].copy_from_slice(with);
        self.memory.put(name, bytes);
        true
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The disk as one process has it.
#[derive(Debug)]
pub(super) struct Mounted {
    disk: SimDisk,
    mounted: MountedDisk,
}

impl Mounted {
    fn file(&self, name: &str, is_new: bool, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let mut past = self.disk.past();
        let next = past.next_file;
        let number = match past.files.get(name) {
            Some(&number) if !is_new => number,
            _ => {
                past.next_file += 1;
                past.files.insert(name.to_owned(), next);
                next
            }
        };
        Box::new(SimFile { disk: self.disk.clone(), number, file })
    }
}

impl Disk for Mounted {
    fn list(&self) -> Result<Vec<String>, DiskError> {
        self.mounted.list()
    }

    fn open(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = self.mounted.open(name)?;
        Ok(self.file(name, false, file))
    }

    fn create(&mut self, name: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = self.mounted.create(name)?;
        Ok(self.file(name, true, file))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.mounted.rename(from, to)?;
        let mut past = self.disk.past();
        if let Some(number) = past.files.remove(from) {
            past.files.insert(to.to_owned(), number);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.mounted.remove(name)?;
        self.disk.past().files.remove(name);
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.mounted.sync_directory()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.mounted.path(name)
    }
}

struct SimFile {
    disk: SimDisk,
    number: u64,
    file: Box<dyn DiskFile>,
}

impl DiskFile for SimFile {
    fn size(&self) -> Result<u64, DiskError> {
        self.file.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let size = self.file.size()?;
        let mut before = vec![0; bytes.len()];
        let there = size.saturating_sub(offset).min(bytes.len() as u64) as usize;
        self.file.read_at(offset, &mut before[..there])?;
        self.file.write_at(offset, bytes)?;
        if before == bytes {
            // What is written again says nothing of what stands before it.
            return Ok(());
        }
        let mut past = self.disk.past();
        if past.writes.len() == WRITES_MAX {
            past.writes.pop_front();
        }
        let (file, number, after) = (self.number, past.count, bytes.to_vec());
        past.count += 1;
        past.writes.push_back(Write { file, offset, before, after, number, durable_at: None });
        Ok(())
    }

    fn sync_data(&mut self) -> Result<(), DiskError> {
        self.file.sync_data()?;
        let mut past = self.disk.past();
        let count = past.count;
        let written = past.writes.iter_mut().filter(|write| write.file == self.number);
        for write in written.filter(|write| write.durable_at.is_none()) {
            write.durable_at = Some(count);
        }
        Ok(())
    }
}
