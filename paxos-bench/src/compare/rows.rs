//! The rows of the comparison, and what is to be reached in each.
//!
//! A ratio says how many times as good this store is: of rates, ours by theirs; of times and costs,
//! theirs by ours.

use super::failover::ELECTION_TIMEOUT_MS;
use super::figure::Figure::{
    CpuUsPerOp, ErrorsPercent, LostWrites, NsPerEntry, OpsPerS, P50Us, P99Us, ResidentBytes,
    RestartMs, ResumeP50Ms, ResumeP99Ms,
};
use super::million_keys::RAW_BYTES;
use super::row::Against::{BareLoop, Peer};
use super::row::PeerName::{Etcd, Omnipaxos, Openraft, RaftRs, Redis};
use super::row::{PeerName, Row, Sockets, Target, Threads, Work};
use std::borrow::Cow;

/// The rows, in the order in which they are measured.
pub const ROWS: &[Row] = &[
    writes(
        "etcd-writes-1",
        Etcd,
        1,
        &[
            Target::peer(OpsPerS, 1.6, 2.0),
            // At most one and a half times as long.
            Target { figure: P50Us, against: BareLoop, must: None, goal: Some(0.667) },
            OF_BARE_LOOP,
        ],
    ),
    writes("etcd-writes-8", Etcd, 8, &[Target::peer(OpsPerS, 3.0, 4.0), OF_BARE_LOOP]),
    writes("etcd-writes-64", Etcd, 64, &[Target::peer(OpsPerS, 5.0, 8.0), OF_BARE_LOOP]),
    writes(
        "etcd-writes-256",
        Etcd,
        256,
        &[
            Target::peer(OpsPerS, 6.0, 12.0),
            Target::peer(P99Us, 4.0, 8.0),
            Target::peer(CpuUsPerOp, 6.0, 12.0),
            OF_BARE_LOOP,
        ],
    ),
    writes(
        "etcd-writes-1024",
        Etcd,
        1024,
        &[Target::peer(OpsPerS, 6.0, 12.0), Target::peer(P99Us, 4.0, 8.0), OF_BARE_LOOP],
    ),
    writes("redis-writes-64", Redis, 64, &[Target::peer(OpsPerS, 0.75, 1.2), P99_TOLD]),
    writes("redis-writes-256", Redis, 256, &[Target::peer(OpsPerS, 0.75, 1.2), P99_TOLD]),
    closed("redis-writes-64-sockets", Redis, (64, 100), Sockets::Each, &[OPS_TOLD, P99_TOLD]),
    closed("redis-writes-256-sockets", Redis, (256, 100), Sockets::Each, &[OPS_TOLD, P99_TOLD]),
    reads("etcd-reads-1", 1, &[Target::peer(OpsPerS, 2.0, 3.0)]),
    reads("etcd-reads-64", 64, &[Target::peer(OpsPerS, 6.0, 10.0)]),
    reads("etcd-reads-256", 256, &[Target::peer(OpsPerS, 8.0, 12.0)]),
    closed("etcd-mixed-256", Etcd, (256, 50), Sockets::Shared, &[Target::peer(OpsPerS, 6.0, 10.0)]),
    row(
        "etcd-million-keys",
        Etcd,
        Work::MillionKeys,
        &[
            Target { figure: ResidentBytes, against: Peer, must: Some(1.0), goal: None },
            Target::amount(ResidentBytes, 1.6 * RAW_BYTES as f64, false),
            Target { figure: RestartMs, against: Peer, must: Some(1.0), goal: None },
            Target::amount(RestartMs, 2000.0, false),
        ],
    ),
    row(
        "etcd-failover",
        Etcd,
        Work::Failover,
        &[
            Target::amount(ResumeP50Ms, 2.0 * ELECTION_TIMEOUT_MS as f64, true),
            Target::amount(ResumeP99Ms, 5.0 * ELECTION_TIMEOUT_MS as f64, true),
            Target { figure: ResumeP50Ms, against: Peer, must: None, goal: Some(1.0) },
            Target::amount(LostWrites, 0.0, true),
            Target::told(ErrorsPercent, Peer),
        ],
    ),
    same_thread("openraft-same-1", 1, threads(1, 1), &[Target::peer(OpsPerS, 3.0, 10.0)]),
    same_thread("openraft-same-64", 64, threads(2, 2), &[Target::peer(OpsPerS, 1.5, 3.0)]),
    same_thread("openraft-same-1024", 1024, threads(2, 2), &[Target::peer(OpsPerS, 1.0, 2.0)]),
    same_thread("openraft-same-4096", 4096, threads(2, 2), &[Target::peer(OpsPerS, 1.0, 2.0)]),
    own_thread("openraft-own-1", 1, threads(1, 2), &[Target::peer(OpsPerS, 1.0, 1.0)]),
    own_thread("openraft-own-64", 64, threads(1, 1), &[Target::peer(OpsPerS, 1.0, 1.5)]),
    own_thread("openraft-own-1024", 1024, threads(1, 1), &[Target::peer(OpsPerS, 1.0, 2.0)]),
    own_thread("openraft-own-4096", 4096, threads(1, 2), &[Target::peer(OpsPerS, 1.0, 2.0)]),
    core("omnipaxos-core-1", Omnipaxos, 1, &[Target::peer(NsPerEntry, 1.0, 2.0)]),
    core("omnipaxos-core-128", Omnipaxos, 128, &[Target::peer(NsPerEntry, 1.0, 2.0)]),
    core("raft-rs-core-1", RaftRs, 1, &[Target::told(NsPerEntry, Peer)]),
    core("raft-rs-core-128", RaftRs, 128, &[Target::told(NsPerEntry, Peer)]),
];

/// What is looked at in a load of one's own.
pub const CUSTOM: &[Target] = &[OPS_TOLD, Target::told(P50Us, Peer), P99_TOLD];

const OPS_TOLD: Target = Target::told(OpsPerS, Peer);
const P99_TOLD: Target = Target::told(P99Us, Peer);
const OF_BARE_LOOP: Target = Target::told(OpsPerS, BareLoop);

const fn writes(
    name: &'static str,
    peer: PeerName,
    clients: usize,
    targets: &'static [Target],
) -> Row {
    closed(name, peer, (clients, 100), Sockets::Shared, targets)
}

const fn reads(name: &'static str, clients: usize, targets: &'static [Target]) -> Row {
    closed(name, Etcd, (clients, 0), Sockets::Shared, targets)
}

/// So many clients, of whose requests so many of a hundred are writes.
const fn closed(
    name: &'static str,
    peer: PeerName,
    (clients, writes_percent): (usize, u8),
    sockets: Sockets,
    targets: &'static [Target],
) -> Row {
    row(name, peer, Work::Closed { clients, writes_percent, sockets }, targets)
}

const fn same_thread(
    name: &'static str,
    clients: usize,
    threads: Threads,
    targets: &'static [Target],
) -> Row {
    row(name, Openraft, Work::Actors { clients, own_thread: false, threads }, targets)
}

const fn own_thread(
    name: &'static str,
    clients: usize,
    threads: Threads,
    targets: &'static [Target],
) -> Row {
    row(name, Openraft, Work::Actors { clients, own_thread: true, threads }, targets)
}

const fn threads(ours: u8, theirs: u8) -> Threads {
    Threads { ours, theirs }
}

const fn core(name: &'static str, peer: PeerName, every: u64, targets: &'static [Target]) -> Row {
    row(name, peer, Work::Core { every }, targets)
}

const fn row(name: &'static str, peer: PeerName, work: Work, targets: &'static [Target]) -> Row {
    Row { name: Cow::Borrowed(name), peer, work, targets }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_have_names_of_their_own_and_goals_above_what_must_be() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| &row.name).collect();
        assert_eq!(names.len(), ROWS.len());
        for Row { name, targets, peer, .. } in ROWS {
            assert!(name.starts_with(peer.name()) && !targets.is_empty(), "{name}");
            for Target { must, goal, .. } in *targets {
                assert!(must.is_none_or(|must| goal.is_none_or(|goal| must <= goal)), "{name}");
            }
        }
    }
}
