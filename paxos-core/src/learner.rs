//! The learner: applies what was chosen, in order, and answers from the state that this makes.

mod backlog;
mod fetching;
mod keeping;
mod progress;
mod reads;
mod snapshots;
mod transfer;

use self::backlog::Backlog;
use self::reads::Reads;
use self::snapshots::Snapshots;
use self::transfer::Part;
use crate::ballot::{MemberId, NodeId};
use crate::config::{Configuration, Limits, Now, Timing};
use crate::entry::{Body, Command, Entry, SessionId};
use crate::layout::Layout;
use crate::message::{AcceptorMsg, ClientMsg, LearnerMsg, ProposerMsg, Reply, RoleName};
use crate::rng::mix;
use crate::role::{Output, Role};
use crate::session::{Sessions, Verdict};
use crate::slot::Slot;
use crate::snapshot::{SnapshotPiece, Unmendable};
use crate::state::{Applied, StateMachine, Unrestorable};

/// What a learner is made with.
#[derive(Clone, Debug)]
pub struct LearnerOptions {
    /// Itself.
    pub me: MemberId,
    /// Random each time that it is made: tells its questions and its progress from those of its
    /// former life.
    pub life: u64,
    /// The node of the proposer that it is paired with; its own where it has one.
    pub proposer: NodeId,
    /// The first members, as every one of them was told.
    pub layout: Layout,
    /// How long to wait.
    pub timing: Timing,
    /// How much to hold.
    pub limits: Limits,
}

/// What a learner tells about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnerStatus {
    /// Every slot below is applied.
    pub applied_below: Slot,
    /// Every slot below is known to be chosen.
    pub chosen_below: Slot,
    /// Log time at the last slot applied, in milliseconds.
    pub log_time_ms: u64,
    /// Digest of sessions and state at `applied_below`.
    pub digest: u64,
    /// Sessions open.
    pub sessions: u64,
    /// A snapshot on its own disk has the effect of every slot below.
    pub snapshot_below: Slot,
    /// It needs the snapshot of a peer: what comes next was forgotten by those who had it.
    pub wants_snapshot: bool,
}

/// The learner, around the state that it replicates.
///
/// What it finds again after a crash is its newest snapshot; what came after that it fetches.
#[derive(Debug)]
pub struct Learner<S> {
    options: LearnerOptions,
    configuration: Option<Configuration>,
    applied_below: Slot,
    log_time_ms: u64,
    sessions: Sessions,
    state: S,
    backlog: Backlog,
    reads: Reads,
    snapshots: Snapshots,
    unrestorable: Option<Unrestorable>,
    unmendable: Option<Unmendable>,
    /// The acceptor beside it is of the cluster that it knows; or there was nothing to compare.
    is_met: bool,
    /// Something was applied, or an answer came, or a question was asked at this time.
    moved_at: Now,
    fetches: usize,
    /// Fetches in a row that nobody has answered.
    unanswered: u32,
    told_at: Option<Now>,
    /// How far it had applied when its proposer last heard.
    told_below: Slot,
    /// Whose `Chosen` came last.
    leader: Option<NodeId>,
    /// What snapshots cover was told, or the feed was seen to, at this time.
    kept_at: Option<Now>,
    /// When the acceptor that is to feed it last did.
    fed_at: Now,
    /// An acceptor that feeds it while the other one is silent.
    stand_in: Option<NodeId>,
}

impl<S: StateMachine> Learner<S> {
    /// A learner that has applied nothing to `state` yet.
    pub fn new(options: LearnerOptions, state: S) -> Learner<S> {
        Learner {
            configuration: None,
            applied_below: Slot::ZERO,
            log_time_ms: 0,
            sessions: Sessions::new(options.layout.sessions),
            state,
            backlog: Backlog::new(options.limits),
            reads: Reads::new(mix(options.life), options.limits),
            snapshots: Snapshots::new(options.limits),
            unrestorable: None,
            unmendable: None,
            is_met: false,
            moved_at: Now(0),
            fetches: 0,
            unanswered: 0,
            told_at: None,
            told_below: Slot::ZERO,
            leader: None,
            kept_at: None,
            fed_at: Now(0),
            stand_in: None,
            options,
        }
    }

    /// What it tells about itself. The digest looks at every answer that sessions keep.
    pub fn status(&self) -> LearnerStatus {
        LearnerStatus {
            applied_below: self.applied_below,
            chosen_below: self.backlog.chosen_below().max(self.applied_below),
            log_time_ms: self.log_time_ms,
            digest: mix(self.sessions.digest()) ^ self.state.digest(),
            sessions: self.sessions.len() as u64,
            snapshot_below: self.snapshots.below(),
            wants_snapshot: self.snapshots.transfer.is_some(),
        }
    }

    /// Every slot below is applied.
    pub fn applied_below(&self) -> Slot {
        self.applied_below
    }

    /// The replicated state.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Itself.
    pub fn me(&self) -> MemberId {
        self.options.me
    }

    /// The configuration that it knows: from a snapshot, or from an acceptor; none before.
    pub fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_ref()
    }

    /// Applies the votes that a `Chosen` of their own ballot covers, up to the first gap (R4).
    fn drain(&mut self, now: Now, out: &mut Output<SnapshotPiece>) {
        let before = self.applied_below;
        while let Some((entry, bytes)) = self.backlog.take(self.applied_below) {
            self.apply(entry, bytes, out);
        }
        if planted!(GapSkipped) && self.backlog.chosen_below() > self.applied_below.plus(2) {
            self.applied_below = self.applied_below.next();
        }
        self.moved(now, before, out);
        if self.owes_progress() {
            self.tell_progress(now, out);
        }
    }

    /// Applies the next entry, which takes so many bytes.
    fn apply(&mut self, entry: Entry, bytes: usize, out: &mut Output<SnapshotPiece>) {
        self.snapshots.applied(bytes);
        self.log_time_ms = self.log_time_ms.max(entry.log_time_ms);
        let apart_ms = if planted!(SessionsExpireApart) { 100 * self.options.me.node.0 } else { 0 };
        self.sessions.expire(self.log_time_ms + apart_ms);
        for (index, command) in entry.commands.iter().enumerate() {
            let at = Applied {
                slot: self.applied_below,
                index: index as u32,
                log_time_ms: self.log_time_ms,
            };
            let answer = self.run(at, command);
            // R15: the command names the learner that answers.
            if let Some(answer) = answer
                && command.learner == self.options.me.node
            {
                out.send(command.client, answer);
            }
        }
        self.applied_below = self.applied_below.next();
    }

    /// R16: runs a command once; the answer of a repetition comes from its session's table.
    fn run(&mut self, at: Applied, command: &Command) -> Option<ClientMsg> {
        match &command.body {
            Body::Register { nonce } => {
                let session = SessionId { slot: at.slot, index: at.index };
                Some(match self.sessions.register(session, at.log_time_ms) {
                    true => {
                        let rules = self.sessions.rules();
                        ClientMsg::Registered { nonce: *nonce, session, rules }
                    }
                    false => ClientMsg::NotRegistered { nonce: *nonce },
                })
            }
            Body::Run { session, sequence, acked_below, value } => {
                let (session, sequence) = (*session, *sequence);
                if planted!(ApplyFailsSomewhere)
                    && self.options.me.node.0 == 2
                    && at.slot.0 % 50 == 49
                {
                    return None;
                }
                let apply = || self.state.apply(at, value);
                let verdict =
                    self.sessions.run(session, sequence, *acked_below, at.log_time_ms, apply);
                let reply = match verdict {
                    Verdict::Answered(result) => Reply::Applied(result),
                    // Where an unknown session's command counts as new, its answer is not kept.
                    Verdict::New => Reply::Applied(self.state.apply(at, value)),
                    Verdict::Acked => return None,
                    Verdict::Expired => Reply::Expired,
                    Verdict::OutOfWindow => Reply::OutOfWindow,
                };
                Some(ClientMsg::Reply { session, sequence, reply })
            }
        }
    }

    /// Does what follows from having applied more.
    fn moved(&mut self, now: Now, before: Slot, out: &mut Output<SnapshotPiece>) {
        if self.applied_below > before {
            self.moved_at = now;
            self.backlog.forget(self.applied_below);
            self.keep_up(now, out);
            if !self.reads.are_none() {
                self.answer_reads(out);
            }
        }
    }

    /// Answers reads, about as many bytes as one part may have: a question is small, and its answer
    /// may not be. What is left is answered with the next step, a tick at the latest.
    fn answer_reads(&mut self, out: &mut Output<SnapshotPiece>) {
        let mut bytes = 0;
        while bytes < self.options.limits.part_bytes_max
            && let Some(read) = self.reads.next_ready(self.applied_below)
        {
            let result = self.state.query(&read.query);
            bytes += result.len();
            out.send(read.client, ClientMsg::ReadReply { id: read.id, result });
        }
    }

    /// R12: a read joins only a question that has not been asked yet.
    fn ask_read_index(&mut self, now: Now, out: &mut Output<SnapshotPiece>) {
        let learner = self.options.me.node;
        if let Some(id) = self.reads.next_question(now) {
            out.send(self.options.proposer, ProposerMsg::AskReadIndex { learner, id, hops: 0 });
        }
    }

    fn ask_roster(&mut self, now: Now, out: &mut Output<SnapshotPiece>) {
        if self.told_at.is_none_or(|at| now.since(at) >= self.options.timing.heartbeat_us()) {
            self.told_at = Some(now);
            for &node in &self.options.layout.acceptors {
                out.send(node, AcceptorMsg::AskRoster { role: RoleName::Learner });
            }
        }
    }

    /// A configuration that came with a snapshot is believed, but for a snapshot that another
    /// cluster left behind (R24): the acceptor of this node knows which cluster it is of.
    fn ask_own_roster(&self, out: &mut Output<SnapshotPiece>) {
        let node = self.options.me.node;
        if !self.is_met && self.options.layout.acceptors.contains(&node) {
            out.send(node, AcceptorMsg::AskRoster { role: RoleName::Learner });
        }
    }

    fn met(
        &mut self,
        now: Now,
        from: MemberId,
        roster: Configuration,
        out: &mut Output<SnapshotPiece>,
    ) {
        let Some(known) = &self.configuration else {
            self.is_met = true;
            self.sessions.obey(roster.sessions);
            self.configuration = Some(roster);
            return self.fetch(now, out);
        };
        if !self.is_met && from.node == self.options.me.node {
            self.is_met = true;
            let (snapshot, acceptor) = (known.cluster_id(), roster.cluster_id());
            if snapshot != acceptor {
                self.unmendable = Some(Unmendable::OtherCluster { snapshot, acceptor });
            }
        }
    }

    fn votes(&self, from: MemberId) -> bool {
        self.configuration.as_ref().is_some_and(|c| c.bit(from) != 0)
    }

    fn leads(&self, from: MemberId) -> bool {
        self.configuration.as_ref().is_some_and(|c| c.has_proposer(from))
    }

    fn learns(&self, from: MemberId) -> bool {
        self.configuration.as_ref().is_some_and(|c| c.has_learner(from))
    }
}

impl<S: StateMachine> Role for Learner<S> {
    type Msg = LearnerMsg;
    type Record = SnapshotPiece;

    fn receive(
        &mut self,
        now: Now,
        from: MemberId,
        msg: LearnerMsg,
        out: &mut Output<SnapshotPiece>,
    ) {
        match msg {
            LearnerMsg::Roster(roster) => self.met(now, from, *roster, out),
            LearnerMsg::Voted { slot, vote } => {
                if !self.votes(from) {
                    return;
                }
                self.fed(now, from.node);
                if slot >= self.applied_below {
                    self.backlog.feed(self.applied_below, slot, vote);
                    self.drain(now, out);
                }
            }
            LearnerMsg::Chosen { ballot, slots } => {
                if self.leads(from) && ballot.node == from.node && slots.below <= Slot::MAX {
                    self.leader = Some(from.node);
                    self.backlog.choose(ballot, slots);
                    self.drain(now, out);
                }
            }
            LearnerMsg::Entries(entries) => {
                if self.votes(from) {
                    self.fetched(now, from, entries, out);
                }
            }
            LearnerMsg::Read { id, query } => match self.reads.add(now, from.node, id, query) {
                true => self.ask_read_index(now, out),
                false => {
                    let retry_after_ms = self.options.timing.heartbeat_us() / 1000;
                    out.send(from.node, ClientMsg::ReadBusy { id, retry_after_ms });
                }
            },
            LearnerMsg::FetchSnapshot { id, offset } => {
                if self.learns(from) {
                    self.snapshots.fetched(now, from.node, id, offset, out);
                }
            }
            LearnerMsg::SnapshotPart { id, offset, data } => {
                self.snapshot_part(from, Part { id, offset, data });
            }
            LearnerMsg::NoSnapshot { id } => self.no_snapshot(now, from, id, out),
            LearnerMsg::ReadIndex { id, below } => {
                let below = if planted!(ReadUnindexed) { Slot::ZERO } else { below };
                if self.leads(from) && self.reads.indexed(id, below) {
                    self.answer_reads(out);
                    self.ask_read_index(now, out);
                }
            }
        }
    }

    fn tick(&mut self, now: Now, out: &mut Output<SnapshotPiece>) {
        if self.configuration.is_none() {
            return self.ask_roster(now, out);
        }
        let heartbeat_us = self.options.timing.heartbeat_us();
        self.fetch(now, out);
        if self.told_at.is_none_or(|at| now.since(at) >= heartbeat_us) {
            self.tell_progress(now, out);
            self.ask_own_roster(out);
        }
        if let Some(id) = self.reads.ask_again(now, 2 * heartbeat_us) {
            let learner = self.options.me.node;
            out.send(self.options.proposer, ProposerMsg::AskReadIndex { learner, id, hops: 0 });
        }
        self.reads.give_up(now, 20 * self.options.timing.election_timeout_us());
        self.answer_reads(out);
        self.ask_read_index(now, out);
        self.tend(now, out);
    }

    fn replay(&mut self, piece: SnapshotPiece) {
        match piece {
            SnapshotPiece::Header { below, log_time_ms, configuration } => {
                self.applied_below = below;
                self.log_time_ms = log_time_ms;
                self.sessions.obey(configuration.sessions);
                self.configuration = Some(configuration);
            }
            SnapshotPiece::Sessions(sessions) => {
                sessions.into_iter().for_each(|session| self.sessions.restore(session));
            }
            SnapshotPiece::State(part) => {
                let restored = self.state.restore(&part);
                self.unrestorable = self.unrestorable.take().or(restored.err());
            }
        }
    }
}
