//! The bridge, from outside.

mod bridge;
mod frame;
#[path = "../../../paxos-actors/tests/it/golden.rs"]
mod golden;
mod hello;
mod hostile;
mod mail;
mod support;
mod validate;
