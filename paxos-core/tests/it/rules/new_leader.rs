//! Where a new leader begins: rule R7.
//!
//! It begins at C, the highest `chosen_below` of the acceptors that promised, or below it: what its
//! own learner has not applied below C, the learner fetches from the acceptor that holds it.

use super::alone::*;
use super::bench::*;
use paxos_core::*;

fn proposed_slots(bench: &Bench, mark: usize) -> Vec<u64> {
    let mut slots: Vec<u64> = Vec::new();
    for letter in &bench.sent[mark..] {
        if let Packet::Acceptor(AcceptorMsg::Accept { slot, .. }) = letter.packet {
            slots.push(slot.0);
        }
    }
    slots.sort_unstable();
    slots.dedup();
    slots
}

/// Three nodes, of which node 1 leads. A session is opened in slot 0, which all learn; then four
/// writes are chosen in slots 1 to 4. All vote for them, but learners hear that they are chosen
/// only where `heard` says so, and acceptors do not hear it at all.
fn written(heard: impl Fn(&Letter) -> bool + 'static) -> Bench {
    let mut bench = Bench::led(3);
    let s = bench.open(1);
    bench.lose(move |l| l.is(Kind::Chosen) && !heard(l));
    for (sequence, value) in (0..).zip(["a", "b", "c", "d"]) {
        bench.propose(1, vec![write(s, sequence, 0, value)]);
    }
    bench.settle();
    assert_eq!(bench.proposer(1).chosen_below, Slot(5));
    bench
}

/// R7: what only the new leader's learner knew as chosen reaches the others.
///
/// The promises tell of votes at slots 2 to 4, and of slots 0 and 1 as chosen. The own learner has
/// applied through slot 4. The leader proposes slots 2 to 4 again, so that its `Chosen` covers
/// them.
#[test]
fn r07_what_only_the_own_learner_applied_is_proposed_again() {
    let mut p = proposer(options());
    p.applied(5);
    let votes = (2..5).map(|n| (Slot(n), Vote { ballot: ballot(1, 2), entry: entry(n) }));
    let votes = votes.collect();
    let part = PromisePart { chosen_below: Slot(2), from: Slot(2), votes, ..nothing() };
    let (b, first) = p.lead(part, nothing());
    let expected: Vec<_> = (2..5).map(|n| (b, Slot(n), entry(n))).collect();
    assert_eq!(proposals(&first), expected);
    p.voted(2, b, slots(2, 5));
    let chosen = LearnerMsg::Chosen { ballot: b, slots: slots(2, 5) };
    assert_eq!(p.voted(3, b, slots(2, 5)), mail(to_all(chosen)));
}

/// R7, with whole nodes: only node 2 hears what was chosen; the leader dies; node 2 leads, and node
/// 3 hears it from there.
#[test]
fn r07_what_only_the_new_leader_knew_reaches_the_others() {
    let mut bench = written(|l| l.to(2));
    assert_eq!([1, 2, 3].map(|n| bench.journal(n).text()), ["", "a b c d", ""]);
    bench.crash(1);
    bench.heal();
    bench.lead(2);
    assert_eq!([2, 3].map(|n| bench.journal(n).text()), ["a b c d"; 2]);
}

/// R7: what was chosen and no learner applied is applied everywhere under the next leader.
///
/// No `Chosen` of the writes arrives anywhere; the leader dies; node 3 leads.
#[test]
fn r07_what_no_learner_applied_is_proposed_again() {
    let mut bench = written(|_| false);
    assert_eq!([1, 2, 3].map(|n| bench.journal(n).text()), [""; 3]);
    bench.crash(1);
    bench.heal();
    bench.lead(3);
    assert_eq!([2, 3].map(|n| bench.journal(n).text()), ["a b c d"; 2]);
}

/// Three nodes; acceptor 1 alone holds slots 1 to 4 as chosen, and only the learners have applied
/// them that `heard` of it. Node 1 has promised node 3, which leads from slot 5 on.
fn skipping(heard: impl Fn(&Letter) -> bool + 'static) -> (Bench, usize) {
    let mut bench = written(heard);
    // A heartbeat that only the leader's own acceptor hears.
    bench.lose(|l| l.is(Kind::Chosen) || l.crosses(1));
    bench.now = bench.now.plus(50_000);
    bench.tick(1);
    bench.settle();
    assert_eq!([1, 2, 3].map(|n| bench.acceptor(n).chosen_below), [Slot(5), Slot(1), Slot(1)]);
    // The election of node 3 by nodes 1 and 3; entries do not get through yet.
    bench.lose(|l| l.crosses(2) || l.is(Kind::Entries) || l.is(Kind::Chosen));
    let mark = bench.sent.len();
    bench.lead(3);
    assert_eq!(bench.proposer(3).chosen_below, Slot(5));
    assert_eq!(proposed_slots(&bench, mark), [0; 0]);
    (bench, mark)
}

/// R7, where the design goes further: slots that an acceptor of the quorum holds as chosen are not
/// proposed again, but fetched.
///
/// Node 3 leads from slot 5 on. When the network heals, its learner and those of the others fetch
/// slots 1 to 4 from acceptor 1, and a write at slot 5 follows.
#[test]
fn r07_what_an_acceptor_holds_as_chosen_is_fetched() {
    let (mut bench, mark) = skipping(|_| false);
    bench.heal();
    bench.pass_ms(1000);
    assert_eq!(bench.leader(), Some(3));
    bench.propose(3, vec![write(session(0, 0), 4, 0, "e")]);
    bench.settle();
    assert_eq!([1, 2, 3].map(|n| bench.journal(n).text()), ["a b c d e"; 3]);
    assert_eq!(proposed_slots(&bench, mark), [5]);
}

/// R7: a leader that began above what any live acceptor can give away steps down and begins anew.
///
/// As before, but node 1 dies before anyone has fetched. Node 3 leads on, and can apply nothing.
/// After five election timeouts it steps down; the next leader has only promises of acceptors 2 and
/// 3, which tell of the votes, and proposes slots 1 to 4 again.
#[test]
fn r07_a_leader_that_can_fetch_nothing_steps_down() {
    let (mut bench, mark) = skipping(|_| false);
    let first = bench.proposer(3).ballot;
    bench.crash(1);
    bench.heal();
    bench.pass_ms(1400);
    assert_eq!(bench.proposer(3).ballot, first, "it has patience");
    assert_eq!([2, 3].map(|n| bench.journal(n).text()), [""; 2]);
    bench.pass_ms(2600);
    let leader = bench.leader().expect("one leads");
    assert!(bench.proposer(leader).ballot > first);
    assert_eq!([2, 3].map(|n| bench.journal(n).text()), ["a b c d"; 2]);
    assert_eq!(proposed_slots(&bench, mark), [1, 2, 3, 4]);
}

/// R7: the same where the leader's own learner lacks nothing, for the sake of the others.
///
/// As before, but the learner of node 3 had applied slots 1 to 4. Node 3 leads on, at ease, and has
/// writes chosen every 100 ms; but nobody can give slots 1 to 4 to node 2.
#[test]
fn r07_a_leader_steps_down_for_what_others_cannot_fetch() {
    let (mut bench, mark) = skipping(|l| l.to(3));
    let first = bench.proposer(3).ballot;
    bench.crash(1);
    bench.heal();
    for sequence in 4..18 {
        bench.propose(3, vec![write(session(0, 0), sequence, sequence, "e")]);
        bench.pass_ms(100);
    }
    assert_eq!(bench.proposer(3).ballot, first, "it has patience");
    assert_eq!(bench.proposer(3).chosen_below, Slot(19));
    assert_eq!(bench.journal(2).text(), "");
    assert!(proposed_slots(&bench, mark).into_iter().eq(5..19));
    bench.pass_ms(2600);
    let leader = bench.leader().expect("one leads");
    assert!(bench.proposer(leader).ballot > first);
    assert_eq!(bench.journal(2).text(), bench.journal(3).text());
    assert!(proposed_slots(&bench, mark).into_iter().eq(1..19));
}

/// R7: a proposer that has no learner of its own names the one that it is paired with.
///
/// Node 1 is paired with the learner of node 2. How far that one has applied opens the window of
/// two slots; what another learner says, even that of its own node, does not.
#[test]
fn r07_a_proposer_listens_to_the_learner_it_is_paired_with() {
    let layout = Layout { window: 2, ..layout(3) };
    let mut p = proposer(ProposerOptions { learner: NodeId(2), layout, ..options() });
    let (b, _) = p.lead(nothing(), nothing());
    let command = |n| Command { learner: NodeId(2), ..register(n) };
    for n in 0..3 {
        p.propose(vec![register(n)]);
    }
    p.voted(2, b, slots(0, 2));
    p.voted(3, b, slots(0, 2));
    let progress =
        ProposerMsg::Progress { applied_below: Slot(2), log_time_ms: 0, expiry_ms: None };
    assert_eq!(p.hear(1, progress.clone()), silence());
    assert_eq!(p.hear(3, progress.clone()), silence());
    let third = accept(b, 2, batch(0, vec![command(2)]), slots(0, 2));
    assert_eq!(p.hear(2, progress), mail(to_all(third)));
}
