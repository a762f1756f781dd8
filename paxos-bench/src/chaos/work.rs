//! What clients do meanwhile: calls of all kinds on few keys, recorded.
//!
//! Keys belong to a span of time; a new span has new ones. So no key has so many calls that judging
//! it takes long, while some calls go to old keys, and all keys are read at the end.

use super::tally::{Called, Tally};
use crate::check::{KvInput, KvOutput, Recorder};
use paxos_core::rng::{Rng, mix};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// What is recorded.
pub type History = Recorder<KvInput, KvOutput>;

/// A client of a store, however it is reached.
pub trait Caller: Clone + 'static {
    /// Does one thing to a key; values are what [`padded`] makes of those of the input.
    fn call(&self, key: &str, input: &KvInput) -> impl Future<Output = Ended>;
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was answered.
    Ok(KvOutput),
    /// It certainly had and will have no effect.
    Failed,
    /// It may have had an effect, or may yet have one.
    Unknown,
}

/// How the calls come.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Decides which calls there are.
    pub seed: u64,
    /// Tasks for each client, each with one call open at a time.
    pub per_client: u64,
    /// Calls a second by all of them, at most.
    pub rate: u64,
    /// How long a span of time has the same keys.
    pub span: Duration,
    /// Keys of a span.
    pub keys: u64,
}

/// The tasks, and what they find out.
#[derive(Debug)]
pub struct Working {
    shared: Rc<Shared>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    work: Work,
    began: Instant,
    history: History,
    tally: Rc<RefCell<Tally>>,
    stop: Cell<bool>,
    /// Every key that was used, and the value that it had when it was last heard of.
    seen: RefCell<BTreeMap<String, Option<String>>>,
    used: RefCell<BTreeSet<String>>,
}

/// One call in so many goes to a key of any earlier span.
const OLD_ONE_IN: u64 = 10;

/// Whoever reads all keys at the end, in the history.
const LAST_READER: u64 = 1_000_000;

impl Working {
    /// Starts the tasks on the current thread, which must be able to run local ones.
    pub fn start(work: Work, clients: &[impl Caller], tally: Rc<RefCell<Tally>>) -> Working {
        let (history, began) = (History::new(), Instant::now());
        let (seen, used) = (RefCell::default(), RefCell::default());
        let stop = Cell::new(false);
        let shared = Rc::new(Shared { work, began, history, tally, stop, seen, used });
        let mut tasks = JoinSet::new();
        let count = clients.len() as u64 * work.per_client;
        let each = clients.iter().flat_map(|client| (0..work.per_client).map(move |_| client));
        for (process, client) in (0..).zip(each) {
            tasks.spawn_local(run(shared.clone(), client.clone(), process, count));
        }
        Working { shared, tasks }
    }

    /// Has the tasks end when their calls have, and waits for that.
    pub async fn stop(&mut self) {
        self.shared.stop.set(true);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                // A bug in here must not pass for a good run.
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }

    /// Reads every key that was used, so that nothing that is lost stays unseen. An error: one of
    /// them could not be read within this time for all.
    pub async fn read_all(&self, client: &impl Caller, within: Duration) -> Result<(), String> {
        let late = |_| format!("not all keys can be read within {within:?} of the last heal");
        timeout(within, self.read_each(client)).await.map_err(late)
    }

    async fn read_each(&self, client: &impl Caller) {
        let keys: Vec<String> = self.shared.used.borrow().iter().cloned().collect();
        for key in &keys {
            loop {
                let pending = self.shared.history.invoke(LAST_READER, key, KvInput::Get);
                match client.call(key, &KvInput::Get).await {
                    Ended::Ok(output) => break pending.ok(output),
                    Ended::Failed => pending.fail(),
                    Ended::Unknown => pending.unknown(),
                }
            }
        }
    }

    /// What was recorded.
    pub fn history(&self) -> &History {
        &self.shared.history
    }
}

async fn run(shared: Rc<Shared>, client: impl Caller, process: u64, count: u64) {
    let mut rng = Rng::new(mix(shared.work.seed ^ process));
    let pause = Duration::from_secs(count).div_f64(shared.work.rate.max(1) as f64);
    let mut ticker = interval(pause.max(Duration::from_millis(1)));
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turn = 0;
    loop {
        ticker.tick().await;
        if shared.stop.get() {
            return;
        }
        turn += 1;
        let key = shared.key(&mut rng);
        let input = shared.input(&key, format!("{process}-{turn}"), &mut rng);
        shared.used.borrow_mut().insert(key.clone());
        let pending = shared.history.invoke(process, &key, input.clone());
        let began = Instant::now();
        let ended = client.call(&key, &input).await;
        let called = match &ended {
            Ended::Ok(_) => Called::Ok,
            Ended::Failed => Called::Failed,
            Ended::Unknown => Called::Unknown,
        };
        shared.tally.borrow_mut().called(name(&input), called, began);
        match ended {
            Ended::Ok(output) => {
                shared.learn(&key, &input, &output);
                pending.ok(output);
            }
            Ended::Failed => pending.fail(),
            Ended::Unknown => pending.unknown(),
        }
    }
}

impl Shared {
    /// As a rule one of the present keys, sometimes an old one.
    fn key(&self, rng: &mut Rng) -> String {
        let span = self.began.elapsed().as_millis() / self.work.span.as_millis().max(1);
        let mut span = span as u64;
        if rng.between(0, OLD_ONE_IN) == 0 {
            span = rng.between(0, span + 1);
        }
        format!("{span}-{}", rng.between(0, self.work.keys))
    }

    fn input(&self, key: &str, value: String, rng: &mut Rng) -> KvInput {
        match rng.between(0, 10) {
            0..4 => KvInput::Put(value),
            4 => KvInput::Delete,
            5 | 6 => {
                let seen = self.seen.borrow().get(key).cloned().flatten();
                KvInput::Cas { from: seen.filter(|_| rng.between(0, 4) > 0), to: value }
            }
            _ => KvInput::Get,
        }
    }

    fn learn(&self, key: &str, input: &KvInput, output: &KvOutput) {
        let value = match (input, output) {
            (KvInput::Get, KvOutput::Got(got)) => got.clone().map(|(value, _)| value),
            (KvInput::Put(value), _) => Some(value.clone()),
            (KvInput::Delete, _) => None,
            (KvInput::Cas { to, .. }, KvOutput::Swapped(true)) => Some(to.clone()),
            _ => return,
        };
        self.seen.borrow_mut().insert(key.to_owned(), value);
    }
}

/// The kind of a call, in reports.
fn name(input: &KvInput) -> &'static str {
    match input {
        KvInput::Get => "get",
        KvInput::Put(_) => "put",
        KvInput::Delete => "delete",
        KvInput::Cas { .. } => "cas",
    }
}

/// What stands for a value in the store: the value, and up to a few hundred bytes that follow from
/// it, so that entries are of all sizes while histories are small.
pub fn padded(value: &str) -> String {
    let hash = value.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
    let bytes = hash % 400;
    format!("{value} {};", ".".repeat(bytes as usize))
}

/// The value that stands in the store like this; what nobody can have put there is left whole.
pub fn unpadded(found: &[u8]) -> String {
    let text = String::from_utf8_lossy(found);
    match text.split_once(' ') {
        Some((value, _)) if padded(value) == text => value.to_owned(),
        _ => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_padded_is_found_again_and_damage_shows() {
        for n in 0..1000 {
            let value = format!("7-{n}");
            let stored = padded(&value);
            assert_eq!(unpadded(stored.as_bytes()), value);
            let short = &stored[..stored.len() - 1];
            assert_ne!(unpadded(short.as_bytes()), value, "{short}");
        }
        let lengths: BTreeSet<_> = (0..100).map(|n| padded(&format!("{n}")).len()).collect();
        assert!(lengths.len() > 50, "values of many sizes");
    }
}
