//! "Paxos Made Simple", section 2: each statement as a property of every schedule.
//!
//! The schedules: three nodes, two proposers, and every order in which what they say can arrive. A
//! message may stay under way for ever, which is its loss. What holds in every state that can be
//! reached holds for every prefix of every schedule. Longer duels of three proposers, with
//! duplicates and crashes, are run by seed, and must keep the same statements.

use paxos_core::rng::Rng;
use paxos_core::synod::{Msg, Output, Record, Synod, Vote};
use paxos_core::{Ballot, Incarnation, MemberId, NodeId, Quorums};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::OnceLock;

type Value = u8;

/// A message under way: from, to (as places in `members`), and what it says.
type Letter = (usize, usize, Msg<Value>);

/// The cluster, its network, and what an omniscient observer has seen.
#[derive(Clone, PartialEq, Eq, Hash)]
struct World {
    nodes: Vec<Synod<Value>>,
    network: BTreeSet<Letter>,
    /// Every vote of each acceptor.
    votes: Vec<BTreeSet<Vote<Value>>>,
    /// Every proposal issued: an `Accept` was sent.
    issued: BTreeSet<Vote<Value>>,
    /// The highest ballot that each acceptor has promised or voted in.
    promised: Vec<Ballot>,
    /// Values announced as chosen.
    announced: BTreeSet<Value>,
}

fn members() -> Vec<MemberId> {
    (1..=3).map(|n| MemberId { node: NodeId(n), incarnation: Incarnation(n) }).collect()
}

fn node(place: usize, life: u64) -> Synod<Value> {
    Synod::new(members()[place], members(), Quorums::majority(3).unwrap(), life)
}

impl World {
    fn new() -> World {
        World {
            nodes: (0..3).map(|place| node(place, 1)).collect(),
            network: BTreeSet::new(),
            votes: vec![BTreeSet::new(); 3],
            issued: BTreeSet::new(),
            promised: vec![Ballot::ZERO; 3],
            announced: BTreeSet::new(),
        }
    }

    fn propose(&mut self, place: usize, value: Value) {
        let mut out = Output::new();
        self.nodes[place].propose(value, &mut out);
        self.observe(place, out);
    }

    /// Delivers a copy of a message, and gives back the answer.
    fn deliver(&mut self, letter: &Letter) -> Output<Value> {
        let (from, to, msg) = letter.clone();
        let mut out = Output::new();
        self.nodes[to].receive(members()[from], msg, &mut out);
        self.observe(to, out.clone());
        out
    }

    fn observe(&mut self, place: usize, out: Output<Value>) {
        for record in out.records {
            match record {
                Record::Promised(ballot) => self.promised[place] = ballot,
                Record::Voted(vote) => {
                    self.promised[place] = vote.ballot;
                    self.votes[place].insert(vote);
                }
            }
        }
        for (to, msg) in out.mail {
            match &msg {
                Msg::Accept { vote } => drop(self.issued.insert(vote.clone())),
                Msg::Chosen { value } => drop(self.announced.insert(*value)),
                _ => {}
            }
            self.network.insert((place, to.0 as usize - 1, msg));
        }
    }

    /// "A value is chosen when a single proposal with that value has been accepted by a majority."
    fn chosen(&self) -> BTreeSet<&Vote<Value>> {
        let has = |vote| self.votes.iter().filter(|votes| votes.contains(vote)).count() >= 2;
        self.issued.iter().filter(|vote| has(vote)).collect()
    }

    /// Every schedule goes on with the delivery of one of these. In the exhaustive schedules nobody
    /// proposes again, so that a proposer that is preempted or has finished differs from one that
    /// hears nothing in no way that matters to anybody else: what tells it so may as well be lost.
    fn deliverable(&self) -> impl Iterator<Item = &Letter> {
        let tells = |msg: &Msg<Value>| matches!(msg, Msg::Reject { .. } | Msg::Chosen { .. });
        self.network.iter().filter(move |(_, _, msg)| !tells(msg))
    }
}

/// Calls `check` in every state that any schedule reaches. The states are found once.
fn in_every_state(check: impl Fn(&World)) {
    static STATES: OnceLock<Vec<World>> = OnceLock::new();
    let states = STATES.get_or_init(|| {
        let mut first = World::new();
        first.propose(0, 10);
        first.propose(2, 20);
        let mut states = Vec::new();
        let mut known = HashSet::from([first.clone()]);
        let mut open = vec![first];
        while let Some(world) = open.pop() {
            for letter in world.deliverable() {
                let mut next = world.clone();
                next.deliver(letter);
                next.network.remove(letter);
                if known.insert(next.clone()) {
                    open.push(next);
                }
            }
            states.push(world);
        }
        states
    });
    assert!(states.len() > 50_000, "{} states: too few to prove anything", states.len());
    states.iter().for_each(check);
}

/// Runs `check` along 3,000 long duels: three proposers that try again and again, loss,
/// duplication, reordering, and crashes after which a node knows only what it had stored.
fn in_long_duels(check: impl Fn(&World)) {
    let mut settled = 0;
    for seed in 0..3000 {
        let mut rng = Rng::new(seed);
        let mut world = World::new();
        let mut stored: Vec<Vec<Record<Value>>> = vec![Vec::new(); 3];
        for step in 0..120 {
            let place = rng.between(0, 3) as usize;
            match rng.between(0, 20) {
                0 | 1 => world.propose(place, (10 * place + step % 10) as Value),
                2 => {
                    let mut restarted = node(place, rng.next_u64());
                    stored[place].iter().for_each(|record| restarted.replay(record.clone()));
                    world.nodes[place] = restarted;
                }
                what if !world.network.is_empty() => {
                    let any = rng.between(0, world.network.len() as u64) as usize;
                    let letter = world.network.iter().nth(any).cloned().unwrap();
                    if what != 3 {
                        let to = letter.1;
                        stored[to].extend(world.deliver(&letter).records);
                    }
                    if what > 6 {
                        world.network.remove(&letter);
                    }
                }
                _ => {}
            }
            check(&world);
        }
        settled += usize::from(!world.announced.is_empty());
    }
    assert!(
        settled > 500,
        "only {settled} duels ended: the schedules are too hostile to mean much"
    );
}

/// P1. "An acceptor must accept the first proposal that it receives."
#[test]
fn p1_an_acceptor_accepts_the_first_proposal_that_it_receives() {
    in_every_state(|world| {
        for letter @ (_, to, msg) in &world.network {
            // It has heard nothing yet: no `Prepare`, no `Accept`.
            if matches!(msg, Msg::Accept { .. }) && world.promised[*to] == Ballot::ZERO {
                let Msg::Accept { vote } = msg else { unreachable!() };
                let out = world.clone().deliver(letter);
                assert_eq!(out.records, [Record::Voted(vote.clone())]);
                let accepted = Msg::Accepted { ballot: vote.ballot };
                assert_eq!(out.mail, [(vote.ballot.node, accepted)]);
            }
        }
    });
}

/// P1a. "An acceptor can accept a proposal numbered n iff it has not responded to a prepare request
/// having a number greater than n."
#[test]
fn p1a_an_acceptor_accepts_unless_it_has_promised_more() {
    in_every_state(|world| {
        for letter @ (_, to, msg) in &world.network {
            if let Msg::Accept { vote } = msg {
                let ballot = vote.ballot;
                let promised = world.promised[*to];
                let out = world.clone().deliver(letter);
                let answer = match promised > ballot {
                    true => Msg::Reject { ballot, promised },
                    false => Msg::Accepted { ballot },
                };
                assert_eq!(out.mail, [(ballot.node, answer)]);
                assert_eq!(out.records.is_empty(), promised > ballot);
            }
        }
    });
}

/// P2. "If a proposal with value v is chosen, then every higher-numbered proposal that is chosen
/// has value v."
#[test]
fn p2_a_higher_proposal_that_is_chosen_has_the_chosen_value() {
    let p2 = |world: &World| {
        let values: BTreeSet<Value> = world.chosen().iter().map(|vote| vote.value).collect();
        assert!(values.len() <= 1, "two values are chosen: {values:?}");
        assert!(world.announced.is_subset(&values), "announced and not chosen");
        for node in &world.nodes {
            assert!(node.chosen().is_none_or(|value| values.contains(value)));
        }
    };
    in_every_state(p2);
    in_long_duels(p2);
}

/// P2a. "If a proposal with value v is chosen, then every higher-numbered proposal accepted by any
/// acceptor has value v."
#[test]
fn p2a_a_higher_proposal_that_is_accepted_has_the_chosen_value() {
    let p2a = |world: &World| {
        for chosen in world.chosen() {
            for vote in world.votes.iter().flatten().filter(|vote| vote.ballot > chosen.ballot) {
                assert_eq!(vote.value, chosen.value);
            }
        }
    };
    in_every_state(p2a);
    in_long_duels(p2a);
}

/// P2b. "If a proposal with value v is chosen, then every higher-numbered proposal issued by any
/// proposer has value v."
#[test]
fn p2b_a_higher_proposal_that_is_issued_has_the_chosen_value() {
    let p2b = |world: &World| {
        for chosen in world.chosen() {
            for issued in world.issued.iter().filter(|issued| issued.ballot > chosen.ballot) {
                assert_eq!(issued.value, chosen.value);
            }
        }
    };
    in_every_state(p2b);
    in_long_duels(p2b);
}

/// P2c. "For any v and n, if a proposal with value v and number n is issued, then there is a set S
/// consisting of a majority of acceptors such that either (a) no acceptor in S has accepted any
/// proposal numbered less than n, or (b) v is the value of the highest-numbered proposal among all
/// proposals numbered less than n accepted by the acceptors in S."
#[test]
fn p2c_an_issued_proposal_has_the_highest_value_of_a_majority_or_a_free_one() {
    const MAJORITIES: [&[usize]; 4] = [&[0, 1], &[0, 2], &[1, 2], &[0, 1, 2]];
    let p2c = |world: &World| {
        for issued in &world.issued {
            let holds = |majority: &&[usize]| {
                let votes = majority.iter().flat_map(|&acceptor| &world.votes[acceptor]);
                let lower = votes.filter(|vote| vote.ballot < issued.ballot);
                let highest = lower.max_by_key(|vote| vote.ballot);
                highest.is_none_or(|vote| vote.value == issued.value)
            };
            // S has promised to accept nothing below n: (a) and (b) stay true, and are checked in
            // every later state as well.
            assert!(MAJORITIES.iter().any(holds), "{issued:?} is not safe");
        }
        let ballots: BTreeMap<Ballot, Value> =
            world.issued.iter().map(|vote| (vote.ballot, vote.value)).collect();
        assert_eq!(ballots.len(), world.issued.len(), "a ballot has one value");
    };
    in_every_state(p2c);
    in_long_duels(p2c);
}

/// Section 2.4: two proposers can preempt each other for ever; when one waits, the other succeeds.
#[test]
fn duelling_proposers_make_no_progress_until_one_waits() {
    let mut world = World::new();
    let run = |world: &mut World, wanted: fn(&Msg<Value>) -> bool| {
        while let Some(letter) = world.network.iter().find(|(_, _, msg)| wanted(msg)).cloned() {
            world.network.remove(&letter);
            world.deliver(&letter);
        }
    };
    for duel in 0..20 {
        let (place, value) = if duel % 2 == 0 { (0, 10) } else { (2, 20) };
        world.propose(place, value);
        // Phase 1 of this proposer completes before phase 2 of the other one arrives.
        run(&mut world, |msg| matches!(msg, Msg::Prepare { .. } | Msg::Promise { .. }));
        if duel > 0 {
            let rival = 2 - place;
            let old = world.nodes[rival].ballot();
            for letter in world.network.clone() {
                if matches!(&letter.2, Msg::Accept { vote } if Some(vote.ballot) == old) {
                    world.network.remove(&letter);
                    world.deliver(&letter);
                }
            }
            run(&mut world, |msg| matches!(msg, Msg::Reject { .. }));
            assert_eq!(world.nodes[rival].preempted(), world.nodes[place].ballot());
        }
        assert!(world.chosen().is_empty(), "each is preempted before its phase 2");
    }
    run(&mut world, |_| true);
    assert_eq!(world.announced, BTreeSet::from([20]));
    assert!(world.nodes.iter().all(|node| node.chosen() == Some(&20)));
}

/// A ballot has one owner: a node that is no member, or speaks in another's ballot, is not heard.
#[test]
fn strangers_and_impostors_are_not_heard() {
    let mut acceptor = node(0, 1);
    let before = acceptor.clone();
    let stranger = MemberId { node: NodeId(2), incarnation: Incarnation(99) };
    let of_3 = Ballot { round: 5, node: NodeId(3), life: 1 };
    for from in [stranger, members()[1]] {
        let vote = Vote { ballot: of_3, value: 9 };
        for msg in [Msg::Prepare { ballot: of_3 }, Msg::Accept { vote }] {
            let mut out = Output::new();
            acceptor.receive(from, msg, &mut out);
            assert_eq!(out, Output::new());
        }
    }
    assert!(acceptor == before);
}
