//! Tests of the actors from outside.

mod wal_crash;
mod wal_format;
mod wal_rules;
mod wal_support;
mod wal_thread;
