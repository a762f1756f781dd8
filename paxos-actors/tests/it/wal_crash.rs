//! Crashes at every step, disks that lie, and bits that turn over.

use crate::wal_support::{FIRST, ballot, flip, open, options, trimmed, voted, write_each};
use paxos_actors::wal::{Found, MemoryDisk, Segments, WalError};
use paxos_core::Record;
use paxos_core::rng::Rng;
use proptest::prelude::*;
use std::slice::from_ref;

/// Appends records one by one until the disk fails. Gives back how many were made durable.
fn write_until_failure(segments: &mut Segments, records: &[Record]) -> usize {
    let mut durable = 0;
    for record in records {
        let written = segments.append(from_ref(record)).and_then(|()| segments.commit());
        if written.is_err() {
            break;
        }
        durable += 1;
        if segments.prepare().is_err() {
            break;
        }
    }
    durable
}

/// All records from the first that the log still has; the rest of what it says restates.
fn assert_holds(found: &[Record], lsn: u64, written: &[Record], durable: usize) {
    let lsn = lsn as usize;
    assert!(durable <= lsn && lsn <= written.len(), "{durable} <= {lsn} <= {}", written.len());
    let tail = (0..=found.len()).find(|&restated| {
        let kept = &found[restated..];
        kept.len() <= lsn && *kept == written[lsn - kept.len()..lsn]
    });
    assert!(tail.is_some_and(|restated| restated <= 4), "invented: {found:?}");
}

#[test]
fn a_crash_at_each_step_of_the_first_start_leaves_a_directory_that_can_start() {
    for seed in [None, Some(1), Some(2), Some(3)] {
        let mut steps = 0;
        loop {
            steps += 1;
            let disk = MemoryDisk::new();
            disk.fail_after(steps);
            let has_failed = Found::open(disk.mount(), options()).is_err();
            disk.crash(seed);
            let (found, mut segments) = open(&disk).unwrap_or_else(|e| panic!("{steps}: {e}"));
            assert_eq!(found, []);
            write_each(&mut segments, &[voted(0, 10)]);
            if !has_failed {
                break;
            }
        }
        assert!(steps > 8, "only {steps} steps");
    }
}

#[test]
fn a_crash_at_each_step_of_a_life_loses_nothing_that_was_durable() {
    let mut records = vec![Record::Formed, Record::Promised(ballot(3))];
    for slot in 0..40 {
        records.push(voted(slot, 600));
        if slot % 8 == 7 {
            records.push(trimmed(slot - 2));
        }
    }
    for seed in [None, Some(1), Some(2), Some(3), Some(4)] {
        let mut steps = 0;
        loop {
            steps += 1;
            let disk = MemoryDisk::new();
            let (_, mut segments) = open(&disk).expect("a new log");
            disk.fail_after(steps);
            let durable = write_until_failure(&mut segments, &records);
            disk.crash(seed.map(|seed| seed * 1000 + steps));
            let (found, recovered) = open(&disk).unwrap_or_else(|e| panic!("step {steps}: {e}"));
            assert_holds(&found, recovered.lsn(), &records, durable);
            if durable == records.len() {
                break;
            }
        }
        assert!(steps > 100, "only {steps} steps");
    }
}

#[test]
fn what_a_process_finds_of_one_that_ended_at_any_step_outlives_a_crash() {
    let records: Vec<_> = (0..12).map(|slot| voted(slot, 600)).collect();
    let mut steps = 0;
    loop {
        steps += 1;
        let disk = MemoryDisk::new();
        disk.fail_after(steps);
        let durable = open(&disk).map_or(0, |(_, mut log)| write_until_failure(&mut log, &records));
        disk.kill();
        let (found, mut segments) = open(&disk).unwrap_or_else(|e| panic!("step {steps}: {e}"));
        assert_holds(&found, segments.lsn(), &records, durable);
        write_each(&mut segments, &[voted(99, 600)]);
        disk.crash(None);
        let (again, _) = open(&disk).unwrap_or_else(|e| panic!("step {steps}: {e}"));
        assert_eq!(again, [found, vec![voted(99, 600)]].concat(), "step {steps}");
        if durable == records.len() {
            break;
        }
    }
    assert!(steps > 40, "only {steps} steps");
}

#[test]
fn a_crash_at_each_step_of_recovery_loses_nothing() {
    let records: Vec<_> = (0..4).map(|slot| voted(slot, 600)).collect();
    let mut steps = 0;
    loop {
        steps += 1;
        let disk = MemoryDisk::new();
        write_each(&mut open(&disk).expect("a new log").1, &records);
        disk.kill();
        // Garbage behind the last frame makes recovery begin a new segment.
        flip(&disk, FIRST, 4000, 0);
        disk.fail_after(steps);
        let is_done = open(&disk).is_ok();
        disk.crash(Some(steps));
        let (found, _) = open(&disk).unwrap_or_else(|e| panic!("step {steps}: {e}"));
        assert_eq!(found, records);
        if is_done {
            break;
        }
    }
    assert!(steps > 5, "only {steps} steps");
}

#[test]
fn without_sync_an_acknowledged_record_is_lost_and_with_it_none() {
    for skip in [false, true] {
        let disk = MemoryDisk::new();
        let (_, mut segments) = open(&disk).expect("a new log");
        disk.skip_syncs(skip);
        write_each(&mut segments, &[voted(0, 50), voted(1, 50)]);
        disk.crash(None);
        let found = open(&disk).expect("a sound log").0;
        assert_eq!(found.len(), if skip { 0 } else { 2 });
    }
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_made_durable_before_it_counts() {
    let disk = MemoryDisk::new();
    let (_, mut segments) = open(&disk).expect("a new log");
    write_each(&mut segments, &[voted(0, 50)]);
    disk.fail_syncs(true);
    segments.append(&[voted(1, 50)]).expect("append");
    assert!(segments.commit().is_err());
    disk.kill();
    disk.fail_syncs(false);
    let found = open(&disk).expect("a sound log").0;
    assert_eq!(found, [voted(0, 50), voted(1, 50)], "the cache still has the record");
    disk.crash(None);
    assert_eq!(open(&disk).expect("a sound log").0, found);
}

#[test]
fn turned_bits_are_found_or_end_the_log_and_invent_nothing() {
    let records: Vec<_> = (0..5).map(|slot| voted(slot, 900)).collect();
    let disk = MemoryDisk::new();
    write_each(&mut open(&disk).expect("a new log").1, &records);
    disk.kill();
    let names: Vec<_> = disk.names().into_iter().filter(|name| name.starts_with('0')).collect();
    assert_eq!(names.len(), 2);
    let mut refused = 0;
    for (name, bit) in names.iter().flat_map(|name| (0..8).map(move |bit| (name, bit))) {
        let sound = disk.contents(name).expect("a segment");
        for offset in (bit as usize..sound.len()).step_by(7) {
            let damaged = MemoryDisk::new();
            disk.names().iter().for_each(|n| damaged.put(n, disk.contents(n).expect("a file")));
            flip(&damaged, name, offset, bit);
            match open(&damaged) {
                // Nothing behind the last record proves that it was durable.
                Ok((found, _)) => assert!(found == records || found == records[..4]),
                Err(WalError::Corrupt { .. } | WalError::Version { .. }) => refused += 1,
                Err(error) => panic!("{name}, byte {offset}, bit {bit}: {error}"),
            }
        }
    }
    assert!(refused > 4000, "{refused}");
}

/// Something that happens to a log.
#[derive(Clone, Debug)]
enum Event {
    Append {
        sizes: Vec<usize>,
        commit: bool,
    },
    Trim,
    Kill,
    Crash(Option<u64>),
    /// The power fails after so many operations.
    FailAfter(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (prop::collection::vec(0..1500usize, 1..6), any::<bool>())
            .prop_map(|(sizes, commit)| Event::Append { sizes, commit }),
        1 => Just(Event::Trim),
        1 => Just(Event::Kill),
        2 => any::<Option<u64>>().prop_map(Event::Crash),
        1 => (1..30u64).prop_map(Event::FailAfter),
    ]
}

struct Life {
    disk: MemoryDisk,
    segments: Segments,
    written: Vec<Record>,
    durable: usize,
    next_slot: u64,
}

impl Life {
    fn append(&mut self, records: &[Record], commit: bool) -> Result<(), WalError> {
        self.written.extend_from_slice(records);
        self.segments.append(records)?;
        if commit {
            self.durable = self.segments.commit()? as usize;
            self.segments.prepare()?;
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<(), TestCaseError> {
        let (found, segments) =
            open(&self.disk).map_err(|error| TestCaseError::fail(error.to_string()))?;
        assert_holds(&found, segments.lsn(), &self.written, self.durable);
        self.written.truncate(segments.lsn() as usize);
        self.durable = self.written.len();
        self.segments = segments;
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_was_durable_is_found_in_order_and_nothing_is_invented(
        events in prop::collection::vec(event(), 1..60)
    ) {
        let disk = MemoryDisk::new();
        let (_, segments) = open(&disk).expect("a new log");
        let mut life = Life { disk, segments, written: Vec::new(), durable: 0, next_slot: 0 };
        for (step, event) in events.into_iter().enumerate() {
            let done = match event {
                Event::Append { sizes, commit } => {
                    let slots = life.next_slot..;
                    life.next_slot += sizes.len() as u64;
                    let records = slots.zip(sizes).map(|(slot, size)| voted(slot, size));
                    let records: Vec<_> = records.collect();
                    life.append(&records, commit)
                }
                Event::Trim => {
                    let below = life.next_slot.saturating_sub(3);
                    life.append(&[trimmed(below)], true)
                }
                Event::FailAfter(operations) => {
                    life.disk.fail_after(operations);
                    Ok(())
                }
                Event::Kill => {
                    life.disk.kill();
                    life.restart()?;
                    Ok(())
                }
                Event::Crash(seed) => {
                    life.disk.crash(seed);
                    life.restart()?;
                    Ok(())
                }
            };
            if done.is_err() {
                life.disk.crash(Some(Rng::new(step as u64).next_u64()));
                life.restart()?;
            }
        }
        life.disk.crash(None);
        life.restart()?;
    }
}
