//! Paxos roles as actix actors.

pub mod codec;
pub mod envelope;
pub mod log;
pub mod routes;
pub mod wal;

pub use envelope::Envelope;
pub use log::{Log, LogEvent};
pub use routes::{Counts, Posted, Routes};
