//! The world: nodes, clients, their mail and the time, driven by one seed.

use super::disk::Disk;
use super::faults::{self, FaultKind};
use super::history::{History, Seen};
use super::machine::{KEYS, Lists, append, list};
use super::network::Network;
use super::observer::Observer;
use paxos_core::rng::Rng;
use paxos_core::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

const COMMANDS: usize = 210;
const FAULTS: u64 = 22;
/// The node of the first client.
const CLIENTS: u64 = 101;
const TICK_US: u64 = 10_000;
/// Where clocks begin.
const CLOCKS: [u64; 3] = [0, 7_000_000_000_000, u64::MAX / 2];

pub struct World {
    seed: u64,
    pub rng: Rng,
    /// Microseconds of true time; no role sees them.
    pub now: u64,
    events: BinaryHeap<Reverse<(u64, u64)>>,
    happenings: BTreeMap<u64, Event>,
    next_event: u64,
    pub nodes: Vec<Node>,
    clients: Vec<SimClient>,
    pub network: Network,
    observer: Observer,
    history: History,
    layout: Layout,
    limits: Limits,
    timing: Timing,
    pub faults: BTreeMap<FaultKind, u64>,
    healed: bool,
    trace: Option<Vec<String>>,
}

/// What a run was like.
#[derive(Debug)]
pub struct Report {
    pub seed: u64,
    pub commands: u64,
    pub unknown: u64,
    pub virtual_ms: u64,
    pub faults: BTreeMap<FaultKind, u64>,
}

/// A machine: its disk outlives its processes.
pub struct Node {
    me: MemberId,
    pub disk: Disk,
    boot: u64,
    /// The clock runs this much too fast, in 1/1000, from this time on.
    drift: u64,
    pub paused_until: u64,
    process: Option<Process>,
}

struct Process {
    acceptor: Acceptor,
    gate: Gate,
    proposer: Proposer,
    learner: Learner<Lists>,
    promised: Ballot,
}

struct SimClient {
    client: Client,
    /// Calls of this client that are open: where in the history they are.
    open: BTreeMap<CallId, usize>,
}

enum Event {
    Tick(usize),
    /// `boot` is that of the receiver, for mail within one process.
    Mail {
        from: MemberId,
        mail: Outgoing,
        boot: Option<u64>,
    },
    Synced {
        node: usize,
        boot: u64,
    },
    Start(usize),
    Fault,
    Call,
}

impl World {
    pub fn new(seed: u64, traced: bool) -> World {
        let mut rng = Rng::new(seed);
        let n = [1, 3, 3, 3, 5, 5][rng.between(0, 6) as usize];
        let ids: Vec<NodeId> = (1..=n).map(NodeId).collect();
        let mut layout = Layout::full(&ids).expect("a sound layout");
        layout.window = [1, 2, 4, 16][rng.between(0, 4) as usize];
        if n == 5 && rng.between(0, 3) == 0 {
            layout.quorums = Quorums::sizes(5, 4, 2).expect("they meet");
        }
        let limits = Limits {
            part_bytes_max: [200, 2_000, 2 << 20][rng.between(0, 3) as usize],
            entry_bytes_max: [100, 1_000, 1 << 20][rng.between(0, 3) as usize],
            fed_slots_max: [2, 64, 4096][rng.between(0, 3) as usize],
            session_ttl_ms: [2_000, 60_000][rng.between(0, 2) as usize],
            queue_bytes_max: [150, 400, 64 << 20][rng.between(0, 3) as usize],
            reads_max: [2, 65_536][rng.between(0, 2) as usize],
            sessions_max: [6, 100_000][rng.between(0, 2) as usize],
            fed_bytes_max: [100, 64 << 20][rng.between(0, 2) as usize],
            session_window: [2, 1024][rng.between(0, 2) as usize],
            ..Limits::default()
        };
        let node = |&node: &NodeId| Node {
            me: MemberId { node, incarnation: Incarnation(node.0 * 7) },
            disk: Disk::default(),
            boot: 0,
            drift: 0,
            paused_until: 0,
            process: None,
        };
        let mut world = World {
            nodes: ids.iter().map(node).collect(),
            clients: Vec::new(),
            observer: Observer::new(layout.quorums),
            seed,
            now: 0,
            events: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next_event: 0,
            network: Network::calm(),
            history: History::default(),
            layout,
            limits,
            timing: Timing::default(),
            faults: BTreeMap::new(),
            healed: false,
            trace: traced.then(Vec::new),
            rng,
        };
        world.populate();
        world
    }

    fn populate(&mut self) {
        for i in 0..self.rng.between(2, 5) {
            let me = MemberId { node: NodeId(CLIENTS + i), incarnation: Incarnation(0) };
            let nodes = self.nodes.iter().map(|node| node.me.node).collect();
            let (seed, limits) = (self.rng.next_u64(), self.limits);
            let options = ClientOptions { me, nodes, seed, retry_us: 150_000, limits };
            self.clients.push(SimClient { client: Client::new(options), open: BTreeMap::new() });
        }
        for i in 0..self.nodes.len() {
            self.nodes[i].drift = self.rng.between(0, 200);
            self.start(i);
            let at = self.rng.between(0, TICK_US);
            self.after(at, Event::Tick(i));
        }
        self.after(1_000, Event::Call);
        let at = self.rng.between(0, 1_000_000);
        self.after(at, Event::Fault);
    }

    /// Runs until all calls have ended, all faults are over, and all learners are equal.
    ///
    /// # Panics
    /// If an invariant is violated, or the cluster does not recover in time.
    pub fn run(&mut self) -> Report {
        let timeout = self.timing.election_timeout_us();
        while !(self.faults.values().sum::<u64>() >= FAULTS && self.history.calls.len() >= COMMANDS)
        {
            self.step();
        }
        self.healed = true;
        faults::heal(self);
        let healed_at = self.now;
        let mut led_at = None;
        while !self.is_quiet() {
            self.step();
            if led_at.is_none() && self.leaders() == 1 {
                led_at = Some(self.now);
            }
            let waited = (self.now - healed_at) / timeout;
            assert!(led_at.is_some() || waited < 10, "no leader in 10 election timeouts");
            assert!(waited < 50, "not done in 50 election timeouts: {}", self.standing());
        }
        let learner = self.nodes[0].process.as_ref().map(|process| &process.learner);
        self.history.judge(learner.expect("all nodes run").state());
        let unknown = |call: &&Seen| matches!(call.ended, Some((_, Outcome::Unknown(_))));
        Report {
            seed: self.seed,
            commands: self.history.calls.len() as u64,
            unknown: self.history.calls.iter().filter(unknown).count() as u64,
            virtual_ms: self.now / 1000,
            faults: self.faults.clone(),
        }
    }

    fn step(&mut self) {
        let Reverse((at, id)) = self.events.pop().expect("something always happens");
        self.now = at;
        match self.happenings.remove(&id).expect("an event happens once") {
            Event::Tick(i) => self.tick(i),
            Event::Mail { from, mail, boot } => self.deliver(from, mail, boot),
            Event::Synced { node, boot } => self.synced(node, boot),
            Event::Start(i) => self.start(i),
            Event::Fault => {
                if !self.healed {
                    faults::strike(self);
                    let pause = self.rng.between(20_000, 300_000);
                    self.after(pause, Event::Fault);
                }
            }
            Event::Call => self.call(),
        }
    }

    fn after(&mut self, delay: u64, event: Event) {
        self.events.push(Reverse((self.now + delay, self.next_event)));
        self.happenings.insert(self.next_event, event);
        self.next_event += 1;
    }

    /// The time as node `i` has it: its clock began somewhere, and is up to a tenth too slow or too
    /// fast.
    fn clock(&self, i: usize) -> Now {
        Now(CLOCKS[i % 3] + self.now * (900 + self.nodes[i].drift) / 1000)
    }

    fn tick(&mut self, i: usize) {
        if self.nodes[i].paused_until <= self.now {
            let now = self.clock(i);
            self.step_acceptor(i, |acceptor, out| acceptor.tick(now, out));
            self.step_proposer(i, |proposer, out| proposer.tick(now, out));
            self.step_learner(i, |learner, out| learner.tick(now, out));
        }
        if i == 0 {
            for c in 0..self.clients.len() {
                let now = Now(self.now);
                self.step_client(c, |client, out| client.tick(now, out));
            }
        }
        let wait = if self.nodes[i].paused_until > self.now { self.wake_up(i) } else { TICK_US };
        self.after(wait, Event::Tick(i));
    }

    /// How long until node `i`, which stands still, comes to one thing that waits there. Links,
    /// mailboxes and timers are many, and it comes to them in any order.
    fn wake_up(&mut self, i: usize) -> u64 {
        self.nodes[i].paused_until - self.now + self.rng.between(0, 50_000)
    }

    fn deliver(&mut self, from: MemberId, mail: Outgoing, boot: Option<u64>) {
        if mail.to.0 >= CLIENTS {
            let c = (mail.to.0 - CLIENTS) as usize;
            let Packet::Client(msg) = mail.packet else { return };
            let now = Now(self.now);
            return self.step_client(c, |client, out| client.receive(now, from, msg, out));
        }
        let i = (mail.to.0 - 1) as usize;
        if boot.is_some_and(|boot| boot != self.nodes[i].boot) {
            return;
        }
        if self.nodes[i].paused_until > self.now {
            let wait = self.wake_up(i);
            return self.after(wait, Event::Mail { from, mail, boot });
        }
        self.note(|| format!("{from} -> {}: {:?}", mail.to, mail.packet));
        let now = self.clock(i);
        match mail.packet {
            Packet::Acceptor(msg) => self.step_acceptor(i, |a, out| a.receive(now, from, msg, out)),
            Packet::Proposer(msg) => self.step_proposer(i, |p, out| p.receive(now, from, msg, out)),
            Packet::Learner(msg) => self.step_learner(i, |l, out| l.receive(now, from, msg, out)),
            Packet::Client(_) => {}
        }
    }

    fn step_acceptor(&mut self, i: usize, step: impl FnOnce(&mut Acceptor, &mut Output<Record>)) {
        let Some(process) = &mut self.nodes[i].process else { return };
        let mut out = Output::new();
        step(&mut process.acceptor, &mut out);
        let promised = process.acceptor.status().promised;
        assert!(promised >= process.promised, "invariant 2: a promise fell");
        process.promised = promised;
        let (records, free) = process.gate.submit(out);
        if let Some(delay) = self.nodes[i].disk.append(records, &mut self.rng) {
            let boot = self.nodes[i].boot;
            self.after(delay, Event::Synced { node: i, boot });
        }
        self.post(i, free);
    }

    fn step_proposer(&mut self, i: usize, step: impl FnOnce(&mut Proposer, &mut Output<NoRecord>)) {
        let Some(process) = &mut self.nodes[i].process else { return };
        let mut out = Output::new();
        step(&mut process.proposer, &mut out);
        self.post(i, out.mail);
    }

    fn step_learner(
        &mut self,
        i: usize,
        step: impl FnOnce(&mut Learner<Lists>, &mut Output<NoRecord>),
    ) {
        let Some(process) = &mut self.nodes[i].process else { return };
        let mut out = Output::new();
        let before = process.learner.applied_below();
        step(&mut process.learner, &mut out);
        let (node, applied_below) = (process.learner.me().node, process.learner.applied_below());
        self.observer.invariant_10_state_never_goes_back(node, before, applied_below);
        if applied_below > before {
            let digest = process.learner.status().digest;
            self.observer.invariant_8_applied(node, applied_below, digest);
        }
        self.post(i, out.mail);
    }

    fn step_client(&mut self, c: usize, step: impl FnOnce(&mut Client, &mut Output<NoRecord>)) {
        let SimClient { client, open } = &mut self.clients[c];
        let mut out = Output::new();
        step(client, &mut out);
        let me = client.me();
        for (id, outcome) in client.finished() {
            if let Some(at) = open.remove(&id) {
                let Seen { key, number, .. } = self.history.calls[at];
                if let (Some(number), Outcome::Done(_)) = (number, &outcome) {
                    self.observer.invariant_11_acknowledged_is_chosen(&append(key, number));
                }
                self.history.calls[at].ended = Some((self.now, outcome));
            }
        }
        for mail in out.mail {
            self.send(me, mail, None);
        }
    }

    /// A client begins a call.
    fn call(&mut self) {
        let c = self.rng.between(0, self.clients.len() as u64) as usize;
        let key = self.rng.between(0, KEYS as u64) as usize;
        let number = (self.rng.between(0, 3) > 0).then_some(self.history.calls.len() as u64);
        let deadline = Now(self.now + self.rng.between(500_000, 5_000_000));
        let called_at = self.now;
        let at = self.history.calls.len();
        self.history.calls.push(Seen { key, number, called_at, ended: None });
        let now = Now(self.now);
        let SimClient { client, open } = &mut self.clients[c];
        let mut out = Output::new();
        let id = match number {
            Some(number) => client.write(now, append(key, number), deadline, &mut out),
            None => client.read(now, list(key), deadline, &mut out),
        };
        open.insert(id, at);
        self.step_client(c, |_, late| late.mail = out.mail);
        if !self.healed {
            let pause = [200, 5_000, 40_000][self.rng.between(0, 3) as usize];
            let pause = self.rng.between(0, pause);
            self.after(pause, Event::Call);
        }
    }

    fn synced(&mut self, i: usize, boot: u64) {
        if boot != self.nodes[i].boot {
            return;
        }
        let (records, next) = self.nodes[i].disk.synced(&mut self.rng);
        self.became_durable(i, &records);
        if let Some(delay) = next {
            self.after(delay, Event::Synced { node: i, boot });
        }
        let lsn = self.nodes[i].disk.durable.len() as u64;
        if let Some(process) = &mut self.nodes[i].process {
            let free = process.gate.release(lsn);
            self.post(i, free);
        }
    }

    fn became_durable(&mut self, i: usize, records: &[Record]) {
        for record in records {
            self.observer.durable(self.nodes[i].me.node, 1 << i, record);
        }
    }

    pub fn crash(&mut self, i: usize) {
        if self.nodes[i].process.take().is_some() {
            self.nodes[i].boot += 1;
            let kept = self.nodes[i].disk.crash(&mut self.rng);
            self.became_durable(i, &kept);
            let down = self.rng.between(1_000, 800_000);
            self.after(down, Event::Start(i));
        }
    }

    /// Boot is restart: the acceptor has what its log holds, the others have nothing.
    pub fn start(&mut self, i: usize) {
        if self.nodes[i].process.is_some() {
            return;
        }
        let me = self.nodes[i].me;
        let (timing, limits, node) = (self.timing, self.limits, me.node);
        let (life, seed) = (self.rng.next_u64(), self.rng.next_u64());
        let layout = || self.layout.clone();
        let mut acceptor = Acceptor::new(AcceptorOptions { me, layout: layout(), timing, limits });
        let records = &self.nodes[i].disk.durable;
        records.iter().for_each(|record| acceptor.replay(record.clone()));
        let promised = acceptor.status().promised;
        self.observer.invariant_2_promise_stands(node, promised);
        let proposer =
            ProposerOptions { me, life, seed, learner: node, layout: layout(), timing, limits };
        let learner = LearnerOptions { me, life, proposer: node, layout: layout(), timing, limits };
        self.nodes[i].process = Some(Process {
            acceptor,
            gate: Gate::new(records.len() as u64),
            proposer: Proposer::new(proposer),
            learner: Learner::new(learner, Lists::default()),
            promised,
        });
        self.note(|| format!("START n{node}"));
    }

    fn post(&mut self, i: usize, mail: Vec<Outgoing>) {
        for mail in mail {
            let (me, boot) = (self.nodes[i].me, self.nodes[i].boot);
            self.observer.leaves(me, boot, &mail);
            self.send(me, mail, Some(boot));
        }
    }

    fn send(&mut self, from: MemberId, mail: Outgoing, boot: Option<u64>) {
        let boot = boot.filter(|_| mail.to == from.node);
        let mut arrivals = self.network.send(from.node, mail.to, &mut self.rng);
        // A client counts refusals against attempts, as a route allows: at most once.
        if matches!(mail.packet, Packet::Proposer(ProposerMsg::Propose { .. }) | Packet::Client(_))
        {
            arrivals.truncate(1);
        }
        for delay in arrivals {
            self.after(delay, Event::Mail { from, mail: mail.clone(), boot });
        }
    }

    fn leaders(&self) -> usize {
        let processes = self.nodes.iter().filter_map(|node| node.process.as_ref());
        processes.filter(|process| process.proposer.status().stance == StanceName::Lead).count()
    }

    fn is_quiet(&self) -> bool {
        let applied = |node: &Node| {
            let status = node.process.as_ref()?.learner.status();
            Some((status.applied_below, status.digest))
        };
        let first = applied(&self.nodes[0]);
        let all = Slot(self.observer.chosen.len() as u64);
        self.history.is_over()
            && first.is_some_and(|(below, _)| below == all)
            && self.nodes.iter().all(|node| applied(node) == first)
    }

    fn standing(&self) -> String {
        let open = self.history.calls.iter().filter(|call| call.ended.is_none()).count();
        let mut text = format!("{open} calls open, {} slots chosen", self.observer.chosen.len());
        for Process { acceptor, proposer, learner, .. } in
            self.nodes.iter().filter_map(|node| node.process.as_ref())
        {
            let (a, p, l) = (acceptor.status(), proposer.status(), learner.status());
            text += &format!("\n{a:?}\n{p:?}\n{l:?}");
        }
        text
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>10} {}\n", self.now, text()));
        }
    }

    pub fn trace(&self) -> String {
        self.trace.iter().flatten().map(String::as_str).collect()
    }
}
