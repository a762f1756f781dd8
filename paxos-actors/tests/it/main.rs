//! Tests of the actors from outside.

mod cluster;
mod crash;
mod golden;
mod node;
mod role_actor;
mod routes;
mod snapshot_files;
mod snapshot_support;
mod snapshots;
mod support;
mod trace;
mod wal_crash;
mod wal_format;
mod wal_rules;
mod wal_support;
mod wal_thread;
mod wal_trim;
