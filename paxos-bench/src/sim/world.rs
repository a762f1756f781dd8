//! The world: machines, clients, their mail and the time, driven by one seed.

mod lives;
mod mail;
mod turns;

use super::clients::{Clients, SimClient};
use super::faults::{self, FaultKind};
use super::network::Network;
use super::node::Node;
use super::observer::Observer;
use super::queue::Queue;
use super::setup::Setup;
use super::witness::{Watched, Witness};
use paxos_core::rng::Rng;
use paxos_core::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Where clocks begin.
const CLOCKS: [u64; 3] = [0, 7_000_000_000_000, u64::MAX / 2];

/// How often clients look at the time, in microseconds.
const CLIENT_TICK_US: u64 = 20_000;

pub(super) struct World {
    pub setup: Setup,
    pub rng: Rng,
    /// Microseconds of true time; no role sees them.
    pub now: u64,
    events: Queue<Event>,
    pub nodes: Vec<Node>,
    pub clients: Clients,
    pub network: Network,
    pub observer: Observer,
    pub witness: Witness,
    pub faults: BTreeMap<FaultKind, u64>,
    pub counts: Counts,
    /// Faults are over.
    pub is_healed: bool,
    trace: Option<String>,
}

/// What happened on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Snapshots that came from a peer.
    pub installed: u64,
    /// Processes that ended because their disk failed.
    pub disk_failures: u64,
    /// Nodes that stay down, since their log is damaged.
    pub halted: u64,
    /// Events in all.
    pub events: u64,
    /// From the end of the faults to a leader.
    pub led_after_us: u64,
    /// From the end of the faults until nothing was left to do.
    pub quiet_after_us: u64,
    /// The history was judged by a search as well.
    pub is_judged_twice: bool,
}

enum Event {
    Tick(usize),
    ClientTick,
    /// `boot` is that of the receiver, for mail within one process.
    Mail {
        from: MemberId,
        mail: Outgoing,
        boot: Option<u64>,
    },
    /// No more mail waits for the roles of a node.
    Flush {
        node: usize,
        boot: u64,
    },
    /// A batch of the log is durable.
    Synced {
        node: usize,
        boot: u64,
    },
    /// A task of the snapshots is done.
    Shelved {
        node: usize,
        boot: u64,
    },
    /// A machine loses power while its disk is at work.
    PowerCut {
        node: usize,
        boot: u64,
    },
    Start(usize),
    Kill(usize),
    Fault,
    Call,
}

impl World {
    pub fn new(seed: u64, setup: Setup, rng: Rng, traced: bool) -> World {
        let nodes = setup.layout.nodes().into_iter().map(Node::new).collect();
        let mut world = World {
            nodes,
            clients: Clients::new(setup.work.clone()),
            observer: Observer::new(&setup.layout),
            witness: Witness::default(),
            rng,
            now: 0,
            events: Queue::default(),
            network: Network::default(),
            faults: BTreeMap::new(),
            counts: Counts::default(),
            is_healed: false,
            trace: traced.then(|| format!("seed {seed}\n{setup:#?}\n")),
            setup,
        };
        world.populate();
        world
    }

    fn populate(&mut self) {
        for c in 0..self.setup.work.clients {
            let client = self.new_client(c);
            self.clients.all.push(client);
        }
        for i in 0..self.nodes.len() {
            self.nodes[i].set_clock(0, 1000, CLOCKS[i % 3]);
            self.start(i);
            let at = self.rng.between(0, self.setup.timing.tick_us());
            self.after(at, Event::Tick(i));
        }
        self.after(1, Event::ClientTick);
        self.after(1_000, Event::Call);
        let at = self.rng.between(0, self.setup.fault_pause_us);
        self.after(at, Event::Fault);
    }

    fn new_client(&mut self, number: u64) -> SimClient {
        let mut nodes: Vec<NodeId> = self.nodes.iter().map(|node| node.me.node).collect();
        // Some know one node only, and go down with it. The first knows all.
        if number > 0 && self.rng.between(0, 2) == 0 {
            nodes = vec![nodes[self.rng.between(0, nodes.len() as u64) as usize]];
        }
        SimClient::new(number, nodes, self.setup.limits, &mut self.rng)
    }

    /// Lets the next thing happen.
    pub fn step(&mut self) {
        let (at, event) = self.events.pop().expect("something always happens");
        self.now = at;
        self.counts.events += 1;
        match event {
            Event::Tick(i) => self.tick(i),
            Event::ClientTick => {
                let now = Now(self.now);
                for c in 0..self.clients.all.len() {
                    self.step_client(c, |client, out| client.tick(now, out));
                }
                self.after(CLIENT_TICK_US, Event::ClientTick);
            }
            Event::Mail { from, mail, boot } => self.deliver(from, mail, boot),
            Event::Flush { node, boot } => self.flush(node, boot),
            Event::Synced { node, boot } => self.synced(node, boot),
            Event::Shelved { node, boot } => self.shelved(node, boot),
            Event::PowerCut { node, boot } => {
                if boot == self.nodes[node].boot && !self.is_healed {
                    *self.faults.entry(FaultKind::MidWrite).or_insert(0) += 1;
                    self.crash(node);
                }
            }
            Event::Start(i) => self.start(i),
            Event::Kill(_) | Event::Fault | Event::Call if self.is_healed => {}
            Event::Kill(i) => self.kill(i),
            Event::Fault => {
                faults::strike(self);
                let pause = self.rng.between(20_000, self.setup.fault_pause_us);
                self.after(pause, Event::Fault);
            }
            Event::Call => {
                let c = self.rng.between(0, self.clients.all.len() as u64) as usize;
                if self.clients.all[c].open() < self.setup.work.open_max {
                    self.call(c, None);
                }
                let pause = self.rng.between(0, 2 * self.setup.work.pause_us);
                self.after(pause, Event::Call);
            }
        }
    }

    fn after(&mut self, delay: u64, event: Event) {
        self.events.push(self.now + delay, event);
    }

    fn tick(&mut self, i: usize) {
        let tick_us = self.setup.timing.tick_us();
        if self.nodes[i].paused_until > self.now {
            let wait = self.wake_up(i);
            return self.after(wait, Event::Tick(i));
        }
        let now = self.turn_now(i);
        self.step_acceptor(i, |acceptor, out| acceptor.tick(now, out));
        self.step_proposer(i, |proposer, out| proposer.tick(now, out));
        self.step_learner(i, |learner, out| learner.tick(now, out));
        self.after(tick_us, Event::Tick(i));
    }

    /// How long until node `i`, which stands still, comes to one thing that waits there. Links,
    /// mailboxes and timers are many, and it comes to them in any order.
    fn wake_up(&mut self, i: usize) -> u64 {
        self.nodes[i].paused_until - self.now + self.rng.between(0, 50_000)
    }

    fn sync_later(&mut self, i: usize) {
        self.write_later(i, 1_000, |node, boot| Event::Synced { node, boot });
    }

    fn shelve_later(&mut self, i: usize) {
        self.write_later(i, 3_000, |node, boot| Event::Shelved { node, boot });
    }

    /// The node's disk has work, for so long at most, and a hundred times as long where it is slow.
    /// If the seed wants so, that is when power is lost.
    fn write_later(&mut self, i: usize, most: u64, done: impl Fn(usize, u64) -> Event) {
        let most = if self.nodes[i].is_slow { 100 * most } else { most };
        let (delay, boot) = (self.rng.between(50, most), self.nodes[i].boot);
        self.after(delay, done(i, boot));
        if std::mem::take(&mut self.nodes[i].crashes_in_write) {
            let at = self.rng.between(0, delay);
            self.after(at, Event::PowerCut { node: i, boot });
        }
    }

    fn shelved(&mut self, i: usize, boot: u64) {
        let Some(replica) = self.nodes[i].replica(boot) else { return };
        let events = match replica.snapshots.finish(&mut self.rng) {
            Ok(events) => events,
            Err(error) => return self.disk_failed(i, &error.to_string()),
        };
        for event in events {
            self.note(|| format!("n{} {event:?}", i + 1));
            if let SnapshotEvent::Written(id) | SnapshotEvent::Installed(id) = &event {
                self.nodes[i].snapshot_below = self.nodes[i].snapshot_below.max(id.below);
            }
            let is_installed = matches!(event, SnapshotEvent::Installed(_));
            let now = self.turn_now(i);
            let step = |learner: &mut Learner<Watched>, out: &mut _| {
                learner.snapshot_event(now, event, out)
            };
            if self.step_learner(i, step) == Some(true) {
                assert!(
                    is_installed,
                    "a learner is made anew for a snapshot that came from a peer"
                );
                self.end_turn(i);
                return self.renew_learner(i);
            }
        }
        if self.nodes[i].replica(boot).is_some_and(|replica| !replica.snapshots.is_idle()) {
            self.shelve_later(i);
        }
    }

    /// A snapshot was installed: the learner is made anew from it.
    fn renew_learner(&mut self, i: usize) {
        let process = self.nodes[i].process.as_mut();
        let Some(replica) = process.and_then(|process| process.learner.take()) else { return };
        let before = replica.learner.applied_below();
        self.counts.installed += 1;
        match replica.snapshots.reopen() {
            Ok(opened) => self.start_learner(i, opened),
            Err(error) => return self.disk_failed(i, &error.to_string()),
        }
        let after = self.nodes[i].learner().map(Learner::applied_below).unwrap_or_default();
        self.observer.invariant_10_state_never_goes_back(self.nodes[i].me.node, before, after);
    }

    fn step_client(&mut self, c: usize, step: impl FnOnce(&mut Client, &mut Output<NoRecord>)) {
        let client = &mut self.clients.all[c].client;
        let mut out = Output::new();
        step(client, &mut out);
        let me = client.me();
        self.clients.note_ends(c);
        for mail in out.mail {
            self.send(me, mail, None);
        }
    }

    /// Client `c` begins a call; or, with `key`, reads that one.
    pub fn call(&mut self, c: usize, key: Option<usize>) {
        let mail = self.clients.call(c, key, self.now, &mut self.rng);
        self.step_client(c, |_, out| out.mail = mail);
    }

    pub fn lose_client(&mut self) {
        let c = self.rng.between(0, self.clients.all.len() as u64);
        let client = self.new_client(c);
        self.clients.replace(c as usize, client);
    }

    fn synced(&mut self, i: usize, boot: u64) {
        let Some(voter) = self.nodes[i].voter(boot) else { return };
        let (records, lsn) = match voter.log.finish() {
            Ok(finished) => finished,
            Err(error) => return self.disk_failed(i, &error.to_string()),
        };
        let mut free = Vec::new();
        voter.gate.release(lsn, &mut free);
        let prepared = voter.log.prepare();
        let goes_on = voter.log.begin();
        self.nodes[i].durable = lsn;
        self.became_durable(i, &records);
        self.post(i, free);
        match prepared {
            Err(error) => self.disk_failed(i, &error.to_string()),
            Ok(()) if goes_on => self.sync_later(i),
            Ok(()) => {}
        }
    }

    /// Whether all first members have stored the roster, and know it.
    pub fn is_formed(&self) -> bool {
        self.observer.is_formed(&self.setup.layout)
    }

    /// A node that leads, by its place.
    pub fn leader(&self) -> Option<usize> {
        self.nodes.iter().position(Node::leads)
    }

    /// What everyone is at, for whoever looks into a failure.
    pub fn standing(&self) -> String {
        let mut text =
            format!("{} slots chosen, {:?}", self.observer.chosen_count(), self.clients.tally);
        for node in &self.nodes {
            let _ = write!(text, "\n{:?}", node.acceptor().map(Acceptor::status));
            let _ = write!(text, "\n{:?}", node.proposer().map(Proposer::status));
            let _ = write!(text, "\n{:?}", node.learner().map(Learner::status));
        }
        text
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let _ = writeln!(trace, "{:>10} {}", self.now, text());
        }
    }

    /// What happened, if it was asked for.
    pub fn trace(&self) -> &str {
        self.trace.as_deref().unwrap_or_default()
    }
}
