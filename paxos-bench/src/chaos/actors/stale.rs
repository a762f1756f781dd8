//! A client that is wrong on purpose.

use super::super::kv_caller::answered;
use super::super::work::{Caller, Ended};
use crate::check::KvInput;
use bytes::Bytes;
use paxos_actors::node::NodeView;
use paxos_actors::submit::ClientHandle;
use paxos_core::StateMachine;
use paxos_kv::{Query, Store};

/// Writes as a client does, and reads what one node has applied, however old that is.
#[derive(Clone)]
pub(super) struct StaleReader {
    pub(super) client: ClientHandle,
    pub(super) view: NodeView<Store>,
}

impl Caller for StaleReader {
    async fn call(&self, key: &str, input: &KvInput) -> Ended {
        if *input != KvInput::Get {
            return self.client.call(key, input).await;
        }
        let Ok(query) = (Query::Get { key: Bytes::from(key.to_owned()) }).encode() else {
            return Ended::Failed;
        };
        match self.view.state(move |store: &Store| store.query(&query)).await {
            Some(answer) => answered(&answer, false),
            None => Ended::Failed,
        }
    }
}
