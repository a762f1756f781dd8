//! As little as a replicated durable store can do: the floor under all of them.
//!
//! A client in one process sends entries to a leader in another, as many at a time as it has
//! clients. The leader takes all that is there, sends it to two followers in processes of their
//! own, writes it and has it made durable, and answers when one follower has it on disk as well.
//! Nothing is looked up, encoded, elected, retried or read.

pub mod follower;
pub mod leader;
mod log;

pub use self::log::LogFile;

use super::child::Child;
use crate::load::{Percentiles, latencies};
use serde::Serialize;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// A value of 256 bytes, and what goes with it.
pub const ENTRY_BYTES: usize = 280;

/// Entries that are read at a time, at most.
const BATCH_MAX: usize = 4096;

/// What the bare loop did. As JSON it is one line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BareLoop {
    /// Entries under way at a time.
    pub clients: usize,
    /// Entries answered per second.
    pub ops_per_s: f64,
    /// From before an entry is sent to after it is answered, in microseconds.
    pub us: Percentiles,
    /// Entries sent, the warm-up included.
    pub sent: u64,
    /// Entries on the leader's disk and on each follower's, at the end.
    pub stored: [u64; 3],
}

/// Runs it for `time`, after a warm-up of a quarter of that. `program` is this program, and the
/// logs go into `directory`.
pub fn measure(
    program: &Path,
    directory: &Path,
    clients: usize,
    time: Duration,
) -> io::Result<BareLoop> {
    let directory = tempfile::Builder::new().prefix("limits-").tempdir_in(directory)?;
    let log = |name: &str| directory.path().join(name).into_os_string();
    let follower = |name| Child::start(program, [OsString::from("follower"), log(name)]);
    let followers = [follower("log-1")?, follower("log-2")?];
    let addresses = followers.iter().map(|follower| follower.address().to_string().into());
    let arguments = [OsString::from("leader"), log("log-0")].into_iter().chain(addresses);
    let leader = Child::start(program, arguments)?;
    Client::new(leader.connect()?, clients).run(time)
}

/// All clients of the loop, on one connection.
struct Client {
    leader: TcpStream,
    clients: usize,
    sent: u64,
    answered: u64,
    /// When each entry that is not answered yet was sent, oldest first.
    open: VecDeque<Instant>,
    buffer: Vec<u8>,
}

impl Client {
    fn new(leader: TcpStream, clients: usize) -> Client {
        let buffer = vec![7; clients * ENTRY_BYTES];
        Client { leader, clients, sent: 0, answered: 0, open: VecDeque::new(), buffer }
    }

    fn run(mut self, time: Duration) -> io::Result<BareLoop> {
        let begin = Instant::now() + time / 4;
        let end = begin + time;
        let mut us = latencies();
        self.send(self.clients)?;
        while self.answered < self.sent {
            let count = self.answers()?;
            let now = Instant::now();
            for sent in self.open.drain(..count) {
                if sent >= begin && now < end {
                    us.saturating_record((now - sent).as_micros() as u64);
                }
            }
            if now < end {
                self.send(count)?;
            }
        }
        Ok(BareLoop {
            clients: self.clients,
            ops_per_s: (us.len() as f64 / time.as_secs_f64()).round(),
            us: Percentiles::of(&us),
            sent: self.sent,
            stored: self.stored()?,
        })
    }

    /// Sends so many entries at once, each with its number.
    fn send(&mut self, count: usize) -> io::Result<()> {
        let bytes = &mut self.buffer[..count * ENTRY_BYTES];
        for entry in bytes.chunks_exact_mut(ENTRY_BYTES) {
            entry[..8].copy_from_slice(&self.sent.to_le_bytes());
            self.sent += 1;
        }
        self.open.extend(std::iter::repeat_n(Instant::now(), count));
        self.leader.write_all(bytes)
    }

    /// How many more are answered. The leader tells how many are in all.
    fn answers(&mut self) -> io::Result<usize> {
        let answered = read_number(&mut self.leader)?;
        let more = answered - self.answered;
        self.answered = answered;
        Ok(more as usize)
    }

    /// What all three have on disk in the end.
    fn stored(mut self) -> io::Result<[u64; 3]> {
        self.leader.shutdown(Shutdown::Write)?;
        let mut stored = [0; 3];
        for count in &mut stored {
            *count = read_number(&mut self.leader)?;
        }
        Ok(stored)
    }
}

fn read_number(stream: &mut TcpStream) -> io::Result<u64> {
    let mut number = [0; 8];
    stream.read_exact(&mut number)?;
    Ok(u64::from_le_bytes(number))
}

/// Entries as they come, all that are there at a time.
struct Batches {
    buffer: Vec<u8>,
    held: usize,
    /// Bytes of the batch that was given out last.
    given: usize,
    /// Entries given out so far.
    count: u64,
}

impl Batches {
    fn new() -> Batches {
        Batches { buffer: vec![0; BATCH_MAX * ENTRY_BYTES], held: 0, given: 0, count: 0 }
    }

    /// The next batch, of at least one entry; none: the sender has closed.
    fn next(&mut self, stream: &mut TcpStream) -> io::Result<Option<&[u8]>> {
        self.buffer.copy_within(self.given..self.held, 0);
        self.held -= self.given;
        self.given = 0;
        while self.held < ENTRY_BYTES {
            match stream.read(&mut self.buffer[self.held..])? {
                0 => return Ok(None),
                read => self.held += read,
            }
        }
        self.given = self.held - self.held % ENTRY_BYTES;
        let batch = &self.buffer[..self.given];
        for entry in batch.chunks_exact(ENTRY_BYTES) {
            if entry[..8] != self.count.to_le_bytes() {
                return Err(io::Error::other(format!("entry {} is missing", self.count)));
            }
            self.count += 1;
        }
        Ok(Some(batch))
    }
}
