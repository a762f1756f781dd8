//! What grows, how far, and what is done meanwhile.

use super::rule::Rule;
use crate::compare::ours::Layout;
use crate::compare::row::{KEYS, VALUE_BYTES};
use serde::Serialize;

/// Clients, where their number does not grow: enough that what they write shares its cost.
const CLIENTS: usize = 256;

/// Where values grow, clients: so many of the largest fit into what a node takes in.
const CLIENTS_OF_LARGE: usize = 64;

/// All values together have about so many bytes at most, where values grow: what a node keeps is
/// not what this curve is about.
const VALUES_BYTES_MAX: u64 = 64 << 20;

/// Keys in a snapshot: so many that it takes a while, and so few that in a second as much is logged
/// as it has, which is when the next one follows.
const KEYS_IN_SNAPSHOT: u64 = 50_000;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum CurveName {
    /// Clients of a closed loop.
    Clients,
    /// Bytes of each value.
    ValueSize,
    /// Keys that have a value before.
    Keys,
    /// Nodes that have all roles.
    Nodes,
    /// Voters beside three nodes: acceptors without a learner.
    Voters,
    /// Replicas beside three nodes: learners without an acceptor.
    Replicas,
    /// Whether snapshots are written.
    Snapshot,
}

/// How far it has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Point {
    /// As the table and `--points` name it.
    pub name: &'static str,
    /// How much there is.
    pub amount: u64,
}

/// What stands and what is done at a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setup {
    pub(super) layout: Layout,
    pub(super) clients: usize,
    pub(super) value_bytes: usize,
    /// Keys that clients write.
    pub(super) keys: u64,
    /// Whether all of them have a value before.
    pub(super) is_filled: bool,
    /// Whether snapshots must be written meanwhile, or none may be; none: either.
    pub(super) snapshots: Option<bool>,
}

impl CurveName {
    /// All of them, in the order in which they are measured.
    pub const ALL: [CurveName; 7] = [
        CurveName::Clients,
        CurveName::ValueSize,
        CurveName::Keys,
        CurveName::Nodes,
        CurveName::Voters,
        CurveName::Replicas,
        CurveName::Snapshot,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            CurveName::Clients => "clients",
            CurveName::ValueSize => "value-size",
            CurveName::Keys => "keys",
            CurveName::Nodes => "nodes",
            CurveName::Voters => "voters",
            CurveName::Replicas => "replicas",
            CurveName::Snapshot => "snapshot",
        }
    }

    /// Where it is measured, from the least to the most.
    pub fn points(self) -> Vec<Point> {
        let points: &[(&'static str, u64)] = match self {
            CurveName::Clients => &[
                ("1", 1),
                ("4", 4),
                ("16", 16),
                ("64", 64),
                ("256", 256),
                ("1024", 1024),
                ("4096", 4096),
            ],
            CurveName::ValueSize => &[
                ("16B", 16),
                ("256B", 256),
                ("4KiB", 4 << 10),
                ("64KiB", 64 << 10),
                ("1MiB", 1 << 20),
            ],
            CurveName::Keys => {
                &[("10k", 10_000), ("100k", 100_000), ("1M", 1_000_000), ("5M", 5_000_000)]
            }
            CurveName::Nodes => &[("3", 3), ("5", 5), ("7", 7)],
            CurveName::Voters => &[("+0", 0), ("+2", 2)],
            CurveName::Replicas => &[("+0", 0), ("+1", 1), ("+2", 2), ("+4", 4)],
            CurveName::Snapshot => &[("none", 0), ("running", 1)],
        };
        points.iter().map(|&(name, amount)| Point { name, amount }).collect()
    }

    /// What is no cliff.
    pub fn rule(self) -> Rule {
        match self {
            CurveName::Clients => Rule::OfBest { part: 0.7 },
            CurveName::ValueSize => Rule::Bytes { of_best: 0.5, of_neighbour: 0.7 },
            CurveName::Keys => Rule::OfFirst { part: 0.6 },
            CurveName::Nodes | CurveName::Voters | CurveName::Replicas => {
                Rule::PerServer { part: 0.7 }
            }
            CurveName::Snapshot => Rule::Beside { part: 0.5, p99_times: 10.0 },
        }
    }

    pub(super) fn setup(self, point: &Point) -> Setup {
        let layout = Layout { nodes: 3, voters: 0, replicas: 0, options: Vec::new() };
        let mut setup = Setup {
            layout,
            clients: CLIENTS,
            value_bytes: VALUE_BYTES,
            keys: KEYS,
            is_filled: false,
            snapshots: None,
        };
        let count = point.amount as usize;
        match self {
            CurveName::Clients => setup.clients = count,
            CurveName::ValueSize => {
                setup.clients = CLIENTS_OF_LARGE;
                setup.value_bytes = count;
                setup.keys = (VALUES_BYTES_MAX / point.amount).min(KEYS);
            }
            CurveName::Keys => {
                setup.keys = point.amount;
                setup.is_filled = true;
            }
            CurveName::Nodes => setup.layout.nodes = count,
            CurveName::Voters => setup.layout.voters = count,
            CurveName::Replicas => setup.layout.replicas = count,
            CurveName::Snapshot => {
                setup.keys = KEYS_IN_SNAPSHOT;
                setup.is_filled = true;
                let is_running = point.amount > 0;
                setup.snapshots = Some(is_running);
                // The next follows as soon as as much was logged as the last one has; or never.
                let mib = if is_running { 1 } else { 1 << 20 };
                setup.layout.options = vec![format!("--snapshot-log-mib={mib}")];
            }
        }
        setup
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn points_grow_and_have_names_of_their_own() {
        let names: BTreeSet<_> = CurveName::ALL.iter().map(|curve| curve.name()).collect();
        assert_eq!(names.len(), CurveName::ALL.len());
        for curve in CurveName::ALL {
            let points = curve.points();
            assert!(points.is_sorted_by(|a, b| a.amount < b.amount), "{curve:?}");
            let names: BTreeSet<_> = points.iter().map(|point| point.name).collect();
            assert_eq!(names.len(), points.len(), "{curve:?}");
        }
    }

    #[test]
    fn one_thing_grows_and_all_else_stays() {
        for curve in CurveName::ALL {
            let setups: Vec<_> = curve.points().iter().map(|point| curve.setup(point)).collect();
            let differs =
                |of: &dyn Fn(&Setup) -> u64| setups.iter().any(|s| of(s) != of(&setups[0]));
            let grows = [
                differs(&|setup| setup.clients as u64),
                differs(&|setup| setup.value_bytes as u64),
                differs(&|setup| setup.layout.nodes as u64),
                differs(&|setup| setup.layout.voters as u64),
                differs(&|setup| setup.layout.replicas as u64),
                differs(&|setup| u64::from(setup.snapshots == Some(true))),
                differs(&|setup| setup.keys) && curve != CurveName::ValueSize,
            ];
            assert_eq!(grows.into_iter().filter(|grows| *grows).count(), 1, "{curve:?}");
        }
    }

    #[test]
    fn values_that_grow_stay_within_what_a_node_may_hold() {
        for point in CurveName::ValueSize.points() {
            let setup = CurveName::ValueSize.setup(&point);
            let all = setup.keys * setup.value_bytes as u64;
            assert!(setup.keys > 0 && all <= VALUES_BYTES_MAX, "{setup:?}");
        }
    }
}
