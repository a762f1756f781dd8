//! `paxos-bench sim`: whole clusters in virtual time.

mod planted;

use super::{print, tell};
use anyhow::{bail, ensure};
use paxos_bench::sim::{self, Campaign};
use std::io::{self, IsTerminal, Write};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What to simulate.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// These seeds, one after the other: `FROM..BELOW`.
    #[arg(long, value_parser = parse_seeds, default_value = "0..2000")]
    seeds: Range<u64>,
    /// One seed only.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Print all that happens in that seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// So many seeds at a time; by default, as many as there are processors.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: Option<u64>,
    /// Fail where a kind of fault struck less often in all.
    #[arg(long, default_value_t = 0, conflicts_with_all = ["seed", "planted", "calm"])]
    faults_min: u64,
    /// Look for bugs that are planted on purpose: `all`, or the number of one; with `--seed`, in
    /// that seed only. Builds anew, with the bugs, into a directory of its own below `target`.
    #[arg(long, conflicts_with = "seeds")]
    planted: Option<String>,
    /// Measure instead how fast a cluster of three without faults is.
    #[arg(long, conflicts_with_all = ["seeds", "seed", "planted", "threads"])]
    calm: bool,
}

/// Exit code 0: nothing was violated; 1: something was.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.calm {
        return calm();
    }
    let threads = arguments.threads.unwrap_or_else(processors);
    if let Some(which) = &arguments.planted {
        return planted::run(which, threads, arguments);
    }
    if let Some(seed) = arguments.seed {
        return one(seed, arguments.trace);
    }
    let begin = Instant::now();
    let campaign = many(arguments.seeds.clone(), threads);
    let seconds = begin.elapsed().as_secs_f64();
    let virtual_s = campaign.runs.iter().map(|run| run.virtual_us).sum::<u64>() / 1_000_000;
    let speed = virtual_s as f64 / seconds / threads as f64;
    // What is violated is told even where this cannot be.
    let printed = print(format_args!(
        "{campaign}{seconds:.0} s on {threads} threads: {speed:.0} times as fast as real time on \
         each"
    ));
    for violation in campaign.violations.iter().take(10) {
        tell(violation);
    }
    if !campaign.violations.is_empty() {
        bail!("{} seeds fail", campaign.violations.len());
    }
    if let Err(slow) = campaign.is_lively() {
        bail!("{slow}");
    }
    for (kind, count) in campaign.faults() {
        let least = arguments.faults_min;
        ensure!(
            count >= least,
            "{kind:?} struck {count} times, and not {least}: run more seeds, or ask for less"
        );
    }
    printed?;
    Ok(ExitCode::SUCCESS)
}

fn one(seed: u64, traced: bool) -> anyhow::Result<ExitCode> {
    let result = match traced {
        true => {
            let (trace, result) = sim::trace(seed);
            print(trace)?;
            result
        }
        false => sim::run(seed),
    };
    match result {
        // A trace tells it all, and is the same each time.
        Ok(_) if traced => {}
        Ok(report) => print(format_args!("{report:#?}"))?,
        Err(violation) => bail!("{violation}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn calm() -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let report = match sim::calm(3) {
        Ok(report) => report,
        Err(violation) => bail!("{violation}"),
    };
    let virtual_s = report.virtual_us as f64 / 1e6;
    print(format_args!(
        "{:.0} calls a second of virtual time, {:.0} times as fast as real time",
        report.done as f64 / virtual_s,
        virtual_s / begin.elapsed().as_secs_f64()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs these seeds on so many threads, and says how far it has come.
fn many(seeds: Range<u64>, threads: u64) -> Campaign {
    let all = seeds.end - seeds.start;
    let seeds = Mutex::new(seeds);
    let campaign = Mutex::new(Campaign::default());
    let is_shown = io::stderr().is_terminal();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let next = || seeds.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(seed) = next() {
                    let result = sim::run(seed);
                    let mut campaign = campaign.lock().unwrap_or_else(PoisonError::into_inner);
                    campaign.add(result);
                    if is_shown {
                        show(&campaign, all);
                    }
                }
            });
        }
    });
    if is_shown {
        tell("");
    }
    let mut campaign = campaign.into_inner().unwrap_or_else(PoisonError::into_inner);
    campaign.runs.sort_by_key(|run| run.seed);
    campaign.violations.sort_by_key(|violation| violation.seed);
    campaign
}

fn show(campaign: &Campaign, all: u64) {
    const WIDTH: u64 = 40;
    let done = (campaign.runs.len() + campaign.violations.len()) as u64;
    let full = (done * WIDTH / all.max(1)) as usize;
    let bar = "#".repeat(full) + &" ".repeat(WIDTH as usize - full);
    let failed = campaign.violations.len();
    let _ = write!(io::stderr(), "\r[{bar}] {done} of {all} seeds, {failed} fail");
}

fn processors() -> u64 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u64)
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let seeds = text
        .split_once("..")
        .and_then(|(from, below)| Some(from.parse::<u64>().ok()?..below.parse::<u64>().ok()?));
    match seeds {
        Some(seeds) if !seeds.is_empty() => Ok(seeds),
        _ => Err("give a range of seeds that is not empty, like 0..2000".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use paxos_bench::sim::{Violation, Which};

    /// What a violation prints, as the command reads it.
    fn pasted(run: Which) -> Arguments {
        let said = Violation { seed: 8, what: "it is wrong\n".to_owned(), run }.to_string();
        let line = said.lines().last().expect("a line").to_owned();
        let line = line.strip_prefix("see it again: ").expect("a command");
        let words = line.strip_prefix("cargo run -p ").expect("cargo").replace(" -- ", " ");
        match crate::Arguments::try_parse_from(words.split(' ')).expect("it can be pasted").command
        {
            crate::Command::Sim(arguments) => arguments,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_last_seeds_of_all_are_run_once() {
        let campaign = many(u64::MAX - 3..u64::MAX, 2);
        let seeds: Vec<u64> = campaign.runs.iter().map(|run| run.seed).collect();
        assert_eq!(seeds, [u64::MAX - 3, u64::MAX - 2, u64::MAX - 1]);
    }

    #[test]
    fn a_violation_prints_the_command_that_shows_it_again() {
        let drawn = pasted(Which::Drawn);
        assert_eq!(
            (drawn.seed, drawn.trace, drawn.planted, drawn.calm),
            (Some(8), true, None, false)
        );
        let planted = pasted(Which::Planted(17));
        assert_eq!((planted.seed, planted.trace), (Some(8), true));
        assert_eq!(planted.planted.as_deref(), Some("17"));
        assert!(pasted(Which::Calm).calm);
    }
}
