//! The faults of processes.

use super::cluster::{Cluster, LOOK};
use super::fault::Kind;
use super::nemesis::{Strike, Struck, Victim};
use super::plan::shuffle;
use super::shape::shape;
use super::tools::{self, FailedSync};
use paxos_core::rng::Rng;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A node that a disk fault is to end does so within this time.
const END_WITHIN: Duration = Duration::from_secs(10);

/// While a disk is full so much is written, at most, to make that felt: a log prepares room for
/// several MiB before it needs it.
const PRESSURE_WRITES: u64 = 400;
const PRESSURE_BYTES: usize = 64 << 10;

/// What ends a node on a full disk, and one whose disk fails, as it puts it.
const NO_SPACE: &str = "no space left on the disk";
const IO_ERROR: &str = "Input/output error";

/// A cluster of processes as a nemesis sees it.
pub(super) struct Processes {
    pub(super) cluster: Cluster,
    pub(super) directory: PathBuf,
    pub(super) problems: Vec<String>,
}

impl Victim for Processes {
    fn nodes(&self) -> usize {
        self.cluster.nodes.len()
    }

    async fn leader(&mut self) -> Option<usize> {
        let all = self.cluster.statuses().await;
        all.iter().position(|status| status.as_ref().is_some_and(|status| status.stance == "lead"))
    }

    async fn strike(&mut self, strike: Strike<'_>) -> Struck {
        let Strike { kind, leader, rng } = strike;
        let nodes = self.nodes();
        let mut order: Vec<usize> = (0..nodes).collect();
        shuffle(&mut order, rng);
        let struck = match kind {
            Kind::KillOne => self.kill(&order[..1]),
            Kind::KillLeader => self.kill(&[leader]),
            Kind::KillMajority => self.kill(&order[..nodes / 2 + 1]),
            Kind::KillAll => self.kill(&order),
            Kind::Rolling => return self.roll(&order).await,
            Kind::PauseOne => self.cluster.pause(order[0]).map(|()| name(order[0])),
            Kind::PauseLeader => self.cluster.pause(leader).map(|()| name(leader)),
            Kind::FullDisk => return self.fill_disk(rng).await,
            Kind::FailedSync => return self.fail_sync(order[0]).await,
            Kind::CutLinks => {
                self.cluster.cut_links();
                Ok("between all nodes".to_owned())
            }
            Kind::CutClients => {
                self.cluster.cut_clients();
                Ok("of all nodes".to_owned())
            }
            kind => Ok(self.bend(kind, leader, rng)),
        };
        struck.map_or_else(|error| Struck::No(error.to_string()), Struck::Yes)
    }

    async fn heal(&mut self) {
        let problems = self.cluster.heal();
        self.problems.extend(problems);
    }

    async fn problems(&mut self) -> Vec<String> {
        for at in 0..self.nodes() {
            // Later than the heal a node with an excuse may end, too: it is started again now.
            let ended = self.cluster.has_ended(at);
            self.problems.extend(ended.err());
            if let Err(error) = self.cluster.start(at) {
                self.problems.push(format!("{} cannot be started: {error}", name(at)));
            }
        }
        std::mem::take(&mut self.problems)
    }
}

impl Processes {
    fn kill(&mut self, nodes: &[usize]) -> io::Result<String> {
        nodes.iter().try_for_each(|&at| self.cluster.kill(at))?;
        Ok(nodes.iter().map(|&at| name(at)).collect::<Vec<_>>().join(", "))
    }

    /// Stops each node in order and starts it again, which the next one waits for.
    async fn roll(&mut self, nodes: &[usize]) -> Struck {
        for &at in nodes {
            if let Err(problem) = self.cluster.stop(at).await {
                self.problems.push(problem);
            }
            if let Err(error) = self.cluster.start(at) {
                return Struck::No(error.to_string());
            }
            let until = Instant::now() + END_WITHIN;
            while self.cluster.statuses().await[at].is_none() {
                if Instant::now() >= until {
                    return Struck::No(format!("{} does not answer", name(at)));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Struck::Yes("all nodes in turn".to_owned())
    }

    fn bend(&mut self, kind: Kind, leader: usize, rng: &mut Rng) -> String {
        let shape = shape(kind, self.nodes(), leader, rng);
        // A link that is blocked one way only still takes connections, and so does one that stalls.
        let blocks = shape.values().any(|way| way.is_blocked);
        let may_reset = blocks && !matches!(kind, Kind::Stall | Kind::OneWay);
        let resets = may_reset && rng.between(0, 2) == 0;
        self.cluster.bend(&shape, resets);
        let how = if resets { ", with resets" } else { "" };
        format!("{} of {} ways{how}", shape.len(), self.nodes() * (self.nodes() - 1))
    }

    /// Leaves no room on the disk of a node, and writes until that is felt.
    async fn fill_disk(&mut self, rng: &mut Rng) -> Struck {
        let small: Vec<usize> =
            (0..self.nodes()).filter(|&at| self.cluster.nodes[at].disk.is_some()).collect();
        let at = small[rng.between(0, small.len() as u64) as usize];
        let Some(disk) = self.cluster.nodes[at].disk.clone() else {
            return Struck::No("no node has a disk of its own".to_owned());
        };
        self.cluster.excuse(at, NO_SPACE);
        if let Err(error) = tools::fill(&disk) {
            return Struck::No(error.to_string());
        }
        let client = match self.cluster.direct_client().await {
            Ok(client) => client,
            Err(error) => return Struck::No(error),
        };
        let until = Instant::now() + END_WITHIN;
        for turn in 0..PRESSURE_WRITES {
            match self.cluster.has_ended(at) {
                Ok(true) => return Struck::Yes(format!("{} has ended", name(at))),
                Ok(false) if Instant::now() < until => {}
                Ok(false) => break,
                Err(problem) => {
                    self.problems.push(problem);
                    break;
                }
            }
            let value = vec![b'.'; PRESSURE_BYTES];
            // The others may be without a leader for a moment; this is no call of the workload.
            let _ = timeout(END_WITHIN, client.put(format!("pressure-{}", turn % 4), value)).await;
        }
        Struck::Yes(name(at))
    }

    /// Has a sync of a node fail, whereupon it must end.
    async fn fail_sync(&mut self, at: usize) -> Struck {
        let Some(pid) = self.cluster.pid(at) else {
            return Struck::No(format!("{} does not run", name(at)));
        };
        let log = self.directory.join("strace");
        // What was there tells of another time.
        let _ = std::fs::remove_file(&log);
        let failing = match FailedSync::of(pid, log) {
            Ok(failing) => failing,
            Err(error) => return Struck::No(error.to_string()),
        };
        self.cluster.excuse(at, IO_ERROR);
        let until = Instant::now() + END_WITHIN;
        while Instant::now() < until {
            match self.cluster.has_ended(at) {
                Ok(true) => return Struck::Yes(format!("{} has ended", name(at))),
                Ok(false) => tokio::time::sleep(LOOK).await,
                Err(problem) => {
                    self.problems.push(problem);
                    return Struck::Yes(name(at));
                }
            }
        }
        if failing.struck() {
            self.problems.push(format!("{} goes on after a sync that failed", name(at)));
            return Struck::Yes(name(at));
        }
        Struck::No(format!("{} synced nothing within {END_WITHIN:?}", name(at)))
    }
}

fn name(at: usize) -> String {
    format!("node {}", at + 1)
}
