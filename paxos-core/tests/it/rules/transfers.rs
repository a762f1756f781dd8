//! Snapshots on their way from a peer, where something goes wrong: rules R6 and R26, invariant 11.

use super::alone::*;
use super::snapshots::*;
use paxos_core::*;

/// Bytes come whole, and are stored.
fn receive(l: &mut Alone<Learner<Journal>>, from: u64, s: SnapshotId, bytes: &'static str) {
    l.hear(from, part(s, 0, bytes));
    l.event(SnapshotEvent::Stored { id: s, held: bytes.len() as u64 });
}

/// R26, invariant 11: the newest snapshot is never removed, even if it is there twice.
///
/// The learner has a snapshot below 3, and fetches one below 12, which arrives whole. Before it is
/// installed, its own acceptor has sent the entries up to 12 after all: a snapshot is written of
/// that state, which is the same one.
#[test]
fn r26_a_snapshot_that_is_there_twice_is_kept() {
    let mut l = learner(small());
    let header =
        SnapshotPiece::Header { below: Slot(3), log_time_ms: 21, configuration: roster(3) };
    l.role.replay(header);
    l.found(Some(id(3, 50)), None);
    l.hear(1, forgotten(6));
    l.tick();
    let s = id(12, 3);
    receive(&mut l, 2, s, "abc");
    assert_eq!(l.tasks().last(), Some(&format!("Install {{ id: {s:?} }}")));
    l.hear(1, entries(3, 12));
    assert_eq!(l.tasks(), ["Abandon", "Write(SnapshotSource(below 12))"]);
    assert!(!l.event(SnapshotEvent::Installed(s)).0);
    assert_eq!(l.tasks(), [format!("Remove {{ id: {:?} }}", id(3, 50))]);
    l.hear(1, entries(12, 19));
    assert_eq!(l.tasks(), [""; 0], "the one below 12 is still being written");
    l.event(SnapshotEvent::Written(s));
    assert_eq!(l.tasks(), [""; 0], "it is the only one");
    assert_eq!(l.role.status().snapshot_below, Slot(12));
}
