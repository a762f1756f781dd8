//! `paxos-kv dev --processes`: nodes that can be killed and started again.

use crate::support::{command, paxos_kv, until};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

const NODES: u16 = 3;

/// A `dev --processes` at whose prompt the test sits.
struct Dev {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    first_port: u16,
    pids: Vec<u32>,
}

impl Dev {
    fn start(data_dir: &Path) -> Dev {
        let first_port = first_port();
        let mut args = vec!["dev".to_owned(), "--processes".to_owned(), "--prompt".to_owned()];
        args.push(format!("--first-port={first_port}"));
        args.push(format!("--data-dir={}", data_dir.display()));
        let mut child = command(&args)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            // It must not disturb the nodes.
            .env("PAXOS_KV_ID", "77")
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut dev = Dev { child, stdin, stdout, first_port, pids: Vec::new() };
        dev.until("data directory: ");
        for node in 1..=NODES {
            let line = dev.until(&format!("node {node}: pid "));
            dev.pids.push(pid(&line));
        }
        let ready = dev.until("ready: ");
        assert_eq!(ready, format!("ready: {}", dev.endpoints()));
        dev
    }

    fn endpoints(&self) -> String {
        let ports = (0..NODES).map(|place| self.first_port + 10 * place);
        ports.map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// Passes over what it says up to a line with this in it.
    fn until(&mut self, expected: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).unwrap();
            all += &line;
            assert!(read > 0, "it ended without \"{expected}\":\n{all}");
            // A prompt may stand before it.
            if let Some(at) = line.find(expected) {
                return line[at..].trim_end().to_owned();
            }
        }
    }

    fn type_in(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn run(&self, args: &[&str]) -> (i32, String) {
        let run = paxos_kv(&[args, &["--endpoints", &self.endpoints()]].concat());
        (run.code, run.stdout)
    }

    /// No node listens any more.
    fn are_gone(&self) -> bool {
        ports(self.first_port).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port from which on those of a whole cluster are free. See `closed_port` for the range.
fn first_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = (std::process::id() as u16).wrapping_mul(7).wrapping_add(next) % 80;
        let first = 30_000 + place * 30;
        if ports(first).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return first;
        }
    }
}

fn ports(first: u16) -> impl Iterator<Item = u16> {
    (0..NODES).flat_map(move |place| [first + 10 * place, first + 10 * place + 1])
}

fn pid(line: &str) -> u32 {
    let (_, after) = line.split_once("pid ").unwrap();
    after.split(',').next().unwrap().parse().unwrap()
}

fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_node_that_is_killed_is_reported_and_can_be_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(dir.path());
    assert_eq!(dev.run(&["put", "k", "v"]).0, 0);
    signal("-KILL", dev.pids[1]);
    dev.until("node 2 has ended: signal: 9 (SIGKILL); start 2 starts it again");
    until("the others go on", || dev.run(&["put", "k", "w"]).0 == 0);
    dev.type_in("start 2");
    let line = dev.until("node 2: pid ");
    assert_ne!(pid(&line), dev.pids[1]);
    dev.type_in("start 2");
    dev.until("node 2 runs: kill 2 kills it");
    dev.type_in("kill 3");
    dev.until("node 3 has ended: signal: 9 (SIGKILL)");
    dev.type_in("kill 3");
    dev.until("node 3 does not run: start 3 starts it");
    dev.type_in("kill 4");
    dev.until("there is no node 4");
    until("1 and the new 2 go on", || dev.run(&["get", "k"]).1 == "w\n");
    dev.type_in("exit");
    assert_eq!(dev.child.wait().unwrap().code(), Some(0));
    assert!(dev.are_gone(), "it waits for its nodes");

    let dev = Dev::start(dir.path());
    assert_eq!(dev.run(&["get", "k"]).1, "w\n", "data survives");
}

#[test]
fn nodes_end_with_the_process_that_started_them() {
    let dir = tempfile::tempdir().unwrap();
    for how in ["-INT", "-TERM"] {
        let mut dev = Dev::start(dir.path());
        signal(how, dev.child.id());
        assert_eq!(dev.child.wait().unwrap().code(), Some(0), "{how}");
        assert!(dev.are_gone(), "{how}");
    }
    let mut dev = Dev::start(dir.path());
    dev.child.kill().unwrap();
    dev.child.wait().unwrap();
    until("the system has killed the nodes", || dev.are_gone());
    let other = paxos_kv(&["dev", "--processes", "--nodes=2", &dir_arg(dir.path())]);
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.stderr.contains("has the data of a cluster of 3 nodes"), "{other:?}");
}

#[test]
fn a_node_that_cannot_be_started_ends_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let first = first_port();
    let _held = TcpListener::bind(("127.0.0.1", first + 10)).unwrap();
    let first_port = format!("--first-port={first}");
    let run = paxos_kv(&["dev", "--processes", &first_port, &dir_arg(dir.path())]);
    assert_eq!(run.code, 1, "{run:?}");
    let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error")).collect();
    let expected = ["the port is in use", "node 2 cannot be started: exit status: 1"];
    assert!(
        errors.len() == 2 && errors.iter().zip(expected).all(|(e, x)| e.contains(x)),
        "{run:?}"
    );
}

fn dir_arg(dir: &Path) -> String {
    format!("--data-dir={}", dir.display())
}
