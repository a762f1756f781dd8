//! How nodes reach each other: by a call.

use super::{Node, Types};
use openraft::error::{
    Fatal, RPCError, RaftError, RemoteError, ReplicationClosed, StreamingError, Unreachable,
};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{
    EmptyNode, OptionalSend, RaftNetwork, RaftNetworkFactory, Snapshot, StorageError, Vote,
};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::Arc;

/// All nodes, by number.
#[derive(Clone, Default)]
pub struct Router(Arc<RwLock<BTreeMap<u64, Node>>>);

/// The way to one node. It is looked up once: all nodes are there when one first leads.
pub struct Link {
    router: Router,
    target: u64,
    node: Option<Node>,
}

type CallError = RPCError<u64, EmptyNode, RaftError<u64>>;

impl Router {
    pub fn add(&self, id: u64, node: Node) {
        self.0.write().insert(id, node);
    }

    pub fn node(&self, id: u64) -> Option<Node> {
        self.0.read().get(&id).cloned()
    }
}

impl Link {
    fn node(&mut self) -> Option<&Node> {
        if self.node.is_none() {
            self.node = self.router.node(self.target);
        }
        self.node.as_ref()
    }

    fn failed(&self, error: RaftError<u64>) -> CallError {
        RPCError::RemoteError(RemoteError::new(self.target, error))
    }
}

fn missing() -> Unreachable {
    Unreachable::new(&io::Error::other("no such node"))
}

impl RaftNetworkFactory<Types> for Router {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _: &EmptyNode) -> Link {
        Link { router: self.clone(), target, node: None }
    }
}

impl RaftNetwork<Types> for Link {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, CallError> {
        let node = self.node().ok_or_else(missing)?;
        let answer = node.append_entries(rpc).await;
        answer.map_err(|error| self.failed(error))
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, CallError> {
        let node = self.node().ok_or_else(missing)?;
        let answer = node.vote(rpc).await;
        answer.map_err(|error| self.failed(error))
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote<u64>,
        snapshot: Snapshot<Types>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<Types, Fatal<u64>>> {
        let Some(node) = self.router.node(self.target) else {
            return Err(StreamingError::Unreachable(missing()));
        };
        node.install_full_snapshot(vote, snapshot).await.map_err(|error| {
            let error = io::Error::other(error);
            StorageError::from_io_error(
                openraft::ErrorSubject::Store,
                openraft::ErrorVerb::Write,
                error,
            )
            .into()
        })
    }
}
