//! What was found, as values and for people.

use super::curve::{CurveName, Point};
use super::rule::{Found, Rule};
use crate::compare::figure::over;
use crate::compare::table::number;
use crate::compare::{Figure, Machine, Sample};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What was found. As JSON it is one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// When and where.
    pub machine: Machine,
    /// How often each point was measured.
    pub rounds: usize,
    /// How long a load was measured each time.
    pub seconds: f64,
    /// What grew.
    pub curves: Vec<Curve>,
}

/// What was found while one thing grew.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// What grew.
    pub curve: CurveName,
    /// What is no cliff.
    pub rule: Rule,
    /// From the least to the most.
    pub points: Vec<Measured>,
}

/// What was found at a point.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The point.
    #[serde(flatten)]
    pub point: Point,
    /// Servers that ran.
    pub servers: usize,
    /// What each figure comes to over the rounds: the median.
    pub medians: BTreeMap<Figure, f64>,
    /// Every round.
    pub rounds: Vec<Sample>,
    /// Why a round failed, if one did.
    pub failed: Option<String>,
    /// Why the step to this point is a cliff, if it is one.
    pub cliff: Option<String>,
}

impl Measured {
    pub(super) fn of(
        point: &Point,
        servers: usize,
        rounds: Vec<Sample>,
        failed: Option<String>,
    ) -> Measured {
        let medians = over(&rounds);
        Measured { point: *point, servers, medians, rounds, failed, cliff: None }
    }

    /// What the rule looks at; none, where nothing was measured.
    fn found(&self) -> Option<Found> {
        let figure = |figure| self.medians.get(&figure).copied();
        Some(Found {
            amount: self.point.amount as f64,
            servers: self.servers as f64,
            ops_per_s: figure(Figure::OpsPerS)?,
            p99_us: figure(Figure::P99Us)?,
            errors_percent: figure(Figure::ErrorsPercent).unwrap_or(0.0),
        })
    }
}

impl Curve {
    /// Judged by the rule of the curve. Points that failed are no neighbours of others.
    pub(super) fn of(curve: CurveName, mut points: Vec<Measured>) -> Curve {
        let rule = curve.rule();
        let mut measured: Vec<&mut Measured> =
            points.iter_mut().filter(|point| point.found().is_some()).collect();
        let found: Vec<Found> = measured.iter().filter_map(|point| point.found()).collect();
        for (point, cliff) in measured.iter_mut().zip(rule.cliffs(&found)) {
            point.cliff = cliff;
        }
        Curve { curve, rule, points }
    }
}

impl Summary {
    /// What is wrong, a line each: cliffs, and points that failed.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for Curve { curve, points, .. } in &self.curves {
            for Measured { point, failed, cliff, .. } in points {
                let whys = [("FAILED", failed), ("CLIFF", cliff)];
                for (what, why) in
                    whys.into_iter().filter_map(|(what, why)| Some((what, why.as_ref()?)))
                {
                    wrong.push(format!("{what} {} {}: {why}", curve.name(), point.name));
                }
            }
        }
        wrong
    }
}

/// What the table shows of each point.
const COLUMNS: [Figure; 6] = [
    Figure::OpsPerS,
    Figure::P99Us,
    Figure::CpuUsPerOp,
    Figure::ErrorsPercent,
    Figure::DiskBytes,
    Figure::Snapshots,
];

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        writeln!(f, "medians of {} rounds, {} s each time", self.rounds, self.seconds)?;
        write!(f, "\n{:<10} {:>8}", "curve", "point")?;
        for figure in COLUMNS {
            write!(f, " {:>14}", figure.name())?;
        }
        writeln!(f)?;
        for Curve { curve, points, .. } in &self.curves {
            for (at, Measured { point, medians, .. }) in points.iter().enumerate() {
                let name = if at == 0 { curve.name() } else { "" };
                write!(f, "{name:<10} {:>8}", point.name)?;
                for figure in COLUMNS {
                    write!(f, " {:>14}", number(medians.get(&figure).copied()))?;
                }
                writeln!(f)?;
            }
        }
        writeln!(f)?;
        for Curve { curve, rule, .. } in &self.curves {
            writeln!(f, "{:<10} no cliff: {rule}", curve.name())?;
        }
        self.wrong().iter().try_for_each(|wrong| writeln!(f, "{wrong}"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A curve whose second point failed and whose third is a cliff.
    pub(in super::super) fn summary() -> Summary {
        let sample = |ops_per_s| {
            let sample = Sample::default().with(Figure::OpsPerS, ops_per_s);
            sample.with(Figure::P99Us, 1234.0).with(Figure::DiskBytes, 1e6)
        };
        let points = CurveName::Nodes.points();
        let points = vec![
            Measured::of(&points[0], 3, vec![sample(100.0), sample(900.0), sample(800.0)], None),
            Measured::of(&points[1], 5, Vec::new(), Some("it does not serve".into())),
            Measured::of(&points[2], 7, vec![sample(200.0)], None),
        ];
        let machine = Machine::made_up();
        let curves = vec![Curve::of(CurveName::Nodes, points)];
        Summary { machine, rounds: 3, seconds: 4.0, curves }
    }

    #[test]
    fn a_point_that_failed_is_told_of_and_does_not_hide_a_cliff() {
        let wrong = summary().wrong();
        assert_eq!(wrong[0], "FAILED nodes 5: it does not serve");
        // 0.7 × 3/7 of the median of 800.
        let cliff = "CLIFF nodes 7: 200/s, and 240/s would be 0.7 of what the servers explain";
        assert_eq!(wrong[1..], [cliff]);
        assert!(summary().curves[0].points[0].cliff.is_none());
    }

    #[test]
    fn the_table_has_a_line_for_each_point_and_what_is_wrong() {
        let table = summary().to_string();
        let lines: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[4], ["nodes", "3", "800", "1234", "-", "-", "1000000", "-"], "{table}");
        assert_eq!(lines[5], ["5", "-", "-", "-", "-", "-", "-"], "{table}");
        assert_eq!(lines[6][..2], ["7", "200"], "{table}");
        assert!(table.contains("nodes      no cliff: requests/s × servers ≥ 0.7"), "{table}");
        assert!(table.contains("\nFAILED nodes 5: ") && table.contains("\nCLIFF nodes 7: "));
    }

    #[test]
    fn json_has_every_round_the_rule_and_what_is_wrong() {
        let json = serde_json::to_value(summary()).unwrap();
        let curve = &json["curves"][0];
        assert_eq!(
            (&curve["curve"], &curve["rule"]["rule"]),
            (&"nodes".into(), &"per_server".into())
        );
        let points = curve["points"].as_array().unwrap();
        assert_eq!(points[0]["rounds"].as_array().unwrap().len(), 3, "{json}");
        assert_eq!((&points[0]["name"], &points[0]["amount"]), (&"3".into(), &3.into()), "{json}");
        assert_eq!(points[0]["medians"]["ops_per_s"], 800.0, "{json}");
        assert_eq!(points[1]["failed"], "it does not serve", "{json}");
        assert!(points[2]["cliff"].is_string() && points[0]["cliff"].is_null(), "{json}");
    }
}
