//! A durable, linearizable, replicated key-value store.
//!
//! What is here, in the order in which to read it: [`op`] has the commands and queries and their
//! limits, [`store`] the state that they run on, [`client`] the library that programs use, [`wire`]
//! what it says to a node, and [`server`] the node. Agreement itself is not here: commands are
//! opaque bytes to everything between the client and the store.
//!
//! Features, all on unless told otherwise: `client` is the library that programs use, and needs
//! none of what a node is made of; `store` is the state that nodes replicate; `server` is the node;
//! `cli` is the command, which needs all of them. Commands, queries and what is on the wire are
//! there in any case.

#[cfg(all(paxos_planted, feature = "server"))]
compile_error!("a server is not built with bugs on purpose: leave out `--cfg paxos_planted`");

#[cfg(feature = "client")]
pub mod client;
pub mod op;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "store")]
pub mod store;
pub mod wire;

#[cfg(feature = "client")]
pub use client::{EndpointStatus, KvClient, KvError, Page, Scan, Swap};
pub use op::{Expect, KeyValue, Limit, Meta, Op, OpResult, Query, QueryResult, Range, RangePage};
#[cfg(feature = "store")]
pub use store::Store;
