//! Recording a history while it happens.

use super::history::{Builder, History};
use std::sync::{Arc, Mutex, PoisonError};

/// Takes down operations from any number of threads, in one order of all calls and answers.
///
/// Call [`Recorder::invoke`] before a request is sent and end the [`Pending`] after its answer
/// came, so that the operation lies within the recorded time. Cheap to clone; clones record the
/// same history.
#[derive(Debug)]
pub struct Recorder<I, O> {
    shared: Arc<Mutex<Shared<I, O>>>,
}

#[derive(Debug)]
struct Shared<I, O> {
    builder: Builder<I, O>,
    names: u64,
}

/// An operation that has begun. Dropped without an end, its outcome is unknown.
#[derive(Debug)]
#[must_use = "an operation that is not ended has an unknown outcome"]
pub struct Pending<I, O> {
    shared: Arc<Mutex<Shared<I, O>>>,
    name: u64,
}

impl<I: Clone, O: Clone> Recorder<I, O> {
    /// An empty history.
    pub fn new() -> Recorder<I, O> {
        let shared = Shared { builder: Builder::new(), names: 0 };
        Recorder { shared: Arc::new(Mutex::new(shared)) }
    }

    /// An operation is about to begin. `process` is for the reader of a counter-example.
    pub fn invoke(&self, process: u64, key: &str, input: I) -> Pending<I, O> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.names += 1;
        let name = shared.names;
        shared.builder.invoke(name, process, key, input).expect("names are not used twice");
        Pending { shared: self.shared.clone(), name }
    }

    /// What was recorded until now; what has not ended has an unknown outcome.
    pub fn history(&self) -> History<I, O> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.builder.clone().finish()
    }
}

impl<I: Clone, O: Clone> Default for Recorder<I, O> {
    fn default() -> Self {
        Recorder::new()
    }
}

impl<I, O> Clone for Recorder<I, O> {
    fn clone(&self) -> Self {
        Recorder { shared: self.shared.clone() }
    }
}

impl<I: Clone, O: Clone> Pending<I, O> {
    /// It was answered.
    pub fn ok(self, output: O) {
        self.end(|builder, name| builder.ok(name, |_| Ok(output)));
    }

    /// It certainly had and will have no effect.
    pub fn fail(self) {
        self.end(|builder, name| builder.fail(name));
    }

    /// It may have had an effect, or may yet have one.
    pub fn unknown(self) {
        self.end(|builder, name| builder.unknown(name));
    }

    fn end(self, how: impl FnOnce(&mut Builder<I, O>, u64) -> Result<(), String>) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        how(&mut shared.builder, self.name).expect("an operation ends once");
    }
}
