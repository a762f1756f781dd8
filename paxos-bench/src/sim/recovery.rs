//! A run from its storm to its end: what must happen when faults are over.

use super::faults;
use super::setup::Ending;
use super::world::World;
use crate::check::{self, KvModel, Verdict};
use bytes::Bytes;
use paxos_core::{Ballot, Learner, NodeId, Slot, StanceName};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After the faults, a leader is there within so many election timeouts, whatever has to be fetched
/// first over links that may be narrow. [`super::Campaign::is_lively`] asks more of many runs.
const LEADER_TIMEOUTS: u64 = 30;

/// And all calls have ended, and learners are equal, within so many, beside the longest time that a
/// client gives a call.
const QUIET_TIMEOUTS: u64 = 100;
const CALL_US: u64 = 6_000_000;

/// So many timeouts long at most one leader follows another.
const STABLE_TIMEOUTS: u64 = 50;

/// With more outcomes unknown for one key, a search may take for ever.
const UNKNOWN_MAX: u64 = 10;

/// The search gives up after so long: what was applied has explained everything by then.
const JUDGE: Duration = Duration::from_secs(5);

/// Runs the world to its end.
///
/// # Panics
/// If an invariant is violated, what a client saw is not linearizable, or the cluster does not
/// recover in time.
pub(super) fn run(world: &mut World) {
    while world.now < world.setup.storm_us {
        world.step();
    }
    world.is_healed = true;
    let able = faults::heal(world);
    recover(world, &able);
    look(world, &able);
    if matches!(world.setup.ending, Ending::Partial(_)) {
        stay(world, &able);
    }
    judge(world);
}

/// A leader is there soon, and not much later all calls have ended.
fn recover(world: &mut World, able: &BTreeSet<NodeId>) {
    let timeout = world.setup.timing.election_timeout_us();
    let healed_at = world.now;
    let mut led_at = None;
    while led_at.is_none() || !is_quiet(world, able) {
        world.step();
        if led_at.is_none() && leading(world, able).is_some() {
            led_at = Some(world.now);
        }
        let waited = world.now - healed_at;
        let late = led_at.is_none() && waited > LEADER_TIMEOUTS * timeout;
        assert!(!late, "no leader in {LEADER_TIMEOUTS} election timeouts: {}", world.standing());
        let late = waited > QUIET_TIMEOUTS * timeout + CALL_US;
        assert!(!late, "not done in {QUIET_TIMEOUTS} election timeouts: {}", world.standing());
    }
    world.counts.led_after_us = led_at.unwrap_or(healed_at) - healed_at;
    world.counts.quiet_after_us = world.now - healed_at;
}

/// Every key is read once more: what was acknowledged is there. No read fails.
fn look(world: &mut World, able: &BTreeSet<NodeId>) {
    let timeout = world.setup.timing.election_timeout_us();
    let begun_at = world.now;
    let before = world.clients.tally;
    for key in 0..world.clients.keys() {
        world.call(0, Some(key));
    }
    while !is_quiet(world, able) {
        world.step();
        let late = world.now - begun_at > QUIET_TIMEOUTS * timeout;
        assert!(!late, "reads are not answered: {}", world.standing());
    }
    let after = world.clients.tally;
    let answered = after.done - before.done;
    assert_eq!(answered, world.clients.keys() as u64, "reads fail: {}", world.standing());
}

/// With links missing, whoever leads goes on.
fn stay(world: &mut World, able: &BTreeSet<NodeId>) {
    let until = world.now + STABLE_TIMEOUTS * world.setup.timing.election_timeout_us();
    let mut leaders: BTreeSet<(Ballot, NodeId)> = BTreeSet::new();
    while world.now < until {
        world.step();
        leaders.extend(leading(world, able));
    }
    let count = leaders.len();
    assert!(
        (1..=2).contains(&count),
        "{count} leaders in {STABLE_TIMEOUTS} election timeouts: {leaders:?}"
    );
}

/// Whoever of these nodes leads, with the highest ballot.
fn leading(world: &World, able: &BTreeSet<NodeId>) -> Option<(Ballot, NodeId)> {
    let proposers = world.nodes.iter().filter(|node| able.contains(&node.me.node));
    let status = proposers.filter_map(|node| Some((node.proposer()?.status(), node.me.node)));
    let leads = status.filter(|(status, _)| status.stance == StanceName::Lead);
    leads.map(|(status, node)| (status.ballot, node)).max()
}

/// All calls have ended, and the learners that can have applied everything have.
fn is_quiet(world: &World, able: &BTreeSet<NodeId>) -> bool {
    if !world.clients.are_idle() {
        return false;
    }
    if matches!(world.setup.ending, Ending::Partial(_)) {
        return true;
    }
    let all = Slot(world.observer.chosen_count());
    world.nodes.iter().filter(|node| able.contains(&node.me.node)).all(|node| {
        let is_learner = world.setup.layout.roles(node.me.node).learner;
        !is_learner || node.learner().map(Learner::applied_below) == Some(all)
    })
}

/// What was applied explains what clients saw; and, where few enough outcomes are unknown, a search
/// that knows nothing of what was applied finds an explanation as well.
fn judge(world: &mut World) {
    let calls = world.clients.calls();
    world.witness.judge(calls);
    let mut unknown: BTreeMap<&Bytes, u64> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.answer.is_none() && call.op.is_some()) {
        *unknown.entry(&call.key).or_default() += 1;
    }
    if unknown.values().any(|&count| count > UNKNOWN_MAX) {
        return;
    }
    match check::check(&KvModel, &world.clients.history(), JUDGE) {
        Verdict::Linearizable => world.counts.is_judged_twice = true,
        Verdict::NotLinearizable(counter_example) => panic!("not linearizable\n{counter_example}"),
        Verdict::Unknown => {}
    }
}
