//! What a command costs in counts, which do not depend on how busy the machine is. Each limit is a
//! tenth or so above what was counted when it was set; who makes a path cheaper lowers its limit,
//! and who must make it dearer says why.

use crate::cluster::Cluster;
use paxos_bench::local::hot::Hot;
use paxos_kv::wire::Counters;
use std::process::Command;

/// What one command may cost on a path, in the profile that tests are built in.
struct Limit {
    name: &'static str,
    /// None: it reads the clock, in a way that valgrind cannot follow.
    instructions: Option<f64>,
    allocations: f64,
}

const LIMITS: [Limit; 5] = [
    Limit { name: "rules-1", instructions: Some(12_500.0), allocations: 2.2 },
    Limit { name: "rules-128", instructions: Some(1410.0), allocations: 0.03 },
    Limit { name: "frames", instructions: Some(2550.0), allocations: 1.25 },
    Limit { name: "log", instructions: None, allocations: 0.15 },
    // A value stands in its page, and is copied out when another takes its place: one allocation
    // for each change, instead of two for as long as a key is there.
    Limit { name: "store", instructions: Some(4200.0), allocations: 2.5 },
];

/// Commands of the shorter of two runs; the longer has twice as many, and what both have in common,
/// such as the start of a cluster, cancels out.
const COMMANDS: u64 = 2048;

#[test]
fn allocations_for_each_command_stay_few() {
    let counted = |path: Hot, commands| {
        let counts = allocation_counter::measure(|| path.run(commands).unwrap());
        counts.count_total as f64
    };
    check(
        "allocations",
        |limit| Some(limit.allocations),
        |name| {
            let path = path(name);
            (counted(path, 2 * COMMANDS) - counted(path, COMMANDS)) / COMMANDS as f64
        },
    );
}

#[test]
fn instructions_for_each_command_stay_few() {
    let valgrind = || {
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
        valgrind
    };
    if valgrind().arg("--version").output().is_err() {
        eprintln!("SKIPPED: instructions are not counted: valgrind is not installed here");
        return;
    }
    let counted = |name: &str, commands: u64| {
        let mut run = valgrind();
        run.arg(env!("CARGO_BIN_EXE_paxos-bench")).args(["local", "hot", name]);
        let output = run.args(["--commands", &commands.to_string()]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let collected = said.lines().find_map(|line| line.split_once("Collected : "));
        let (_, count) = collected.unwrap_or_else(|| panic!("no count: {said}"));
        count.trim().parse::<f64>().unwrap()
    };
    check(
        "instructions",
        |limit| limit.instructions,
        |name| (counted(name, 2 * COMMANDS) - counted(name, COMMANDS)) / COMMANDS as f64,
    );
}

/// One writer at a time: each acceptor syncs once for each command at most, and a quorum of them
/// does so. A third one that is behind syncs for several at once.
#[tokio::test]
async fn one_write_costs_one_sync_at_each_node() {
    let cost = cost_of(1, 200).await;
    println!("one writer: {cost:?}");
    assert!((2.0 / 3.0..1.1).contains(&cost.syncs), "{cost:?}");
}

/// Many writers share entries, syncs and writes to sockets.
#[tokio::test]
async fn many_writes_share_what_they_cost() {
    let cost = cost_of(64, 100).await;
    println!("64 writers: {cost:?}");
    assert!(cost.syncs < 0.4 && cost.writes < 2.0, "{cost:?}");
}

/// For each command.
#[derive(Debug)]
struct Cost {
    /// Syncs of one node, on average.
    syncs: f64,
    /// Writes to sockets, of all nodes together, to peers and clients.
    writes: f64,
}

/// So many writers that each write so often, at once.
async fn cost_of(writers: u64, writes: u64) -> Cost {
    let cluster = Cluster::start().await;
    let client = cluster.client().await;
    client.put("first", "value").await.unwrap();
    let before = totals(&cluster).await;
    let mut running = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let client = client.clone();
        running.spawn(async move {
            for write in 0..writes {
                client.put(format!("key-{writer}-{write}"), "value").await.unwrap();
            }
        });
    }
    running.join_all().await;
    let after = totals(&cluster).await;
    let per_command = |count: u64| count as f64 / (writers * writes) as f64;
    let nodes = cluster.nodes.len() as f64;
    Cost { syncs: per_command(after.0 - before.0) / nodes, writes: per_command(after.1 - before.1) }
}

/// Syncs and writes to sockets of all nodes since they were started.
async fn totals(cluster: &Cluster) -> (u64, u64) {
    let statuses = cluster.statuses().await.into_iter();
    let counters: Vec<_> = statuses.map(|status| status.unwrap().counters).collect();
    let syncs = counters.iter().map(|counters| counters.fsyncs).sum();
    let writes = |counters: &Counters| counters.links["writes_out"] + counters.clients["writes"];
    (syncs, counters.iter().map(writes).sum())
}

fn path(name: &str) -> Hot {
    Hot::ALL.into_iter().find(|(known, _)| *known == name).unwrap().1
}

/// Every path is below its limit, and not so far below that the limit says nothing.
fn check(what: &str, limit: fn(&Limit) -> Option<f64>, counted: impl Fn(&str) -> f64) {
    let mut wrong = Vec::new();
    assert_eq!(LIMITS.len(), Hot::ALL.len());
    for line in &LIMITS {
        let Some(limit) = limit(line) else { continue };
        let found = counted(line.name);
        println!("{:<10} {found:>10.2} {what} a command; at most {limit}", line.name);
        if found > limit || found < limit / 2.0 {
            wrong.push(format!("{}: {found:.2} {what} a command, and {limit} are set", line.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
