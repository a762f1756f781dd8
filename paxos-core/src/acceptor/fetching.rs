//! Chosen entries, between acceptors and for learners.

use super::Acceptor;
use crate::ballot::{MemberId, NodeId};
use crate::config::Now;
use crate::layout::Feed;
use crate::message::{AcceptorMsg, Entries, LearnerMsg, RoleName};
use crate::record::Record;
use crate::role::Output;
use crate::slot::Slot;
use alloc::vec::Vec;

impl Acceptor {
    /// A learner or another acceptor misses chosen entries.
    pub(super) fn fetch(
        &mut self,
        now: Now,
        from: MemberId,
        first: Slot,
        role: RoleName,
        out: &mut Output<Record>,
    ) {
        let entries = self.held.entries(first, self.options.limits.part_bytes_max);
        match role {
            RoleName::Learner => {
                self.welcome(now, from);
                out.send(from.node, LearnerMsg::Entries(entries));
            }
            RoleName::Acceptor => out.send(from.node, AcceptorMsg::Entries(entries)),
            RoleName::Proposer | RoleName::Client => {}
        }
    }

    /// A learner that asks an acceptor which need not feed it may have lost the one that must: it
    /// is fed from here, too, for a while.
    fn welcome(&mut self, now: Now, from: MemberId) {
        let me = self.options.me.node;
        let Some(configuration) = self.formation.configuration() else { return };
        let is_mine = |feed: &Feed| feed.learner == from.node && feed.acceptor == me;
        if configuration.has_learner(from) && !configuration.learners.iter().any(is_mine) {
            self.guests.insert(from.node, now);
        }
    }

    pub(super) fn fetched(
        &mut self,
        now: Now,
        from: MemberId,
        fetched: Entries,
        out: &mut Output<Record>,
    ) {
        self.unanswered = 0;
        let before = self.held.chosen_below();
        if fetched.from > before {
            return;
        }
        let skip = before.since(fetched.from) as usize;
        for entry in fetched.entries.into_iter().skip(skip) {
            let slot = self.held.chosen_below();
            self.record(|| Record::Learned { slot, entry }, out);
        }
        self.target = self.target.max(fetched.chosen_below);
        if self.held.chosen_below() > before {
            self.fetched_at = now;
            if self.held.chosen_below() < fetched.chosen_below {
                self.ask(from.node, out);
            }
        }
    }

    /// Asks another acceptor for the chosen entries that this one missed. Each question waits
    /// longer than the one before, since an answer may be large and its way slow.
    pub(super) fn fill_holes(&mut self, now: Now, out: &mut Output<Record>) {
        let patience = self.options.timing.heartbeat_us() << self.unanswered.saturating_sub(1);
        if self.target <= self.held.chosen_below() || now.since(self.fetched_at) < patience {
            return;
        }
        let me = self.options.me.node;
        let others = self.formation.acceptors().iter().filter(|&&node| node != me);
        let others: Vec<NodeId> = others.copied().collect();
        if !others.is_empty() {
            self.fetched_at = now;
            self.fetches += 1;
            self.unanswered = (self.unanswered + 1).min(4);
            self.ask(others[self.fetches % others.len()], out);
        }
    }

    fn ask(&self, node: NodeId, out: &mut Output<Record>) {
        let from = self.held.chosen_below();
        out.send(node, AcceptorMsg::Fetch { from, role: RoleName::Acceptor });
    }
}
