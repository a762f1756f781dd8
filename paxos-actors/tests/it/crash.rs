//! Crash states: what disks may be left as by workloads that were recorded, operation by operation,
//! and what recovery makes of each.
//!
//! `CRASH_STATES=2000000 cargo test -p paxos-actors --test it crash::states -- --nocapture` goes on
//! with other seeds until there were so many; `CRASH_SEED=7` begins with that seed.

mod images;
mod recorder;
mod run;
mod snapshots;
mod wal;
mod workloads;

use images::{Bounds, Cache, Image, Kind, disk_of};
use paxos_actors::wal::{Disk, Identity};
use paxos_core::rng::Rng;
use paxos_core::{Incarnation, MemberId, NodeId};
use recorder::{Op, Recorder, Recording};
use run::{Explorer, Plan, Run, Subject};
use std::fs;
use std::path::Path;

/// What the automatic run does with each workload.
const QUICK: Bounds =
    Bounds { subsets_of: 4, by_chance: 4, pairs: 64, bytes_of: 2048, boundaries: 24 };

/// What a campaign does.
const CAMPAIGN: Bounds =
    Bounds { subsets_of: 6, by_chance: 12, pairs: 400, bytes_of: 8192, boundaries: 64 };

/// Explores all workloads as one seed makes them.
fn explore(explorer: &mut Explorer, seed: u64, bounds: Bounds) {
    let of_snapshots = snapshots::NAMES.map(|name| (name, snapshots::run as fn(_, _, _) -> Run));
    let of_logs = workloads::NAMES.map(|name| (name, workloads::run as fn(_, _, _) -> Run));
    for (workload, run) in of_snapshots.into_iter().chain(of_logs) {
        // Megabytes: of these only what is there for their size.
        let is_large = matches!(workload, "large" | "long");
        if is_large && seed > 0 {
            continue;
        }
        let Run { subject, recordings, syncs } = run(workload, seed, None);
        let from = if is_large { recordings[0].marks[1].ops } else { 0 };
        let flips = if is_large { 0 } else { 300 };
        let boundaries = if is_large { 16 } else { bounds.boundaries };
        let bounds = Bounds { boundaries, ..bounds };
        let plan = Plan { workload, seed, bounds, from, as_kind: None, flip_points: 4, flips };
        recordings.iter().for_each(|recording| explorer.explore(&plan, recording, &*subject));
        for sync in (1..=syncs).take_while(|_| !is_large) {
            let Run { subject, recordings, .. } = run(workload, seed, Some(sync));
            for recording in &recordings {
                lost_sync(explorer, &plan, recording, &*subject);
            }
        }
    }
}

/// Explores what follows a sync that failed.
fn lost_sync(explorer: &mut Explorer, plan: &Plan, recording: &Recording, subject: &dyn Subject) {
    let lost = recording.ops.iter().position(|op| matches!(op, Op::LostSync { .. }));
    if let Some(from) = lost {
        let bounds = Bounds { bytes_of: 0, boundaries: 2, by_chance: 0, ..plan.bounds };
        let as_kind = Some(Kind::LostSync);
        explorer.explore(&Plan { from, bounds, as_kind, flips: 0, ..*plan }, recording, subject);
    }
}

/// Goes on with the next seed until there were so many states, or something is illegal.
fn explore_until(states: u64, first_seed: u64, bounds: Bounds) -> Explorer {
    let mut explorer = Explorer::default();
    for seed in first_seed.. {
        explore(&mut explorer, seed, bounds);
        if explorer.states() >= states || !explorer.failures.is_empty() {
            break;
        }
    }
    explorer
}

#[test]
fn states_recover_or_are_refused_by_name() {
    let read = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let (goal, seed) = (read("CRASH_STATES"), read("CRASH_SEED"));
    let bounds = if goal.is_some() { CAMPAIGN } else { QUICK };
    let explorer = explore_until(goal.unwrap_or(1), seed.unwrap_or(0), bounds);
    println!("{}", explorer.table());
    assert!(explorer.failures.is_empty(), "{}", explorer.failures.join("\n"));
    for kind in Kind::ALL {
        assert!(explorer.of_kind(kind) >= 30, "{kind:?} hardly happens");
    }
    if goal.or(seed).is_none() {
        check_counts(&explorer.counts());
    }
}

/// The automatic run has the same different states each time, and a change to what is explored must
/// say how many it adds, or gives up.
fn check_counts(counts: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/crash_states.txt");
    if std::env::var("UPDATE_GOLDEN").is_ok_and(|flag| flag == "1") {
        return fs::write(path, format!("{counts}\n")).expect("the sources can be written");
    }
    let known = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        known.trim_end(),
        counts,
        "other states are explored; if that is on purpose, `UPDATE_GOLDEN=1 cargo test -p \
         paxos-actors --test it crash::states` writes their number anew"
    );
}

/// A process that ends between the naming of a segment and the sync of the directory leaves the
/// next one with old segments to remove. If it did so at once, the disk might keep the removal, and
/// lose the name of the segment that makes them needless.
#[test]
fn no_segment_goes_while_the_name_of_another_can_be_lost() {
    let mut removals = 0;
    for seed in 0..40 {
        for recording in workloads::run("restarts", seed, None).recordings {
            let mut is_lost_by_a_crash = false;
            for op in recording.ops {
                match op {
                    Op::Rename { to, .. } if to.starts_with('0') => is_lost_by_a_crash = true,
                    Op::SyncDirectory => is_lost_by_a_crash = false,
                    Op::Remove { name } if name.starts_with('0') => {
                        assert!(!is_lost_by_a_crash, "seed {seed}: {name} goes too early");
                        removals += 1;
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(removals > 20, "only {removals} removals");
}

/// Takes a directory without a log, as one that has no identity becomes this incarnation.
fn take(mut disk: impl Disk, incarnation: u64) -> Option<MemberId> {
    Identity::open(&mut disk, NodeId(4), Incarnation(incarnation)).ok().map(|found| found.member)
}

/// Takes a directory, and again whatever a crash may leave of it: it is still the same member's.
fn member_for_good(recorder: &Recorder) -> MemberId {
    let member = take(recorder.clone(), 2).expect("an identity");
    let recording = recorder.recording();
    let mut cache = Cache::new(&recording.before);
    recording.ops.iter().for_each(|op| cache.apply(op));
    for (kind, variant) in cache.variants(&CAMPAIGN, &mut Rng::new(1)) {
        let found = take(disk_of(&cache.image(&variant)).mount(), 3);
        assert_eq!(found, Some(member), "{kind:?} {variant:?} of {:?}", recording.ops);
    }
    member
}

/// A process that ends between the naming of its identity and the sync of the directory leaves the
/// next one with a name that only the cache has.
#[test]
fn no_member_acts_while_its_identity_can_be_lost() {
    let mut members = Vec::new();
    for operations in 0..6 {
        let recorder = Recorder::new(Image::new(), None);
        recorder.end_after(Some(operations));
        take(recorder.clone(), 1);
        recorder.end_after(None);
        members.push(member_for_good(&recorder).incarnation.0);
    }
    assert_eq!(members, [2, 2, 2, 2, 1, 1], "one made it, named it, and did not sync its name");
}

/// As `cp` puts it back.
#[test]
fn an_identity_that_was_copied_is_made_durable_before_it_is_used() {
    let disk = disk_of(&Image::new());
    take(disk.mount(), 1).expect("an identity");
    let mut copy = Recorder::new(Image::new(), None);
    let mut file = copy.create("identity").expect("a file");
    file.write_at(0, &disk.contents("identity").expect("it was made")).expect("a disk");
    assert_eq!(member_for_good(&copy).incarnation, Incarnation(1));
}

/// Each bug must be found, or the states are too few.
///
/// `RUSTFLAGS="--cfg paxos_planted" CARGO_TARGET_DIR=target/planted cargo test -p paxos-actors
/// planted` plants them one after the other.
#[cfg(paxos_planted)]
#[test]
fn planted_storage_bugs_are_found() {
    use paxos_core::planted::{Planted, plant};
    use std::panic::catch_unwind;

    for bug in Planted::STORAGE {
        plant(Some(bug));
        let found = catch_unwind(|| explore_until(1, 0, QUICK));
        plant(None);
        // A workload may come upon it before its states are judged.
        let violation = match &found {
            Ok(explorer) => explorer.failures.first(),
            Err(panic) => panic.downcast_ref::<String>(),
        };
        let violation = violation.and_then(|text| text.lines().next());
        let violation = violation.unwrap_or_else(|| panic!("{bug:?} is not found"));
        println!("{bug:?} ({}): {violation}", bug as u32);
    }
}
