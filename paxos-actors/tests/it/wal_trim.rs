//! A real acceptor over a log that is trimmed: it finds again what it had, whatever went with the
//! segments that were dropped.

use crate::wal_support::{FIRST, open};
use crate::wal_thread::Events;
use bytes::Bytes;
use paxos_actors::Log;
use paxos_actors::wal::{MemoryDisk, MemoryLog, Segments};
use paxos_core::rng::Rng;
use paxos_core::{
    Acceptor, AcceptorMsg, AcceptorOptions, AcceptorStatus, Ballot, Body, Command, Entries, Entry,
    Incarnation, Layout, Limits, MemberId, NodeId, Now, Outgoing, Output, Packet, Record, Role,
    RoleName, SessionId, Slot, SlotRange, Timing,
};

const ME: MemberId = MemberId { node: NodeId(1), incarnation: Incarnation(0xA11CE) };

/// Alone in its cluster: its proposer, its learner and its peer acceptor are all at `ME`.
fn acceptor() -> Acceptor {
    let layout = Layout::full(&[ME.node]).expect("one node");
    let (timing, limits) = (Timing::default(), Limits::default());
    Acceptor::new(AcceptorOptions { me: ME, layout, timing, limits })
}

fn receive(acceptor: &mut Acceptor, msg: AcceptorMsg) -> Output<Record> {
    let mut out = Output::new();
    acceptor.receive(Now(0), ME, msg, &mut out);
    out
}

fn replayed(records: &[Record]) -> Acceptor {
    let mut acceptor = acceptor();
    records.iter().for_each(|record| acceptor.replay(record.clone()));
    acceptor
}

/// Everything that an acceptor can be asked for: its status, the entries that it holds, and what it
/// promises.
fn told(mut acceptor: Acceptor) -> (AcceptorStatus, Vec<Outgoing>) {
    let status = acceptor.status();
    let ballot = Ballot { round: 1 << 40, ..status.promised };
    let fetch = AcceptorMsg::Fetch { from: status.trimmed, role: RoleName::Learner };
    let mut mail = receive(&mut acceptor, fetch).mail;
    mail.extend(receive(&mut acceptor, AcceptorMsg::Prepare { ballot, from: Slot::ZERO }).mail);
    (status, mail)
}

fn entry(rng: &mut Rng, slot: Slot) -> Entry {
    let session = SessionId { slot: Slot(1), index: 0 };
    let value = Bytes::from(vec![slot.0 as u8; rng.between(0, 900) as usize]);
    let body = Body::Run { session, sequence: slot.0, acked_below: 0, value };
    let command = Command { client: NodeId(9), learner: ME.node, body };
    Entry { log_time_ms: 10 * slot.0, commands: vec![command].into() }
}

/// What a leader, a learner and a peer make an acceptor log: one batch of records a step. Votes run
/// ahead of what is chosen, ballots change, slots are missed and fetched, or covered unseen.
fn script(seed: u64, steps: u64) -> Vec<Vec<Record>> {
    let mut rng = Rng::new(seed);
    let mut acceptor = acceptor();
    let mut batches = formed(&mut acceptor);
    let mut ballot = Ballot { round: 1, node: ME.node, life: 7 };
    let mut next = Slot(0);
    let mut step = |acceptor: &mut Acceptor, msg| batches.push(receive(acceptor, msg).records);
    for _ in 0..steps {
        let chosen_below = acceptor.status().chosen_below;
        next = next.max(chosen_below);
        let chosen = |below| SlotRange::new(Slot(chosen_below.0.saturating_sub(2)), below);
        match rng.between(0, 20) {
            0 => {
                ballot.round += 1;
                next = chosen_below;
                step(&mut acceptor, AcceptorMsg::Prepare { ballot, from: Slot::ZERO });
            }
            1 => {
                let entries = vec![entry(&mut rng, chosen_below), Entry::noop(0)];
                let upto = chosen_below.plus(2);
                let (from, trimmed) = (chosen_below, Slot(0));
                let entries = Entries { from, entries, chosen_below: upto, trimmed };
                step(&mut acceptor, AcceptorMsg::Entries(entries));
            }
            2..=4 => {
                // As a rule a little behind what is chosen; now and then ahead of it.
                let ahead = rng.between(0, 12);
                let below = Slot((chosen_below.0 + ahead / 10).saturating_sub(ahead));
                let log_time_ms = 10 * below.0;
                let cluster = acceptor.configuration().expect("it formed").cluster_id();
                step(&mut acceptor, AcceptorMsg::Covered { cluster, below, log_time_ms });
            }
            5..=7 => {
                let below = Slot(rng.between(chosen_below.0, next.0 + 1));
                let chosen = chosen(below);
                step(&mut acceptor, AcceptorMsg::Heartbeat { ballot, round: 0, chosen });
            }
            _ => {
                let entry = entry(&mut rng, next);
                let chosen = chosen(chosen_below);
                step(&mut acceptor, AcceptorMsg::Accept { ballot, slot: next, entry, chosen });
                next = next.plus(1 + rng.between(0, 30) / 29);
            }
        }
    }
    batches
}

/// The first start of a cluster of one.
fn formed(acceptor: &mut Acceptor) -> Vec<Vec<Record>> {
    let mut batches = Vec::new();
    let mut out = Output::new();
    acceptor.tick(Now(0), &mut out);
    while !out.is_empty() {
        batches.push(std::mem::take(&mut out.records));
        for Outgoing { packet, .. } in std::mem::take(&mut out.mail) {
            if let Packet::Acceptor(msg) = packet {
                acceptor.receive(Now(0), ME, msg, &mut out);
            }
        }
    }
    assert!(acceptor.status().formed);
    batches
}

/// Writes batches until the disk fails. Gives back how many records were made durable.
fn write(segments: &mut Segments, batches: &[Vec<Record>]) -> usize {
    let mut durable = 0;
    for batch in batches {
        let Ok(lsn) = segments.append(batch).and_then(|()| segments.commit()) else { break };
        durable = lsn as usize;
        if segments.prepare().is_err() {
            break;
        }
    }
    durable
}

#[test]
fn an_acceptor_is_the_same_after_a_restart_however_much_was_dropped() {
    for seed in 0..60 {
        let batches = script(seed, 400);
        let all = batches.concat();
        let disk = MemoryDisk::new();
        let mut written = 0;
        // Restarts on the way, each of them with fewer segments than were written.
        for life in batches.chunks(130) {
            let (_, mut segments) = open(&disk).expect("a sound log");
            written += life.iter().map(Vec::len).sum::<usize>();
            assert_eq!(write(&mut segments, life).max(written), written);
            let mut live = Vec::new();
            segments.replay(&mut |record, _| live.push(record)).expect("a replay");
            assert_eq!(told(replayed(&live)), told(replayed(&all[..written])), "seed {seed}");
            disk.kill();
            let (found, _) = open(&disk).expect("a sound log");
            assert_eq!(told(replayed(&found)), told(replayed(&all[..written])), "seed {seed}");
            disk.kill();
        }
        assert!(disk.contents(FIRST).is_none(), "seed {seed}: nothing was dropped");
    }
}

#[test]
fn an_acceptor_is_the_same_after_a_crash_at_any_step_however_much_was_dropped() {
    for seed in 100..103 {
        let batches = script(seed, 120);
        let all = batches.concat();
        let mut steps = 0;
        let mut dropped = 0;
        loop {
            steps += 1;
            let disk = MemoryDisk::new();
            let (_, mut segments) = open(&disk).expect("a new log");
            disk.fail_after(steps);
            let durable = write(&mut segments, &batches);
            disk.crash(Some(seed * 1000 + steps));
            let (found, recovered) = open(&disk).unwrap_or_else(|e| panic!("step {steps}: {e}"));
            let lsn = recovered.lsn() as usize;
            assert!(durable <= lsn, "step {steps}: {durable} records were durable, of {lsn}");
            let (again, before) = (replayed(&found), replayed(&all[..lsn]));
            assert_eq!(told(again), told(before), "seed {seed}, step {steps}");
            dropped += u64::from(disk.contents(FIRST).is_none());
            if durable == all.len() {
                break;
            }
        }
        assert!(steps > 100 && dropped > 20, "{steps} steps, {dropped} with dropped segments");
    }
}

#[actix::test]
async fn an_acceptor_with_a_log_in_memory_is_the_same_though_trimmed_records_are_let_go() {
    let mut events = Events::new();
    let (mut written, mut kept) = (0, 0);
    for seed in 0..20 {
        let batches = script(seed, 400);
        let all = batches.concat();
        let (mut log, mut lsn) = (MemoryLog::new(), 0);
        for (epoch, life) in (1..).zip(batches.chunks(40)) {
            let (records, found) = events.open(&mut log, epoch).await;
            assert_eq!(found as usize, lsn, "seed {seed}: the lsn counts what is gone");
            let (again, before) = (replayed(&records), replayed(&all[..lsn]));
            assert_eq!(told(again), told(before), "seed {seed}, {lsn} records");
            (written, kept) = (written + lsn, kept + records.len());
            for records in life {
                lsn += records.len();
                log.append(epoch, &mut records.clone());
            }
        }
    }
    assert!(4 * kept < written, "{kept} records were kept, of {written}");
}
