//! Turns: what the roles of a node are given together, and what is done with what that led to.

use super::{Event, World};
use crate::sim::node::{Replica, Turn, Voter};
use crate::sim::witness::Watched;
use paxos_core::*;
use std::mem;

impl World {
    /// The time for all steps of the turn.
    pub(super) fn turn_now(&mut self, i: usize) -> Now {
        let now = self.nodes[i].clock(self.now);
        match &mut self.nodes[i].process {
            Some(process) => *process.turn.now.get_or_insert(now),
            None => now,
        }
    }

    pub(super) fn step_acceptor(
        &mut self,
        i: usize,
        step: impl FnOnce(&mut Acceptor, &mut Output<Record>),
    ) {
        let Some(process) = &mut self.nodes[i].process else { return };
        let Some(Voter { acceptor, promised, .. }) = &mut process.acceptor else { return };
        step(acceptor, &mut process.turn.voted);
        let now_promised = acceptor.status().promised;
        assert!(now_promised >= *promised, "invariant 2: a promise fell");
        *promised = now_promised;
        self.end_turn_soon(i);
    }

    pub(super) fn step_proposer(
        &mut self,
        i: usize,
        step: impl FnOnce(&mut Proposer, &mut Output<NoRecord>),
    ) {
        let Some(process) = &mut self.nodes[i].process else { return };
        let Some(proposer) = &mut process.proposer else { return };
        step(proposer, &mut process.turn.proposed);
        self.end_turn_soon(i);
    }

    /// Gives back what the step does; nothing where there is no learner.
    pub(super) fn step_learner<T>(
        &mut self,
        i: usize,
        step: impl FnOnce(&mut Learner<Watched>, &mut Output<SnapshotPiece>) -> T,
    ) -> Option<T> {
        let process = self.nodes[i].process.as_mut()?;
        let Replica { learner, .. } = process.learner.as_mut()?;
        let before = learner.applied_below();
        let result = step(learner, &mut process.turn.learned);
        let (node, applied_below) = (learner.me().node, learner.applied_below());
        self.observer.invariant_10_state_never_goes_back(node, before, applied_below);
        if applied_below > before {
            let LearnerStatus { digest, log_time_ms, .. } = learner.status();
            self.observer.invariant_8_applied(node, applied_below, digest, log_time_ms);
        }
        self.end_turn_soon(i);
        Some(result)
    }

    /// The turn ends with this step, or later: then all else that comes until then belongs to it.
    fn end_turn_soon(&mut self, i: usize) {
        let turn_us = self.setup.turn_us;
        if turn_us == 0 {
            return self.end_turn(i);
        }
        let Some(process) = &mut self.nodes[i].process else { return };
        if !mem::replace(&mut process.turn.is_open, true) {
            let (delay, boot) = (self.rng.between(0, turn_us), self.nodes[i].boot);
            self.after(delay, Event::Flush { node: i, boot });
        }
    }

    /// No more mail waits.
    pub(super) fn flush(&mut self, i: usize, boot: u64) {
        if self.nodes[i].paused_until > self.now {
            let wait = self.wake_up(i);
            return self.after(wait, Event::Flush { node: i, boot });
        }
        if self.nodes[i].boot == boot {
            self.end_turn(i);
        }
    }

    /// Has records logged, and posts mail.
    pub(super) fn end_turn(&mut self, i: usize) {
        let now = self.turn_now(i);
        let Some(process) = &mut self.nodes[i].process else { return };
        let Turn { mut voted, mut proposed, learned, .. } = mem::take(&mut process.turn);
        if let Some(proposer) = &mut process.proposer {
            proposer.flush(now, &mut proposed);
        }
        let mut mail = Vec::new();
        let (mut syncs, mut shelves) = (false, false);
        if let Some(Voter { gate, log, .. }) = &mut process.acceptor
            && !voted.is_empty()
        {
            let append = |records: &mut Vec<Record>| {
                syncs = log.append(mem::take(records));
                None
            };
            gate.submit(&mut voted, append, &mut mail);
        }
        if let Some(Replica { learner, snapshots }) = &mut process.learner {
            shelves = snapshots.submit(learner.snapshot_tasks());
        }
        if syncs {
            self.sync_later(i);
        }
        if shelves {
            self.shelve_later(i);
        }
        mail.extend(proposed.mail.into_iter().chain(learned.mail));
        self.post(i, mail);
    }
}
