//! Nodes as processes, with a proxy on the way from each to each, and on the way from clients.

use super::proxy::Proxy;
use super::shape::{Shape, Way};
use super::tools;
use crate::processes::{Place, Process, free_addresses, serve};
use paxos_kv::KvClient;
use paxos_kv::wire::Status;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A node that was asked to stop in order does so within this time.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// A node answers within this time, or it does not answer.
const STATUS_WITHIN: Duration = Duration::from_millis(400);

/// How often things are looked at that cannot be awaited.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    place: Place,
    log: PathBuf,
    /// Where in the log its present process begins.
    log_begin: u64,
    process: Option<Process>,
    is_paused: bool,
    /// The disk that it has for itself alone, where it has one.
    pub(super) disk: Option<PathBuf>,
    /// It may end by itself, saying this.
    excuses: Vec<&'static str>,
}

/// The nodes, and what is between them.
#[derive(Debug)]
pub(super) struct Cluster {
    program: PathBuf,
    pub(super) nodes: Vec<Node>,
    /// By who connects and to whom; none from a node to itself.
    links: Vec<Vec<Option<Proxy>>>,
    /// The way of clients to each node.
    doors: Vec<Proxy>,
    observer: Option<KvClient>,
}

impl Node {
    /// What its last process has said.
    fn said(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let begin = usize::try_from(self.log_begin).unwrap_or(usize::MAX).min(log.len());
        String::from_utf8_lossy(&log[begin..]).into_owned()
    }

    fn last_words(&self) -> String {
        self.said().lines().last().unwrap_or_default().to_owned()
    }
}

impl Cluster {
    /// So many nodes below a directory, none of which runs yet; the last `small` of them have a
    /// disk of their own.
    pub(super) async fn new(
        program: &Path,
        directory: &Path,
        count: usize,
        small: usize,
    ) -> io::Result<Cluster> {
        let addresses = free_addresses(2 * count)?;
        let mut nodes = Vec::new();
        for at in 0..count {
            let home = directory.join(format!("node-{}", at + 1));
            let mut disk = None;
            if at + small >= count {
                tools::mount_small_disk(&home)?;
                disk = Some(home.clone());
            }
            let (client, peer) = (addresses[2 * at], addresses[2 * at + 1]);
            let place = Place { id: at as u64 + 1, client, peer, data_dir: home.join("data") };
            let log = directory.join(format!("log-{}", at + 1));
            nodes.push(Node {
                place,
                log,
                log_begin: 0,
                process: None,
                is_paused: false,
                disk,
                excuses: Vec::new(),
            });
        }
        let (mut links, mut doors) = (Vec::new(), Vec::new());
        for from in 0..count {
            let mut row = Vec::new();
            for (to, node) in nodes.iter().enumerate() {
                let link = match from == to {
                    true => None,
                    false => Some(Proxy::start(node.place.peer).await?),
                };
                row.push(link);
            }
            links.push(row);
            doors.push(Proxy::start(nodes[from].place.client).await?);
        }
        Ok(Cluster { program: program.to_owned(), nodes, links, doors, observer: None })
    }

    /// Where clients connect to.
    pub(super) fn endpoints(&self) -> Vec<String> {
        self.doors.iter().map(|door| door.endpoint().to_string()).collect()
    }

    /// A client that no fault of links concerns.
    pub(super) async fn direct_client(&mut self) -> Result<KvClient, String> {
        if let Some(observer) = &self.observer {
            return Ok(observer.clone());
        }
        let endpoints: Vec<_> =
            self.nodes.iter().map(|node| node.place.client.to_string()).collect();
        let client = KvClient::connect(endpoints).await.map_err(|error| error.to_string())?;
        Ok(self.observer.insert(client.timeout(STATUS_WITHIN)).clone())
    }

    /// What each node says of itself; none while it does not answer.
    pub(super) async fn statuses(&mut self) -> Vec<Option<Status>> {
        let asked = match self.direct_client().await {
            Ok(client) => client.status().await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let mut all: Vec<_> =
            asked.into_iter().map(|endpoint| endpoint.status.ok().map(|status| *status)).collect();
        all.resize(self.nodes.len(), None);
        all
    }

    /// Starts a node that does not run.
    pub(super) fn start(&mut self, at: usize) -> io::Result<()> {
        let node = &mut self.nodes[at];
        if node.process.is_some() {
            return Ok(());
        }
        // Its peers are where its own proxies to them are.
        let address = |(to, link): (usize, &Option<Proxy>)| match link {
            Some(link) => format!("{}={}", to + 1, link.endpoint()),
            None => format!("{}={}", to + 1, node.place.peer),
        };
        let members: Vec<_> = self.links[at].iter().enumerate().map(address).collect();
        let mut command = serve(&self.program, &node.place, &members.join(","));
        // Snapshots and new segments of the log are what some faults are about.
        command.args(["--snapshot-log-mib", "1"]);
        command.args(["--end-with", &std::process::id().to_string()]);
        node.log_begin = std::fs::metadata(&node.log).map_or(0, |file| file.len());
        node.process = Some(Process::start(command, &node.log)?);
        node.is_paused = false;
        Ok(())
    }

    /// The process of a node that runs.
    pub(super) fn pid(&self, at: usize) -> Option<u32> {
        self.nodes[at].process.as_ref().map(Process::pid)
    }

    /// Ends a node as `kill -9` does.
    pub(super) fn kill(&mut self, at: usize) -> io::Result<()> {
        self.nodes[at].process.take().map_or(Ok(()), |mut process| process.kill_9().map(|_| ()))
    }

    /// Has a node stand still.
    pub(super) fn pause(&mut self, at: usize) -> io::Result<()> {
        self.nodes[at].is_paused = true;
        self.nodes[at].process.as_ref().map_or(Ok(()), Process::pause)
    }

    /// Stops a node in order.
    pub(super) async fn stop(&mut self, at: usize) -> Result<(), String> {
        let node = &mut self.nodes[at];
        let Some(mut process) = node.process.take() else { return Ok(()) };
        let failed = |error: io::Error| format!("node {} cannot be stopped: {error}", at + 1);
        process.ask_to_stop().map_err(failed)?;
        let until = Instant::now() + STOP_WITHIN;
        while Instant::now() < until {
            match process.ended().map_err(failed)? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    let last = node.last_words();
                    return Err(format!("node {} was asked to stop: {status}: {last}", at + 1));
                }
                None => sleep(LOOK).await,
            }
        }
        Err(format!("node {} does not stop within {STOP_WITHIN:?}", at + 1))
    }

    /// From now on the node may end by itself, if it says this.
    pub(super) fn excuse(&mut self, at: usize, reason: &'static str) {
        self.nodes[at].excuses.push(reason);
    }

    /// Whether a node has ended by itself; it can be started again then. An error: without excuse.
    pub(super) fn has_ended(&mut self, at: usize) -> Result<bool, String> {
        let node = &mut self.nodes[at];
        let Some(process) = &mut node.process else { return Ok(false) };
        let Ok(Some(status)) = process.ended() else { return Ok(false) };
        node.process = None;
        let said = node.said();
        let excuses = std::mem::take(&mut node.excuses);
        match excuses.iter().any(|excuse| said.contains(excuse)) && !status.success() {
            true => Ok(true),
            false => {
                let last = node.last_words();
                Err(format!("node {} has ended by itself: {status}: {last}", at + 1))
            }
        }
    }

    /// Bends links. Those that are blocked are also reset, and take no new connection, if `resets`.
    pub(super) fn bend(&self, shape: &Shape, resets: bool) {
        for (&(from, to), &way) in shape {
            // What one sends goes over the connection that it made, and over the other's.
            if let Some(link) = &self.links[from][to] {
                link.set_forth(way);
            }
            if let Some(link) = &self.links[to][from] {
                link.set_back(way);
            }
            if way == Way::BLOCKED && resets {
                self.links[from][to].iter().for_each(|link| {
                    link.refuse(true);
                    link.cut();
                });
            }
        }
    }

    /// Resets all connections between nodes.
    pub(super) fn cut_links(&self) {
        self.links.iter().flatten().flatten().for_each(Proxy::cut);
    }

    /// Resets all connections of clients.
    pub(super) fn cut_clients(&self) {
        self.doors.iter().for_each(Proxy::cut);
    }

    /// Every link passes, every disk has room, every node runs. What cannot be done is said.
    pub(super) fn heal(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        self.links.iter().flatten().flatten().for_each(Proxy::heal);
        for at in 0..self.nodes.len() {
            let node = &mut self.nodes[at];
            let room = node.disk.as_deref().map_or(Ok(()), tools::make_room);
            let goes_on = match (&node.process, std::mem::take(&mut node.is_paused)) {
                (Some(process), true) => process.go_on(),
                _ => Ok(()),
            };
            if let Err(problem) = self.has_ended(at) {
                problems.push(problem);
            }
            if let Err(error) = room.and(goes_on).and_then(|()| self.start(at)) {
                problems.push(format!("node {} cannot go on: {error}", at + 1));
            }
        }
        problems
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.process = None;
            node.disk.iter().for_each(|disk| tools::unmount(disk));
        }
    }
}
