//! `paxos-bench sim --planted`: does the simulation find bugs that are there on purpose?

use super::Arguments;
use std::process::ExitCode;

/// In a build without bugs: builds one that has them, and lets that one look.
#[cfg(not(paxos_planted))]
pub fn run(which: &str, threads: u64, asked: &Arguments) -> anyhow::Result<ExitCode> {
    use anyhow::{Context, bail};
    use std::path::Path;
    use std::process::Command;

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !root.join("Cargo.toml").is_file() {
        bail!("the sources that this was built from are not at {} any more", root.display());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let threads = threads.to_string();
    let status = Command::new(cargo)
        .args(["run", "--quiet", "-p", "paxos-bench", "--bin", "paxos-bench", "--"])
        .args(["sim", "--planted", which, "--threads", &threads])
        .args(asked.seed.map(|seed| format!("--seed={seed}")))
        .args(asked.trace.then_some("--trace"))
        .env("RUSTFLAGS", "--cfg paxos_planted")
        .env("CARGO_TARGET_DIR", root.join("target/planted"))
        .env("RUST_BACKTRACE", "0")
        .current_dir(root)
        .status()
        .context("cannot run cargo, which builds the bugs")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// In a build with bugs: looks for one after the other, and prints a table.
#[cfg(paxos_planted)]
pub fn run(which: &str, threads: u64, asked: &Arguments) -> anyhow::Result<ExitCode> {
    use crate::cli::print;
    use anyhow::{Context, bail, ensure};
    use paxos_bench::sim::planted::hunt;
    use paxos_core::planted::{Planted, plant};
    use std::time::Instant;

    let bugs: Vec<Planted> = match which {
        "all" => {
            let is_shown = |bug: &Planted| !Planted::RARE.contains(bug);
            Planted::RULES.into_iter().filter(is_shown).collect()
        }
        number => {
            let number: u32 = number.parse().context("give `all`, or the number of a bug")?;
            Planted::RULES.into_iter().filter(|&bug| bug as u32 == number).collect()
        }
    };
    ensure!(
        !bugs.is_empty(),
        "there is no bug {which} that clusters could show: see paxos-core/src/planted.rs, and the \
         tests of planted bugs, which find those of the disk"
    );
    ensure!(asked.seed.is_none() || bugs.len() == 1, "give the number of one bug beside --seed");
    if let Some(seed) = asked.seed {
        plant(bugs.first().copied());
        return super::one(seed, asked.trace);
    }
    // What a violation says is printed in the table.
    std::panic::set_hook(Box::new(|_| {}));
    print(format_args!("{:>3} {:<24} {:>6} {:>5}  found by", "no.", "bug", "seeds", "s"))?;
    let mut missed = 0;
    for bug in bugs {
        let begin = Instant::now();
        let violation = hunt(bug, threads);
        let (seeds, what) = match &violation {
            Some(found) => ((found.seed + 1).to_string(), first_line(&found.what)),
            None => ("-".to_owned(), "nothing".to_owned()),
        };
        missed += u64::from(violation.is_none());
        let seconds = begin.elapsed().as_secs();
        let (number, name) = (bug as u32, format!("{bug:?}"));
        print(format_args!("{number:>3} {name:<24} {seeds:>6} {seconds:>5}  {what}"))?;
        if let (Some(found), false) = (&violation, which == "all") {
            print(format_args!("{found}"))?;
        }
    }
    if missed > 0 {
        bail!("{missed} bugs are not found");
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(paxos_planted)]
fn first_line(what: &str) -> String {
    what.lines().next().unwrap_or_default().chars().take(100).collect()
}
