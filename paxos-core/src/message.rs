//! Every message, by the role that receives it. Requests are imperative, facts past tense.

mod packet;

pub use packet::{Kind, Packet};

use crate::ballot::{Ballot, NodeId};
use crate::config::{ClusterId, Configuration, SessionRules};
use crate::entry::{Command, CommandName, Entry, SessionId, Vote};
use crate::slot::{Slot, SlotRange};
use crate::snapshot::SnapshotId;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The roles, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RoleName {
    /// Orders commands and leads.
    Proposer,
    /// Promises and votes.
    Acceptor,
    /// Applies what was chosen.
    Learner,
    /// Asks for commands and reads.
    Client,
}

/// What an acceptor hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AcceptorMsg {
    /// First start: another first member says who it is and what it has stored (rule R23).
    Introduce {
        /// The id of the roster that the sender has stored durably.
        stored: Option<ClusterId>,
        /// The sender knows that all first members have stored it.
        formed: bool,
    },
    /// A role that knows no configuration asks for it.
    AskRoster {
        /// The role of the asker.
        role: RoleName,
    },
    /// Would a campaign be welcome? Changes nothing (rule R9).
    Poll {
        /// Tells the candidate's polls apart.
        attempt: u64,
    },
    /// Phase 1a.
    Prepare {
        /// The candidate's ballot.
        ballot: Ballot,
        /// The first slot that the candidate has not been told of: each `Prepare` is answered with
        /// one part of the promise, and asks for the next (rule R6).
        from: Slot,
    },
    /// Phase 2a.
    Accept {
        /// The leader's ballot.
        ballot: Ballot,
        /// The slot.
        slot: Slot,
        /// The one entry of (ballot, slot).
        entry: Entry,
        /// What the leader counted as chosen in this ballot.
        chosen: SlotRange,
    },
    /// The leader lives, and wants to know whether it still leads (rules R9, R10, R12).
    Heartbeat {
        /// The leader's ballot.
        ballot: Ballot,
        /// Grows with each heartbeat of the ballot, and is echoed.
        round: u64,
        /// What the leader counted as chosen in this ballot.
        chosen: SlotRange,
    },
    /// Send chosen entries from this slot on.
    Fetch {
        /// The first slot wanted.
        from: Slot,
        /// The role of the asker: a learner, or another acceptor that fills its holes.
        role: RoleName,
    },
    /// The answer to an acceptor's `Fetch`.
    Entries(Entries),
    /// From a learner: a snapshot on its own disk covers every slot below, durably (rule R26).
    Covered {
        /// The cluster that the snapshot is of: one that was left behind by another says nothing.
        cluster: ClusterId,
        /// The first slot that it may still want to have, for itself or for another.
        below: Slot,
        /// Log time at the last slot below, in milliseconds.
        log_time_ms: u64,
    },
}

/// What a proposer hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProposerMsg {
    /// The first configuration, from an acceptor that knows it formed.
    Roster(Box<Configuration>),
    /// Please get these commands chosen.
    Propose {
        /// The commands, in the order of their session.
        commands: Vec<Command>,
        /// How often this batch was forwarded between proposers.
        hops: u8,
    },
    /// The answer to `Poll`.
    Polled {
        /// The attempt of the poll.
        attempt: u64,
        /// Whether the acceptor hears no live leader, and would welcome a campaign.
        consent: bool,
        /// The acceptor's promise: a campaign must be in a higher ballot.
        promised: Ballot,
    },
    /// Phase 1b, in parts that fit a frame.
    Promise {
        /// The ballot promised.
        ballot: Ballot,
        /// What this part tells.
        part: Box<PromisePart>,
    },
    /// Phase 2b: a durable vote in exactly this ballot at every slot of the range (rule R2).
    Accepted {
        /// The ballot voted in.
        ballot: Ballot,
        /// The slots voted for.
        slots: SlotRange,
    },
    /// The answer to `Heartbeat`: durable, and the promise is still this ballot.
    HeartbeatAck {
        /// The leader's ballot.
        ballot: Ballot,
        /// The round echoed.
        round: u64,
        /// The acceptor holds the chosen entry of every slot below this one.
        chosen_below: Slot,
    },
    /// The acceptor has promised a higher ballot than the one that asked.
    Reject {
        /// The ballot that asked.
        ballot: Ballot,
        /// The acceptor's promise.
        promised: Ballot,
    },
    /// The owner of this ballot leads. It tells the other proposers whom to follow.
    Leading {
        /// The leader's ballot.
        ballot: Ballot,
    },
    /// From the learner that this proposer is paired with: how far it applied.
    Progress {
        /// The learner's life: what it applied in another one may be gone.
        life: u64,
        /// Every slot below is applied.
        applied_below: Slot,
        /// Log time at the last slot applied.
        log_time_ms: u64,
        /// Log time at which the next session expires.
        expiry_ms: Option<u64>,
    },
    /// A learner asks for the slot that a linearizable read must have applied (rule R12).
    AskReadIndex {
        /// The node of the learner.
        learner: NodeId,
        /// The learner's number of the question.
        id: u64,
        /// How often it was forwarded between proposers.
        hops: u8,
    },
}

/// What a learner hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LearnerMsg {
    /// The first configuration, from an acceptor that knows it formed.
    Roster(Box<Configuration>),
    /// A vote, fed by the learner's acceptor. To be applied only under a `Chosen` of its ballot.
    Voted {
        /// The slot.
        slot: Slot,
        /// The vote.
        vote: Vote,
    },
    /// The leader counted the votes of this ballot in these slots: they are chosen (rule R3).
    Chosen {
        /// The ballot counted.
        ballot: Ballot,
        /// The slots.
        slots: SlotRange,
    },
    /// The answer to a learner's `Fetch`.
    Entries(Entries),
    /// Run this query on state that has all that was acknowledged before now.
    Read {
        /// The client's number of the read.
        id: u64,
        /// Opaque to all but the state machine.
        query: Bytes,
    },
    /// The answer to `AskReadIndex`.
    ReadIndex {
        /// The learner's number of the question.
        id: u64,
        /// All slots below must be applied before the reads are run.
        below: Slot,
    },
    /// From a learner that wants slots which acceptors have forgotten: send of a snapshot.
    FetchSnapshot {
        /// The one of which it has a part; none: the newest.
        id: Option<SnapshotId>,
        /// The first byte wanted.
        offset: u64,
    },
    /// The answer to `FetchSnapshot`: some bytes.
    SnapshotPart {
        /// The snapshot that they are of.
        id: SnapshotId,
        /// Where they belong.
        offset: u64,
        /// The bytes.
        data: Bytes,
    },
    /// The answer to `FetchSnapshot`: there is no such snapshot here.
    NoSnapshot {
        /// The one that was asked for.
        id: Option<SnapshotId>,
    },
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientMsg {
    /// A session was opened.
    Registered {
        /// The nonce of the request.
        nonce: u64,
        /// The session.
        session: SessionId,
        /// How long it lives, and what it keeps.
        rules: SessionRules,
    },
    /// No session was opened: there are too many.
    NotRegistered {
        /// The nonce of the request.
        nonce: u64,
    },
    /// A command was applied; or its answer from the session's table.
    Reply {
        /// The session.
        session: SessionId,
        /// The command's place in it.
        sequence: u64,
        /// What came of it.
        reply: Reply,
    },
    /// Refused at the door, before any state changed.
    Busy {
        /// The commands refused.
        refused: Vec<CommandName>,
        /// Try again no sooner than this, in milliseconds.
        retry_after_ms: u64,
    },
    /// A command has more bytes than any node with this one's limits takes. Nothing was done.
    TooLarge {
        /// The session.
        session: SessionId,
        /// The command's place in it.
        sequence: u64,
        /// The bytes that its value has.
        bytes: u64,
        /// The bytes that it may have.
        bytes_max: u64,
    },
    /// The answer to `Read`.
    ReadReply {
        /// The client's number of the read.
        id: u64,
        /// What the state machine said.
        result: Bytes,
    },
    /// A read was refused at the door.
    ReadBusy {
        /// The client's number of the read.
        id: u64,
        /// Try again no sooner than this, in milliseconds.
        retry_after_ms: u64,
    },
    /// This node leads; sending to it saves a hop.
    LeaderHint {
        /// The leader's node.
        leader: NodeId,
    },
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It was applied, once, with this result.
    Applied(Bytes),
    /// Its session does not exist (any more); nothing was done now.
    Expired,
    /// Its sequence lies outside of what the session keeps; nothing was done now.
    OutOfWindow,
}

/// One part of a promise. It speaks for the slots `[from, below)`, or from `from` on without end;
/// the promise is complete when its parts cover all slots (rule R6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromisePart {
    /// Slots below this are forgotten here.
    pub trimmed: Slot,
    /// Every slot below this one is chosen, and its entry is held here or was trimmed.
    pub chosen_below: Slot,
    /// Log time at the last slot below `chosen_below`.
    pub log_time_ms: u64,
    /// The first slot that this part speaks for.
    pub from: Slot,
    /// The first slot that this part no longer speaks for; none: it is the last part.
    pub below: Option<Slot>,
    /// The votes in these slots, ascending.
    pub votes: Vec<(Slot, Vote)>,
}

/// Chosen entries, in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// The slot of the first entry.
    pub from: Slot,
    /// The entries of that slot and the following.
    pub entries: Vec<Entry>,
    /// The sender holds the chosen entry of every slot below this one.
    pub chosen_below: Slot,
    /// The sender has forgotten the slots below this one.
    pub trimmed: Slot,
}
