//! What can be loaded.

use bytes::Bytes;
use paxos_kv::KvClient;

/// A connection to a store, shared by its clones.
pub trait Target: Clone + Send + Sync + 'static {
    /// Gives a key a value, durably; whether it succeeded.
    fn put(&self, key: Bytes, value: Bytes) -> impl Future<Output = bool> + Send;

    /// Reads a key, linearizably; whether it has a value, or none, where that failed.
    fn get(&self, key: Bytes) -> impl Future<Output = Option<bool>> + Send;
}

impl Target for KvClient {
    async fn put(&self, key: Bytes, value: Bytes) -> bool {
        KvClient::put(self, key, value).await.is_ok()
    }

    async fn get(&self, key: Bytes) -> Option<bool> {
        KvClient::get(self, key).await.ok().map(|found| found.is_some())
    }
}
