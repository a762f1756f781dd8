//! A message to another process and back, by TCP on loopback.

use super::child::{Child, accept};
use crate::load::{Percentiles, latencies};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const MESSAGE_BYTES: usize = 280;

/// Asks another process, and waits for its answer, one after the other; in microseconds.
pub fn measure(program: &Path, time: Duration) -> io::Result<Percentiles> {
    let echo = Child::start(program, ["echo"])?;
    let mut stream = echo.connect()?;
    let mut message = [7; MESSAGE_BYTES];
    let mut us = latencies();
    let until = Instant::now() + time;
    while Instant::now() < until {
        let begun = Instant::now();
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        us.saturating_record(begun.elapsed().as_micros() as u64);
    }
    Ok(Percentiles::of(&us))
}

/// The other process: sends back whatever comes.
pub fn echo() -> io::Result<()> {
    let mut stream = accept()?;
    let mut message = [0; MESSAGE_BYTES];
    loop {
        match stream.read(&mut message)? {
            0 => return Ok(()),
            read => stream.write_all(&message[..read])?,
        }
    }
}
