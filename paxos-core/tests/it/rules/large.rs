//! Entries so large that links take their time: what bounds them, and what a leader and a candidate
//! make of answers that come late (rules R6, R9, R10).

use super::alone::*;
use paxos_core::*;

const MIB: usize = 1 << 20;

fn large(nonce: u64, bytes: usize) -> Command {
    let body = Body::Run {
        session: session(0, 0),
        sequence: nonce,
        acked_below: 0,
        value: vec![7; bytes].into(),
    };
    Command { client: CLIENT, learner: NodeId(1), body }
}

/// How many bytes of entries an output proposes, each counted once.
fn proposed(out: &Output<NoRecord>) -> usize {
    proposals(out).iter().map(|(_, _, entry)| entry.weight()).sum()
}

fn ack(ballot: Ballot, round: u64) -> ProposerMsg {
    ProposerMsg::HeartbeatAck { ballot, round, chosen_below: Slot(0) }
}

/// The acceptors that are asked for a vote in an output.
fn asked(out: &Output<NoRecord>) -> Vec<u64> {
    let accepts = out.mail.iter().filter(|mail| mail.packet.kind() == Kind::Accept);
    accepts.map(|mail| mail.to.0).collect()
}

/// Bytes under way are bounded, as slots are: at first one large entry goes at a time. What comes
/// back soon makes room, up to the limit; what comes back late takes it away.
///
/// Forty commands of a mebibyte queue at a leader whose window is 64 slots.
#[test]
pub fn bytes_under_way_are_bounded_by_what_comes_back_in_time() {
    let layout = Layout { window: 64, ..layout(3) };
    let mut p = proposer(ProposerOptions { layout, ..options() });
    let (b, _) = p.lead(nothing(), nothing());
    let first = p.propose((0..40).map(|n| large(n, MIB)).collect());
    assert_eq!(proposals(&first).len(), 1, "one always goes");
    let mut under_way = 1;
    let mut most = 0;
    for n in 1..=20 {
        p.now = p.now.plus(1000);
        p.voted(2, b, slots(n - 1, n));
        under_way -= 1;
        under_way += proposals(&p.voted(3, b, slots(n - 1, n))).len();
        most = most.max(under_way);
    }
    assert_eq!(most, 3, "4 MiB hold three such entries with what is around them");
    let mut left = 0;
    for n in 21..=30 {
        p.now = p.now.plus(100_000);
        p.voted(2, b, slots(n - 1, n));
        under_way -= 1;
        left = proposals(&p.voted(3, b, slots(n - 1, n))).len();
        under_way += left;
    }
    assert_eq!((under_way, left), (1, 1), "late ones go one at a time again");
}

/// The window bounds slots, whatever the room for bytes is (R20).
#[test]
fn r20_the_window_holds_whatever_room_there_is_for_bytes() {
    let layout = Layout { window: 2, ..layout(3) };
    let mut p = proposer(ProposerOptions { layout, ..options() });
    p.lead(nothing(), nothing());
    let counts = [0, 1, 2].map(|n| proposals(&p.propose(vec![register(n)])).len());
    assert_eq!(counts, [1, 1, 0]);
}

/// A small command does not overtake a large one that must wait, and an entry has no more bytes
/// than there is room for.
#[test]
fn what_must_wait_goes_first_when_there_is_room() {
    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    let room = Limits::default().flight_bytes_max / 16;
    let small: Vec<_> = (0..100).map(|n| large(n, room / 10)).collect();
    let first = p.propose(small);
    assert!(proposed(&first) <= room + 32 && proposed(&first) > room * 8 / 10);
    p.propose(vec![large(100, MIB)]);
    assert_eq!(proposals(&p.propose(vec![register(1)])), vec![]);
    let mut slot = 1;
    let mut order = Vec::new();
    while order.len() < 92 {
        p.now = p.now.plus(1000);
        p.voted(2, b, slots(0, slot));
        let next = p.voted(3, b, slots(0, slot));
        slot += 1;
        order.extend(proposals(&next).iter().flat_map(|(_, _, e)| e.commands.to_vec()));
        p.applied(slot - 1);
        assert!(slot < 200, "it moves");
    }
    let sequences = order.iter().filter_map(|command| match command.body {
        Body::Run { sequence, .. } => Some(sequence),
        Body::Register { .. } => None,
    });
    assert!(sequences.is_sorted());
    assert_eq!(order.last(), Some(&register(1)));
}

/// R10: a new vote is an answer, as of when its proposal was first sent.
///
/// No heartbeat is answered. Votes of node 2 and of the own acceptor come 100 ms after each
/// proposal was sent: the leader stays for 300 ms from the last sending, and no longer, although
/// the last vote came later.
#[test]
fn r10_votes_keep_a_leader_whose_heartbeats_wait() {
    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    let mut sent_at = p.now;
    for n in 0..10 {
        sent_at = p.now;
        assert_eq!(proposals(&p.propose(vec![register(n)])).len(), 1);
        for _ in 0..10 {
            p.pass_ms(10);
            assert_eq!(p.role.status().stance, StanceName::Lead);
        }
        p.voted(1, b, slots(0, n + 1));
        p.voted(2, b, slots(0, n + 1));
        p.applied(n + 1);
    }
    while p.now.since(sent_at) < 300_000 {
        p.pass_ms(10);
    }
    assert_eq!(p.role.status().stance, StanceName::Lead);
    assert_eq!(p.pass_ms(1), silence());
    assert_eq!(p.role.status().stance, StanceName::Follow);
}

/// R10: a vote that was under way for long says nothing of the present.
///
/// A proposal is sent, and sent again to node 2, which answers heartbeats until 200 ms and then
/// falls silent. Its vote arrives at 450 ms, twice. It may be the answer to the first sending.
#[test]
fn r10_a_late_vote_counts_from_the_first_sending() {
    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    let led_at = p.now;
    p.propose(vec![register(0)]);
    let mut again = Vec::new();
    for round in 2..=5 {
        again.extend(asked(&p.pass_ms(50)));
        p.hear(1, ack(b, round));
        p.hear(2, ack(b, round));
    }
    assert_eq!(again, [1, 2, 1, 2], "it must be lost, at 100 ms and at 200 ms");
    while p.now.since(led_at) < 450_000 {
        p.pass_ms(10);
    }
    p.voted(1, b, slots(0, 1));
    p.voted(2, b, slots(0, 1));
    p.voted(2, b, slots(0, 1));
    while p.now.since(led_at) < 500_000 {
        p.pass_ms(10);
        assert_eq!(p.role.status().stance, StanceName::Lead);
    }
    p.pass_ms(1);
    assert_eq!(
        p.role.status().stance,
        StanceName::Follow,
        "300 ms after the last echo was asked for"
    );
}

/// What is not answered is not sent again into a link that is at work on it.
///
/// Nodes 1 and 2 vote for slot after slot, each 50 ms late; node 3 is silent. Nothing is sent
/// twice. Then node 3 echoes a heartbeat: it gets what is not chosen yet, once.
#[test]
fn a_proposal_is_sent_again_only_when_it_must_be_lost() {
    let mut p = proposer(options());
    let (b, _) = p.lead(nothing(), nothing());
    for n in 0..5 {
        p.propose(vec![register(n)]);
    }
    for slot in 0..3 {
        for _ in 0..5 {
            assert_eq!(asked(&p.pass_ms(10)), [0; 0]);
        }
        p.voted(1, b, slots(0, slot + 1));
        p.voted(2, b, slots(0, slot + 1));
    }
    p.hear(3, ack(b, 3));
    assert_eq!(asked(&p.pass_ms(10)), [3, 3]);
    assert_eq!(asked(&p.pass_ms(10)), [0; 0]);
}

/// A promise with a vote at slot `n`, and more to come.
fn part_of_many(n: u64) -> PromisePart {
    let vote = Vote { ballot: ballot(0, 2), entry: entry(n) };
    PromisePart {
        from: Slot(n),
        below: Some(Slot(n + 1)),
        votes: vec![(Slot(n), vote)],
        ..nothing()
    }
}

/// The `Prepare`s of an output: to whom, and from which slot on.
fn prepares(out: &Output<NoRecord>) -> Vec<(u64, u64)> {
    let prepares = out.mail.iter().filter_map(|mail| match mail.packet {
        Packet::Acceptor(AcceptorMsg::Prepare { from, .. }) => Some((mail.to.0, from.0)),
        _ => None,
    });
    prepares.collect()
}

/// R6: parts are asked for one after the other, and each new one renews the candidate's patience;
/// but no campaign lasts for longer than 20 election timeouts.
///
/// Node 2's promise is without end: a part comes each 250 ms. Only a new part makes the candidate
/// ask for the next.
#[test]
fn r06_a_campaign_lasts_as_long_as_parts_come() {
    let mut p = proposer(options());
    let b = p.campaign();
    let began_at = p.now;
    let mut n = 0;
    while p.role.status().stance == StanceName::Campaign {
        for _ in 0..25 {
            p.pass_ms(10);
        }
        let part = ProposerMsg::Promise { ballot: b, part: Box::new(part_of_many(n)) };
        let next = p.hear(2, part.clone());
        if p.role.status().stance == StanceName::Campaign {
            assert!(prepares(&next).contains(&(2, n + 1)), "{next:?}");
            assert_eq!(p.hear(2, part), silence());
        }
        n += 1;
    }
    let lasted = p.now.since(began_at);
    assert!((6_000_000..6_300_000).contains(&lasted), "{lasted}");
    assert_eq!(p.role.status().stance, StanceName::Follow);
}

/// R6: who was asked for a part is asked again less and less often: the part may be large.
///
/// Nobody answers. In 450 ms each acceptor is asked after 50 and after 100 ms more.
#[test]
fn r06_a_part_is_asked_for_again_with_patience() {
    let mut p = proposer(options());
    p.campaign();
    let began_at = p.now;
    let mut times = Vec::new();
    while p.now.since(began_at) < 300_000 {
        if prepares(&p.pass_ms(10)) == [(1, 0), (2, 0), (3, 0)] {
            times.push(p.now.since(began_at) / 1000);
        }
    }
    assert_eq!(times, [50, 150]);
}

/// R9: an acceptor that gives away a promise part by part welcomes nobody else meanwhile, but one
/// that only promised does.
#[test]
fn r09_a_campaign_that_moves_is_not_disturbed() {
    let mut a = acceptor(Limits::default());
    let b = ballot(1, 2);
    let poll = AcceptorMsg::Poll { attempt: 5 };
    let consents = |out: Output<Record>| match packet(&out) {
        Some(Packet::Proposer(ProposerMsg::Polled { consent, .. })) => consent,
        _ => panic!("no answer but {out:?}"),
    };
    a.hear(2, AcceptorMsg::Prepare { ballot: b, from: Slot(0) });
    assert!(consents(a.hear(3, poll.clone())));
    a.hear(2, AcceptorMsg::Prepare { ballot: b, from: Slot(1) });
    assert!(!consents(a.hear(3, poll.clone())));
    a.now = a.now.plus(300_000);
    assert!(consents(a.hear(3, poll)));
}

/// A command that no entry may hold is refused at the client, and by every proposer that it
/// reaches: its call ends, since to try again is no use.
///
/// The limit is 100 bytes. A value of 101 ends at once, and leaves nothing behind; one of 100 goes
/// out. A client with another limit sends 101 bytes: a proposer that follows does not forward them,
/// one that leads does not propose them, and what came with them is proposed.
#[test]
fn r17_what_is_too_large_is_refused_for_good() {
    let limits = Limits { value_bytes_max: 100, ..Limits::default() };
    let refusal = Refusal::TooLarge { bytes: 101, bytes_max: 100 };
    let client = |limits| {
        let me = member(CLIENT.0);
        let nodes = vec![NodeId(1), NodeId(2)];
        Client::new(ClientOptions { me, nodes, seed: 1, retry_us: 100_000, limits })
    };
    let (now, far) = (Now(0), Now(60_000_000));
    let mut out = Output::new();
    let mut c = client(limits);
    let write = c.write(now, vec![0; 101].into(), far, &mut out);
    let read = c.read(now, vec![0; 101].into(), far, &mut out);
    let refused = Outcome::NotApplied(refusal);
    assert_eq!(
        c.finished().collect::<Vec<_>>(),
        [(write, refused.clone()), (read, refused.clone())]
    );
    assert!(out.is_empty());
    c.write(now, vec![0; 100].into(), far, &mut out);
    assert!(c.finished().next().is_none() && !out.is_empty());

    let too_large =
        ClientMsg::TooLarge { session: session(0, 0), sequence: 7, bytes: 101, bytes_max: 100 };
    let told = |out: Output<NoRecord>| {
        assert_eq!(packet(&out), Some(Packet::Client(too_large.clone())));
        out
    };
    let mut p = proposer(ProposerOptions { limits, ..options() });
    let follows = ballot(1, 2);
    p.hear(2, ProposerMsg::Leading { ballot: follows });
    let kinds = |out: Output<NoRecord>| out.mail.into_iter().map(|mail| mail.packet.kind());
    let kinds: Vec<_> = kinds(told(p.propose(vec![large(7, 101)]))).collect();
    assert_eq!(kinds, [Kind::TooLarge, Kind::LeaderHint]);
    p.lead(nothing(), nothing());
    let commands = vec![large(7, 101), large(8, 100)];
    let out = told(p.hear(2, ProposerMsg::Propose { commands, hops: 1 }));
    assert_eq!(proposals(&out)[0].2.commands.to_vec(), [large(8, 100)]);
}

/// R17: what is too large for one node may have been applied by another, whose limit is higher.
///
/// A client sends a write twice, to two nodes, of which the second refuses.
#[test]
fn r17_one_refusal_says_nothing_of_another_attempt() {
    let opened = |c: &mut Alone<Client>| {
        let mut out = Output::new();
        let call = c.role.write(c.now, vec![0; 101].into(), Now(60_000_000), &mut out);
        let Some(Packet::Proposer(ProposerMsg::Propose { commands, .. })) = packet(&out) else {
            panic!("{out:?}")
        };
        let Body::Register { nonce } = commands[0].body else { panic!("{commands:?}") };
        let (session, rules) = (session(0, 0), SessionRules::default());
        c.hear(1, ClientMsg::Registered { nonce, session, rules });
        call
    };
    let fresh = || {
        let (me, nodes, limits) = (member(90), vec![NodeId(1), NodeId(2)], Limits::default());
        let role = Client::new(ClientOptions { me, nodes, seed: 1, retry_us: 100_000, limits });
        Alone { role, now: Now(0) }
    };
    let (bytes, bytes_max) = (101, 100);
    let too_large = ClientMsg::TooLarge { session: session(0, 0), sequence: 0, bytes, bytes_max };
    let mut c = fresh();
    let call = opened(&mut c);
    c.hear(1, too_large.clone());
    let refused = Outcome::NotApplied(Refusal::TooLarge { bytes, bytes_max });
    assert_eq!(c.role.finished().collect::<Vec<_>>(), [(call, refused)]);

    let mut c = fresh();
    let call = opened(&mut c);
    assert_eq!(c.pass_ms(200).mail.len(), 1, "it is sent again");
    c.hear(2, too_large);
    let ticket = Ticket { session: session(0, 0), sequence: 0 };
    assert_eq!(c.role.finished().collect::<Vec<_>>(), [(call, Outcome::Unknown(ticket))]);
}
