//! Bugs on demand, to show that the tests find them. Compiled only under `--cfg paxos_planted`.

use core::sync::atomic::{AtomicU32, Ordering};

/// A classic bug. Reports name it by its number too, so numbers stay; those above 56 break a rule
/// of the design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Planted {
    /// Promises and votes are told before they are durable.
    ToldBeforeDurable = 1,
    /// Votes are told before they are durable.
    VoteToldBeforeDurable = 2,
    /// A restarted proposer uses the ballots of its former life again.
    BallotReuse = 3,
    /// A vote that is told again counts again.
    VoteCountedTwice = 5,
    /// Votes in another ballot count in this one.
    BallotsMixed = 6,
    /// A leader proposes its own entry where the quorum has a vote.
    OwnValue = 7,
    /// A vote does not raise the promise.
    PromiseNotRaised = 8,
    /// Promises to a ballot that was given up count for the next.
    StalePromise = 9,
    /// Half of the acceptors are a quorum.
    HalfIsQuorum = 11,
    /// A new leader leaves holes in the log.
    GapNotFilled = 14,
    /// A learner goes on behind a slot that it does not know.
    GapSkipped = 15,
    /// A learner takes any vote for a choice.
    VoteTakenForChoice = 16,
    /// A new leader's reads do not wait for what it adopted.
    AdoptedUnread = 17,
    /// A command that is repeated is applied again.
    RetryApplied = 18,
    /// Sessions expire at another log time on each node.
    SessionsExpireApart = 19,
    /// A command whose session has expired is applied.
    ExpiredTakenAsNew = 20,
    /// A command fails on one node only.
    ApplyFailsSomewhere = 21,
    /// A leader answers reads without asking whether it still leads.
    ReadUnconfirmed = 23,
    /// A read joins a round that was sent before it came.
    ReadJoinsSentRound = 25,
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
    /// A leader that no quorum answers goes on.
    KeepsLeading = 46,
    /// An acceptor that hears a leader consents to a campaign.
    PollIgnoresLeader = 48,
    /// A leader has under way whatever it has, and takes no vote for an answer.
    FlightUnbounded = 50,
    /// A client says that what it does not know was not applied.
    UnknownCalledNotApplied = 54,
    /// A learner applies a vote of another ballot than was chosen (rule R4).
    FedOfAnotherBallot = 57,
    /// A promise counts when one part of it has come (rule R6).
    PartTakenForPromise = 58,
    /// An acceptor takes votes of any ballot for chosen (rule R8).
    ChosenOfAnotherBallot = 59,
    /// An acceptor without a learner forgets what one learner covers (rule R26).
    CoveredByTooFew = 60,
    /// An acceptor votes below its promise (invariant 2).
    VoteBelowPromise = 61,
    /// An acceptor that has forgotten what the learner needs counts for the promise quorum, and its
    /// votes do not.
    ForgetfulCounted = 62,
    /// A snapshot is told before its name is durable: bug 31 on the disk's side.
    SnapshotToldBeforeSynced = 131,
}

impl Planted {
    /// Those of the rules. Each is found by the test that is named for it, or by the simulation;
    /// most by both.
    pub const RULES: [Planted; 34] = [
        Planted::ToldBeforeDurable,
        Planted::VoteToldBeforeDurable,
        Planted::BallotReuse,
        Planted::VoteCountedTwice,
        Planted::BallotsMixed,
        Planted::OwnValue,
        Planted::PromiseNotRaised,
        Planted::StalePromise,
        Planted::HalfIsQuorum,
        Planted::GapNotFilled,
        Planted::GapSkipped,
        Planted::VoteTakenForChoice,
        Planted::AdoptedUnread,
        Planted::RetryApplied,
        Planted::SessionsExpireApart,
        Planted::ExpiredTakenAsNew,
        Planted::ApplyFailsSomewhere,
        Planted::ReadUnconfirmed,
        Planted::ReadJoinsSentRound,
        Planted::ReadUnindexed,
        Planted::SnapshotOverNewer,
        Planted::SnapshotWithoutSessions,
        Planted::TrimmedUncovered,
        Planted::CoveredBeforeDurable,
        Planted::KeepsLeading,
        Planted::PollIgnoresLeader,
        Planted::FlightUnbounded,
        Planted::UnknownCalledNotApplied,
        Planted::FedOfAnotherBallot,
        Planted::PartTakenForPromise,
        Planted::ChosenOfAnotherBallot,
        Planted::CoveredByTooFew,
        Planted::VoteBelowPromise,
        Planted::ForgetfulCounted,
    ];

    /// Those of the rules that a simulated cluster hardly ever shows: a message must be late, of
    /// the right ballot, and the only one that is missing; or a leader that was cut off must be
    /// asked before it knows. A named test shows each.
    pub const RARE: [Planted; 6] = [
        Planted::BallotsMixed,
        Planted::StalePromise,
        Planted::ReadUnconfirmed,
        Planted::ReadJoinsSentRound,
        Planted::KeepsLeading,
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
