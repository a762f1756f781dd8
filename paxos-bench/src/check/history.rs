//! Histories: who asked what, when, and what came back.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Debug;
use thiserror::Error;

/// One operation on one key. `invoked` and `returned` are places in the order of all events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<I, O> {
    /// Who asked. A process has one operation open at a time.
    pub process: u64,
    /// What was asked.
    pub input: I,
    /// When it was asked.
    pub invoked: u64,
    /// When the answer came, and what it was. None: nobody knows. The operation may then take
    /// effect at any time after `invoked`, or never.
    pub returned: Option<(u64, O)>,
}

/// The operations on every key, in the order in which they were asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<I, O> {
    keys: BTreeMap<String, Vec<Operation<I, O>>>,
}

/// Why a text is no history.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl<I, O> History<I, O> {
    /// Every key with its operations.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &[Operation<I, O>])> {
        self.keys.iter().map(|(key, operations)| (key.as_str(), operations.as_slice()))
    }

    /// How many operations it has.
    pub fn len(&self) -> usize {
        self.keys.values().map(Vec::len).sum()
    }

    /// Whether it has no operation.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// The times of all answers, ascending.
pub(super) fn answers<'a, I: 'a, O: 'a>(
    operations: impl IntoIterator<Item = &'a Operation<I, O>>,
) -> Vec<u64> {
    let returned = |operation: &Operation<I, O>| operation.returned.as_ref().map(|(at, _)| *at);
    let mut answers: Vec<u64> = operations.into_iter().filter_map(returned).collect();
    answers.sort_unstable();
    answers
}

/// Makes a history of events in their order. Operations are named by a `u64`: the process where
/// a text is read, a number of its own where events are recorded.
#[derive(Clone, Debug)]
pub(super) struct Builder<I, O> {
    now: u64,
    open: BTreeMap<u64, Open<I>>,
    done: Vec<(String, Operation<I, O>)>,
}

#[derive(Clone, Debug)]
struct Open<I> {
    key: String,
    process: u64,
    input: I,
    invoked: u64,
}

impl<I: Clone, O: Clone> Builder<I, O> {
    pub(super) fn new() -> Self {
        Builder { now: 0, open: BTreeMap::new(), done: Vec::new() }
    }

    /// An operation begins.
    pub(super) fn invoke(
        &mut self,
        name: u64,
        process: u64,
        key: &str,
        input: I,
    ) -> Result<(), String> {
        let invoked = self.tick();
        match self.open.entry(name) {
            Entry::Occupied(_) => Err(format!("process {process} has an operation open already")),
            Entry::Vacant(place) => {
                place.insert(Open { key: key.to_owned(), process, input, invoked });
                Ok(())
            }
        }
    }

    /// What was asked that is open now, and on which key.
    pub(super) fn asked(&self, name: u64) -> Result<(&str, &I), String> {
        let open = self.open.get(&name).ok_or_else(|| nothing_open(name))?;
        Ok((&open.key, &open.input))
    }

    /// An operation ends with an answer, which is made of what was asked.
    pub(super) fn ok(
        &mut self,
        name: u64,
        output: impl FnOnce(&I) -> Result<O, String>,
    ) -> Result<(), String> {
        let at = self.tick();
        let open = self.take(name)?;
        let output = output(&open.input)?;
        self.push(open, Some((at, output)));
        Ok(())
    }

    /// An operation certainly had no effect and got no answer: it never was.
    pub(super) fn fail(&mut self, name: u64) -> Result<(), String> {
        self.take(name).map(|_| ())
    }

    /// Nobody knows what came of the operation.
    pub(super) fn unknown(&mut self, name: u64) -> Result<(), String> {
        let open = self.take(name)?;
        self.push(open, None);
        Ok(())
    }

    /// The history; what is still open has an unknown outcome.
    pub(super) fn finish(mut self) -> History<I, O> {
        for (_, open) in std::mem::take(&mut self.open) {
            self.push(open, None);
        }
        self.done.sort_by_key(|(_, operation)| operation.invoked);
        let mut keys: BTreeMap<String, Vec<Operation<I, O>>> = BTreeMap::new();
        for (key, operation) in self.done {
            keys.entry(key).or_default().push(operation);
        }
        History { keys }
    }

    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }

    fn take(&mut self, name: u64) -> Result<Open<I>, String> {
        self.open.remove(&name).ok_or_else(|| nothing_open(name))
    }

    fn push(&mut self, open: Open<I>, returned: Option<(u64, O)>) {
        let Open { key, process, input, invoked } = open;
        self.done.push((key, Operation { process, input, invoked, returned }));
    }
}

fn nothing_open(name: u64) -> String {
    format!("process {name} has no operation open")
}

/// Refuses an answer that says of what was asked something else than its invocation.
pub(super) fn same<T: PartialEq + Debug>(what: &str, asked: T, answered: T) -> Result<(), String> {
    if asked == answered {
        return Ok(());
    }
    Err(format!("the invocation has the {what} {asked:?}, and its answer {answered:?}"))
}

/// The non-empty lines of a text through `take`, which says what is wrong with a line.
pub(super) fn each_line(
    text: &str,
    mut take: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), ParseError> {
    for (at, line) in text.lines().enumerate() {
        if !line.trim().is_empty() {
            take(line.trim()).map_err(|problem| ParseError { line: at + 1, problem })?;
        }
    }
    Ok(())
}
