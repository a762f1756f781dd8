//! Paxos roles as actix actors.

pub mod clock;
pub mod cluster;
pub mod codec;
pub mod control;
pub mod ending;
pub mod envelope;
pub mod log;
pub mod node;
pub mod role_actor;
pub mod routes;
pub mod submit;
pub mod wal;

pub use envelope::Envelope;
pub use log::{Log, LogEvent};
pub use routes::{Counts, Posted, Routes};
