//! What a directory of snapshots may be found as.

use super::images::{Cache, Image, disk_of};
use super::recorder::{Mark, Recorder, Recording};
use super::run::{Damage, Proof, Run, Subject, Verdict};
use crate::snapshot_support::{bytes, file, open, pieces, source, write, written};
use bytes::Bytes;
use paxos_actors::snapshots::{SnapshotError, SnapshotFiles};
use paxos_actors::wal::MemoryDisk;
use paxos_core::rng::Rng;
use paxos_core::{SnapshotEvent, SnapshotId, SnapshotPiece, SnapshotTask};
use std::ops::Range;

/// The workloads of snapshots.
pub const NAMES: [&str; 5] = ["written", "replaced", "received", "interrupted", "long"];

/// A snapshot, as any learner would write it.
struct Known {
    id: SnapshotId,
    pieces: Vec<SnapshotPiece>,
    bytes: Bytes,
}

/// Recorded snapshots, oldest first: what is told and begun of them is how many.
#[derive(Default)]
pub struct Snapshots {
    known: Vec<Known>,
}

enum Step {
    /// The next one is written, and then the one before it is removed.
    Write { parts: usize },
    /// The next one comes from a peer, in parts of so many bytes.
    Receive { parts: usize, part_bytes: usize },
    /// The process will end after so many operations.
    KillAfter(usize),
    /// The power fails, and whatever the seed says is left.
    Crash(u64),
}

/// Runs a workload. The sync of this number, if any, fails.
pub fn run(name: &str, seed: u64, failing_sync: Option<u64>) -> Run {
    let mut rng = Rng::new(seed ^ 0x5EED);
    let mut running = Running {
        snapshots: Snapshots::default(),
        recordings: Vec::new(),
        recorder: Recorder::default(),
        files: None,
        told: 0,
        failing_sync,
    };
    running.start(Image::new());
    script(name, &mut rng).into_iter().for_each(|step| running.step(step));
    let Running { snapshots, mut recordings, recorder, .. } = running;
    let syncs = recorder.syncs();
    recordings.push(recorder.recording());
    Run { subject: Box::new(snapshots), recordings, syncs }
}

fn script(name: &str, rng: &mut Rng) -> Vec<Step> {
    let mut write = |most| Step::Write { parts: rng.between(0, most) as usize };
    match name {
        "written" => vec![write(3)],
        "replaced" => vec![write(2), write(3), write(2)],
        "received" => {
            let part_bytes = rng.between(200, 700) as usize;
            vec![
                Step::Write { parts: 1 },
                Step::Receive { parts: 2, part_bytes },
                Step::Receive { parts: 1, part_bytes: 4000 },
            ]
        }
        "interrupted" => {
            let mut steps = Vec::new();
            for _ in 0..4 {
                let after = rng.between(0, 9);
                steps.push(match rng.between(0, 3) {
                    0 => Step::Crash(rng.next_u64()),
                    _ => Step::KillAfter(after as usize),
                });
                let (parts, part_bytes) = (rng.between(0, 3) as usize, 500);
                steps.push(match rng.between(0, 2) {
                    0 => Step::Write { parts },
                    _ => Step::Receive { parts, part_bytes },
                });
            }
            steps
        }
        // Of several writes.
        "long" => vec![Step::Write { parts: 1 }, Step::Write { parts: 600 }],
        other => panic!("there is no workload {other}"),
    }
}

impl Snapshots {
    /// Makes the next one known. Gives back how many there are.
    fn add(&mut self, parts: usize) -> u64 {
        let below = 100 * (self.known.len() as u64 + 1);
        let disk = MemoryDisk::new();
        let mut files = open(&disk, false).expect("an empty disk").files;
        let id = written(&mut files, source(below, parts));
        let bytes = bytes(&disk, id);
        self.known.push(Known { id, pieces: pieces(below, parts), bytes });
        self.known.len() as u64
    }

    /// Which one it is, from 1 on; 0 for none.
    fn number(&self, id: Option<SnapshotId>) -> Option<u64> {
        let Some(id) = id else { return Some(0) };
        self.known.iter().zip(1..).find(|(known, _)| known.id == id).map(|(_, number)| number)
    }

    /// Goes on with a transfer from where it stands to its end; from the beginning if what was
    /// there turns out torn.
    fn receive(
        &self,
        files: &mut SnapshotFiles,
        id: SnapshotId,
        mut held: u64,
        part_bytes: usize,
    ) -> Result<(), String> {
        let Some(known) = self.known.iter().find(|known| known.id == id) else {
            return Err(format!("{id} is none of ours"));
        };
        for _ in 0..2 {
            while held < id.bytes {
                let end = known.bytes.len().min(held as usize + part_bytes);
                let data = known.bytes.slice(held as usize..end);
                let task = SnapshotTask::Store { id, offset: held, data };
                match files.submit(task).map_err(|error| error.to_string())?.as_slice() {
                    [SnapshotEvent::Stored { held: now, .. }] => held = *now,
                    events => return Err(format!("{events:?}")),
                }
            }
            let task = SnapshotTask::Install { id };
            let events = files.submit(task).map_err(|error| error.to_string())?;
            match events.last() {
                Some(SnapshotEvent::Installed(_)) => return Ok(()),
                Some(SnapshotEvent::Unsound(_)) => held = 0,
                _ => return Err(format!("{events:?}")),
            }
        }
        Err("a sound transfer is called unsound".to_owned())
    }

    /// The newest complete snapshot.
    fn newest_file(&self, image: &Image) -> Option<String> {
        let files = self.known.iter().rev().map(|known| file(known.id));
        files.into_iter().find(|name| image.contains_key(name))
    }
}

impl Subject for Snapshots {
    fn judge(
        &self,
        image: &Image,
        mark: &Mark,
        damage: Option<&Damage>,
    ) -> Result<Verdict, String> {
        let disk = disk_of(image);
        let proof = damage.map_or(Proof::Nothing, |damage| damage.proof);
        let opened = match (open(&disk, false), damage) {
            (Ok(opened), _) => opened,
            (Err(error), Some(damage)) if proof == Proof::Proved => {
                return refusal(&error, damage).map(|()| Verdict::Refused);
            }
            (Err(error), _) => return Err(format!("refused: {error}")),
        };
        let Some(number) = self.number(opened.newest) else {
            return Err(format!("{:?} is made up", opened.newest));
        };
        let expected = self.known[..number as usize].last();
        if opened.pieces != expected.map_or(&[][..], |known| &known.pieces) {
            return Err(format!("snapshot {number} has other pieces: {:?}", opened.pieces));
        }
        let was_set_aside = disk.names().iter().any(|name| name.ends_with(".damaged"));
        let verdict = match (proof, was_set_aside) {
            (Proof::Proved, false) => return Err("damage is not seen".to_owned()),
            (Proof::Proved, true) if number <= mark.begun => Verdict::Refused,
            (_, true) => return Err("set aside without need".to_owned()),
            (_, false) if number < mark.told || number > mark.begun => {
                return Err(format!("snapshot {number} of {}..={}", mark.told, mark.begun));
            }
            (_, false) => Verdict::Recovered,
        };
        let mut files = opened.files;
        if let Some((id, held)) = opened.partial {
            self.receive(&mut files, id, held, 900)
                .map_err(|wrong| format!("received: {wrong}"))?;
        }
        let next = written(&mut files, source(9000, 1));
        disk.crash(None);
        match open(&disk, false) {
            Ok(again) if again.newest == Some(next) && again.pieces == pieces(9000, 1) => {
                Ok(verdict)
            }
            Ok(again) => Err(format!("opened again: {:?}", again.newest)),
            Err(error) => Err(format!("opened again: {error}")),
        }
    }

    fn proof(&self, image: &Image, name: &str, _: usize) -> Proof {
        match self.newest_file(image).is_some_and(|newest| newest == name) {
            true => Proof::Proved,
            false => Proof::Nothing,
        }
    }

    /// The last piece and the end.
    fn newest(&self, image: &Image) -> Option<(String, Range<usize>)> {
        let name = self.newest_file(image)?;
        let bytes = image[&name].len();
        Some((name, bytes.saturating_sub(300)..bytes))
    }
}

fn refusal(error: &SnapshotError, damage: &Damage) -> Result<(), String> {
    let (path, offset) = match error {
        SnapshotError::Damaged { path, offset, .. } => (path, *offset),
        SnapshotError::Version { path, .. } => (path, 8),
        other => return Err(format!("refused for another reason: {other}")),
    };
    match path.ends_with(&damage.name) && offset <= damage.offset as u64 {
        true => Ok(()),
        false => Err(format!("refused, but not for what is damaged: {error}")),
    }
}

struct Running {
    snapshots: Snapshots,
    recordings: Vec<Recording>,
    recorder: Recorder,
    /// None: the directory is to be opened.
    files: Option<SnapshotFiles>,
    told: u64,
    failing_sync: Option<u64>,
}

impl Running {
    fn start(&mut self, image: Image) {
        self.files = None;
        self.recorder = Recorder::new(image, self.failing_sync);
        self.mark();
    }

    fn mark(&self) {
        self.recorder.mark(0, self.told, self.snapshots.known.len() as u64);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write { parts } => {
                let number = self.begin(parts);
                let Some(mut files) = self.files.take() else { return };
                if let Some(SnapshotEvent::Written(_)) =
                    write(&mut files, source(100 * number, parts))
                {
                    self.tell(number);
                    self.drop_older(files, number);
                }
            }
            Step::Receive { parts, part_bytes } => {
                let number = self.begin(parts);
                let Some(mut files) = self.files.take() else { return };
                let id = self.snapshots.known[number as usize - 1].id;
                if self.snapshots.receive(&mut files, id, 0, part_bytes).is_ok() {
                    self.tell(number);
                    self.drop_older(files, number);
                }
            }
            Step::KillAfter(operations) => self.recorder.end_after(Some(operations)),
            Step::Crash(seed) => {
                let recording = self.recorder.recording();
                let mut cache = Cache::new(&recording.before);
                recording.ops.iter().for_each(|op| cache.apply(op));
                let mut rng = Rng::new(seed);
                let variants = cache.variants(&super::CAMPAIGN, &mut rng);
                let at = rng.between(0, variants.len() as u64) as usize;
                self.recordings.push(recording);
                self.start(cache.image(&variants[at].1));
            }
        }
    }

    /// The next snapshot is begun, in an open directory.
    fn begin(&mut self, parts: usize) -> u64 {
        if self.files.is_none() {
            self.open();
        }
        let number = self.snapshots.add(parts);
        self.mark();
        number
    }

    fn tell(&mut self, number: u64) {
        self.told = number;
        self.mark();
    }

    fn drop_older(&mut self, mut files: SnapshotFiles, number: u64) {
        let older = number.checked_sub(2).map(|older| self.snapshots.known[older as usize].id);
        let task = older.map(|id| SnapshotTask::Remove { id });
        if task.is_none_or(|task| files.submit(task).is_ok()) {
            self.files = Some(files);
        }
    }

    /// Opens the directory, again if the process ends on the way.
    fn open(&mut self) {
        let open = |recorder: &Recorder| {
            let mut files = SnapshotFiles::open(recorder.clone(), false)?;
            match files.replay(&mut |_, _| ())? {
                SnapshotEvent::Found { newest, .. } => Ok::<_, SnapshotError>((files, newest)),
                event => panic!("{event:?}"),
            }
        };
        let mut opened = open(&self.recorder);
        for _ in 0..2 {
            if opened.is_ok() {
                break;
            }
            self.recorder.end_after(None);
            opened = open(&self.recorder);
        }
        match opened {
            Ok((files, newest)) => {
                self.files = Some(files);
                // Whoever was told of a snapshot by its replay acts on it.
                self.tell(self.snapshots.number(newest).expect("it is ours"));
            }
            Err(error) => panic!("recorded snapshots do not open: {error}"),
        }
    }
}
