//! Logs as nodes write them: made by a seed, and recorded.

use super::images::{Cache, Image};
use super::recorder::{Recorder, Recording};
use super::run::Run;
use super::wal::Log;
use crate::wal_support::{ballot, options, roster, trimmed, voted};
use paxos_actors::wal::{Segments, WalOptions};
use paxos_core::rng::Rng;
use paxos_core::{Record, Slot, SlotRange};
use std::ops::Range;

/// The workloads of logs.
pub const NAMES: [&str; 8] =
    ["votes", "rolling", "trimming", "formation", "groups", "restarts", "torn", "large"];

/// What happens to a log.
enum Step {
    /// These are written together.
    Append(Vec<Record>),
    /// The process ends; the cache of its disk does not.
    Kill,
    /// The process will end after so many operations.
    KillAfter(usize),
    /// The power fails, and whatever the seed says is left.
    Crash(u64),
}

/// Runs a workload. The sync of this number, if any, fails.
pub fn run(name: &str, seed: u64, failing_sync: Option<u64>) -> Run {
    let mut rng = Rng::new(seed ^ 0xC0FFEE);
    let (segment_bytes, steps) = script(name, &mut rng);
    let mut run = Running::new(WalOptions { segment_bytes, ..options() }, failing_sync);
    steps.into_iter().for_each(|step| run.step(step));
    let Running { log, mut recordings, recorder, .. } = run;
    let syncs = recorder.syncs();
    recordings.push(recorder.recording());
    Run { subject: Box::new(log), recordings, syncs }
}

fn script(name: &str, rng: &mut Rng) -> (u32, Vec<Step>) {
    match name {
        "votes" => {
            let mut steps = votes(rng, 24, 1..2, 0..260);
            for round in 2..6 {
                let at = rng.between(0, steps.len() as u64) as usize;
                steps.insert(at, Step::Append(vec![Record::Promised(ballot(round))]));
            }
            (16 << 10, steps)
        }
        "rolling" => (4096, votes(rng, 22, 1..2, 300..1400)),
        "trimming" => (4096, trimming(rng, 40)),
        "formation" => {
            let stored = Record::Roster(Box::new(roster(rng.next_u64())));
            let first = [stored, Record::Promised(ballot(1)), Record::Formed];
            let mut steps: Vec<_> = first.map(|record| Step::Append(vec![record])).into();
            steps.extend(votes(rng, 9, 1..3, 400..900));
            (4096, steps)
        }
        "groups" => (8192, votes(rng, 9, 2..12, 10..300)),
        "restarts" => {
            let mut steps = trimming(rng, 28);
            for _ in 0..5 {
                let at = rng.between(0, steps.len() as u64) as usize;
                let kill = match rng.between(0, 4) {
                    0 => Step::Kill,
                    _ => Step::KillAfter(rng.between(0, 30) as usize),
                };
                steps.insert(at, kill);
            }
            (4096, steps)
        }
        "torn" => {
            let mut steps = trimming(rng, 24);
            for _ in 0..3 {
                let at = rng.between(0, steps.len() as u64) as usize;
                steps.insert(at, Step::Crash(rng.next_u64()));
                steps.insert(at, Step::KillAfter(rng.between(0, 12) as usize));
            }
            (4096, steps)
        }
        // Several frames in one write.
        "large" => (4 << 20, votes(rng, 1, 3..4, 520 << 10..540 << 10)),
        other => panic!("there is no workload {other}"),
    }
}

/// Votes in slots from 0 on, so many of them and so large at a time.
fn votes(rng: &mut Rng, steps: usize, group: Range<u64>, size: Range<u64>) -> Vec<Step> {
    let mut slots = 0..;
    let mut size = {
        let mut rng = Rng::new(rng.next_u64());
        move || rng.between(size.start, size.end) as usize
    };
    let mut group = || {
        let group = rng.between(group.start, group.end) as usize;
        slots.by_ref().take(group).map(|slot| voted(slot, size())).collect()
    };
    (0..steps).map(|_| Step::Append(group())).collect()
}

/// Votes that are chosen and forgotten, so that segments go and come back.
fn trimming(rng: &mut Rng, steps: u64) -> Vec<Step> {
    let mut records = Vec::new();
    let (mut slot, mut chosen) = (0, 0);
    for _ in 0..steps {
        let mut group = Vec::new();
        for _ in 0..rng.between(1, 4) {
            group.push(voted(slot, rng.between(50, 600) as usize));
            slot += 1;
        }
        if rng.between(0, 3) == 0 {
            let slots = SlotRange::new(Slot(chosen), Slot(slot));
            group.push(Record::Chosen { ballot: ballot(1), slots });
            chosen = slot;
        }
        if rng.between(0, 4) == 0 && chosen > 4 {
            group.push(trimmed(chosen - rng.between(0, 4)));
        }
        records.push(Step::Append(group));
    }
    records
}

/// A workload that runs.
struct Running {
    log: Log,
    recordings: Vec<Recording>,
    recorder: Recorder,
    /// None: it is to be opened.
    segments: Option<Segments>,
    life: usize,
    told: u64,
    begun: u64,
    failing_sync: Option<u64>,
}

impl Running {
    fn new(options: WalOptions, failing_sync: Option<u64>) -> Running {
        let mut log = Log::new(options);
        let life = log.begin(0);
        let mut running = Running {
            log,
            recordings: Vec::new(),
            recorder: Recorder::default(),
            segments: None,
            life,
            told: 0,
            begun: 0,
            failing_sync,
        };
        running.start(Image::new());
        running
    }

    /// Goes on with what is left on a disk.
    fn start(&mut self, image: Image) {
        self.segments = None;
        self.recorder = Recorder::new(image, self.failing_sync);
        self.mark();
    }

    fn mark(&self) {
        self.recorder.mark(self.life, self.told, self.begun);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(records) => self.append(&records),
            Step::Kill => self.segments = None,
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

    fn append(&mut self, records: &[Record]) {
        if self.segments.is_none() {
            self.open();
        }
        let Some(mut segments) = self.segments.take() else { return };
        self.begun = self.log.append(records);
        self.mark();
        let committed = segments.append(records).and_then(|()| segments.commit());
        if let Ok(lsn) = committed {
            self.told = lsn;
            self.mark();
        }
        // After a failure the process ends, and the next one opens the log anew.
        if committed.and_then(|_| segments.prepare()).is_ok() {
            self.segments = Some(segments);
        }
    }

    /// Opens the log, again if the process ends on the way.
    fn open(&mut self) {
        let mut opened = self.log.open(self.recorder.clone());
        // It may end on the way, and a sync may fail on the next.
        for _ in 0..2 {
            if opened.is_ok() {
                break;
            }
            self.recorder.end_after(None);
            opened = self.log.open(self.recorder.clone());
        }
        match opened {
            Ok((_, segments)) => {
                // Whoever was told of a record by its replay acts on it.
                self.told = segments.lsn();
                self.begun = self.told;
                self.life = self.log.begin(self.told);
                self.segments = Some(segments);
                self.mark();
            }
            Err(error) => panic!("a recorded log does not open: {error}"),
        }
    }
}
