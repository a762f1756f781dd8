//! What runs were like.

use super::faults::FaultKind;
use super::world::World;
use std::collections::BTreeMap;
use std::fmt;

/// What one run was like.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Nodes.
    pub nodes: u64,
    /// Calls that clients began.
    pub begun: u64,
    /// Calls that were answered.
    pub done: u64,
    /// Calls whose outcome nobody knows.
    pub unknown: u64,
    /// Virtual time, in microseconds.
    pub virtual_us: u64,
    /// Events in all.
    pub events: u64,
    /// Slots chosen.
    pub chosen: u64,
    /// Snapshots that came from a peer.
    pub installed: u64,
    /// Whether some log was trimmed.
    pub trimmed: bool,
    /// Processes that ended because of their disk.
    pub disk_failures: u64,
    /// The history was judged by a search as well, which knows nothing of what was applied.
    pub is_judged_twice: bool,
    /// Nodes that found their log damaged, and stay down.
    pub halted: u64,
    /// From the end of the faults to a leader, in election timeouts.
    pub led_after: f64,
    /// From the end of the faults until nothing was left to do, in election timeouts.
    pub quiet_after: f64,
    /// What went wrong, and how often.
    pub faults: BTreeMap<FaultKind, u64>,
}

/// What must not be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The seed that shows it.
    pub seed: u64,
    /// What was seen.
    pub what: String,
    /// Which run it was.
    pub run: Which,
}

/// Which run of a seed, so that it can be run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// One with all that the seed decides.
    Drawn,
    /// One without faults.
    Calm,
    /// One with the bug of this number in it.
    Planted(u32),
}

/// What many runs were like.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// Runs that ended well.
    pub runs: Vec<Report>,
    /// The others.
    pub violations: Vec<Violation>,
}

impl Report {
    pub(super) fn of(seed: u64, world: &World) -> Report {
        let timeout = world.setup.timing.election_timeout_us() as f64;
        let (tally, counts) = (world.clients.tally, world.counts);
        Report {
            seed,
            nodes: world.nodes.len() as u64,
            begun: tally.begun,
            done: tally.done,
            unknown: tally.unknown,
            virtual_us: world.now,
            events: counts.events,
            chosen: world.observer.chosen_count(),
            installed: counts.installed,
            trimmed: world.observer.has_trimmed(),
            disk_failures: counts.disk_failures,
            is_judged_twice: counts.is_judged_twice,
            halted: counts.halted,
            led_after: counts.led_after_us as f64 / timeout,
            quiet_after: counts.quiet_after_us as f64 / timeout,
            faults: world.faults.clone(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { seed, what, run } = self;
        write!(f, "seed {seed}: {what}\nsee it again: cargo run -p paxos-bench -- sim ")?;
        match run {
            Which::Drawn => write!(f, "--seed {seed} --trace"),
            Which::Calm => write!(f, "--calm"),
            Which::Planted(number) => write!(f, "--planted {number} --seed {seed} --trace"),
        }
    }
}

impl Campaign {
    /// Takes the result of a run.
    pub fn add(&mut self, result: Result<Report, Violation>) {
        match result {
            Ok(report) => self.runs.push(report),
            Err(violation) => self.violations.push(violation),
        }
    }

    /// Whether a leader comes soon enough after the faults: within 3 election timeouts in half of
    /// the runs, within 10 in 99 of a hundred. Says what is not so.
    pub fn is_lively(&self) -> Result<(), String> {
        let after = |part| spread(&self.runs, |run| run.led_after, part).unwrap_or(0.0);
        match (after(50), after(99)) {
            (median, p99) if median > 3.0 || p99 > 10.0 => Err(format!(
                "a leader comes after {median:.1} election timeouts in half of the runs, and after \
                 {p99:.1} in 99 of a hundred"
            )),
            _ => Ok(()),
        }
    }

    /// How often each kind of fault struck.
    pub fn faults(&self) -> BTreeMap<FaultKind, u64> {
        let mut faults: BTreeMap<FaultKind, u64> =
            FaultKind::ALL.iter().map(|&kind| (kind, 0)).collect();
        for (kind, count) in self.runs.iter().flat_map(|run| &run.faults) {
            *faults.entry(*kind).or_insert(0) += count;
        }
        faults
    }

    fn sum(&self, of: impl Fn(&Report) -> u64) -> u64 {
        self.runs.iter().map(of).sum()
    }
}

impl fmt::Display for Campaign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.sum(|run| run.virtual_us) / 1_000_000;
        let node_hours = self.sum(|run| run.nodes * run.virtual_us / 1_000_000) as f64 / 3600.0;
        writeln!(
            f,
            "{} runs ended well, {} did not: {seconds} s of virtual time, {node_hours:.0} hours of \
             nodes",
            self.runs.len(),
            self.violations.len()
        )?;
        writeln!(
            f,
            "{} calls, {} answered, {} of unknown outcome; {} slots chosen; {} events; {} \
             histories were judged by a search too",
            self.sum(|run| run.begun),
            self.sum(|run| run.done),
            self.sum(|run| run.unknown),
            self.sum(|run| run.chosen),
            self.sum(|run| run.events),
            self.sum(|run| run.is_judged_twice.into())
        )?;
        writeln!(
            f,
            "{} snapshots came from peers; {} runs trimmed logs; {} processes ended because of \
             their disk; {} nodes halted",
            self.sum(|run| run.installed),
            self.sum(|run| run.trimmed.into()),
            self.sum(|run| run.disk_failures),
            self.sum(|run| run.halted)
        )?;
        let spread = |of: fn(&Report) -> f64| {
            let at = |part| spread(&self.runs, of, part);
            let text = |part| at(part).map_or("-".into(), |value| format!("{value:.1}"));
            format!("median {}, p99 {}, most {}", text(50), text(99), text(100))
        };
        writeln!(f, "election timeouts until a leader: {}", spread(|run| run.led_after))?;
        writeln!(f, "election timeouts until all is done: {}", spread(|run| run.quiet_after))?;
        for (kind, count) in self.faults() {
            writeln!(f, "  {:<14} {count:>8}", format!("{kind:?}"))?;
        }
        Ok(())
    }
}

/// What so many of a hundred runs are not above.
fn spread(runs: &[Report], of: impl Fn(&Report) -> f64, part: usize) -> Option<f64> {
    let mut all: Vec<f64> = runs.iter().map(of).collect();
    all.sort_by(f64::total_cmp);
    let last = all.len().checked_sub(1)?;
    all.get((all.len() * part / 100).min(last)).copied()
}
