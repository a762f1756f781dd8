//! How cost grows: the same load while one thing grows, from small to large.
//!
//! Each [`CurveName`] is a thing that grows, with the points at which it is measured; all else
//! stays as it is. The points of a curve are visited in turn, a round of all of them after the
//! other, each time with fresh servers on empty data, and medians are reported. A step that costs
//! more than what has grown explains is a cliff: [`Rule`] says when.

mod curve;
mod measure;
#[cfg(feature = "plots")]
mod plot;
mod rule;
mod summary;

pub use self::curve::{CurveName, Point};
pub use self::rule::Rule;
pub use self::summary::{Curve, Measured, Summary};

use crate::compare::machine::Machine;
use crate::compare::{CompareError, Sample};
use std::path::PathBuf;
use std::time::Duration;

/// What is measured, and where.
#[derive(Clone, Debug)]
pub struct Growth {
    /// The server of this store.
    pub paxos_kv: PathBuf,
    /// What grows, and how far.
    pub curves: Vec<(CurveName, Vec<Point>)>,
    /// How often each point is measured.
    pub rounds: usize,
    /// How long a load is measured each time.
    pub time: Duration,
    /// Data goes into a directory below this one, which is removed at the end.
    pub directory: PathBuf,
}

/// What came of one visit at a point.
pub type Visit = Result<Sample, CompareError>;

impl Growth {
    /// Measures, and tells what came of each visit. A point that fails is not visited again, and
    /// the others are.
    pub async fn run(&self, mut tell: impl FnMut(CurveName, &Point, &Visit)) -> Summary {
        let mut curves = Vec::new();
        for (name, points) in &self.curves {
            let mut visits: Vec<(Vec<Sample>, Option<String>)> =
                vec![Default::default(); points.len()];
            for _ in 0..self.rounds {
                for (point, (rounds, failed)) in points.iter().zip(&mut visits) {
                    if failed.is_some() {
                        continue;
                    }
                    let visit = measure::visit(self, &name.setup(point)).await;
                    tell(*name, point, &visit);
                    match visit {
                        Ok(sample) => rounds.push(sample),
                        Err(error) => *failed = Some(error.to_string()),
                    }
                }
            }
            let measured = points.iter().zip(visits);
            let measured = measured.map(|(point, (rounds, failed))| {
                Measured::of(point, name.setup(point).layout.servers(), rounds, failed)
            });
            curves.push(Curve::of(*name, measured.collect()));
        }
        Summary {
            machine: Machine::of(&self.directory, Some(&self.paxos_kv)),
            rounds: self.rounds,
            seconds: self.time.as_secs_f64(),
            curves,
        }
    }
}
