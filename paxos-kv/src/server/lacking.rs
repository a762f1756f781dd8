//! Says so when a node waits for a snapshot that no peer sends.
//!
//! A node whose log does not reach down to what its learner has applied can only go on from the
//! snapshot of a peer. Where no peer has a sound one, all of them wait, and nobody leads.

use super::data::DataCounters;
use crate::store::Store;
use paxos_actors::node::NodeView;
use paxos_core::Now;
use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Without any progress for so long, it is said.
const PATIENCE_US: u64 = 10_000_000;

/// It is said again after so long, if it is still so.
const SILENCE_US: u64 = 60_000_000;

/// What a learner has of what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// Every slot below is applied.
    applied_below: u64,
    /// Bytes of snapshots that peers sent.
    received_bytes: u64,
}

/// Judges what is seen. Pure: it knows no clock and looks at nothing.
#[derive(Debug, Default)]
struct Judge {
    /// What was there, and since when; none: no snapshot is needed.
    seen: Option<(Progress, Now)>,
    said_at: Option<Now>,
}

/// Looks at a node for as long as it is polled, and warns.
pub(super) async fn watch(
    node: NodeView<Store>,
    counters: DataCounters,
    directory: PathBuf,
) -> Infallible {
    let mut judge = Judge::default();
    loop {
        actix_rt::time::sleep(LOOK).await;
        let status = node.status().await;
        let trimmed = status.acceptor.map(|acceptor| acceptor.trimmed.0);
        let learner = status.learner.filter(|learner| learner.wants_snapshot);
        let progress = learner.map(|learner| Progress {
            applied_below: learner.applied_below.0,
            received_bytes: counters.snapshots.read().received_bytes,
        });
        if let Some(seconds) = judge.judge(paxos_actors::clock::now(), progress) {
            let applied_below = progress.map(|progress| progress.applied_below);
            tracing::warn!(
                seconds, applied_below, trimmed, directory = %directory.display(),
                "this node needs the snapshot of a peer to go on, and none sends one: start the \
                 peers that are down; where all have lost theirs, bring back a file that was set \
                 aside as damaged, as it was, on any one node, and start that node again"
            );
        }
    }
}

impl Judge {
    /// Since how many seconds nothing comes; none: something does, or that was said.
    fn judge(&mut self, now: Now, progress: Option<Progress>) -> Option<u64> {
        let Some(progress) = progress else {
            self.seen = None;
            return None;
        };
        let since = match self.seen {
            Some((before, since)) if before == progress => since,
            _ => now,
        };
        self.seen = Some((progress, since));
        let said = self.said_at.is_some_and(|at| now.since(at) < SILENCE_US);
        if now.since(since) < PATIENCE_US || said {
            return None;
        }
        self.said_at = Some(now);
        Some(now.since(since) / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_is_said_once_a_minute() {
        let mut judge = Judge::default();
        let mut look = |second: u64, received_bytes: Option<u64>| {
            let progress =
                received_bytes.map(|received_bytes| Progress { applied_below: 7, received_bytes });
            judge.judge(Now(second * 1_000_000), progress)
        };
        assert_eq!([look(100, None), look(200, Some(0)), look(205, Some(0))], [None; 3]);
        assert_eq!(look(210, Some(0)), Some(10));
        assert_eq!([look(215, Some(0)), look(269, Some(0))], [None; 2], "it was said");
        assert_eq!(look(270, Some(0)), Some(70));
        assert_eq!([look(335, Some(1)), look(344, Some(1))], [None; 2], "something came");
        assert_eq!(look(345, Some(1)), Some(10));
        assert_eq!([look(500, None), look(505, Some(1)), look(510, Some(1))], [None; 3]);
    }
}
