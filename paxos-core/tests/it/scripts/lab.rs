//! A small cluster that does what a script says, one step at a time.

use super::notebook::{Name, Notebook, kinds};
use bytes::Bytes;
use paxos_core::*;
use std::collections::{BTreeMap, BTreeSet};

const CLIENT: NodeId = NodeId(99);

/// The cluster, the network between its roles, and what is noted of both.
#[derive(Default)]
pub(super) struct Lab {
    now: u64,
    layout: Option<Layout>,
    acceptors: BTreeMap<u64, (Acceptor, Vec<Record>)>,
    proposers: BTreeMap<u64, Proposer>,
    learners: BTreeMap<u64, Learner<Register>>,
    network: Vec<Letter>,
    votes_held: bool,
    isolated: BTreeSet<Name>,
    session: Option<SessionId>,
    sequence: u64,
    reads: u64,
    lives: u64,
    pub(super) notebook: Notebook,
}

struct Letter {
    from: Name,
    to: Name,
    packet: Packet,
}

/// Values by key, and in which slot each was written.
#[derive(Default)]
pub(super) struct Register {
    values: BTreeMap<String, String>,
    pub(super) written: Vec<(Slot, String)>,
}

impl StateMachine for Register {
    fn apply(&mut self, at: Applied, command: &Bytes) -> Bytes {
        let text = String::from_utf8_lossy(command).into_owned();
        self.written.push((at.slot, text.clone()));
        let (key, value) = text.split_once('=').unwrap_or((&text, ""));
        self.values.insert(key.to_owned(), value.to_owned());
        command.clone()
    }

    fn query(&self, query: &Bytes) -> Bytes {
        let key = String::from_utf8_lossy(query).into_owned();
        let value = self.values.get(&key).map_or("nothing", String::as_str);
        Bytes::from(format!("{key}={value}"))
    }

    fn digest(&self) -> u64 {
        self.written.len() as u64
    }

    fn snapshot(&self) -> SnapshotParts {
        let parts = self.written.clone().into_iter();
        Box::new(parts.map(|(slot, text)| format!("{slot} {text}").into()))
    }

    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        let text = String::from_utf8_lossy(part).into_owned();
        let (slot, text) = text.split_once(' ').ok_or(Unrestorable("no slot"))?;
        let slot = Slot(slot.parse().map_err(|_| Unrestorable("no number"))?);
        self.apply(Applied { slot, ..Applied::default() }, &Bytes::from(text.to_owned()));
        Ok(())
    }
}

impl Lab {
    /// Runs one command; `false` where there is no such command.
    ///
    /// ```text
    /// cluster acceptors=3 proposers=2 [learners=3]   a new cluster that has formed, at rest
    /// campaign 1            p1 loses patience and polls
    /// propose 1 x=1 y=2     a client hands p1 these commands
    /// session 1             a client opens the session that later commands are in, through p1
    /// read l1 x             a client asks l1 for x
    /// deliver [to=a1,a2]    all that is under way arrives, and what follows from it; or only the
    ///                       mail to and from these
    /// step [to=a1,a2]       as deliver, without what follows from it
    /// drop [to=a1]          what is under way is lost; or only the mail to and from these
    /// hold votes, release   votes stay under way until released
    /// isolate p1, heal      mail to and from p1 is lost, until healed
    /// tick [p1] [400ms]     time passes (one heartbeat), for all or, as far as they know, for p1
    /// crash a1, restart a1  a1 is gone, and is back with what its log holds
    /// ```
    pub(super) fn run(&mut self, words: &[&str]) -> bool {
        match words {
            ["cluster", sizes @ ..] => self.cluster(sizes),
            ["campaign", node] => self.campaign(number(node)),
            ["propose", node, values @ ..] => self.propose(number(node), values),
            ["session", node] => self.open_session(number(node)),
            ["read", learner, key] => self.read(name(learner), key),
            ["deliver"] => self.deliver(None),
            ["deliver", to] => self.deliver(Some(names(to))),
            ["step"] => _ = self.sweep(None),
            ["step", to] => _ = self.sweep(Some(&names(to))),
            ["drop"] => self.lose(None),
            ["drop", to] => self.lose(Some(names(to))),
            ["hold", "votes"] => self.votes_held = true,
            ["release"] => self.votes_held = false,
            ["isolate", who] => drop(self.isolated.insert(name(who))),
            ["heal"] => self.isolated.clear(),
            ["tick"] => self.tick(None, 50),
            ["tick", ms] if ms.ends_with("ms") => self.tick(None, number(ms)),
            ["tick", who] => self.tick(Some(name(who)), 50),
            ["tick", who, ms] => self.tick(Some(name(who)), number(ms)),
            ["crash", who] => self.crash(name(who)),
            ["restart", who] => self.restart(name(who)),
            _ => return false,
        }
        true
    }

    fn cluster(&mut self, sizes: &[&str]) {
        let size = |role: &str| {
            let size = sizes.iter().find_map(|size| size.strip_prefix(role)?.strip_prefix('='));
            size.map_or(0, number)
        };
        let nodes = |role: &str| (1..=size(role)).map(NodeId).collect::<Vec<_>>();
        let acceptors = nodes("acceptors");
        let feeds = nodes("learners").into_iter().map(|n| Feed { learner: n, acceptor: n });
        *self = Lab {
            now: 1_000_000,
            layout: Some(Layout {
                quorums: Quorums::majority(acceptors.len()).unwrap(),
                acceptors,
                proposers: nodes("proposers"),
                learners: feeds.collect(),
                window: Layout::WINDOW,
                sessions: SessionRules::default(),
            }),
            notebook: std::mem::take(&mut self.notebook),
            ..Lab::default()
        };
        for (role, letter) in [("acceptors", 'a'), ("proposers", 'p'), ("learners", 'l')] {
            nodes(role).into_iter().for_each(|node| self.restart(Name(letter, node.0)));
        }
        self.network.clear();
    }

    /// A role starts with what it stored: acceptors a log, the others nothing but a new life.
    fn restart(&mut self, who: Name) {
        let Name(role, node) = who;
        let layout = self.layout.clone().expect("a cluster comes first");
        let (timing, limits) = (Timing::default(), Limits::default());
        let (me, roster) = (member(node), roster(&layout));
        // The neighbour of the other kind, or the first one where there is none.
        let pair = |nodes: &[NodeId]| NodeId(if nodes.contains(&me.node) { node } else { 1 });
        let learners: Vec<NodeId> = layout.learners.iter().map(|feed| feed.learner).collect();
        self.isolated.remove(&who);
        self.lives += 1;
        let (life, seed) = (self.lives, self.lives);
        match role {
            'a' => {
                let (_, log) = self.acceptors.remove(&node).unwrap_or_else(|| {
                    let formed = vec![Record::Roster(Box::new(roster)), Record::Formed];
                    let options = AcceptorOptions { me, layout: layout.clone(), timing, limits };
                    (Acceptor::new(options), formed)
                });
                let mut acceptor = Acceptor::new(AcceptorOptions { me, layout, timing, limits });
                log.iter().for_each(|record| acceptor.replay(record.clone()));
                self.acceptors.insert(node, (acceptor, log));
            }
            'p' => {
                let learner = pair(&learners);
                let options = ProposerOptions { me, life, seed, learner, layout, timing, limits };
                self.proposers.insert(node, Proposer::new(options));
                self.step(who, me, ProposerMsg::Roster(Box::new(roster)).into());
            }
            _ => {
                let proposer = pair(&layout.proposers);
                let options = LearnerOptions { me, life, proposer, layout, timing, limits };
                self.learners.insert(node, Learner::new(options, Register::default()));
                self.step(who, me, LearnerMsg::Roster(Box::new(roster)).into());
            }
        }
    }

    fn crash(&mut self, who: Name) {
        match who.0 {
            'p' => drop(self.proposers.remove(&who.1)),
            'l' => drop(self.learners.remove(&who.1)),
            _ => {} // Its log stays; it hears nothing until it is back.
        }
        self.isolated.insert(who);
        self.network.retain(|letter| letter.to != who);
    }

    /// Longer than any follower waits; nobody else looks at the clock.
    fn campaign(&mut self, node: u64) {
        self.tick(Some(Name('p', node)), 700);
    }

    fn tick(&mut self, who: Option<Name>, ms: u64) {
        self.now += ms * 1000;
        let roles = self.acceptors.keys().map(|&node| Name('a', node));
        let roles = roles.chain(self.proposers.keys().map(|&node| Name('p', node)));
        let roles: Vec<Name> =
            roles.chain(self.learners.keys().map(|&node| Name('l', node))).collect();
        for role in roles.into_iter().filter(|role| who.is_none_or(|who| who == *role)) {
            self.take_step(role, None);
        }
    }

    fn propose(&mut self, node: u64, values: &[&str]) {
        let session = self.session.unwrap_or(SessionId { slot: Slot::MAX, index: 0 });
        let mut commands = Vec::new();
        for value in values {
            let (sequence, value) = (self.sequence, Bytes::from(value.to_string()));
            self.sequence += 1;
            commands.push(self.command(Body::Run { session, sequence, acked_below: 0, value }));
        }
        let msg = ProposerMsg::Propose { commands, hops: 0 };
        self.step(Name('p', node), client(), msg.into());
    }

    fn open_session(&mut self, node: u64) {
        let commands = vec![self.command(Body::Register { nonce: 1 })];
        let msg = ProposerMsg::Propose { commands, hops: 0 };
        self.step(Name('p', node), client(), msg.into());
    }

    fn command(&self, body: Body) -> Command {
        Command { client: CLIENT, learner: NodeId(1), body }
    }

    fn read(&mut self, learner: Name, key: &str) {
        self.reads += 1;
        let msg = LearnerMsg::Read { id: self.reads, query: Bytes::from(key.to_owned()) };
        self.step(learner, client(), msg.into());
    }

    /// Delivers, and then what was sent meanwhile, until all is quiet.
    fn deliver(&mut self, only: Option<BTreeSet<Name>>) {
        while self.sweep(only.as_ref()) {}
    }

    /// Delivers what is under way now, in the order of sending; `false` where there is nothing.
    fn sweep(&mut self, only: Option<&BTreeSet<Name>>) -> bool {
        let due = self.take(|lab, letter| lab.is_due(letter, only));
        let any = !due.is_empty();
        for letter in due {
            self.step(letter.to, member(letter.from.1), letter.packet);
        }
        any
    }

    fn lose(&mut self, only: Option<BTreeSet<Name>>) {
        let lost = self.take(|_, letter| concerns(letter, only.as_ref()));
        if !lost.is_empty() {
            self.notebook.note(format!("lost: {}", kinds(lost.iter().map(|l| &l.packet))));
        }
    }

    fn take(&mut self, wanted: impl Fn(&Lab, &Letter) -> bool) -> Vec<Letter> {
        let network = std::mem::take(&mut self.network);
        let (taken, left) = network.into_iter().partition(|letter| wanted(self, letter));
        self.network = left;
        taken
    }

    fn is_due(&self, letter: &Letter, only: Option<&BTreeSet<Name>>) -> bool {
        let vote = matches!(letter.packet, Packet::Proposer(ProposerMsg::Accepted { .. }));
        concerns(letter, only) && !(vote && self.votes_held)
    }

    fn step(&mut self, who: Name, from: MemberId, packet: Packet) {
        self.take_step(who, Some((from, packet)));
    }

    /// One step of one role: a message, or none but the time. What is recorded is durable at once.
    fn take_step(&mut self, who: Name, input: Option<(MemberId, Packet)>) {
        let now = Now(self.now);
        let mail = match who.0 {
            'a' => {
                let crashed = self.isolated.contains(&who);
                let Some((acceptor, log)) = self.acceptors.get_mut(&who.1) else { return };
                let before = acceptor.status();
                let mut out = Output::new();
                match input {
                    _ if crashed => {}
                    None => acceptor.tick(now, &mut out),
                    Some((from, Packet::Acceptor(msg))) => {
                        acceptor.receive(now, from, msg, &mut out);
                    }
                    Some(_) => {}
                }
                log.extend(out.records.iter().cloned());
                self.notebook.acceptor(who, &before, &acceptor.status(), &out);
                out.feed.into_iter().chain(out.mail).collect()
            }
            'p' => {
                let Some(proposer) = self.proposers.get_mut(&who.1) else { return };
                let before = proposer.status();
                let mut out = Output::new();
                match input {
                    None => proposer.tick(now, &mut out),
                    Some((from, Packet::Proposer(msg))) => {
                        proposer.receive(now, from, msg, &mut out);
                        proposer.flush(now, &mut out);
                    }
                    Some(_) => {}
                }
                self.notebook.proposer(who, &before, &proposer.status(), &out);
                out.mail
            }
            _ => {
                let Some(learner) = self.learners.get_mut(&who.1) else { return };
                let before = learner.status();
                let mut out = Output::new();
                match input {
                    None => learner.tick(now, &mut out),
                    Some((from, Packet::Learner(msg))) => learner.receive(now, from, msg, &mut out),
                    Some(_) => {}
                }
                self.notebook.learner(who, &before, learner, &out);
                out.mail
            }
        };
        self.post(who, mail);
    }

    fn post(&mut self, from: Name, mail: Vec<Outgoing>) {
        for Outgoing { to, packet } in mail {
            if let Packet::Client(ClientMsg::Registered { session, .. }) = packet {
                self.session = Some(session);
                self.sequence = 0;
            }
            let role = match packet.role() {
                RoleName::Acceptor => 'a',
                RoleName::Proposer => 'p',
                RoleName::Learner => 'l',
                RoleName::Client => continue,
            };
            let to = Name(role, to.0);
            if !self.isolated.contains(&from) && !self.isolated.contains(&to) {
                self.network.push(Letter { from, to, packet });
            }
        }
    }
}

fn concerns(letter: &Letter, only: Option<&BTreeSet<Name>>) -> bool {
    only.is_none_or(|only| only.contains(&letter.to) || only.contains(&letter.from))
}

fn member(node: u64) -> MemberId {
    MemberId { node: NodeId(node), incarnation: Incarnation(node) }
}

fn client() -> MemberId {
    member(CLIENT.0)
}

fn roster(layout: &Layout) -> Configuration {
    layout.roster(|node| Some(Incarnation(node.0))).expect("every incarnation is known")
}

fn names(list: &str) -> BTreeSet<Name> {
    list.trim_start_matches("to=").split(',').map(name).collect()
}

fn name(text: &str) -> Name {
    let (role, node) = text.split_at(1);
    Name(role.chars().next().expect("a role"), number(node))
}

fn number(text: &str) -> u64 {
    text.trim_end_matches("ms").parse().unwrap_or_else(|_| panic!("no number: {text:?}"))
}
