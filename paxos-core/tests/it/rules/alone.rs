//! One role alone: what it is told, and the whole of what it answers.

use bytes::Bytes;
use paxos_core::digest::digest;
use paxos_core::*;

/// The incarnation of each node's first data directory is its number and 100.
pub fn member(node: u64) -> MemberId {
    MemberId { node: NodeId(node), incarnation: Incarnation(node + 100) }
}

/// The ballot of `round` that `node` owns in its first life.
pub fn ballot(round: u64, node: u64) -> Ballot {
    Ballot { round, node: NodeId(node), life: life(node) }
}

/// The life of a node that was started once.
pub fn life(node: u64) -> u64 {
    1000 + node
}

pub fn slots(from: u64, below: u64) -> SlotRange {
    SlotRange::new(Slot(from), Slot(below))
}

/// Nodes 1 to `n`, each with all roles.
pub fn layout(n: u64) -> Layout {
    Layout::full(&(1..=n).map(NodeId).collect::<Vec<_>>()).unwrap()
}

/// What those nodes store at their first start.
pub fn roster(n: u64) -> Configuration {
    layout(n).roster(|node| Some(member(node.0).incarnation)).unwrap()
}

/// The node of the only client.
pub const CLIENT: NodeId = NodeId(90);

/// A command that shows which one it is: its answer has the nonce. Node 1 answers.
pub fn register(nonce: u64) -> Command {
    Command { client: CLIENT, learner: NodeId(1), body: Body::Register { nonce } }
}

/// A write of `value` in a session. Node 1 answers.
pub fn write(session: SessionId, sequence: u64, acked_below: u64, value: &str) -> Command {
    let value = Bytes::copy_from_slice(value.as_bytes());
    let body = Body::Run { session, sequence, acked_below, value };
    Command { client: CLIENT, learner: NodeId(1), body }
}

pub fn session(slot: u64, index: u32) -> SessionId {
    SessionId { slot: Slot(slot), index }
}

/// An entry of one command, stamped 0 ms.
pub fn entry(nonce: u64) -> Entry {
    batch(0, vec![register(nonce)])
}

pub fn batch(log_time_ms: u64, commands: Vec<Command>) -> Entry {
    Entry { log_time_ms, commands: commands.into() }
}

/// Everything that was written, in order. A query gives it back.
#[derive(Debug, Default)]
pub struct Journal {
    pub lines: Vec<(Applied, Bytes)>,
}

impl Journal {
    /// The values written, in order, with a blank between them.
    pub fn text(&self) -> String {
        let values = self.lines.iter().map(|(_, value)| String::from_utf8_lossy(value));
        values.collect::<Vec<_>>().join(" ")
    }
}

impl StateMachine for Journal {
    /// Its result is what the journal then holds.
    fn apply(&mut self, at: Applied, command: &Bytes) -> Bytes {
        self.lines.push((at, command.clone()));
        self.text().into()
    }

    fn query(&self, _: &Bytes) -> Bytes {
        self.text().into()
    }

    fn digest(&self) -> u64 {
        digest(0, self.text().as_bytes())
    }

    fn snapshot(&self) -> SnapshotParts {
        let lines = self.lines.clone().into_iter();
        Box::new(lines.map(|(at, value)| {
            let mut part =
                [at.slot.0, at.index.into(), at.log_time_ms].map(u64::to_le_bytes).concat();
            part.extend(value);
            part.into()
        }))
    }

    fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
        let word = |i: usize| part[8 * i..8 * i + 8].try_into().map(u64::from_le_bytes);
        let (Ok(slot), Ok(index), Ok(log_time_ms)) = (word(0), word(1), word(2)) else {
            return Err(Unrestorable("no line"));
        };
        let at = Applied { slot: Slot(slot), index: index as u32, log_time_ms };
        self.lines.push((at, part.slice(24..)));
        Ok(())
    }
}

/// A role of node 1 in a cluster of three, and the time there.
pub struct Alone<R> {
    pub role: R,
    pub now: Now,
}

impl<R: Role> Alone<R> {
    pub fn hear(&mut self, from: u64, msg: R::Msg) -> Output<R::Record> {
        self.hear_from(member(from), msg)
    }

    pub fn hear_from(&mut self, from: MemberId, msg: R::Msg) -> Output<R::Record> {
        let mut out = Output::new();
        self.role.receive(self.now, from, msg, &mut out);
        self.role.flush(self.now, &mut out);
        out
    }

    pub fn tick(&mut self) -> Output<R::Record> {
        let mut out = Output::new();
        self.role.tick(self.now, &mut out);
        out
    }

    /// Lets time pass, and ticks once at its end.
    pub fn pass_ms(&mut self, ms: u64) -> Output<R::Record> {
        self.now = self.now.plus(ms * 1000);
        self.tick()
    }
}

/// An acceptor that has formed its cluster, and holds nothing.
pub fn acceptor(limits: Limits) -> Alone<Acceptor> {
    let (me, layout, timing) = (member(1), layout(3), Timing::default());
    let mut role = Acceptor::new(AcceptorOptions { me, layout, timing, limits });
    role.replay(Record::Roster(Box::new(roster(3))));
    role.replay(Record::Formed);
    Alone { role, now: Now(0) }
}

/// How a proposer of node 1 is started, unless told otherwise.
pub fn options() -> ProposerOptions {
    ProposerOptions {
        me: member(1),
        life: life(1),
        seed: 1,
        learner: NodeId(1),
        layout: layout(3),
        timing: Timing::default(),
        limits: Limits::default(),
    }
}

/// A proposer that knows the configuration, and of no leader.
pub fn proposer(options: ProposerOptions) -> Alone<Proposer> {
    let roster = options.layout.roster(|node| Some(member(node.0).incarnation)).unwrap();
    let role = Proposer::new(options);
    let mut alone = Alone { role, now: Now(0) };
    alone.hear(1, ProposerMsg::Roster(Box::new(roster)));
    alone
}

/// A learner that knows the configuration, and has asked its acceptor in vain for what is chosen.
pub fn learner(limits: Limits) -> Alone<Learner<Journal>> {
    learner_of(limits, roster(3))
}

pub fn learner_of(limits: Limits, roster: Configuration) -> Alone<Learner<Journal>> {
    let role = Learner::new(
        LearnerOptions {
            me: member(1),
            life: life(1),
            proposer: NodeId(1),
            layout: layout(3),
            timing: Timing::default(),
            limits,
        },
        Journal::default(),
    );
    let mut alone = Alone { role, now: Now(0) };
    alone.hear(1, LearnerMsg::Roster(Box::new(roster)));
    alone
}

/// A promise of no votes, of an acceptor that knows nothing as chosen.
pub fn nothing() -> PromisePart {
    PromisePart {
        trimmed: Slot(0),
        chosen_below: Slot(0),
        log_time_ms: 0,
        from: Slot(0),
        below: None,
        votes: vec![],
    }
}

impl Alone<Proposer> {
    /// Waits until it polls. Gives back the number of its attempt.
    pub fn poll(&mut self) -> u64 {
        for _ in 0..1000 {
            match packet(&self.pass_ms(10)) {
                Some(Packet::Acceptor(AcceptorMsg::Poll { attempt })) => return attempt,
                _ => assert_ne!(self.role.status().stance, StanceName::Lead),
            }
        }
        panic!("it does not poll: {:?}", self.role)
    }

    /// Runs a campaign up to its `Prepare`, which nodes 2 and 3 welcome. Gives back its ballot.
    pub fn campaign(&mut self) -> Ballot {
        let attempt = self.poll();
        let polled = ProposerMsg::Polled { attempt, consent: true, promised: Ballot::ZERO };
        self.hear(2, polled.clone());
        let prepare = self.hear(3, polled);
        match packet(&prepare) {
            Some(Packet::Acceptor(AcceptorMsg::Prepare { ballot, .. })) => ballot,
            _ => panic!("no prepare but {prepare:?}"),
        }
    }

    /// Leads by the promises of nodes 2 and 3. Gives back its ballot and what it said first.
    pub fn lead(&mut self, of_2: PromisePart, of_3: PromisePart) -> (Ballot, Output<NoRecord>) {
        let ballot = self.campaign();
        self.hear(2, ProposerMsg::Promise { ballot, part: Box::new(of_2) });
        let first = self.hear(3, ProposerMsg::Promise { ballot, part: Box::new(of_3) });
        assert_eq!(self.role.status().stance, StanceName::Lead);
        (ballot, first)
    }

    pub fn propose(&mut self, commands: Vec<Command>) -> Output<NoRecord> {
        self.hear_from(member(CLIENT.0), ProposerMsg::Propose { commands, hops: 0 })
    }

    /// The paired learner has applied everything below.
    pub fn applied(&mut self, below: u64) -> Output<NoRecord> {
        let applied_below = Slot(below);
        self.hear(
            1,
            ProposerMsg::Progress { life: life(1), applied_below, log_time_ms: 0, expiry_ms: None },
        )
    }

    pub fn voted(&mut self, by: u64, ballot: Ballot, slots: SlotRange) -> Output<NoRecord> {
        self.hear(by, ProposerMsg::Accepted { ballot, slots })
    }
}

pub fn accept(ballot: Ballot, slot: u64, entry: Entry, chosen: SlotRange) -> AcceptorMsg {
    AcceptorMsg::Accept { ballot, slot: Slot(slot), entry, chosen }
}

pub fn accepted(ballot: Ballot, slots: SlotRange) -> Packet {
    ProposerMsg::Accepted { ballot, slots }.into()
}

pub fn vote(ballot: Ballot, slot: u64, entry: Entry) -> Record {
    Record::Voted { slot: Slot(slot), vote: Vote { ballot, entry } }
}

/// What a vote of node 1 asks of the world: to be logged, to be told to the ballot's owner once it
/// is durable, and to be fed to the node's own learner at once.
pub fn vote_told(ballot: Ballot, slot: u64, entry: Entry, told: SlotRange) -> Output<Record> {
    let mut out = recorded(
        vec![vote(ballot, slot, entry.clone())],
        vec![(ballot.node.0, accepted(ballot, told))],
    );
    let fed = LearnerMsg::Voted { slot: Slot(slot), vote: Vote { ballot, entry } };
    out.feed.push(Outgoing { to: NodeId(1), packet: fed.into() });
    out
}

/// The first packet of the mail.
pub fn packet<R>(out: &Output<R>) -> Option<Packet> {
    out.mail.first().map(|mail| mail.packet.clone())
}

/// An output of nothing but this mail.
pub fn mail<R>(mail: Vec<(u64, Packet)>) -> Output<R> {
    recorded(vec![], mail)
}

pub fn silence<R>() -> Output<R> {
    Output::new()
}

/// An output of records, and mail that waits for them.
pub fn recorded<R>(records: Vec<R>, mail: Vec<(u64, Packet)>) -> Output<R> {
    let mail = mail.into_iter().map(|(to, packet)| Outgoing { to: NodeId(to), packet });
    Output { records, mail: mail.collect(), feed: vec![] }
}

/// The same to each of the three nodes.
pub fn to_all(msg: impl Into<Packet>) -> Vec<(u64, Packet)> {
    let packet = msg.into();
    (1..=3).map(|node| (node, packet.clone())).collect()
}

/// The entries proposed in an output, once each, with their slots.
pub fn proposals(out: &Output<NoRecord>) -> Vec<(Ballot, Slot, Entry)> {
    let mut proposals = Vec::new();
    for mail in &out.mail {
        if let Packet::Acceptor(AcceptorMsg::Accept { ballot, slot, entry, .. }) = &mail.packet {
            let proposal = (*ballot, *slot, entry.clone());
            if !proposals.contains(&proposal) {
                proposals.push(proposal);
            }
        }
    }
    proposals
}
