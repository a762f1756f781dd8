//! A durable, linearizable, replicated key-value store.
//!
//! What is here, in the order in which to read it: [`op`] has the commands and queries and their
//! limits, [`store`] the state that they run on, [`client`] the library that programs use, [`wire`]
//! what it says to a node, and [`server`] the node. Agreement itself is not here: commands are
//! opaque bytes to everything between the client and the store.
//!
//! Features, all on unless told otherwise: `client` is the library that programs use, and needs
//! none of what a node is made of; `server` is the store and the node; `cli` is the command, which
//! needs both. Commands, queries and what is on the wire are there in any case.

#[cfg(feature = "client")]
pub mod client;
pub mod op;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod store;
pub mod wire;

#[cfg(feature = "client")]
pub use client::{EndpointStatus, KvClient, KvError, Page, Scan, Swap};
pub use op::{Expect, KeyValue, Limit, Meta, Op, OpResult, Query, QueryResult, Range, RangePage};
#[cfg(feature = "server")]
pub use store::Store;
