//! What was found, as values and for people.

use super::judge::Judged;
use super::phases::Overload;
use crate::compare::Machine;
use crate::compare::table::number;
use crate::load;
use serde::Serialize;
use std::fmt;

/// What was found. As JSON it is one line.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// When and where.
    pub machine: Machine,
    /// Requests per second by clients in a closed loop.
    pub peak_per_s: f64,
    /// The loads that followed.
    pub phases: Vec<Phase>,
    /// What must hold.
    pub judged: Vec<Judged>,
    /// Looks at the servers under the steady load.
    pub samples: Vec<Sampled>,
}

/// A load at a fixed rate, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// What was measured.
    pub load: load::Report,
}

/// A look at all servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sampled {
    /// Seconds since the load began.
    pub second: u64,
    /// Requests that succeeded so far.
    pub done: u64,
    /// Requests that failed so far.
    pub errors: u64,
    /// p99 of the last second, in microseconds.
    pub p99_us: Option<u64>,
    /// What each server had.
    pub servers: Vec<Resources>,
}

/// What a server has; none, where it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Memory.
    pub resident_bytes: Option<u64>,
    /// Open files and sockets.
    pub descriptors: Option<u64>,
}

/// What is seen of the steady load.
pub(super) struct Steady {
    pub(super) phase: Phase,
    pub(super) samples: Vec<Sampled>,
    /// p99 of each second.
    pub(super) p99_us: Vec<Option<u64>>,
}

impl Report {
    /// With nothing measured yet.
    pub(super) fn of(machine: Machine) -> Report {
        let (phases, judged, samples) = Default::default();
        Report { machine, peak_per_s: 0.0, phases, judged, samples }
    }

    pub(super) fn take_steady(&mut self, Steady { phase, samples, p99_us }: Steady) {
        let servers = samples.iter().map(|sample| sample.servers.len()).max().unwrap_or(0);
        let looks = |at: usize, of: fn(&Resources) -> Option<u64>| -> Vec<Option<u64>> {
            samples.iter().map(|sample| sample.servers.get(at).and_then(of)).collect()
        };
        // Without a look nothing is known to be level: that is said, too.
        for at in 0..servers.max(1) {
            let memory = looks(at, |server| server.resident_bytes);
            self.judged.push(Judged::memory(at + 1, &memory));
            let descriptors = looks(at, |server| server.descriptors);
            self.judged.push(Judged::descriptors(at + 1, &descriptors));
        }
        let due = phase.load.open_loop.map_or(0, |open| open.due);
        self.judged.push(Judged::errors(phase.load.errors, due));
        self.judged.push(Judged::p99(&p99_us));
        self.phases.push(phase);
        self.samples = samples;
    }

    pub(super) fn take_overload(&mut self, overload: Overload, limit_us: Option<u64>) {
        let Overload { during, after, p99_us } = overload;
        self.judged.push(Judged::goodput(self.peak_per_s, during.load.ops_per_s));
        self.judged.push(Judged::recovery(&p99_us, limit_us));
        self.phases.extend([during, after]);
    }

    /// What does not hold.
    pub fn missed(&self) -> impl Iterator<Item = &Judged> {
        self.judged.iter().filter(|judged| !judged.held)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.machine)?;
        writeln!(f, "peak: {:.0} requests/s\n", self.peak_per_s)?;
        writeln!(
            f,
            "{:<10} {:>10} {:>12} {:>10} {:>10} {:>10} {:>10} {:>10}",
            "load", "due/s", "requests/s", "p50 µs", "p99 µs", "p99.9 µs", "failed", "not sent"
        )?;
        for Phase { name, load } in &self.phases {
            let us = |us: Option<u64>| number(us.map(|us| us as f64));
            let (rate, refused) =
                load.open_loop.map_or((0, 0), |open| (open.rate_per_s, open.refused));
            writeln!(
                f,
                "{name:<10} {rate:>10} {:>12.0} {:>10} {:>10} {:>10} {:>10} {refused:>10}",
                load.ops_per_s,
                us(load.write_us.p50),
                us(load.write_us.p99),
                us(load.write_us.p999),
                load.errors,
            )?;
        }
        writeln!(f, "\n{:<30} {:>12} {:>12} {:>12}", "what must hold", "before", "found", "limit")?;
        for Judged { what, before, found, limit, held } in &self.judged {
            let [before, found, limit] = [before, found, limit].map(|value| number(*value));
            let verdict = if *held { "held" } else { "MISSED" };
            writeln!(f, "{what:<30} {before:>12} {found:>12} {limit:>12}  {verdict}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Sampled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sampled { second, done, errors, p99_us, servers } = self;
        let p99 = number(p99_us.map(|us| us as f64));
        write!(f, "{second:>6} s  {done:>10} done  {errors:>6} failed  p99 {p99:>8} µs")?;
        for Resources { resident_bytes, descriptors } in servers {
            let mib = number(resident_bytes.map(|bytes| (bytes >> 20) as f64));
            write!(f, "  {mib} MiB/{} fd", number(descriptors.map(|count| count as f64)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{OpenLoop, Percentiles};

    fn phase(name: &'static str, ops_per_s: f64) -> Phase {
        let us = Percentiles { p50: Some(100), p99: Some(400), p999: None };
        let none = Percentiles { p50: None, p99: None, p999: None };
        let open_loop = OpenLoop {
            rate_per_s: 700,
            in_flight_max: 10,
            due: 7000,
            sent_late: 0,
            refused: 3,
            outstanding: 0,
        };
        let open_loop = Some(open_loop);
        let load = load::Report { ops_per_s, write_us: us, read_us: none, errors: 3, open_loop };
        Phase { name, load }
    }

    fn steady(resident_bytes: impl Fn(u64) -> u64) -> Steady {
        let look = |second| {
            let bytes = Some(resident_bytes(second));
            let server = Resources { resident_bytes: bytes, descriptors: Some(12) };
            let servers = vec![server; 2];
            Sampled { second, done: 10 * second, errors: 0, p99_us: Some(300), servers }
        };
        let samples = (1..=8).map(look).collect();
        Steady { phase: phase("steady", 700.0), samples, p99_us: vec![Some(300); 8] }
    }

    fn report(resident_bytes: impl Fn(u64) -> u64) -> Report {
        let machine = Machine::made_up();
        let mut report = Report { peak_per_s: 1000.0, ..Report::of(machine) };
        report.take_steady(steady(resident_bytes));
        let (during, after) = (phase("overload", 850.0), phase("after", 700.0));
        let p99_us = vec![Some(500), Some(800), Some(800)];
        report.take_overload(Overload { during, after, p99_us }, Some(800));
        report
    }

    #[test]
    fn memory_of_each_server_is_judged() {
        assert_eq!(report(|_| 1 << 20).missed().count(), 0);
        let grows = report(|second| second << 20);
        let missed: Vec<_> = grows.missed().map(|judged| &*judged.what).collect();
        assert_eq!(missed, ["memory of server 1, B", "memory of server 2, B"]);
    }

    #[test]
    fn the_table_has_every_load_and_all_that_must_hold() {
        let table = report(|second| second << 20).to_string();
        let line = |name: &str| -> Vec<&str> {
            let found = table.lines().find(|line| line.starts_with(name));
            found.unwrap_or_else(|| panic!("{name}: {table}")).split_whitespace().collect()
        };
        let load = ["700", "850", "100", "400", "-", "3", "3"];
        assert_eq!(line("overload")[1..], load, "{table}");
        assert_eq!(line("memory of server 2")[5..], ["3145728", "7340032", "3460301", "MISSED"]);
        assert_eq!(line("requests/s under")[3..], ["1000", "850", "800", "held"]);
        assert_eq!(line("recovery")[2..], ["-", "1", "10", "held"]);
    }

    #[test]
    fn json_has_looks_loads_and_verdicts() {
        let json = serde_json::to_value(report(|_| 1 << 20)).unwrap();
        assert_eq!(json["phases"][1]["load"]["open_loop"]["refused"], 3, "{json}");
        assert_eq!(json["samples"][0]["servers"][1]["descriptors"], 12, "{json}");
        assert!(json["judged"].as_array().unwrap().iter().all(|judged| judged["held"] == true));
    }
}
