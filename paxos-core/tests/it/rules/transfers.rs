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

/// R6: on a slow link, a part that comes after the next peer was asked is taken all the same, and
/// the peer that it came from is asked for the next.
///
/// Node 3 is dead. The answers of node 2 take 1.3 election timeouts.
#[test]
fn r06_a_part_that_comes_late_is_taken() {
    let s = id(12, 6);
    let mut l = fresh(Limits::default());
    l.hear(2, forgotten(10));
    assert_eq!(about_snapshots(l.tick()), [(2, fetch(None, 0))]);
    assert_eq!(about_snapshots(l.pass_ms(TIMEOUT_MS)), [(3, fetch(None, 0))]);
    l.pass_ms(TIMEOUT_MS / 3);
    l.hear(2, part(s, 0, "abcd"));
    assert_eq!(l.tasks().len(), 1, "it is stored");
    let (_, next) = l.event(SnapshotEvent::Stored { id: s, held: 4 });
    assert_eq!(next, mail(vec![(2, fetch(Some(s), 4))]));
    l.hear(3, part(s, 4, "ef"));
    assert_eq!(l.tasks(), [""; 0], "node 3 was not asked for these");
}

/// R6: what one peer has not any more, and the others do not speak of, is given up soon: the rest
/// of it will never come, and a newer one is there.
///
/// The learner has some bytes of an old snapshot. Node 3 is dead.
#[test]
fn r06_an_old_transfer_is_given_up_although_a_peer_is_dead() {
    let s = id(12, 6);
    let mut l = fresh(Limits::default());
    l.found(None, Some((s, 3)));
    assert_eq!(about_snapshots(l.tick()), [(2, fetch(Some(s), 3))]);
    let none = LearnerMsg::NoSnapshot { id: Some(s) };
    for timeouts in [1, 2] {
        l.hear(2, none.clone());
        assert_eq!(about_snapshots(l.pass_ms(timeouts * TIMEOUT_MS)), [(2, fetch(Some(s), 3))]);
    }
    l.hear(2, none);
    assert_eq!(about_snapshots(l.pass_ms(4 * TIMEOUT_MS)), [(2, fetch(None, 0))]);
}

/// R6: each question that nobody answers waits twice as long as the one before, up to a bound, and
/// answers that come in time bring that down again: a link that is slow is not given the same part
/// again and again.
#[test]
fn r06_questions_for_parts_wait_longer_each_time() {
    let s = id(12, 60);
    let mut l = fresh(Limits::default());
    l.hear(2, forgotten(10));
    l.tick();
    let wait = |l: &mut Alone<Learner<Journal>>, timeouts: u64, from: u64, packet: Packet| {
        assert_eq!(about_snapshots(l.pass_ms(timeouts * TIMEOUT_MS - 1)), [], "{timeouts}");
        assert_eq!(about_snapshots(l.pass_ms(1)), [(from, packet)], "{timeouts}");
    };
    for (timeouts, from) in [(1, 3), (2, 2), (4, 3), (8, 2), (8, 3)] {
        wait(&mut l, timeouts, from, fetch(None, 0));
    }
    let store = |l: &mut Alone<Learner<Journal>>, offset: u64| {
        l.hear(2, part(s, offset, "abcd"));
        let held = offset + 4;
        let (_, next) = l.event(SnapshotEvent::Stored { id: s, held });
        assert_eq!(next, mail(vec![(2, fetch(Some(s), held))]));
    };
    store(&mut l, 0);
    wait(&mut l, 8, 3, fetch(Some(s), 4));
    store(&mut l, 4);
    for offset in [8, 12] {
        store(&mut l, offset);
    }
    wait(&mut l, 2, 3, fetch(Some(s), 16));
}

/// R6: a transfer that was complete when the process ended is installed after the restart, and not
/// fetched again.
#[test]
fn r06_a_complete_transfer_is_installed_after_a_crash() {
    let s = id(12, 6);
    let mut l = learner(Limits::default());
    l.found(None, Some((s, 6)));
    assert_eq!(l.tasks(), [format!("Install {{ id: {s:?} }}")]);
    assert_eq!(about_snapshots(l.tick()), []);
    assert_eq!(about_snapshots(l.pass_ms(2 * TIMEOUT_MS)), []);
    assert!(l.event(SnapshotEvent::Installed(s)).0, "it must be made anew");

    let mut l = learner(Limits::default());
    l.found(None, Some((s, 6)));
    assert!(!l.event(SnapshotEvent::Unsound(s)).0);
    assert_eq!(about_snapshots(l.pass_ms(TIMEOUT_MS)), [(3, fetch(None, 0))], "it was damaged");
}

/// R6: a snapshot that is installed too late to be of use ends no other transfer.
///
/// The learner fetches one below 12, and gets the entries after all; then it falls behind again.
#[test]
fn r06_a_late_snapshot_ends_no_other_transfer() {
    let (s, newer) = (id(12, 3), id(22, 6));
    let mut l = fresh(Limits::default());
    l.hear(2, forgotten(10));
    l.tick();
    receive(&mut l, 2, s, "abc");
    l.hear(1, entries(0, 12));
    assert_eq!(l.tasks().last().map(String::as_str), Some("Abandon"));
    l.hear(2, forgotten(20));
    assert_eq!(about_snapshots(l.tick()), [(2, fetch(None, 0))]);
    l.hear(2, part(newer, 0, "abcd"));
    assert!(!l.event(SnapshotEvent::Installed(s)).0, "the state has it all");
    let (_, next) = l.event(SnapshotEvent::Stored { id: newer, held: 4 });
    assert_eq!(next, mail(vec![(2, fetch(Some(newer), 4))]), "it goes on");
}

/// A snapshot whose bytes do not match its name, or find no room, is not fetched again at once: for
/// each mebibyte that came in vain, all in all, there is a pause of an election timeout, up to a
/// bound. Else a full disk here, or a rotten file there, would keep the links busy for ever.
#[test]
fn an_unsound_snapshot_is_fetched_again_less_and_less_often() {
    let held = 4 << 20;
    let (s, data) = (id(12, held), vec![0; held as usize]);
    let data = bytes::Bytes::from(data);
    let mut l = fresh(Limits::default());
    l.hear(2, forgotten(10));
    l.tick();
    for failures in 1..=70 {
        let (from, next) = if failures % 2 == 1 { (2, 3) } else { (3, 2) };
        l.hear(from, LearnerMsg::SnapshotPart { id: s, offset: 0, data: data.clone() });
        l.event(SnapshotEvent::Stored { id: s, held });
        l.event(SnapshotEvent::Unsound(s));
        assert_eq!(about_snapshots(l.tick()), [], "{failures}");
        let pause = (TIMEOUT_MS * 4 * failures).min(256 * TIMEOUT_MS);
        assert_eq!(about_snapshots(l.pass_ms(pause - 1)), [], "{failures}");
        let asked = about_snapshots(l.pass_ms(1));
        assert_eq!(asked, [(next, fetch(None, 0))], "{failures}");
    }
}

/// R26: what an acceptor has forgotten, and no snapshot has, can come from nowhere where there is
/// no other learner. Whoever drives the learner is told.
#[test]
fn r26_a_sole_learner_that_lost_its_snapshot_says_so() {
    let role = Learner::new(
        LearnerOptions {
            me: member(1),
            life: life(1),
            proposer: NodeId(1),
            layout: layout(1),
            timing: Timing::default(),
            limits: Limits::default(),
        },
        Journal::default(),
    );
    let mut l = Alone { role, now: Now(0) };
    l.found(None, None);
    l.hear(1, LearnerMsg::Roster(Box::new(roster(1))));
    l.hear(1, entries(0, 4));
    assert_eq!(l.role.unmendable(), None);
    l.hear(1, forgotten(6));
    let (trimmed, applied_below) = (Slot(6), Slot(4));
    assert_eq!(l.role.unmendable(), Some(Unmendable::Forgotten { trimmed, applied_below }));

    let mut others = fresh(Limits::default());
    others.hear(1, forgotten(6));
    assert_eq!(others.role.unmendable(), None, "others may have it");
}

/// R24: a snapshot that another cluster left behind says nothing about this one's slots, however
/// the learner came to speak for it.
#[test]
fn r24_what_another_cluster_covers_is_not_forgotten() {
    let mut a = acceptor(Limits::default());
    let (cluster, below) = (roster(4).cluster_id(), Slot(5));
    let covered = AcceptorMsg::Covered { cluster, below, log_time_ms: 9 };
    assert_eq!(a.hear(1, covered), silence());
    assert_eq!(a.role.status().trimmed, Slot(0));
}

/// R24: a learner that starts from a snapshot asks the acceptor beside it of which cluster it is,
/// until that one answers, and says so if it is another one. What acceptors of other nodes say does
/// not count: they may be the ones that are wrong.
#[test]
fn r24_a_snapshot_of_another_cluster_is_found_out() {
    let ask = AcceptorMsg::AskRoster { role: RoleName::Learner };
    let asks = |out: Output<SnapshotPiece>| out.mail.iter().any(|m| m.packet == ask.clone().into());
    for (acceptors, is_ours) in [(3, true), (4, false)] {
        let (me, layout) = (member(1), layout(3));
        let (timing, limits) = (Timing::default(), Limits::default());
        let (life, proposer) = (life(1), NodeId(1));
        let options = LearnerOptions { me, life, proposer, layout, timing, limits };
        let mut l = Alone { role: Learner::new(options, Journal::default()), now: Now(0) };
        let header =
            SnapshotPiece::Header { below: Slot(9), log_time_ms: 63, configuration: roster(3) };
        l.role.replay(header);
        l.found(Some(id(9, 10)), None);
        assert!(asks(l.tick()) && asks(l.pass_ms(TIMEOUT_MS)));
        l.hear(2, LearnerMsg::Roster(Box::new(roster(5))));
        assert_eq!(l.role.unmendable(), None);
        assert!(asks(l.pass_ms(TIMEOUT_MS)));
        l.hear(1, LearnerMsg::Roster(Box::new(roster(acceptors))));
        assert!(!asks(l.pass_ms(TIMEOUT_MS)));
        let (snapshot, acceptor) = (roster(3).cluster_id(), roster(acceptors).cluster_id());
        let wrong = Unmendable::OtherCluster { snapshot, acceptor };
        assert_eq!(l.role.unmendable(), (!is_ours).then_some(wrong));
    }
}
