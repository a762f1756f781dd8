//! The world: nodes, clients, their mail and the time, driven by one seed.

use super::faults::{self, FaultKind};
use super::history::{History, Seen};
use super::machine::{KEYS, Lists, append, list};
use super::network::{self, Network};
use super::node::{Cast, Node, Process, Voter};
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
    cast: Cast,
    limits: Limits,
    timing: Timing,
    /// How large some commands are.
    bulk: usize,
    pub faults: BTreeMap<FaultKind, u64>,
    /// Snapshots that came from a peer.
    installed: u64,
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
    pub installed: u64,
    pub rotten: u64,
    pub trimmed: u64,
    pub faults: BTreeMap<FaultKind, u64>,
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
    /// The first task at a learner's shelf is done.
    Shelved {
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
        let mut cast = Cast::draw(&mut rng);
        cast.layout.window = [1, 2, 4, 16][rng.between(0, 4) as usize];
        if cast.layout.acceptors.len() == 5 && rng.between(0, 3) == 0 {
            cast.layout.quorums = Quorums::sizes(5, 4, 2).expect("they meet");
        }
        cast.layout.sessions = SessionRules {
            ttl_ms: [2_000, 60_000][rng.between(0, 2) as usize],
            sessions_max: [6, 100_000][rng.between(0, 2) as usize],
            window: [2, 1024][rng.between(0, 2) as usize],
        };
        let limits = Limits {
            part_bytes_max: [200, 2_000, 2 << 20][rng.between(0, 3) as usize],
            entry_bytes_max: [100, 1_000, 1 << 20][rng.between(0, 3) as usize],
            fed_slots_max: [2, 64, 4096][rng.between(0, 3) as usize],
            flight_bytes_max: [4_000, 64_000][rng.between(0, 2) as usize],
            queue_bytes_max: [150, 400, 64 << 20][rng.between(0, 3) as usize],
            reads_max: [2, 65_536][rng.between(0, 2) as usize],
            fed_bytes_max: [100, 64 << 20][rng.between(0, 2) as usize],
            snapshot_log_bytes: [300, 1_500, 1 << 20][rng.between(0, 3) as usize],
            ..Limits::default()
        };
        let mut world = World {
            nodes: (1..=cast.size()).map(NodeId).map(Node::new).collect(),
            clients: Vec::new(),
            observer: Observer::new(cast.layout.quorums),
            seed,
            now: 0,
            events: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next_event: 0,
            network: Network::calm(),
            history: History::default(),
            cast,
            limits,
            timing: Timing::default(),
            bulk: [0, 0, 30, 100][rng.between(0, 4) as usize],
            faults: BTreeMap::new(),
            installed: 0,
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
        let learner = self.nodes.iter().find_map(Node::learner);
        self.history.judge(learner.expect("all nodes run").state());
        let unknown = |call: &&Seen| matches!(call.ended, Some((_, Outcome::Unknown(_))));
        Report {
            seed: self.seed,
            commands: self.history.calls.len() as u64,
            unknown: self.history.calls.iter().filter(unknown).count() as u64,
            virtual_ms: self.now / 1000,
            installed: self.installed,
            rotten: self.nodes.iter().map(|node| node.shelf.rotten).sum(),
            trimmed: self.observer.trimmed.0,
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
            Event::Shelved { node, boot } => self.shelved(node, boot),
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
        let to =
            if from.node.0 >= CLIENTS { self.cast.takes(mail.to, &mail.packet) } else { mail.to };
        let i = (to.0 - 1) as usize;
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
            Packet::Learner(msg) => {
                self.step_learner(i, |l, out| l.receive(now, from, msg, out));
            }
            Packet::Client(_) => {}
        }
    }

    fn step_acceptor(&mut self, i: usize, step: impl FnOnce(&mut Acceptor, &mut Output<Record>)) {
        let Some(process) = &mut self.nodes[i].process else { return };
        let Some(Voter { acceptor, gate, promised }) = &mut process.acceptor else { return };
        let mut out = Output::new();
        step(acceptor, &mut out);
        let now_promised = acceptor.status().promised;
        assert!(now_promised >= *promised, "invariant 2: a promise fell");
        *promised = now_promised;
        let (records, free) = gate.submit(out);
        if let Some(delay) = self.nodes[i].disk.append(records, &mut self.rng) {
            let boot = self.nodes[i].boot;
            self.after(delay, Event::Synced { node: i, boot });
        }
        self.post(i, free);
    }

    fn step_proposer(&mut self, i: usize, step: impl FnOnce(&mut Proposer, &mut Output<NoRecord>)) {
        let Some(process) = &mut self.nodes[i].process else { return };
        let Some(proposer) = &mut process.proposer else { return };
        let mut out = Output::new();
        step(proposer, &mut out);
        self.post(i, out.mail);
    }

    /// Gives back what the step does; nothing where there is no learner.
    fn step_learner<T>(
        &mut self,
        i: usize,
        step: impl FnOnce(&mut Learner<Lists>, &mut Output<SnapshotPiece>) -> T,
    ) -> Option<T> {
        let learner = self.nodes[i].process.as_mut()?.learner.as_mut()?;
        let mut out = Output::new();
        let before = learner.applied_below();
        let result = step(learner, &mut out);
        let (node, applied_below) = (learner.me().node, learner.applied_below());
        self.observer.invariant_10_state_never_goes_back(node, before, applied_below);
        if applied_below > before {
            let digest = learner.status().digest;
            self.observer.invariant_8_applied(node, applied_below, digest);
        }
        let tasks = learner.snapshot_tasks();
        if let Some(delay) = self.nodes[i].shelf.take(tasks, &mut self.rng) {
            let boot = self.nodes[i].boot;
            self.after(delay, Event::Shelved { node: i, boot });
        }
        self.post(i, out.mail);
        Some(result)
    }

    fn shelved(&mut self, i: usize, boot: u64) {
        if boot != self.nodes[i].boot {
            return;
        }
        let event = self.nodes[i].shelf.done(&mut self.rng);
        if let Some(delay) = self.nodes[i].shelf.next_takes(&mut self.rng) {
            self.after(delay, Event::Shelved { node: i, boot });
        }
        let Some(event) = event else { return };
        self.note(|| format!("n{} {event:?}", i + 1));
        let is_installed = matches!(event, SnapshotEvent::Installed(_));
        let now = self.clock(i);
        let step =
            |learner: &mut Learner<Lists>, out: &mut _| learner.snapshot_event(now, event, out);
        if self.step_learner(i, step) == Some(true) {
            assert!(is_installed, "a learner is made anew for a snapshot that came from a peer");
            let before = self.nodes[i].learner().map(Learner::applied_below);
            self.start_learner(i);
            let after = self.nodes[i].learner().map(Learner::applied_below);
            let node = self.nodes[i].me.node;
            let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
            self.observer.invariant_10_state_never_goes_back(node, before, after);
            self.installed += 1;
        }
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
                    self.observer
                        .invariant_11_acknowledged_is_chosen(&append(key, number, self.bulk));
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
            Some(number) => client.write(now, append(key, number, self.bulk), deadline, &mut out),
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
        let lsn = self.nodes[i].disk.lsn();
        if let Some(voter) = self.nodes[i].process.as_mut().and_then(|p| p.acceptor.as_mut()) {
            let free = voter.gate.release(lsn);
            self.post(i, free);
        }
    }

    fn became_durable(&mut self, i: usize, records: &[Record]) {
        let node = self.nodes[i].me.node;
        let bit =
            self.cast.layout.acceptors.iter().position(|&a| a == node).map_or(0, |at| 1 << at);
        for record in records {
            if let Record::Trimmed { below, .. } = record {
                let learners = self.cast.layout.learners.iter().map(|feed| feed.learner);
                let covers = learners.filter(|learner| {
                    self.nodes[learner.0 as usize - 1].shelf.durable_below() >= *below
                });
                self.observer.r26_trimmed_is_covered(
                    node,
                    *below,
                    &covers.collect(),
                    &self.cast.layout,
                );
            }
            self.observer.durable(node, bit, record);
        }
    }

    pub fn crash(&mut self, i: usize) {
        if self.nodes[i].process.take().is_some() {
            self.nodes[i].boot += 1;
            let kept = self.nodes[i].disk.crash(&mut self.rng);
            self.nodes[i].shelf.crash(&mut self.rng);
            self.became_durable(i, &kept);
            let down = self.rng.between(1_000, 800_000);
            self.after(down, Event::Start(i));
        }
    }

    /// Boot is restart: acceptors have what their log holds, learners their newest snapshot, and
    /// proposers nothing.
    pub fn start(&mut self, i: usize) {
        if self.nodes[i].process.is_some() {
            return;
        }
        let me = self.nodes[i].me;
        let (timing, limits, node) = (self.timing, self.limits, me.node);
        let (life, seed) = (self.rng.next_u64(), self.rng.next_u64());
        let layout = || self.cast.layout.clone();
        let acceptor = layout().acceptors.contains(&node).then(|| {
            let options = AcceptorOptions { me, layout: layout(), timing, limits };
            let mut acceptor = Acceptor::new(options);
            self.nodes[i].disk.restart(&mut self.rng);
            self.nodes[i].disk.durable.iter().for_each(|record| acceptor.replay(record.clone()));
            let promised = acceptor.status().promised;
            self.observer.invariant_2_promise_stands(node, promised);
            Voter { acceptor, gate: Gate::new(self.nodes[i].disk.lsn()), promised }
        });
        let pair = self.cast.pairs.iter().find(|(proposer, _)| *proposer == node);
        let proposer = pair.map(|&(_, learner)| {
            let layout = self.cast.layout.clone();
            Proposer::new(ProposerOptions { me, life, seed, learner, layout, timing, limits })
        });
        self.nodes[i].process = Some(Process { acceptor, proposer, learner: None });
        self.note(|| format!("START n{node}"));
        self.start_learner(i);
    }

    /// Makes a node's learner, if it has one, from its newest snapshot.
    fn start_learner(&mut self, i: usize) {
        let me = self.nodes[i].me;
        let asks = self.cast.asks.iter().find(|(learner, _)| *learner == me.node);
        let Some(&(_, proposer)) = asks else { return };
        let (layout, timing, limits) = (self.cast.layout.clone(), self.timing, self.limits);
        let life = self.rng.next_u64();
        let options = LearnerOptions { me, life, proposer, layout, timing, limits };
        let mut learner = Learner::new(options, Lists::default());
        let (pieces, found) = self.nodes[i].shelf.open();
        pieces.into_iter().for_each(|piece| learner.replay(piece));
        assert_eq!(learner.restored(), Ok(()));
        let (applied_below, digest) = (learner.applied_below(), learner.status().digest);
        self.observer.invariant_8_applied(me.node, applied_below, digest);
        if let Some(process) = &mut self.nodes[i].process {
            process.learner = Some(learner);
        }
        let now = self.clock(i);
        self.step_learner(i, |learner, out| learner.snapshot_event(now, found, out));
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
        let is_inside = from.node.0 < CLIENTS && mail.to.0 < CLIENTS;
        let bytes = if is_inside { network::bytes(&mail.packet) } else { 0 };
        let mut arrivals = self.network.send(self.now, from.node, mail.to, bytes, &mut self.rng);
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
        let proposers = self.nodes.iter().filter_map(Node::proposer);
        proposers.filter(|proposer| proposer.status().stance == StanceName::Lead).count()
    }

    fn is_quiet(&self) -> bool {
        let all = Slot(self.observer.chosen.len() as u64);
        let runs = self.nodes.iter().all(|node| node.process.is_some());
        let status: Vec<_> =
            self.nodes.iter().filter_map(Node::learner).map(Learner::status).collect();
        let is_done = |learner: &LearnerStatus| {
            (learner.applied_below, learner.digest) == (all, status[0].digest)
        };
        self.history.is_over() && runs && status.iter().all(is_done)
    }

    fn standing(&self) -> String {
        let open = self.history.calls.iter().filter(|call| call.ended.is_none()).count();
        let mut text = format!("{open} calls open, {} slots chosen", self.observer.chosen.len());
        for node in &self.nodes {
            text += &format!("\n{:?}", node.acceptor().map(Acceptor::status));
            text += &format!("\n{:?}", node.proposer().map(Proposer::status));
            text += &format!("\n{:?}", node.learner().map(Learner::status));
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
