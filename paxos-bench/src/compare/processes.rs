//! Servers as processes, on loopback, each with a directory of its own.

use super::CompareError;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// A cluster serves within this time, or never.
const READY: Duration = Duration::from_secs(30);

const RETRY: Duration = Duration::from_millis(100);

/// So many bytes of each log are shown when a cluster does not serve.
const SAID_BYTES: usize = 1000;

/// The servers of one cluster. Dropped, they are killed, and their data is removed.
#[derive(Debug)]
pub(super) struct Processes {
    store: &'static str,
    servers: Vec<Child>,
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
    pub(super) fn start(
        &mut self,
        binary: &Path,
        arguments: &[String],
    ) -> Result<(), CompareError> {
        let failed = |source| CompareError::Start { binary: binary.to_owned(), source };
        let log = File::create(self.log(self.servers.len())).map_err(failed)?;
        let and_log = log.try_clone().map_err(failed)?;
        let mut command = Command::new(binary);
        command.args(arguments).stdin(Stdio::null()).stdout(log).stderr(and_log);
        self.servers.push(command.spawn().map_err(failed)?);
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
                    return Err(CompareError::NotReady {
                        store,
                        seconds,
                        reason,
                        said: self.said(),
                    });
                }
            }
        }
    }

    fn log(&self, server: usize) -> PathBuf {
        self.directory.path().join(format!("log-{server}"))
    }

    fn said(&self) -> String {
        let last = |server| {
            let log = std::fs::read(self.log(server)).unwrap_or_default();
            let from = log.len().saturating_sub(SAID_BYTES);
            String::from_utf8_lossy(&log[from..]).into_owned()
        };
        (0..self.servers.len()).map(last).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for server in &mut self.servers {
            // One that has ended already is what is wanted.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Addresses on loopback that nobody listens on at this moment.
pub(super) fn free_addresses(count: usize) -> Result<Vec<String>, CompareError> {
    let bind = |_| TcpListener::bind("127.0.0.1:0");
    let bound = (0..count).map(bind).collect::<io::Result<Vec<_>>>();
    let bound = bound.map_err(CompareError::Prepare)?;
    let address = |listener: &TcpListener| Ok(listener.local_addr()?.to_string());
    bound.iter().map(address).collect::<io::Result<_>>().map_err(CompareError::Prepare)
}
