//! What a crash may leave of a recording, in the way of ALICE (Pillai et al., "All File Systems Are
//! Not Created Equal", OSDI 2014, section 3): a file system owes nothing of what was not synced,
//! and may keep any part of it, in any order.
//!
//! It is trusted with two things: a write touches no byte outside of its own range, and one that
//! writes the same bytes again leaves them as they are.

use super::recorder::{Op, overwrite};
use paxos_actors::wal::MemoryDisk;
use paxos_core::rng::{Rng, mix};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The files that a process finds, by name.
pub type Image = BTreeMap<String, Arc<Vec<u8>>>;

/// A disk with these files.
pub fn disk_of(image: &Image) -> MemoryDisk {
    let disk = MemoryDisk::new();
    image.iter().for_each(|(name, bytes)| disk.put(name, bytes.to_vec()));
    disk
}

/// What disks write at once, or not.
const SECTOR: usize = 512;

/// How a state came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// All that was done before some operation, or all of that that was synced.
    Prefix,
    /// Some un-synced writes, each as a whole.
    Subset,
    /// Un-synced writes in part: heads, tails, sectors, zeros or junk in their place.
    Torn,
    /// Some un-synced changes of the directory.
    Names,
    /// A bit that turned over on a disk that was left alone.
    Flip,
    /// A sync failed, and the process went on as it saw fit.
    LostSync,
}

impl Kind {
    pub const ALL: [Kind; 6] =
        [Kind::Prefix, Kind::Subset, Kind::Torn, Kind::Names, Kind::Flip, Kind::LostSync];
}

/// What reached the disk of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    All,
    /// So many bytes at its beginning.
    Head(usize),
    /// All but so many bytes at its beginning.
    Tail(usize),
    /// The sectors that this seed draws.
    Sectors(u64),
    /// The size of the file, and not the bytes.
    Zeros,
    /// One sector has bytes that nobody wrote.
    Junk(u64),
}

/// One of the things that a crash may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    pub names: Vec<bool>,
    pub writes: Vec<Kept>,
}

/// How far an enumeration goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// All subsets of at most so many things; of more, those that drop or keep one, each beginning,
    /// and some by chance.
    pub subsets_of: usize,
    pub by_chance: u64,
    /// Pairs of directories and writes at each operation.
    pub pairs: usize,
    /// The last two writes are torn at each byte if they are no longer.
    pub bytes_of: usize,
    /// Writes are torn at no more of the boundaries of sectors.
    pub boundaries: usize,
}

struct PendingWrite {
    file: usize,
    offset: u64,
    bytes: Arc<[u8]>,
}

enum Naming {
    Link(String, usize),
    Move(String, String, usize),
    Unlink(String, usize),
}

/// A disk at some operation of a recording: what is durable, and what is on its way.
pub struct Cache {
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    files: Vec<Arc<Vec<u8>>>,
    pending_names: Vec<Naming>,
    pending_writes: Vec<PendingWrite>,
}

impl Cache {
    pub fn new(before: &Image) -> Cache {
        let names: BTreeMap<_, _> = before.keys().cloned().zip(0..).collect();
        Cache {
            durable_names: names.clone(),
            names,
            files: before.values().cloned().collect(),
            pending_names: Vec::new(),
            pending_writes: Vec::new(),
        }
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Create { name, file } => {
                self.files.resize(self.files.len().max(file + 1), Arc::default());
                self.rename(Naming::Link(name.clone(), *file));
            }
            Op::Rename { from, to } => {
                let file = self.names[from];
                self.rename(Naming::Move(from.clone(), to.clone(), file));
            }
            Op::Remove { name } => {
                let file = self.names[name];
                self.rename(Naming::Unlink(name.clone(), file));
            }
            Op::SyncDirectory => {
                self.durable_names = self.names.clone();
                self.pending_names.clear();
            }
            Op::Write { file, offset, bytes } => {
                let (file, offset, bytes) = (*file, *offset, bytes.clone());
                self.pending_writes.push(PendingWrite { file, offset, bytes });
            }
            Op::Sync { file } => {
                for write in self.pending_writes.extract_if(.., |write| write.file == *file) {
                    let bytes = Arc::make_mut(&mut self.files[*file]);
                    overwrite(bytes, write.offset, &write.bytes);
                }
            }
            Op::LostSync { file } => self.pending_writes.retain(|write| write.file != *file),
        }
    }

    fn rename(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.pending_names.push(naming);
    }

    /// All that was done: what the next process finds if only the last one ended.
    pub fn all(&self) -> Variant {
        let names = vec![true; self.pending_names.len()];
        Variant { names, writes: vec![Kept::All; self.pending_writes.len()] }
    }

    /// What is durable, and no more.
    pub fn none(&self) -> Variant {
        let names = vec![false; self.pending_names.len()];
        Variant { names, writes: vec![Kept::Nothing; self.pending_writes.len()] }
    }

    pub fn image(&self, variant: &Variant) -> Image {
        let mut names = self.durable_names.clone();
        let kept = self.pending_names.iter().zip(&variant.names).filter(|(_, kept)| **kept);
        kept.for_each(|(naming, _)| naming.apply(&mut names));
        let content = |(name, file): (String, usize)| {
            let mut bytes = self.files[file].clone();
            for (write, kept) in self.pending_writes.iter().zip(&variant.writes) {
                if write.file == file && *kept != Kept::Nothing {
                    write.apply(Arc::make_mut(&mut bytes), *kept);
                }
            }
            (name, bytes)
        };
        names.into_iter().map(content).collect()
    }

    /// The variants at this operation, within bounds.
    pub fn variants(&self, bounds: &Bounds, rng: &mut Rng) -> Vec<(Kind, Variant)> {
        let (all, none) = (self.all(), self.none());
        let mut variants = vec![(Kind::Prefix, all.clone()), (Kind::Prefix, none.clone())];
        let kept = |kept| if kept { Kept::All } else { Kept::Nothing };
        let writes = subsets(self.pending_writes.len(), bounds, rng);
        let names = subsets(self.pending_names.len(), bounds, rng);
        for names in &names {
            let kind = if *names == all.names { Kind::Subset } else { Kind::Names };
            let variant = |writes: &Vec<bool>| {
                let writes = writes.iter().copied().map(kept).collect();
                (kind, Variant { names: names.clone(), writes })
            };
            let room = (bounds.pairs / names.len().max(1)).max(2);
            if writes.len() <= room {
                variants.extend(writes.iter().map(variant));
            } else {
                let some = (0..room).map(|_| &writes[rng.between(0, writes.len() as u64) as usize]);
                variants.extend(some.map(variant));
            }
        }
        for at in 0..self.pending_writes.len() {
            for torn in self.torn(at, bounds, rng) {
                let mut others = vec![&all];
                if !all.names.is_empty() {
                    others.push(&none);
                }
                for other in others {
                    let mut variant = Variant { names: other.names.clone(), ..all.clone() };
                    variant.writes[at] = torn;
                    // What came after it may be there, or not.
                    variants.push((Kind::Torn, variant.clone()));
                    if at + 1 < variant.writes.len() {
                        variant.writes[at + 1..].fill(Kept::Nothing);
                        variants.push((Kind::Torn, variant));
                    }
                }
            }
        }
        variants
    }

    /// What may be left of one write, but all and nothing.
    fn torn(&self, at: usize, bounds: &Bounds, rng: &mut Rng) -> Vec<Kept> {
        let PendingWrite { file, offset, bytes } = &self.pending_writes[at];
        let start = *offset as usize;
        if self.files[*file].get(start..start + bytes.len()) == Some(&bytes[..]) {
            return Vec::new();
        }
        let is_late = at + 2 >= self.pending_writes.len();
        let is_zero = bytes.iter().all(|byte| *byte == 0);
        let first = SECTOR - start % SECTOR;
        let mut cuts: Vec<usize> = (first..bytes.len()).step_by(SECTOR).collect();
        while cuts.len() > bounds.boundaries {
            cuts.swap_remove(rng.between(0, cuts.len() as u64) as usize);
        }
        let mut torn: Vec<_> = cuts.iter().copied().map(Kept::Tail).collect();
        if is_zero && !is_late {
            return Vec::new();
        }
        if is_zero {
            torn.extend(cuts.into_iter().map(Kept::Head));
            return torn;
        }
        if is_late && bytes.len() <= bounds.bytes_of {
            torn.extend((1..bytes.len()).map(Kept::Head));
        } else {
            torn.extend(cuts.iter().copied().map(Kept::Head));
        }
        if start >= self.files[*file].len() {
            torn.push(Kept::Zeros);
        }
        torn.extend((0..bounds.by_chance).map(|_| Kept::Junk(rng.next_u64())));
        if cuts.len() > 1 {
            torn.extend((0..bounds.by_chance).map(|_| Kept::Sectors(rng.next_u64())));
        }
        torn
    }
}

impl Naming {
    /// One that finds its file elsewhere, since one before it did not reach the disk, does nothing.
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Naming::Link(name, file) => {
                names.insert(name.clone(), *file);
            }
            Naming::Move(from, to, file) => {
                if names.get(from) == Some(file) {
                    names.remove(from);
                    names.insert(to.clone(), *file);
                }
            }
            Naming::Unlink(name, file) => {
                if names.get(name) == Some(file) {
                    names.remove(name);
                }
            }
        }
    }
}

impl PendingWrite {
    fn apply(&self, file: &mut Vec<u8>, kept: Kept) {
        let (offset, bytes) = (self.offset, &self.bytes);
        match kept {
            Kept::Nothing => {}
            Kept::All => overwrite(file, offset, bytes),
            Kept::Head(count) => overwrite(file, offset, &bytes[..count]),
            Kept::Tail(count) => overwrite(file, offset + count as u64, &bytes[count..]),
            Kept::Zeros => overwrite(file, offset, &vec![0; bytes.len()]),
            Kept::Sectors(seed) => self.sectors(|number, at, sector| {
                if mix(seed ^ number) & 1 == 0 {
                    overwrite(file, at, sector);
                }
            }),
            Kept::Junk(seed) => {
                let count = bytes.len().div_ceil(SECTOR) as u64;
                self.sectors(|number, at, sector| match number == mix(seed) % count {
                    false => overwrite(file, at, sector),
                    true => {
                        let mut rng = Rng::new(seed);
                        let junk: Vec<u8> = sector.iter().map(|_| rng.next_u64() as u8).collect();
                        overwrite(file, at, &junk);
                    }
                });
            }
        }
    }

    /// Gives each sector's part of the write: its number, where it goes, and its bytes.
    fn sectors(&self, mut each: impl FnMut(u64, u64, &[u8])) {
        let first = self.offset / SECTOR as u64;
        let mut at = 0;
        while at < self.bytes.len() {
            let place = self.offset + at as u64;
            let left = SECTOR - place as usize % SECTOR;
            let end = self.bytes.len().min(at + left);
            each(place / SECTOR as u64 - first, place, &self.bytes[at..end]);
            at = end;
        }
    }
}

/// Which of `count` things are kept.
fn subsets(count: usize, bounds: &Bounds, rng: &mut Rng) -> Vec<Vec<bool>> {
    if count <= bounds.subsets_of {
        let masks = 0..1u32 << count;
        return masks.map(|mask| (0..count).map(|at| mask >> at & 1 == 1).collect()).collect();
    }
    let mut subsets: Vec<Vec<bool>> = Vec::new();
    for one in 0..count {
        subsets.push((0..count).map(|at| at < one).collect());
        subsets.push((0..count).map(|at| at != one).collect());
        subsets.push((0..count).map(|at| at == one).collect());
    }
    let mut by_chance = || (0..count).map(|_| rng.next_u64() & 1 == 1).collect();
    subsets.extend((0..bounds.by_chance).map(|_| by_chance()));
    subsets.push(vec![true; count]);
    subsets
}
