//! The search for an order that explains every answer.

use super::history::Operation;
use super::model::Model;
use std::collections::HashSet;
use std::time::Instant;

/// One operation as the search sees it.
#[derive(Debug)]
pub(super) struct Step<'a, I, O> {
    input: &'a I,
    output: Option<&'a O>,
    invoked: u64,
    /// None: it need not be in the order at all.
    returned: Option<u64>,
}

impl<'a, I, O> Step<'a, I, O> {
    /// The operation as it looked at the moment `cut`: what had not returned has no answer, what
    /// had not been asked is not there.
    pub(super) fn until(operation: &'a Operation<I, O>, cut: u64) -> Option<Self> {
        let mut step = Step::foreseen(operation, cut)?;
        step.output = step.output.filter(|_| step.returned.is_some());
        Some(step)
    }

    /// The operation as [`Step::until`], but with the answer that it gets later.
    pub(super) fn foreseen(operation: &'a Operation<I, O>, cut: u64) -> Option<Self> {
        (operation.invoked < cut).then(|| Step {
            input: &operation.input,
            output: operation.returned.as_ref().map(|(_, output)| output),
            invoked: operation.invoked,
            returned: operation.returned.as_ref().map(|(at, _)| *at).filter(|at| *at <= cut),
        })
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is an order.
    Order,
    /// There is none.
    None,
    /// The time or the memory was used up.
    GaveUp,
}

/// Where a search can stand: the state, and for each step whether it is in the order.
pub(super) type Reached<S> = (S, Vec<bool>);

/// Is there an order, from `start` on, of all steps that returned (and of any of the others) that
/// keeps the order of those that did not overlap, and explains every answer?
pub(super) fn explain_all<M: Model>(
    model: &M,
    start: &M::State,
    steps: &[Step<'_, M::Input, M::Output>],
    deadline: Instant,
) -> Found {
    Search::new(model, start, steps).run(deadline, |_, _| true)
}

/// The time of the answer that no order got past, where there is no order of all steps. Some order
/// explains every answer before it.
pub(super) fn stuck_at<M: Model>(
    model: &M,
    start: &M::State,
    steps: &[Step<'_, M::Input, M::Output>],
    deadline: Instant,
) -> Option<u64> {
    let mut search = Search::new(model, start, steps);
    let found = search.run(deadline, |_, _| true);
    let time = search.events.times.get(search.furthest.checked_sub(1)?)?;
    (found == Found::None).then_some(*time)
}

/// Every state in which all steps that returned, and maybe others, can have taken effect. None
/// where there are more than `most`, or the time was up.
pub(super) fn reachable<M: Model>(
    model: &M,
    start: &M::State,
    steps: &[Step<'_, M::Input, M::Output>],
    most: usize,
    deadline: Instant,
) -> Option<Vec<Reached<M::State>>> {
    let mut reached = Vec::new();
    let found = Search::new(model, start, steps).run(deadline, |state, done| {
        reached.push((state.clone(), done.to_vec()));
        reached.len() > most
    });
    (found == Found::None).then_some(reached)
}

/// Configurations remembered at most, about a hundred bytes each.
const MEMORY: usize = 4_000_000;

const HEAD: usize = 0;

struct Search<'a, M: Model> {
    model: &'a M,
    steps: &'a [Step<'a, M::Input, M::Output>],
    state: M::State,
    /// Whether each step is in the order.
    done: Vec<bool>,
    /// Steps that returned and are not in the order.
    missing: usize,
    /// So many of `events.certain` are in the order without a gap.
    front: usize,
    /// The last node that nothing got past.
    furthest: usize,
    events: Events,
    order: Vec<(usize, M::State)>,
    seen: HashSet<(Box<[u64]>, M::State)>,
}

impl<'a, M: Model> Search<'a, M> {
    fn new(
        model: &'a M,
        start: &M::State,
        steps: &'a [Step<'a, M::Input, M::Output>],
    ) -> Search<'a, M> {
        Search {
            model,
            steps,
            state: start.clone(),
            done: vec![false; steps.len()],
            missing: steps.iter().filter(|step| step.returned.is_some()).count(),
            front: 0,
            furthest: HEAD,
            events: Events::new(steps),
            order: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// Goes through the configurations until `enough` says so of one in which nothing is missing.
    fn run(
        &mut self,
        deadline: Instant,
        mut enough: impl FnMut(&M::State, &[bool]) -> bool,
    ) -> Found {
        if self.missing == 0 && enough(&self.state, &self.done) {
            return Found::Order;
        }
        let mut cursor = self.events.next[HEAD];
        let mut turns = 0u64;
        loop {
            let late = turns.is_multiple_of(1024) && Instant::now() >= deadline;
            if late || self.seen.len() > MEMORY {
                return Found::GaveUp;
            }
            turns += 1;
            let call = self.events.calls[cursor];
            match call {
                Some(step) if self.take(step) => {
                    if self.missing == 0 && enough(&self.state, &self.done) {
                        return Found::Order;
                    }
                    cursor = self.events.next[HEAD];
                }
                Some(_) => cursor = self.events.next[cursor],
                // Whatever returned here must be in the order by now, and is not.
                None => {
                    self.furthest = self.furthest.max(cursor);
                    match self.untake() {
                        Some(step) => cursor = self.events.next[self.events.call[step]],
                        None => return Found::None,
                    }
                }
            }
        }
    }

    /// Puts the step next in the order, unless the state forbids it or it leads nowhere new.
    fn take(&mut self, step: usize) -> bool {
        let Step { input, output, .. } = self.steps[step];
        let Some(next) = self.model.step(&self.state, input, output) else { return false };
        if output.is_none() && next == self.state {
            return false; // An operation that need not be there, and changes nothing here.
        }
        self.mark(step);
        if !self.seen.insert((self.key(), next.clone())) {
            self.unmark(step);
            return false;
        }
        self.events.lift(step);
        self.order.push((step, std::mem::replace(&mut self.state, next)));
        true
    }

    /// Takes the last step out of the order again.
    fn untake(&mut self) -> Option<usize> {
        let (step, state) = self.order.pop()?;
        self.state = state;
        self.unmark(step);
        self.events.unlift(step);
        Some(step)
    }

    fn mark(&mut self, step: usize) {
        self.done[step] = true;
        self.missing -= usize::from(self.steps[step].returned.is_some());
        let certain = &self.events.certain;
        while certain.get(self.front).is_some_and(|&step| self.done[step]) {
            self.front += 1;
        }
    }

    fn unmark(&mut self, step: usize) {
        self.done[step] = false;
        if self.steps[step].returned.is_some() {
            self.missing += 1;
            self.front = self.front.min(self.events.rank[step]);
        }
    }

    /// The set of steps in the order, written short: how many of those that returned are there
    /// without a gap, bits for those that need not be there, bits for the few beyond the gap.
    fn key(&self) -> Box<[u64]> {
        let Events { certain, optional, .. } = &self.events;
        let mut key = vec![0; 1 + optional.len().div_ceil(64)];
        key[0] = self.front as u64;
        for (at, &step) in optional.iter().enumerate() {
            key[1 + at / 64] |= u64::from(self.done[step]) << (at % 64);
        }
        let mut ahead = certain.len() - self.missing - self.front;
        let fixed = key.len();
        for (at, &step) in certain[self.front..].iter().enumerate() {
            if ahead == 0 {
                break;
            }
            if self.done[step] {
                ahead -= 1;
                key.resize(fixed + at / 64 + 1, 0);
                key[fixed + at / 64] |= 1 << (at % 64);
            }
        }
        key.into()
    }
}

/// The calls and returns of what is not in the order yet: a linked list, in the order of time.
struct Events {
    /// The time of each node but the head.
    times: Vec<u64>,
    next: Vec<usize>,
    previous: Vec<usize>,
    /// The step that a node calls; none: the node is a return, or the end of the list.
    calls: Vec<Option<usize>>,
    /// The nodes of each step.
    call: Vec<usize>,
    returned: Vec<Option<usize>>,
    /// The steps that returned, and those that did not, by the time of their call.
    certain: Vec<usize>,
    optional: Vec<usize>,
    /// The place of each step that returned in `certain`.
    rank: Vec<usize>,
}

impl Events {
    fn new<I, O>(steps: &[Step<'_, I, O>]) -> Events {
        let mut times: Vec<(u64, usize, bool)> = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            times.push((step.invoked, at, true));
            times.extend(step.returned.map(|time| (time, at, false)));
        }
        times.sort_unstable();
        let nodes = times.len() + 2;
        let mut events = Events {
            times: times.iter().map(|(time, ..)| *time).collect(),
            next: (1..=nodes).collect(),
            previous: (0..nodes).map(|node| node.saturating_sub(1)).collect(),
            calls: vec![None; nodes],
            call: vec![HEAD; steps.len()],
            returned: vec![None; steps.len()],
            certain: Vec::new(),
            optional: Vec::new(),
            rank: vec![0; steps.len()],
        };
        for (node, (_, step, is_call)) in (1..).zip(times) {
            if !is_call {
                events.returned[step] = Some(node);
                continue;
            }
            events.calls[node] = Some(step);
            events.call[step] = node;
            match steps[step].returned {
                Some(_) => {
                    events.rank[step] = events.certain.len();
                    events.certain.push(step);
                }
                None => events.optional.push(step),
            }
        }
        events
    }

    fn lift(&mut self, step: usize) {
        for node in [Some(self.call[step]), self.returned[step]].into_iter().flatten() {
            let (before, after) = (self.previous[node], self.next[node]);
            self.next[before] = after;
            self.previous[after] = before;
        }
    }

    /// Undoes the last `lift` that is not undone: the nodes still know their neighbours.
    fn unlift(&mut self, step: usize) {
        for node in [self.returned[step], Some(self.call[step])].into_iter().flatten() {
            let (before, after) = (self.previous[node], self.next[node]);
            self.next[before] = node;
            self.previous[after] = node;
        }
    }
}
