//! What is measured of a store, and how two of them are set against each other.

use serde::Serialize;
use std::collections::BTreeMap;

/// One figure of a measurement. As JSON it is a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Requests answered with success, per second.
    OpsPerS,
    /// Half of the requests took no longer, in microseconds. Where there are writes, of those.
    P50Us,
    /// 99 of 100 took no longer, in microseconds. Where there are writes, of those.
    P99Us,
    /// Of a hundred requests, so many failed.
    ErrorsPercent,
    /// Processor time of all servers for each request, in microseconds.
    CpuUsPerOp,
    /// Memory of the largest server, in bytes.
    ResidentBytes,
    /// Bytes of the data of all servers on disk.
    DiskBytes,
    /// Snapshots that all servers wrote while it was measured.
    Snapshots,
    /// From when all servers were started again until a linearizable read was answered, in
    /// milliseconds.
    RestartMs,
    /// From when the leader was dead until a later write was answered, in half of the cases, in
    /// milliseconds.
    ResumeP50Ms,
    /// The same in 99 of 100.
    ResumeP99Ms,
    /// Writes that were acknowledged, and not there in the end.
    LostWrites,
    /// An entry at all three nodes, in nanoseconds.
    NsPerEntry,
}

impl Figure {
    /// Whether the higher of two is the better.
    pub fn is_better_high(self) -> bool {
        matches!(self, Figure::OpsPerS)
    }

    /// As a table names it, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Figure::OpsPerS => "requests/s",
            Figure::P50Us => "p50 µs",
            Figure::P99Us => "p99 µs",
            Figure::ErrorsPercent => "errors %",
            Figure::CpuUsPerOp => "CPU µs/request",
            Figure::ResidentBytes => "memory B",
            Figure::DiskBytes => "disk B",
            Figure::Snapshots => "snapshots",
            Figure::RestartMs => "restart ms",
            Figure::ResumeP50Ms => "resume p50 ms",
            Figure::ResumeP99Ms => "resume p99 ms",
            Figure::LostWrites => "lost writes",
            Figure::NsPerEntry => "ns/entry",
        }
    }

    /// How many times as good `ours` is as `other`; 1 where they are equal, be it at zero.
    pub fn ratio(self, ours: f64, other: f64) -> f64 {
        let (dividend, divisor) = if self.is_better_high() { (ours, other) } else { (other, ours) };
        let ratio = if dividend == divisor { 1.0 } else { dividend / divisor };
        (ratio * 1000.0).round() / 1000.0
    }
}

/// The figures of one measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Each figure that was measured.
    #[serde(flatten)]
    pub figures: BTreeMap<Figure, f64>,
    /// Where leaders were killed: after how many milliseconds writes went on, each time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resumed_ms: Vec<f64>,
}

impl Sample {
    /// With this figure, if it is known.
    pub fn with(mut self, figure: Figure, value: impl Into<Option<f64>>) -> Sample {
        if let Some(value) = value.into() {
            self.figures.insert(figure, value);
        }
        self
    }
}

/// What each figure comes to, over the rounds that have it: the median. But lost writes are added
/// up, and what the kills of all rounds took is taken together.
pub fn over(rounds: &[Sample]) -> BTreeMap<Figure, f64> {
    let figures = rounds.iter().flat_map(|sample| sample.figures.keys());
    let each = |&figure: &Figure| {
        let values = rounds.iter().filter_map(|sample| sample.figures.get(&figure).copied());
        let value = match figure {
            Figure::LostWrites => Some(values.sum()),
            _ => quantile(values.collect(), 0.5),
        };
        Some((figure, value?))
    };
    let mut all: BTreeMap<_, _> = figures.filter_map(each).collect();
    let resumed = || rounds.iter().flat_map(|sample| &sample.resumed_ms).copied().collect();
    for (figure, part) in [(Figure::ResumeP50Ms, 0.5), (Figure::ResumeP99Ms, 0.99)] {
        if let Some(value) = quantile(resumed(), part) {
            all.insert(figure, value);
        }
    }
    all
}

/// The lowest value that so large a part of all is no higher than; none of nothing.
fn quantile(mut values: Vec<f64>, part: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * part).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_compared_and_not_means() {
        let round = |ops_per_s, p99| {
            let sample = Sample::default().with(Figure::OpsPerS, ops_per_s);
            sample.with(Figure::P99Us, p99)
        };
        let rounds = [round(300.0, Some(10.0)), round(9000.0, Some(9.0)), round(200.0, None)];
        let expected = BTreeMap::from([(Figure::OpsPerS, 300.0), (Figure::P99Us, 9.0)]);
        assert_eq!(over(&rounds), expected);
        assert_eq!(over(&[]), BTreeMap::new());
    }

    #[test]
    fn kills_of_all_rounds_are_taken_together_and_no_lost_write_is_the_median() {
        let round = |resumed_ms: &[f64], lost| {
            let sample = Sample { resumed_ms: resumed_ms.to_vec(), ..Sample::default() };
            sample.with(Figure::LostWrites, lost)
        };
        let rounds = [round(&[5.0, 1.0], 0.0), round(&[3.0, 900.0], 2.0), round(&[2.0], 0.0)];
        let expected =
            [(Figure::ResumeP50Ms, 3.0), (Figure::ResumeP99Ms, 900.0), (Figure::LostWrites, 2.0)];
        assert_eq!(over(&rounds), BTreeMap::from(expected));
    }

    #[test]
    fn a_ratio_is_how_many_times_as_good() {
        assert_eq!(Figure::OpsPerS.ratio(300.0, 200.0), 1.5);
        assert_eq!(Figure::P99Us.ratio(300.0, 200.0), 0.667);
        assert_eq!(Figure::CpuUsPerOp.ratio(10.0, 120.0), 12.0);
        assert_eq!(Figure::ErrorsPercent.ratio(0.0, 0.0), 1.0, "neither has any");
        assert_eq!(Figure::ErrorsPercent.ratio(2.0, 0.0), 0.0);
        assert_eq!(Figure::OpsPerS.ratio(2.0, 0.0), f64::INFINITY);
    }
}
