//! What a comparison found, for people.

use super::row::Against;
use super::summary::{Judged, Measured, Omitted, Summary};
use std::fmt;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        writeln!(f, "medians of {} rounds, {} s each time", self.rounds, self.seconds)?;
        if let Some(limits) = &self.limits {
            writeln!(f, "\n{limits}")?;
        }
        if !self.rows.is_empty() {
            writeln!(
                f,
                "{:<24} {:<15} {:>10} {:<12} {:>10} {:>8} {:>7} {:>7}",
                "row", "figure", "paxos-kv", "  against", "", "ratio", "★", "goal"
            )?;
        }
        for Measured { row, peer, targets, .. } in &self.rows {
            for (at, judged) in targets.iter().enumerate() {
                let Judged { target, ours, other, ratio, verdict } = judged;
                let against = match target.against {
                    Against::Peer => peer.name(),
                    Against::BareLoop => "bare loop",
                    Against::Amount(_) => "",
                };
                let line = format!(
                    "{:<24} {:<15} {:>10}   {against:<10} {:>10} {:>8} {:>7} {:>7}  {verdict}",
                    if at == 0 { row } else { "" },
                    target.figure.name(),
                    number(*ours),
                    number(*other),
                    fixed(*ratio),
                    fixed(target.must),
                    fixed(target.goal),
                );
                writeln!(f, "{}", line.trim_end())?;
            }
        }
        for (what, rows) in [("SKIPPED", &self.skipped), ("FAILED", &self.failed)] {
            for Omitted { row, why } in rows {
                writeln!(f, "{what} {row}: {why}")?;
            }
        }
        Ok(())
    }
}

/// A ratio, to two digits.
fn fixed(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"))
}

/// A figure, as short as it may be.
pub(crate) fn number(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value.abs() < 100.0 && value.fract() != 0.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}
