//! The acceptor: promises and votes.

use crate::ballot::{Ballot, MemberId};
use crate::config::{ClusterId, Configuration, Layout, Limits, Now, Timing};
use crate::message::AcceptorMsg;
use crate::record::Record;
use crate::role::{Output, Role};
use crate::slot::Slot;

/// What an acceptor is made with.
#[derive(Clone, Debug)]
pub struct AcceptorOptions {
    /// Itself.
    pub me: MemberId,
    /// The first members, as every one of them was told.
    pub layout: Layout,
    /// How long to wait.
    pub timing: Timing,
    /// How much to hold.
    pub limits: Limits,
}

/// What an acceptor tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptorStatus {
    /// Its promise.
    pub promised: Ballot,
    /// Slots below are forgotten.
    pub trimmed: Slot,
    /// Every slot below is chosen and held (or trimmed).
    pub chosen_below: Slot,
    /// The roster that it stored, by its id.
    pub cluster: Option<ClusterId>,
    /// All first members have stored the roster: it votes.
    pub formed: bool,
}

/// The acceptor.
#[derive(Debug)]
pub struct Acceptor {
    options: AcceptorOptions,
}

impl Acceptor {
    /// An acceptor with an empty log; what the log holds is replayed into it.
    pub fn new(options: AcceptorOptions) -> Acceptor {
        Acceptor { options }
    }

    /// What it tells about itself.
    pub fn status(&self) -> AcceptorStatus {
        AcceptorStatus {
            promised: Ballot::ZERO,
            trimmed: Slot::ZERO,
            chosen_below: Slot::ZERO,
            cluster: None,
            formed: false,
        }
    }

    /// The roster that it stored.
    pub fn configuration(&self) -> Option<&Configuration> {
        None
    }

    /// Itself.
    pub fn me(&self) -> MemberId {
        self.options.me
    }
}

impl Role for Acceptor {
    type Msg = AcceptorMsg;
    type Record = Record;

    fn receive(&mut self, _: Now, _: MemberId, _: AcceptorMsg, _: &mut Output<Record>) {}

    fn tick(&mut self, _: Now, _: &mut Output<Record>) {}

    fn replay(&mut self, _: Record) {}
}
