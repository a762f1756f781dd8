//! Chaos among actors: a cluster in this process, over mail that is lost, repeated and late.
//!
//! Each node has a thread, a log and snapshots on disks in memory that lose what was not synced
//! when the node is killed. Between any two there is a wire, an actor that stands in the sender's
//! table of mailboxes for the roles of the receiver, as a link does between processes.

mod cluster;
mod stale;
mod strikes;
mod wire;

use self::cluster::Cluster;
use self::stale::StaleReader;
use self::strikes::{Actors, LOOK};
use super::fault::Kind;
use super::nemesis::{self, Victim};
use super::plan::{Pace, Plan};
use super::report::Report;
use super::tally::Tally;
use super::work::{Work, Working};
use super::{Options, verdict};
use anyhow::{Context, anyhow};
use paxos_core::rng::mix;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How fast faults follow each other.
const PACE: Pace = Pace { hold_ms: (50, 700), calm_ms: (100, 400) };

/// Runs at a time.
const RUNS_AT_A_TIME: u64 = 2;

const CALL: Duration = Duration::from_millis(1500);

/// Clients, each a session, and the calls that each has open at a time.
const CLIENTS: usize = 6;
const PER_CLIENT: u64 = 2;

const SPAN: Duration = Duration::from_secs(3);
const KEYS: u64 = 6;

/// All nodes have applied the same within this time of the last heal.
const SETTLED: Duration = Duration::from_secs(30);

/// What one run found, and how long recoveries took.
type Found = anyhow::Result<(Report, BTreeMap<Kind, Vec<u64>>)>;

/// What threads tell the one that started them.
enum News {
    Said(String),
    Ended(Box<Found>),
}

/// Makes so many runs, the first with the seed of the options and each other with the next number,
/// some at a time; tells each event. An error says that there was no run.
pub fn run(options: &Options, runs: u64, mut tell: impl FnMut(&str)) -> anyhow::Result<Report> {
    let kept = options.new_directory().context("no place for histories")?;
    let (news, told) = mpsc::channel();
    let mut report = Report { seed: options.seed, nodes: options.nodes, ..Report::default() };
    let mut times = BTreeMap::new();
    report.skipped = impossible(options);
    let possible = |kind: &Kind| !report.skipped.contains_key(kind);
    let kinds: Vec<Kind> = options.kinds.iter().copied().filter(possible).collect();
    options.some(&kinds)?;
    let mut next = 0;
    let mut start = || {
        if next < runs {
            let seed = options.seed.wrapping_add(next);
            next += 1;
            let options = Options { seed, kinds: kinds.clone(), ..options.clone() };
            let (news, path) = (news.clone(), kept.path().to_owned());
            std::thread::spawn(move || {
                let tell = |what: String| drop(news.send(News::Said(what)));
                let run = || actix_rt::System::new().block_on(one(&options, &path, tell));
                // Its hook has said what the panic was.
                let found = catch_unwind(AssertUnwindSafe(run))
                    .unwrap_or_else(|_| Err(anyhow!("the run of seed {seed} panicked")));
                // Whoever started this waits for it.
                let _ = news.send(News::Ended(Box::new(found)));
            });
        }
    };
    (0..RUNS_AT_A_TIME).for_each(|_| start());
    while report.runs < runs {
        // This side has a sender too, so there is always one.
        match told.recv()? {
            News::Said(what) => tell(&what),
            News::Ended(found) => {
                let (one, measured) = (*found)?;
                add(&mut report, one);
                for (kind, measured) in measured {
                    times.entry(kind).or_insert_with(Vec::new).extend(measured);
                }
                start();
            }
        }
    }
    report.close(times, &kinds, &options.bounds);
    if !report.passed() {
        report.kept = Some(kept.keep());
    }
    Ok(report)
}

/// What was asked for and cannot be made here, and why.
fn impossible(options: &Options) -> BTreeMap<Kind, String> {
    let reason = |kind: Kind| {
        if !Kind::ACTORS.contains(&kind) {
            return Some("it is for processes: leave --in-process out".to_owned());
        }
        let (least, nodes) = (kind.nodes_min(), options.nodes);
        (nodes < least).then(|| format!("it needs {least} nodes, and there are {nodes}"))
    };
    options.kinds.iter().filter_map(|&kind| Some((kind, reason(kind)?))).collect()
}

/// Adds a run to those before it.
fn add(report: &mut Report, one: Report) {
    report.runs += 1;
    report.seconds += one.seconds;
    report.events += one.events;
    report.gap_max_ms = report.gap_max_ms.max(one.gap_max_ms);
    report.judged = (report.judged.0 + one.judged.0, report.judged.1 + one.judged.1);
    for (kind, count) in one.faults {
        *report.faults.entry(kind).or_default() += count;
    }
    for (name, counts) in one.calls {
        report.calls.entry(name).or_default().add(counts);
    }
    let named = |failure| format!("seed {}: {failure}", one.seed);
    report.failures.extend(one.failures.into_iter().map(named));
    report.judge_again.extend(one.judge_again);
}

/// One run, on an arbiter of its own.
async fn one(options: &Options, kept: &Path, tell: impl Fn(String)) -> Found {
    let seed = options.seed;
    let cluster = Cluster::start(seed, options.nodes, CLIENTS).await?;
    let clients = cluster.handles(CALL);
    let views: Vec<_> =
        (0..options.nodes).filter_map(|at| Some(cluster.node(at)?.view())).collect();
    let mut victim = Actors { cluster, problems: Vec::new(), burdens: Vec::new() };
    let tally = Rc::new(RefCell::new(Tally::new()));
    let work = Work {
        seed: mix(seed),
        per_client: PER_CLIENT,
        rate: options.rate,
        span: SPAN,
        keys: KEYS,
    };
    let mut working = match options.reads_stale {
        false => Working::start(work, &clients, tally.clone()),
        true => {
            let stale = clients.iter().cloned().zip(views);
            let stale: Vec<_> = stale.map(|(client, view)| StaleReader { client, view }).collect();
            Working::start(work, &stale, tally.clone())
        }
    };
    let began = Instant::now();
    let plan = Plan::new(seed, &options.kinds, PACE);
    let said = |what: &str| {
        tell(format!("seed {seed} {:>6.1} s  {what}", began.elapsed().as_secs_f64()));
    };
    let deeds = nemesis::run(&mut victim, plan, began + options.duration, &tally, said).await;
    working.stop().await;
    tally.borrow_mut().end();

    let (seconds, nodes, events) = (began.elapsed().as_secs_f64(), options.nodes, deeds.events);
    let (failures, faults) = (deeds.problems, deeds.fired);
    let mut report =
        Report { seed, nodes, runs: 1, seconds, events, failures, faults, ..Report::default() };
    let mut times = BTreeMap::new();
    report.add_tally(&tally.borrow(), &mut times);
    let mut healed = settle(&mut victim).await;
    if let (Some(client), Ok(())) = (clients.first(), &healed) {
        healed = working.read_all(client, SETTLED).await;
    }
    report.failures.extend(healed.err());
    report.failures.extend(victim.problems().await);
    let (calls, keys, judged) = verdict::judge(working.history());
    report.judged = (calls, keys);
    report.failures.extend(judged.err());
    if !report.passed() {
        let file = kept.join(format!("history-{seed}.json"));
        report.judge_again.push(verdict::keep(working.history(), &file));
    }
    victim.cluster.end().await;
    Ok((report, times))
}

/// Waits until all nodes have applied the same, and compares their states.
async fn settle(victim: &mut Actors) -> Result<(), String> {
    victim.heal().await;
    let settled = async {
        loop {
            let mut applied = Vec::new();
            for at in 0..victim.nodes() {
                let Some(node) = victim.cluster.node(at) else { continue };
                let learner = node.status().await.learner;
                applied.push(learner.map(|l| (l.applied_below.0, format!("{:016x}", l.digest))));
            }
            applied.resize(victim.nodes(), None);
            if let Some(verdict) = verdict::equal(&applied) {
                return verdict;
            }
            sleep(LOOK).await;
        }
    };
    let late =
        |_| format!("the nodes have not applied the same within {SETTLED:?} of the last heal");
    timeout(SETTLED, settled).await.map_err(late)?
}
