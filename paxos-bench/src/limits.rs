//! What this machine allows, however a store is written: the floor under every figure.
//!
//! - [`disk`]: how long it takes until written bytes are durable.
//! - [`ping_pong`]: how long a message takes there and back, between two processes.
//! - [`messages`]: what it costs to send an actor a message.
//! - [`bare_loop`]: all of it together, as little as a replicated durable store can do.
//!
//! Processes that take part are this program itself, as a hidden command. Open `bare_loop.rs`
//! first.

pub mod bare_loop;
pub mod child;
pub mod disk;
pub mod messages;
pub mod ping_pong;

use self::bare_loop::BareLoop;
use self::disk::Durable;
use self::messages::Messages;
use crate::load::Percentiles;
use serde::Serialize;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Each of the small limits is measured for so long.
const TIME: Duration = Duration::from_millis(500);

/// What is written at a time where a limit of the disk is measured, in bytes.
const WRITES: [usize; 2] = [256, 4096];

/// Clients of the bare loop, where nothing else decides.
pub const CLIENTS: [usize; 5] = [1, 8, 64, 256, 1024];

/// What this machine allows. As JSON it is one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MachineLimits {
    /// Until bytes are durable.
    pub fdatasync: Vec<Durable>,
    /// A message between two processes there and back, in microseconds.
    pub ping_pong_us: Percentiles,
    /// Messages to an actor.
    pub actix: Messages,
    /// The bare loop, at each number of clients.
    pub bare_loop: Vec<BareLoop>,
}

impl MachineLimits {
    /// Measures what a part of a store is limited by, without the bare loop. `program` is this
    /// program, and files go into `directory`.
    pub fn of_parts(program: &Path, directory: &Path) -> io::Result<MachineLimits> {
        let mut fdatasync = Vec::new();
        for bytes in WRITES {
            for is_growing in [false, true] {
                fdatasync.push(disk::measure(directory, bytes, is_growing, TIME)?);
            }
        }
        let ping_pong_us = ping_pong::measure(program, TIME)?;
        let actix = messages::measure(TIME);
        Ok(MachineLimits { fdatasync, ping_pong_us, actix, bare_loop: Vec::new() })
    }
}

impl fmt::Display for MachineLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |us: Option<u64>| us.map_or("-".to_owned(), |us| us.to_string());
        writeln!(f, "{:<44} {:>8} {:>8}", "limits of this machine, µs", "p50", "p99")?;
        for Durable { bytes, is_growing, us: latency } in &self.fdatasync {
            let place = if *is_growing { "at the end of a growing file" } else { "over zeros" };
            let name = format!("fdatasync of {bytes} B {place}");
            writeln!(f, "{name:<44} {:>8} {:>8}", us(latency.p50), us(latency.p99))?;
        }
        let Percentiles { p50, p99, .. } = self.ping_pong_us;
        writeln!(f, "{:<44} {:>8} {:>8}", "TCP ping-pong of two processes", us(p50), us(p99))?;
        let Messages { request_reply_ns, stream_ns } = self.actix;
        writeln!(
            f,
            "a message to an actor of the same arbiter: {request_reply_ns:.0} ns with its answer, \
             {stream_ns:.0} ns in a stream"
        )?;
        for BareLoop { clients, ops_per_s, us: latency, .. } in &self.bare_loop {
            let name = format!("bare loop, {clients} clients: {ops_per_s:.0}/s");
            writeln!(f, "{name:<44} {:>8} {:>8}", us(latency.p50), us(latency.p99))?;
        }
        Ok(())
    }
}
