//! The learner: applies what was chosen, in order, and answers from the state that this makes.

mod backlog;
mod reads;

use self::backlog::Backlog;
use self::reads::Reads;
use crate::ballot::{MemberId, NodeId};
use crate::config::{Configuration, Layout, Limits, Now, Timing};
use crate::entry::{Body, Command, Entry, SessionId};
use crate::message::{AcceptorMsg, ClientMsg, Entries, LearnerMsg, ProposerMsg, Reply, RoleName};
use crate::rng::mix;
use crate::role::{NoRecord, Output, Role};
use crate::session::{Sessions, Verdict};
use crate::slot::Slot;
use crate::state::{Applied, StateMachine};

/// What a learner is made with.
#[derive(Clone, Debug)]
pub struct LearnerOptions {
    /// Itself.
    pub me: MemberId,
    /// Random at each process start: tells its questions from those of its former life.
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
}

/// The learner, around the state that it replicates.
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
    /// Something was applied, or an answer came, or a question was asked at this time.
    moved_at: Now,
    fetches: usize,
    told_at: Option<Now>,
}

impl<S: StateMachine> Learner<S> {
    /// A learner that has applied nothing to `state` yet.
    pub fn new(options: LearnerOptions, state: S) -> Learner<S> {
        Learner {
            configuration: None,
            applied_below: Slot::ZERO,
            log_time_ms: 0,
            sessions: Sessions::new(options.limits),
            state,
            backlog: Backlog::new(options.limits),
            reads: Reads::new(mix(options.life), options.limits),
            moved_at: Now(0),
            fetches: 0,
            told_at: None,
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

    /// Applies the votes that a `Chosen` of their own ballot covers, up to the first gap (R4).
    fn drain(&mut self, now: Now, out: &mut Output<NoRecord>) {
        let before = self.applied_below;
        while let Some(entry) = self.backlog.take(self.applied_below) {
            self.apply(entry, out);
        }
        self.moved(now, before, out);
    }

    /// Applies entries that an acceptor holds as chosen.
    fn fetched(&mut self, now: Now, from: MemberId, fetched: Entries, out: &mut Output<NoRecord>) {
        if fetched.from > self.applied_below || fetched.chosen_below > Slot::MAX {
            return;
        }
        let before = self.applied_below;
        let skip = before.since(fetched.from) as usize;
        for entry in fetched.entries.into_iter().skip(skip) {
            self.apply(entry, out);
        }
        while let Some(entry) = self.backlog.take(self.applied_below) {
            self.apply(entry, out);
        }
        self.backlog.hear_of(fetched.chosen_below);
        self.moved(now, before, out);
        if before < self.applied_below && self.applied_below < fetched.chosen_below {
            self.ask(from.node, out);
        }
    }

    fn apply(&mut self, entry: Entry, out: &mut Output<NoRecord>) {
        self.log_time_ms = self.log_time_ms.max(entry.log_time_ms);
        self.sessions.expire(self.log_time_ms);
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
                    true => ClientMsg::Registered { nonce: *nonce, session },
                    false => ClientMsg::NotRegistered { nonce: *nonce },
                })
            }
            Body::Run { session, sequence, acked_below, value } => {
                let (session, sequence) = (*session, *sequence);
                let verdict = self.sessions.judge(session, sequence, *acked_below, at.log_time_ms);
                let reply = match verdict {
                    Verdict::New => {
                        let result = self.state.apply(at, value);
                        self.sessions.keep(session, sequence, result.clone());
                        Reply::Applied(result)
                    }
                    Verdict::Answered(result) => Reply::Applied(result),
                    Verdict::Acked => return None,
                    Verdict::Expired => Reply::Expired,
                    Verdict::OutOfWindow => Reply::OutOfWindow,
                };
                Some(ClientMsg::Reply { session, sequence, reply })
            }
        }
    }

    /// Tells what follows from having applied more: the proposer hears, and reads are answered.
    fn moved(&mut self, now: Now, before: Slot, out: &mut Output<NoRecord>) {
        if self.applied_below > before {
            self.moved_at = now;
            self.backlog.forget(self.applied_below);
            self.tell_progress(now, out);
            self.answer_reads(out);
        }
    }

    fn tell_progress(&mut self, now: Now, out: &mut Output<NoRecord>) {
        self.told_at = Some(now);
        let progress = ProposerMsg::Progress {
            applied_below: self.applied_below,
            log_time_ms: self.log_time_ms,
            expiry_ms: self.sessions.next_expiry_ms(),
        };
        out.send(self.options.proposer, progress);
    }

    /// Answers reads, about as many bytes as one part may have: a question is small, and its answer
    /// may not be. What is left is answered with the next step, a tick at the latest.
    fn answer_reads(&mut self, out: &mut Output<NoRecord>) {
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
    fn ask_read_index(&mut self, now: Now, out: &mut Output<NoRecord>) {
        let learner = self.options.me.node;
        if let Some(id) = self.reads.next_question(now) {
            out.send(self.options.proposer, ProposerMsg::AskReadIndex { learner, id, hops: 0 });
        }
    }

    /// Fetches what is missing: from the acceptor that feeds this learner, or, where that one is
    /// silent, from another.
    fn fetch(&mut self, now: Now, out: &mut Output<NoRecord>) {
        let behind = self.backlog.chosen_below() > self.applied_below || self.fetches == 0;
        let timing = self.options.timing;
        let patience = if behind { timing.heartbeat_us() } else { timing.election_timeout_us() };
        if self.fetches > 0 && now.since(self.moved_at) < patience {
            return;
        }
        let me = self.options.me.node;
        let feeds = &self.options.layout.learners;
        let acceptors = &self.options.layout.acceptors;
        let feeder = feeds.iter().find(|feed| feed.learner == me).map(|feed| feed.acceptor);
        // The feeder, then another, then the feeder again: it is the nearest.
        let other = acceptors[(self.fetches / 2) % acceptors.len()];
        let node = if self.fetches.is_multiple_of(2) { feeder.unwrap_or(other) } else { other };
        self.fetches += 1;
        self.moved_at = now;
        self.ask(node, out);
    }

    fn ask(&self, node: NodeId, out: &mut Output<NoRecord>) {
        out.send(node, AcceptorMsg::Fetch { from: self.applied_below, role: RoleName::Learner });
    }

    fn ask_roster(&mut self, now: Now, out: &mut Output<NoRecord>) {
        if self.told_at.is_none_or(|at| now.since(at) >= self.options.timing.heartbeat_us()) {
            self.told_at = Some(now);
            for &node in &self.options.layout.acceptors {
                out.send(node, AcceptorMsg::AskRoster { role: RoleName::Learner });
            }
        }
    }

    fn votes(&self, from: MemberId) -> bool {
        self.configuration.as_ref().is_some_and(|c| c.bit(from) != 0)
    }

    fn leads(&self, from: MemberId) -> bool {
        self.configuration.as_ref().is_some_and(|c| c.has_proposer(from))
    }
}

impl<S: StateMachine> Role for Learner<S> {
    type Msg = LearnerMsg;
    type Record = NoRecord;

    fn receive(&mut self, now: Now, from: MemberId, msg: LearnerMsg, out: &mut Output<NoRecord>) {
        match msg {
            LearnerMsg::Roster(roster) => {
                if self.configuration.is_none() {
                    self.configuration = Some(roster);
                    self.fetch(now, out);
                }
            }
            LearnerMsg::Voted { slot, vote } => {
                if self.votes(from) && slot >= self.applied_below {
                    self.backlog.feed(self.applied_below, slot, vote);
                    self.drain(now, out);
                }
            }
            LearnerMsg::Chosen { ballot, slots } => {
                if self.leads(from) && ballot.node == from.node && slots.below <= Slot::MAX {
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
            LearnerMsg::ReadIndex { id, below } => {
                let below = if planted!(ReadUnindexed) { Slot::ZERO } else { below };
                if self.leads(from) && self.reads.indexed(id, below) {
                    self.answer_reads(out);
                    self.ask_read_index(now, out);
                }
            }
        }
    }

    fn tick(&mut self, now: Now, out: &mut Output<NoRecord>) {
        if self.configuration.is_none() {
            return self.ask_roster(now, out);
        }
        let heartbeat_us = self.options.timing.heartbeat_us();
        self.fetch(now, out);
        if self.told_at.is_none_or(|at| now.since(at) >= heartbeat_us) {
            self.tell_progress(now, out);
        }
        if let Some(id) = self.reads.ask_again(now, 2 * heartbeat_us) {
            let learner = self.options.me.node;
            out.send(self.options.proposer, ProposerMsg::AskReadIndex { learner, id, hops: 0 });
        }
        self.reads.give_up(now, 20 * self.options.timing.election_timeout_us());
        self.answer_reads(out);
        self.ask_read_index(now, out);
    }

    fn replay(&mut self, record: NoRecord) {
        match record {}
    }
}
