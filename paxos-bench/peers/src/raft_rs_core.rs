//! The bare core of raft-rs, with its own storage in memory.

use anyhow::ensure;
use raft::eraftpb::{ConfState, Entry, Message};
use raft::storage::MemStorage;
use raft::{Config, RawNode, StateRole};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Applied entries are forgotten after so many, as they would be in use.
const KEPT_MAX: u64 = 16_384;

struct Cluster {
    /// The node with the number 1 is the first.
    nodes: Vec<Node>,
    mail: Vec<Message>,
}

struct Node {
    raft: RawNode<MemStorage>,
    store: MemStorage,
    /// How many entries with a value were read off.
    read: u64,
    applied: u64,
    compacted: u64,
}

/// Gives back the nanoseconds that an entry takes until it is applied at all nodes.
pub fn run(every: u64, payload: usize, time: Duration) -> anyhow::Result<f64> {
    let mut cluster = Cluster::new()?;
    let value = vec![7; payload];
    cluster.rounds(every, &value, time / 10)?;
    let begun = Instant::now();
    let count = cluster.rounds(every, &value, time)?;
    Ok(begun.elapsed().as_nanos() as f64 / count as f64)
}

impl Cluster {
    /// Three nodes, of which the first leads.
    fn new() -> anyhow::Result<Cluster> {
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let mut nodes = Vec::new();
        for id in 1..=3 {
            let members = ConfState::from((vec![1, 2, 3], vec![]));
            let store = MemStorage::new_with_conf_state(members);
            let config = Config {
                id,
                election_tick: 10,
                heartbeat_tick: 3,
                max_size_per_msg: 1 << 20,
                max_inflight_msgs: 4096,
                batch_append: true,
                ..Default::default()
            };
            let raft = RawNode::new(&config, store.clone(), &logger)?;
            nodes.push(Node { raft, store, read: 0, applied: 0, compacted: 0 });
        }
        nodes[0].raft.campaign()?;
        let mut cluster = Cluster { nodes, mail: Vec::new() };
        cluster.exchange()?;
        let leads = cluster.nodes[0].raft.raft.state == StateRole::Leader;
        ensure!(leads, "the first node does not come to lead");
        Ok(cluster)
    }

    /// Proposes and applies for so long. Gives back how many entries.
    fn rounds(&mut self, every: u64, value: &[u8], time: Duration) -> anyhow::Result<u64> {
        let (begun, mut count) = (Instant::now(), 0);
        let before = self.nodes[0].read;
        while begun.elapsed() < time {
            for _ in 0..(1024 / every).max(1) {
                for _ in 0..every {
                    // It takes nothing that could be shared.
                    self.nodes[0].raft.propose(Vec::new(), value.to_vec())?;
                }
                self.exchange()?;
                count += every;
            }
            let all = before + count;
            ensure!(self.nodes.iter().all(|node| node.read == all), "an entry is not everywhere");
            for node in &mut self.nodes {
                node.forget()?;
            }
        }
        Ok(count)
    }

    /// Lets nodes work and delivers messages until there is nothing to do.
    fn exchange(&mut self) -> anyhow::Result<()> {
        loop {
            for node in &mut self.nodes {
                node.work(&mut self.mail)?;
            }
            if self.mail.is_empty() {
                return Ok(());
            }
            for message in self.mail.drain(..) {
                let to = message.to as usize - 1;
                self.nodes[to].raft.step(message)?;
            }
        }
    }
}

impl Node {
    /// What its own example does with what is ready; nothing waits for a disk.
    fn work(&mut self, mail: &mut Vec<Message>) -> anyhow::Result<()> {
        while self.raft.has_ready() {
            let mut ready = self.raft.ready();
            mail.extend(ready.take_messages());
            self.read_off(ready.take_committed_entries());
            if !ready.entries().is_empty() {
                self.store.wl().append(ready.entries())?;
            }
            if let Some(state) = ready.hs() {
                self.store.wl().set_hardstate(state.clone());
            }
            mail.extend(ready.take_persisted_messages());
            let mut light = self.raft.advance(ready);
            if let Some(commit) = light.commit_index() {
                self.store.wl().mut_hard_state().set_commit(commit);
            }
            mail.extend(light.take_messages());
            self.read_off(light.take_committed_entries());
            self.raft.advance_apply();
        }
        Ok(())
    }

    fn read_off(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            black_box(entry.data.len());
            self.applied = entry.index;
            // A leader's first entry has none.
            self.read += u64::from(!entry.data.is_empty());
        }
    }

    fn forget(&mut self) -> anyhow::Result<()> {
        if self.applied - self.compacted > KEPT_MAX {
            self.store.wl().compact(self.applied)?;
            self.compacted = self.applied;
        }
        Ok(())
    }
}
