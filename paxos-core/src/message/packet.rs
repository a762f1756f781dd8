//! The one sum over all roles, and the kinds of message.

use super::{AcceptorMsg, ClientMsg, LearnerMsg, ProposerMsg, RoleName};
use core::fmt;
use serde::{Deserialize, Serialize};

/// A message and the role it is for: the one sum over all roles, which links carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packet {
    /// For the node's acceptor.
    Acceptor(AcceptorMsg),
    /// For the node's proposer.
    Proposer(ProposerMsg),
    /// For the node's learner.
    Learner(LearnerMsg),
    /// For the node's client.
    Client(ClientMsg),
}

/// Each line: the kind, which is also the name of the message; its name where it is counted; and
/// what the roles that hear it call what they hear.
macro_rules! kinds {
    ($($kind:ident $name:literal $($role:ident)+;)*) => {
        /// The kinds of message. What two roles hear under one name is one kind.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`")] $kind,)*
        }

        impl Kind {
            /// All of them, in the order of their declaration.
            pub const ALL: &[Kind] = &[$(Kind::$kind),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Kind::$kind => $name,)*
                }
            }
        }

        impl Packet {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                use {
                    AcceptorMsg as Acceptor, ClientMsg as Client, LearnerMsg as Learner,
                    ProposerMsg as Proposer,
                };
                match self {
                    $($(Packet::$role($role::$kind { .. }))|+ => Kind::$kind,)*
                }
            }
        }
    };
}

kinds! {
    Introduce "introduce" Acceptor;
    AskRoster "ask_roster" Acceptor;
    Poll "poll" Acceptor;
    Prepare "prepare" Acceptor;
    Accept "accept" Acceptor;
    Heartbeat "heartbeat" Acceptor;
    Fetch "fetch" Acceptor;
    Entries "entries" Acceptor Learner;
    Roster "roster" Proposer Learner;
    Propose "propose" Proposer;
    Polled "polled" Proposer;
    Promise "promise" Proposer;
    Accepted "accepted" Proposer;
    HeartbeatAck "heartbeat_ack" Proposer;
    Reject "reject" Proposer;
    Leading "leading" Proposer;
    Progress "progress" Proposer;
    AskReadIndex "ask_read_index" Proposer;
    Voted "voted" Learner;
    Chosen "chosen" Learner;
    Read "read" Learner;
    ReadIndex "read_index" Learner;
    Registered "registered" Client;
    NotRegistered "not_registered" Client;
    Reply "reply" Client;
    Busy "busy" Client;
    ReadReply "read_reply" Client;
    ReadBusy "read_busy" Client;
    LeaderHint "leader_hint" Client;
}

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
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
