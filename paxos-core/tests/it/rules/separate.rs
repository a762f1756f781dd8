//! Roles on nodes of their own: rules R7 and R15 for a proposer and the learner it is paired with,
//! R4 for a learner and who feeds it, R26 for acceptors that only vote.

use super::alone::*;
use paxos_core::*;

const TIMEOUT_MS: u64 = 300;

/// Acceptors at nodes 1, 2 and 3, proposers at 4 and 5, learners at 6 and 7, fed by 1 and 2.
fn layout() -> Layout {
    let part = |text: &str| text.parse::<Part>().unwrap();
    let parts = [
        (1, part("acceptor")),
        (2, part("acceptor")),
        (3, part("acceptor")),
        (4, part("proposer")),
        (5, part("proposer")),
        (6, part("learner")),
        (7, part("learner")),
    ];
    let parts = parts.map(|(node, part)| (NodeId(node), part));
    Layout::of(&parts.into(), QuorumRule::Majority).unwrap()
}

fn roster() -> Configuration {
    layout().roster(|node| Some(member(node.0).incarnation)).unwrap()
}

/// The proposer of node 4, which is paired with the learner of node 6.
fn lone_proposer() -> Alone<Proposer> {
    let learner = layout().learner_of(NodeId(4)).unwrap();
    assert_eq!(learner, NodeId(6));
    proposer(ProposerOptions {
        me: member(4),
        life: life(4),
        learner,
        layout: layout(),
        ..options()
    })
}

/// The learner of node 6, which knows the configuration, and has asked its feeder once.
fn lone_learner() -> Alone<Learner<Journal>> {
    let options = LearnerOptions {
        me: member(6),
        life: life(6),
        proposer: layout().proposer_of(NodeId(6)).unwrap(),
        layout: layout(),
        timing: Timing::default(),
        limits: Limits::default(),
    };
    let role = Learner::new(options, Journal::default());
    let mut alone = Alone { role, now: Now(0) };
    assert_eq!(fetches(&alone.hear(1, LearnerMsg::Roster(Box::new(roster())))), [1]);
    alone
}

/// An acceptor of node `node` that has formed its cluster.
fn voter(node: u64) -> Alone<Acceptor> {
    let (timing, limits) = (Timing::default(), Limits::default());
    let options = AcceptorOptions { me: member(node), layout: layout(), timing, limits };
    let mut role = Acceptor::new(options);
    role.replay(Record::Roster(Box::new(roster())));
    role.replay(Record::Formed);
    Alone { role, now: Now(0) }
}

fn progress(below: u64) -> ProposerMsg {
    ProposerMsg::Progress { life: 1, applied_below: Slot(below), log_time_ms: 0, expiry_ms: None }
}

/// Acceptors that were asked for chosen entries.
fn fetches(out: &Output<SnapshotPiece>) -> Vec<u64> {
    let fetch = |mail: &&Outgoing| {
        matches!(mail.packet, Packet::Acceptor(AcceptorMsg::Fetch { role: RoleName::Learner, .. }))
    };
    out.mail.iter().filter(fetch).map(|mail| mail.to.0).collect()
}

fn fed(ballot: Ballot, slot: u64) -> LearnerMsg {
    LearnerMsg::Voted { slot: Slot(slot), vote: Vote { ballot, entry: entry(slot) } }
}

/// R15: a proposer without a learner names the one that it is paired with, whatever the client
/// port named; what another proposer forwards keeps the learner that was named first.
#[test]
fn r15_the_paired_learner_replies() {
    let mut p = lone_proposer();
    p.lead(nothing(), nothing());
    let command = |nonce, learner| Command { learner: NodeId(learner), ..register(nonce) };
    let out = p.propose(vec![command(1, 4)]);
    assert_eq!(proposals(&out)[0].2.commands[..], [command(1, 6)]);
    let forwarded = ProposerMsg::Propose { commands: vec![command(2, 7)], hops: 1 };
    let out = p.hear(5, forwarded);
    assert_eq!(proposals(&out)[0].2.commands[..], [command(2, 7)]);
}

/// R15: the learner that a command names sends the reply to the node whose client port took it,
/// wherever that is; the other learners are silent.
#[test]
fn r15_the_reply_goes_to_the_node_that_took_the_call() {
    let mut l = lone_learner();
    let b = ballot(1, 4);
    let to_3 = |nonce, learner| {
        let (client, learner) = (NodeId(3), NodeId(learner));
        Command { client, learner, ..register(nonce) }
    };
    let entry = batch(0, vec![to_3(1, 7), to_3(2, 6)]);
    l.hear(1, LearnerMsg::Voted { slot: Slot(0), vote: Vote { ballot: b, entry } });
    let out = l.hear(4, LearnerMsg::Chosen { ballot: b, slots: slots(0, 1) });
    let replies = out.mail.iter().filter(|mail| mail.packet.role() == RoleName::Client);
    let session = SessionId { slot: Slot(0), index: 1 };
    let registered =
        ClientMsg::Registered { nonce: 2, session, rules: SessionRules::default() }.into();
    let expected = Outgoing { to: NodeId(3), packet: registered };
    assert_eq!(replies.collect::<Vec<_>>(), [&expected]);
    let progress = out.mail.iter().filter(|mail| mail.packet.role() == RoleName::Proposer);
    let to: Vec<_> = progress.map(|mail| mail.to.0).collect();
    assert_eq!(to, [4], "the proposer that it is paired with hears: {out:?}");
}

/// R7, R20: how far a proposer without a learner may go is what its paired learner tells, and
/// nobody else.
///
/// The window is 2. Slots 0 and 1 are chosen; another learner has applied them, then its own.
#[test]
fn r07_only_the_paired_learner_moves_the_window() {
    let mut p = proposer(ProposerOptions {
        me: member(4),
        life: life(4),
        learner: NodeId(6),
        layout: Layout { window: 2, ..layout() },
        ..options()
    });
    let (b, _) = p.lead(nothing(), nothing());
    assert_eq!(proposals(&p.propose(vec![register(0)])).len(), 1);
    assert_eq!(proposals(&p.propose(vec![register(1)])).len(), 1);
    p.voted(2, b, slots(0, 2));
    p.voted(3, b, slots(0, 2));
    assert!(proposals(&p.propose(vec![register(2)])).is_empty(), "beyond the window");
    assert!(proposals(&p.hear(7, progress(2))).is_empty(), "the learner of another");
    let out = p.hear(6, progress(2));
    assert_eq!(proposals(&out)[0].1, Slot(2));
}

/// R6, R7: a proposer whose paired learner has not what an acceptor has forgotten does not lead;
/// once the learner has it, it does.
#[test]
fn r07_a_proposer_waits_for_its_learner_to_have_what_was_forgotten() {
    let mut p = lone_proposer();
    let promise =
        || PromisePart { trimmed: Slot(5), chosen_below: Slot(5), from: Slot(5), ..nothing() };
    let ballot = p.campaign();
    p.hear(2, ProposerMsg::Promise { ballot, part: Box::new(promise()) });
    p.hear(3, ProposerMsg::Promise { ballot, part: Box::new(promise()) });
    assert_eq!(p.role.status().stance, StanceName::Follow);
    p.hear(6, progress(5));
    p.lead(promise(), promise());
}

/// A leader whose paired learner has ended moves nothing and steps down (R10). It lets the others
/// go first: one of them has a learner.
///
/// One entry is chosen, and nobody says that it was applied. The others wait for at most two
/// election timeouts.
#[test]
fn r10_a_leader_without_its_learner_gives_way() {
    let mut p = lone_proposer();
    let (b, _) = p.lead(nothing(), nothing());
    p.propose(vec![register(0)]);
    p.voted(2, b, slots(0, 1));
    p.voted(3, b, slots(0, 1));
    let mut round = 0;
    let mut beat = |p: &mut Alone<Proposer>| {
        for packet in p.pass_ms(10).mail {
            if let Packet::Acceptor(AcceptorMsg::Heartbeat { round: r, .. }) = packet.packet {
                round = r;
            }
        }
        for node in [2, 3] {
            let chosen_below = Slot(1);
            p.hear(node, ProposerMsg::HeartbeatAck { ballot: b, round, chosen_below });
        }
    };
    let mut passed_ms = 0;
    while p.role.status().stance == StanceName::Lead {
        beat(&mut p);
        passed_ms += 10;
        assert!(passed_ms < 6 * TIMEOUT_MS, "it leads, and moves nothing");
    }
    for _ in 0..2 * TIMEOUT_MS / 10 {
        assert_eq!(p.pass_ms(10), silence(), "the others go first");
    }
    p.lead(nothing(), nothing());
}

/// R4: a learner whose feeder falls silent fetches from another acceptor, which feeds it from then
/// on; when its own is back, that one feeds it alone.
#[test]
fn r04_a_learner_whose_feeder_is_silent_is_fed_by_another() {
    let mut l = lone_learner();
    let b = ballot(1, 4);
    l.hear(1, fed(b, 0));
    l.hear(4, LearnerMsg::Chosen { ballot: b, slots: slots(0, 1) });
    assert_eq!(l.role.applied_below(), Slot(1));
    // Nothing comes from node 1 any more. It asks around.
    let mut asked = Vec::new();
    while !asked.iter().any(|&node| node != 1) {
        asked.extend(fetches(&l.pass_ms(TIMEOUT_MS)));
        assert!(asked.len() < 10, "it asks only its feeder: {asked:?}");
    }
    let other = *asked.iter().find(|&&node| node != 1).unwrap();
    // That acceptor takes it for one that has lost its feeder, and feeds it.
    let mut a = voter(other);
    let from = |n: u64| AcceptorMsg::Fetch { from: Slot(n), role: RoleName::Learner };
    a.hear(6, from(1));
    let out = a.hear(4, accept(b, 1, entry(1), slots(0, 1)));
    assert!(out.feed.iter().any(|mail| mail.to == NodeId(6)), "{out:?}");
    l.hear(other, fed(b, 1));
    l.hear(4, LearnerMsg::Chosen { ballot: b, slots: slots(0, 2) });
    assert_eq!(l.role.applied_below(), Slot(2));
    // It keeps asking that one, so that it stays fed.
    assert!(fetches(&l.pass_ms(TIMEOUT_MS)).contains(&other));
    // Its own feeder is back: the other is asked no more, and soon feeds it no more.
    l.hear(1, fed(b, 2));
    l.hear(4, LearnerMsg::Chosen { ballot: b, slots: slots(0, 3) });
    assert_eq!(fetches(&l.pass_ms(TIMEOUT_MS - 10)), [0; 0]);
    a.pass_ms(2 * TIMEOUT_MS);
    let out = a.hear(4, accept(b, 2, entry(2), slots(0, 2)));
    assert!(out.feed.iter().all(|mail| mail.to != NodeId(6)), "{out:?}");
}

/// R26: an acceptor that only votes forgets what learners on as many nodes as the smallest phase-2
/// quorum have on disk, and a learner's latest word counts: its disk may be a new one.
///
/// Quorums are two of three. Learner 6 has all below 5, learner 7 all below 3; then 7 is wiped and
/// has nothing, and comes to have all below 9.
#[test]
pub fn r26_an_acceptor_that_only_votes_waits_for_a_quorum_of_disks() {
    let mut a = voter(3);
    let cluster = roster().cluster_id();
    let covered = |below| AcceptorMsg::Covered { cluster, below: Slot(below), log_time_ms: below };
    let trimmed =
        |below| recorded(vec![Record::Trimmed { below: Slot(below), log_time_ms: below }], vec![]);
    assert_eq!(a.hear(6, covered(5)), silence(), "one disk is not enough");
    assert_eq!(a.hear(6, covered(5)), silence(), "the same disk twice");
    assert_eq!(a.hear(4, covered(5)), silence(), "no learner");
    assert_eq!(a.hear(7, covered(3)), trimmed(3));
    let wiped = MemberId { incarnation: Incarnation(999), ..member(7) };
    assert_eq!(a.hear_from(wiped, covered(0)), silence());
    assert_eq!(a.hear(6, covered(8)), silence(), "the wiped disk counts no more");
    assert_eq!(a.hear_from(wiped, covered(9)), trimmed(8));
    assert_eq!(a.role.status().trimmed, Slot(8));
}

/// R26: a learner without an acceptor tells all acceptors that have no learner beside them.
#[test]
fn r26_a_lone_learner_tells_every_voter_what_its_disk_has() {
    let mut l = lone_learner();
    let mut out = Output::new();
    let newest = SnapshotId { below: Slot(4), log_time_ms: 9, bytes: 10, crc: 1 };
    let found = SnapshotEvent::Found { newest: Some(newest), partial: None };
    assert!(!l.role.snapshot_event(l.now, found, &mut out));
    let out = l.pass_ms(TIMEOUT_MS);
    let cluster = roster().cluster_id();
    let covered = AcceptorMsg::Covered { cluster, below: Slot(4), log_time_ms: 9 };
    let told = out.mail.iter().filter(|mail| mail.packet == covered.clone().into());
    assert_eq!(told.map(|mail| mail.to.0).collect::<Vec<_>>(), [1, 2, 3]);
}

/// Invariant 6: where a node has no acceptor, any incarnation of it may speak for its other roles;
/// a node with an acceptor is known by its incarnation.
#[test]
fn i06_nodes_without_an_acceptor_are_known_by_their_number() {
    let other = |node| MemberId { incarnation: Incarnation(999), ..member(node) };
    let roster = roster();
    assert!(roster.has_proposer(other(4)) && roster.has_learner(other(6)));
    assert!(!roster.has_proposer(other(6)) && !roster.has_learner(other(4)));
    assert_eq!(roster.bit(other(1)), 0);
}
