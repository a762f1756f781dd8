//! A durable, linearizable, replicated key-value store.
//!
//! What is here, in the order in which to read it: [`op`] has the commands and queries and their
//! limits, [`store`] the state that they run on, [`client`] the library that programs use, [`wire`]
//! what it says to a node, and [`server`] the node. Agreement itself is not here: commands are
//! opaque bytes to everything between the client and the store.

pub mod client;
pub mod op;
pub mod server;
pub mod store;
pub mod wire;

pub use client::{EndpointStatus, KvClient, KvError, Page, Scan, Swap};
pub use op::{Expect, KeyValue, Limit, Meta, Op, OpResult, Query, QueryResult, Range, RangePage};
pub use store::Store;
