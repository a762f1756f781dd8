//! Everything that puts the key-value store under strain, and judges what it did.
//!
//! - [`check`]: is a recorded history linearizable? Our own checker, independent of the store: it
//!   shares no type with it.
//! - [`chaos`]: faults on purpose while clients call, and a judge afterwards.
//! - [`load`]: clients in a closed or an open loop, and the latencies that they see.
//! - [`local`]: what the rules and the actors cost by themselves.
//! - [`compare`]: the same work for this store and for others, in turn.
//! - [`growth`]: the same load while one thing grows; a step that costs too much is a cliff.
//! - [`limits`]: what the machine allows, however a store is written.
//! - [`processes`]: servers as processes on loopback.
//! - [`sim`]: whole clusters in virtual time, with everything that can go wrong.
//! - [`soak`]: a load for long, and an overload; nothing may grow, and all must recover.
//!
//! Deliberately not here: anything that a node needs to run. Open `check.rs` first.

pub mod chaos;
pub mod check;
pub mod compare;
pub mod growth;
pub mod limits;
pub mod load;
pub mod local;
pub mod processes;
pub mod sim;
pub mod soak;
