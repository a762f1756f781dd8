//! Transcripts of small clusters that read like a lab notebook.
//!
//! A script in `tests/scripts` is a sequence of blocks: commands, a line `----`, and what happened,
//! up to an empty line. What happened is compared; `REWRITE=1 cargo test -p paxos-core scripts`
//! writes it anew, to be read before it is believed. The commands are listed at [`Lab::run`].

mod lab;
mod notebook;

use self::lab::Lab;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_script_ends_as_it_was_written_down() {
    let rewrite = std::env::var("REWRITE").is_ok_and(|flag| flag == "1");
    let mut different = Vec::new();
    let scripts = scripts();
    assert!(scripts.len() >= 8, "scripts are missing: {scripts:?}");
    for path in scripts {
        let written = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let happened = perform(&name, &written);
        if rewrite {
            fs::write(&path, happened).unwrap();
        } else if happened != written {
            different.push(format!("{name}\n{}", difference(&written, &happened)));
        }
    }
    assert!(different.is_empty(), "REWRITE=1 writes anew:\n{}", different.join("\n"));
}

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths
}

/// The script with what really happens under each `----`.
fn perform(name: &str, script: &str) -> String {
    let mut lab = Lab::default();
    let mut text = String::new();
    let mut lines = script.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        text += line;
        text += "\n";
        if line == "----" {
            lines.by_ref().find(|(_, line)| line.is_empty());
            text += &lab.notebook.page();
            text += "\n";
        } else {
            let command = line.split('#').next().unwrap_or_default().trim();
            let place = format!("{name}:{}", number + 1);
            let done = command.is_empty() || lab.run(&command.split(' ').collect::<Vec<_>>());
            assert!(done, "{place}: not understood: {command:?}");
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// The first lines that differ, with their numbers.
fn difference(written: &str, happened: &str) -> String {
    let written: Vec<&str> = written.lines().collect();
    let happened: Vec<&str> = happened.lines().collect();
    let same = written.iter().zip(&happened).take_while(|(a, b)| a == b).count();
    let rest = |lines: &[&str], mark| {
        let lines = lines.iter().enumerate().skip(same).take(8);
        lines.map(|(at, line)| format!("{mark} {:>3} {line}\n", at + 1)).collect::<String>()
    };
    rest(&written, '-') + &rest(&happened, '+')
}
