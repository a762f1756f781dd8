//! Says so when disks or the network are too slow for the timeouts.
//!
//! **The rule.** A leader that a quorum does not answer within an election timeout steps down, and
//! followers that do not hear from it for one give it up. One heartbeat may be lost on the way:
//! then two heartbeat intervals pass before the next one leaves, and what is left of the timeout is
//! for a round trip and for making the answer durable. Each of the two may have half of that; one
//! that takes more than half of its own share is near it:
//!
//! ```text
//! limit = (election timeout - 2 heartbeat intervals) / 4        50 ms of 300 ms and 50 ms
//! ```

use paxos_actors::wal;
use paxos_core::{NodeId, Now, Timing};
use paxos_net::RoundTrips;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How often the times are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A cause is named again after so long, if it still is one.
const SILENCE_US: u64 = 60_000_000;

/// What takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// To make the log durable.
    Fsync,
    /// Until this peer answers.
    RoundTrip(NodeId),
}

/// Something came near a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tight {
    cause: Cause,
    took_us: u64,
    limit_us: u64,
    /// With such an election timeout, and the heartbeats as they are, it would be within the limit.
    enough_ms: u64,
}

/// Judges each measured time. Pure: it knows no clock and measures nothing.
#[derive(Debug)]
struct Judge {
    timing: Timing,
    said: BTreeMap<Cause, Now>,
}

/// Looks at the times for as long as it is polled, and warns.
pub(super) async fn watch(
    timing: Timing,
    log: Arc<wal::Counters>,
    links: Option<Arc<RoundTrips>>,
) -> Infallible {
    let mut judge = Judge::new(timing);
    // What was slow before the node took part threatened no timeout.
    log.fsync().take_slowest_us();
    loop {
        actix_rt::time::sleep(LOOK).await;
        let now = paxos_actors::clock::now();
        let peers = links.iter().flat_map(|links| links.each());
        let peers = peers.map(|(node, latency)| (Cause::RoundTrip(node), latency));
        for (cause, latency) in std::iter::once((Cause::Fsync, log.fsync())).chain(peers) {
            if let Some(tight) = judge.judge(now, cause, latency.take_slowest_us()) {
                tracing::warn!(
                    took_ms = tight.took_us / 1000,
                    limit_ms = tight.limit_us / 1000,
                    "{tight}"
                );
            }
        }
    }
}

impl Judge {
    fn new(timing: Timing) -> Judge {
        Judge { timing, said: BTreeMap::new() }
    }

    /// What there is to say of a time that was measured; none: it is short, or that was said.
    fn judge(&mut self, now: Now, cause: Cause, took_us: u64) -> Option<Tight> {
        let heartbeats_us = 2 * self.timing.heartbeat_us();
        let limit_us = (self.timing.election_timeout_us() - heartbeats_us) / 4;
        let said = self.said.get(&cause).is_some_and(|&at| now.since(at) < SILENCE_US);
        if took_us <= limit_us || said {
            return None;
        }
        self.said.insert(cause, now);
        let enough_ms = took_us.saturating_mul(4).saturating_add(heartbeats_us).div_ceil(1000);
        Some(Tight { cause, took_us, limit_us, enough_ms })
    }
}

impl fmt::Display for Tight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Fsync => {
                write!(f, "the disk is slow for the timeouts: give the log a faster one")?
            }
            Cause::RoundTrip(node) => {
                write!(
                    f,
                    "node {node} answers slowly for the timeouts: see to it and the network"
                )?;
            }
        }
        write!(f, ", or all nodes an election timeout of {} ms or more", self.enough_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn judge(heartbeat_ms: u64, election_timeout_ms: u64) -> Judge {
        Judge::new(Timing::new(heartbeat_ms, election_timeout_ms).expect("sound timing"))
    }

    #[test]
    fn a_quarter_of_what_two_heartbeats_leave_of_the_election_timeout_is_the_limit() {
        let cases = [(50, 300, 50_000), (100, 300, 25_000), (1, 10, 2000), (50, 1000, 225_000)];
        for (heartbeat_ms, election_timeout_ms, limit_us) in cases {
            let mut judge = judge(heartbeat_ms, election_timeout_ms);
            assert_eq!(judge.judge(Now(0), Cause::Fsync, 0), None);
            assert_eq!(judge.judge(Now(0), Cause::Fsync, limit_us), None);
            let tight = judge.judge(Now(0), Cause::Fsync, limit_us + 1).expect("it is tight");
            assert_eq!((tight.took_us, tight.limit_us), (limit_us + 1, limit_us));
        }
    }

    #[test]
    fn with_the_timeout_that_it_names_there_is_nothing_to_say() {
        for took_us in [50_001, 77_777, 2 * SECOND] {
            let tight = judge(50, 300).judge(Now(0), Cause::Fsync, took_us).expect("it is tight");
            assert_eq!(judge(50, tight.enough_ms).judge(Now(0), Cause::Fsync, took_us), None);
            let less = judge(50, tight.enough_ms - 1).judge(Now(0), Cause::Fsync, took_us);
            assert!(less.is_some(), "a smaller one is not enough: {tight:?}");
        }
    }

    #[test]
    fn each_cause_is_named_once_a_minute_at_most() {
        let mut judge = judge(50, 300);
        let two = Cause::RoundTrip(NodeId(2));
        let mut said =
            |second: u64, cause| judge.judge(Now(second * SECOND), cause, SECOND).is_some();
        assert!(said(100, Cause::Fsync));
        assert!(said(101, two), "another cause");
        assert!(said(101, Cause::RoundTrip(NodeId(3))), "another peer");
        assert!(!said(101, Cause::Fsync) && !said(159, Cause::Fsync));
        assert!(said(160, Cause::Fsync));
        assert!(!said(160, two) && said(161, two) && !said(219, Cause::Fsync));
    }

    #[test]
    fn it_names_what_is_slow_and_the_way_out() {
        let said = |cause| judge(50, 300).judge(Now(0), cause, 60_000).map(|t| t.to_string());
        let fsync = "the disk is slow for the timeouts: give the log a faster one, or all nodes an \
                     election timeout of 340 ms or more";
        assert_eq!(said(Cause::Fsync).as_deref(), Some(fsync));
        let peer = said(Cause::RoundTrip(NodeId(3))).unwrap_or_default();
        assert!(peer.starts_with("node 3 answers slowly"), "{peer}");
    }
}
