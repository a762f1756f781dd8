//! Bugs on demand, to show that the tests find them. Compiled only under `--cfg paxos_planted`.

use core::sync::atomic::{AtomicU32, Ordering};

/// A classic bug. Reports name it by its number too, so numbers stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Planted {
    /// Promises and votes are told before they are durable.
    ToldBeforeDurable = 1,
    /// A restarted proposer uses the ballots of its former life again.
    BallotReuse = 3,
    /// A leader proposes its own entry where the quorum has a vote.
    OwnValue = 7,
    /// A vote does not raise the promise.
    PromiseNotRaised = 8,
    /// A new leader leaves holes in the log.
    GapNotFilled = 14,
    /// A learner takes any vote for a choice.
    VoteTakenForChoice = 16,
    /// A command that is repeated is applied again.
    RetryApplied = 18,
    /// A learner answers reads from what it has, however old that is.
    ReadUnindexed = 26,
    /// A learner installs a snapshot that is older than its state.
    SnapshotOverNewer = 28,
    /// A snapshot has no sessions.
    SnapshotWithoutSessions = 29,
    /// An acceptor forgets chosen slots that no snapshot covers.
    TrimmedUncovered = 30,
    /// A learner says that a snapshot covers slots before the snapshot is durable.
    CoveredBeforeDurable = 31,
    /// A leader has under way whatever it has, and takes no vote for an answer.
    FlightUnbounded = 32,
    /// A log is cut where it is damaged, whatever stands behind.
    CorruptionTruncated = 37,
    /// A sync that failed is tried again, and believed.
    SyncFailureIgnored = 38,
    /// A segment is written to before its name is durable.
    DirectoryNotSynced = 39,
    /// What a segment's file held in its former life counts.
    StaleSegmentReused = 40,
    /// The newest write is told to be durable when the one before it is.
    CompletionOutOfOrder = 42,
    /// A snapshot is told before its name is durable: bug 31 on the disk's side.
    SnapshotToldBeforeSynced = 131,
}

impl Planted {
    /// Those of the rules: the simulation finds them.
    pub const ALL: [Planted; 13] = [
        Planted::ToldBeforeDurable,
        Planted::BallotReuse,
        Planted::OwnValue,
        Planted::PromiseNotRaised,
        Planted::GapNotFilled,
        Planted::VoteTakenForChoice,
        Planted::RetryApplied,
        Planted::ReadUnindexed,
        Planted::SnapshotOverNewer,
        Planted::SnapshotWithoutSessions,
        Planted::TrimmedUncovered,
        Planted::CoveredBeforeDurable,
        Planted::FlightUnbounded,
    ];

    /// Those of logs and snapshots on disk: the crash states of `paxos-actors` find them.
    pub const STORAGE: [Planted; 6] = [
        Planted::CorruptionTruncated,
        Planted::SyncFailureIgnored,
        Planted::DirectoryNotSynced,
        Planted::StaleSegmentReused,
        Planted::CompletionOutOfOrder,
        Planted::SnapshotToldBeforeSynced,
    ];
}

static PLANTED: AtomicU32 = AtomicU32::new(0);

/// From now on, in the whole process, this bug and no other is there.
pub fn plant(bug: Option<Planted>) {
    PLANTED.store(bug.map_or(0, |bug| bug as u32), Ordering::SeqCst);
}

/// Whether this bug is there. Code asks by its crate's macro `planted!`.
pub fn is_planted(bug: Planted) -> bool {
    PLANTED.load(Ordering::Relaxed) == bug as u32
}
