//! What a client's thread does: it drives the client role and the connections.

use super::error::KvError;
use super::link::{self, News};
use super::{EndpointStatus, micros};
use crate::wire::Request;
use bytes::Bytes;
use paxos_actors::clock;
use paxos_core::{
    CallId, Client, ClientMsg, ClientOptions, Command, Incarnation, LearnerMsg, Limits, MemberId,
    NoRecord, NodeId, Now, Outcome, Outgoing, Output, Packet, ProposerMsg, Refusal, Role,
};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often time passes for the client role while calls are open.
const TICK: Duration = Duration::from_millis(10);

/// The first attempt of a call may take this long: about as long as a new leader takes.
const RETRY: Duration = Duration::from_millis(300);

/// The wait before a connection is tried again, and how far it grows: a node that is back must not
/// wait long for those who have something to say.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_millis(250);

/// Batches of requests that wait for a connection; more are dropped, and sent again later.
const BATCHES_MAX: usize = 256;

/// Asks and news that one turn takes.
const TURN_MAX: usize = 1024;

/// Bytes of commands that go in one frame; a larger one goes alone.
const PROPOSE_BYTES_MAX: usize = 256 << 10;

/// What callers ask of the thread.
#[derive(Debug)]
pub(super) enum Ask {
    /// Tell when one endpoint answers, or that none does.
    Connect(oneshot::Sender<Result<(), KvError>>),
    /// Run a command.
    Write(Call),
    /// Run a query.
    Read(Call),
    /// Ask every node for its status.
    Status {
        timeout: Duration,
        reply: oneshot::Sender<Vec<EndpointStatus>>,
        /// Given back when all have answered, or have not in time.
        room: OwnedSemaphorePermit,
    },
}

/// A call and who waits for it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Bytes,
    pub(super) deadline: Now,
    pub(super) reply: oneshot::Sender<Result<Bytes, KvError>>,
    /// Given back when the call has ended.
    pub(super) _room: OwnedSemaphorePermit,
}

/// The endpoints are nodes to the client role: the first is node 0.
pub(super) struct Engine {
    machine: Client,
    calls_max: usize,
    open: BTreeMap<CallId, Call>,
    /// Calls for which the client role has no room yet; `true`: a write.
    waiting: VecDeque<(bool, Call)>,
    endpoints: Vec<Endpoint>,
    connecting: Vec<oneshot::Sender<Result<(), KvError>>>,
    /// The leader's node, while no endpoint is known to be its.
    leader: Option<NodeId>,
    news: mpsc::Sender<News>,
}

/// What goes to one endpoint at the end of a turn.
#[derive(Default)]
struct Share {
    requests: Vec<Request>,
    commands: Vec<Command>,
    bytes: usize,
}

struct Endpoint {
    address: String,
    /// The node there, once it has said who it is.
    node: Option<NodeId>,
    up: bool,
    requests: Option<mpsc::Sender<Vec<Request>>>,
    failures: u32,
    /// It is not dialled before.
    dial_at: Instant,
    error: Option<String>,
}

impl Engine {
    /// Starts the thread.
    pub(super) fn spawn(
        endpoints: Vec<String>,
        asks: mpsc::UnboundedReceiver<Ask>,
    ) -> Result<(), KvError> {
        let failed = |error| KvError::Unavailable(format!("cannot start a client: {error}"));
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let main = move || {
            let (sender, news) = mpsc::channel(BATCHES_MAX);
            runtime.block_on(Engine::new(endpoints, sender).run(asks, news));
        };
        std::thread::Builder::new().name("paxos-kv-client".into()).spawn(main).map_err(failed)?;
        Ok(())
    }

    fn new(endpoints: Vec<String>, news: mpsc::Sender<News>) -> Engine {
        let limits = Limits::default();
        let machine = Client::new(ClientOptions {
            // Nodes put their own id here: replies go to the node that has the connection.
            me: MemberId { node: NodeId(u64::MAX), incarnation: Incarnation(rand::random()) },
            nodes: (0..endpoints.len() as u64).map(NodeId).collect(),
            seed: rand::random(),
            retry_us: micros(RETRY),
            limits,
        });
        Engine {
            machine,
            calls_max: limits.calls_max,
            open: BTreeMap::new(),
            waiting: VecDeque::new(),
            endpoints: endpoints.into_iter().map(Endpoint::new).collect(),
            connecting: Vec::new(),
            leader: None,
            news,
        }
    }

    /// Ends when the last client is dropped and the last call has ended.
    async fn run(mut self, mut asks: mpsc::UnboundedReceiver<Ask>, mut news: mpsc::Receiver<News>) {
        let mut ticker = interval(TICK);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut asked, mut told) = (Vec::new(), Vec::new());
        let (mut listening, mut ticked) = (true, false);
        while listening || !self.open.is_empty() || !self.waiting.is_empty() {
            tokio::select! {
                count = asks.recv_many(&mut asked, TURN_MAX), if listening => listening = count > 0,
                _ = news.recv_many(&mut told, TURN_MAX) => {}
                _ = ticker.tick(), if !self.open.is_empty() || !self.waiting.is_empty() => {
                    ticked = true;
                }
            }
            let now = clock::now();
            let mut out = Output::new();
            told.drain(..).for_each(|news| self.told(now, news, &mut out));
            asked.drain(..).for_each(|ask| self.asked(ask));
            if std::mem::take(&mut ticked) {
                self.machine.tick(now, &mut out);
            }
            self.finish();
            self.begin(now, &mut out);
            self.finish();
            self.send(out);
        }
    }

    fn asked(&mut self, ask: Ask) {
        match ask {
            Ask::Write(call) => self.waiting.push_back((true, call)),
            Ask::Read(call) => self.waiting.push_back((false, call)),
            Ask::Connect(reply) => {
                self.connecting.push(reply);
                self.dial(0);
            }
            Ask::Status { timeout, reply, room } => {
                let addresses = self.endpoints.iter().map(|endpoint| endpoint.address.clone());
                let asking = ask_all(addresses.collect(), timeout, reply);
                tokio::spawn(async move {
                    asking.await;
                    drop(room);
                });
            }
        }
    }

    /// Hands waiting calls to the client role, as far as it has room.
    fn begin(&mut self, now: Now, out: &mut Output<NoRecord>) {
        while self.open.len() < self.calls_max
            && let Some((write, call)) = self.waiting.pop_front()
        {
            let request = call.request.clone();
            let id = match write {
                true => self.machine.write(now, request, call.deadline, out),
                false => self.machine.read(now, request, call.deadline, out),
            };
            self.open.insert(id, call);
        }
        if self.waiting.iter().any(|(_, call)| call.deadline <= now) {
            for (write, call) in std::mem::take(&mut self.waiting) {
                if call.deadline <= now {
                    let error = self.error(Refusal::TimedOut);
                    answer(call, Err(error));
                } else {
                    self.waiting.push_back((write, call));
                }
            }
        }
    }

    fn finish(&mut self) {
        for (id, outcome) in self.machine.finished().collect::<Vec<_>>() {
            let Some(call) = self.open.remove(&id) else { continue };
            let result = match outcome {
                Outcome::Done(result) => Ok(result),
                Outcome::NotApplied(refusal) => Err(self.error(refusal)),
                Outcome::Unknown(ticket) => Err(KvError::Unknown(ticket)),
            };
            answer(call, result);
        }
    }

    /// Where no connection stands, the reason is that none does.
    fn error(&self, refusal: Refusal) -> KvError {
        match refusal {
            Refusal::TimedOut if self.endpoints.iter().all(|endpoint| !endpoint.up) => {
                self.unavailable()
            }
            refusal => KvError::NotApplied(refusal),
        }
    }

    fn unavailable(&self) -> KvError {
        let each = self.endpoints.iter().map(|endpoint| {
            let error = endpoint.error.as_deref().unwrap_or("no connection yet");
            format!("{}: {error}", endpoint.address)
        });
        let all = each.collect::<Vec<_>>().join("; ");
        KvError::Unavailable(format!("no endpoint can be reached, is the cluster up? ({all})"))
    }

    fn told(&mut self, now: Now, news: News, out: &mut Output<NoRecord>) {
        match news {
            News::Up { endpoint, node } => {
                let at = &mut self.endpoints[endpoint];
                (at.node, at.up, at.failures, at.error) = (Some(node), true, 0, None);
                self.connecting.drain(..).for_each(|reply| drop(reply.send(Ok(()))));
                if self.leader == Some(node) {
                    self.hint(now, node, out);
                }
                self.machine.reachable(now, NodeId(endpoint as u64), out);
            }
            News::Heard { endpoint, messages } => {
                let from =
                    MemberId { node: NodeId(endpoint as u64), incarnation: Incarnation::default() };
                for message in messages {
                    match message {
                        ClientMsg::LeaderHint { leader } => self.hint(now, leader, out),
                        message => self.machine.receive(now, from, message, out),
                    }
                }
            }
            News::Down { endpoint, error } => {
                let at = &mut self.endpoints[endpoint];
                at.failed();
                (at.up, at.requests, at.error) = (false, None, Some(error.to_string()));
                self.machine.unreachable(now, NodeId(endpoint as u64), out);
                self.dial_next(endpoint);
            }
        }
    }

    /// While someone waits for a first connection, the endpoints are tried one after the other.
    fn dial_next(&mut self, failed: usize) {
        if self.connecting.is_empty() {
            return;
        }
        if failed + 1 < self.endpoints.len() {
            return self.dial(failed + 1);
        }
        let error = self.unavailable();
        self.connecting.drain(..).for_each(|reply| drop(reply.send(Err(error.clone()))));
    }

    /// Nodes name the leader by its node; the client role knows it by its endpoint. Where no
    /// endpoint is known to be the leader's, those that have not been asked yet are asked.
    fn hint(&mut self, now: Now, leader: NodeId, out: &mut Output<NoRecord>) {
        let at = self.endpoints.iter().position(|endpoint| endpoint.node == Some(leader));
        if let Some(endpoint) = at {
            self.leader = None;
            let from = self.machine.me();
            let leader = NodeId(endpoint as u64);
            self.machine.receive(now, from, ClientMsg::LeaderHint { leader }, out);
            return;
        }
        self.leader = Some(leader);
        for endpoint in 0..self.endpoints.len() {
            if self.endpoints[endpoint].node.is_none() {
                self.dial(endpoint);
            }
        }
    }

    /// Sends each endpoint its share, the commands together. Where no connection stands, nothing
    /// is sent, and the client role knows: it sends when one does.
    fn send(&mut self, out: Output<NoRecord>) {
        let mut shares: BTreeMap<NodeId, Share> = BTreeMap::new();
        for mail in out.mail {
            let endpoint = mail.to.0 as usize;
            if !self.endpoints[endpoint].up {
                self.dial(endpoint);
                self.machine.unsent(&mail);
                continue;
            }
            let Outgoing { to, packet } = mail;
            let share = shares.entry(to).or_default();
            match packet {
                Packet::Proposer(ProposerMsg::Propose { commands, .. }) => share.propose(commands),
                Packet::Learner(LearnerMsg::Read { id, query }) => {
                    share.requests.push(Request::Read { id, query });
                }
                // The client role sends nothing else.
                other => tracing::debug!(?other, "not for a node's client port"),
            }
        }
        for (node, share) in shares {
            if let Some(requests) = &self.endpoints[node.0 as usize].requests {
                // A batch that finds the queue full is lost, and the client role sends it again.
                let _ = requests.try_send(share.done());
            }
        }
    }

    /// Starts a connection, unless there is one.
    fn dial(&mut self, endpoint: usize) {
        let at = &mut self.endpoints[endpoint];
        if at.requests.is_some() {
            return;
        }
        let (requests, receiver) = mpsc::channel(BATCHES_MAX);
        at.requests = Some(requests);
        let address = at.address.clone();
        tokio::spawn(link::run(endpoint, address, at.dial_at, receiver, self.news.clone()));
    }
}

impl Endpoint {
    fn new(address: String) -> Endpoint {
        let (failures, dial_at) = (0, Instant::now());
        Endpoint { address, node: None, up: false, requests: None, failures, dial_at, error: None }
    }

    /// Each failure in a row puts the next attempt off for twice as long, with jitter.
    fn failed(&mut self) {
        let most = (BACKOFF_MIN * 2u32.pow(self.failures.min(10))).min(BACKOFF_MAX);
        self.dial_at = Instant::now() + most.mul_f64(rand::random_range(0.5..=1.0));
        self.failures = self.failures.saturating_add(1);
    }
}

impl Share {
    fn propose(&mut self, commands: Vec<Command>) {
        for command in commands {
            let bytes = command.weight();
            if self.bytes + bytes > PROPOSE_BYTES_MAX {
                self.flush();
            }
            self.bytes += bytes;
            self.commands.push(command);
        }
    }

    fn flush(&mut self) {
        self.bytes = 0;
        if !self.commands.is_empty() {
            self.requests.push(Request::Propose(std::mem::take(&mut self.commands)));
        }
    }

    fn done(mut self) -> Vec<Request> {
        self.flush();
        self.requests
    }
}

/// A caller that has dropped its future is no concern of the call's.
fn answer(call: Call, result: Result<Bytes, KvError>) {
    let _ = call.reply.send(result);
}

async fn ask_all(
    addresses: Vec<String>,
    timeout: Duration,
    reply: oneshot::Sender<Vec<EndpointStatus>>,
) {
    let mut asking = JoinSet::new();
    for (place, endpoint) in addresses.into_iter().enumerate() {
        asking.spawn(async move {
            let status = link::status(&endpoint, timeout).await;
            let status = status.map_err(|error| error.to_string());
            (place, EndpointStatus { endpoint, status })
        });
    }
    let mut statuses = asking.join_all().await;
    statuses.sort_by_key(|(place, _)| *place);
    let _ = reply.send(statuses.into_iter().map(|(_, status)| status).collect());
}
