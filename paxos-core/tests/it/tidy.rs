//! Keeps watch over what makes the sources readable, and the core pure. An exception has a reason,
//! and goes when it is not needed any more.

use std::fs;
use std::path::{Path, PathBuf};

/// About 400 lines a file: one role, one idea.
const FILE_LINES_MAX: usize = 440;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

/// Files that may have more lines, and why.
const LONG_FILES: &[(&str, &str)] = &[];

/// Functions that may have more lines, by file and name, and why.
const LONG_FUNCTIONS: &[(&str, &str, &str)] =
    &[("paxos-net/tests/it/support.rs", "samples", "one message of every kind: a table")];

/// What the core must not name, and where it would lead. The compiler refuses most of it already
/// (`no_std`); this says so before anyone relaxes that.
const IMPURE: &[(&str, &str)] = &[
    ("std::", "the core is no_std"),
    ("extern crate std", "the core is no_std"),
    ("HashMap", "iteration in hash order differs from run to run"),
    ("HashSet", "iteration in hash order differs from run to run"),
    ("Instant", "time is an input"),
    ("SystemTime", "time is an input, and never wall time"),
    ("f32", "floating point may differ between machines"),
    ("f64", "floating point may differ between machines"),
    ("println!", "inputs and outputs are values: the shell traces them"),
    ("dbg!", "inputs and outputs are values: the shell traces them"),
    ("log::", "inputs and outputs are values: the shell traces them"),
    ("tracing", "inputs and outputs are values: the shell traces them"),
    ("todo!", "what is not there yet is not there"),
    ("unimplemented!", "what is not there yet is not there"),
];

/// A source file: its path from the workspace's root, and its text.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// Every source of the workspace.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<PathBuf> = members(root);
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                sources.push(Source { path, text });
            }
        }
    }
    assert!(sources.len() > 40, "sources are missing: {}", sources.len());
    sources
}

/// The folders with sources of each crate.
fn members(root: &Path) -> Vec<PathBuf> {
    let crates = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let crates = crates.filter(|folder| folder.join("Cargo.toml").is_file());
    let folders = crates
        .flat_map(|folder| ["src", "tests", "examples", "benches"].map(|part| folder.join(part)));
    folders.filter(|folder| folder.is_dir()).collect()
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    for Source { path, text } in sources() {
        let lines = text.lines().count();
        let excepted = LONG_FILES.iter().any(|(long, _)| *long == path);
        if (lines > FILE_LINES_MAX) != excepted {
            wrong.push(format!("{path}: {lines} lines, excepted: {excepted}"));
        }
    }
    assert!(wrong.is_empty(), "at most {FILE_LINES_MAX} lines:\n{}", wrong.join("\n"));
}

#[test]
fn functions_are_short() {
    let mut wrong = Vec::new();
    for Source { path, text } in sources() {
        for (name, line, lines) in functions(&text) {
            let excepted =
                LONG_FUNCTIONS.iter().any(|&(long, function, _)| long == path && function == name);
            if (lines > FUNCTION_LINES_MAX) != excepted {
                wrong.push(format!("{path}:{line}: fn {name}: {lines} lines"));
            }
        }
    }
    assert!(wrong.is_empty(), "at most {FUNCTION_LINES_MAX} lines:\n{}", wrong.join("\n"));
}

#[test]
fn lines_fit_on_a_page() {
    let mut wrong = Vec::new();
    for Source { path, text } in sources() {
        let long = text.lines().enumerate().filter(|(_, line)| line.chars().count() > COLUMNS_MAX);
        wrong.extend(long.map(|(at, _)| format!("{path}:{}", at + 1)));
    }
    assert!(wrong.is_empty(), "at most {COLUMNS_MAX} columns:\n{}", wrong.join("\n"));
}

#[test]
fn core_is_pure() {
    let mut wrong = Vec::new();
    let core = sources().into_iter().filter(|source| source.path.starts_with("paxos-core/src/"));
    for Source { path, text } in core {
        let code = text.lines().enumerate().filter(|(_, line)| !line.trim().starts_with("//"));
        for (at, line) in code {
            for (word, why) in IMPURE.iter().filter(|(word, _)| has_word(line, word)) {
                wrong.push(format!("{path}:{}: {word}: {why}", at + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let map = include_str!("../../src/lib.rs");
    assert!(map.contains("#![no_std]") && map.contains("#![forbid(unsafe_code)]"));
}

/// Name, first line and number of lines of each function, as rustfmt lays it out.
fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some((before, after)) = code.split_once("fn ") else { continue };
        let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe"];
        if !before.split_whitespace().all(|word| qualifiers.contains(&word)) {
            continue;
        }
        let indent = &line[..line.len() - code.len()];
        let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
        // The signature ends with `{`, or with `;` where there is no body.
        let head = lines[at..].iter().position(|line| line.ends_with(['{', ';', '}']));
        let head = at + head.unwrap_or(0);
        let end = match lines[head].ends_with('{') {
            true => lines[head..].iter().position(|line| *line == format!("{indent}}}")),
            false => Some(0),
        };
        let end = head + end.unwrap_or_else(|| panic!("fn {name} has no end"));
        found.push((name.to_owned(), at + 1, end - at + 1));
    }
    found
}

/// Whether the word is in the line, and not a part of a longer one.
pub fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let starts = line.match_indices(word).map(|(at, _)| at);
    starts.into_iter().any(|at| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let open = word.ends_with(|c| !part(c));
        !before.is_some_and(part) && (open || !after.is_some_and(part))
    })
}

#[test]
fn the_watch_itself_sees() {
    let body = "    let x = 1;\n".repeat(FUNCTION_LINES_MAX);
    let text =
        format!("impl X {{\n    pub fn short() {{\n    }}\n}}\npub fn long(\n) {{\n{body}}}\n");
    let found = functions(&text);
    assert_eq!(found, [("short".into(), 2, 2), ("long".into(), 5, FUNCTION_LINES_MAX + 3)]);
    assert!(has_word("use std::fmt;", "std::") && has_word("x: HashMap<", "HashMap"));
    assert!(!has_word("nostd::x", "std::") && !has_word("MyHashMaps", "HashMap"));
}
