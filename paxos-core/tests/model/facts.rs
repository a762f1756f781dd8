//! What letters say, and whether all of it can be true: the invariants of the design.
//!
//! The network forgets nothing that was sent, so what was ever told is there to be seen. Votes are
//! counted here from what acceptors told, not from what roles believe.

use super::bounds::Bounds;
use super::letter::Letter;
use super::machines::View;
use paxos_core::*;

/// What one letter says that an invariant is about.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    from: NodeId,
    /// The sender's promise is at least this.
    promised: Option<Ballot>,
    /// The sender has voted in this ballot in these slots.
    voted: Option<(Ballot, SlotRange)>,
    /// The sender proposes this.
    proposed: Option<(Ballot, Slot, Entry)>,
    /// The sender counted the votes of this ballot in these slots.
    counted: Option<(Ballot, SlotRange)>,
    /// The sender holds these entries as chosen.
    held: Option<Entries>,
    /// It counts only while its addressee asks for promises to this ballot.
    pub promise: Option<(NodeId, Ballot)>,
}

impl Fact {
    pub fn of(letter: &Letter) -> Fact {
        let mut fact = Fact { from: letter.from.node, ..Fact::default() };
        match &letter.packet {
            Packet::Proposer(ProposerMsg::Promise { ballot, .. }) => {
                fact.promised = Some(*ballot);
                fact.promise = Some((letter.to, *ballot));
            }
            Packet::Proposer(ProposerMsg::HeartbeatAck { ballot, .. }) => {
                fact.promised = Some(*ballot);
            }
            Packet::Proposer(ProposerMsg::Accepted { ballot, slots }) => {
                fact.promised = Some(*ballot);
                fact.voted = Some((*ballot, *slots));
            }
            Packet::Proposer(ProposerMsg::Reject { promised, .. }) => {
                fact.promised = Some(*promised);
            }
            Packet::Acceptor(AcceptorMsg::Accept { ballot, slot, entry, chosen }) => {
                fact.proposed = Some((*ballot, *slot, entry.clone()));
                fact.counted = Some((*ballot, *chosen));
            }
            Packet::Acceptor(AcceptorMsg::Heartbeat { ballot, chosen, .. }) => {
                fact.counted = Some((*ballot, *chosen));
            }
            Packet::Learner(LearnerMsg::Chosen { ballot, slots }) => {
                fact.counted = Some((*ballot, *slots));
            }
            Packet::Acceptor(AcceptorMsg::Entries(entries))
            | Packet::Learner(LearnerMsg::Entries(entries)) => fact.held = Some(entries.clone()),
            _ => {}
        }
        fact
    }
}

/// What was found out about one state of the cluster: bits, so that it can be a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Findings(u32);

/// What may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Finding {
    TwoEntriesChosen,
    PromiseFell,
    VolatileTold,
    BallotOfTwoEntries,
    OtherProposed,
    Miscounted,
    AppliedOther,
    // From here on: what must be seen in some state.
    Chosen,
    AllChosen,
    ChosenTwice,
    TwoLead,
    EachLed,
    ProposedAgain,
    HoleFilled,
    Forgot,
    Applied,
    Learned,
}

impl Findings {
    pub fn has(self, finding: Finding) -> bool {
        self.0 & (1 << finding as u32) != 0
    }

    fn note(&mut self, finding: Finding, holds: bool) {
        self.0 |= u32::from(holds) << finding as u32;
    }
}

/// Everything that was told, and who is in which state.
pub struct Told<'a> {
    pub bounds: &'a Bounds,
    pub quorums: Quorums,
    /// What is in the network.
    pub facts: Vec<&'a Fact>,
    /// By node, from node 1 on.
    pub views: Vec<&'a View>,
}

/// An entry that was chosen.
struct Choice<'a> {
    slot: Slot,
    ballot: Ballot,
    entry: &'a Entry,
}

impl<'a> Told<'a> {
    pub fn judge(&self) -> Findings {
        use Finding::*;
        let mut found = Findings::default();
        let proposed = self.proposed();
        let choices = self.choices(&proposed);
        let is_chosen = |slot| choices.iter().find(|choice| choice.slot == slot);
        let differs = |slot, entry: &Entry| is_chosen(slot).is_none_or(|c| c.entry != entry);
        for (one, other) in pairs(&choices) {
            found.note(TwoEntriesChosen, one.slot == other.slot && one.entry != other.entry);
            found.note(ChosenTwice, one.slot == other.slot);
        }
        for (one, other) in pairs(&proposed) {
            let (one_ballot, one_slot, one_entry) = one;
            let (ballot, slot, entry) = other;
            let is_one = one_ballot == ballot && one_slot == slot;
            found.note(BallotOfTwoEntries, is_one && one_entry != entry);
            let owners = (one_ballot.node, ballot.node);
            found.note(EachLed, owners.0 != owners.1);
            let again = one_slot == slot && owners.0 != owners.1 && one_entry == entry;
            found.note(ProposedAgain, again && !entry.is_noop());
        }
        for &&(ballot, slot, ref entry) in &proposed {
            let contradicts = |c: &Choice| c.slot == slot && c.ballot < ballot && c.entry != entry;
            found.note(OtherProposed, choices.iter().any(contradicts));
            found.note(HoleFilled, entry.is_noop());
        }
        for fact in &self.facts {
            if let Some(told) = fact.promised {
                let view = self.views[fact.from.0 as usize - 1];
                found.note(PromiseFell, view.promised < told);
                found.note(VolatileTold, view.promised_durably < told);
            }
            if let Some((ballot, slots)) = fact.counted {
                let counted = |slot| choices.iter().any(|c| c.slot == slot && c.ballot == ballot);
                found.note(Miscounted, !(slots.from.0..slots.below.0).all(|s| counted(Slot(s))));
            }
            if let Some(held) = &fact.held {
                let mut slots = (held.from.0..).map(Slot).zip(&held.entries);
                found.note(Miscounted, slots.any(|(slot, entry)| differs(slot, entry)));
                found.note(Learned, !held.entries.is_empty());
            }
        }
        for view in &self.views {
            found.note(Miscounted, !(0..view.chosen_below).all(|s| is_chosen(Slot(s)).is_some()));
            found.note(VolatileTold, view.broken.is_some());
            found.note(Forgot, view.forgot);
            found.note(Applied, !view.applied.is_empty());
            let applied = view.applied.iter().map(|(slot, value)| (is_chosen(*slot), value));
            let runs = |c: &Choice, value| c.entry.commands.iter().any(|c| has(c, value));
            let same =
                |(chosen, value): (Option<&Choice>, _)| chosen.is_some_and(|c| runs(c, value));
            found.note(AppliedOther, !applied.into_iter().all(same));
        }
        let all = (0..self.bounds.slots).all(|slot| is_chosen(Slot(slot)).is_some());
        found.note(AllChosen, all);
        found.note(Chosen, !choices.is_empty());
        found.note(TwoLead, self.views.iter().filter(|view| view.leads.is_some()).count() > 1);
        found
    }

    /// What was proposed, each once.
    fn proposed(&self) -> Vec<&'a (Ballot, Slot, Entry)> {
        let mut proposed: Vec<&(Ballot, Slot, Entry)> = Vec::with_capacity(8);
        for proposal in self.facts.iter().filter_map(|fact| fact.proposed.as_ref()) {
            if !proposed.contains(&proposal) {
                proposed.push(proposal);
            }
        }
        proposed
    }

    /// Each (ballot, slot) that a phase-2 quorum told that it had voted in.
    fn choices(&self, proposed: &[&'a (Ballot, Slot, Entry)]) -> Vec<Choice<'a>> {
        let votes = |ballot: Ballot, slot: Slot| {
            let voted = self.facts.iter().filter(|fact| {
                fact.voted.is_some_and(|(b, slots)| b == ballot && slots.contains(slot))
            });
            voted.fold(0, |votes, fact| votes | 1 << (fact.from.0 - 1))
        };
        let chosen = |&&(ballot, slot, ref entry): &&'a (Ballot, Slot, Entry)| {
            self.quorums.phase2(votes(ballot, slot)).then_some(Choice { slot, ballot, entry })
        };
        proposed.iter().filter_map(chosen).collect()
    }
}

fn has(command: &Command, value: &bytes::Bytes) -> bool {
    matches!(&command.body, Body::Run { value: v, .. } if v == value)
}

fn pairs<T>(all: &[T]) -> impl Iterator<Item = (&T, &T)> {
    all.iter().enumerate().flat_map(|(at, one)| all[at + 1..].iter().map(move |other| (one, other)))
}
