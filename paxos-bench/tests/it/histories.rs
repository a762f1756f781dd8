//! The checker against histories with known verdicts.

use crate::check_command;
use paxos_bench::check::{
    self, AppendModel, History, KvInput, KvModel, KvOutput, Model, Pending, Recorder,
    RegisterInput, RegisterModel, RegisterOutput, Verdict,
};
use paxos_core::rng::Rng;
use std::fmt::Debug;
use std::hash::Hash;
use std::io::Write;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;
use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action, History as JudgeHistory};
use todc_utils::specifications::Specification;

const LIMIT: Duration = Duration::from_secs(10);

/// A judge that nobody here wrote, over our models.
struct Judge<M>(PhantomData<M>);

/// An operation as the other judge knows it: the answer is known from the start or never. An
/// unknown one may come last, where it harms nothing, so that judge need not know of it.
#[derive(Clone, Debug)]
struct Judged<I, O>(I, Option<O>);

impl<M: Model + Default> Specification for Judge<M>
where
    M::State: Clone + Debug + Eq + Hash,
{
    type State = M::State;
    type Operation = Judged<M::Input, M::Output>;

    fn init() -> M::State {
        M::default().init()
    }

    fn apply(operation: &Self::Operation, state: &M::State) -> (bool, M::State) {
        let Judged(input, output) = operation;
        match M::default().step(state, input, output.as_ref()) {
            Some(next) => (true, next),
            None => (false, state.clone()),
        }
    }
}

/// What the second judge says.
fn second_opinion<M: Model + Default>(history: &History<M::Input, M::Output>) -> bool {
    history.keys().all(|(_, operations)| {
        let mut events = Vec::new();
        for (process, operation) in operations.iter().enumerate() {
            let (at, output) = match &operation.returned {
                Some((at, output)) => (*at, Some(output.clone())),
                None => (u64::MAX, None),
            };
            let judged = Judged(operation.input.clone(), output);
            events.push((operation.invoked, process, Action::Call(judged.clone())));
            events.push((at, process, Action::Response(judged)));
        }
        events.sort_by_key(|(at, process, _)| (*at, *process));
        let actions = events.into_iter().map(|(_, process, action)| (process, action)).collect();
        WGLChecker::<Judge<M>>::is_linearizable(JudgeHistory::from_actions(actions))
    })
}

/// Both judges must agree with the verdict.
fn agree<M: Model + Default>(
    name: &str,
    history: &History<M::Input, M::Output>,
    linearizable: bool,
) {
    ours::<M>(name, history, linearizable);
    let judge = second_opinion::<M>(history);
    assert_eq!(judge, linearizable, "{name}: the second judge is of another opinion");
}

/// Our judge must agree with the verdict.
fn ours<M: Model + Default>(
    name: &str,
    history: &History<M::Input, M::Output>,
    linearizable: bool,
) {
    match check::check(&M::default(), history, LIMIT) {
        Verdict::Linearizable => assert!(linearizable, "{name} is not linearizable"),
        Verdict::NotLinearizable(found) => {
            assert!(!linearizable, "{name} is linearizable:\n{found}");
            assert!(found.enough <= found.of && !found.lines.is_empty(), "{name}:\n{found}");
        }
        Verdict::Unknown => panic!("{name} was not judged within {LIMIT:?}"),
    }
}

/// Judges every history of a folder; how many there are.
fn judge_all(folder: &Path) -> usize {
    let verdicts = std::fs::read_to_string(folder.join("verdicts.csv")).unwrap();
    let mut judged = 0;
    for line in verdicts.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [file, model, linearizable, operations] = fields[..] else { panic!("{line}") };
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let linearizable = linearizable == "true";
        let count = match model {
            "cas-register" => {
                let history = check::parse_jepsen_etcd(&text).unwrap();
                agree::<RegisterModel>(file, &history, linearizable);
                history.len()
            }
            "kv-get-put-append-per-key" => {
                let history = check::parse_kv_edn(&text).unwrap();
                // The second judge goes key by key and has no time limit: this one is too much.
                match file {
                    "kv/c50-bad.txt" => ours::<AppendModel>(file, &history, linearizable),
                    _ => agree::<AppendModel>(file, &history, linearizable),
                }
                history.len()
            }
            "kv" => {
                let history = check::parse_json(&text).unwrap();
                agree::<KvModel>(file, &history, linearizable);
                history.len()
            }
            other => panic!("there is no model {other}"),
        };
        assert_eq!(count.to_string(), operations, "{file}: operations read");
        judged += 1;
    }
    judged
}

/// Made by hand, one idea each, which its name says.
#[test]
fn our_own_histories_get_their_verdicts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    assert_eq!(judge_all(&folder), 9);
    the_command_agrees(&folder);
}

/// Of Jepsen and Porcupine. They are no part of this repository: they are looked for beside it, or
/// where `PAXOS_HISTORIES` says.
#[test]
fn published_histories_get_their_published_verdicts() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/histories");
    let folder = std::env::var_os("PAXOS_HISTORIES").map_or(beside, PathBuf::from);
    if !folder.join("verdicts.csv").is_file() {
        // Not by a macro: what those print is hidden when a test passes.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: published_histories_get_their_published_verdicts: there is no {}; name the \
             folder of the histories in PAXOS_HISTORIES",
            folder.display()
        );
        return;
    }
    assert_eq!(judge_all(&folder), 26);
    the_command_agrees(&folder);
}

/// The command says the same by its exit code, and never that it does not know.
fn the_command_agrees(folder: &Path) {
    let verdicts = std::fs::read_to_string(folder.join("verdicts.csv")).unwrap();
    for line in verdicts.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [file, model, linearizable, _] = fields[..] else { panic!("{line}") };
        let format = match model {
            "cas-register" => "jepsen-etcd",
            "kv-get-put-append-per-key" => "kv-edn",
            _ => "json",
        };
        let path = folder.join(file);
        let limit = LIMIT.as_secs().to_string();
        let arguments = ["check", path.to_str().unwrap(), "--format", format, "--limit-s", &limit];
        let (code, text) = check_command::exit_code(&arguments);
        let wanted = if linearizable == "true" { 0 } else { 1 };
        assert_eq!(code, Some(wanted), "{file}: {text}");
        // Long values are shortened, and many operations are not shown: it fits a page.
        assert!(text.lines().count() <= 40, "{file}:\n{text}");
        assert_eq!(wanted == 1, text.contains("no order explains this"), "{file}:\n{text}");
    }
}

type Kv = Recorder<KvInput, KvOutput>;

fn put(value: &str) -> KvInput {
    KvInput::Put(value.to_owned())
}

fn got(value: &str, version: u64) -> KvOutput {
    KvOutput::Got(Some((value.to_owned(), Some(version))))
}

#[test]
fn an_unknown_write_may_take_effect_late_or_never() {
    for late in [false, true] {
        let recorder = Kv::new();
        recorder.invoke(1, "k", put("a")).ok(KvOutput::Put(None));
        recorder.invoke(2, "k", put("b")).unknown();
        recorder.invoke(3, "k", KvInput::Get).ok(got("a", 1));
        if late {
            recorder.invoke(3, "k", KvInput::Get).ok(got("b", 2));
        }
        agree::<KvModel>("late", &recorder.history(), true);
        // But not twice, and not undone.
        recorder.invoke(3, "k", KvInput::Get).ok(got("a", if late { 1 } else { 3 }));
        agree::<KvModel>("undone", &recorder.history(), false);
    }
}

#[test]
fn a_failed_write_is_not_there() {
    let recorder = Kv::new();
    recorder.invoke(1, "k", put("a")).fail();
    agree::<KvModel>("empty", &recorder.history(), true);
    recorder.invoke(1, "k", KvInput::Get).ok(got("a", 1));
    agree::<KvModel>("seen", &recorder.history(), false);
}

#[test]
fn a_write_applied_twice_shows_in_the_version() {
    let recorder = Kv::new();
    recorder.invoke(1, "k", put("a")).ok(KvOutput::Put(Some(1)));
    agree::<KvModel>("once", &recorder.history(), true);
    recorder.invoke(1, "k", put("b")).ok(KvOutput::Put(Some(3)));
    agree::<KvModel>("told to the writer", &recorder.history(), false);

    let recorder = Kv::new();
    recorder.invoke(1, "k", put("a")).ok(KvOutput::Put(None));
    recorder.invoke(1, "k", KvInput::Get).ok(got("a", 2));
    agree::<KvModel>("told to a reader", &recorder.history(), false);
}

#[test]
fn a_read_that_began_after_a_write_ended_sees_it() {
    let recorder = Kv::new();
    let open = recorder.invoke(1, "k", put("a"));
    let early = recorder.invoke(2, "k", KvInput::Get);
    open.ok(KvOutput::Put(None));
    early.ok(KvOutput::Got(None));
    agree::<KvModel>("concurrent", &recorder.history(), true);
    recorder.invoke(2, "k", KvInput::Get).ok(KvOutput::Got(None));
    agree::<KvModel>("stale", &recorder.history(), false);
}

#[test]
fn delete_and_compare_and_swap_answer_what_they_did() {
    let cas = |from: Option<&str>, to: &str| KvInput::Cas {
        from: from.map(str::to_owned),
        to: to.to_owned(),
    };
    let recorder = Kv::new();
    recorder.invoke(1, "k", KvInput::Delete).ok(KvOutput::Deleted(false));
    recorder.invoke(1, "k", cas(None, "a")).ok(KvOutput::Swapped(true));
    recorder.invoke(1, "k", cas(None, "b")).ok(KvOutput::Swapped(false));
    recorder.invoke(1, "k", cas(Some("a"), "b")).ok(KvOutput::Swapped(true));
    recorder.invoke(1, "k", KvInput::Get).ok(got("b", 2));
    recorder.invoke(1, "k", KvInput::Delete).ok(KvOutput::Deleted(true));
    recorder.invoke(1, "k", put("c")).ok(KvOutput::Put(None));
    recorder.invoke(1, "k", KvInput::Get).ok(got("c", 1));
    agree::<KvModel>("sequence", &recorder.history(), true);
    recorder.invoke(1, "k", KvInput::Delete).ok(KvOutput::Deleted(false));
    agree::<KvModel>("wrong", &recorder.history(), false);
}

#[test]
fn a_history_survives_being_written_and_read() {
    let recorder = Kv::new();
    let open = recorder.invoke(1, "a", put("x"));
    recorder.invoke(2, "b", KvInput::Delete).ok(KvOutput::Deleted(false));
    recorder.invoke(2, "a", KvInput::Get).ok(KvOutput::Got(None));
    recorder.invoke(3, "a", KvInput::Cas { from: None, to: "y".into() }).unknown();
    open.ok(KvOutput::Put(None));
    recorder.invoke(2, "a", KvInput::Get).ok(got("x", 1));
    let history = recorder.history();
    let mut text = Vec::new();
    check::write_json(&history, &mut text).unwrap();
    let read = check::parse_json(&String::from_utf8(text).unwrap()).unwrap();
    assert_eq!((history.keys().count(), history.len()), (2, 5));
    assert_eq!((read.keys().count(), read.len()), (2, 5));
    for ((key, written), (key_read, read)) in history.keys().zip(read.keys()) {
        assert_eq!(key, key_read);
        assert_eq!(written.len(), read.len());
        for (written, read) in written.iter().zip(read) {
            assert_eq!(written.input, read.input);
            let answer = |returned: &Option<(u64, KvOutput)>| returned.clone().map(|(_, out)| out);
            assert_eq!(answer(&written.returned), answer(&read.returned));
        }
    }
}

/// Calls of a few processes whose answers are made up, so that about half of all histories are
/// linearizable.
fn made_up(rng: &mut Rng) -> History<KvInput, KvOutput> {
    let recorder = Kv::new();
    let mut open = Vec::new();
    for _ in 0..rng.between(4, 9) {
        if open.len() == 3 {
            answer(open.swap_remove(rng.between(0, 3) as usize), rng);
        }
        let value = rng.between(0, 2).to_string();
        let input = match rng.between(0, 5) {
            0 => KvInput::Delete,
            1 => KvInput::Cas { from: Some("0".into()), to: value },
            2 => put(&value),
            _ => KvInput::Get,
        };
        open.push((input.clone(), recorder.invoke(open.len() as u64, "k", input)));
        if rng.between(0, 2) == 0 {
            answer(open.swap_remove(rng.between(0, open.len() as u64) as usize), rng);
        }
    }
    recorder.history()
}

fn answer((input, pending): (KvInput, Pending<KvInput, KvOutput>), rng: &mut Rng) {
    if rng.between(0, 6) == 0 {
        return pending.unknown();
    }
    let yes = rng.between(0, 2) == 0;
    pending.ok(match input {
        KvInput::Get => KvOutput::Got(yes.then(|| (rng.between(0, 2).to_string(), None))),
        KvInput::Put(_) => KvOutput::Put(None),
        KvInput::Delete => KvOutput::Deleted(yes),
        KvInput::Cas { .. } => KvOutput::Swapped(yes),
    });
}

#[test]
fn two_judges_agree_on_made_up_histories() {
    let mut linearizable = 0;
    for seed in 0..5000 {
        let history = made_up(&mut Rng::new(seed));
        let judge = second_opinion::<KvModel>(&history);
        ours::<KvModel>(&format!("seed {seed}"), &history, judge);
        linearizable += u32::from(judge);
    }
    assert!((500..4500).contains(&linearizable), "{linearizable} of 5000 are linearizable");
}

/// Two hundred writes in a row, eight at a time, and one read of what was overwritten long ago.
fn stale_read() -> History<KvInput, KvOutput> {
    let recorder = Kv::new();
    for round in 0..25 {
        let open: Vec<_> = (0..8)
            .map(|process| recorder.invoke(process, "k", put(&format!("{round}-{process}"))))
            .collect();
        recorder.invoke(9, "other", KvInput::Get).ok(KvOutput::Got(None));
        for pending in open {
            pending.ok(KvOutput::Put(None));
        }
        let last = recorder.invoke(8, "k", KvInput::Get);
        last.ok(got(&format!("{round}-3"), (round + 1) * 8));
    }
    recorder.invoke(9, "k", KvInput::Get).ok(KvOutput::Got(Some(("3-3".into(), None))));
    recorder.history()
}

#[test]
fn a_counter_example_is_short_and_drawn_on_one_time_line() {
    let Verdict::NotLinearizable(found) = check::check(&KvModel, &stale_read(), LIMIT) else {
        panic!("a stale read was not found");
    };
    let text = found.to_string();
    println!("{text}");
    assert!(text.lines().count() <= 30, "{text}");
    assert_eq!(found.key, "k");
    let last = text.lines().last().unwrap();
    assert!(last.contains("get: \"3-3\"  <- no order explains this"), "{text}");
    let bars = found.lines.len();
    let starts: Vec<_> = text.lines().rev().take(bars).map(|line| line.find('|')).collect();
    assert!(starts.iter().all(Option::is_some) && starts.is_sorted_by(|a, b| a >= b), "{text}");
}

#[test]
fn a_long_history_is_cut_down_to_a_page_too() {
    let recorder = Kv::new();
    for version in 1..=20_000 {
        recorder.invoke(1, "k", put(&version.to_string())).ok(KvOutput::Put(None));
    }
    recorder.invoke(1, "k", KvInput::Get).ok(got("19999", 19_999));
    let found = check::check(&KvModel, &recorder.history(), LIMIT);
    let text = fits_a_page(&found);
    assert!(text.contains("before: \"") && text.contains("put \"20000\""), "{text}");

    // Nothing can be cut here: any of the writes may have come before. And the key is long.
    let recorder = Recorder::new();
    for process in 0..2000 {
        recorder.invoke(process, &"k".repeat(100_000), RegisterInput::Write(1)).unknown();
    }
    let read = recorder.invoke(0, &"k".repeat(100_000), RegisterInput::Read);
    read.ok(RegisterOutput::Read(Some(2)));
    let found = check::check(&RegisterModel, &recorder.history(), LIMIT);
    let text = fits_a_page(&found);
    assert!(text.contains("the last 50 are shown, 1951 before or beside them are not"), "{text}");
}

/// The text of a counter-example, which is bounded.
fn fits_a_page(found: &Verdict) -> String {
    let Verdict::NotLinearizable(found) = found else { panic!("{found:?}") };
    let text = found.to_string();
    assert!(text.lines().count() <= 60, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 400), "{text}");
    assert!(text.contains("<- no order explains this"), "{text}");
    text
}
