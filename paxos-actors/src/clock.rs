//! The only clock that roles are driven by.

use paxos_core::Now;
use rustix::time::{ClockId, clock_gettime};

/// This moment on the machine's boot-time clock: it never goes back, no one can set it, and it
/// counts the time that the machine was suspended.
pub fn now() -> Now {
    let time = clock_gettime(ClockId::Boottime);
    // Neither part of this clock is ever negative.
    Now(time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000)
}
