//! The bare core of omnipaxos, with its own storage in memory.

use anyhow::{Context, ensure};
use bytes::Bytes;
use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};
use omnipaxos_storage::memory_storage::MemoryStorage;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Decided entries are forgotten after so many, as they would be in use.
const KEPT_MAX: usize = 16_384;

#[derive(Clone, Debug)]
struct Value(Bytes);

impl Entry for Value {
    type Snapshot = NoSnapshot;
}

type Node = OmniPaxos<Value, MemoryStorage<Value>>;

struct Cluster {
    /// The node with the number 1 is the first.
    nodes: Vec<Node>,
    /// How many entries were read off at each.
    read: Vec<usize>,
    mail: Vec<Message<Value>>,
}

/// Gives back the nanoseconds that an entry takes until it is decided and read off at all nodes.
pub fn run(every: u64, payload: usize, time: Duration) -> anyhow::Result<f64> {
    let mut cluster = Cluster::new()?;
    let value = Value(Bytes::from(vec![7; payload]));
    cluster.rounds(every, &value, time / 10)?;
    let begun = Instant::now();
    let count = cluster.rounds(every, &value, time)?;
    Ok(begun.elapsed().as_nanos() as f64 / count as f64)
}

impl Cluster {
    /// Three nodes, of which the first leads.
    fn new() -> anyhow::Result<Cluster> {
        let mut nodes = Vec::new();
        for pid in 1..=3 {
            let cluster =
                ClusterConfig { configuration_id: 1, nodes: vec![1, 2, 3], flexible_quorum: None };
            let server = ServerConfig { pid, election_tick_timeout: 1, ..Default::default() };
            nodes.push(cluster.build_for_server(server, MemoryStorage::default())?);
        }
        let mut cluster = Cluster { nodes, read: vec![0; 3], mail: Vec::new() };
        for _ in 0..20 {
            cluster.nodes[0].try_become_leader();
            cluster.exchange();
            if cluster.nodes[0].get_current_leader() == Some((1, true)) {
                return Ok(cluster);
            }
            cluster.nodes.iter_mut().for_each(Node::tick);
            cluster.exchange();
        }
        anyhow::bail!("the first node does not come to lead")
    }

    /// Appends and decides for so long. Gives back how many entries.
    fn rounds(&mut self, every: u64, value: &Value, time: Duration) -> anyhow::Result<u64> {
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < time {
            for _ in 0..(1024 / every).max(1) {
                for _ in 0..every {
                    let appended = self.nodes[0].append(value.clone());
                    ensure!(appended.is_ok(), "an entry was refused");
                }
                self.exchange();
                count += every;
                self.read_off()?;
            }
            self.trim()?;
        }
        Ok(count)
    }

    /// Delivers messages until there are none.
    fn exchange(&mut self) {
        loop {
            for node in &mut self.nodes {
                node.take_outgoing_messages(&mut self.mail);
            }
            if self.mail.is_empty() {
                return;
            }
            for message in self.mail.drain(..) {
                let to = message.get_receiver() as usize - 1;
                self.nodes[to].handle_incoming(message);
            }
        }
    }

    /// Reads off what was decided, at every node; it is the same everywhere.
    fn read_off(&mut self) -> anyhow::Result<()> {
        for (node, read) in self.nodes.iter().zip(&mut self.read) {
            for entry in node.read_decided_suffix(*read).context("nothing was decided")? {
                if let LogEntry::Decided(Value(bytes)) = entry {
                    black_box(bytes.len());
                    *read += 1;
                }
            }
        }
        let all = self.nodes[0].get_decided_idx();
        ensure!(self.read.iter().all(|&read| read == all), "an entry was not decided everywhere");
        Ok(())
    }

    fn trim(&mut self) -> anyhow::Result<()> {
        let (read, kept_from) = (self.read[0], self.nodes[0].get_compacted_idx());
        if read - kept_from > KEPT_MAX {
            let trimmed = self.nodes[0].trim(Some(read));
            ensure!(trimmed.is_ok(), "entries could not be trimmed: {trimmed:?}");
            self.exchange();
        }
        Ok(())
    }
}
