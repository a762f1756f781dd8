//! A model check: everything that can happen in a small cluster of the real roles, within bounds.
//!
//! What is checked is the code of the crate, [`paxos_core::Acceptor`] behind its
//! [`paxos_core::Gate`], [`paxos_core::Proposer`] and [`paxos_core::Learner`], and not a model of
//! it. One decree is the log of these roles with room for one slot, and not `paxos_core::synod`:
//! what is in use is what should be shown to be right, and the roles do for one slot all that a
//! synod does, and more. `stateright` goes through the states.
//!
//! What can happen, in any order:
//!
//! - Any letter that was ever sent arrives, any number of times, or never. So mail is lost,
//!   repeated, late and out of order without limit. A letter that its addressee can make nothing of
//!   any more (a promise to a ballot for which it does not ask now) is left out.
//! - What an acceptor's log was given becomes durable, and the gate lets go of the mail.
//! - An acceptor crashes, and starts from what is durable. A proposer restarts in another life.
//! - A proposer times out. Time is nothing but this: a clock jumps further than any role has
//!   patience, so how long that is, and the random number that it came from, make no difference and
//!   are no part of a state. Two acceptors consent to the campaign at once; they answer the poll
//!   from what is durable, as if they had been asked before they heard of anything later.
//! - Where bounds say so: heartbeats, and questions for what was missed.
//!
//! Cut out, since it shows nothing new: a proposer that hears what nobody can see that it heard
//! hears it together with the letter on which it acts (`is_stepwise` turns that off); records of an
//! acceptor that will not crash are durable at once, since late mail is the same. Not covered:
//! formation of the cluster, snapshots and trimming, reads, sessions, liveness.
//!
//! ```text
//! cargo test -p paxos-core --test model -- --nocapture
//! MODEL=large MODEL_S=600 cargo test -p paxos-core --test model campaign -- --nocapture
//! RUSTFLAGS="--cfg paxos_planted" CARGO_TARGET_DIR=target/planted \
//!     cargo test -p paxos-core --test model -- --nocapture
//! ```
//!
//! A new property is a [`facts::Finding`], a line in `facts.rs` that notes it, and one in
//! `cluster.rs` that says whether it may never be found, or must be.

// With bugs planted only these are searched for, within few of the bounds.
#![cfg_attr(paxos_planted, allow(dead_code))]

mod bounds;
mod cluster;
mod facts;
mod letter;
mod machines;
#[cfg(paxos_planted)]
mod planted;
mod tables;
mod text;

use cluster::Cluster;
use stateright::{Model, Path};
#[cfg(not(paxos_planted))]
use {
    bounds::Bounds,
    stateright::Checker,
    std::time::{Duration, Instant},
};

/// Cores that a search may use.
const THREADS: usize = 2;

/// Goes through all states within the bounds, prints how many there are, and holds them to the
/// properties.
#[cfg(not(paxos_planted))]
fn exhaust(bounds: Bounds) -> usize {
    search(bounds, Duration::MAX)
}

/// Goes through states within the bounds for so long.
#[cfg(not(paxos_planted))]
fn search(bounds: Bounds, limit: Duration) -> usize {
    let begin = Instant::now();
    let checker = Cluster::new(bounds).checker().threads(THREADS);
    let checker = if limit < Duration::MAX { checker.timeout(limit) } else { checker };
    let checker = checker.spawn_dfs().join();
    let (unique, seconds) = (checker.unique_state_count(), begin.elapsed().as_secs());
    let is_exhausted = begin.elapsed() < limit;
    let how = if is_exhausted { "exhausted" } else { "until the time was up" };
    let (states, letters, steps) = checker.model().tables.sizes();
    println!("{}: {bounds}", bounds.name);
    println!(
        "  {how}: {unique} unique states by {} transitions, up to {} deep, in {seconds} s; \
         {states} states of roles, {letters} letters, {steps} steps of roles",
        checker.state_count(),
        checker.max_depth(),
    );
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        // What must be seen may lie in what was not searched.
        let is_judged = is_exhausted || found.is_some();
        if is_judged && found.is_some() == property.expectation.discovery_is_failure() {
            let path = found.map_or("  it is not seen".into(), |path| told(checker.model(), path));
            panic!("{}: {}\n{path}", bounds.name, property.name);
        }
    }
    unique
}

/// A way to a state, one line for each step.
fn told(cluster: &Cluster, path: Path<cluster::State, cluster::Action>) -> String {
    let steps = path.into_actions().into_iter().enumerate();
    let lines =
        steps.map(|(at, step)| format!("  {:2} {}\n", at + 1, cluster.format_action(&step)));
    lines.collect()
}

/// The number of states is asserted: it changes only with the rules, or with the model.
#[cfg(not(paxos_planted))]
mod within {
    use super::{bounds, exhaust, search};
    use std::time::Duration;

    #[test]
    fn one_decree_of_three_proposers() {
        assert_eq!(exhaust(bounds::ONE_DECREE), 254_814);
    }

    #[test]
    fn one_decree_and_crashes() {
        assert_eq!(exhaust(bounds::ONE_DECREE_CRASHES), 91_446);
    }

    #[test]
    fn two_slots() {
        assert_eq!(exhaust(bounds::TWO_SLOTS), 1_517_476);
    }

    #[test]
    fn two_slots_and_a_crash() {
        assert_eq!(exhaust(bounds::TWO_SLOTS_A_CRASH), 969_932);
    }

    #[test]
    fn two_slots_and_a_learner() {
        assert_eq!(exhaust(bounds::LEARNERS), 561_037);
    }

    #[test]
    fn heartbeats_and_fetching() {
        assert_eq!(exhaust(bounds::HEARTBEATS), 665_609);
    }

    /// With `MODEL=large`, much larger bounds: for hours, or at most `MODEL_S` seconds for each.
    #[test]
    fn campaign() {
        if std::env::var("MODEL").is_ok_and(|model| model == "large") {
            let limit = std::env::var("MODEL_S").map_or(Duration::MAX, |seconds| {
                Duration::from_secs(seconds.parse().expect("MODEL_S is a number of seconds"))
            });
            let unique: usize = bounds::LARGE.into_iter().map(|b| search(b, limit)).sum();
            println!("{unique} unique states in all");
        } else {
            assert_eq!(exhaust(bounds::STEPWISE), 11_182);
        }
    }
}
