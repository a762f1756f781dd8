//! Tests of the key-value store from outside.

mod cli;
mod client;
#[path = "../../../paxos-actors/tests/it/golden.rs"]
mod golden;
mod op;
mod process;
mod store;
mod support;
mod wire;
