//! Goes through all states of a recording, and judges each of them once.

use super::images::{Bounds, Cache, Image, Kind};
use super::recorder::{Mark, Recording};
use paxos_core::rng::Rng;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What recovers from a state.
pub trait Subject {
    /// Recovers, and goes on; or says what is illegal about it. With damage, a refusal that names
    /// it is legal.
    fn judge(&self, image: &Image, mark: &Mark, damage: Option<&Damage>)
    -> Result<Verdict, String>;

    /// What the other files say of a byte, if nothing is un-synced.
    fn proof(&self, image: &Image, name: &str, offset: usize) -> Proof;

    /// Where the newest two records are: each of their bits is turned over.
    fn newest(&self, image: &Image) -> Option<(String, Range<usize>)>;
}

/// A workload that was run.
pub struct Run {
    pub subject: Box<dyn Subject>,
    /// One from each power failure to the next.
    pub recordings: Vec<Recording>,
    /// Syncs of the last one.
    pub syncs: u64,
}

/// A bit that turned over.
#[derive(Clone, Debug)]
pub struct Damage {
    pub name: String,
    pub offset: usize,
    pub proof: Proof,
}

/// Whether it can be told from the files that a byte was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It can: damage must be refused.
    Proved,
    /// It is of the last write, which looks torn then: that may be cut, with so much left.
    Last { before: u64 },
    /// Nothing is there that matters.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Recovered,
    /// All but the last write, which damage makes look torn.
    Cut,
    /// Refused, or set aside, by the name of the damaged file.
    Refused,
}

/// What a workload came to.
#[derive(Clone, Copy, Default)]
struct Row {
    states: [u64; Kind::ALL.len()],
    verdicts: [u64; 3],
}

/// What is judged.
struct State<'a> {
    kind: Kind,
    image: &'a Image,
    mark: &'a Mark,
    damage: Option<&'a Damage>,
}

/// All that was explored.
#[derive(Default)]
pub struct Explorer {
    seen: HashSet<u64>,
    rows: BTreeMap<&'static str, Row>,
    pub failures: Vec<String>,
}

/// Which states of a recording are explored.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub workload: &'static str,
    pub seed: u64,
    pub bounds: Bounds,
    /// Operations before this one were explored elsewhere.
    pub from: usize,
    /// All states are of this kind.
    pub as_kind: Option<Kind>,
    /// Operations at which bits turn over, beside the last one, and how many do by chance at each.
    pub flip_points: u64,
    pub flips: u64,
}

impl Explorer {
    /// How many different states there were, each with what it had to hold.
    pub fn states(&self) -> u64 {
        self.seen.len() as u64
    }

    /// How many states of a kind there were.
    pub fn of_kind(&self, kind: Kind) -> u64 {
        self.rows.values().map(|row| row.states[kind as usize]).sum()
    }

    /// The states that a crash may leave at each operation, and flips at some.
    pub fn explore(&mut self, plan: &Plan, recording: &Recording, subject: &dyn Subject) {
        let mut rng = Rng::new(plan.seed);
        let mut cache = Cache::new(&recording.before);
        let count = recording.marks.len() as u64;
        let mut flip_points: Vec<usize> = (0..plan.flip_points)
            .map(|_| recording.marks[rng.between(0, count) as usize].ops)
            .collect();
        flip_points.push(recording.ops.len());
        for at in 0..=recording.ops.len() {
            if let Some(op) = at.checked_sub(1).map(|before| &recording.ops[before]) {
                cache.apply(op);
            }
            let marks = recording.marks.iter().take_while(|mark| mark.ops <= at);
            let Some(mark) = marks.last() else { continue };
            if at < plan.from {
                continue;
            }
            for (kind, variant) in cache.variants(&plan.bounds, &mut rng) {
                let image = cache.image(&variant);
                let kind = plan.as_kind.unwrap_or(kind);
                let state = State { kind, image: &image, mark, damage: None };
                self.judge(plan, state, subject, || format!("after {at} operations, {variant:?}"));
            }
            if plan.flips > 0 && flip_points.contains(&at) {
                let is_last = at == recording.ops.len();
                self.flip(plan, &cache.image(&cache.all()), mark, subject, is_last, &mut rng);
            }
        }
    }

    fn flip(
        &mut self,
        plan: &Plan,
        image: &Image,
        mark: &Mark,
        subject: &dyn Subject,
        all_of_newest: bool,
        rng: &mut Rng,
    ) {
        let mut bits = Vec::new();
        if let Some((name, range)) = subject.newest(image).filter(|_| all_of_newest) {
            let all = range.flat_map(|offset| (0..8).map(move |bit| (offset, bit)));
            bits.extend(all.map(|(offset, bit)| (name.clone(), offset, bit)));
        }
        let files: Vec<_> = image.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
        for _ in 0..plan.flips.min(plan.flips * files.len() as u64) {
            let (name, bytes) = files[rng.between(0, files.len() as u64) as usize];
            let offset = rng.between(0, bytes.len() as u64) as usize;
            bits.push((name.clone(), offset, rng.between(0, 8) as u8));
        }
        for (name, offset, bit) in bits {
            let proof = subject.proof(image, &name, offset);
            let damage = Damage { name, offset, proof };
            let mut image = image.clone();
            if let Some(bytes) = image.get_mut(&damage.name) {
                Arc::make_mut(bytes)[offset] ^= 1 << bit;
            }
            let state = State { kind: Kind::Flip, image: &image, mark, damage: Some(&damage) };
            self.judge(plan, state, subject, || format!("bit {bit} of {damage:?}"));
        }
    }

    fn judge(
        &mut self,
        plan: &Plan,
        state: State<'_>,
        subject: &dyn Subject,
        what: impl Fn() -> String,
    ) {
        let State { kind, image, mark, damage } = state;
        let mut hasher = DefaultHasher::new();
        (image, plan.workload, mark.life, mark.told, mark.begun).hash(&mut hasher);
        if self.failures.len() > 3 || !self.seen.insert(hasher.finish()) {
            return;
        }
        let judged = catch_unwind(AssertUnwindSafe(|| subject.judge(image, mark, damage)));
        let judged = judged.unwrap_or_else(|_| Err("it panics".to_owned()));
        let row = self.rows.entry(plan.workload).or_default();
        row.states[kind as usize] += 1;
        match judged {
            Ok(verdict) => row.verdicts[verdict as usize] += 1,
            Err(wrong) => self.failures.push(format!(
                "{} of seed {}, {kind:?} {}, {mark:?}: {wrong}\nreplay it: CRASH_SEED={} \
                 cargo test -p paxos-actors --test it crash::states -- --nocapture",
                plan.workload,
                plan.seed,
                what(),
                plan.seed
            )),
        }
    }

    /// States by workload and kind, and what came of them.
    pub fn table(&self) -> String {
        let verdicts = ["recovered", "cut", "refused"];
        self.grid(&verdicts) + &format!("\n{} different states", self.states())
    }

    /// States by workload and kind.
    pub fn counts(&self) -> String {
        self.grid(&[])
    }

    fn grid(&self, verdicts: &[&str]) -> String {
        let kinds = Kind::ALL.map(|kind| format!("{kind:?}").to_lowercase());
        let mut text = format!("{:<12}", "workload");
        let columns = kinds.iter().map(String::as_str).chain(verdicts.iter().copied());
        columns.for_each(|column| write!(text, "{column:>10}").expect("text"));
        let mut sum = Row::default();
        for row in self.rows.values() {
            (0..kinds.len()).for_each(|at| sum.states[at] += row.states[at]);
            (0..verdicts.len()).for_each(|at| sum.verdicts[at] += row.verdicts[at]);
        }
        for (name, row) in self.rows.iter().chain([(&"all", &sum)]) {
            write!(text, "\n{name:<12}").expect("text");
            let cells = row.states.iter().chain(&row.verdicts[..verdicts.len()]);
            cells.for_each(|cell| write!(text, "{cell:>10}").expect("text"));
        }
        text
    }
}
