//! Tests of the key-value store from outside.

mod cli;
mod client;
mod config;
mod dev;
mod op;
mod process;
mod store;
mod support;
