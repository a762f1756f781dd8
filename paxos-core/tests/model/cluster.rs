//! The cluster as a model: its states, what can happen in each, and what must hold in all.

use super::bounds::Bounds;
use super::facts::{Finding, Findings, Told};
use super::tables::{Inner, Input, LetterId, StateId, Step, Tables};
use paxos_core::{NodeId, Quorums};
use stateright::{Expectation, Model, Property};

/// A state of the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// By node, from node 1 on.
    nodes: Box<[StateId]>,
    /// All letters that were ever sent, ascending. Each may arrive at any time, any number of
    /// times, or never: so letters are lost, repeated and reordered without further ado.
    network: Box<[LetterId]>,
    findings: Findings,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A letter arrives.
    Deliver(LetterId),
    /// Two letters arrive at a proposer, which acts on the second.
    DeliverTwo(LetterId, LetterId),
    /// What an acceptor's log was given becomes durable.
    Sync(NodeId),
    /// An acceptor's process ends, and what is not durable is gone; it starts again.
    Crash(NodeId),
    /// A proposer's process ends and starts again, in another life.
    Restart(NodeId),
    /// A proposer finds that nobody leads, and these two acceptors consent to its campaign.
    Campaign(NodeId, [NodeId; 2]),
    /// A leader sends another heartbeat.
    Beat(NodeId),
    /// An acceptor or learner asks for what it misses.
    Fetch(NodeId),
}

pub struct Cluster {
    pub bounds: Bounds,
    pub tables: Tables,
    quorums: Quorums,
}

impl Cluster {
    pub fn new(bounds: Bounds) -> Cluster {
        Cluster { bounds, tables: Tables::new(bounds), quorums: bounds.layout().quorums }
    }

    fn acceptors(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=self.bounds.acceptors).map(NodeId)
    }

    fn proposers(&self) -> impl Iterator<Item = NodeId> + use<> {
        let first = 1 + self.bounds.acceptors;
        (first..first + self.bounds.proposers).map(NodeId)
    }

    fn proposes(&self, node: NodeId) -> bool {
        (1..=self.bounds.proposers).contains(&node.0.saturating_sub(self.bounds.acceptors))
    }

    /// Whether anybody can see that a proposer took this step.
    fn acts(&self, from: StateId, step: &Step) -> bool {
        let seen = |known: &Inner, id: StateId| {
            let view = &known.states[id as usize].view;
            (view.leads, view.chosen_below)
        };
        !step.posted.is_empty()
            || self.tables.read(|known| seen(known, from) != seen(known, step.to))
    }

    fn learners(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1 + self.bounds.acceptors + self.bounds.proposers..=self.bounds.nodes()).map(NodeId)
    }

    /// Lets something happen to one node. Gives back what it posted.
    fn happen(&self, state: &mut State, node: NodeId, input: Input) -> Vec<LetterId> {
        let at = &mut state.nodes[node.0 as usize - 1];
        let step = self.tables.step(*at, input);
        *at = step.to;
        step.posted.to_vec()
    }

    /// A campaign begins with a poll, which changes nothing at acceptors (R9). Its letters arrive
    /// at once, so that they need not lie in the network.
    fn campaign(&self, state: &mut State, node: NodeId, consenting: [NodeId; 2]) -> Vec<LetterId> {
        let polls = self.happen(state, node, Input::TimeOut);
        let mut posted = Vec::new();
        for poll in polls {
            let to = self.tables.read(|known| known.letters[poll as usize].to);
            if consenting.contains(&to) {
                let before = state.nodes[to.0 as usize - 1];
                for answer in self.happen(state, to, Input::Poll(poll)) {
                    posted.extend(self.happen(state, node, Input::Letter(answer)));
                }
                assert_eq!(state.nodes[to.0 as usize - 1], before, "R9: a poll changes nothing");
            }
        }
        posted
    }

    fn judge(&self, state: &State) -> Findings {
        self.tables.read(|known| {
            let facts = state.network.iter().map(|&id| &known.facts[id as usize]).collect();
            let views = state.nodes.iter().map(|&id| &known.states[id as usize].view).collect();
            Told { bounds: &self.bounds, quorums: self.quorums, facts, views }.judge()
        })
    }
}

impl Model for Cluster {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let nodes = (1..=self.bounds.nodes()).map(|node| self.tables.begin(NodeId(node)));
        let nodes = nodes.collect();
        vec![State { nodes, network: Box::new([]), findings: Findings::default() }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let bounds = &self.bounds;
        self.tables.read(|known| {
            let view = |node: NodeId| &known.states[state.nodes[node.0 as usize - 1] as usize].view;
            let restarts: u64 = self.proposers().map(|node| view(node).crashes).sum();
            let campaigns: u64 = self.proposers().map(|node| view(node).time_outs).sum();
            for node in self.proposers() {
                let may = view(node).time_outs < bounds.campaigns_each;
                if may && campaigns < bounds.campaigns {
                    let pairs = [[1, 2], [1, 3], [2, 3]].map(|pair| pair.map(NodeId));
                    actions.extend(pairs.map(|pair| Action::Campaign(node, pair)));
                }
                if view(node).leads.is_some() && view(node).beats < bounds.beats {
                    actions.push(Action::Beat(node));
                }
                if restarts < bounds.restarts && view(node).time_outs > 0 {
                    actions.push(Action::Restart(node));
                }
            }
            for node in self.acceptors() {
                if view(node).pending > 0 {
                    actions.push(Action::Sync(node));
                }
                if view(node).may_crash {
                    actions.push(Action::Crash(node));
                }
            }
            for node in self.acceptors().chain(self.learners()) {
                if view(node).fetches < bounds.fetches {
                    actions.push(Action::Fetch(node));
                }
            }
        });
        if bounds.is_stepwise {
            return actions.extend(state.network.iter().map(|&letter| Action::Deliver(letter)));
        }
        let mut heard: Vec<(NodeId, LetterId, StateId)> = Vec::new();
        for &letter in &state.network {
            let to = self.tables.read(|known| known.letters[letter as usize].to);
            if !self.proposes(to) {
                actions.push(Action::Deliver(letter));
                continue;
            }
            let at = state.nodes[to.0 as usize - 1];
            let step = self.tables.step(at, Input::Letter(letter));
            if self.acts(at, &step) {
                actions.push(Action::Deliver(letter));
            } else if step.to != at {
                let others = heard.iter().filter(|(node, ..)| *node == to);
                let two = others.filter(|&&(_, _, after)| {
                    self.acts(after, &self.tables.step(after, Input::Letter(letter)))
                });
                actions.extend(two.map(|&(_, first, _)| Action::DeliverTwo(first, letter)));
                heard.push((to, letter, step.to));
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let posted = match action {
            Action::Deliver(letter) => {
                let to = self.tables.read(|known| known.letters[letter as usize].to);
                self.happen(&mut state, to, Input::Letter(letter))
            }
            Action::DeliverTwo(first, second) => {
                let to = self.tables.read(|known| known.letters[first as usize].to);
                self.happen(&mut state, to, Input::Letter(first));
                self.happen(&mut state, to, Input::Letter(second))
            }
            Action::Sync(node) => self.happen(&mut state, node, Input::Sync),
            Action::Crash(node) | Action::Restart(node) => {
                self.happen(&mut state, node, Input::Crash)
            }
            Action::Campaign(node, consenting) => self.campaign(&mut state, node, consenting),
            Action::Beat(node) => self.happen(&mut state, node, Input::Beat),
            Action::Fetch(node) => self.happen(&mut state, node, Input::Fetch),
        };
        let news = posted.iter().any(|letter| state.network.binary_search(letter).is_err());
        if !news && state.nodes == last.nodes {
            return None;
        }
        let mut network = state.network.to_vec();
        network.extend(posted);
        network.sort_unstable();
        network.dedup();
        self.tables.read(|known| {
            network.retain(|&letter| match known.facts[letter as usize].promise {
                Some((to, ballot)) => {
                    let at = state.nodes[to.0 as usize - 1];
                    known.states[at as usize].view.asks == Some(ballot)
                }
                None => true,
            });
        });
        state.network = network.into_boxed_slice();
        if state.nodes == last.nodes && state.network == last.network {
            return None;
        }
        state.findings = self.judge(&state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Cluster>> {
        let seen = |(finding, property): (Finding, Property<Cluster>)| {
            let asked = matches!(property.expectation, Expectation::Always);
            (asked || self.bounds.sees.contains(&finding)).then_some(property)
        };
        properties().into_iter().filter_map(seen).collect()
    }

    fn format_action(&self, action: &Action) -> String {
        match action {
            Action::Deliver(id) => {
                let letter = self.tables.letter(*id);
                format!("{letter} arrives at {}", letter.to)
            }
            Action::DeliverTwo(first, second) => {
                let first = self.format_action(&Action::Deliver(*first));
                format!("{first}, and {}", self.format_action(&Action::Deliver(*second)))
            }
            Action::Sync(node) => format!("the log of {node} becomes durable"),
            Action::Crash(node) => format!("{node} crashes, and starts from what is durable"),
            Action::Restart(node) => format!("{node} restarts, in another life"),
            Action::Campaign(node, [one, other]) => {
                format!("{node} campaigns, with the consent of {one} and {other}")
            }
            Action::Beat(node) => format!("{node} sends a heartbeat"),
            Action::Fetch(node) => format!("{node} asks for what it misses"),
        }
    }
}

/// Each line: whether it may never be found or must be found, what, and how that is said.
macro_rules! properties {
    ($($expectation:ident $finding:ident $name:literal;)*) => {
        /// What must hold in all states, and what must be seen in some.
        fn properties() -> Vec<(Finding, Property<Cluster>)> {
            vec![$((Finding::$finding, properties!(@ $expectation $finding $name))),*]
        }
    };
    (@ never $finding:ident $name:literal) => {
        Property::always($name, |_, state: &State| !state.findings.has(Finding::$finding))
    };
    (@ sometimes $finding:ident $name:literal) => {
        Property::sometimes($name, |_, state: &State| state.findings.has(Finding::$finding))
    };
}

properties! {
    never TwoEntriesChosen "invariant 1: one entry is chosen per slot";
    never PromiseFell "invariant 2: a promise that was told stands";
    never VolatileTold "invariant 3: nothing is told that is not durable";
    never BallotOfTwoEntries "invariant 4: a ballot proposes one entry per slot";
    never OtherProposed "invariant 5: what is chosen is proposed again";
    never Miscounted "invariant 6: who counts votes counts right";
    never AppliedOther "invariant 8: what is applied is chosen";
    sometimes Chosen "a slot is chosen";
    sometimes AllChosen "every slot is chosen";
    sometimes ChosenTwice "a slot is chosen again, in a higher ballot";
    sometimes TwoLead "two lead at once";
    sometimes EachLed "another leads after one has led";
    sometimes ProposedAgain "a leader proposes what another has proposed";
    sometimes HoleFilled "a hole gets a no-op";
    sometimes Forgot "a crash forgets what was not durable";
    sometimes Applied "a learner applies a command";
    sometimes Learned "an acceptor tells what it holds as chosen";
}

/// How the property is called that is about this finding.
#[cfg(paxos_planted)]
pub fn name(finding: Finding) -> &'static str {
    let found = properties().into_iter().find(|(of, _)| *of == finding);
    found.expect("each finding has a property").1.name
}
