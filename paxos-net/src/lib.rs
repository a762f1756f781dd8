//! The TCP bridge between actors of different processes.
//!
//! A remote actor is a local mailbox: `link` has the actor that stands for all roles of a peer,
//! `listener` takes the peers' mail and posts it to the node's own actors, and [`Bridge`] holds
//! them together. Each node dials each peer for its outbound mail, so mail goes one way on a
//! connection; the other way there are only the handshake and signs of life.
//!
//! Nothing here knows a rule of Paxos, retries a message, or forwards one. Mail that cannot go now
//! is dropped and counted.
//!
//! Start with [`bridge`] for how it is used, with [`frame`] and [`hello`] (both pure) for what is
//! on the wire. [`frame`] also serves other protocols, on any runtime.

pub mod bridge;
pub mod counters;
pub mod frame;
mod handshake;
pub mod hello;
mod link;
mod listener;
pub mod validate;
pub mod wire;

pub use bridge::{Bridge, BridgeError, BridgeEvent, BridgeOptions, Patience};
pub use counters::{Count, Counters};
pub use frame::{Frame, FrameError, FrameReader, FrameWriter};
pub use hello::{Peer, Refusal};
