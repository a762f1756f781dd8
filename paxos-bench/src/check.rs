//! Is a recorded history linearizable (Herlihy and Wing, 1990)?
//!
//! The search is that of Wing and Gong (1993) with Lowe's memory of configurations seen (2017),
//! for each key on its own, since a history is linearizable exactly when its part on every key is.
//! A history that is not linearizable is cut down to something that a person can read.
//!
//! ```
//! use paxos_bench::check::{self, KvInput, KvModel, KvOutput, Recorder, Verdict};
//! use std::time::Duration;
//!
//! let recorder = Recorder::new();
//! let put = recorder.invoke(1, "key", KvInput::Put("a".into()));
//! put.ok(KvOutput::Put(Some(1)));
//! let get = recorder.invoke(2, "key", KvInput::Get);
//! get.ok(KvOutput::Got(None));
//!
//! let verdict = check::check(&KvModel, &recorder.history(), Duration::from_secs(1));
//! assert!(matches!(verdict, Verdict::NotLinearizable(_)));
//! ```

mod edn;
mod explain;
mod history;
mod jepsen;
mod json;
mod model;
mod recorder;
mod search;

pub use edn::parse as parse_kv_edn;
pub use explain::{CounterExample, Line};
pub use history::{History, Operation, ParseError};
pub use jepsen::parse as parse_jepsen_etcd;
pub use json::{parse as parse_json, write as write_json};
pub use model::{
    AppendInput, AppendModel, KvInput, KvModel, KvOutput, Model, RegisterInput, RegisterModel,
    RegisterOutput,
};
pub use recorder::{Pending, Recorder};

use std::time::{Duration, Instant};

/// What the checker found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Some order of the operations explains every answer.
    Linearizable,
    /// No order explains every answer.
    NotLinearizable(CounterExample),
    /// The time (or the memory of four million configurations) was used up before an answer.
    Unknown,
}

/// Judges a history, every key on its own, within `limit` for all of them.
///
/// One key that is not linearizable decides; otherwise one that was not judged in time does. The
/// counter-example is cut down within the same limit. A limit beyond what the clock can tell is
/// none.
pub fn check<M: Model>(
    model: &M,
    history: &History<M::Input, M::Output>,
    limit: Duration,
) -> Verdict {
    let end = Instant::now().checked_add(limit);
    // The time `slice` from now, or the end of the limit if that comes first.
    let within = |slice: Duration| {
        let at = Instant::now() + slice;
        end.map_or(at, |end| end.min(at))
    };
    let mut open: Vec<_> =
        history.keys().map(|(key, operations)| Part::new(key, operations)).collect();
    let mut slice = FIRST_SLICE;
    let mut too_large = false;
    // Turn by turn with ever longer slices, so that one hard key does not hide an easy answer.
    while !open.is_empty() {
        let mut left = Vec::new();
        for mut part in open {
            if end.is_some_and(|end| Instant::now() >= end) {
                return Verdict::Unknown;
            }
            let deadline = within(slice);
            match part.judge(model, deadline) {
                search::Found::Order => {}
                search::Found::GaveUp if Instant::now() >= deadline => left.push(part),
                // The memory was used up, as it would be the next time.
                search::Found::GaveUp => too_large = true,
                search::Found::None => {
                    let deadline = within(SHRINK);
                    let shrunk =
                        explain::shrink(model, part.key, part.operations, part.end(), deadline);
                    return Verdict::NotLinearizable(shrunk);
                }
            }
        }
        open = left;
        slice = (slice * 4).min(LAST_SLICE);
    }
    if too_large { Verdict::Unknown } else { Verdict::Linearizable }
}

/// A counter-example is cut down for so long at most.
const SHRINK: Duration = Duration::from_secs(2);

const FIRST_SLICE: Duration = Duration::from_millis(50);

/// Longer than any memory lasts.
const LAST_SLICE: Duration = Duration::from_secs(86_400);

/// So many answers are looked at first, then twice as many, and so on: what is wrong early is
/// found early.
const FIRST_ANSWERS: usize = 16;

/// The operations on one key, and how many of their answers are to be explained next.
struct Part<'a, I, O> {
    key: &'a str,
    operations: &'a [Operation<I, O>],
    answers: Vec<u64>,
    upto: usize,
}

impl<'a, I, O> Part<'a, I, O> {
    fn new(key: &'a str, operations: &'a [Operation<I, O>]) -> Self {
        let answers = history::answers(operations);
        Part { key, operations, answers, upto: FIRST_ANSWERS }
    }

    /// The time of the last answer that is to be explained.
    fn end(&self) -> u64 {
        self.answers.get(self.upto - 1).copied().unwrap_or(u64::MAX)
    }

    fn judge<M: Model<Input = I, Output = O>>(
        &mut self,
        model: &M,
        deadline: Instant,
    ) -> search::Found {
        loop {
            let steps: Vec<_> = self
                .operations
                .iter()
                .filter_map(|operation| search::Step::until(operation, self.end()))
                .collect();
            let found = search::explain_all(model, &model.init(), &steps, deadline);
            if found != search::Found::Order || self.upto >= self.answers.len() {
                return found;
            }
            self.upto *= 2;
        }
    }
}
