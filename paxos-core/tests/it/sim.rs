//! Whole clusters of core roles in virtual time, where one seed decides everything: sizes, timings,
//! clocks, the workload, and what the network, the disks and the processes do wrong.
//!
//! `SEED=7 TRACE=1 cargo test -p paxos-core --test it sim::one -- --nocapture` replays seed 7.

mod disk;
mod faults;
mod history;
mod machine;
mod network;
mod node;
mod observer;
#[cfg(paxos_planted)]
mod planted;
mod shelf;
mod world;

use faults::FaultKind;
use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use world::{Report, World};

const SEEDS: u64 = 1000;
const THREADS: u64 = 2;

/// Runs one seed; gives its report, or what it violated and how to see it again.
fn run(seed: u64) -> Result<Report, String> {
    let said = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
        let replay = format!(
            "SEED={seed} TRACE=1 cargo test -p paxos-core --test it sim::one -- --nocapture"
        );
        format!("seed {seed}: {}\nreplay it: {replay}", text.unwrap_or_default())
    };
    catch_unwind(AssertUnwindSafe(|| World::new(seed, false).run())).map_err(said)
}

#[test]
fn a_thousand_seeds_violate_nothing() {
    let workers = (0..THREADS).map(|worker| {
        thread::spawn(move || {
            (0..SEEDS).filter(|seed| seed % THREADS == worker).map(run).collect::<Vec<_>>()
        })
    });
    let workers: Vec<_> = workers.collect();
    let results = workers.into_iter().flat_map(|worker| worker.join().expect("a worker ends"));
    let (mut faults, mut failures) = (BTreeMap::new(), Vec::new());
    let (mut commands, mut unknown, mut virtual_ms) = (0, 0, 0);
    let (mut installed, mut rotten, mut trimmed) = (0, 0, 0);
    for result in results {
        match result {
            Ok(report) => {
                assert!(report.commands >= 200, "seed {}: {report:?}", report.seed);
                assert!(report.faults.values().sum::<u64>() >= 20, "{report:?}");
                commands += report.commands;
                unknown += report.unknown;
                virtual_ms += report.virtual_ms;
                installed += report.installed;
                rotten += report.rotten;
                trimmed += u64::from(report.trimmed > 0);
                for (kind, count) in report.faults {
                    *faults.entry(kind).or_insert(0) += count;
                }
            }
            Err(failure) => failures.push(failure),
        }
    }
    println!("{commands} commands ({unknown} of unknown outcome) in {virtual_ms} ms: {faults:?}");
    println!(
        "{installed} snapshots came from peers ({rotten} rotted); {trimmed} runs trimmed logs"
    );
    assert!(failures.is_empty(), "{} seeds fail:\n{}", failures.len(), failures.join("\n"));
    for kind in FaultKind::ALL {
        assert!(faults.get(&kind).is_some_and(|&count| count >= 100), "{kind:?} hardly fires");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 57, 911] {
        let trace = || {
            let mut world = World::new(seed, true);
            world.run();
            world.trace()
        };
        let first = trace();
        assert!(first.len() > 10_000, "a trace tells what happened");
        assert!(first == trace(), "seed {seed} is not deterministic");
    }
}

/// One seed, named by the environment.
#[test]
fn one() {
    let read = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = read("SEED").unwrap_or(0);
    let mut world = World::new(seed, read("TRACE").is_some());
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    print!("{}", world.trace());
    println!("{:#?}", result.expect("the seed violates nothing"));
}
