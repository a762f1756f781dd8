//! A leader, and a member that has promised a ballot which nobody leads.

use super::alone::{layout, member};
use paxos_core::*;

/// Acceptors, of which some are down, around the proposer of node 1.
struct Office {
    acceptors: Vec<Acceptor>,
    proposer: Proposer,
    down: Vec<u64>,
    now: Now,
}

impl Office {
    fn new(layout: Layout) -> Office {
        let (timing, limits) = (Timing::default(), Limits::default());
        let roster = layout.roster(|node| Some(member(node.0).incarnation)).unwrap();
        let formed = |node: &NodeId| {
            let (me, layout) = (member(node.0), layout.clone());
            let mut acceptor = Acceptor::new(AcceptorOptions { me, layout, timing, limits });
            acceptor.replay(Record::Roster(Box::new(roster.clone())));
            acceptor.replay(Record::Formed);
            acceptor
        };
        let acceptors = layout.acceptors.iter().map(formed).collect();
        let (me, learner, layout) = (member(1), NodeId(1), layout.clone());
        let options = ProposerOptions { me, life: 1, seed: 1, learner, layout, timing, limits };
        let mut proposer = Proposer::new(options);
        proposer.receive(Now(0), me, ProposerMsg::Roster(Box::new(roster)), &mut Output::new());
        Office { acceptors, proposer, down: vec![], now: Now(0) }
    }

    /// Lets time pass; gives back the stances that the proposer had, one after the other.
    fn pass_ms(&mut self, ms: u64) -> Vec<(StanceName, Ballot)> {
        let mut stances = Vec::new();
        for _ in 0..ms / 10 {
            self.now = self.now.plus(10_000);
            let mut out = Output::new();
            self.proposer.tick(self.now, &mut out);
            while !out.mail.is_empty() {
                out = self.answers(out);
            }
            let ProposerStatus { stance, ballot, .. } = self.proposer.status();
            if stances.last() != Some(&(stance, ballot)) {
                stances.push((stance, ballot));
            }
        }
        stances
    }

    fn answers(&mut self, out: Output<NoRecord>) -> Output<NoRecord> {
        let mut next = Output::new();
        for mail in out.mail.into_iter().filter(|mail| !self.down.contains(&mail.to.0)) {
            let Packet::Acceptor(msg) = mail.packet else { continue };
            let mut answer = Output::new();
            let acceptor = &mut self.acceptors[mail.to.0 as usize - 1];
            acceptor.receive(self.now, member(1), msg, &mut answer);
            for answer in answer.mail {
                let Packet::Proposer(msg) = answer.packet else { continue };
                self.proposer.receive(self.now, member(mail.to.0), msg, &mut next);
            }
        }
        next
    }

    /// The acceptor of node 3 promises a ballot of its own proposer, which nobody else hears of.
    fn lose_a_ballot(&mut self) -> Ballot {
        let round = self.proposer.status().ballot.round + 1;
        let ballot = Ballot { round, node: NodeId(3), life: 9 };
        let prepare = AcceptorMsg::Prepare { ballot, from: Slot::ZERO };
        self.acceptors[2].receive(self.now, member(3), prepare, &mut Output::new());
        ballot
    }
}

/// Node 3 asked for promises while its links were cut: its own acceptor alone has promised. The
/// links are mended, and node 1 leads in a lower ballot with the votes of 1 and 2.
#[test]
fn a_member_that_promised_a_lost_ballot_votes_again() {
    let mut office = Office::new(layout(3));
    office.pass_ms(1000);
    assert_eq!(office.proposer.status().stance, StanceName::Lead);
    let lost = office.lose_a_ballot();
    office.pass_ms(9000);
    let ProposerStatus { stance, ballot, campaigns, .. } = office.proposer.status();
    assert_eq!(stance, StanceName::Lead);
    assert!(ballot > lost, "it still leads in {ballot}");
    assert!(office.acceptors.iter().all(|acceptor| acceptor.status().promised == ballot));
    assert_eq!(campaigns, 2, "one new ballot is enough");
}

/// R10: a leader that cannot regain its office does not give it up.
///
/// Four of five promise, two choose. Node 1 leads; acceptor 3 has promised a lost ballot; 4 and 5
/// die. Nodes 1 and 2 go on choosing for as long as it takes, in the old ballot. Then 4 comes back,
/// which makes a phase-1 quorum, and a new ballot is taken in which 3 votes.
#[test]
fn r10_an_office_that_cannot_be_regained_is_kept() {
    let quorums = Quorums::sizes(5, 4, 2).unwrap();
    let mut office = Office::new(Layout { quorums, ..layout(5) });
    office.pass_ms(2000);
    let first = office.proposer.status().ballot;
    let lost = office.lose_a_ballot();
    office.down = vec![4, 5];
    assert_eq!(office.pass_ms(30_000), [(StanceName::Lead, first)]);
    office.down = vec![5];
    let stances = office.pass_ms(2000);
    let ProposerStatus { stance, ballot, .. } = office.proposer.status();
    assert_eq!(
        (stance, stances.len()),
        (StanceName::Lead, 2),
        "it is given up for the next: {stances:?}"
    );
    assert!(ballot > lost);
    assert_eq!(office.acceptors[2].status().promised, ballot);
}

/// R10: consents that are older than an election timeout are not counted.
///
/// As above, 4 and 5 are down, and 1, 2 and 3 consent to a campaign. Then 3 dies, and later 4 comes
/// back: four have consented, but never at one time, and 1, 2 and 4 would not be enough. The office
/// is kept, in which 1 and 2 choose.
#[test]
fn r10_consents_do_not_add_up_over_time() {
    let quorums = Quorums::sizes(5, 4, 2).unwrap();
    let mut office = Office::new(Layout { quorums, ..layout(5) });
    office.pass_ms(2000);
    let first = office.proposer.status().ballot;
    office.lose_a_ballot();
    for (down, ms) in [(vec![4, 5], 5000), (vec![3, 4, 5], 700), (vec![3, 5], 10_000)] {
        office.down = down;
        assert_eq!(office.pass_ms(ms), [(StanceName::Lead, first)], "{:?}", office.down);
    }
    office.down = vec![5];
    office.pass_ms(2000);
    let ProposerStatus { stance, ballot, .. } = office.proposer.status();
    assert_eq!(stance, StanceName::Lead);
    assert!(ballot > first, "with 3 and 4 there is a quorum");
}
