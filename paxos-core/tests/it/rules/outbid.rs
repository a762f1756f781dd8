//! A leader, and a member that has promised a ballot which nobody leads.

use paxos_core::*;

const STEP_US: u64 = 10_000;

fn member(node: u64) -> MemberId {
    MemberId { node: NodeId(node), incarnation: Incarnation(node) }
}

/// Node 3 asked for promises while its links were cut: its own acceptor alone has promised. The
/// links are mended, and node 1 leads in a lower ballot with the votes of 1 and 2.
#[test]
fn a_member_that_promised_a_lost_ballot_votes_again() {
    let layout = Layout::full(&[NodeId(1), NodeId(2), NodeId(3)]).unwrap();
    let (timing, limits) = (Timing::default(), Limits::default());
    let roster = layout.roster(|node| Some(Incarnation(node.0))).unwrap();
    let mut acceptors: Vec<Acceptor> = (1..=3)
        .map(|node| {
            let (me, layout) = (member(node), layout.clone());
            let mut acceptor = Acceptor::new(AcceptorOptions { me, layout, timing, limits });
            acceptor.replay(Record::Roster(roster.clone()));
            acceptor.replay(Record::Formed);
            acceptor
        })
        .collect();
    let (me, learner, layout) = (member(1), NodeId(1), layout);
    let options = ProposerOptions { me, life: 1, seed: 1, learner, layout, timing, limits };
    let mut proposer = Proposer::new(options);
    let mut out = Output::new();
    proposer.receive(Now(0), member(1), ProposerMsg::Roster(roster), &mut out);

    let mut lost = None;
    for now in (0..10_000_000).step_by(STEP_US as usize).map(Now) {
        if lost.is_none() && now > Now(1_000_000) {
            assert_eq!(proposer.status().stance, StanceName::Lead);
            let round = proposer.status().ballot.round + 1;
            let ballot = Ballot { round, node: NodeId(3), life: 9 };
            let prepare = AcceptorMsg::Prepare { ballot };
            acceptors[2].receive(now, member(3), prepare, &mut Output::new());
            lost = Some(ballot);
        }
        let mut out = Output::new();
        proposer.tick(now, &mut out);
        while !out.mail.is_empty() {
            let mut next = Output::new();
            for mail in out.mail {
                let at = mail.to.0 as usize - 1;
                let Packet::Acceptor(msg) = mail.packet else { continue };
                let mut answer = Output::new();
                acceptors[at].receive(now, me, msg, &mut answer);
                for mail in answer.mail {
                    let Packet::Proposer(msg) = mail.packet else { continue };
                    proposer.receive(now, member(at as u64 + 1), msg, &mut next);
                }
            }
            out = next;
        }
    }
    let ProposerStatus { stance, ballot, .. } = proposer.status();
    assert_eq!(stance, StanceName::Lead);
    assert!(lost.is_some_and(|lost| ballot > lost), "it still leads in {ballot}");
    assert!(acceptors.iter().all(|acceptor| acceptor.status().promised == ballot));
    assert_eq!(proposer.status().campaigns, 2, "one new ballot is enough");
}
