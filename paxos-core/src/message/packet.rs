//! Of which role and of which kind a packet is.

use super::{AcceptorMsg, ClientMsg, LearnerMsg, Packet, ProposerMsg, RoleName};

impl Packet {
    /// The role that it is for.
    pub fn role(&self) -> RoleName {
        match self {
            Packet::Acceptor(_) => RoleName::Acceptor,
            Packet::Proposer(_) => RoleName::Proposer,
            Packet::Learner(_) => RoleName::Learner,
            Packet::Client(_) => RoleName::Client,
        }
    }

    /// The names of all kinds of message.
    pub const KINDS: [&'static str; 34] = [
        "introduce",
        "ask_roster",
        "poll",
        "prepare",
        "accept",
        "heartbeat",
        "fetch",
        "entries",
        "roster",
        "propose",
        "polled",
        "promise",
        "accepted",
        "heartbeat_ack",
        "reject",
        "leading",
        "progress",
        "ask_read_index",
        "voted",
        "chosen",
        "read",
        "read_index",
        "registered",
        "not_registered",
        "reply",
        "busy",
        "read_reply",
        "read_busy",
        "leader_hint",
        "covered",
        "fetch_snapshot",
        "snapshot_part",
        "no_snapshot",
        "too_large",
    ];

    /// Its kind: the place of its name in [`Packet::KINDS`].
    pub fn kind(&self) -> usize {
        match self {
            Packet::Acceptor(msg) => match msg {
                AcceptorMsg::Introduce { .. } => 0,
                AcceptorMsg::AskRoster { .. } => 1,
                AcceptorMsg::Poll { .. } => 2,
                AcceptorMsg::Prepare { .. } => 3,
                AcceptorMsg::Accept { .. } => 4,
                AcceptorMsg::Heartbeat { .. } => 5,
                AcceptorMsg::Fetch { .. } => 6,
                AcceptorMsg::Entries(_) => 7,
                AcceptorMsg::Covered { .. } => 29,
            },
            Packet::Proposer(msg) => match msg {
                ProposerMsg::Roster(_) => 8,
                ProposerMsg::Propose { .. } => 9,
                ProposerMsg::Polled { .. } => 10,
                ProposerMsg::Promise { .. } => 11,
                ProposerMsg::Accepted { .. } => 12,
                ProposerMsg::HeartbeatAck { .. } => 13,
                ProposerMsg::Reject { .. } => 14,
                ProposerMsg::Leading { .. } => 15,
                ProposerMsg::Progress { .. } => 16,
                ProposerMsg::AskReadIndex { .. } => 17,
            },
            Packet::Learner(msg) => match msg {
                LearnerMsg::Roster(_) => 8,
                LearnerMsg::Voted { .. } => 18,
                LearnerMsg::Chosen { .. } => 19,
                LearnerMsg::Entries(_) => 7,
                LearnerMsg::Read { .. } => 20,
                LearnerMsg::ReadIndex { .. } => 21,
                LearnerMsg::FetchSnapshot { .. } => 30,
                LearnerMsg::SnapshotPart { .. } => 31,
                LearnerMsg::NoSnapshot { .. } => 32,
            },
            Packet::Client(msg) => match msg {
                ClientMsg::Registered { .. } => 22,
                ClientMsg::NotRegistered { .. } => 23,
                ClientMsg::Reply { .. } => 24,
                ClientMsg::Busy { .. } => 25,
                ClientMsg::ReadReply { .. } => 26,
                ClientMsg::ReadBusy { .. } => 27,
                ClientMsg::LeaderHint { .. } => 28,
                ClientMsg::TooLarge { .. } => 33,
            },
        }
    }
}

impl From<AcceptorMsg> for Packet {
    fn from(msg: AcceptorMsg) -> Packet {
        Packet::Acceptor(msg)
    }
}

impl From<ProposerMsg> for Packet {
    fn from(msg: ProposerMsg) -> Packet {
        Packet::Proposer(msg)
    }
}

impl From<LearnerMsg> for Packet {
    fn from(msg: LearnerMsg) -> Packet {
        Packet::Learner(msg)
    }
}

impl From<ClientMsg> for Packet {
    fn from(msg: ClientMsg) -> Packet {
        Packet::Client(msg)
    }
}
