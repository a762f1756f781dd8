//! What happened, in the words of a lab notebook.

use super::lab::Register;
use paxos_core::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A role: its kind, and its node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub(super) char, pub(super) u64);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0, self.1)
    }
}

/// Notes what each step did. Heartbeats, and answers that change nothing, are not worth a note.
#[derive(Default)]
pub(super) struct Notebook {
    notes: Vec<Note>,
    proposed: BTreeSet<(Ballot, Slot)>,
    voted: BTreeMap<Slot, Vec<Entry>>,
}

struct Note {
    who: Vec<Name>,
    what: String,
}

impl Notebook {
    /// What was noted since the last page.
    pub(super) fn page(&mut self) -> String {
        let notes = std::mem::take(&mut self.notes);
        notes.iter().map(|note| note.to_string() + "\n").collect()
    }

    pub(super) fn note(&mut self, what: String) {
        self.notes.push(Note { who: Vec::new(), what });
    }

    /// The same of several roles in a row is one note.
    fn step(&mut self, who: Name, what: Vec<String>) {
        let what = what.join(", ");
        match self.notes.last_mut() {
            _ if what.is_empty() => {}
            Some(last) if last.what == what && !last.who.contains(&who) => last.who.push(who),
            _ => self.notes.push(Note { who: vec![who], what }),
        }
    }

    pub(super) fn acceptor(
        &mut self,
        who: Name,
        before: &AcceptorStatus,
        after: &AcceptorStatus,
        out: &Output<Record>,
    ) {
        let mut what = Vec::new();
        for record in &out.records {
            match record {
                Record::Promised(ballot) => what.push(format!("promises {ballot}")),
                Record::Voted { slot, vote } => {
                    let Vote { ballot, entry } = vote;
                    what.push(format!("votes for slot {slot} = {} in {ballot}", words(entry)));
                    self.voted.entry(*slot).or_default().push(entry.clone());
                }
                _ => {}
            }
        }
        if after.chosen_below > before.chosen_below {
            what.push(format!("holds all below {} as chosen", after.chosen_below));
        }
        for Outgoing { to, packet } in &out.mail {
            match packet {
                Packet::Proposer(ProposerMsg::Polled { consent: true, .. }) => {
                    what.push(format!("consents to p{to}"));
                }
                Packet::Proposer(ProposerMsg::Polled { .. }) => {
                    what.push(format!("refuses p{to}, hearing a leader"));
                }
                Packet::Proposer(ProposerMsg::Reject { ballot, promised }) => {
                    what.push(format!("rejects {ballot}, having promised {promised}"));
                }
                Packet::Acceptor(AcceptorMsg::Fetch { from, .. }) => {
                    what.push(format!("fetches from slot {from} at a{to}"));
                }
                _ => {}
            }
        }
        self.step(who, what);
    }

    pub(super) fn proposer(
        &mut self,
        who: Name,
        before: &ProposerStatus,
        after: &ProposerStatus,
        out: &Output<NoRecord>,
    ) {
        let mut what = Vec::new();
        let is = (after.stance, after.ballot);
        if is != (before.stance, before.ballot) {
            what.push(match is {
                (StanceName::Campaign, Ballot::ZERO) => "polls".to_owned(),
                (StanceName::Campaign, ballot) => format!("prepares {ballot}"),
                (StanceName::Lead, ballot) => format!("leads {ballot}"),
                (_, Ballot::ZERO) if before.stance == StanceName::Lead => {
                    format!("steps down from {}", before.ballot)
                }
                (_, Ballot::ZERO) => format!("gives {} up", before.ballot),
                (_, ballot) => format!("follows {ballot}"),
            });
        }
        if before.ballot == after.ballot && after.chosen_below > before.chosen_below {
            what.push(format!("counts all below {} as chosen", after.chosen_below));
        }
        let mut said = BTreeSet::new();
        for Outgoing { to, packet } in &out.mail {
            match packet {
                Packet::Acceptor(AcceptorMsg::Accept { ballot, slot, entry, .. })
                    if said.insert(*slot) =>
                {
                    what.push(self.proposal(*ballot, *slot, entry));
                }
                Packet::Proposer(ProposerMsg::Propose { commands, .. }) => {
                    let entry = Entry { log_time_ms: 0, commands: commands.as_slice().into() };
                    what.push(format!("forwards {} to p{to}", words(&entry)));
                }
                Packet::Proposer(ProposerMsg::AskReadIndex { learner, .. }) => {
                    what.push(format!("forwards the question of l{learner} to p{to}"));
                }
                Packet::Learner(LearnerMsg::ReadIndex { below, .. }) => {
                    what.push(format!("confirms to l{to} that all below {below} must be applied"));
                }
                _ => {}
            }
        }
        self.step(who, what);
    }

    fn proposal(&mut self, ballot: Ballot, slot: Slot, entry: &Entry) -> String {
        let known = self.voted.get(&slot).is_some_and(|voted| voted.contains(entry));
        let verb = match self.proposed.insert((ballot, slot)) {
            false => "repeats",
            true if known => "re-proposes",
            true => "proposes",
        };
        format!("{verb} slot {slot} = {}", words(entry))
    }

    pub(super) fn learner(
        &mut self,
        who: Name,
        before: &LearnerStatus,
        learner: &Learner<Register>,
        out: &Output<NoRecord>,
    ) {
        let mut what = Vec::new();
        for slot in before.applied_below.0..learner.status().applied_below.0 {
            let written = learner.state().written.iter().filter(|(at, _)| at.0 == slot);
            let written: Vec<&str> = written.map(|(_, value)| value.as_str()).collect();
            what.push(match written.is_empty() {
                true => format!("applies slot {slot}, which writes nothing"),
                false => format!("applies slot {slot} = {}", written.join(" ")),
            });
        }
        for Outgoing { to, packet } in &out.mail {
            match packet {
                Packet::Acceptor(AcceptorMsg::Fetch { from, .. }) => {
                    what.push(format!("fetches from slot {from} at a{to}"));
                }
                Packet::Proposer(ProposerMsg::AskReadIndex { .. }) => {
                    what.push(format!("asks p{to} for a read index"));
                }
                Packet::Client(ClientMsg::Registered { session, .. }) => {
                    what.push(format!("opens session {session}"));
                }
                Packet::Client(ClientMsg::ReadReply { result, .. }) => {
                    what.push(format!("answers {}", String::from_utf8_lossy(result)));
                }
                _ => {}
            }
        }
        self.step(who, what);
    }
}

/// `a1, a2 promise 1.1`, or `p1 leads 1.1`.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who: Vec<String> = self.who.iter().map(Name::to_string).collect();
        match who.len() {
            0 => write!(f, "{}", self.what),
            1 => write!(f, "{} {}", who[0], self.what),
            _ => {
                let clauses: Vec<String> = self.what.split(", ").map(plural).collect();
                write!(f, "{} {}", who.join(", "), clauses.join(", "))
            }
        }
    }
}

/// What several do: without the `s` of the verb that begins the clause.
fn plural(clause: &str) -> String {
    let (verb, rest) = clause.split_once(' ').unwrap_or((clause, ""));
    let verb = match verb.strip_suffix('s') {
        Some(stem) if stem.ends_with("ie") => format!("{}y", &stem[..stem.len() - 2]),
        Some(stem) if stem.ends_with("che") => stem[..stem.len() - 1].to_owned(),
        Some(stem) => stem.to_owned(),
        None => verb.to_owned(),
    };
    format!("{verb} {rest}").trim_end().to_owned()
}

/// The commands of an entry, as the script wrote them.
fn words(entry: &Entry) -> String {
    if entry.is_noop() {
        return "no-op".to_owned();
    }
    let command = |command: &Command| match &command.body {
        Body::Register { .. } => "session".to_owned(),
        Body::Run { value, .. } => String::from_utf8_lossy(value).into_owned(),
    };
    entry.commands.iter().map(command).collect::<Vec<_>>().join(" ")
}

/// How many messages of which kind.
pub(super) fn kinds<'a>(packets: impl Iterator<Item = &'a Packet>) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    packets.for_each(|packet| *counts.entry(packet.kind().name()).or_default() += 1);
    let counts: Vec<String> = counts.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    counts.join(", ")
}
