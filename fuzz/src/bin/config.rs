//! A file of settings, and the list of nodes as a flag: judged, never a panic.
#![no_main]

/// The command itself, whose settings are no library.
#[allow(dead_code)]
#[path = "../../../paxos-kv/src/bin/paxos-kv"]
mod command {
    pub mod cli;
}

use command::cli;

use clap::{CommandFactory, FromArgMatches};
use cli::Cli;
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("paxos-fuzz-{}.toml", std::process::id())));

fuzz_target!(|data: &[u8]| {
    let [how, data @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut arguments = vec!["paxos-kv", "config", "check"];
    let file = FILE.to_str().expect("a name in text");
    match how % 3 {
        0 => {
            std::fs::write(&*FILE, text).expect("a file");
            arguments.extend(["--config", file]);
        }
        1 => arguments.extend(["--initial-cluster", text]),
        _ => arguments.extend(text.split('\n')),
    }
    let Ok(matches) = Cli::command().try_get_matches_from(arguments) else { return };
    if let Ok(cli) = Cli::from_arg_matches(&matches) {
        let _ = cli::run(cli, &matches);
    }
    let _ = std::fs::remove_file(&*FILE);
});
