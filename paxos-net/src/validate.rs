//! What no sound node says: the check between a frame's decoding and a role's mailbox. Pure.
//!
//! It asks only whether numbers are within what anybody believes and whether sets are of a sane
//! size, so that no arithmetic behind it can overflow. Whether a message is welcome is for the
//! roles to judge.

use paxos_core::{
    AcceptorMsg, Ballot, Body, ClientMsg, Command, CommandName, Configuration, Entries, Entry,
    LayoutError, LearnerMsg, Packet, ProposerMsg, Reply, SessionId, SessionRules, Slot, SlotRange,
    SnapshotId, Vote,
};
use thiserror::Error;

/// Entries, votes or commands in one message: as many as weigh what a part of an answer may.
pub const ITEMS_MAX: usize = 1 << 17;

/// The highest sequence of a session that is still believed.
pub const SEQUENCE_MAX: u64 = 1 << 60;

/// The highest log time that is still believed, in milliseconds.
pub const LOG_TIME_MS_MAX: u64 = 1 << 50;

/// Bytes of the largest snapshot that is still believed.
pub const SNAPSHOT_BYTES_MAX: u64 = 1 << 50;

/// The longest that a client is asked to wait, in milliseconds.
pub const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unsound {
    /// A ballot that nobody can own.
    #[error("absurd ballot {0:?}")]
    Ballot(Ballot),
    /// A slot that no log reaches.
    #[error("absurd slot {0}")]
    Slot(Slot),
    /// More items than fit a sound message.
    #[error("{0} items: at most {ITEMS_MAX}")]
    Items(usize),
    /// A configuration that cannot be.
    #[error("a configuration that cannot be: {0}")]
    Configuration(LayoutError),
    /// Rules for sessions that nobody can hold to.
    #[error("absurd rules for sessions: {0:?}")]
    Sessions(SessionRules),
    /// A place in a session that none reaches.
    #[error("absurd sequence {0}")]
    Sequence(u64),
    /// A log time that none reaches.
    #[error("absurd log time {0} ms")]
    LogTime(u64),
    /// A snapshot that no disk holds.
    #[error("absurd snapshot of {0} bytes")]
    Bytes(u64),
    /// Not in the snapshot that it is of.
    #[error("an offset of {0} bytes, outside of its snapshot")]
    Offset(u64),
    /// A wait that is no help.
    #[error("absurd wait {0} ms")]
    RetryAfter(u64),
}

/// Whether a sound node can have sent this.
pub fn validate(packet: &Packet) -> Result<(), Unsound> {
    match packet {
        Packet::Acceptor(msg) => acceptor(msg),
        Packet::Proposer(msg) => proposer(msg),
        Packet::Learner(msg) => learner(msg),
        Packet::Client(msg) => client(msg),
    }
}

fn acceptor(msg: &AcceptorMsg) -> Result<(), Unsound> {
    match msg {
        AcceptorMsg::Introduce { .. }
        | AcceptorMsg::AskRoster { .. }
        | AcceptorMsg::Poll { .. } => Ok(()),
        AcceptorMsg::Prepare { ballot: b, from } => {
            ballot(*b)?;
            slot(*from)
        }
        AcceptorMsg::Accept { ballot: b, slot: s, entry: e, chosen } => {
            ballot(*b)?;
            slot(*s)?;
            slots(*chosen)?;
            entry(e)
        }
        AcceptorMsg::Heartbeat { ballot: b, chosen, .. } => {
            ballot(*b)?;
            slots(*chosen)
        }
        AcceptorMsg::Fetch { from, .. } => slot(*from),
        AcceptorMsg::Entries(e) => entries(e),
        AcceptorMsg::Covered { below, log_time_ms, .. } => {
            slot(*below)?;
            log_time(*log_time_ms)
        }
    }
}

fn proposer(msg: &ProposerMsg) -> Result<(), Unsound> {
    match msg {
        ProposerMsg::Roster(c) => configuration(c),
        ProposerMsg::Propose { commands: c, .. } => commands(c),
        ProposerMsg::Polled { promised: p, .. } => promised(*p),
        ProposerMsg::Reject { ballot: b, promised: p } => {
            ballot(*b)?;
            promised(*p)
        }
        ProposerMsg::Promise { ballot: b, part } => {
            ballot(*b)?;
            for bound in [part.trimmed, part.chosen_below, part.from] {
                slot(bound)?;
            }
            part.below.map_or(Ok(()), slot)?;
            log_time(part.log_time_ms)?;
            items(part.votes.len())?;
            part.votes.iter().try_for_each(|(s, v)| slot(*s).and_then(|()| vote(v)))
        }
        ProposerMsg::Accepted { ballot: b, slots: s } => {
            ballot(*b)?;
            slots(*s)
        }
        ProposerMsg::HeartbeatAck { ballot: b, chosen_below, .. } => {
            ballot(*b)?;
            slot(*chosen_below)
        }
        ProposerMsg::Leading { ballot: b } => ballot(*b),
        ProposerMsg::Progress { applied_below, log_time_ms, expiry_ms, .. } => {
            slot(*applied_below)?;
            log_time(*log_time_ms)?;
            expiry_ms.map_or(Ok(()), log_time)
        }
        ProposerMsg::AskReadIndex { .. } => Ok(()),
    }
}

fn learner(msg: &LearnerMsg) -> Result<(), Unsound> {
    match msg {
        LearnerMsg::Roster(c) => configuration(c),
        LearnerMsg::Voted { slot: s, vote: v } => {
            slot(*s)?;
            vote(v)
        }
        LearnerMsg::Chosen { ballot: b, slots: s } => {
            ballot(*b)?;
            slots(*s)
        }
        LearnerMsg::Entries(e) => entries(e),
        LearnerMsg::Read { .. } => Ok(()),
        LearnerMsg::ReadIndex { below, .. } => slot(*below),
        LearnerMsg::FetchSnapshot { id, offset } => place(*id, *offset),
        LearnerMsg::SnapshotPart { id, offset, data } => {
            place(Some(*id), *offset)?;
            match id.bytes - offset < data.len() as u64 {
                true => Err(Unsound::Offset(*offset)),
                false => Ok(()),
            }
        }
        LearnerMsg::NoSnapshot { id } => place(*id, 0),
    }
}

fn client(msg: &ClientMsg) -> Result<(), Unsound> {
    match msg {
        ClientMsg::Registered { session: s, rules: r, .. } => {
            session(*s)?;
            if r.are_sound() { Ok(()) } else { Err(Unsound::Sessions(*r)) }
        }
        ClientMsg::NotRegistered { .. } | ClientMsg::LeaderHint { .. } => Ok(()),
        ClientMsg::Reply { session: s, sequence: n, reply } => {
            session(*s)?;
            sequence(*n)?;
            match reply {
                Reply::Applied(_) | Reply::Expired | Reply::OutOfWindow => Ok(()),
            }
        }
        ClientMsg::Busy { refused, retry_after_ms } => {
            items(refused.len())?;
            refused.iter().try_for_each(|command| match command {
                CommandName::Register { .. } => Ok(()),
                CommandName::Run { session: s, sequence: n } => {
                    session(*s).and_then(|()| sequence(*n))
                }
            })?;
            retry_after(*retry_after_ms)
        }
        ClientMsg::TooLarge { session: s, sequence: n, .. } => {
            session(*s)?;
            sequence(*n)
        }
        ClientMsg::ReadReply { .. } => Ok(()),
        ClientMsg::ReadBusy { retry_after_ms, .. } => retry_after(*retry_after_ms),
    }
}

fn configuration(c: &Configuration) -> Result<(), Unsound> {
    c.layout().check().map_err(Unsound::Configuration)
}

fn entries(e: &Entries) -> Result<(), Unsound> {
    items(e.entries.len())?;
    for bound in [e.from, e.chosen_below, e.trimmed] {
        slot(bound)?;
    }
    slot(e.from.plus(e.entries.len() as u64))?;
    e.entries.iter().try_for_each(entry)
}

/// A place in a snapshot, or at the beginning of any.
fn place(id: Option<SnapshotId>, offset: u64) -> Result<(), Unsound> {
    let Some(id) = id else {
        return if offset == 0 { Ok(()) } else { Err(Unsound::Offset(offset)) };
    };
    slot(id.below)?;
    log_time(id.log_time_ms)?;
    match (id.bytes <= SNAPSHOT_BYTES_MAX, offset <= id.bytes) {
        (false, _) => Err(Unsound::Bytes(id.bytes)),
        (true, false) => Err(Unsound::Offset(offset)),
        (true, true) => Ok(()),
    }
}

fn vote(v: &Vote) -> Result<(), Unsound> {
    ballot(v.ballot)?;
    entry(&v.entry)
}

fn entry(e: &Entry) -> Result<(), Unsound> {
    log_time(e.log_time_ms)?;
    commands(&e.commands)
}

/// Whether a sound client can have proposed these. Whoever takes commands from clients asks this
/// first: what gets into an entry must be such that every peer takes it.
pub fn commands(commands: &[Command]) -> Result<(), Unsound> {
    items(commands.len())?;
    commands.iter().try_for_each(|command| match &command.body {
        Body::Register { .. } => Ok(()),
        Body::Run { session: s, sequence: n, acked_below, value: _ } => {
            session(*s)?;
            sequence(*n)?;
            sequence(*acked_below)
        }
    })
}

fn ballot(b: Ballot) -> Result<(), Unsound> {
    if b.is_sound() { Ok(()) } else { Err(Unsound::Ballot(b)) }
}

/// An acceptor that never promised says so.
fn promised(b: Ballot) -> Result<(), Unsound> {
    if b == Ballot::ZERO { Ok(()) } else { ballot(b) }
}

fn slots(range: SlotRange) -> Result<(), Unsound> {
    slot(range.from)?;
    slot(range.below)
}

fn session(id: SessionId) -> Result<(), Unsound> {
    slot(id.slot)
}

fn slot(s: Slot) -> Result<(), Unsound> {
    if s <= Slot::MAX { Ok(()) } else { Err(Unsound::Slot(s)) }
}

fn items(count: usize) -> Result<(), Unsound> {
    if count <= ITEMS_MAX { Ok(()) } else { Err(Unsound::Items(count)) }
}

fn sequence(n: u64) -> Result<(), Unsound> {
    if n <= SEQUENCE_MAX { Ok(()) } else { Err(Unsound::Sequence(n)) }
}

fn log_time(ms: u64) -> Result<(), Unsound> {
    if ms <= LOG_TIME_MS_MAX { Ok(()) } else { Err(Unsound::LogTime(ms)) }
}

fn retry_after(ms: u64) -> Result<(), Unsound> {
    if ms <= RETRY_AFTER_MS_MAX { Ok(()) } else { Err(Unsound::RetryAfter(ms)) }
}
