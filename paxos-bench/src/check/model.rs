//! What an object may answer, one operation after the other.

use std::fmt::Debug;
use std::hash::Hash;

/// A sequential object: the state of one key.
pub trait Model {
    /// The state.
    type State: Clone + Eq + Hash + Debug;
    /// What is asked.
    type Input: Clone + Debug;
    /// What is answered.
    type Output: Clone + Debug;

    /// The state that every key begins with.
    fn init(&self) -> Self::State;

    /// The state after the operation, or none where this state does not give that output. With an
    /// unknown output every answer would do, so there always is a next state.
    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Option<Self::State>;

    /// Whether the operation leaves every state that allows it as it is.
    fn is_read(&self, input: &Self::Input, output: Option<&Self::Output>) -> bool;

    /// One line for a person: the operation and its answer.
    fn describe(&self, input: &Self::Input, output: Option<&Self::Output>) -> String;

    /// One line for a person: the state.
    fn describe_state(&self, state: &Self::State) -> String;
}

/// A register of one number with read, write and compare-and-swap; absent at first.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegisterModel;

/// What a register is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterInput {
    /// Its number.
    Read,
    /// To take a number.
    Write(i64),
    /// To take the second number if it holds the first.
    Cas(i64, i64),
}

/// What a register answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterOutput {
    /// Its number.
    Read(Option<i64>),
    /// Written.
    Written,
    /// Whether it compared equal and was swapped.
    Swapped(bool),
}

impl Model for RegisterModel {
    type State = Option<i64>;
    type Input = RegisterInput;
    type Output = RegisterOutput;

    fn init(&self) -> Option<i64> {
        None
    }

    fn step(
        &self,
        state: &Option<i64>,
        input: &RegisterInput,
        output: Option<&RegisterOutput>,
    ) -> Option<Option<i64>> {
        let (next, answer) = match *input {
            RegisterInput::Read => (*state, RegisterOutput::Read(*state)),
            RegisterInput::Write(to) => (Some(to), RegisterOutput::Written),
            RegisterInput::Cas(from, to) if *state == Some(from) => {
                (Some(to), RegisterOutput::Swapped(true))
            }
            RegisterInput::Cas(..) => (*state, RegisterOutput::Swapped(false)),
        };
        output.is_none_or(|output| *output == answer).then_some(next)
    }

    fn is_read(&self, input: &RegisterInput, output: Option<&RegisterOutput>) -> bool {
        *input == RegisterInput::Read || output == Some(&RegisterOutput::Swapped(false))
    }

    fn describe(&self, input: &RegisterInput, output: Option<&RegisterOutput>) -> String {
        let asked = match input {
            RegisterInput::Read => "read".to_owned(),
            RegisterInput::Write(to) => format!("write {to}"),
            RegisterInput::Cas(from, to) => format!("cas {from} -> {to}"),
        };
        match output {
            None => format!("{asked}: ?"),
            Some(RegisterOutput::Read(value)) => format!("{asked}: {}", self.describe_state(value)),
            Some(RegisterOutput::Written) => asked,
            Some(RegisterOutput::Swapped(true)) => format!("{asked}: swapped"),
            Some(RegisterOutput::Swapped(false)) => format!("{asked}: unequal"),
        }
    }

    fn describe_state(&self, state: &Option<i64>) -> String {
        state.map_or("absent".to_owned(), |value| value.to_string())
    }
}

/// A string with get, put and append; empty at first. Put and append answer `None`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AppendModel;

/// What a string is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendInput {
    /// Itself.
    Get,
    /// To become this.
    Put(String),
    /// To have this at its end.
    Append(String),
}

impl Model for AppendModel {
    type State = String;
    type Input = AppendInput;
    type Output = Option<String>;

    fn init(&self) -> String {
        String::new()
    }

    fn step(
        &self,
        state: &String,
        input: &AppendInput,
        output: Option<&Option<String>>,
    ) -> Option<String> {
        match input {
            AppendInput::Get => {
                let right = output.is_none_or(|output| output.as_ref() == Some(state));
                right.then(|| state.clone())
            }
            AppendInput::Put(value) => Some(value.clone()),
            AppendInput::Append(value) => Some(format!("{state}{value}")),
        }
    }

    fn is_read(&self, input: &AppendInput, _: Option<&Option<String>>) -> bool {
        *input == AppendInput::Get
    }

    fn describe(&self, input: &AppendInput, output: Option<&Option<String>>) -> String {
        let open = if output.is_none() { ": ?" } else { "" };
        match (input, output) {
            (AppendInput::Get, Some(value)) => {
                format!("get: {}", shorten(value.as_deref().unwrap_or_default()))
            }
            (AppendInput::Get, None) => "get: ?".to_owned(),
            (AppendInput::Put(value), _) => format!("put {}{open}", shorten(value)),
            (AppendInput::Append(value), _) => format!("append {}{open}", shorten(value)),
        }
    }

    fn describe_state(&self, state: &String) -> String {
        shorten(state)
    }
}

/// One key of the key-value store. Its state is the value and its version: how many changes
/// made it since it was absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct KvModel;

/// What a key is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvInput {
    /// Its value.
    Get,
    /// To have this value.
    Put(String),
    /// To be absent.
    Delete,
    /// To have the value `to` if it now has `from` (none: is absent).
    Cas {
        /// What it must have.
        from: Option<String>,
        /// What it gets.
        to: String,
    },
}

/// What a key answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KvOutput {
    /// Its value and, where it was told, its version; none: it is absent.
    Got(Option<(String, Option<u64>)>),
    /// Put; and the version that it has now, where it was told.
    Put(Option<u64>),
    /// Whether there was something to delete.
    Deleted(bool),
    /// Whether it compared equal and was swapped.
    Swapped(bool),
}

impl Model for KvModel {
    type State = Option<(String, u64)>;
    type Input = KvInput;
    type Output = KvOutput;

    fn init(&self) -> Self::State {
        None
    }

    fn step(
        &self,
        state: &Self::State,
        input: &KvInput,
        output: Option<&KvOutput>,
    ) -> Option<Self::State> {
        let set = |value: &String| {
            Some((value.clone(), state.as_ref().map_or(1, |(_, version)| version + 1)))
        };
        let has = state.as_ref().map(|(value, _)| value);
        let (next, answer) = match input {
            KvInput::Get => {
                let right = match output {
                    None => true,
                    Some(KvOutput::Got(got)) => got_is(got.as_ref(), state.as_ref()),
                    Some(_) => false,
                };
                return right.then(|| state.clone());
            }
            KvInput::Put(value) => {
                let next = set(value);
                let told = match output {
                    Some(KvOutput::Put(Some(_))) => next.as_ref().map(|(_, version)| *version),
                    _ => None,
                };
                (next, KvOutput::Put(told))
            }
            KvInput::Delete => (None, KvOutput::Deleted(state.is_some())),
            KvInput::Cas { from, to } if has == from.as_ref() => (set(to), KvOutput::Swapped(true)),
            KvInput::Cas { .. } => (state.clone(), KvOutput::Swapped(false)),
        };
        output.is_none_or(|output| *output == answer).then_some(next)
    }

    fn is_read(&self, input: &KvInput, output: Option<&KvOutput>) -> bool {
        *input == KvInput::Get
            || matches!(output, Some(KvOutput::Swapped(false) | KvOutput::Deleted(false)))
    }

    fn describe(&self, input: &KvInput, output: Option<&KvOutput>) -> String {
        let asked = match input {
            KvInput::Get => "get".to_owned(),
            KvInput::Put(value) => format!("put {}", shorten(value)),
            KvInput::Delete => "delete".to_owned(),
            KvInput::Cas { from: None, to } => format!("cas absent -> {}", shorten(to)),
            KvInput::Cas { from: Some(from), to } => {
                format!("cas {} -> {}", shorten(from), shorten(to))
            }
        };
        match output {
            None => format!("{asked}: ?"),
            Some(KvOutput::Put(None)) => asked,
            Some(KvOutput::Put(Some(version))) => format!("{asked}: version {version}"),
            Some(KvOutput::Got(None)) => format!("{asked}: absent"),
            Some(KvOutput::Got(Some((value, None)))) => format!("{asked}: {}", shorten(value)),
            Some(KvOutput::Got(Some((value, Some(version))))) => {
                format!("{asked}: {} (version {version})", shorten(value))
            }
            Some(KvOutput::Deleted(true)) => format!("{asked}: deleted"),
            Some(KvOutput::Deleted(false)) => format!("{asked}: was absent"),
            Some(KvOutput::Swapped(true)) => format!("{asked}: swapped"),
            Some(KvOutput::Swapped(false)) => format!("{asked}: unequal"),
        }
    }

    fn describe_state(&self, state: &Self::State) -> String {
        match state {
            None => "absent".to_owned(),
            Some((value, version)) => format!("{} (version {version})", shorten(value)),
        }
    }
}

fn got_is(got: Option<&(String, Option<u64>)>, state: Option<&(String, u64)>) -> bool {
    match (got, state) {
        (None, None) => true,
        (Some((value, version)), Some((has, at))) => {
            value == has && version.is_none_or(|version| version == *at)
        }
        _ => false,
    }
}

/// A value in quotes; of a long one the end, since that is where appended values differ.
pub(super) fn shorten(value: &str) -> String {
    const SHOWN: usize = 60;
    let length = value.chars().count();
    if length <= SHOWN {
        return format!("{value:?}");
    }
    let end: String = value.chars().skip(length - SHOWN).collect();
    format!("…{end:?}")
}
