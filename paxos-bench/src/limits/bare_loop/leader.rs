//! The leader of the bare loop.

use super::{Batches, LogFile};
use crate::limits::child::{accept, connect};
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;

/// Leads until the client closes; then it tells how many entries are on each disk.
pub fn run(log: &Path, followers: [SocketAddr; 2]) -> io::Result<()> {
    let mut log = LogFile::create(log)?;
    let [first, second] = followers;
    let mut followers = [Follower::connect(first)?, Follower::connect(second)?];
    let mut client = accept()?;
    let mut batches = Batches::new();
    while let Some(batch) = batches.next(&mut client)? {
        for follower in &mut followers {
            follower.stream.write_all(batch)?;
        }
        log.append_durably(batch)?;
        wait_for_one(&mut followers, batches.count)?;
        client.write_all(&batches.count.to_le_bytes())?;
    }
    client.write_all(&batches.count.to_le_bytes())?;
    for follower in &mut followers {
        follower.stream.shutdown(Shutdown::Write)?;
        while follower.read()? > 0 {}
        client.write_all(&follower.stored.to_le_bytes())?;
    }
    Ok(())
}

/// A follower, as the leader sees it.
struct Follower {
    stream: TcpStream,
    /// Bytes of a number that has not come as a whole yet.
    part: Vec<u8>,
    /// So many entries are on its disk.
    stored: u64,
}

impl Follower {
    fn connect(address: SocketAddr) -> io::Result<Follower> {
        Ok(Follower { stream: connect(address)?, part: Vec::new(), stored: 0 })
    }

    /// Takes what it has told, and waits until it tells something. 0: it has closed.
    fn read(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 1024];
        let read = self.stream.read(&mut buffer)?;
        self.part.extend(&buffer[..read]);
        let (numbers, rest) = self.part.as_chunks::<8>();
        if let Some(&last) = numbers.last() {
            self.stored = u64::from_le_bytes(last);
        }
        self.part = rest.to_vec();
        Ok(read)
    }
}

/// Waits until one of them has so many entries.
fn wait_for_one(followers: &mut [Follower; 2], count: u64) -> io::Result<()> {
    while followers.iter().all(|follower| follower.stored < count) {
        let is_readable = {
            let mut each = followers.each_ref().map(|at| PollFd::new(&at.stream, PollFlags::IN));
            poll(&mut each, None)?;
            each.map(|fd| !fd.revents().is_empty())
        };
        for (follower, _) in followers.iter_mut().zip(is_readable).filter(|(_, ready)| *ready) {
            if follower.read()? == 0 {
                return Err(io::Error::other("a follower of the bare loop has ended"));
            }
        }
    }
    Ok(())
}
