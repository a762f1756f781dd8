//! First start: the first members agree on who they are before anyone votes (rule R23).

use crate::ballot::{Incarnation, MemberId, NodeId};
use crate::config::{ClusterId, Configuration};
use crate::layout::Layout;
use crate::message::AcceptorMsg;
use crate::record::Record;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// One member's way from a layout (nodes) to a formed cluster (members).
///
/// Each first member learns the incarnations of the others, stores the one roster that they make,
/// says so, and votes only when all of them have said the same. A member whose disk was wiped in
/// between has another incarnation, and is not on the roster of the others.
#[derive(Debug)]
pub(crate) struct Formation {
    me: MemberId,
    layout: Layout,
    known: BTreeMap<NodeId, Incarnation>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Meeting,
    Stored { roster: Configuration, said: BTreeSet<MemberId> },
    Formed { roster: Configuration },
}

impl Formation {
    pub(crate) fn new(me: MemberId, layout: Layout) -> Formation {
        Formation { me, layout, known: BTreeMap::new(), stage: Stage::Meeting }
    }

    /// Hears an introduction. Gives back the record that must now be stored, if any.
    pub(crate) fn introduced(
        &mut self,
        from: MemberId,
        stored: Option<ClusterId>,
        formed: bool,
    ) -> Option<Record> {
        match &mut self.stage {
            Stage::Meeting if self.layout.acceptors.contains(&from.node) => {
                self.known.insert(from.node, from.incarnation);
                self.known.insert(self.me.node, self.me.incarnation);
                self.layout
                    .roster(|node| self.known.get(&node).copied())
                    .map(Box::new)
                    .map(Record::Roster)
            }
            Stage::Stored { roster, said }
                if roster.bit(from) != 0 && stored == Some(roster.cluster_id()) =>
            {
                said.insert(from);
                (formed || said.len() == roster.acceptors.len()).then_some(Record::Formed)
            }
            _ => None,
        }
    }

    /// What this member says of itself; to be sent only when what it says is durable.
    pub(crate) fn introduction(&self) -> AcceptorMsg {
        AcceptorMsg::Introduce {
            stored: self.roster().map(Configuration::cluster_id),
            formed: self.configuration().is_some(),
        }
    }

    pub(crate) fn replay_roster(&mut self, roster: Configuration) {
        match &self.stage {
            Stage::Meeting => self.stage = Stage::Stored { roster, said: BTreeSet::new() },
            Stage::Stored { .. } | Stage::Formed { .. } => {
                panic!("{} was told to store a second roster", self.me)
            }
        }
    }

    pub(crate) fn replay_formed(&mut self) {
        if let Stage::Stored { roster, .. } = &self.stage {
            self.stage = Stage::Formed { roster: roster.clone() };
        }
    }

    /// The acceptors of the first members that have not said yet what they must say before the
    /// cluster is formed.
    pub(crate) fn awaited(&self) -> Vec<NodeId> {
        let heard = |node: &NodeId| match &self.stage {
            Stage::Meeting => self.known.contains_key(node),
            Stage::Stored { said, .. } => said.iter().any(|member| member.node == *node),
            Stage::Formed { .. } => true,
        };
        self.layout.acceptors.iter().filter(|node| !heard(node)).copied().collect()
    }

    /// The roster that this member has stored, formed or not.
    pub(crate) fn roster(&self) -> Option<&Configuration> {
        match &self.stage {
            Stage::Meeting => None,
            Stage::Stored { roster, .. } | Stage::Formed { roster } => Some(roster),
        }
    }

    /// The configuration under which this member votes: none before all have stored the roster.
    pub(crate) fn configuration(&self) -> Option<&Configuration> {
        match &self.stage {
            Stage::Formed { roster } => Some(roster),
            Stage::Meeting | Stage::Stored { .. } => None,
        }
    }

    /// The nodes of the first acceptors.
    pub(crate) fn acceptors(&self) -> &[NodeId] {
        &self.layout.acceptors
    }
}
