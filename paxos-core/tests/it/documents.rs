//! Keeps watch over the documents: what they name is there, and what they tell to run runs
//! something.

use crate::tidy::{Source, has_word, sources};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of what is still being built, and that the documents say so of. They go from here when
/// they are in the sources.
const COMING: &[&str] = &[];

/// The documents whose every name is looked for. Others speak of what there is not, or not here.
const EXACT: &[&str] = &[
    "ARCHITECTURE.md",
    "docs/features.md",
    "docs/primer.md",
    "docs/protocol.md",
    "docs/wire-format.md",
];

/// A test, by its crate and the path that filters know it by.
struct Test {
    krate: String,
    path: String,
}

impl Test {
    fn name(&self) -> &str {
        self.path.rsplit("::").next().unwrap_or(&self.path)
    }
}

/// A Markdown file: its path from the workspace's root, and its text.
struct Document {
    path: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn documents() -> Vec<Document> {
    let folders = [root().to_owned(), root().join("docs")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut documents: Vec<Document> = paths
        .map(|path| Document {
            text: fs::read_to_string(&path).unwrap(),
            path: path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(),
        })
        .collect();
    documents.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(documents.len() >= 9, "documents are missing");
    documents
}

/// Every test of the workspace. An attribute that ends in `test` is one, with or without a runtime.
fn tests(sources: &[Source]) -> Vec<Test> {
    let mut tests = Vec::new();
    for Source { path, text } in sources {
        let (krate, file) = path.split_once('/').unwrap();
        let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
        let module = match module.strip_prefix("tests/it/") {
            Some(module) => module.replace('/', "::"),
            None => module.trim_start_matches("src/").replace('/', "::") + "::tests",
        };
        let mut is_test = false;
        for line in text.lines().map(str::trim_start) {
            let attribute = line.strip_prefix("#[").map(|line| line.split(['(', ']']).next());
            if let Some(Some(attribute)) = attribute {
                is_test |= attribute.rsplit("::").next() == Some("test");
            } else if let Some((_, name)) = line.split_once("fn ").filter(|_| is_test) {
                let name = name.split('(').next().unwrap();
                tests.push(Test { krate: krate.to_owned(), path: format!("{module}::{name}") });
                is_test = false;
            }
        }
    }
    tests
}

/// The parts of a text in single backticks, each with the crate that was named last in its
/// paragraph or its row. Blocks are left out, and so are all cells of a row but the last: they say
/// what the row is about.
fn names<'a>(text: &'a str, crates: &BTreeSet<&'a str>) -> Vec<(Option<&'a str>, &'a str)> {
    let mut names = Vec::new();
    let mut krate = None;
    for (place, block) in text.split("```").enumerate() {
        for line in block.lines().filter(|_| place % 2 == 0) {
            if line.is_empty() || line.starts_with(['|', '-']) {
                krate = None;
            }
            let cell = if line.starts_with('|') { line.rsplit('|').nth(1) } else { None };
            for (place, part) in cell.unwrap_or(line).split('`').enumerate() {
                if place % 2 == 1 {
                    names.push((krate, part));
                    continue;
                }
                let words = part.split([' ', ',', ';', '|']);
                krate = words.filter_map(|word| crates.get(word).copied()).next_back().or(krate);
            }
        }
    }
    names
}

/// What a document names and there is not.
fn unknown(document: &Document, sources: &[Source], files: &[PathBuf]) -> Vec<String> {
    let tests = tests(sources);
    let crates: BTreeSet<&str> =
        sources.iter().filter_map(|source| source.path.split('/').next()).collect();
    let mut unknown = Vec::new();
    for (krate, name) in names(&document.text, &crates) {
        let known = match name {
            _ if COMING.contains(&name) => true,
            _ if name.contains(' ') || crates.contains(name) => true,
            // A byte, as formats draw it.
            _ if name.len() == 2 && u8::from_str_radix(name, 16).is_ok() => true,
            _ if is_path(name) => files.iter().any(|file| file.ends_with(name)),
            // Long names in a sentence with a crate are tests of that crate.
            _ if krate.is_some() && name.matches('_').count() >= 3 => {
                tests.iter().any(|test| Some(&*test.krate) == krate && test.name() == name)
            }
            _ => is_in(name, sources),
        };
        if !known {
            unknown.push(format!("{}: `{name}`, of {krate:?}", document.path));
        }
    }
    unknown
}

fn is_path(name: &str) -> bool {
    name.contains('/') || [".rs", ".md", ".txt"].iter().any(|end| name.ends_with(end))
}

/// Whether each part of a name like `role::Output` is a word of one of the sources.
fn is_in(name: &str, sources: &[Source]) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = name.split(|c| !part(c)).filter(|word| !word.is_empty()).collect();
    let sources = sources.iter().filter(|source| !source.path.ends_with("it/documents.rs"));
    words.iter().all(|word| sources.clone().any(|source| has_word(&source.text, word)))
}

/// All files that a document may name.
fn files() -> Vec<PathBuf> {
    let mut folders = vec![root().to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default();
            if path.is_dir() && name != "target" && name != ".git" {
                files.push(path.clone());
                folders.push(path);
            } else if path.is_file() {
                files.push(path);
            }
        }
    }
    files
}

#[test]
fn what_documents_name_is_there() {
    let (sources, files) = (sources(), files());
    let exact = documents().into_iter().filter(|document| EXACT.contains(&&*document.path));
    let unknown: Vec<String> =
        exact.flat_map(|document| unknown(&document, &sources, &files)).collect();
    assert!(unknown.is_empty(), "renamed, or never there:\n{}", unknown.join("\n"));
    let tests = tests(&sources);
    assert!(tests.len() > 300, "tests are missing: {}", tests.len());
    for name in COMING {
        let test = tests.iter().any(|test| test.name() == *name);
        assert!(
            !test && (name.contains('_') || !is_in(name, &sources)),
            "{name} is there now: take it from the list, and mend what docs/primer.md says of it"
        );
    }
}

#[test]
fn links_lead_somewhere() {
    let mut wrong = Vec::new();
    for Document { path, text } in documents() {
        let folder = root().join(&path).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = file.is_empty() || file.contains("://");
            if !elsewhere && !folder.join(file).exists() {
                wrong.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "links to nothing:\n{}", wrong.join("\n"));
}

/// A filter that matches no test would be a success that shows nothing.
#[test]
fn what_documents_tell_to_run_runs_something() {
    let tests = tests(&sources());
    let mut wrong = Vec::new();
    for Document { path, text } in documents() {
        let commands = text.lines().map(|line| line.split(" #").next().unwrap_or_default());
        for line in commands.filter(|line| line.contains("cargo ")) {
            let (_, command) = line.split_once("cargo ").unwrap();
            let command = command.split('`').next().unwrap_or_default();
            if !runs_something(command, &tests) {
                wrong.push(format!("{path}: cargo {command}"));
            }
        }
    }
    assert!(wrong.is_empty(), "these run nothing:\n{}", wrong.join("\n"));
}

/// Whether the crate, the filter and the example of a command are there.
fn runs_something(command: &str, tests: &[Test]) -> bool {
    let ours = command.split(" -- ").next().unwrap_or_default();
    let words: Vec<&str> = ours.split_whitespace().collect();
    let after = |flag| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1));
    // Words in capitals stand for whatever the reader takes.
    let open = |word: &&str| word.chars().all(|c| c.is_uppercase() || c == '_');
    let krate = after("-p").filter(|name| !open(name));
    let example = after("--example").filter(|name| !open(name));
    if krate.is_some_and(|name| !root().join(name).join("Cargo.toml").is_file()) {
        return false;
    }
    if example.is_some_and(|name| !root().join(format!("examples/examples/{name}.rs")).is_file()) {
        return false;
    }
    let valued = ["-p", "--test", "--example"];
    let filter = (1..words.len())
        .find(|&at| !words[at].starts_with('-') && !valued.contains(&words[at - 1]))
        .map(|at| words[at]);
    match (words.first(), krate, filter) {
        (Some(&"test"), Some(krate), Some(filter)) => {
            tests.iter().any(|test| test.krate == **krate && test.path.contains(filter))
        }
        _ => true,
    }
}

/// Examples in the documents are compiled, as documentation of the crate `examples`.
#[test]
fn snippets_of_every_document_are_compiled() {
    let map = fs::read_to_string(root().join("examples/src/lib.rs")).unwrap();
    for Document { path, .. } in documents() {
        let include = format!("include_str!(\"../../{path}\")");
        assert!(map.contains(&include), "examples/src/lib.rs lacks {path}");
    }
}

#[test]
fn the_watch_over_documents_itself_sees() {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let text = "/// Why.\n#[test]\nfn r01_a_b_c() {\n}\n#[tokio::test]\nasync fn d() {}\n";
    let votes = source("paxos-core/tests/it/rules/votes.rs", text);
    let sources = vec![votes, source("paxos-net/src/lib.rs", "")];
    let document = |text: &str| Document { path: "docs/primer.md".into(), text: text.into() };
    let unknown = |text: &str| unknown(&document(text), &sources, &[PathBuf::from("a/b.txt")]);
    assert!(unknown("paxos-core `r01_a_b_c`, `b.txt`; `d`; ```\n`gone`\n```\n").is_empty());
    for wrong in
        ["paxos-core `r01_a_b_d`", "paxos-net `r01_a_b_c`", "`gone`", "`gone::d`", "`c.txt`"]
    {
        assert_eq!(unknown(wrong).len(), 1, "{wrong}");
    }
    let tests = [Test { krate: "paxos-core".into(), path: "rules::votes::d".into() }];
    assert!(runs_something("test -p paxos-core --test it rules::votes -- --nocapture", &tests));
    assert!(runs_something("run -p examples --example NAME", &tests));
    assert!(!runs_something("test -p paxos-core --test it rules::vetoes", &tests));
    assert!(!runs_something("test -p paxos-cor", &tests));
    assert!(!runs_something("run -p examples --example gone", &tests));
}
