//! One Redis, not replicated, which syncs its file before it answers, under its own load generator.

use super::cluster::per_op;
use super::figure::{Figure, Sample};
use super::processes::{Processes, free_addresses};
use super::row::Sockets;
use super::{CompareError, usage};
use crate::load::{Drive, Load};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub(super) const NAME: &str = "redis";

/// Requests by which the rate is guessed, and everything is warmed up.
const TRIAL: u64 = 20_000;

/// A server that is asked whether it serves has so long to answer.
const PING_WITHIN: Duration = Duration::from_secs(1);

/// What is installed of it.
#[derive(Clone, Debug)]
pub struct Redis {
    /// `redis-server`.
    pub server: PathBuf,
    /// `redis-benchmark`.
    pub benchmark: PathBuf,
}

/// Measures a fresh server under writes in a closed loop.
pub(super) async fn under_load(
    redis: &Redis,
    load: Option<(Load, Sockets)>,
    directory: &Path,
) -> Result<Sample, CompareError> {
    let Some((load, _)) = load else { return Err(CompareError::Nothing(NAME)) };
    let mut processes = Processes::new(NAME, directory)?;
    let address = free_addresses(1)?[0];
    processes.start(server(&redis.server, address, &processes.data_dir(0))?)?;
    processes.until_ready(async || ping(address)).await?;
    let rate = benchmark(redis, address, &load, TRIAL)?.ops_per_s;
    let requests = ((rate * load.duration.as_secs_f64()) as u64).max(TRIAL);
    let pids = processes.pids();
    let begin = usage::cpu(&pids);
    let measured = benchmark(redis, address, &load, requests)?;
    let cpu = begin.zip(usage::cpu(&pids)).map(|(begin, end)| end.saturating_sub(begin));
    Ok(Sample::default()
        .with(Figure::OpsPerS, measured.ops_per_s)
        .with(Figure::P50Us, measured.p50_us)
        .with(Figure::P99Us, measured.p99_us)
        .with(Figure::CpuUsPerOp, cpu.and_then(|cpu| per_op(cpu, requests))))
}

fn server(binary: &Path, address: SocketAddr, data_dir: &Path) -> Result<Command, CompareError> {
    std::fs::create_dir(data_dir).map_err(CompareError::Prepare)?;
    let mut command = Command::new(binary);
    command.args(["--bind", &address.ip().to_string(), "--port", &address.port().to_string()]);
    command.args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
    command.arg("--dir").arg(data_dir);
    Ok(command)
}

fn ping(address: SocketAddr) -> Result<(), String> {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PING_WITHIN))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    match ask() {
        Ok(answer) if &answer == b"+PONG\r\n" => Ok(()),
        Ok(answer) => Err(format!("it says {:?}", String::from_utf8_lossy(&answer))),
        Err(error) => Err(error.to_string()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Measured {
    ops_per_s: f64,
    p50_us: f64,
    p99_us: f64,
}

/// So many requests, by its own load generator. Nothing else goes on meanwhile: it is waited for.
fn benchmark(
    Redis { benchmark, .. }: &Redis,
    address: SocketAddr,
    load: &Load,
    requests: u64,
) -> Result<Measured, CompareError> {
    let Drive::Closed { clients } = load.drive else {
        return Err(CompareError::Unreadable(NAME, "it knows no open loop".into()));
    };
    let arguments = [
        ("-h", address.ip().to_string()),
        ("-p", address.port().to_string()),
        ("-t", "set".into()),
        ("-d", load.value_bytes.to_string()),
        ("-r", load.keys.to_string()),
        ("-c", clients.to_string()),
        ("-n", requests.to_string()),
    ];
    let mut command = Command::new(benchmark);
    command.arg("--csv").args(arguments.iter().flat_map(|(flag, value)| [*flag, value]));
    let failed = |source| CompareError::Start { binary: benchmark.clone(), source };
    let output = command.output().map_err(failed)?;
    let said = String::from_utf8_lossy(&output.stdout);
    parse(&said).ok_or_else(|| CompareError::Unreadable(NAME, said.into_owned()))
}

/// Reads what `redis-benchmark --csv` prints.
fn parse(csv: &str) -> Option<Measured> {
    let fields = |line: &str| -> Vec<String> {
        line.split(',').map(|field| field.trim().trim_matches('"').to_owned()).collect()
    };
    let mut lines = csv.lines().map(fields);
    let header = lines.find(|fields| fields.first().is_some_and(|first| first == "test"))?;
    let values = lines.find(|fields| fields.first().is_some_and(|first| first == "SET"))?;
    let value = |name: &str| -> Option<f64> {
        let at = header.iter().position(|field| field == name)?;
        values.get(at)?.parse().ok()
    };
    Some(Measured {
        ops_per_s: value("rps")?,
        p50_us: value("p50_latency_ms")? * 1000.0,
        p99_us: value("p99_latency_ms")? * 1000.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_by_the_names_of_their_columns() {
        let csv = "WARNING: something\n\
            \"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
            \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n\
            \"SET\",\"14652.01\",\"4.111\",\"0.320\",\"1.823\",\"14.863\",\"21.167\",\"51.135\"\n";
        let expected = Measured { ops_per_s: 14_652.01, p50_us: 1823.0, p99_us: 21_167.0 };
        assert_eq!(parse(csv), Some(expected));
    }

    #[test]
    fn what_older_versions_print_is_not_taken_for_a_figure() {
        assert_eq!(parse("\"SET\",\"14652.01\"\n"), None);
        assert_eq!(parse("Could not connect to Redis at 127.0.0.1:1: Connection refused\n"), None);
    }
}
