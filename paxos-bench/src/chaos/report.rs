//! What came of a run, for people and for programs.

use super::fault::Kind;
use super::tally::{Counts, Tally};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// What came of a run, or of several. As JSON it is one line.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The seed, which makes the same plan again.
    pub seed: u64,
    /// Nodes of the cluster.
    pub nodes: usize,
    /// Runs; more than one are of actors.
    pub runs: u64,
    /// How long clients worked, in seconds, in all runs together.
    pub seconds: f64,
    /// Calls by kind.
    pub calls: BTreeMap<&'static str, Counts>,
    /// Calls that succeeded, per second.
    pub ops_per_s: f64,
    /// The longest time in which no call succeeded, in milliseconds.
    pub gap_max_ms: u64,
    /// Events: faults that began together are one.
    pub events: u64,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<Kind, u64>,
    /// Kinds that were asked for and cannot be made here, and why.
    pub skipped: BTreeMap<Kind, String>,
    /// From the heal of a fault until a call that began after it succeeded.
    pub recoveries: BTreeMap<Kind, Recovery>,
    /// Calls that were judged, and the keys that they are on.
    pub judged: (usize, usize),
    /// What must not be. Empty: the run has passed.
    pub failures: Vec<String>,
    /// Where histories and logs are, after a failure.
    pub kept: Option<PathBuf>,
    /// The commands that judge the histories again, after a failure.
    pub judge_again: Vec<String>,
}

/// Times in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// So many times were measured.
    pub count: usize,
    /// Half of them were no longer.
    pub p50_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

impl Recovery {
    fn of(mut times: Vec<u64>) -> Recovery {
        times.sort_unstable();
        let p50_ms = times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or_default();
        Recovery { count: times.len(), p50_ms, max_ms: times.last().copied().unwrap_or_default() }
    }
}

/// What must hold of a run beside its answers.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Calls that succeed per second, on average, at least.
    pub ops_min: f64,
    /// Events per second, on average, at least.
    pub events_min: f64,
    /// Whether each kind must have struck.
    pub every_kind: bool,
}

impl Report {
    /// Adds what clients found out.
    pub(super) fn add_tally(&mut self, tally: &Tally, times: &mut BTreeMap<Kind, Vec<u64>>) {
        for (&name, &counts) in tally.calls() {
            self.calls.entry(name).or_default().add(counts);
        }
        self.gap_max_ms = self.gap_max_ms.max(tally.gap_max_ms());
        for (&kind, measured) in tally.recoveries() {
            times.entry(kind).or_default().extend(measured);
        }
    }

    /// Works out what follows from the figures, and what fails by the bounds.
    pub(super) fn close(
        &mut self,
        times: BTreeMap<Kind, Vec<u64>>,
        kinds: &[Kind],
        bounds: &Bounds,
    ) {
        self.recoveries =
            times.into_iter().map(|(kind, times)| (kind, Recovery::of(times))).collect();
        let ok: u64 = self.calls.values().map(|counts| counts.ok).sum();
        let per_s = |count: u64| count as f64 / self.seconds.max(1e-3);
        self.ops_per_s = (per_s(ok) * 10.0).round() / 10.0;
        if per_s(ok) < bounds.ops_min {
            let (found, least) = (self.ops_per_s, bounds.ops_min);
            self.failures.push(format!("only {found} calls a second succeeded, not {least}"));
        }
        let least = (bounds.events_min * self.seconds).floor() as u64;
        if self.events < least {
            self.failures.push(format!("only {} events, not {least}", self.events));
        }
        for kind in kinds.iter().filter(|_| bounds.every_kind) {
            if !self.faults.contains_key(kind) {
                self.failures.push(format!("{kind} never struck"));
            }
        }
    }

    /// Whether everything held.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seed, nodes, runs, seconds, ops_per_s, gap_max_ms, events, .. } = self;
        writeln!(f, "seed {seed}: {nodes} nodes, {runs} runs, {seconds:.0} s in all")?;
        writeln!(f, "{ops_per_s} calls a second succeeded; longest without one {gap_max_ms} ms")?;
        writeln!(f, "{:<15} {:>9} {:>9} {:>9}", "calls", "ok", "failed", "unknown")?;
        for (name, Counts { ok, failed, unknown }) in &self.calls {
            writeln!(f, "{name:<15} {ok:>9} {failed:>9} {unknown:>9}")?;
        }
        writeln!(f, "{events} events; recoveries in ms, from the heal to the next success")?;
        writeln!(f, "{:<15} {:>9} {:>9} {:>9}", "fault", "struck", "p50", "max")?;
        for (kind, struck) in &self.faults {
            let Recovery { p50_ms, max_ms, .. } =
                self.recoveries.get(kind).copied().unwrap_or_default();
            writeln!(f, "{kind:<15} {struck:>9} {p50_ms:>9} {max_ms:>9}")?;
        }
        for (kind, reason) in &self.skipped {
            writeln!(f, "SKIPPED {kind}: {reason}")?;
        }
        let (calls, keys) = self.judged;
        match self.passed() {
            true => writeln!(f, "passed: {calls} calls on {keys} keys are linearizable"),
            false => {
                for failure in &self.failures {
                    writeln!(f, "FAILED: {failure}")?;
                }
                for command in &self.judge_again {
                    writeln!(f, "judge it again: {command}")?;
                }
                match &self.kept {
                    Some(at) => writeln!(f, "histories and logs: {}", at.display()),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds() -> Bounds {
        Bounds { ops_min: 10.0, events_min: 0.2, every_kind: true }
    }

    fn report(ok: u64, events: u64) -> Report {
        let mut report = Report { seconds: 10.0, events, ..Report::default() };
        report.calls.insert("put", Counts { ok, failed: 7, unknown: 1 });
        report.faults.insert(Kind::KillOne, events);
        report
    }

    #[test]
    fn a_run_with_enough_calls_and_faults_passes() {
        let mut report = report(100, 2);
        let times = [(Kind::KillOne, vec![30, 10, 20, 90])].into();
        report.close(times, &[Kind::KillOne], &bounds());
        assert!(report.passed(), "{report}");
        let recovery = Recovery { count: 4, p50_ms: 20, max_ms: 90 };
        assert_eq!(report.recoveries[&Kind::KillOne], recovery);
        assert_eq!(report.ops_per_s, 10.0);
    }

    #[test]
    fn too_few_calls_too_few_events_and_a_kind_that_never_struck_fail() {
        let cases = [
            (report(99, 2), &[Kind::KillOne][..], "only 9.9 calls a second"),
            (report(100, 1), &[Kind::KillOne], "only 1 events, not 2"),
            (report(100, 2), &[Kind::KillOne, Kind::Stall], "stall never struck"),
        ];
        for (mut report, kinds, failure) in cases {
            report.close(BTreeMap::new(), kinds, &bounds());
            assert_eq!(report.failures.len(), 1, "{report}");
            assert!(report.to_string().contains(failure), "{report}");
        }
    }
}
