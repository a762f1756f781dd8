//! Servers as processes, on loopback: how each is started, ended and heard.
//!
//! ```no_run
//! use paxos_bench::processes::{Place, Process, free_addresses, serve};
//!
//! let addresses = free_addresses(2)?;
//! let (client, peer) = (addresses[0], addresses[1]);
//! let place = Place { id: 1, client, peer, data_dir: "data-1".into() };
//! let command = serve("paxos-kv".as_ref(), &place, &format!("1={peer}"));
//! let mut node = Process::start(command, "log-1".as_ref())?;
//! node.kill_9()?;
//! # Ok::<(), std::io::Error>(())
//! ```

use paxos_core::rng::Rng;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// Where one node of this store is, on disk and in the net.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its number.
    pub id: u64,
    /// Where clients connect to.
    pub client: SocketAddr,
    /// Where peers connect to.
    pub peer: SocketAddr,
    /// Its data directory.
    pub data_dir: PathBuf,
}

/// The command line that serves a node of this store; `initial_cluster` is as the flag has it.
pub fn serve(program: &Path, place: &Place, initial_cluster: &str) -> Command {
    let mut serve = Command::new(program);
    serve.arg("serve").args(["--id", &place.id.to_string()]);
    serve.arg("--data-dir").arg(&place.data_dir);
    serve.args(["--listen-client", &place.client.to_string()]);
    serve.args(["--listen-peer", &place.peer.to_string()]);
    serve.args(["--initial-cluster", initial_cluster]);
    serve
}

/// Below the ports that a system gives to connections that go out: one of these might take a port
/// before its server does, or while that is down.
const PORTS: Range<u64> = 12_000..32_000;

/// So many ports are tried for each that is wanted.
const TRIES: usize = 100;

/// Addresses on loopback that nobody listened on a moment ago, drawn anew each time: so that those
/// who ask at the same time get different ones.
pub fn free_addresses(count: usize) -> io::Result<Vec<SocketAddr>> {
    let mut rng = Rng::new(RandomState::new().hash_one(std::process::id()));
    let mut held = Vec::new();
    for _ in 0..TRIES * count {
        if held.len() == count {
            break;
        }
        let port = rng.between(PORTS.start, PORTS.end) as u16;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(listener) => held.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    if held.len() < count {
        let what = format!("fewer than {count} ports from {PORTS:?} are free");
        return Err(io::Error::new(io::ErrorKind::AddrInUse, what));
    }
    held.iter().map(TcpListener::local_addr).collect()
}

/// A process that ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts a process. What it says goes to a file, behind what is there.
    pub fn start(mut command: Command, log: &Path) -> io::Result<Process> {
        let log = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Process { child: command.spawn()? })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Ends it as `kill -9` does, and waits for that.
    pub fn kill_9(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Stops it where it is, as SIGSTOP does.
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Has it go on after [`Process::pause`].
    pub fn go_on(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Asks it to stop in order.
    pub fn ask_to_stop(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("a process without a number"))?;
        // The child is not waited for without `&mut self`, so the number is still its own.
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.kill_9();
    }
}

/// The last lines of a log; nothing where there is none.
pub fn last_lines(log: &Path, count: usize) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
