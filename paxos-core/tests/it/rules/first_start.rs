//! First start: who the members are, before anyone votes: rule R23.

use super::alone::*;
use super::bench::*;
use paxos_core::*;

fn introduce(stored: Option<ClusterId>, formed: bool) -> AcceptorMsg {
    AcceptorMsg::Introduce { stored, formed }
}

/// Whether the letter says that its sender has stored a roster.
fn says_stored(letter: &Letter) -> bool {
    let AcceptorMsg::Introduce { stored, .. } = (match &letter.packet {
        Packet::Acceptor(msg) => msg,
        _ => return false,
    }) else {
        return false;
    };
    stored.is_some()
}

fn clusters(bench: &Bench) -> Vec<Option<ClusterId>> {
    bench.ids().into_iter().map(|id| bench.acceptor(id).cluster).collect()
}

fn formed(bench: &Bench) -> Vec<bool> {
    bench.ids().into_iter().map(|id| bench.acceptor(id).formed).collect()
}

/// Asserts that nobody has promised, voted or led.
fn assert_nobody_voted(bench: &Bench) {
    for kind in [Kind::Polled, Kind::Promise, Kind::Accepted, Kind::HeartbeatAck] {
        assert_eq!(bench.count(0, |l| l.is(kind)), 0, "{kind}");
    }
}

/// R23: one roster is stored, and no vote counts until all have stored exactly that and said so.
///
/// Node 1 starts, meets itself, node 2 and node 3, stores the roster, and says so. Nodes 1 and 2
/// say that they stored it; node 3 says that it stored another one; a stranger that it stored this
/// one. Node 1 is silent to whatever is asked of an acceptor. Then node 3 says that it stored the
/// same.
#[test]
fn r23_no_vote_before_all_have_stored_the_same_roster() {
    let (me, layout, timing) = (member(1), layout(3), Timing::default());
    let options = AcceptorOptions { me, layout, timing, limits: Limits::default() };
    let mut a = Alone { role: Acceptor::new(options), now: Now(0) };
    let id = Some(roster(3).cluster_id());
    assert_eq!(a.tick(), mail(to_all(introduce(None, false))));
    assert_eq!(a.hear(1, introduce(None, false)), silence());
    assert_eq!(a.hear(2, introduce(None, false)), silence());
    assert_eq!(a.hear(4, introduce(None, false)), silence(), "it is not laid out");
    let stored = a.hear(3, introduce(None, false));
    let said = to_all(introduce(id, false));
    assert_eq!(stored, recorded(vec![Record::Roster(Box::new(roster(3)))], said));

    assert_eq!(a.hear(1, introduce(id, false)), silence());
    assert_eq!(a.hear(2, introduce(id, false)), silence());
    assert_eq!(a.hear(3, introduce(None, false)), silence());
    assert_eq!(a.hear(3, introduce(Some(ClusterId(9)), true)), silence());
    let wiped = MemberId { incarnation: Incarnation(9), ..member(3) };
    assert_eq!(a.hear_from(wiped, introduce(id, true)), silence());
    let b = ballot(1, 2);
    let asked = [
        AcceptorMsg::AskRoster { role: RoleName::Proposer },
        AcceptorMsg::Poll { attempt: 1 },
        AcceptorMsg::Prepare { ballot: b, from: Slot::ZERO },
        accept(b, 0, entry(0), slots(0, 0)),
        AcceptorMsg::Heartbeat { ballot: b, round: 1, chosen: slots(0, 0) },
        AcceptorMsg::Fetch { from: Slot(0), role: RoleName::Learner },
    ];
    for msg in asked.clone() {
        assert_eq!(a.hear(2, msg), silence());
    }
    let all_said = a.hear(3, introduce(id, false));
    assert_eq!(all_said, recorded(vec![Record::Formed], to_all(introduce(id, true))));
    for msg in asked {
        assert_ne!(a.hear(2, msg), silence());
    }
}

/// R23: a member that forgot, or was down when the others formed, forms by what they say.
///
/// Node 1 has stored the roster; node 2 says that all have stored it.
#[test]
fn r23_one_that_has_formed_speaks_for_all() {
    let (me, layout, timing) = (member(1), layout(3), Timing::default());
    let options = AcceptorOptions { me, layout, timing, limits: Limits::default() };
    let mut a = Alone { role: Acceptor::new(options), now: Now(0) };
    a.role.replay(Record::Roster(Box::new(roster(3))));
    let id = Some(roster(3).cluster_id());
    let out = a.hear(2, introduce(id, true));
    assert_eq!(out, recorded(vec![Record::Formed], to_all(introduce(id, true))));
    // It tells those who ask, and no others: that would go on for ever.
    assert_eq!(a.hear(3, introduce(id, false)), mail(vec![(3, introduce(id, true).into())]));
    assert_eq!(a.hear(3, introduce(id, true)), silence());
}

/// R23: a member never stores another roster.
#[test]
#[should_panic(expected = "was told to store a second roster")]
fn r23_a_second_roster_is_never_stored() {
    acceptor(Limits::default()).role.replay(Record::Roster(Box::new(roster(5))));
}

/// R23: as long as one first member is missing, nobody votes.
///
/// Node 3 is cut off for five seconds; nodes 1 and 2 are a majority. Then it arrives.
#[test]
fn r23_a_majority_does_not_form_a_cluster() {
    let mut bench = Bench::new(Setup::nodes(3));
    bench.lose(|l| l.crosses(3));
    bench.pass_ms(5000);
    assert_eq!(clusters(&bench), [None; 3]);
    assert_nobody_voted(&bench);
    bench.heal();
    bench.pass_ms(2000);
    assert_eq!(formed(&bench), [true; 3]);
    assert_eq!(clusters(&bench), [Some(roster(3).cluster_id()); 3]);
    assert!(bench.leader().is_some());
}

/// R23: a crash between storing and forming does no harm.
///
/// All store the roster, but nobody hears so. For five seconds nobody votes. Node 3 crashes and
/// starts on its log; then all hear each other.
#[test]
fn r23_a_crash_between_storing_and_forming() {
    let mut bench = Bench::new(Setup::nodes(3));
    bench.lose(|l| says_stored(l) && l.sender.node != l.to);
    bench.pass_ms(5000);
    assert_eq!(clusters(&bench), [Some(roster(3).cluster_id()); 3]);
    assert_nobody_voted(&bench);
    bench.crash(3);
    bench.start(3);
    bench.pass_ms(5000);
    assert_eq!(formed(&bench), [false; 3]);
    assert_nobody_voted(&bench);
    bench.heal();
    bench.pass_ms(2000);
    assert_eq!(formed(&bench), [true; 3]);
    assert!(bench.leader().is_some());
}

/// R23: only what is durable is said to be stored.
///
/// The disk of node 3 stands still. It does not say that it stored the roster, nobody forms, and a
/// crash loses it. It starts again, with a disk that works, and meets the others anew.
#[test]
fn r23_what_is_said_to_be_stored_is_durable() {
    let mut bench = Bench::new(Setup::nodes(3));
    bench.stop_syncing(3);
    bench.pass_ms(5000);
    assert_eq!(bench.count(0, |l| l.from(3) && says_stored(l)), 0);
    assert_eq!(formed(&bench), [false; 3]);
    assert_nobody_voted(&bench);
    bench.crash(3);
    assert_eq!(bench.log(3), []);
    bench.start(3);
    bench.sync(3);
    bench.pass_ms(2000);
    assert_eq!(formed(&bench), [true; 3]);
}

/// R23: a member that was wiped between storing and forming is a stranger.
///
/// All store the roster, and only node 3's word of it is missing. Its disk is wiped, and it starts
/// again. It is not the node 3 of the roster that nodes 1 and 2 never replace: nobody ever votes.
#[test]
fn r23_a_member_wiped_before_forming_is_a_stranger() {
    let mut bench = Bench::new(Setup::nodes(3));
    bench.lose(|l| l.crosses(3) && says_stored(l));
    bench.pass_ms(1000);
    let before = clusters(&bench);
    assert_eq!(before, [Some(roster(3).cluster_id()); 3]);
    bench.crash(3);
    bench.wipe(3);
    bench.start(3);
    bench.heal();
    bench.pass_ms(10_000);
    assert_eq!(formed(&bench), [false; 3]);
    assert_eq!(clusters(&bench)[..2], before[..2]);
    assert_ne!(clusters(&bench)[2], before[2]);
    assert_nobody_voted(&bench);
}

/// R23: who was wiped before anyone else had stored the roster is met anew.
///
/// Node 3 meets the others and stores the roster, but they hear nothing of it. Its disk is wiped;
/// the network heals. The cluster forms with its new incarnation.
#[test]
fn r23_a_member_wiped_before_others_stored_is_met_anew() {
    let mut bench = Bench::new(Setup::nodes(3));
    bench.lose(|l| l.from(3) && !l.to(3));
    bench.pass_ms(1000);
    assert_eq!(clusters(&bench), [None, None, Some(roster(3).cluster_id())]);
    bench.crash(3);
    bench.wipe(3);
    bench.start(3);
    bench.heal();
    bench.pass_ms(2000);
    assert_eq!(formed(&bench), [true; 3]);
    assert_ne!(clusters(&bench)[0], Some(roster(3).cluster_id()));
    assert!(bench.leader().is_some());
}

/// R23: a member wiped after the cluster formed does not vote, and its word does not count.
///
/// Node 3 is wiped. Nodes 1 and 2 go on; without node 2, node 1 and the stranger choose nothing.
#[test]
fn r23_a_member_wiped_after_forming_does_not_vote() {
    let mut bench = Bench::led(3);
    bench.crash(3);
    bench.wipe(3);
    bench.start(3);
    let mark = bench.sent.len();
    bench.pass_ms(2000);
    assert!(!bench.acceptor(3).formed);
    let s = bench.open(1);
    bench.propose(1, vec![write(s, 0, 0, "x")]);
    bench.settle();
    assert_eq!(bench.journal(1).text(), "x");
    bench.crash(2);
    bench.propose(1, vec![write(s, 1, 0, "y")]);
    bench.pass_ms(10_000);
    assert_eq!(bench.journal(1).text(), "x");
    for kind in [Kind::Polled, Kind::Promise, Kind::Accepted, Kind::HeartbeatAck] {
        assert_eq!(bench.count(mark, |l| l.is(kind) && l.from(3)), 0, "{kind}");
    }
}

/// R23: the id of a cluster tells any two rosters apart, and whatever is equal everywhere is in it.
///
/// Among others: proposers [1, 2] and a learner (3, 4) are the same numbers in a row as proposers
/// [1, 2, 3, 4] and no learner, or none and learners (1, 2) and (3, 4).
#[test]
fn r23_the_id_of_a_cluster_tells_rosters_apart() {
    let whole = roster(3);
    let ids = |ids: &[u64]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
    let feed = |(learner, acceptor)| Feed { learner: NodeId(learner), acceptor: NodeId(acceptor) };
    let split = |proposers: &[u64], learners: &[(u64, u64)]| Configuration {
        proposers: ids(proposers),
        learners: learners.iter().copied().map(feed).collect(),
        ..whole.clone()
    };
    let ruled = |sessions| Configuration { sessions, ..whole.clone() };
    let rules = SessionRules::default();
    let mut fewer = whole.clone();
    fewer.acceptors.pop();
    let rosters = [
        whole.clone(),
        fewer,
        split(&[1, 2], &[(3, 4)]),
        split(&[1, 2, 3, 4], &[]),
        split(&[], &[(1, 2), (3, 4)]),
        Configuration { window: 17, ..whole.clone() },
        Configuration { quorums: Quorums::sizes(3, 3, 1).unwrap(), ..whole.clone() },
        ruled(SessionRules { ttl_ms: 1, ..rules }),
        ruled(SessionRules { sessions_max: 1, ..rules }),
        ruled(SessionRules { window: 1, ..rules }),
    ];
    let different: std::collections::BTreeSet<_> =
        rosters.iter().map(Configuration::cluster_id).collect();
    assert_eq!(different.len(), rosters.len());
}
