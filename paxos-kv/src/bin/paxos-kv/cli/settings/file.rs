//! The settings in a file.

use super::{Settings, table};
use crate::cli::failure::Failure;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use toml::Table;

/// Bytes of a file, at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A key is taken for a misspelling of another if they are so much alike, of 1.
const ALIKE_MIN: f64 = 0.5;

/// Reads a file. An error names the file and, where it can, the line and the way out.
pub(super) fn read(path: &Path) -> Result<Settings, Failure> {
    let file = path.display();
    let text = text(path).map_err(|error| unsound(format!("cannot read {file}: {error}")))?;
    let at = |key: &str, error: toml::de::Error| {
        let line = line(&text, error.span());
        unsound(format!("{file}:{line}: {key}{}", error.message().replace('\n', "; ")))
    };
    let given: Table = toml::from_str(&text).map_err(|error| at("", error))?;
    let known = table(&Settings::default())?;
    let unknown = given.keys().filter(|key| !known.contains_key(*key)).map(|key| {
        let hint = hint(key, known.keys().map(String::as_str));
        format!("{file}: unknown setting \"{key}\": {hint}")
    });
    let unknown: Vec<String> = unknown.collect();
    if !unknown.is_empty() {
        return Err(Failure::Unsound(unknown));
    }
    toml::from_str(&text).map_err(|error| at(&key_of(&given), error))
}

/// The first key whose value alone cannot be used, for the error that does not name it.
fn key_of(given: &Table) -> String {
    let is_bad = |(key, value): &(&String, &toml::Value)| {
        let alone = Table::from_iter([((*key).clone(), (*value).clone())]);
        alone.try_into::<Settings>().is_err()
    };
    given.iter().find(is_bad).map(|(key, _)| format!("{key}: ")).unwrap_or_default()
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    match text.len() as u64 > FILE_BYTES_MAX {
        true => Err(io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes"))),
        false => Ok(text),
    }
}

/// The way out for a key that does not exist.
fn hint<'a>(key: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let alike = |other: &str| strsim::normalized_damerau_levenshtein(key, other);
    let nearest = known.clone().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match nearest {
        Some(nearest) if alike(nearest) >= ALIKE_MIN => format!("did you mean \"{nearest}\"?"),
        _ => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

fn line(text: &str, span: Option<Range<usize>>) -> usize {
    let before = span.and_then(|span| text.get(..span.start)).unwrap_or_default();
    before.matches('\n').count() + 1
}

fn unsound(what: String) -> Failure {
    Failure::Unsound(vec![what])
}
