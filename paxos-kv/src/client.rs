//! The client library.
//!
//! ```no_run
//! # async fn example() -> Result<(), paxos_kv::KvError> {
//! use paxos_kv::{Expect, KvClient};
//!
//! let client = KvClient::connect(["127.0.0.1:2579", "127.0.0.1:2589"]).await?;
//! let meta = client.put("colour", "blue").await?;
//! let found = client.get("colour").await?;
//! assert_eq!(found.map(|found| found.meta), Some(meta));
//! client.cas("colour", Expect::Version(meta.version), "green").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A client is one session with the cluster, one thread and one connection to each endpoint in use,
//! shared by all of its clones. Its thread has a runtime of its own, so callers may be on any
//! runtime, and calls that nobody awaits any more still finish.

mod engine;
mod error;
mod link;
mod scan;

pub use self::error::KvError;
pub use self::scan::{Page, Scan};

use self::engine::{Ask, Call, Engine};
use crate::op::{Expect, KeyValue, Meta, Op, OpResult, Query, QueryResult};
use crate::wire::Status;
use bytes::Bytes;
use paxos_actors::clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Calls that one client may have under way, waiting ones included. Further callers wait for room
/// before their call begins.
const CALLS_UNDER_WAY_MAX: usize = 65_536;

/// Questions for every node's status that one client may have under way, each of which dials every
/// endpoint. Further ones wait.
const STATUSES_UNDER_WAY_MAX: usize = 16;

/// A client of the cluster. Cheap to clone, and shared by threads.
#[derive(Clone, Debug)]
pub struct KvClient {
    asks: mpsc::UnboundedSender<Ask>,
    room: Arc<Semaphore>,
    status_room: Arc<Semaphore>,
    timeout: Duration,
}

/// What came of a compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// The key was as expected, and now stands here.
    Swapped(Meta),
    /// The key was not as expected. It stands here; none: it has no value.
    NotSwapped(Option<Meta>),
}

/// What one endpoint tells about its node, or why it tells nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointStatus {
    /// The endpoint.
    pub endpoint: String,
    /// What its node tells.
    pub status: Result<Box<Status>, String>,
}

impl KvClient {
    /// How long a call may take unless told otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// A client of the cluster that has these client ports, given as `host:port` in order of
    /// preference. It returns once one of them answers; all of them must belong to one cluster.
    pub async fn connect(
        endpoints: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<KvClient, KvError> {
        let endpoints: Vec<String> = endpoints.into_iter().map(Into::into).collect();
        if endpoints.is_empty() {
            return Err(KvError::Unavailable("no endpoint was given: name at least one".into()));
        }
        let (asks, receiver) = mpsc::unbounded_channel();
        Engine::spawn(endpoints, receiver)?;
        let room = Arc::new(Semaphore::new(CALLS_UNDER_WAY_MAX));
        let status_room = Arc::new(Semaphore::new(STATUSES_UNDER_WAY_MAX));
        let client = KvClient { asks, room, status_room, timeout: Self::TIMEOUT };
        let (reply, connected) = oneshot::channel();
        client.ask(Ask::Connect(reply))?;
        connected.await.map_err(|_| KvError::Ended)??;
        Ok(client)
    }

    /// The same client, whose calls may take this long.
    pub fn timeout(mut self, timeout: Duration) -> KvClient {
        self.timeout = timeout;
        self
    }

    /// Gives a key a value.
    pub async fn put(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
    ) -> Result<Meta, KvError> {
        match self.write(Op::Put { key: key.into(), value: value.into() }).await? {
            OpResult::Put { meta } => Ok(meta),
            other => Err(unexpected(&other)),
        }
    }

    /// The value of a key: one that is at least as new as every write acknowledged, and every value
    /// read, by anyone, before this call.
    pub async fn get(&self, key: impl Into<Bytes>) -> Result<Option<KeyValue>, KvError> {
        let query = Query::Get { key: key.into() }.encode()?;
        let result = self.call(query, Ask::Read).await?;
        match QueryResult::decode(&result)
            .map_err(|error| KvError::Unreadable(error.to_string()))?
        {
            QueryResult::Got { found, .. } => Ok(found),
            QueryResult::Refused(limit) => Err(limit.into()),
            other => Err(unexpected(&other)),
        }
    }

    /// All keys that begin with `prefix`, in order, page by page; every key, where it is empty. The
    /// first page is as new as what [`KvClient::get`] gives, and the others are of the same moment.
    pub fn scan(&self, prefix: impl Into<Bytes>) -> Scan {
        Scan::new(self.clone(), prefix.into())
    }

    /// Removes a key; `false` where it had no value.
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<bool, KvError> {
        match self.write(Op::Delete { key: key.into() }).await? {
            OpResult::Deleted { existed, .. } => Ok(existed),
            other => Err(unexpected(&other)),
        }
    }

    /// Gives a key a value, if it is as expected.
    pub async fn cas(
        &self,
        key: impl Into<Bytes>,
        expect: Expect,
        value: impl Into<Bytes>,
    ) -> Result<Swap, KvError> {
        match self.write(Op::Cas { key: key.into(), expect, value: value.into() }).await? {
            OpResult::Swapped { meta } => Ok(Swap::Swapped(meta)),
            OpResult::NotSwapped { found, .. } => Ok(Swap::NotSwapped(found)),
            other => Err(unexpected(&other)),
        }
    }

    /// What the node behind each endpoint tells about itself.
    pub async fn status(&self) -> Result<Vec<EndpointStatus>, KvError> {
        let room = self.status_room.clone().acquire_owned().await.map_err(|_| KvError::Ended)?;
        let (reply, statuses) = oneshot::channel();
        self.ask(Ask::Status { timeout: self.timeout, reply, room })?;
        statuses.await.map_err(|_| KvError::Ended)
    }

    async fn write(&self, op: Op) -> Result<OpResult, KvError> {
        let result = self.call(op.encode()?, Ask::Write).await?;
        match OpResult::decode(&result).map_err(|error| KvError::Unreadable(error.to_string()))? {
            OpResult::Refused(limit) => Err(limit.into()),
            result => Ok(result),
        }
    }

    async fn call(&self, request: Bytes, ask: fn(Call) -> Ask) -> Result<Bytes, KvError> {
        let deadline = clock::now().plus(micros(self.timeout));
        let room = self.room.clone().acquire_owned().await.map_err(|_| KvError::Ended)?;
        let (reply, outcome) = oneshot::channel();
        self.ask(ask(Call { request, deadline, reply, _room: room }))?;
        outcome.await.map_err(|_| KvError::Ended)?
    }

    fn ask(&self, ask: Ask) -> Result<(), KvError> {
        self.asks.send(ask).map_err(|_| KvError::Ended)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn unexpected(result: &impl std::fmt::Debug) -> KvError {
    KvError::Unreadable(format!("{result:?} is not an answer to what was asked"))
}
