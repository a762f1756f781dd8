//! A follower of the bare loop: writes what comes, and tells how many entries are durable.

use super::{Batches, LogFile};
use crate::limits::child::accept;
use std::io::{self, Write};
use std::path::Path;

/// Follows until the leader closes.
pub fn run(log: &Path) -> io::Result<()> {
    let mut log = LogFile::create(log)?;
    let mut leader = accept()?;
    let mut batches = Batches::new();
    while let Some(batch) = batches.next(&mut leader)? {
        log.append_durably(batch)?;
        leader.write_all(&batches.count.to_le_bytes())?;
    }
    Ok(())
}
