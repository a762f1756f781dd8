//! This program as another process, which serves one connection.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::thread;

/// A process that serves one connection. It ends with it, and when this is dropped.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    address: SocketAddr,
}

impl Child {
    /// Starts `program`, and waits until it tells where it listens.
    pub fn start<A: AsRef<OsStr>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> io::Result<Child> {
        let mut command = Command::new(program);
        command.arg("limits").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        match line.trim().parse() {
            Ok(address) => Ok(Child { process, address }),
            Err(_) => {
                let _ = process.kill();
                let status = process.wait()?;
                Err(io::Error::other(format!("{} does not listen: {status}", program.display())))
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connection that it serves.
    pub fn connect(&self) -> io::Result<TcpStream> {
        connect(self.address)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection that sends at once whatever is written.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// In the child: tells its parent where it listens, and takes the one connection. The process ends
/// when its parent does.
pub fn accept() -> io::Result<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    thread::spawn(|| {
        // Nothing is ever written to it: it ends with the parent.
        let _ = io::stdin().read(&mut [0]);
        process::exit(1);
    });
    let (stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
