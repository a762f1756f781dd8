//! What the rules and the actors cost by themselves: three nodes in this process, all in memory.
//!
//! - [`bare_core`]: the roles, driven in one loop; messages are handed over directly.
//! - [`actors`]: a cluster of actors, and clients in a closed loop.
//!
//! The program in `paxos-bench/peers` does the same work with other libraries, and prints the same
//! lines, so that the two can be compared.

pub mod actors;
pub mod bare_core;
mod closed_loop;
mod values;

/// Keys that are written.
const KEYS: u64 = 10_000;
