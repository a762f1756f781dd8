//! What must hold at the end of a run.

use super::work::History;
use crate::check::{self, KvModel, Verdict};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A history is judged within this time, or that is a failure.
const JUDGE_WITHIN: Duration = Duration::from_secs(120);

/// Judges a history. Gives how many calls and keys it has; an error says what is wrong with it.
pub(super) fn judge(history: &History) -> (usize, usize, Result<(), String>) {
    let history = history.history();
    let (calls, keys) = (history.len(), history.keys().count());
    let judged = match check::check(&KvModel, &history, JUDGE_WITHIN) {
        Verdict::Linearizable => Ok(()),
        Verdict::NotLinearizable(found) => Err(found.to_string()),
        Verdict::Unknown => Err(format!("{calls} calls were not judged within {JUDGE_WITHIN:?}")),
    };
    (calls, keys, judged)
}

/// Writes a history to a file; gives the command that judges it again.
pub(super) fn keep(history: &History, file: &Path) -> String {
    let mut text = Vec::new();
    let written = check::write_json(&history.history(), &mut text);
    match written.and_then(|()| fs::write(file, text)) {
        Ok(()) => format!("paxos-bench check {} --format json", file.display()),
        Err(error) => format!("the history cannot be kept at {}: {error}", file.display()),
    }
}

/// The digests of nodes that have applied the same slots. None: they have not, or one is silent.
pub(super) fn equal(applied: &[Option<(u64, String)>]) -> Option<Result<(), String>> {
    let all: Vec<&(u64, String)> = applied.iter().map(Option::as_ref).collect::<Option<_>>()?;
    let (slots, digest) = all.first()?;
    if all.iter().any(|(other, _)| other != slots) {
        return None;
    }
    Some(match all.iter().all(|(_, other)| other == digest) {
        true => Ok(()),
        false => Err(format!("nodes that have applied the same {slots} slots differ: {all:?}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_compared_once_all_have_applied_the_same() {
        let node = |slots, digest: &str| Some((slots, digest.to_owned()));
        assert_eq!(equal(&[node(3, "a"), node(3, "a")]), Some(Ok(())));
        assert_eq!(equal(&[node(3, "a"), node(4, "b")]), None);
        assert_eq!(equal(&[node(3, "a"), None]), None);
        assert!(equal(&[node(3, "a"), node(3, "b")]).unwrap().is_err());
    }
}
