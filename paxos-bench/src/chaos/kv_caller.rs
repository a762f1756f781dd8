//! The clients of the store, as the workload calls them.

use super::work::{Caller, Ended, padded, unpadded};
use crate::check::{KvInput, KvOutput};
use bytes::Bytes;
use paxos_actors::submit::ClientHandle;
use paxos_core::Outcome;
use paxos_kv::client::Swap;
use paxos_kv::{Expect, KeyValue, KvClient, KvError, Op, OpResult, Query, QueryResult};

impl Caller for KvClient {
    async fn call(&self, key: &str, input: &KvInput) -> Ended {
        match ask(self, key.to_owned(), input).await {
            Ok(output) => Ended::Ok(output),
            Err(KvError::Unknown(_) | KvError::Unreadable(_) | KvError::Ended) => Ended::Unknown,
            Err(_) => Ended::Failed,
        }
    }
}

async fn ask(client: &KvClient, key: String, input: &KvInput) -> Result<KvOutput, KvError> {
    Ok(match input {
        KvInput::Get => KvOutput::Got(client.get(key).await?.map(got)),
        KvInput::Put(value) => KvOutput::Put(Some(client.put(key, padded(value)).await?.version)),
        KvInput::Delete => KvOutput::Deleted(client.delete(key).await?),
        KvInput::Cas { from, to } => {
            let swap = client.cas(key, expected(from.as_deref()), padded(to)).await?;
            KvOutput::Swapped(matches!(swap, Swap::Swapped(_)))
        }
    })
}

/// A client that is an actor sends what a client of processes sends, and reads the same answers.
impl Caller for ClientHandle {
    async fn call(&self, key: &str, input: &KvInput) -> Ended {
        let key = Bytes::from(key.to_owned());
        let op = match input {
            KvInput::Get => None,
            KvInput::Put(value) => Some(Op::Put { key: key.clone(), value: padded(value).into() }),
            KvInput::Delete => Some(Op::Delete { key: key.clone() }),
            KvInput::Cas { from, to } => {
                let (expect, value) = (expected(from.as_deref()), padded(to).into());
                Some(Op::Cas { key: key.clone(), expect, value })
            }
        };
        let request = match &op {
            None => Query::Get { key }.encode(),
            Some(op) => op.encode(),
        };
        let Ok(request) = request else { return Ended::Failed };
        let outcome = match op {
            None => self.read(request).await,
            Some(_) => self.write(request).await,
        };
        match outcome {
            Ok(Outcome::Done(answer)) => answered(&answer, op.is_some()),
            Ok(Outcome::NotApplied(_)) => Ended::Failed,
            Ok(Outcome::Unknown(_)) | Err(_) => Ended::Unknown,
        }
    }
}

pub(super) fn answered(answer: &[u8], is_write: bool) -> Ended {
    let output = match is_write {
        true => match OpResult::decode(answer) {
            Ok(OpResult::Put { meta }) => KvOutput::Put(Some(meta.version)),
            Ok(OpResult::Deleted { existed, .. }) => KvOutput::Deleted(existed),
            Ok(OpResult::Swapped { .. }) => KvOutput::Swapped(true),
            Ok(OpResult::NotSwapped { .. }) => KvOutput::Swapped(false),
            Ok(OpResult::Refused(_)) => return Ended::Failed,
            Err(_) => return Ended::Unknown,
        },
        false => match QueryResult::decode(answer) {
            Ok(QueryResult::Got { found, .. }) => KvOutput::Got(found.map(got)),
            _ => return Ended::Failed,
        },
    };
    Ended::Ok(output)
}

fn got(found: KeyValue) -> (String, Option<u64>) {
    (unpadded(&found.value), Some(found.meta.version))
}

fn expected(from: Option<&str>) -> Expect {
    from.map_or(Expect::Absent, |from| Expect::Value(padded(from).into()))
}
