//! Paxos roles as actix actors: routes, the log, nodes, and whole clusters in one process.
//!
//! ```
//! # use bytes::Bytes;
//! use paxos_actors::cluster::Cluster;
//! use paxos_core::{Applied, Outcome, SnapshotParts, StateMachine, Unrestorable};
//!
//! struct Log(Vec<Bytes>); // what is replicated: every node applies the same commands in order
//! impl StateMachine for Log {
//!     fn apply(&mut self, _: Applied, command: &Bytes) -> Bytes {
//!         self.0.push(command.clone());
//!         self.0.len().to_string().into()
//!     }
//! #   fn query(&self, _: &Bytes) -> Bytes { self.0.last().cloned().unwrap_or_default() }
//! #   fn digest(&self) -> u64 { self.0.len() as u64 }
//!     fn snapshot(&self) -> SnapshotParts {
//!         Box::new(self.0.clone().into_iter()) // parts of it, which share the bytes
//!     }
//!     fn restore(&mut self, part: &Bytes) -> Result<(), Unrestorable> {
//!         self.0.push(part.clone());
//!         Ok(())
//!     }
//! }
//!
//! # actix_rt::System::new().block_on(async {
//! let mut cluster = Cluster::builder(3, |_| Log(Vec::new()))?.start().await?;
//! let client = cluster.client().await?;
//! assert_eq!(client.write("hello").await?, Outcome::Done("1".into()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! A role of `paxos-core` decides; its actor does. Open [`role_actor`] first: the one actor, which
//! gives its role messages and time, writes its records and posts its mail.
//!
//! | module | what it has |
//! |---|---|
//! | [`role_actor`] | the actor around any role; `AcceptorActor` and the others are names for it |
//! | [`envelope`], [`routes`] | what actors send each other, and the one way out |
//! | [`log`], [`wal`] | what an actor expects of a log; the one on disk and the one in memory |
//! | [`snapshots`] | where a learner keeps its state, so that the log need not hold all of it |
//! | [`control`] | what an owner tells an actor: routes, stop, a look at the role |
//! | [`submit`] | writes and reads through a client's actor |
//! | [`ending`] | why a node ended; one actor that breaks takes the node along |
//! | [`node`] | any subset of roles, put together and checked |
//! | [`cluster`] | nodes in one process, which can be killed, restarted and cut off |
//! | [`codec`], [`clock`] | the one serialization, and the one clock |
//! | [`latency`] | how long something takes that happens again and again |
//!
//! Without the feature `actors` there are only [`codec`] and [`clock`]: what a client of a node
//! needs of this crate.
//!
//! What is deliberately not here: rules of Paxos (`paxos-core` has them, and has no actors), and
//! sockets (`paxos-net` brings mailboxes that lead to other processes, for the same table).

/// Whether a bug was asked for: never, in a build that users get.
#[cfg(feature = "actors")]
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(paxos_planted)]
        let planted = paxos_core::planted::is_planted(paxos_core::planted::Planted::$bug);
        #[cfg(not(paxos_planted))]
        let planted = false;
        planted
    }};
}

#[cfg(feature = "actors")]
mod awake;
pub mod clock;
#[cfg(feature = "actors")]
pub mod cluster;
pub mod codec;
#[cfg(feature = "actors")]
pub mod control;
#[cfg(feature = "actors")]
pub mod ending;
#[cfg(feature = "actors")]
pub mod envelope;
#[cfg(feature = "actors")]
pub mod latency;
#[cfg(feature = "actors")]
pub mod log;
#[cfg(feature = "actors")]
pub mod node;
#[cfg(feature = "actors")]
mod replay;
#[cfg(feature = "actors")]
pub mod role_actor;
#[cfg(feature = "actors")]
pub mod routes;
#[cfg(feature = "actors")]
pub mod snapshots;
#[cfg(feature = "actors")]
pub mod submit;
#[cfg(feature = "actors")]
pub mod wal;

#[cfg(feature = "actors")]
pub use envelope::Envelope;
#[cfg(feature = "actors")]
pub use log::{Log, LogEvent};
#[cfg(feature = "actors")]
pub use routes::{Counts, Posted, Routes};
