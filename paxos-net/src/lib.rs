//! The TCP bridge between actors of different processes.
//!
//! ```no_run
//! # use paxos_actors::Routes;
//! # use paxos_core::{Incarnation, MemberId, NodeId};
//! # use paxos_net::{Bridge, BridgeError, BridgeOptions};
//! # use std::{collections::BTreeMap, sync::Arc};
//! # fn start(life: u64, layout: u64, actors: Routes) -> Result<Bridge, BridgeError> {
//! let me = MemberId { node: NodeId(1), incarnation: Incarnation(0x5eed) };
//! let peers = BTreeMap::from([(NodeId(2), "10.0.0.2:2580".to_owned())]);
//! let listen = ([127, 0, 0, 1], 2580).into();
//! let mut bridge = Bridge::bind(BridgeOptions::new(me, life, listen, layout, peers))?;
//! let routes = Arc::new(bridge.routes(actors));
//! bridge.accept(Arc::clone(&routes));
//! # Ok(bridge)
//! # }
//! ```
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
//! on the wire. [`frame`] also serves other protocols, on any runtime. Without the feature `actors`
//! there is only what is pure.

#[cfg(feature = "actors")]
pub mod bridge;
#[cfg(feature = "actors")]
pub mod counters;
pub mod frame;
#[cfg(feature = "actors")]
mod handshake;
pub mod hello;
#[cfg(feature = "actors")]
mod link;
#[cfg(feature = "actors")]
mod listener;
#[cfg(feature = "actors")]
mod lives;
pub mod validate;
pub mod wire;

#[cfg(feature = "actors")]
pub use bridge::{Bridge, BridgeError, BridgeEvent, BridgeOptions, Patience};
#[cfg(feature = "actors")]
pub use counters::{Count, Counters, RoundTrips};
pub use frame::{Frame, FrameError, FrameReader, FrameWriter};
pub use hello::{Peer, Refusal};
