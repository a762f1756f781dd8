//! Processes start and end, and disks fail them.

use super::{Event, World};
use crate::sim::disk::Damage;
use crate::sim::node::{Node, Process, Replica, Turn, Voter};
use crate::sim::setup::{Ending, Setup};
use crate::sim::storage::{LogThread, SnapshotThread};
use crate::sim::witness::Watched;
use paxos_actors::wal::WalError;
use paxos_core::*;
use std::collections::BTreeSet;

impl World {
    pub(super) fn became_durable(&mut self, i: usize, records: &[Record]) {
        let node = self.nodes[i].me.node;
        let layout = &self.setup.layout;
        let bit = layout.acceptors.iter().position(|&a| a == node).map_or(0, |at| 1 << at);
        for record in records {
            if let Record::Trimmed { below, .. } = record {
                let learners = layout.learners.iter().map(|feed| feed.learner);
                // One that has lost a snapshot had it when it said so.
                let covers = |learner: &NodeId| {
                    let node = &self.nodes[learner.0 as usize - 1];
                    node.snapshot_below >= *below || node.is_rotten
                };
                let covering = learners.filter(covers).collect();
                self.observer.r26_trimmed_is_covered(node, *below, &covering, layout);
            }
            self.observer.durable(node, bit, record);
        }
    }

    /// The disk did not do what it was asked: the process ends, as a node does, and is started
    /// again later.
    pub(super) fn disk_failed(&mut self, i: usize, why: &str) {
        self.note(|| format!("n{} ends: {why}", i + 1));
        self.counts.disk_failures += 1;
        // After a failure nothing may be asked of the threads any more.
        self.end(i, false);
        self.nodes[i].log_disk.kill();
        self.nodes[i].snapshot_disk.kill();
        self.nodes[i].end_failures();
    }

    pub(in super::super) fn kill_later(&mut self, i: usize, delay: u64) {
        self.after(delay, Event::Kill(i));
    }

    /// The process ends; what is in the cache of its machine stays.
    pub(in super::super) fn kill(&mut self, i: usize) {
        self.end(i, true);
        self.nodes[i].log_disk.kill();
        self.nodes[i].snapshot_disk.kill();
    }

    /// The machine loses power.
    pub(in super::super) fn crash(&mut self, i: usize) {
        self.end(i, true);
        self.nodes[i].log_disk.crash(&mut self.rng);
        self.nodes[i].snapshot_disk.crash(&mut self.rng);
    }

    /// The process is gone. What its threads were at goes on for a while, if it can.
    fn end(&mut self, i: usize, goes_on: bool) {
        let Some(process) = self.nodes[i].process.take() else { return };
        self.note(|| format!("END n{}", i + 1));
        let node = &mut self.nodes[i];
        node.boot += 1;
        if let Some(voter) = process.acceptor.filter(|_| goes_on) {
            voter.log.break_off(&node.log_disk, &mut self.rng);
        }
        if let Some(replica) = process.learner.filter(|_| goes_on) {
            replica.snapshots.break_off(&node.snapshot_disk, &mut self.rng);
        }
        let node = node.me.node;
        for c in 0..self.clients.all.len() {
            let now = Now(self.now);
            self.step_client(c, |client, out| client.unreachable(now, node, out));
        }
        self.start_later(i);
    }

    fn start_later(&mut self, i: usize) {
        let down = self.rng.between(1_000, 800_000);
        self.after(down, Event::Start(i));
    }

    /// Boot is restart: acceptors have what their log holds, learners their newest snapshot, and
    /// proposers nothing.
    pub(in super::super) fn start(&mut self, i: usize) {
        let node = &self.nodes[i];
        if node.process.is_some() || node.is_halted || node.is_down {
            return;
        }
        let me = node.me;
        let roles = self.setup.layout.roles(me.node);
        self.note(|| format!("START n{}", i + 1));
        let acceptor = match roles.acceptor.then(|| self.open_log(i)).transpose() {
            Ok(acceptor) => acceptor,
            Err(error) => return self.not_started(i, &error),
        };
        let others = self.setup.layout.learners.len() > 1;
        let disk = &self.nodes[i].snapshot_disk;
        let snapshots = roles.learner.then(|| SnapshotThread::open(disk, others)).transpose();
        let snapshots = match snapshots {
            Ok(snapshots) => snapshots,
            Err(error) => {
                self.note(|| format!("n{} is not started: {error}", i + 1));
                self.nodes[i].log_disk.kill();
                self.nodes[i].end_failures();
                return self.start_later(i);
            }
        };
        let Setup { timing, limits, .. } = self.setup;
        let (life, seed) = (self.rng.next_u64(), self.rng.next_u64());
        let proposer = roles.proposer.then(|| {
            let layout = self.setup.layout.clone();
            let learner = layout.learner_of(me.node).expect("proposers are paired");
            Proposer::new(ProposerOptions { me, life, seed, learner, layout, timing, limits })
        });
        self.nodes[i].process =
            Some(Process { acceptor, proposer, learner: None, turn: Turn::default() });
        if let Some(opened) = snapshots {
            self.start_learner(i, opened);
        }
    }

    fn not_started(&mut self, i: usize, error: &WalError) {
        self.note(|| format!("n{} is not started: {error}", i + 1));
        let node = &mut self.nodes[i];
        let is_damage =
            matches!(error, WalError::Corrupt { .. } | WalError::IdentityMissing { .. });
        if is_damage {
            assert!(node.is_spoilt, "a log that nobody damaged does not open: {error}");
            node.is_halted = true;
            self.counts.halted += 1;
            return;
        }
        node.log_disk.kill();
        node.end_failures();
        self.start_later(i);
    }

    /// An acceptor with what its log holds. What was under way when the last process ended is
    /// durable now, as far as it is there.
    fn open_log(&mut self, i: usize) -> Result<Voter, WalError> {
        let node = &self.nodes[i];
        let me = node.me;
        let (log, records) = LogThread::open(&node.log_disk, me, self.setup.segment_bytes)?;
        let lsn = log.lsn();
        assert!(lsn >= node.durable, "n{} holds {lsn} of {} records", i + 1, node.durable);
        self.observer.durable_is_found(me.node, &records);
        let new = (lsn - node.durable) as usize;
        self.nodes[i].durable = lsn;
        self.became_durable(i, &records[records.len() - new..]);
        let Setup { timing, limits, ref layout, .. } = self.setup;
        let mut acceptor =
            Acceptor::new(AcceptorOptions { me, layout: layout.clone(), timing, limits });
        records.into_iter().for_each(|record| acceptor.replay(record));
        let promised = acceptor.status().promised;
        self.observer.invariant_2_promise_stands(me.node, promised);
        Ok(Voter { acceptor, gate: Gate::new(lsn), log, promised })
    }

    /// Makes a node's learner from its newest snapshot.
    pub(super) fn start_learner(
        &mut self,
        i: usize,
        (snapshots, pieces, found): (SnapshotThread, Vec<SnapshotPiece>, SnapshotEvent),
    ) {
        let me = self.nodes[i].me;
        let Setup { timing, limits, ref layout, .. } = self.setup;
        let proposer = layout.proposer_of(me.node).expect("learners report to one");
        let life = self.rng.next_u64();
        let options = LearnerOptions { me, life, proposer, layout: layout.clone(), timing, limits };
        let mut learner = Learner::new(options, Watched::new(&self.witness));
        pieces.into_iter().for_each(|piece| learner.replay(piece));
        assert_eq!(learner.restored(), Ok(()));
        let LearnerStatus { applied_below, digest, log_time_ms, .. } = learner.status();
        let node = &mut self.nodes[i];
        assert!(
            applied_below >= node.snapshot_below || node.is_rotten,
            "n{} told of a snapshot below {}, and has one below {applied_below}",
            i + 1,
            node.snapshot_below
        );
        node.snapshot_below = applied_below;
        self.observer.invariant_8_applied(me.node, applied_below, digest, log_time_ms);
        if let Some(process) = &mut node.process {
            process.learner = Some(Replica { learner, snapshots });
        }
        let now = node.clock(self.now);
        self.step_learner(i, |learner, out| learner.snapshot_event(now, found, out));
    }

    /// Spoils what node `i` has in its log, durably, if the others can do without it for ever. The
    /// process is killed: only the next one will read its log.
    pub(in super::super) fn spoil_log(&mut self, i: usize, damage: Damage) -> bool {
        let is_hurt = |node: &Node| node.is_spoilt || node.is_rotten;
        let left: BTreeSet<NodeId> = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(other, node)| *other != i && !is_hurt(node))
            .map(|(_, node)| node.me.node)
            .collect();
        if !self.is_formed() || is_hurt(&self.nodes[i]) || !self.is_able(&left) {
            return false;
        }
        self.kill(i);
        let done = self.nodes[i].log_disk.spoil(damage, &mut self.rng);
        self.nodes[i].is_spoilt |= done;
        done
    }

    /// Spoils a snapshot of node `i`: a complete one only where every other node will be there in
    /// the end, since what the log has forgotten may be nowhere else but with one of them.
    pub(in super::super) fn rot_snapshot(&mut self, i: usize) -> bool {
        let node = self.nodes[i].me.node;
        let is_hurt = |other: &Node| other.is_spoilt || other.is_rotten && other.me.node != node;
        let others = self.nodes.iter().map(|other| other.me.node).filter(|other| *other != node);
        let is_whole = self.setup.ending == Ending::All
            && self.is_able(&others.collect())
            && !self.nodes.iter().any(is_hurt);
        let what = if is_whole && self.rng.between(0, 2) == 0 { ".snapshot" } else { "incoming" };
        if what == ".snapshot" && self.setup.layout.learners.len() == 1 {
            return false;
        }
        self.kill(i);
        let done = self.nodes[i].snapshot_disk.flip_any(what, &mut self.rng);
        self.nodes[i].is_rotten |= done && what == ".snapshot";
        done
    }

    /// Whether these nodes can go on without the others.
    pub(in super::super) fn is_able(&self, nodes: &BTreeSet<NodeId>) -> bool {
        let layout = &self.setup.layout;
        let members = layout.acceptors.iter().enumerate().filter(|(_, node)| nodes.contains(node));
        let set = members.map(|(at, _)| 1 << at).sum();
        let paired = |node: &NodeId| layout.learner_of(*node).is_some_and(|l| nodes.contains(&l));
        layout.quorums.phase1(set)
            && layout.quorums.phase2(set)
            && layout.proposers.iter().any(|node| nodes.contains(node) && paired(node))
    }

    /// As few of these nodes as the seed finds that can go on without the others.
    pub(in super::super) fn some_quorum(
        &mut self,
        mut nodes: BTreeSet<NodeId>,
    ) -> BTreeSet<NodeId> {
        for _ in 0..2 * self.nodes.len() {
            let node = NodeId(self.rng.between(1, self.nodes.len() as u64 + 1));
            let mut fewer = nodes.clone();
            if fewer.remove(&node) && self.is_able(&fewer) {
                nodes = fewer;
            }
        }
        nodes
    }
}
