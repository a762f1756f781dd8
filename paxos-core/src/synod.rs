//! The synod: one decree, chosen for ever ("Paxos Made Simple", section 2).
//!
//! This is Paxos for a single value, to be read beside the paper. Every node is an acceptor and a
//! learner, and any node can become the proposer of a value at any time. The rest of this crate
//! is what it takes to choose one value after another.
//!
//! Three phases:
//!
//! ```text
//! proposer ── Prepare(b) ────▶ acceptors      1. may I propose in ballot b, and what did you vote?
//!          ◀─ Promise(b, v) ──
//!          ── Accept(b, v) ──▶ acceptors      2. vote for v in b
//!          ◀─ Accepted(b) ────
//!          ── Chosen(v) ─────▶ learners       3. a quorum has: v is chosen
//! ```
//!
//! Time is not in here. Who proposes again after how long is the caller's choice, and decides over
//! progress only, never over safety (section 2.4): wait for a random while after a preemption.

use crate::ballot::{Ballot, MemberId, NodeId};
use crate::quorum::{AcceptorSet, Quorums};
use alloc::vec::Vec;

/// What the nodes of a synod say to each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Msg<V> {
    /// Phase 1a.
    Prepare {
        /// The proposer's ballot.
        ballot: Ballot,
    },
    /// Phase 1b: no vote below `ballot` any more, and the vote that there is.
    Promise {
        /// The ballot promised.
        ballot: Ballot,
        /// The acceptor's vote of the highest ballot, if it has voted.
        vote: Option<Vote<V>>,
    },
    /// Phase 2a.
    Accept {
        /// The ballot and its value.
        vote: Vote<V>,
    },
    /// Phase 2b: a durable vote in this ballot.
    Accepted {
        /// The ballot voted in.
        ballot: Ballot,
    },
    /// The acceptor has promised a higher ballot than the one that asked.
    Reject {
        /// The ballot that asked.
        ballot: Ballot,
        /// The acceptor's promise.
        promised: Ballot,
    },
    /// Phase 3: a quorum voted for this value in one ballot.
    Chosen {
        /// The value.
        value: V,
    },
}

/// A vote for a value: what the paper calls an accepted proposal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vote<V> {
    /// The ballot voted in; it has one value.
    pub ballot: Ballot,
    /// The value voted for.
    pub value: V,
}

/// What an acceptor must find again after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record<V> {
    /// Promised: nothing below this ballot is voted for any more.
    Promised(Ballot),
    /// Voted. It raises the promise to the vote's ballot as well.
    Voted(Vote<V>),
}

/// What one step asks of the world: `mail` leaves when `records` are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output<V> {
    /// To be made durable, in this order. They are applied already.
    pub records: Vec<Record<V>>,
    /// Messages and the nodes they are for.
    pub mail: Vec<(NodeId, Msg<V>)>,
}

/// One node of a synod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Synod<V> {
    me: MemberId,
    life: u64,
    members: Vec<MemberId>,
    quorums: Quorums,
    /// The highest round seen: a Lamport clock, which the next own ballot is above.
    round: u64,
    proposer: Proposer<V>,
    acceptor: Acceptor<V>,
    chosen: Option<V>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Proposer<V> {
    Idle,
    /// Phase 1: counts promises, and keeps the highest vote that they told of.
    Preparing {
        ballot: Ballot,
        wish: V,
        promises: AcceptorSet,
        highest: Option<Vote<V>>,
    },
    /// Phase 2: counts votes.
    Accepting {
        vote: Vote<V>,
        votes: AcceptorSet,
    },
    Preempted {
        by: Ballot,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Acceptor<V> {
    promised: Ballot,
    vote: Option<Vote<V>>,
}

impl<V: Clone + Eq> Synod<V> {
    /// A node that has promised nothing; what it stored is replayed into it. `members` are all
    /// nodes, in the same order everywhere; `life` is random at each process start.
    ///
    /// # Panics
    /// If `quorums` is not made for as many acceptors as there are members.
    pub fn new(me: MemberId, members: Vec<MemberId>, quorums: Quorums, life: u64) -> Synod<V> {
        assert_eq!(quorums.acceptors(), members.len(), "one acceptor per member");
        Synod {
            me,
            life,
            members,
            quorums,
            round: 0,
            proposer: Proposer::Idle,
            acceptor: Acceptor { promised: Ballot::ZERO, vote: None },
            chosen: None,
        }
    }

    /// Phase 1a: becomes the proposer of `value`, in a ballot above all it has seen. A proposal of
    /// its own that is under way is abandoned, and its ballot is never used again.
    pub fn propose(&mut self, value: V, out: &mut Output<V>) {
        self.round += 1;
        let ballot = Ballot { round: self.round, node: self.me.node, life: self.life };
        self.proposer = Proposer::Preparing { ballot, wish: value, promises: 0, highest: None };
        self.send_all(Msg::Prepare { ballot }, out);
    }

    /// Takes one message.
    pub fn receive(&mut self, from: MemberId, msg: Msg<V>, out: &mut Output<V>) {
        let bit = self.bit(from);
        if bit == 0 {
            return; // Votes and promises count for members only (invariant 6).
        }
        match msg {
            Msg::Prepare { ballot } if owns(from, ballot) => self.prepare(from, ballot, out),
            Msg::Promise { ballot, vote } => self.promised(bit, ballot, vote, out),
            Msg::Accept { vote } if owns(from, vote.ballot) => self.accept(from, vote, out),
            Msg::Accepted { ballot } => self.accepted(bit, ballot, out),
            Msg::Reject { ballot, promised } => self.rejected(ballot, promised),
            Msg::Chosen { value } => self.learn(value),
            Msg::Prepare { .. } | Msg::Accept { .. } => {}
        }
    }

    /// Phase 1b: "if an acceptor receives a prepare request with number n greater than that of any
    /// prepare request to which it has already responded, then it responds to the request with a
    /// promise not to accept any more proposals numbered less than n and with the highest-numbered
    /// proposal (if any) that it has accepted."
    fn prepare(&mut self, from: MemberId, ballot: Ballot, out: &mut Output<V>) {
        self.see(ballot);
        if ballot < self.acceptor.promised {
            return self.reject(from, ballot, out);
        }
        if ballot > self.acceptor.promised {
            self.record(Record::Promised(ballot), out);
        }
        let vote = self.acceptor.vote.clone();
        out.mail.push((from.node, Msg::Promise { ballot, vote }));
    }

    /// Phase 2a: with the promises of a quorum, the proposer issues a proposal "with a value v,
    /// where v is the value of the highest-numbered proposal among the responses, or is any value
    /// if the responses reported no proposals". This maintains P2c, from which P2b, P2a and P2
    /// follow: no higher proposal can contradict a chosen one.
    fn promised(
        &mut self,
        bit: AcceptorSet,
        ballot: Ballot,
        vote: Option<Vote<V>>,
        out: &mut Output<V>,
    ) {
        let Proposer::Preparing { ballot: mine, wish, promises, highest } = &mut self.proposer
        else {
            return;
        };
        if ballot != *mine {
            return;
        }
        *promises |= bit;
        if let Some(vote) = vote
            && highest.as_ref().is_none_or(|known| known.ballot < vote.ballot)
        {
            *highest = Some(vote);
        }
        if self.quorums.phase1(*promises) {
            let value = highest.take().map_or_else(|| wish.clone(), |vote| vote.value);
            let vote = Vote { ballot, value };
            self.proposer = Proposer::Accepting { vote: vote.clone(), votes: 0 };
            self.send_all(Msg::Accept { vote }, out);
        }
    }

    /// Phase 2b: P1a, "an acceptor can accept a proposal numbered n iff it has not responded to a
    /// prepare request having a number greater than n". It contains P1: the first proposal that an
    /// acceptor receives is accepted.
    fn accept(&mut self, from: MemberId, vote: Vote<V>, out: &mut Output<V>) {
        let ballot = vote.ballot;
        self.see(ballot);
        if ballot < self.acceptor.promised {
            return self.reject(from, ballot, out);
        }
        if self.acceptor.vote.as_ref().is_none_or(|known| known.ballot != ballot) {
            self.record(Record::Voted(vote), out);
        }
        out.mail.push((from.node, Msg::Accepted { ballot }));
    }

    /// Phase 3: a value is chosen when a quorum has voted for it in one ballot. The proposer is the
    /// distinguished learner of its ballot (section 2.3), and tells the others.
    fn accepted(&mut self, bit: AcceptorSet, ballot: Ballot, out: &mut Output<V>) {
        let Proposer::Accepting { vote, votes } = &mut self.proposer else { return };
        if ballot != vote.ballot {
            return;
        }
        *votes |= bit;
        if self.quorums.phase2(*votes) {
            let value = vote.value.clone();
            self.proposer = Proposer::Idle;
            self.send_all(Msg::Chosen { value }, out);
        }
    }

    /// Preemption: a higher ballot is about, so this one is given up (section 2.5). That costs
    /// time, never safety.
    fn rejected(&mut self, ballot: Ballot, promised: Ballot) {
        self.see(promised);
        if self.ballot() == Some(ballot) && promised > ballot {
            self.proposer = Proposer::Preempted { by: promised };
        }
    }

    fn learn(&mut self, value: V) {
        self.chosen.get_or_insert(value);
    }

    /// The value chosen, if this node knows it. A node that missed it can propose any value: it
    /// then proposes the chosen one, and learns it (section 2.3).
    pub fn chosen(&self) -> Option<&V> {
        self.chosen.as_ref()
    }

    /// The ballot that this node proposes in, while a proposal of its own is under way.
    pub fn ballot(&self) -> Option<Ballot> {
        match &self.proposer {
            Proposer::Preparing { ballot, .. } => Some(*ballot),
            Proposer::Accepting { vote, .. } => Some(vote.ballot),
            Proposer::Idle | Proposer::Preempted { .. } => None,
        }
    }

    /// The higher ballot for which this node's own proposal was given up.
    pub fn preempted(&self) -> Option<Ballot> {
        match self.proposer {
            Proposer::Preempted { by } => Some(by),
            _ => None,
        }
    }

    /// Applies a record: the only way in which durable state changes, live and after a crash.
    ///
    /// # Panics
    /// If a promise would fall, or a ballot have two values: what was stored is damaged.
    pub fn replay(&mut self, record: Record<V>) {
        let Acceptor { promised, vote } = &mut self.acceptor;
        match record {
            Record::Promised(ballot) => {
                assert!(ballot > *promised, "a promise never falls (P1a)");
                *promised = ballot;
            }
            Record::Voted(new) => {
                assert!(new.ballot >= *promised, "no vote below the promise (P1a)");
                let same = vote.as_ref().is_none_or(|v| v.ballot != new.ballot || *v == new);
                assert!(same, "a ballot has one value");
                *promised = new.ballot;
                *vote = Some(new);
            }
        }
        self.see(self.acceptor.promised);
    }

    fn record(&mut self, record: Record<V>, out: &mut Output<V>) {
        self.replay(record.clone());
        out.records.push(record);
    }

    fn reject(&self, from: MemberId, ballot: Ballot, out: &mut Output<V>) {
        let promised = self.acceptor.promised;
        out.mail.push((from.node, Msg::Reject { ballot, promised }));
    }

    fn see(&mut self, ballot: Ballot) {
        if ballot.is_sound() {
            self.round = self.round.max(ballot.round);
        }
    }

    fn bit(&self, member: MemberId) -> AcceptorSet {
        self.members.iter().position(|&m| m == member).map_or(0, |i| 1 << i)
    }

    /// To every node, itself too: an own vote is a vote like any other.
    fn send_all(&self, msg: Msg<V>, out: &mut Output<V>) {
        out.mail.extend(self.members.iter().map(|member| (member.node, msg.clone())));
    }
}

/// A ballot has one owner in all history, and only the owner speaks in it.
fn owns(from: MemberId, ballot: Ballot) -> bool {
    ballot.node == from.node && ballot.is_sound()
}

impl<V> Output<V> {
    /// Nothing asked.
    pub fn new() -> Output<V> {
        Output { records: Vec::new(), mail: Vec::new() }
    }
}

impl<V> Default for Output<V> {
    fn default() -> Output<V> {
        Output::new()
    }
}
