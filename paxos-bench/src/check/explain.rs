//! A counter-example that a person can read.
//!
//! A history that is not linearizable is cut down by steps that cannot make it so: the operations
//! after the first answer that no order explains are dropped, then reads that are not needed, and
//! of a long rest only the end is shown, with the states that can have come before it. What is
//! shown is bounded, whether or not the time sufficed for cutting.

use super::history::{self, Operation};
use super::model::{Model, shorten};
use super::search::{self, Found, Reached, Step};
use std::cmp::Reverse;
use std::fmt;
use std::time::Instant;

/// The least part of a history that is still not linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterExample {
    /// The key; empty where the history has no keys.
    pub key: String,
    /// Operations on the key in the whole history.
    pub of: usize,
    /// Operations that are enough.
    pub enough: usize,
    /// What can have been before the operations shown. None of it explains all their answers.
    /// Empty where that was not found in time.
    pub before: Vec<String>,
    /// The operations shown, in the order in which they were asked.
    pub lines: Vec<Line>,
}

/// One operation of a counter-example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who asked.
    pub process: u64,
    /// What was asked and answered.
    pub text: String,
    /// When it was asked, in the order of all events.
    pub invoked: u64,
    /// When the answer came; none: not before the last answer shown, or never.
    pub returned: Option<u64>,
}

/// More operations than this are not all shown.
const SHOWN: usize = 16;

/// Of those, so many that returned are shown at least, and up to twice as many.
const SHOWN_RETURNED: usize = 10;

/// So many operations are shown at most, also where the time did not suffice to cut them down.
const SHOWN_MAX: usize = 50;

/// There are at most so many ways to have come to the operations shown.
const WAYS: usize = 8;

/// Cuts the operations on one key down, no order of which explains the answers up to `end`. What
/// the time does not suffice for stays as it is.
pub(super) fn shrink<M: Model>(
    model: &M,
    key: &str,
    operations: &[Operation<M::Input, M::Output>],
    end: u64,
    deadline: Instant,
) -> CounterExample {
    let mut kept: Vec<_> = operations.iter().filter(|asked| asked.invoked < end).collect();
    let end = first_unexplained(model, &mut kept, end, share(deadline));
    drop_reads(model, &mut kept, end, share(deadline));
    let (before, shown) = last_part(model, &kept, end, deadline);
    let lines = shown.into_iter().map(|operation| line(model, operation, end)).collect();
    CounterExample { key: key.to_owned(), of: operations.len(), enough: kept.len(), before, lines }
}

/// Half of the time that is left, so that the next cut has some too.
fn share(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}

type Kept<'a, M> = Vec<&'a Operation<<M as Model>::Input, <M as Model>::Output>>;

fn is_wrong<M: Model>(model: &M, kept: &Kept<'_, M>, end: u64, deadline: Instant) -> bool {
    let steps: Vec<_> = kept.iter().filter_map(|kept| Step::until(kept, end)).collect();
    search::explain_all(model, &model.init(), &steps, deadline) == Found::None
}

/// Keeps what was asked before the first answer that no order explains, and gives its time. Every
/// beginning of a linearizable history is linearizable, so the answers can be halved. Most often
/// it is the answer that the search of the whole got stuck at, so that is tried first.
fn first_unexplained<M: Model>(
    model: &M,
    kept: &mut Kept<'_, M>,
    end: u64,
    deadline: Instant,
) -> u64 {
    let mut answers = history::answers(kept.iter().copied());
    let steps: Vec<_> = kept.iter().filter_map(|kept| Step::until(kept, end)).collect();
    let stuck = search::stuck_at(model, &model.init(), &steps, deadline).unwrap_or(0);
    answers.retain(|&at| stuck <= at && at < end);
    let wrong = |at: u64| is_wrong(model, kept, at, deadline);
    let explained = match answers.first() {
        Some(&first) if wrong(first) => 0,
        _ => answers.partition_point(|&at| !wrong(at)),
    };
    let end = answers.get(explained).copied().unwrap_or(end);
    kept.retain(|operation| operation.invoked < end);
    end
}

/// Drops reads, many at once where that goes. Without a read an order stays an order. What was
/// answered last is needed: all before it is explained.
fn drop_reads<M: Model>(model: &M, kept: &mut Kept<'_, M>, end: u64, deadline: Instant) {
    let is_read = |operation: &&Operation<M::Input, M::Output>| {
        let output = operation.returned.as_ref().filter(|(at, _)| *at <= end);
        model.is_read(&operation.input, output.map(|(_, output)| output))
    };
    let is_last =
        |operation: &Operation<_, _>| operation.returned.as_ref().is_some_and(|(at, _)| *at == end);
    let mut reads: Vec<u64> = kept
        .iter()
        .filter(|operation| is_read(operation) && !is_last(operation))
        .map(|read| read.invoked)
        .collect();
    let mut chunk = reads.len().next_power_of_two();
    while chunk > 0 {
        let mut left = Vec::new();
        for tried in reads.chunks(chunk) {
            if Instant::now() >= deadline {
                return;
            }
            // They are in the order in which they were asked.
            let is_tried = |read: u64| tried.binary_search(&read).is_ok();
            let without: Kept<'_, M> =
                kept.iter().copied().filter(|kept| !is_tried(kept.invoked)).collect();
            if is_wrong(model, &without, end, deadline) {
                *kept = without;
            } else {
                left.extend_from_slice(tried);
            }
        }
        reads = left;
        chunk /= 2;
    }
}

/// The last operations, and what can have been before them; all, where they are few. Where too
/// much can have been before any of the last, it is not told.
fn last_part<'a, M: Model>(
    model: &M,
    kept: &Kept<'a, M>,
    end: u64,
    deadline: Instant,
) -> (Vec<String>, Kept<'a, M>) {
    let mut answers = history::answers(kept.iter().copied());
    answers.retain(|&at| at <= end);
    let cuts = answers.iter().rev().skip(SHOWN_RETURNED).take(SHOWN_RETURNED);
    for &cut in cuts.filter(|_| kept.len() > SHOWN) {
        let early: Kept<'a, M> = kept.iter().copied().filter(|op| op.invoked < cut).collect();
        let steps: Vec<_> = early.iter().filter_map(|op| Step::foreseen(op, cut)).collect();
        let reached = search::reachable(model, &model.init(), &steps, WAYS, deadline);
        if let Some(reached) = reached {
            let before = reached.iter().map(|way| describe(model, &early, cut, way)).collect();
            let open = |op: &&Operation<M::Input, M::Output>| {
                op.returned.as_ref().is_none_or(|(at, _)| *at > cut)
            };
            let shown = kept.iter().copied().filter(open).collect();
            return (before, last_answered::<M>(shown, end));
        }
    }
    let before = match kept.len() {
        0..=SHOWN_MAX => vec![model.describe_state(&model.init())],
        _ => Vec::new(),
    };
    (before, last_answered::<M>(kept.clone(), end))
}

/// Of many operations those answered last, in the order in which they were asked.
fn last_answered<M: Model>(mut shown: Kept<'_, M>, end: u64) -> Kept<'_, M> {
    let answered = |operation: &Operation<_, _>| {
        operation.returned.as_ref().map(|(at, _)| *at).filter(|at| *at <= end)
    };
    shown.sort_by_key(|operation| Reverse((answered(operation), operation.invoked)));
    shown.truncate(SHOWN_MAX);
    shown.sort_by_key(|operation| operation.invoked);
    shown
}

/// A state, and which of the operations shown have made their change to it already.
fn describe<M: Model>(
    model: &M,
    early: &Kept<'_, M>,
    cut: u64,
    (state, done): &Reached<M::State>,
) -> String {
    let mut text = model.describe_state(state);
    let is_open = |operation: &&Operation<M::Input, M::Output>| {
        operation.returned.as_ref().is_none_or(|(at, _)| *at > cut)
    };
    let changed = early.iter().copied().zip(done).filter(|(_, done)| **done);
    let changed: Kept<'_, M> = changed.map(|(operation, _)| operation).filter(is_open).collect();
    for operation in changed.iter().take(WAYS) {
        let output = operation.returned.as_ref().map(|(_, output)| output);
        let shown = model.describe(&operation.input, output);
        text.push_str(&format!(", after process {}: {shown}", operation.process));
    }
    if changed.len() > WAYS {
        text.push_str(&format!(", and {} more", changed.len() - WAYS));
    }
    text
}

fn line<M: Model>(model: &M, operation: &Operation<M::Input, M::Output>, end: u64) -> Line {
    let returned = operation.returned.as_ref().filter(|(at, _)| *at <= end);
    Line {
        process: operation.process,
        text: model.describe(&operation.input, returned.map(|(_, output)| output)),
        invoked: operation.invoked,
        returned: returned.map(|(at, _)| *at),
    }
}

impl fmt::Display for CounterExample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not linearizable")?;
        if !self.key.is_empty() {
            write!(f, ": key {}", shorten(&self.key))?;
        }
        writeln!(f, "; {} of {} operations are enough", self.enough, self.of)?;
        if self.lines.len() < self.enough {
            let (shown, left_out) = (self.lines.len(), self.enough - self.lines.len());
            writeln!(f, "the last {shown} are shown, {left_out} before or beside them are not")?;
        }
        for (at, state) in self.before.iter().enumerate() {
            writeln!(f, "{} {state}", if at == 0 { "before:" } else { "    or:" })?;
        }
        let last = self.lines.iter().filter_map(|line| line.returned).max();
        let columns = Columns::of(&self.lines);
        for line in &self.lines {
            let mark = if line.returned == last { "  <- no order explains this" } else { "" };
            let bar = columns.bar(line);
            writeln!(f, "process {:>3} {bar} {}{mark}", line.process, line.text)?;
        }
        Ok(())
    }
}

/// Where each event stands: two characters for each event shown, in their order.
struct Columns {
    events: Vec<u64>,
}

impl Columns {
    fn of(lines: &[Line]) -> Columns {
        let times = lines.iter().flat_map(|line| [Some(line.invoked), line.returned]);
        let mut events: Vec<u64> = times.flatten().collect();
        events.sort_unstable();
        Columns { events }
    }

    /// `|---|` from call to answer, `|---?` where there is none.
    fn bar(&self, line: &Line) -> String {
        let column = |time: u64| 2 * self.events.partition_point(|&event| event < time);
        let end = line.returned.map_or(2 * self.events.len(), column);
        let width = 2 * self.events.len() + 1;
        (0..width)
            .map(|at| match at {
                _ if at == end && line.returned.is_none() => '?',
                _ if at == column(line.invoked) || at == end => '|',
                _ if at > column(line.invoked) && at < end => '-',
                _ => ' ',
            })
            .collect()
    }
}
