//! The rules alone: three nodes in one loop. Messages are handed over directly, what should be
//! logged is durable at once, and time is a counter.

use bytes::Bytes;
use paxos_core::*;
use serde::Serialize;
use std::fmt;
use std::hint::black_box;
use std::mem;
use std::time::{Duration, Instant};

/// The node of the client, which is none of the cluster.
const CLIENT: MemberId = MemberId { node: NodeId(1000), incarnation: Incarnation(1000) };

/// Bytes of entries that a snapshot is written after: eight thousand commands of 256 bytes, about.
/// Acceptors keep twice as many, since they forget what the snapshot before the newest covers.
const SNAPSHOT_LOG_BYTES: u64 = 5 << 19;

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Commands that are proposed at once; all that follows from them happens before the next.
    pub every: u64,
    /// Bytes of each command's value.
    pub payload: usize,
    /// How long it is measured, after a tenth of that as warm-up.
    pub time: Duration,
}

/// What it came to. As JSON it is one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CoreReport {
    peer: &'static str,
    every: u64,
    /// Nanoseconds for each command, until it is applied at all three nodes and answered.
    pub ns_per_entry: f64,
    /// Commands that were answered, warm-up included.
    #[serde(skip)]
    pub answered: u64,
    /// Commands that each node has applied.
    #[serde(skip)]
    pub applied: Vec<u64>,
    /// The most slots that an acceptor held.
    #[serde(skip)]
    pub held_max: u64,
}

/// Runs the plan.
///
/// # Panics
/// If a command is not answered, or not applied everywhere, before the next is proposed: nothing is
/// lost here, so the rules would be at fault.
pub fn run(plan: &Plan) -> CoreReport {
    let mut cluster = Cluster::new();
    let value = Bytes::from(vec![7; plan.payload]);
    cluster.rounds(plan.every, &value, plan.time / 10);
    let begun = Instant::now();
    let count = cluster.rounds(plan.every, &value, plan.time);
    let ns = begun.elapsed().as_nanos() as f64 / count as f64;
    CoreReport {
        peer: "paxos-core",
        every: plan.every,
        ns_per_entry: (ns * 10.0).round() / 10.0,
        answered: cluster.answered,
        applied: cluster.nodes.iter().map(|node| node.learner.state().0).collect(),
        held_max: cluster.held_max,
    }
}

/// Takes so many commands through all roles, `every` of them at a time, in whole rounds.
///
/// # Panics
/// As [`run`] does.
pub fn drive(every: u64, payload: usize, commands: u64) {
    let mut cluster = Cluster::new();
    let value = Bytes::from(vec![7; payload]);
    for _ in 0..commands / every {
        cluster.round(every, &value);
    }
}

struct Cluster {
    /// The first leads.
    nodes: Vec<Node>,
    session: Option<SessionId>,
    sequence: u64,
    now: Now,
    ticked_at: Now,
    /// Mail that is delivered at the moment; kept for its room.
    mail: Vec<Outgoing>,
    answered: u64,
    held_max: u64,
}

struct Node {
    me: MemberId,
    acceptor: Acceptor,
    proposer: Proposer,
    learner: Learner<Count>,
    // What steps ask for; kept for their room.
    voted: Output<Record>,
    proposed: Output<NoRecord>,
    learned: Output<SnapshotPiece>,
}

/// Reads each command off, and counts.
#[derive(Debug, Default)]
struct Count(u64);

impl Cluster {
    /// Three nodes, of which the first leads, and a client with a session.
    fn new() -> Cluster {
        let nodes: Vec<NodeId> = (1..=3).map(NodeId).collect();
        let layout = Layout::full(&nodes).expect("three nodes have majorities");
        let mut cluster = Cluster {
            nodes: nodes.iter().map(|&node| Node::new(node, &layout)).collect(),
            session: None,
            sequence: 0,
            now: Now(1),
            ticked_at: Now(0),
            mail: Vec::new(),
            answered: 0,
            held_max: 0,
        };
        // The others wait for one to two election timeouts, and hear of the first before.
        let timing = Timing::default();
        let steps = 10 * timing.election_timeout_us() / timing.tick_us();
        for step in 0..steps {
            let ticked = if step < steps / 2 { 1 } else { cluster.nodes.len() };
            cluster.now = cluster.now.plus(timing.tick_us());
            for (at, node) in cluster.nodes.iter_mut().enumerate() {
                // Only the first lets time pass until it leads; acceptors meet meanwhile.
                node.tick(cluster.now, at < ticked);
            }
            cluster.deliver();
        }
        assert!(cluster.nodes[0].proposer.status().stance == StanceName::Lead, "node 1 leads");
        cluster.propose(vec![command(Body::Register { nonce: 1 })]);
        cluster
    }

    /// Proposes and applies for so long. Gives back how many commands.
    fn rounds(&mut self, every: u64, value: &Bytes, time: Duration) -> u64 {
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < time {
            for _ in 0..(1024 / every).max(1) {
                self.round(every, value);
                count += every;
            }
            let applied = |node: &Node| node.learner.state().0;
            assert!(self.nodes.iter().all(|node| applied(node) == self.answered));
            let held = self.nodes.iter().map(|node| node.acceptor.status());
            let held = held.map(|status| status.chosen_below.since(status.trimmed));
            self.held_max = held.fold(self.held_max, u64::max);
        }
        count
    }

    /// Proposes so many commands at once, and all of them are answered.
    fn round(&mut self, every: u64, value: &Bytes) {
        let session = self.session.expect("it was registered");
        let (first, answered) = (self.sequence, self.answered);
        let run = |sequence| {
            let value = value.clone();
            command(Body::Run { session, sequence, acked_below: first, value })
        };
        let commands = (first..first + every).map(run).collect();
        self.sequence += every;
        self.propose(commands);
        assert_eq!(self.answered, answered + every, "a command was not answered");
    }

    /// Gives commands to the leader, and delivers all that follows. A microsecond passes for each.
    fn propose(&mut self, commands: Vec<Command>) {
        self.now = self.now.plus(commands.len() as u64);
        let Node { proposer, proposed, .. } = &mut self.nodes[0];
        let msg = ProposerMsg::Propose { commands, hops: 0 };
        proposer.receive(self.now, CLIENT, msg, proposed);
        proposer.flush(self.now, proposed);
        self.deliver();
        if self.now.since(self.ticked_at) >= Timing::default().tick_us() {
            self.ticked_at = self.now;
            self.nodes.iter_mut().for_each(|node| node.tick(self.now, true));
            self.deliver();
        }
    }

    /// Delivers mail until there is none: what feeds a node's learner first, as a gate does.
    fn deliver(&mut self) {
        let mut mail = mem::take(&mut self.mail);
        let (now, mut moves) = (self.now, true);
        while mem::take(&mut moves) {
            for at in 0..self.nodes.len() {
                let me = self.nodes[at].me;
                while let Some(sent) = self.nodes[at].mail() {
                    moves = true;
                    mem::swap(sent, &mut mail);
                    for Outgoing { to, packet } in mail.drain(..) {
                        match packet {
                            Packet::Client(msg) => self.answer(msg),
                            Packet::Acceptor(msg) => self.node(to).vote(now, me, msg),
                            Packet::Proposer(msg) => self.node(to).lead(now, me, msg),
                            Packet::Learner(msg) => self.node(to).learn(now, me, msg),
                        }
                    }
                }
            }
        }
        self.mail = mail;
    }

    fn node(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node.0 as usize - 1]
    }

    fn answer(&mut self, msg: ClientMsg) {
        match msg {
            ClientMsg::Registered { session, .. } => self.session = Some(session),
            ClientMsg::Reply { reply: Reply::Applied(result), .. } => {
                black_box(result);
                self.answered += 1;
            }
            other => panic!("a command was refused: {other:?}"),
        }
    }
}

/// The first node's learner answers.
fn command(body: Body) -> Command {
    Command { client: CLIENT.node, learner: NodeId(1), body }
}

impl Node {
    fn new(node: NodeId, layout: &Layout) -> Node {
        let me = MemberId { node, incarnation: Incarnation(node.0) };
        let timing = Timing::default();
        let limits = Limits { snapshot_log_bytes: SNAPSHOT_LOG_BYTES, ..Limits::default() };
        let (life, seed) = (node.0, node.0);
        let acceptor = AcceptorOptions { me, layout: layout.clone(), timing, limits };
        let proposer = ProposerOptions {
            me,
            life,
            seed,
            learner: node,
            layout: layout.clone(),
            timing,
            limits,
        };
        let learner =
            LearnerOptions { me, life, proposer: node, layout: layout.clone(), timing, limits };
        let mut node = Node {
            me,
            acceptor: Acceptor::new(acceptor),
            proposer: Proposer::new(proposer),
            learner: Learner::new(learner, Count::default()),
            voted: Output::new(),
            proposed: Output::new(),
            learned: Output::new(),
        };
        node.told(Now(0), SnapshotEvent::Found { newest: None, partial: None });
        node
    }

    /// Mail of the acceptor, for its learner before others, of the proposer, or of the learner.
    fn mail(&mut self) -> Option<&mut Vec<Outgoing>> {
        let Node { voted, proposed, learned, .. } = self;
        match () {
            () if !voted.feed.is_empty() => Some(&mut voted.feed),
            () if !voted.mail.is_empty() => Some(&mut voted.mail),
            () if !proposed.mail.is_empty() => Some(&mut proposed.mail),
            () if !learned.mail.is_empty() => Some(&mut learned.mail),
            () => None,
        }
    }

    fn vote(&mut self, now: Now, from: MemberId, msg: AcceptorMsg) {
        self.acceptor.receive(now, from, msg, &mut self.voted);
        self.voted.records.clear();
    }

    fn lead(&mut self, now: Now, from: MemberId, msg: ProposerMsg) {
        self.proposer.receive(now, from, msg, &mut self.proposed);
    }

    fn learn(&mut self, now: Now, from: MemberId, msg: LearnerMsg) {
        self.learner.receive(now, from, msg, &mut self.learned);
        if self.learner.has_snapshot_tasks() {
            self.keep_snapshots(now);
        }
    }

    fn tick(&mut self, now: Now, may_campaign: bool) {
        self.acceptor.tick(now, &mut self.voted);
        self.voted.records.clear();
        if may_campaign {
            self.proposer.tick(now, &mut self.proposed);
        }
        self.learner.tick(now, &mut self.learned);
        self.keep_snapshots(now);
    }

    /// A snapshot is read out and durable at once, so that acceptors can forget what it covers.
    fn keep_snapshots(&mut self, now: Now) {
        for task in self.learner.snapshot_tasks() {
            if let SnapshotTask::Write(SnapshotSource { below, log_time_ms, pieces }) = task {
                let bytes = pieces.map(black_box).count() as u64;
                let id = SnapshotId { below, log_time_ms, bytes, crc: 0 };
                self.told(now, SnapshotEvent::Written(id));
            }
        }
    }

    fn told(&mut self, now: Now, event: SnapshotEvent) {
        let is_new = self.learner.snapshot_event(now, event, &mut self.learned);
        assert!(!is_new, "no snapshot is installed here");
    }
}

impl StateMachine for Count {
    fn apply(&mut self, _: Applied, command: &Bytes) -> Bytes {
        black_box(command.len());
        self.0 += 1;
        Bytes::new()
    }

    fn query(&self, _: &Bytes) -> Bytes {
        Bytes::new()
    }

    fn digest(&self) -> u64 {
        self.0
    }

    fn snapshot(&self) -> SnapshotParts {
        Box::new(std::iter::once(Bytes::copy_from_slice(&self.0.to_le_bytes())))
    }

    fn restore(&mut self, _: &Bytes) -> Result<(), Unrestorable> {
        Err(Unrestorable("nothing is restored here"))
    }
}

impl fmt::Display for CoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CoreReport { every, ns_per_entry, answered, .. } = self;
        writeln!(
            f,
            "{ns_per_entry:.1} ns a command, exchanged every {every}; {answered} were answered"
        )
    }
}
