//! How long it takes until written bytes are durable, on one disk, with nothing beside it.

use super::bare_loop::LogFile;
use crate::load::{Percentiles, latencies};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// So much was written at a time, and made durable by fdatasync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Durable {
    /// How much.
    pub bytes: usize,
    /// At the end of a file that grows; or else over zeros, so that the file system has nothing to
    /// note but the bytes.
    pub is_growing: bool,
    /// From before the write to after the sync, in microseconds.
    pub us: Percentiles,
}

/// Writes and syncs for `time`, one after the other.
pub fn measure(
    directory: &Path,
    bytes: usize,
    is_growing: bool,
    time: Duration,
) -> io::Result<Durable> {
    let directory = tempfile::Builder::new().prefix("limits-").tempdir_in(directory)?;
    let path = directory.path().join("log");
    let block = vec![7; bytes];
    let mut us = latencies();
    let mut repeat = |write: &mut dyn FnMut() -> io::Result<()>| {
        let until = Instant::now() + time;
        while Instant::now() < until {
            let begun = Instant::now();
            write()?;
            us.saturating_record(begun.elapsed().as_micros() as u64);
        }
        io::Result::Ok(())
    };
    if is_growing {
        let mut file = File::create_new(path)?;
        repeat(&mut || file.write_all(&block).and_then(|()| file.sync_data()))?;
    } else {
        let mut log = LogFile::create(&path)?;
        repeat(&mut || log.append_durably(&block))?;
    }
    Ok(Durable { bytes, is_growing, us: Percentiles::of(&us) })
}
