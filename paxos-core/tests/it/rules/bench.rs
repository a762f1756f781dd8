//! A few whole nodes on a bench: the test decides what arrives, what is durable, and what time it
//! is.

use super::alone::*;
use paxos_core::*;
use std::collections::{BTreeMap, VecDeque};

/// Mail under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub sender: MemberId,
    pub to: NodeId,
    pub packet: Packet,
}

impl Letter {
    pub fn from(&self, node: u64) -> bool {
        self.sender.node == NodeId(node)
    }

    pub fn to(&self, node: u64) -> bool {
        self.to == NodeId(node)
    }

    pub fn is(&self, kind: Kind) -> bool {
        self.packet.kind() == kind
    }

    /// Whether it passes between `node` and another.
    pub fn crosses(&self, node: u64) -> bool {
        self.from(node) != self.to(node)
    }
}

/// What becomes of a letter when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Arrives,
    /// It waits until the network changes.
    Held,
    Lost,
}

/// A node's roles, while its process runs.
struct Process {
    acceptor: Acceptor,
    gate: Gate,
    proposer: Proposer,
    learner: Learner<Journal>,
}

struct Node {
    me: MemberId,
    lives: u64,
    process: Option<Process>,
    /// What the log was given, and how much of it survives a crash.
    log: Vec<Record>,
    durable: usize,
    /// Whether what is appended is durable at once.
    syncs: bool,
    /// How fast the node's clock runs.
    clock_percent: u64,
}

/// How to set up a bench.
pub struct Setup {
    pub layout: Layout,
    pub limits: Limits,
    pub seed: u64,
}

impl Setup {
    pub fn nodes(n: u64) -> Setup {
        Setup { layout: layout(n), limits: Limits::default(), seed: 1 }
    }
}

pub struct Bench {
    pub now: Now,
    pub mail: VecDeque<Letter>,
    /// What reached the client.
    pub replies: Vec<Letter>,
    /// Everything that was ever posted.
    pub sent: Vec<Letter>,
    setup: Setup,
    nodes: BTreeMap<u64, Node>,
    network: Box<dyn Fn(&Letter) -> Fate>,
}

impl Bench {
    /// The nodes of the layout, started for the first time.
    pub fn new(setup: Setup) -> Bench {
        let ids: Vec<u64> = setup.layout.acceptors.iter().map(|node| node.0).collect();
        let mut bench = Bench {
            now: Now(0),
            mail: VecDeque::new(),
            replies: Vec::new(),
            sent: Vec::new(),
            setup,
            nodes: BTreeMap::new(),
            network: Box::new(|_| Fate::Arrives),
        };
        for id in ids {
            let me = member(id);
            let node = Node {
                me,
                lives: 0,
                process: None,
                log: Vec::new(),
                durable: 0,
                syncs: true,
                clock_percent: 100,
            };
            bench.nodes.insert(id, node);
            bench.start(id);
        }
        bench
    }

    /// The nodes of the layout; they know each other, and nobody leads.
    pub fn formed(setup: Setup) -> Bench {
        let mut bench = Bench::new(setup);
        bench.pass_ms(100);
        assert!(bench.ids().into_iter().all(|id| bench.acceptor(id).formed));
        bench
    }

    /// `n` nodes, of which node 1 leads.
    pub fn led(n: u64) -> Bench {
        let mut bench = Bench::formed(Setup::nodes(n));
        bench.lead(1);
        bench
    }

    pub fn ids(&self) -> Vec<u64> {
        self.nodes.keys().copied().collect()
    }

    pub fn acceptor(&self, node: u64) -> AcceptorStatus {
        self.process(node).acceptor.status()
    }

    pub fn proposer(&self, node: u64) -> ProposerStatus {
        self.process(node).proposer.status()
    }

    pub fn learner(&self, node: u64) -> LearnerStatus {
        self.process(node).learner.status()
    }

    pub fn journal(&self, node: u64) -> &Journal {
        self.process(node).learner.state()
    }

    /// What the node's log holds, durable or not.
    pub fn log(&self, node: u64) -> &[Record] {
        &self.nodes[&node].log
    }

    /// From now on `fate` decides over every letter, also over those under way.
    pub fn network(&mut self, fate: impl Fn(&Letter) -> Fate + 'static) {
        self.network = Box::new(fate);
    }

    /// From now on these letters are lost, and all others arrive.
    pub fn lose(&mut self, lost: impl Fn(&Letter) -> bool + 'static) {
        self.network(move |letter| if lost(letter) { Fate::Lost } else { Fate::Arrives });
    }

    /// From now on these letters are held back, and all others arrive.
    pub fn hold(&mut self, held: impl Fn(&Letter) -> bool + 'static) {
        self.network(move |letter| if held(letter) { Fate::Held } else { Fate::Arrives });
    }

    /// From now on everything arrives, and what was held back as well.
    pub fn heal(&mut self) {
        self.network(|_| Fate::Arrives);
    }

    /// Delivers until nothing is under way but what is held back.
    pub fn settle(&mut self) {
        let mut held = VecDeque::new();
        let mut patience = 100_000;
        while let Some(letter) = self.mail.pop_front() {
            patience -= 1;
            assert!(patience > 0, "mail without end: {letter:?}");
            match (self.network)(&letter) {
                Fate::Arrives => self.deliver(letter),
                Fate::Held => held.push_back(letter),
                Fate::Lost => {}
            }
        }
        self.mail = held;
    }

    /// Lets time pass: every node ticks, and mail takes no time.
    pub fn pass_ms(&mut self, ms: u64) {
        let end = self.now.plus(ms * 1000);
        while self.now < end {
            self.now = self.now.plus(Timing::default().tick_us());
            for id in self.ids() {
                self.tick(id);
            }
            self.settle();
        }
    }

    /// Ticks all roles of a node, where it is up.
    pub fn tick(&mut self, node: u64) {
        self.step(node, |process, now, feed| {
            process.acceptor.tick(now, &mut feed.acceptor);
            process.proposer.tick(now, &mut feed.other);
            process.learner.tick(now, &mut feed.learner);
        });
    }

    /// Has `node` win a campaign, since only its proposer notices how time passes.
    pub fn lead(&mut self, node: u64) {
        for _ in 0..20 {
            self.now = self.now.plus(4 * Timing::default().election_timeout_us());
            self.step(node, |process, now, feed| process.proposer.tick(now, &mut feed.other));
            self.settle();
            if self.proposer(node).stance == StanceName::Lead {
                return;
            }
        }
        panic!("node {node} cannot lead: {:?}", self.proposer(node));
    }

    /// The node that leads; of several the one with the highest ballot.
    pub fn leader(&self) -> Option<u64> {
        let up = self.ids().into_iter().filter(|id| self.nodes[id].process.is_some());
        let leads = up.filter(|&id| self.proposer(id).stance == StanceName::Lead);
        leads.max_by_key(|&id| self.proposer(id).ballot)
    }

    /// A client hands commands to the proposer of `node`.
    pub fn propose(&mut self, node: u64, commands: Vec<Command>) {
        let msg = ProposerMsg::Propose { commands, hops: 0 };
        self.post(member(CLIENT.0), vec![Outgoing { to: NodeId(node), packet: msg.into() }]);
    }

    /// A client asks the learner of `node` for the whole journal.
    pub fn read(&mut self, node: u64, id: u64) {
        let msg = LearnerMsg::Read { id, query: bytes::Bytes::new() };
        self.post(member(CLIENT.0), vec![Outgoing { to: NodeId(node), packet: msg.into() }]);
    }

    /// Opens a session through `node`.
    pub fn open(&mut self, node: u64) -> SessionId {
        self.propose(node, vec![register(7)]);
        self.settle();
        let registered = self.replies.iter().rev().find_map(|letter| match &letter.packet {
            Packet::Client(ClientMsg::Registered { session, .. }) => Some(*session),
            _ => None,
        });
        registered.expect("the session is open")
    }

    /// What the client heard, as (from which node, packet), and forgets it.
    pub fn heard(&mut self) -> Vec<(u64, ClientMsg)> {
        let letters = std::mem::take(&mut self.replies).into_iter();
        let heard = letters.filter_map(|letter| match letter.packet {
            Packet::Client(msg) => Some((letter.sender.node.0, msg)),
            _ => None,
        });
        heard.collect()
    }

    /// How many letters of this sort were posted since `mark`, a length of `sent`.
    pub fn count(&self, mark: usize, of: impl Fn(&Letter) -> bool) -> usize {
        self.sent[mark..].iter().filter(|letter| of(letter)).count()
    }

    /// From now on what the node's log is given stays volatile.
    pub fn stop_syncing(&mut self, node: u64) {
        self.node(node).syncs = false;
    }

    /// All that the node's log was given becomes durable, and stays so from now on.
    pub fn sync(&mut self, node: u64) {
        self.node(node).syncs = true;
        let length = self.nodes[&node].log.len();
        self.node(node).durable = length;
        let me = self.nodes[&node].me;
        if let Some(process) = &mut self.node(node).process {
            let mut free = Vec::new();
            process.gate.release(length as u64, &mut free);
            self.post(me, free);
        }
    }

    pub fn set_clock(&mut self, node: u64, percent: u64) {
        self.node(node).clock_percent = percent;
    }

    /// Ends the node's process, with whatever is not durable and what it had under way.
    pub fn crash(&mut self, node: u64) {
        let me = self.nodes[&node].me;
        let node = self.node(node);
        node.process = None;
        node.log.truncate(node.durable);
        self.mail.retain(|letter| letter.sender != me && letter.to != me.node);
    }

    /// Takes the disk from a node that is down: its data directory is made anew.
    pub fn wipe(&mut self, node: u64) {
        let node = self.node(node);
        node.me.incarnation.0 += 1000;
        node.log.clear();
        node.durable = 0;
    }

    /// Starts the node's process on what its log holds.
    pub fn start(&mut self, node: u64) {
        let Setup { layout, limits, seed } = &self.setup;
        let (layout, limits, seed, timing) = (layout, *limits, *seed, Timing::default());
        let state = self.nodes.get_mut(&node).unwrap();
        let (me, proposer, learner) = (state.me, NodeId(node), NodeId(node));
        let life = life(node) + 1000 * state.lives;
        state.lives += 1;
        let options = AcceptorOptions { me, layout: layout.clone(), timing, limits };
        let mut acceptor = Acceptor::new(options);
        for record in &state.log {
            acceptor.replay(record.clone());
        }
        let (layout, seed) = (layout.clone(), seed * 1_000_003 + life);
        let options = LearnerOptions { me, life, proposer, layout: layout.clone(), timing, limits };
        state.process = Some(Process {
            acceptor,
            gate: Gate::new(state.log.len() as u64),
            learner: Learner::new(options, Journal::default()),
            proposer: Proposer::new(ProposerOptions {
                me,
                life,
                seed,
                learner,
                layout,
                timing,
                limits,
            }),
        });
    }

    fn deliver(&mut self, letter: Letter) {
        let Letter { sender, to, packet } = letter;
        if to == CLIENT {
            return self.replies.push(Letter { sender, to, packet });
        }
        self.step(to.0, |process, now, feed| match packet {
            Packet::Acceptor(msg) => process.acceptor.receive(now, sender, msg, &mut feed.acceptor),
            Packet::Proposer(msg) => {
                process.proposer.receive(now, sender, msg, &mut feed.other);
                process.proposer.flush(now, &mut feed.other);
            }
            Packet::Learner(msg) => process.learner.receive(now, sender, msg, &mut feed.learner),
            Packet::Client(_) => {}
        });
    }

    /// Lets a node that is up do something, and sees to what that asks of the world.
    fn step(&mut self, id: u64, act: impl FnOnce(&mut Process, Now, &mut Asked)) {
        let now = Now(self.now.0 / 100 * self.nodes[&id].clock_percent);
        let node = self.node(id);
        let me = node.me;
        let Some(process) = &mut node.process else { return };
        let mut asked = Asked::default();
        act(process, now, &mut asked);
        let (log, mut free) = (&mut node.log, Vec::new());
        let append = |records: &mut Vec<Record>| {
            log.append(records);
            None
        };
        process.gate.submit(&mut asked.acceptor, append, &mut free);
        if node.syncs {
            node.durable = node.log.len();
            process.gate.release(node.durable as u64, &mut free);
        }
        free.extend(asked.other.mail);
        free.extend(asked.learner.mail);
        self.post(me, free);
    }

    fn post(&mut self, sender: MemberId, mail: Vec<Outgoing>) {
        for Outgoing { to, packet } in mail {
            let letter = Letter { sender, to, packet };
            self.sent.push(letter.clone());
            self.mail.push_back(letter);
        }
    }

    fn process(&self, node: u64) -> &Process {
        self.nodes[&node].process.as_ref().expect("the node is up")
    }

    fn node(&mut self, node: u64) -> &mut Node {
        self.nodes.get_mut(&node).expect("a node of the layout")
    }
}

/// What the roles of a node ask in one step; only the acceptor's mail waits for the log.
#[derive(Default)]
struct Asked {
    acceptor: Output<Record>,
    other: Output<NoRecord>,
    learner: Output<SnapshotPiece>,
}
