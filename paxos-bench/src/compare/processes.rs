//! The servers of one cluster, with a directory for their data.

use super::CompareError;
use crate::processes::{self, Process, last_lines};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// A cluster serves within this time, or never.
const READY: Duration = Duration::from_secs(30);

const RETRY: Duration = Duration::from_millis(100);

/// So many lines of each log are shown when a cluster does not serve.
const SAID_LINES: usize = 10;

/// The servers of one cluster. Dropped, they are killed, and their data is removed.
#[derive(Debug)]
pub(super) struct Processes {
    store: &'static str,
    servers: Vec<Process>,
    directory: TempDir,
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
        let binary = PathBuf::from(command.get_program());
        let started = Process::start(command, &self.log(self.servers.len()));
        self.servers.push(started.map_err(|source| CompareError::Start { binary, source })?);
        Ok(())
    }

    /// Tries until something works, for as long as a cluster may need to serve.
    pub(super) async fn until_ready<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<T, String>,
    ) -> Result<T, CompareError> {
        let until = Instant::now() + READY;
        loop {
            match attempt().await {
                Ok(ready) => return Ok(ready),
                Err(_) if Instant::now() < until => sleep(RETRY).await,
                Err(reason) => {
                    let (store, seconds) = (self.store, READY.as_secs());
                    let said = self.said();
                    return Err(CompareError::NotReady { store, seconds, reason, said });
                }
            }
        }
    }

    fn log(&self, server: usize) -> PathBuf {
        self.directory.path().join(format!("log-{server}"))
    }

    fn said(&self) -> String {
        let last = |server| last_lines(&self.log(server), SAID_LINES);
        (0..self.servers.len()).map(last).collect::<Vec<_>>().join("\n")
    }
}

/// Addresses on loopback that nobody listens on at this moment.
pub(super) fn free_addresses(count: usize) -> Result<Vec<std::net::SocketAddr>, CompareError> {
    processes::free_addresses(count).map_err(CompareError::Prepare)
}
