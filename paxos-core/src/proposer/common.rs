//! What a proposer knows in every stance.

use super::ProposerOptions;
use crate::ballot::{Ballot, MemberId, NodeId};
use crate::config::Configuration;
use crate::entry::{Body, Command, CommandName, Entry};
use crate::message::{AcceptorMsg, ClientMsg, ProposerMsg};
use crate::quorum::AcceptorSet;
use crate::rng::{Rng, mix};
use crate::role::{NoRecord, Output};
use crate::slot::Slot;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Shared by all stances, so that no stance must carry it over to the next.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) options: ProposerOptions,
    /// The highest round seen: a Lamport clock, which the next own ballot is above.
    round: u64,
    /// The paired learner's life.
    learner_life: u64,
    /// From the paired learner: every slot below is applied. It falls when the learner starts anew.
    pub(super) applied_below: Slot,
    /// From the paired learner: log time there.
    pub(super) log_time_ms: u64,
    /// From the paired learner: when the next session may expire, by log time.
    pub(super) expiry_ms: Option<u64>,
    queue: VecDeque<Command>,
    queue_bytes: usize,
    rng: Rng,
    /// Campaigns lost in a row: each doubles the wait before the next.
    pub(super) failures: u32,
    /// Campaigns in a row that were won in vain, since the learner was too far behind.
    pub(super) yields: u32,
    pub(super) campaigns: u64,
    /// Numbers the polls; begins somewhere else in each life.
    pub(super) attempts: u64,
}

impl Common {
    pub(super) fn new(options: ProposerOptions) -> Common {
        Common {
            rng: Rng::new(options.seed),
            round: 0,
            learner_life: 0,
            applied_below: Slot::ZERO,
            log_time_ms: 0,
            expiry_ms: None,
            queue: VecDeque::new(),
            queue_bytes: 0,
            failures: 0,
            yields: 0,
            campaigns: 0,
            attempts: mix(options.life),
            options,
        }
    }

    pub(super) fn me(&self) -> MemberId {
        self.options.me
    }

    /// Whether somebody can have come to this ballot. Who has just started has seen none yet, and
    /// believes the first.
    pub(super) fn believes(&self, ballot: Ballot) -> bool {
        ballot.is_sound() && (self.round == 0 || ballot.follows(self.round))
    }

    /// Notes a ballot that somebody has used.
    pub(super) fn see(&mut self, ballot: Ballot) {
        if self.believes(ballot) && !planted!(BallotReuse) {
            self.round = self.round.max(ballot.round);
        }
    }

    /// A ballot above all that were seen. It is used only once it is also seen.
    pub(super) fn next_ballot(&self) -> Ballot {
        let life = if planted!(BallotReuse) { 0 } else { self.options.life };
        Ballot { round: self.round + 1, node: self.me().node, life }
    }

    /// The paired learner has come so far. One that started anew is where its snapshot is, even if
    /// that is less: what it does not have, it cannot know the configuration of (R20). A route
    /// delivers nothing of a former life behind what a later one sent.
    #[inline]
    pub(super) fn progress(
        &mut self,
        life: u64,
        applied_below: Slot,
        log_time_ms: u64,
        expiry_ms: Option<u64>,
    ) {
        if life == self.learner_life && applied_below < self.applied_below {
            return;
        }
        self.learner_life = life;
        self.applied_below = applied_below;
        self.log_time_ms = self.log_time_ms.max(log_time_ms);
        self.expiry_ms = expiry_ms;
    }

    /// One to two election timeouts (R11).
    pub(super) fn election_timeout(&mut self) -> u64 {
        let timeout = self.options.timing.election_timeout_us();
        self.rng.between(timeout, 2 * timeout)
    }

    /// The wait after a lost campaign: random, and longer with each one (R11).
    pub(super) fn backoff(&mut self) -> u64 {
        let timeout = self.options.timing.election_timeout_us();
        let most = timeout << self.failures.min(3);
        self.rng.between(timeout / 4, most)
    }

    /// Takes out what no entry may hold, wherever it comes from: nobody could be sent such an
    /// entry, and nothing would be chosen any more. Its client hears that to try again is no use.
    pub(super) fn refuse_too_large(&self, commands: &mut Vec<Command>, out: &mut Output<NoRecord>) {
        let bytes_max = self.options.limits.value_bytes_max;
        commands.retain(|command| match &command.body {
            Body::Run { session, sequence, value, .. } if value.len() > bytes_max => {
                let (session, sequence) = (*session, *sequence);
                let (bytes, bytes_max) = (value.len() as u64, bytes_max as u64);
                out.send(
                    command.client,
                    ClientMsg::TooLarge { session, sequence, bytes, bytes_max },
                );
                false
            }
            Body::Run { .. } | Body::Register { .. } => true,
        });
    }

    /// Queues commands for the next entry. What does not fit is refused before any state changed.
    pub(super) fn enqueue(&mut self, commands: Vec<Command>, out: &mut Output<NoRecord>) {
        let mut refused = Vec::new();
        for command in commands {
            let weight = command.weight();
            if self.queue_bytes + weight > self.options.limits.queue_bytes_max {
                refused.push(command);
            } else {
                self.queue_bytes += weight;
                self.queue.push_back(command);
            }
        }
        if !refused.is_empty() {
            self.refuse(&refused, out);
        }
    }

    /// Tells each client which of its commands had no room.
    fn refuse(&self, commands: &[Command], out: &mut Output<NoRecord>) {
        let mut refused: BTreeMap<NodeId, Vec<CommandName>> = BTreeMap::new();
        for command in commands {
            refused.entry(command.client).or_default().push(command.name());
        }
        let retry_after_ms = self.options.timing.heartbeat_us() / 1000;
        for (client, refused) in refused {
            out.send(client, ClientMsg::Busy { refused, retry_after_ms });
        }
    }

    /// Sends commands on to the leader, in messages that fit a frame (R15).
    pub(super) fn forward(
        &self,
        leader: NodeId,
        commands: Vec<Command>,
        hops: u8,
        out: &mut Output<NoRecord>,
    ) {
        let mut bytes = 0;
        let mut batch = Vec::new();
        for command in commands {
            bytes += command.weight();
            if bytes > self.options.limits.part_bytes_max && !batch.is_empty() {
                bytes = command.weight();
                let commands = core::mem::take(&mut batch);
                out.send(leader, ProposerMsg::Propose { commands, hops });
            }
            batch.push(command);
        }
        if !batch.is_empty() {
            out.send(leader, ProposerMsg::Propose { commands: batch, hops });
        }
    }

    /// The next entry: all that is queued, as far as it fits in an entry and in `room` bytes (R1);
    /// none where nothing is, or nothing fits. With `is_first`, one command always does. With it
    /// comes what it weighs.
    #[inline]
    pub(super) fn next_entry(
        &mut self,
        log_time_ms: u64,
        room: usize,
        is_first: bool,
    ) -> Option<(Entry, usize)> {
        let most = self.options.limits.entry_bytes_max.min(room);
        let (mut count, mut bytes) = (0, 0);
        for command in &self.queue {
            let weight = command.weight();
            let goes_alone = count == 0 && (is_first || weight <= room);
            if bytes + weight > most && !goes_alone {
                break;
            }
            bytes += weight;
            count += 1;
        }
        if count == 0 {
            return None;
        }
        // The length is known beforehand, so that they are moved once.
        let next = |_| self.queue.pop_front().expect("so many are queued");
        let commands: Arc<[Command]> = (0..count).map(next).collect();
        self.queue_bytes -= bytes;
        Some((Entry { log_time_ms, commands }, Entry::WEIGHT + bytes))
    }

    pub(super) fn queue_is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn drain_queue(&mut self) -> Vec<Command> {
        self.queue_bytes = 0;
        self.queue.drain(..).collect()
    }
}

/// Sends to the acceptors that are not in `but`.
pub(super) fn ask(
    configuration: &Configuration,
    but: AcceptorSet,
    msg: &AcceptorMsg,
    out: &mut Output<NoRecord>,
) {
    for (i, member) in configuration.acceptors.iter().enumerate() {
        if but & (1 << i) == 0 {
            out.send(member.node, msg.clone());
        }
    }
}

/// Sends what `msg` makes to every acceptor.
#[inline]
pub(super) fn ask_all(
    configuration: &Configuration,
    msg: impl Fn() -> AcceptorMsg,
    out: &mut Output<NoRecord>,
) {
    for member in &configuration.acceptors {
        out.post(member.node, &msg);
    }
}
