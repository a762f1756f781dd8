//! A snapshot that was on the own disk, and is not any more.

use super::*;

/// A newest snapshot that cannot be read any more is replaced by one of the state at that moment,
/// even where nothing was applied since; acceptors keep what they have until then.
#[test]
fn a_snapshot_that_is_lost_is_written_anew() {
    let mut l = fresh(small());
    l.hear(1, entries(0, 3));
    let lost = id(3, 50);
    l.event(SnapshotEvent::Written(lost));
    l.tasks();
    l.hear(2, LearnerMsg::FetchSnapshot { id: None, offset: 0 });
    assert_eq!(l.tasks().len(), 1, "it is read for the peer");
    let read = SnapshotEvent::Read { to: NodeId(2), id: lost, offset: 0, data: Bytes::new() };
    let none = LearnerMsg::NoSnapshot { id: Some(lost) };
    assert_eq!(l.event(read.clone()).1, mail(vec![(2, none.into())]));
    assert_eq!(l.role.status().snapshot_below, Slot(0));
    let [SnapshotTask::Write(source)] = &l.role.snapshot_tasks()[..] else { panic!("it is due") };
    assert_eq!(source.below, Slot(3));
    l.event(SnapshotEvent::Written(id(3, 50)));
    assert_eq!((l.tasks(), l.role.status().snapshot_below), (vec![], Slot(3)), "it is kept");
    let out = l.pass_ms(TIMEOUT_MS);
    let zero = covered(0);
    assert!(out.mail.contains(&Outgoing { to: NodeId(1), packet: zero.into() }));
}
