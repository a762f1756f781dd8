//! What the documents and the help tell to type is understood.

use super::{Cli, EXAMPLES};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use std::fs;
use std::path::Path;

/// Name and text of the README and of every document.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|file| file.unwrap().path());
    let documents = docs.filter(|path| path.extension().is_some_and(|end| end == "md"));
    let paths = documents.chain([root.join("README.md")]);
    paths.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

/// What of a text is in blocks of shell.
fn shell(text: &str) -> String {
    let blocks = text.split("```sh\n").skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).collect::<Vec<_>>().join("\n")
}

/// The calls of this command in a piece of shell: their words.
fn calls(shell: &str) -> Vec<Vec<String>> {
    let joined = shell.replace("\\\n", " ");
    let uncommented = joined.lines().filter_map(|line| line.split(" #").next());
    uncommented.flat_map(|line| line.split(['|', '&', ';'])).filter_map(call).collect()
}

fn call(part: &str) -> Option<Vec<String>> {
    // The shell's parameters stand for numbers; here any will do.
    let word = |word: &str| word.replace("${1}", "1").replace("$1", "1").replace(['"', '\''], "");
    let words: Vec<String> = part.split_whitespace().map(word).collect();
    let begin = match words.first()?.as_str() {
        "paxos-kv" => 0,
        "cargo" if words.contains(&"paxos-kv".into()) => words.iter().position(|w| w == "--")?,
        _ => return None,
    };
    Some(words[begin..].to_vec())
}

#[test]
fn every_command_in_the_documents_is_understood() {
    Cli::command().debug_assert();
    let mut documents = documents();
    // What a call does stands two spaces or more behind it.
    let help = EXAMPLES.lines().filter_map(|line| line.trim_start().split("  ").next());
    let help = help.collect::<Vec<_>>().join("\n");
    documents.push(("--help".into(), format!("```sh\n{help}\n```")));
    let mut understood = 0;
    for (document, text) in &documents {
        for call in calls(&shell(text)) {
            if let Err(error) = Cli::try_parse_from(&call) {
                panic!("{document}: {}\n{error}", call.join(" "));
            }
            understood += 1;
        }
    }
    assert!(understood >= 12, "commands are missing: {understood}");
}

/// In prose a command may stand without all that it needs, but not with what it does not know.
#[test]
fn every_command_in_prose_is_known() {
    for (document, text) in documents() {
        let code = text.split('`').skip(1).step_by(2);
        for call in code.filter(|code| code.starts_with("paxos-kv ")).filter_map(call) {
            let error = Cli::try_parse_from(&call).err().map(|error| error.kind());
            let unknown = [
                ErrorKind::UnknownArgument,
                ErrorKind::InvalidSubcommand,
                ErrorKind::InvalidValue,
                ErrorKind::ValueValidation,
            ];
            let known = error.is_none_or(|kind| !unknown.contains(&kind));
            assert!(known, "{document}: {}: {error:?}", call.join(" "));
        }
    }
}

#[test]
fn the_watch_over_commands_itself_sees() {
    let shell = "cargo run --release -p paxos-kv -- dev   # a comment\n\
                 cargo test --workspace\nnode() {\n  paxos-kv serve --id \"$1\" \\\n    \
                 --data-dir \"data/$1\" &\n}\nseq 9 | paxos-kv put numbers -";
    let expected = ["-- dev", "paxos-kv serve --id 1 --data-dir data/1", "paxos-kv put numbers -"];
    assert_eq!(calls(shell).iter().map(|call| call.join(" ")).collect::<Vec<_>>(), expected);
    assert!(Cli::try_parse_from(["--", "dev"]).is_ok(), "the first word is any name");
    assert!(Cli::try_parse_from(["paxos-kv", "dev", "--knotes", "3"]).is_err());
}
