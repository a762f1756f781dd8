//! The acceptor: promises and votes ("Paxos Made Simple", section 2.2), and keeps what was chosen.

mod coverage;
mod fetching;
mod held;

use self::coverage::Coverage;
use self::held::Held;
use crate::ballot::{Ballot, MemberId, NodeId};
use crate::config::{ClusterId, Configuration, Limits, Now, Timing};
use crate::entry::{Entry, Vote};
use crate::layout::{Feed, Layout};
use crate::message::{AcceptorMsg, LearnerMsg, ProposerMsg, RoleName};
use crate::record::Record;
use crate::role::{Outgoing, Output, Role};
use crate::roster::Formation;
use crate::slot::{Slot, SlotRange};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// By this the bytes of a promise's first part are fewer than [`Limits::part_bytes_max`].
const FIRST_PART_DIVISOR: usize = 1024;

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
    /// Until then: first members that have to be heard from.
    pub awaited: Vec<NodeId>,
}

/// The acceptor.
///
/// Durable, by [`Record`]: the roster, the promise, the votes, and what of them is chosen.
#[derive(Debug)]
pub struct Acceptor {
    options: AcceptorOptions,
    formation: Formation,
    promised: Ballot,
    held: Held,
    /// What snapshots cover, as learners say.
    coverage: Coverage,
    /// Learners that other acceptors should feed, and when they last asked this one.
    guests: BTreeMap<NodeId, Now>,
    /// Chosen, and not yet in the log: it rides in the next frame, and nobody waits for it (R8).
    unlogged: Vec<Record>,
    /// The latest slots in a row that were voted for in one ballot: what `Accepted` tells.
    run: (Ballot, SlotRange),
    /// The leader heard last, and when (R9).
    heard: Option<(Ballot, Now)>,
    /// A leader counted every slot below as chosen.
    target: Slot,
    fetched_at: Now,
    fetches: usize,
    /// Fetches in a row that nobody has answered.
    unanswered: u32,
    introduced_at: Option<Now>,
}

impl Acceptor {
    /// An acceptor with an empty log; what the log holds is replayed into it.
    pub fn new(options: AcceptorOptions) -> Acceptor {
        Acceptor {
            formation: Formation::new(options.me, options.layout.clone()),
            options,
            promised: Ballot::ZERO,
            held: Held::default(),
            coverage: Coverage::default(),
            guests: BTreeMap::new(),
            unlogged: Vec::new(),
            run: Default::default(),
            heard: None,
            target: Slot::ZERO,
            fetched_at: Now(0),
            fetches: 0,
            unanswered: 0,
            introduced_at: None,
        }
    }

    /// What it tells about itself.
    pub fn status(&self) -> AcceptorStatus {
        AcceptorStatus {
            promised: self.promised,
            trimmed: self.held.trimmed(),
            chosen_below: self.held.chosen_below(),
            cluster: self.formation.roster().map(Configuration::cluster_id),
            formed: self.configuration().is_some(),
            awaited: self.formation.awaited(),
        }
    }

    /// The configuration under which it votes: none before the cluster has formed.
    pub fn configuration(&self) -> Option<&Configuration> {
        self.formation.configuration()
    }

    /// Itself.
    pub fn me(&self) -> MemberId {
        self.options.me
    }

    fn introduced(
        &mut self,
        from: MemberId,
        stored: Option<ClusterId>,
        formed: bool,
        out: &mut Output<Record>,
    ) {
        if let Some(record) = self.formation.introduced(from, stored, formed) {
            self.record(|| record, out);
            self.introduce(out);
        } else if !formed && self.configuration().is_some() {
            out.send(from.node, self.formation.introduction());
        }
    }

    fn introduce(&self, out: &mut Output<Record>) {
        for &node in self.formation.acceptors() {
            out.send(node, self.formation.introduction());
        }
    }

    /// R9: consents to a campaign unless it hears a live leader; changes nothing.
    fn poll(&self, now: Now, from: MemberId, attempt: u64, out: &mut Output<Record>) {
        let Some(configuration) = self.configuration() else { return };
        let live = self.heard.is_some_and(|(leader, at)| {
            leader.node != from.node && now.since(at) < self.options.timing.election_timeout_us()
        });
        let consent = configuration.has_proposer(from) && (!live || planted!(PollIgnoresLeader));
        out.send(from.node, ProposerMsg::Polled { attempt, consent, promised: self.promised });
    }

    /// Phase 1b: promises, and tells votes that are not known to be chosen, from `first` on, as
    /// many as fit in one part. The candidate asks for the next part when it has this one, so that
    /// no more than one is under way.
    fn prepare(
        &mut self,
        now: Now,
        from: MemberId,
        ballot: Ballot,
        first: Slot,
        out: &mut Output<Record>,
    ) {
        if ballot < self.promised {
            return self.reject(from, ballot, out);
        }
        if ballot > self.promised {
            self.record(|| Record::Promised(ballot), out);
        }
        if first > Slot::ZERO {
            // R9: a campaign that moves is as good as a leader; to disturb it would help nobody.
            self.heard = Some((ballot, now));
        }
        // What other promises say is chosen is asked of nobody. The first part does not know of it
        // yet, and what an acceptor far behind has to tell could block its link for long.
        let part_bytes_max = self.options.limits.part_bytes_max;
        let is_first = first == Slot::ZERO;
        let bytes_max = if is_first { part_bytes_max / FIRST_PART_DIVISOR } else { part_bytes_max };
        let part = self.held.promise(first, bytes_max);
        let part = Box::new(part);
        out.send(from.node, ProposerMsg::Promise { ballot, part });
    }

    /// Phase 2b: votes, unless it has promised not to.
    #[inline]
    fn accept(
        &mut self,
        from: MemberId,
        ballot: Ballot,
        slot: Slot,
        entry: Entry,
        out: &mut Output<Record>,
    ) {
        if ballot < self.promised && !planted!(VoteBelowPromise) {
            return self.reject(from, ballot, out);
        }
        if slot < self.held.chosen_below() {
            // R5: what is chosen there is what this ballot proposes, so the vote needs no storing.
            if ballot > self.promised {
                self.record(|| Record::Promised(ballot), out);
            }
        } else if self.held.voted(slot) != Some(ballot) {
            let vote = Vote { ballot, entry };
            self.feed(slot, &vote, out);
            self.record(|| Record::Voted { slot, vote }, out);
        }
        self.extend_run(ballot, slot);
        let slots = self.run.1;
        out.post(from.node, || ProposerMsg::Accepted { ballot, slots });
    }

    /// A leader at or above the promise lives (R9), and says what is chosen.
    #[inline]
    fn hear(&mut self, now: Now, ballot: Ballot, chosen: SlotRange) {
        if ballot >= self.promised {
            self.heard = Some((ballot, now));
            if chosen.below <= Slot::MAX {
                self.chosen(now, ballot, chosen);
            }
        }
    }

    fn heartbeat(&mut self, from: MemberId, ballot: Ballot, round: u64, out: &mut Output<Record>) {
        if ballot < self.promised {
            return self.reject(from, ballot, out);
        }
        if ballot > self.promised {
            self.record(|| Record::Promised(ballot), out);
        }
        let chosen_below = self.held.chosen_below();
        out.send(from.node, ProposerMsg::HeartbeatAck { ballot, round, chosen_below });
    }

    /// R8: what the leader counted as chosen is chosen here, as far as the votes are of its ballot.
    #[inline]
    fn chosen(&mut self, now: Now, ballot: Ballot, slots: SlotRange) {
        self.target = self.target.max(slots.below);
        let slots = self.held.reach(ballot, slots);
        if !slots.is_empty() {
            self.apply(&Record::Chosen { ballot, slots });
            self.fetched_at = now;
            match self.unlogged.last_mut() {
                Some(Record::Chosen { ballot: b, slots: s }) if *b == ballot => {
                    s.below = slots.below;
                }
                _ => self.unlogged.push(Record::Chosen { ballot, slots }),
            }
        }
    }

    /// R26: forgets what snapshots cover on enough disks. That goes for slots that it missed, too:
    /// they are chosen, and others may have forgotten them.
    fn covered(
        &mut self,
        from: MemberId,
        cluster: ClusterId,
        (below, time_ms): (Slot, u64),
        out: &mut Output<Record>,
    ) {
        let Some(configuration) = self.formation.configuration() else { return };
        let is_ours = configuration.has_learner(from) && configuration.cluster_id() == cluster;
        if below > Slot::MAX || !is_ours {
            return;
        }
        self.coverage.note(from.node, below, time_ms);
        let (mut below, log_time_ms) = self.coverage.trimmable(self.options.me.node, configuration);
        if planted!(TrimmedUncovered) {
            below = self.held.chosen_below();
        }
        if below > self.held.trimmed() {
            self.record(|| Record::Trimmed { below, log_time_ms }, out);
        }
    }

    fn reject(&self, from: MemberId, ballot: Ballot, out: &mut Output<Record>) {
        out.send(from.node, ProposerMsg::Reject { ballot, promised: self.promised });
    }

    #[inline]
    fn feed(&self, slot: Slot, vote: &Vote, out: &mut Output<Record>) {
        let Some(configuration) = self.configuration() else { return };
        let mut feed = |to| {
            let msg = || LearnerMsg::Voted { slot, vote: vote.clone() };
            let outgoing = || Outgoing { to, packet: msg().into() };
            out.feed.extend(core::iter::once_with(outgoing));
        };
        for &Feed { learner, acceptor } in &configuration.learners {
            if acceptor == self.options.me.node {
                feed(learner);
            }
        }
        if !self.guests.is_empty() {
            self.guests.keys().copied().for_each(feed);
        }
    }

    #[inline]
    fn extend_run(&mut self, ballot: Ballot, slot: Slot) {
        let (of, run) = &mut self.run;
        if *of == ballot && slot == run.below {
            run.below = slot.next();
        } else if *of != ballot || !run.contains(slot) {
            self.run = (ballot, SlotRange::new(slot, slot.next()));
        }
    }

    /// Applies a record and has it logged, behind what was chosen in the meantime.
    #[inline]
    fn record(&mut self, record: impl FnOnce() -> Record, out: &mut Output<Record>) {
        if !self.unlogged.is_empty() {
            out.records.append(&mut self.unlogged);
        }
        // Made where it stays.
        out.records.extend(core::iter::once_with(record));
        if let Some(record) = out.records.last() {
            self.apply(record);
        }
    }

    /// Applies a record: what [`Role::replay`] says, of one that somebody else keeps.
    ///
    /// # Panics
    /// If the record contradicts what came before it.
    fn apply(&mut self, record: &Record) {
        match record {
            Record::Roster(roster) => self.formation.replay_roster(Configuration::clone(roster)),
            Record::Formed => self.formation.replay_formed(),
            Record::Promised(ballot) => {
                assert!(*ballot > self.promised, "a promise never falls (invariant 2)");
                self.promised = *ballot;
            }
            Record::Voted { slot, vote } => {
                assert!(vote.ballot >= self.promised, "no vote below the promise (invariant 2)");
                if !planted!(PromiseNotRaised) {
                    self.promised = vote.ballot;
                }
                self.held.vote(*slot, vote.clone());
            }
            // Of slots that are trimmed, the log may have no votes any more.
            Record::Chosen { ballot, slots } => self.held.choose(*ballot, *slots),
            Record::Learned { slot, entry } => self.held.learn(*slot, entry.clone()),
            Record::Trimmed { below, log_time_ms } => self.held.trim(*below, *log_time_ms),
        }
    }

    /// Whether the sender may speak as the owner of `ballot`, here and now (invariants 4 and 6).
    #[inline]
    fn heeds(&self, from: MemberId, ballot: Ballot) -> bool {
        let invited = self.configuration().is_some_and(|c| c.has_proposer(from));
        let is_credible = ballot.is_sound() && ballot.follows(self.promised.round);
        invited && ballot.node == from.node && is_credible
    }
}

impl Role for Acceptor {
    type Msg = AcceptorMsg;
    type Record = Record;

    fn receive(&mut self, now: Now, from: MemberId, msg: AcceptorMsg, out: &mut Output<Record>) {
        match msg {
            AcceptorMsg::Introduce { stored, formed } => self.introduced(from, stored, formed, out),
            AcceptorMsg::AskRoster { role } => {
                let Some(roster) = self.configuration() else { return };
                let roster = Box::new(roster.clone());
                match role {
                    RoleName::Proposer => out.send(from.node, ProposerMsg::Roster(roster)),
                    RoleName::Learner => out.send(from.node, LearnerMsg::Roster(roster)),
                    RoleName::Acceptor | RoleName::Client => {}
                }
            }
            AcceptorMsg::Poll { attempt } => self.poll(now, from, attempt, out),
            AcceptorMsg::Prepare { ballot, from: first } => {
                if self.heeds(from, ballot) && first <= Slot::MAX {
                    self.prepare(now, from, ballot, first, out);
                }
            }
            AcceptorMsg::Accept { ballot, slot, entry, chosen } => {
                if self.heeds(from, ballot) && slot < Slot::MAX {
                    self.accept(from, ballot, slot, entry, out);
                    self.hear(now, ballot, chosen);
                }
            }
            AcceptorMsg::Heartbeat { ballot, round, chosen } => {
                if self.heeds(from, ballot) {
                    self.hear(now, ballot, chosen);
                    self.heartbeat(from, ballot, round, out);
                }
            }
            AcceptorMsg::Fetch { from: first, role } => {
                if self.configuration().is_some() {
                    self.fetch(now, from, first, role, out);
                }
            }
            AcceptorMsg::Entries(entries) => {
                if self.configuration().is_some_and(|c| c.bit(from) != 0) {
                    self.fetched(now, from, entries, out);
                }
            }
            AcceptorMsg::Covered { cluster, below, log_time_ms } => {
                self.covered(from, cluster, (below, log_time_ms), out);
            }
        }
    }

    fn tick(&mut self, now: Now, out: &mut Output<Record>) {
        if self.configuration().is_some() {
            let patience = 2 * self.options.timing.election_timeout_us();
            self.guests.retain(|_, asked_at| now.since(*asked_at) < patience);
            return self.fill_holes(now, out);
        }
        let patience = self.options.timing.heartbeat_us();
        if self.introduced_at.is_none_or(|at| now.since(at) >= patience) {
            self.introduced_at = Some(now);
            self.introduce(out);
        }
    }

    /// # Panics
    /// If the record contradicts what came before it: a promise that falls, a second roster, chosen
    /// slots out of order. The log is damaged, or the rules are; going on would be worse.
    fn replay(&mut self, record: Record) {
        self.apply(&record);
    }
}
