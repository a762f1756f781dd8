//! What is measured of rules and actors by themselves is work that was done.

use paxos_bench::local::{actors, bare_core};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn the_bare_core_applies_every_command_at_all_nodes_and_forgets_what_snapshots_cover() {
    for every in [1, 128] {
        let report = bare_core::run(&bare_core::Plan { every, payload: 4096, time: SHORT });
        assert!(report.answered > 1000, "{report}");
        assert_eq!(report.applied, [report.answered; 3]);
        // Two snapshots, each after five mebibytes, and a round more.
        assert!(report.held_max <= 2 * (5 << 20) / 4096 + 1024, "{} are held", report.held_max);
    }
}

#[test]
fn every_client_of_the_actors_is_answered_and_its_writes_are_applied_at_all_nodes() {
    use actors::ClientsOn::{Own, Same};
    for (clients_on, threads) in [(Same, 1), (Same, 2), (Own, 1)] {
        let plan = actors::Plan {
            clients: 600,
            clients_on,
            threads,
            payload: 256,
            warm_up: Duration::ZERO,
            time: SHORT,
        };
        let report = actix_rt::System::new().block_on(actors::run(plan)).unwrap();
        assert_eq!(report.answered.len(), 600);
        assert!(report.answered.iter().all(|&answered| answered > 0), "{report}");
        let answered: u64 = report.answered.iter().sum();
        assert_eq!(report.applied, [answered; 3]);
    }
}
