//! What a comparison found, as values.

use super::figure::{Figure, Sample, over};
use super::machine::Machine;
use super::row::{Against, PeerName, Row, Target, Verdict};
use crate::limits::MachineLimits;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What a comparison found. As JSON it is one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// When and where.
    pub machine: Machine,
    /// How often each store was measured in each row.
    pub rounds: usize,
    /// How long a load was measured each time.
    pub seconds: f64,
    /// What the machine allowed just before; none, where all rows were skipped.
    pub limits: Option<MachineLimits>,
    /// What was measured.
    pub rows: Vec<Measured>,
    /// What was not, since something is missing here.
    pub skipped: Vec<Omitted>,
    /// What was tried in vain.
    pub failed: Vec<Omitted>,
}

/// A row that was not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Omitted {
    /// Its name.
    pub row: String,
    /// What is missing, and how to get it; or what failed.
    pub why: String,
}

impl Omitted {
    pub(super) fn of(row: &Row, why: impl fmt::Display) -> Omitted {
        Omitted { row: row.name.clone().into_owned(), why: why.to_string() }
    }
}

/// What was measured in a row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Its name.
    pub row: String,
    /// The other store.
    pub peer: PeerName,
    /// This store.
    pub ours: Side,
    /// The other store.
    pub theirs: Side,
    /// The bare loop, where it can do the work.
    pub bare_loop: Option<Side>,
    /// What it comes to.
    pub targets: Vec<Judged>,
}

/// One store in one row.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Side {
    /// What each figure comes to over the rounds: the median, as a rule.
    pub medians: BTreeMap<Figure, f64>,
    /// Every round.
    pub rounds: Vec<Sample>,
}

/// A target, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// What was wanted.
    #[serde(flatten)]
    pub target: Target,
    /// This store's figure.
    pub ours: Option<f64>,
    /// What it is set against.
    pub other: Option<f64>,
    /// How many times as good this store is; none, where a figure is missing.
    pub ratio: Option<f64>,
    /// What that means.
    pub verdict: Verdict,
}

/// What a whole comparison comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Total {
    /// All ★ were reached, and nothing was skipped.
    Reached,
    /// Nothing was missed, but rows were skipped.
    Skipped,
    /// Nothing was missed, but rows failed.
    Failed,
    /// These ★ were missed.
    Missed(Vec<String>),
}

impl Measured {
    /// From all rounds of this store, of the other, and of the bare loop.
    pub(super) fn of(row: &Row, sides: [Vec<Sample>; 3]) -> Measured {
        let [ours, theirs, bare] = sides.map(Side::of);
        let judge = |&target: &Target| {
            let figure = |side: &Side| side.medians.get(&target.figure).copied();
            let other = match target.against {
                Against::Peer => figure(&theirs),
                Against::BareLoop => figure(&bare),
                Against::Amount(amount) => Some(amount),
            };
            let ours = figure(&ours);
            let ratio = ours.zip(other).map(|(ours, other)| target.figure.ratio(ours, other));
            Judged { target, ours, other, ratio, verdict: target.judge(ratio) }
        };
        let targets = row.targets.iter().map(judge).collect();
        let bare_loop = (!bare.rounds.is_empty()).then_some(bare);
        let name = row.name.clone().into_owned();
        Measured { row: name, peer: row.peer, ours, theirs, bare_loop, targets }
    }
}

impl Side {
    fn of(rounds: Vec<Sample>) -> Side {
        Side { medians: over(&rounds), rounds }
    }
}

impl Summary {
    /// What it comes to.
    pub fn total(&self) -> Total {
        let mut missed = Vec::new();
        for Measured { row, targets, .. } in &self.rows {
            for judged in targets.iter().filter(|judged| judged.verdict == Verdict::Missed) {
                let (figure, must) = (judged.target.figure.name(), judged.target.must);
                let found = judged.ratio.map_or("not measured".into(), |ratio| ratio.to_string());
                let must = must.unwrap_or_default();
                missed.push(format!("{row}, {figure}: {found}, and {must} must be"));
            }
        }
        match (missed.is_empty(), self.failed.is_empty(), self.skipped.is_empty()) {
            (false, _, _) => Total::Missed(missed),
            (true, false, _) => Total::Failed,
            (true, true, false) => Total::Skipped,
            (true, true, true) => Total::Reached,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::{Sockets, Work};
    use super::*;

    fn measured(ops: [f64; 3]) -> Measured {
        const TARGETS: &[Target] = &[
            Target { figure: Figure::OpsPerS, against: Against::Peer, must: Some(2.0), goal: None },
            Target::told(Figure::OpsPerS, Against::BareLoop),
        ];
        let work = Work::Closed { clients: 1, writes_percent: 100, sockets: Sockets::Shared };
        let row = Row { name: "a-row".into(), peer: PeerName::Etcd, work, targets: TARGETS };
        let [ours, theirs, bare] =
            ops.map(|ops| vec![Sample::default().with(Figure::OpsPerS, ops)]);
        Measured::of(&row, [ours, theirs, bare])
    }

    fn summary(rows: Vec<Measured>, skipped: Vec<Omitted>) -> Summary {
        let machine = Machine::made_up();
        Summary {
            machine,
            rounds: 1,
            seconds: 1.0,
            limits: None,
            rows,
            skipped,
            failed: Vec::new(),
        }
    }

    #[test]
    fn each_target_is_set_against_what_it_names() {
        let measured = measured([300.0, 100.0, 600.0]);
        let ratios: Vec<_> = measured.targets.iter().map(|judged| judged.ratio).collect();
        assert_eq!(ratios, [Some(3.0), Some(0.5)]);
        let verdicts: Vec<_> = measured.targets.iter().map(|judged| judged.verdict).collect();
        assert_eq!(verdicts, [Verdict::Must, Verdict::Told]);
    }

    #[test]
    fn a_star_that_is_missed_counts_more_than_a_row_that_is_skipped() {
        let good = measured([300.0, 100.0, 600.0]);
        let bad = measured([150.0, 100.0, 600.0]);
        let skipped = || vec![Omitted { row: "b-row".into(), why: "gone".into() }];
        let missed = "a-row, requests/s: 1.5, and 2 must be".to_owned();
        let total = |rows, skipped| summary(rows, skipped).total();
        let failing = |rows| Summary { failed: skipped(), ..summary(rows, skipped()) };
        assert_eq!(total(vec![good.clone()], vec![]), Total::Reached);
        assert_eq!(total(vec![good.clone()], skipped()), Total::Skipped);
        assert_eq!(failing(vec![good.clone()]).total(), Total::Failed);
        assert_eq!(failing(vec![good, bad]).total(), Total::Missed(vec![missed]));
    }

    #[test]
    fn json_has_every_round_and_each_verdict() {
        let summary = summary(vec![measured([300.0, 100.0, 600.0])], vec![]);
        let json = serde_json::to_value(&summary).unwrap();
        let row = &json["rows"][0];
        assert_eq!(row["ours"]["rounds"][0]["ops_per_s"], 300.0, "{json}");
        assert_eq!(row["bare_loop"]["medians"]["ops_per_s"], 600.0, "{json}");
        let target = &row["targets"][0];
        assert_eq!((&target["figure"], &target["against"]), (&"ops_per_s".into(), &"peer".into()));
        assert_eq!((&target["ratio"], &target["verdict"]), (&3.0.into(), &"must".into()));
        let table = summary.to_string();
        assert!(table.contains("a-row") && table.contains("3.00"), "{table}");
    }

    #[cfg(feature = "plots")]
    #[test]
    fn a_picture_has_every_row() {
        let svg = summary(vec![measured([300.0, 100.0, 600.0])], vec![]).svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("a-row: requests/s ÷ etcd"), "{svg}");
    }
}
