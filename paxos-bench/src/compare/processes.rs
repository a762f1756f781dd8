//! The servers of one cluster, with a directory for their data.

use super::{CompareError, usage};
use crate::processes::{self, Process, last_lines};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// A cluster serves within this time, or never.
pub(crate) const READY: Duration = Duration::from_secs(60);

const RETRY: Duration = Duration::from_millis(10);

/// So many lines of each log are shown when a cluster does not serve.
const SAID_LINES: usize = 10;

/// The servers of one cluster. Dropped, they are killed, and their data is removed.
#[derive(Debug)]
pub(crate) struct Processes {
    store: &'static str,
    servers: Vec<Server>,
    directory: TempDir,
}

#[derive(Debug)]
struct Server {
    process: Process,
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Processes {
    /// A cluster without servers yet, with its data below `directory`.
    pub(super) fn new(store: &'static str, directory: &Path) -> Result<Processes, CompareError> {
        let named = tempfile::Builder::new().prefix("compare-").tempdir_in(directory);
        let directory = named.map_err(CompareError::Prepare)?;
        Ok(Processes { store, servers: Vec::new(), directory })
    }

    /// Where a server may put its data.
    pub(super) fn data_dir(&self, server: usize) -> PathBuf {
        self.directory.path().join(format!("data-{server}"))
    }

    /// Starts a server. What it says goes to a file.
    pub(super) fn start(&mut self, command: Command) -> Result<(), CompareError> {
        let program = PathBuf::from(command.get_program());
        let arguments = command.get_args().map(OsString::from).collect();
        let process = launch(command, &self.log(self.servers.len()))?;
        self.servers.push(Server { process, program, arguments });
        Ok(())
    }

    /// Kills a server as `kill -9` does, and waits until it has ended.
    pub(super) fn kill(&mut self, server: usize) -> Result<(), CompareError> {
        self.servers[server].process.kill_9().map_err(CompareError::Prepare)?;
        Ok(())
    }

    /// Starts a server that was killed, as it was started before.
    pub(super) fn restart(&mut self, server: usize) -> Result<(), CompareError> {
        let log = self.log(server);
        let Server { process, program, arguments } = &mut self.servers[server];
        let mut command = Command::new(program);
        command.args(arguments);
        *process = launch(command, &log)?;
        Ok(())
    }

    /// Tries until something works, for as long as a cluster may need to serve.
    pub(super) async fn until_ready<T>(
        &self,
        attempt: impl AsyncFnMut() -> Result<T, String>,
    ) -> Result<T, CompareError> {
        until_ready(attempt).await.map_err(|reason| self.not_ready(reason))
    }

    /// What there is to say of a cluster that was waited for.
    pub(crate) fn not_ready(&self, reason: String) -> CompareError {
        let (store, seconds, said) = (self.store, READY.as_secs(), self.said());
        CompareError::NotReady { store, seconds, reason, said }
    }

    /// The numbers of its processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.servers.iter().map(|server| server.process.pid()).collect()
    }

    /// Bytes of all that they have written, as they stand on disk now.
    pub(crate) fn disk_bytes(&self) -> u64 {
        (0..self.servers.len()).map(|server| usage::bytes_below(&self.data_dir(server))).sum()
    }

    fn log(&self, server: usize) -> PathBuf {
        self.directory.path().join(format!("log-{server}"))
    }

    fn said(&self) -> String {
        let last = |server| last_lines(&self.log(server), SAID_LINES);
        (0..self.servers.len()).map(last).collect::<Vec<_>>().join("\n")
    }
}

/// Tries until something works, for as long as a cluster may need to serve; then, what was tried
/// last.
pub(super) async fn until_ready<T>(
    mut attempt: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, String> {
    let until = Instant::now() + READY;
    loop {
        match attempt().await {
            Err(_) if Instant::now() < until => sleep(RETRY).await,
            done => return done,
        }
    }
}

fn launch(command: Command, log: &Path) -> Result<Process, CompareError> {
    let binary = PathBuf::from(command.get_program());
    Process::start(command, log).map_err(|source| CompareError::Start { binary, source })
}

/// Addresses on loopback that nobody listens on at this moment.
pub(super) fn free_addresses(count: usize) -> Result<Vec<std::net::SocketAddr>, CompareError> {
    processes::free_addresses(count).map_err(CompareError::Prepare)
}
