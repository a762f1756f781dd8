//! Each step of a role is run once, and remembered.
//!
//! Roles are deterministic, so what follows from a state and an event is always the same. States of
//! roles and letters are numbered as they come up, and the states of the whole cluster are made of
//! these numbers. A role in some state is had by running a new one through the events that led
//! there: nothing in the core need be copied or compared.

use super::bounds::Bounds;
use super::facts::Fact;
use super::letter::Letter;
use super::machines::{Event, View, machine};
use paxos_core::NodeId;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, RwLock};

/// A letter, by number.
pub type LetterId = u16;

/// A state of one node, by number.
pub type StateId = u32;

/// An [`Event`], with letters by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    Letter(LetterId),
    Poll(LetterId),
    TimeOut,
    Beat,
    Sync,
    Fetch,
    Crash,
}

/// What follows from an input.
#[derive(Clone, Debug)]
pub struct Step {
    pub to: StateId,
    pub posted: Arc<[LetterId]>,
}

/// One state of one node.
#[derive(Debug)]
pub struct Known {
    pub node: NodeId,
    /// A way to this state.
    history: Vec<Input>,
    pub view: View,
}

/// All letters, states and steps that have come up.
pub struct Tables {
    bounds: Bounds,
    known: RwLock<Inner>,
}

#[derive(Default)]
pub struct Inner {
    pub letters: Vec<Letter>,
    pub facts: Vec<Fact>,
    pub states: Vec<Arc<Known>>,
    letter_ids: HashMap<String, LetterId>,
    state_ids: HashMap<(NodeId, u64, u64), StateId>,
    steps: HashMap<(StateId, Input), Step>,
}

impl Tables {
    pub fn new(bounds: Bounds) -> Tables {
        Tables { bounds, known: RwLock::default() }
    }

    /// The state of a node to which nothing has happened.
    pub fn begin(&self, node: NodeId) -> StateId {
        let mut machine = machine(&self.bounds, node);
        let view = machine.view();
        self.number(Known { node, history: Vec::new(), view }, &machine.text())
    }

    /// What follows when this happens to a node in this state.
    pub fn step(&self, from: StateId, input: Input) -> Step {
        if let Some(step) = self.read(|known| known.steps.get(&(from, input)).cloned()) {
            return step;
        }
        let known = self.state(from);
        let mut machine = machine(&self.bounds, known.node);
        for &input in &known.history {
            machine.happen(&self.event(input));
        }
        let posted = machine.happen(&self.event(input));
        let posted = posted.iter().filter(|letter| self.is_carried(letter));
        let posted: Arc<[LetterId]> = posted.map(|letter| self.letter_id(letter)).collect();
        let history = known.history.iter().copied().chain([input]).collect();
        let next = Known { node: known.node, history, view: machine.view() };
        let step = Step { to: self.number(next, &machine.text()), posted };
        self.known.write().unwrap().steps.insert((from, input), step.clone());
        step
    }

    pub fn state(&self, id: StateId) -> Arc<Known> {
        self.read(|known| Arc::clone(&known.states[id as usize]))
    }

    pub fn letter(&self, id: LetterId) -> Letter {
        self.read(|known| known.letters[id as usize].clone())
    }

    pub fn read<T>(&self, of: impl FnOnce(&Inner) -> T) -> T {
        of(&self.known.read().unwrap())
    }

    /// How many states of nodes there are, letters, and steps that were run.
    pub fn sizes(&self) -> (usize, usize, usize) {
        self.read(|known| (known.states.len(), known.letters.len(), known.steps.len()))
    }

    fn event(&self, input: Input) -> Event {
        match input {
            Input::Letter(id) => Event::Letter(self.letter(id)),
            Input::Poll(id) => Event::Poll(self.letter(id)),
            Input::TimeOut => Event::TimeOut,
            Input::Beat => Event::Beat,
            Input::Sync => Event::Sync,
            Input::Fetch => Event::Fetch,
            Input::Crash => Event::Crash,
        }
    }

    /// Polls and their answers are carried at once, and never lie in the network.
    fn is_carried(&self, letter: &Letter) -> bool {
        use paxos_core::Kind::{Poll, Polled};
        let kind = letter.packet.kind();
        let arrives = (1..=self.bounds.nodes()).contains(&letter.to.0);
        arrives && (self.bounds.carried.contains(&kind) || [Poll, Polled].contains(&kind))
    }

    fn letter_id(&self, letter: &Letter) -> LetterId {
        let text = format!("{letter:#?}");
        let mut known = self.known.write().unwrap();
        if let Some(&id) = known.letter_ids.get(&text) {
            return id;
        }
        let id = LetterId::try_from(known.letters.len()).expect("letters have numbers");
        known.letters.push(letter.clone());
        known.facts.push(Fact::of(letter));
        known.letter_ids.insert(text, id);
        id
    }

    fn number(&self, state: Known, text: &str) -> StateId {
        let hash = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, text).hash(&mut hasher);
            hasher.finish()
        };
        let name = (state.node, hash(1), hash(2));
        let mut known = self.known.write().unwrap();
        if let Some(&id) = known.state_ids.get(&name) {
            return id;
        }
        let id = known.states.len() as StateId;
        known.states.push(Arc::new(state));
        known.state_ids.insert(name, id);
        id
    }
}
