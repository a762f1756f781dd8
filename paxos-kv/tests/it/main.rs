//! Tests of the key-value store from outside.

mod cli;
mod client;
mod config;
mod dev;
#[path = "../../../paxos-actors/tests/it/golden.rs"]
mod golden;
mod initial_cluster;
mod op;
mod process;
mod roles;
mod store;
mod store_snapshot;
mod support;
mod wire;
