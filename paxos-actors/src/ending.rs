//! How a node ends: all of its actors at once.

use paxos_core::RoleName;
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use thiserror::Error;
use tokio::sync::Notify;

/// Why a node runs no more.
#[derive(Clone, Debug, Error)]
pub enum NodeEnd {
    /// Its owner stopped or dropped it.
    #[error("the node was stopped")]
    Stopped,
    /// A role found its own state broken. Nothing it holds in memory may be believed; what is in
    /// the log is sound.
    #[error("the {role:?} panicked; start the node again, and report what it printed")]
    Panicked {
        /// The role.
        role: RoleName,
    },
    /// The log could not go on.
    #[error("the log failed: {0}")]
    LogFailed(Arc<dyn Error + Send + Sync>),
    /// A snapshot could not be read, or no more can be kept.
    #[error("snapshots failed: {0}")]
    SnapshotsFailed(Arc<dyn Error + Send + Sync>),
}

/// Shared by the actors of one node. The first reason to end is the one that counts, and it ends
/// all of them: a half-dead node is worse than a dead one.
#[derive(Clone, Debug, Default)]
pub struct Ending(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    end: OnceLock<NodeEnd>,
    actors: AtomicUsize,
    changed: Notify,
}

impl Ending {
    /// Nothing has ended yet.
    pub fn new() -> Ending {
        Ending::default()
    }

    /// Ends everything that shares this, for this reason, unless there was one before.
    pub fn end(&self, end: NodeEnd) {
        // An earlier reason stands.
        let _ = self.0.end.set(end);
        self.0.changed.notify_waiters();
    }

    /// The reason, once there is one.
    pub fn reason(&self) -> Option<&NodeEnd> {
        self.0.end.get()
    }

    /// Waits for the end: there is a reason, all actors are gone, and their log is closed.
    pub async fn wait(&self) -> NodeEnd {
        self.until(|inner| match inner.actors.load(Ordering::SeqCst) {
            0 => inner.end.get().cloned(),
            _ => None,
        })
        .await
    }

    /// Waits for a reason to end.
    pub(crate) async fn announced(&self) {
        self.until(|inner| inner.end.get().map(|_| ())).await;
    }

    /// Joins the actor of a role to this.
    pub(crate) fn join(&self, role: RoleName) -> Presence {
        self.0.actors.fetch_add(1, Ordering::SeqCst);
        Presence { role, ending: self.clone() }
    }

    async fn until<T>(&self, found: impl Fn(&Inner) -> Option<T>) -> T {
        loop {
            // Made before the look: a change after it wakes this.
            let changed = self.0.changed.notified();
            if let Some(value) = found(&self.0) {
                return value;
            }
            changed.await;
        }
    }
}

/// Held by an actor for as long as it lives. If the actor is unwound, the node ends.
#[derive(Debug)]
pub(crate) struct Presence {
    role: RoleName,
    ending: Ending,
}

impl Presence {
    pub(crate) fn ending(&self) -> &Ending {
        &self.ending
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.ending.end(NodeEnd::Panicked { role: self.role });
        }
        if self.ending.0.actors.fetch_sub(1, Ordering::SeqCst) == 1 {
            // Nobody is left who could end for a reason: their thread has ended.
            let _ = self.ending.0.end.set(NodeEnd::Stopped);
        }
        self.ending.0.changed.notify_waiters();
    }
}
