//! Chaos among real processes.

use super::cluster::{Cluster, LOOK};
use super::fault::Kind;
use super::nemesis::{self, Victim};
use super::plan::{Pace, Plan};
use super::report::Report;
use super::strikes::Processes;
use super::tally::Tally;
use super::work::{Work, Working};
use super::{Options, tools, verdict};
use anyhow::{Context, bail};
use paxos_core::rng::mix;
use paxos_kv::{KvClient, KvError};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};

/// How fast faults follow each other: most outlast an election.
const PACE: Pace = Pace { hold_ms: (300, 2200), calm_ms: (400, 1200) };

/// A call may take this long; after that its outcome is unknown. One client in four waits for less
/// than most faults last.
const CALL: Duration = Duration::from_secs(2);
const CALL_SHORT: Duration = Duration::from_millis(300);

/// Clients, each a session, and the calls that each has open at a time.
const CLIENTS: usize = 8;
const PER_CLIENT: u64 = 2;

const SPAN: Duration = Duration::from_secs(10);
const KEYS: u64 = 6;

/// A cluster serves within this time, at its start and after its last fault.
const READY: Duration = Duration::from_secs(60);

/// Runs nodes of `program` and makes faults among them; tells each event. An error says that there
/// was no run.
pub async fn run(
    program: &Path,
    options: &Options,
    tell: impl FnMut(&str),
) -> anyhow::Result<Report> {
    LocalSet::new().run_until(run_local(program, options, tell)).await
}

async fn run_local(
    program: &Path,
    options: &Options,
    mut tell: impl FnMut(&str),
) -> anyhow::Result<Report> {
    let skipped = impossible(options);
    let possible = |kind: &Kind| !skipped.contains_key(kind);
    let kinds: Vec<Kind> = options.kinds.iter().copied().filter(possible).collect();
    options.some(&kinds)?;
    let mut directory = options.new_directory().context("no place for the data")?;
    let small = if kinds.contains(&Kind::FullDisk) { (options.nodes - 1) / 2 } else { 0 };
    let cluster = Cluster::new(program, directory.path(), options.nodes, small).await?;
    let path = directory.path().to_owned();
    let mut victim = Processes { cluster, directory: path, problems: Vec::new() };
    victim.heal().await;
    let clients = connect(&mut victim).await?;

    let tally = Rc::new(RefCell::new(Tally::new()));
    let seed = mix(options.seed);
    let work = Work { seed, per_client: PER_CLIENT, rate: options.rate, span: SPAN, keys: KEYS };
    let mut working = Working::start(work, &clients, tally.clone());
    let began = Instant::now();
    let plan = Plan::new(options.seed, &kinds, PACE);
    let tell = |what: &str| tell(&format!("{:>6.1} s  {what}", began.elapsed().as_secs_f64()));
    let deeds = nemesis::run(&mut victim, plan, began + options.duration, &tally, tell).await;
    working.stop().await;
    tally.borrow_mut().end();

    let (seed, nodes) = (options.seed, options.nodes);
    let seconds = began.elapsed().as_secs_f64();
    let (failures, faults) = (deeds.problems, deeds.fired);
    let mut report =
        Report { seed, nodes, runs: 1, seconds, failures, faults, skipped, ..Report::default() };
    report.events = deeds.events;
    let mut times = BTreeMap::new();
    report.add_tally(&tally.borrow(), &mut times);
    report.close(times, &kinds, &options.bounds);
    let mut healed = settle(&mut victim).await;
    if let (Some(client), Ok(())) = (clients.last(), &healed) {
        healed = working.read_all(client, READY).await;
    }
    report.failures.extend(healed.err());
    report.failures.extend(victim.problems().await);
    let (calls, keys, judged) = verdict::judge(working.history());
    report.judged = (calls, keys);
    report.failures.extend(judged.err());
    if !report.passed() {
        let command = verdict::keep(working.history(), &directory.path().join("history.json"));
        report.judge_again.push(command);
        directory.disable_cleanup(true);
        report.kept = Some(directory.path().to_owned());
    }
    Ok(report)
}

/// What was asked for and cannot be made here, and why.
fn impossible(options: &Options) -> BTreeMap<Kind, String> {
    let mut impossible = BTreeMap::new();
    for &kind in &options.kinds {
        let (least, nodes) = (kind.nodes_min(), options.nodes);
        let reason = match kind {
            Kind::FullDisk if !tools::has_namespace() => {
                Err("this process has no mounts of its own, for a small disk".to_owned())
            }
            Kind::FailedSync => tools::can_trace(),
            kind if !Kind::PROCESSES.contains(&kind) => {
                Err("it is for actors: use --in-process".to_owned())
            }
            _ if nodes < least => Err(format!("it needs {least} nodes, and there are {nodes}")),
            _ => Ok(()),
        };
        if let Err(reason) = reason {
            impossible.insert(kind, reason);
        }
    }
    impossible
}

/// Clients that the cluster serves.
async fn connect(victim: &mut Processes) -> anyhow::Result<Vec<KvClient>> {
    let endpoints = victim.cluster.endpoints();
    let until = Instant::now() + READY;
    let mut clients = Vec::new();
    while clients.len() < CLIENTS {
        // Each prefers another node.
        let mut endpoints = endpoints.clone();
        endpoints.rotate_left(clients.len() % victim.nodes());
        let connected = async {
            let client = KvClient::connect(endpoints).await?.timeout(CALL);
            client.put("ready", "yes").await?;
            Ok::<_, KvError>(match clients.len() % 4 {
                0 => client.timeout(CALL_SHORT),
                _ => client,
            })
        };
        match connected.await {
            Ok(client) => clients.push(client),
            Err(_) if Instant::now() < until => sleep(LOOK).await,
            Err(error) => bail!("the cluster does not serve after {READY:?}: {error}"),
        }
        if let [problem, ..] = &victim.problems().await[..] {
            bail!("{problem}");
        }
    }
    Ok(clients)
}

/// Waits until all nodes have applied the same, and compares their states.
async fn settle(victim: &mut Processes) -> Result<(), String> {
    victim.heal().await;
    let settled = async {
        loop {
            let all = victim.cluster.statuses().await;
            let applied: Vec<_> = all
                .into_iter()
                .map(|node| node.map(|node| (node.applied_below, node.digest)))
                .collect();
            if let Some(verdict) = verdict::equal(&applied) {
                return verdict;
            }
            sleep(LOOK).await;
        }
    };
    let late = |_| format!("the nodes have not applied the same within {READY:?} of the last heal");
    timeout(READY, settled).await.map_err(late)?
}
