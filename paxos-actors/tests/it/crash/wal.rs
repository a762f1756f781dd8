//! What a log may be found as.

use super::images::{Image, disk_of};
use super::recorder::Mark;
use super::run::{Damage, Proof, Subject, Verdict};
use crate::wal_support::{FIRST, voted};
use paxos_actors::wal::{Disk, Found, MemoryDisk, Segments, WalError, WalOptions};
use paxos_core::{Ballot, Configuration, Entry, Record, Slot, SlotRange, Vote};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

/// What an acceptor is told by records, as far as slots are not forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    roster: Option<Box<Configuration>>,
    formed: bool,
    promised: Ballot,
    trimmed: Slot,
    trimmed_ms: u64,
    votes: BTreeMap<Slot, Vote>,
    learned: BTreeMap<Slot, Entry>,
    chosen: BTreeSet<(Ballot, Slot)>,
}

impl Model {
    fn apply(&mut self, record: &Record) {
        match record {
            Record::Roster(roster) => self.roster = Some(roster.clone()),
            Record::Formed => self.formed = true,
            Record::Promised(ballot) => self.promised = self.promised.max(*ballot),
            Record::Voted { slot, vote } => {
                self.promised = self.promised.max(vote.ballot);
                if *slot >= self.trimmed {
                    self.votes.insert(*slot, vote.clone());
                }
            }
            Record::Chosen { ballot, slots: SlotRange { from, below } } => {
                let kept = from.0.max(self.trimmed.0)..below.0;
                self.chosen.extend(kept.map(|slot| (*ballot, Slot(slot))));
            }
            Record::Learned { slot, entry } => {
                if *slot >= self.trimmed {
                    self.learned.insert(*slot, entry.clone());
                }
            }
            Record::Trimmed { below, log_time_ms } => {
                self.trimmed = self.trimmed.max(*below);
                self.trimmed_ms = self.trimmed_ms.max(*log_time_ms);
                self.votes = self.votes.split_off(&self.trimmed);
                self.learned = self.learned.split_off(&self.trimmed);
                self.chosen.retain(|(_, slot)| *slot >= self.trimmed);
            }
        }
    }
}

/// A log that some records were appended to, and what it amounts to after each of them.
#[derive(Clone, Default)]
struct Life {
    records: Vec<Record>,
    models: Vec<Model>,
}

/// A recorded log.
pub struct Log {
    options: WalOptions,
    lives: Vec<Life>,
}

impl Log {
    pub fn new(options: WalOptions) -> Log {
        Log { options, lives: Vec::new() }
    }

    /// A life begins with what was found: the first so many records of the one before.
    pub fn begin(&mut self, lsn: u64) -> usize {
        let mut life = self.lives.last().cloned().unwrap_or_default();
        life.records.truncate(lsn as usize);
        life.models.truncate(lsn as usize + 1);
        if life.models.is_empty() {
            life.models.push(Model::default());
        }
        self.lives.push(life);
        self.lives.len() - 1
    }

    pub fn append(&mut self, records: &[Record]) -> u64 {
        let life = self.lives.last_mut().expect("it has begun");
        for record in records {
            let mut model = life.models.last().cloned().unwrap_or_default();
            model.apply(record);
            life.models.push(model);
            life.records.push(record.clone());
        }
        life.records.len() as u64
    }

    pub fn open(&self, disk: impl Disk + 'static) -> Result<(Vec<Record>, Segments), WalError> {
        let mut records = Vec::new();
        let found = Found::open(disk, self.options)?;
        let segments = found.replay(&mut |record, _| records.push(record))?;
        Ok((records, segments))
    }

    /// Whether these are the first `lsn` records of a life: what is left of them in order, behind
    /// what a header restates, and all that they amount to.
    fn check(&self, mark: &Mark, found: &[Record], lsn: u64) -> Result<(), String> {
        if lsn > mark.begun {
            return Err(format!("{lsn} records, but {} were appended", mark.begun));
        }
        let life = &self.lives[mark.life];
        let lsn = lsn as usize;
        let is_tail =
            |kept: &[Record]| kept.len() <= lsn && *kept == life.records[lsn - kept.len()..lsn];
        if !(0..=found.len().min(4)).any(|restated| is_tail(&found[restated..])) {
            return Err(format!("these are not the first {lsn} records: {found:?}"));
        }
        let mut model = Model::default();
        found.iter().for_each(|record| model.apply(record));
        match model == life.models[lsn] {
            true => Ok(()),
            false => Err(format!("{lsn} records amount to something else: {model:?}")),
        }
    }

    /// What was recovered can be written, and is found again after the power fails.
    fn go_on(
        &self,
        disk: &MemoryDisk,
        found: Vec<Record>,
        mut log: Segments,
    ) -> Result<(), String> {
        let lsn = log.lsn();
        let new = [voted(900, 40), voted(901, 700)];
        let write = |log: &mut Segments| {
            for record in &new {
                log.append(std::slice::from_ref(record))?;
                log.commit()?;
                log.prepare()?;
            }
            Ok::<_, WalError>(())
        };
        write(&mut log).map_err(|error| format!("after recovery: {error}"))?;
        disk.crash(None);
        let (again, log) =
            self.open(disk.mount()).map_err(|error| format!("opened again: {error}"))?;
        // A segment that began meanwhile may have let go of others.
        let all = [found, new.to_vec()].concat();
        let (mut before, mut after) = (Model::default(), Model::default());
        all.iter().for_each(|record| before.apply(record));
        again.iter().for_each(|record| after.apply(record));
        match before == after && log.lsn() == lsn + 2 {
            true => Ok(()),
            false => Err(format!("opened again: {again:?}, not {all:?}")),
        }
    }
}

impl Subject for Log {
    fn judge(
        &self,
        image: &Image,
        mark: &Mark,
        damage: Option<&Damage>,
    ) -> Result<Verdict, String> {
        let disk = disk_of(image);
        let (found, log) = match (self.open(disk.mount()), damage) {
            (Ok(opened), _) => opened,
            (Err(error), Some(damage)) if damage.proof != Proof::Nothing => {
                return refusal(&error, damage).map(|()| Verdict::Refused);
            }
            (Err(error), _) => return Err(format!("refused: {error}")),
        };
        let lsn = log.lsn();
        self.check(mark, &found, lsn)?;
        let verdict = match damage.map(|damage| damage.proof) {
            Some(Proof::Proved) => {
                return Err(format!("damage of what was durable is not seen: {lsn} records"));
            }
            // Nothing behind the last write says that it was durable: it looks like a torn one.
            Some(Proof::Last { before }) if lsn == before => Verdict::Cut,
            _ if lsn >= mark.told => Verdict::Recovered,
            _ => return Err(format!("{lsn} records of {} that were told", mark.told)),
        };
        self.go_on(&disk, found, log)?;
        Ok(verdict)
    }

    /// Identity, and in segments all from the header to the last frame. The last write of the last
    /// segment is proved by nothing.
    fn proof(&self, image: &Image, name: &str, offset: usize) -> Proof {
        let segments = || image.keys().filter(|name| name.len() == FIRST.len());
        if name == "identity" {
            return Proof::Proved;
        }
        if !segments().any(|segment| segment == name) {
            return Proof::Nothing;
        }
        let frames = ends(&image[name]);
        let is_last = segments().next_back().is_some_and(|last| last == name);
        let (last, end) = match is_last {
            true => (frames.last_start, frames.end),
            false => {
                let next = segments().skip_while(|segment| *segment != name).nth(1);
                let end_before = next.map(|next| word(&image[next], 60)).unwrap_or_default();
                (end_before, end_before)
            }
        };
        match () {
            () if offset < last => Proof::Proved,
            () if offset < end => Proof::Last { before: frames.last_lsn },
            () => Proof::Nothing,
        }
    }

    /// The last two frames of the last segment, or its header where there are none.
    fn newest(&self, image: &Image) -> Option<(String, Range<usize>)> {
        let (name, bytes) = image.iter().rfind(|(name, _)| name.len() == FIRST.len())?;
        let Ends { before_last, end, .. } = ends(bytes);
        Some((name.clone(), before_last..end))
    }
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// Where the frames of a sound segment end, and the last of them begins, by the layout of
/// `docs/wal-format.md`.
struct Ends {
    /// Where the last frame but one begins; the header, if there is none.
    before_last: usize,
    last_start: usize,
    /// How many records were before it.
    last_lsn: u64,
    end: usize,
}

fn ends(segment: &[u8]) -> Ends {
    let lsn = |at: usize| u64::from_le_bytes(segment[at..at + 8].try_into().expect("8 bytes"));
    let header = (129 + word(segment, 68)).next_multiple_of(8);
    let (start, last_lsn) = (header, lsn(72));
    let mut ends = Ends { before_last: 0, last_start: start, last_lsn, end: start };
    let mut next = lsn(72);
    // Frames of a former life of the file have other numbers.
    while segment.len() >= ends.end + 80
        && segment[ends.end + 4..].starts_with(b"PXFR")
        && lsn(ends.end + 32) == next
        && word(segment, ends.end + 20) <= ends.end
    {
        let at = ends.end;
        next += word(segment, at + 24) as u64;
        let bytes = 80 + word(segment, at + 8).next_multiple_of(8);
        let before_last = if at == header { 0 } else { ends.last_start };
        ends = Ends { before_last, last_start: at, last_lsn: lsn(at + 32), end: at + bytes };
    }
    ends
}

/// A refusal names the file that is damaged, and an offset that is not behind the damage.
fn refusal(error: &WalError, damage: &Damage) -> Result<(), String> {
    let (path, offset): (&Path, u64) = match error {
        WalError::Corrupt { path, offset, .. } => (path, *offset),
        WalError::Version { path, .. }
        | WalError::Foreign { path, .. }
        | WalError::OtherNode { path, .. } => (path, 0),
        other => return Err(format!("refused for another reason: {other}")),
    };
    match path.ends_with(&damage.name) && offset <= damage.offset as u64 {
        true => Ok(()),
        false => Err(format!("refused, but not for what is damaged: {error}")),
    }
}
