//! What calls came to, counted while they end.

use super::fault::Kind;
use serde::Serialize;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    /// It was answered.
    Ok,
    /// It had no effect.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// Calls of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Answered.
    pub ok: u64,
    /// Without effect.
    pub failed: u64,
    /// With an unknown outcome.
    pub unknown: u64,
}

impl Counts {
    /// Adds others.
    pub(super) fn add(&mut self, other: Counts) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.unknown += other.unknown;
    }
}

/// What calls came to.
#[derive(Debug)]
pub struct Tally {
    calls: BTreeMap<&'static str, Counts>,
    last_success: Instant,
    gap_max_ms: u64,
    /// When faults were healed, for which no call has succeeded since.
    healed: Vec<(Instant, Vec<Kind>)>,
    recoveries: BTreeMap<Kind, Vec<u64>>,
}

impl Tally {
    /// Nothing was called yet; the first gap begins now.
    pub fn new() -> Tally {
        Tally {
            calls: BTreeMap::new(),
            last_success: Instant::now(),
            gap_max_ms: 0,
            healed: Vec::new(),
            recoveries: BTreeMap::new(),
        }
    }

    /// A call that began then has ended now.
    pub fn called(&mut self, name: &'static str, called: Called, began: Instant) {
        let counts = self.calls.entry(name).or_default();
        match called {
            Called::Ok => counts.ok += 1,
            Called::Failed => counts.failed += 1,
            Called::Unknown => counts.unknown += 1,
        }
        if called == Called::Ok {
            self.end_gap();
            self.recover(began);
        }
    }

    /// Faults were healed now.
    pub fn healed(&mut self, kinds: Vec<Kind>) {
        self.healed.push((Instant::now(), kinds));
    }

    /// No more calls come: what has not succeeded until now counts as a gap as well.
    pub fn end(&mut self) {
        self.end_gap();
    }

    /// Calls of each kind.
    pub fn calls(&self) -> &BTreeMap<&'static str, Counts> {
        &self.calls
    }

    /// The longest time without a success, in milliseconds.
    pub fn gap_max_ms(&self) -> u64 {
        self.gap_max_ms
    }

    /// Times in milliseconds, by kind, from the heal of a fault until a call that began after it
    /// had succeeded.
    pub fn recoveries(&self) -> &BTreeMap<Kind, Vec<u64>> {
        &self.recoveries
    }

    fn end_gap(&mut self) {
        let now = Instant::now();
        let gap = now.duration_since(self.last_success).as_millis() as u64;
        self.gap_max_ms = self.gap_max_ms.max(gap);
        self.last_success = now;
    }

    /// A call that began then has succeeded.
    fn recover(&mut self, began: Instant) {
        self.healed.retain(|(healed, kinds)| {
            if began < *healed {
                return true;
            }
            for &kind in kinds {
                let took = healed.elapsed().as_millis() as u64;
                self.recoveries.entry(kind).or_default().push(took);
            }
            false
        });
    }
}

impl Default for Tally {
    fn default() -> Tally {
        Tally::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_recovery_ends_with_a_call_that_began_after_the_heal() {
        let mut tally = Tally::new();
        let wait = |ms| tokio::time::sleep(Duration::from_millis(ms));
        let early = Instant::now();
        wait(100).await;
        tally.called("get", Called::Ok, early);
        wait(300).await;
        tally.healed(vec![Kind::KillOne]);
        wait(50).await;
        tally.called("get", Called::Failed, Instant::now());
        tally.called("put", Called::Ok, early);
        assert!(tally.recoveries().is_empty(), "it began before");
        let late = Instant::now();
        wait(20).await;
        tally.called("put", Called::Ok, late);
        assert_eq!(tally.recoveries()[&Kind::KillOne], [70]);
        assert_eq!(tally.gap_max_ms(), 350);
        assert_eq!(tally.calls()["put"], Counts { ok: 2, failed: 0, unknown: 0 });
        wait(400).await;
        tally.end();
        assert_eq!(tally.gap_max_ms(), 400);
    }
}
