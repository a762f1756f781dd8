//! What comes of an action, for people, for shells and for programs.

use super::failure::Failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ValueEnum;
use paxos_kv::wire::Status;
use paxos_kv::{EndpointStatus, KeyValue, Meta};
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::{self, Write};

/// Characters that a column is wide, at most: a longer cell pushes aside what is behind it.
const COLUMN_MAX: usize = 60;

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The bare value and a newline, or one line.
    Plain,
    /// One JSON object; bytes that are not UTF-8 become {"base64": …}.
    Json,
    /// Columns; control characters are escaped.
    Table,
}

/// What came of an action.
#[derive(Debug)]
pub(super) enum Printed {
    /// The key has its new value.
    Done { key: Vec<u8>, meta: Meta },
    /// The key's value.
    Found(KeyValue),
    /// The key has no value.
    Deleted { key: Vec<u8>, existed: bool },
    /// The nodes.
    Status(Vec<EndpointStatus>),
}

impl Printed {
    /// Prints it on standard output.
    pub(super) fn print(&self, format: Format) -> Result<(), Failure> {
        let mut text = match format {
            Format::Plain => self.plain(),
            Format::Json => self.json().to_string().into_bytes(),
            Format::Table => columns(&self.table()),
        };
        if text.last() != Some(&b'\n')
            || matches!((self, format), (Printed::Found(_), Format::Plain))
        {
            text.push(b'\n');
        }
        write(&text)?;
        self.verdict()
    }

    /// A status that no node has told is no status.
    fn verdict(&self) -> Result<(), Failure> {
        match self {
            Printed::Status(nodes) if nodes.iter().all(|node| node.status.is_err()) => {
                Err(Failure::Failed("no node answered: is the cluster up?".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn plain(&self) -> Vec<u8> {
        match self {
            Printed::Done { meta, .. } => {
                format!("ok: version {}, revision {}", meta.version, meta.mod_revision).into_bytes()
            }
            Printed::Found(found) => found.value.to_vec(),
            Printed::Deleted { existed: true, .. } => b"ok: deleted".to_vec(),
            Printed::Deleted { existed: false, .. } => b"ok: there was no such key".to_vec(),
            Printed::Status(nodes) => nodes.iter().map(line).collect::<String>().into_bytes(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Printed::Done { key, meta } => json!({
                "key": text(key),
                "create_revision": meta.create_revision,
                "mod_revision": meta.mod_revision,
                "version": meta.version,
            }),
            Printed::Found(found) => key_value(found, true),
            Printed::Deleted { key, existed } => json!({ "key": text(key), "deleted": existed }),
            Printed::Status(nodes) => {
                json!({ "nodes": nodes.iter().map(node).collect::<Vec<_>>() })
            }
        }
    }

    fn table(&self) -> Vec<Vec<String>> {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        match self {
            Printed::Done { key, meta } => vec![
                row(&["KEY", "VERSION", "CREATED", "MODIFIED"]),
                [vec![shown(key)], numbers(meta)].concat(),
            ],
            Printed::Found(found) => {
                vec![row(&["KEY", "VALUE", "VERSION", "CREATED", "MODIFIED"]), key_value_row(found)]
            }
            Printed::Deleted { key, existed } => {
                vec![row(&["KEY", "DELETED"]), vec![shown(key), existed.to_string()]]
            }
            Printed::Status(nodes) => {
                let head = [
                    "ENDPOINT", "NODE", "ROLES", "STANCE", "LEADER", "BALLOT", "CHOSEN", "APPLIED",
                    "SNAPSHOT", "TRIMMED", "DIGEST", "KEYS", "REVISION",
                ];
                let rows = nodes.iter().map(|node| match &node.status {
                    Ok(status) => [vec![node.endpoint.clone()], cells(status)].concat(),
                    Err(error) => vec![node.endpoint.clone(), format!("no answer: {error}")],
                });
                std::iter::once(row(&head)).chain(rows).collect()
            }
        }
    }
}

/// Prints the same in one of three ways.
pub(super) fn print_report(
    format: Format,
    lines: String,
    json: Value,
    rows: &[Vec<String>],
) -> io::Result<()> {
    write(&match format {
        Format::Plain => lines.into_bytes(),
        Format::Json => format!("{json}\n").into_bytes(),
        Format::Table => columns(rows),
    })
}

/// Writes to standard output.
pub(super) fn write(text: &[u8]) -> io::Result<()> {
    emit(text).map(|_| ())
}

/// Writes to standard output, and tells whether anyone still reads it.
pub(super) fn emit(text: &[u8]) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        // A reader that has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// Writes a line to standard error. Where that cannot be, there is nobody to tell, and no reason to
/// panic, as `eprintln` would.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A key as an object, with its value or without.
pub(super) fn key_value(KeyValue { key, value, meta }: &KeyValue, has_value: bool) -> Value {
    let mut object = json!({
        "key": text(key),
        "create_revision": meta.create_revision,
        "mod_revision": meta.mod_revision,
        "version": meta.version,
    });
    if has_value {
        object["value"] = text(value);
    }
    object
}

/// A key as a row.
pub(super) fn key_value_row(KeyValue { key, value, meta }: &KeyValue) -> Vec<String> {
    [vec![shown(key), shown(value)], numbers(meta)].concat()
}

/// Bytes as a string where they are one.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// Bytes in a cell: control characters would break the table, or the terminal.
pub(super) fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}

fn numbers(meta: &Meta) -> Vec<String> {
    [meta.version, meta.create_revision, meta.mod_revision].map(|n| n.to_string()).to_vec()
}

fn node(node: &EndpointStatus) -> Value {
    let mut value = match &node.status {
        Ok(status) => json!(status),
        Err(error) => json!({ "error": error }),
    };
    value["endpoint"] = json!(node.endpoint);
    value
}

fn line(node: &EndpointStatus) -> String {
    let endpoint = &node.endpoint;
    let status = match &node.status {
        Ok(status) => status,
        Err(error) => return format!("{endpoint}: no answer: {error}\n"),
    };
    let mut line = format!("{endpoint}: node {}", status.node);
    if status.roles.len() < 3 {
        line += &format!(", {}", roles(status));
    }
    if has(status, "proposer") || !status.awaited.is_empty() || status.wants_snapshot {
        line += &format!(", {}", stance(status));
    }
    if has(status, "proposer") {
        line += &format!(", leader {}, ballot {}", leader(status), status.ballot);
    } else if has(status, "acceptor") {
        line += &format!(", promised {}", status.promised);
    }
    line += &format!(", chosen below {}", status.chosen_below);
    if has(status, "learner") {
        let (applied, snapshot) = (status.applied_below, status.snapshot_below);
        line += &format!(", applied below {applied}, snapshot below {snapshot}");
    }
    if has(status, "acceptor") {
        line += &format!(", trimmed below {}", status.trimmed);
    }
    if has(status, "learner") {
        line += &format!(", digest {}", status.digest);
    }
    line + "\n"
}

/// A role that a node does not have tells nothing.
fn cells(status: &Status) -> Vec<String> {
    let of = |role, value: String| if has(status, role) { value } else { "-".to_owned() };
    vec![
        status.node.to_string(),
        roles(status),
        stance(status),
        of("proposer", leader(status)),
        of("proposer", status.ballot.clone()),
        status.chosen_below.to_string(),
        of("learner", status.applied_below.to_string()),
        of("learner", status.snapshot_below.to_string()),
        of("acceptor", status.trimmed.to_string()),
        of("learner", status.digest.clone()),
        of("learner", status.keys.to_string()),
        of("learner", status.revision.to_string()),
    ]
}

fn has(status: &Status, role: &str) -> bool {
    status.roles.iter().any(|name| name == role)
}

fn roles(status: &Status) -> String {
    match status.roles.len() {
        3 => "all".to_owned(),
        _ => status.roles.join("+"),
    }
}

fn stance(status: &Status) -> String {
    if !status.awaited.is_empty() {
        let nodes: Vec<String> = status.awaited.iter().map(u64::to_string).collect();
        return format!("waits for node {}", nodes.join(", "));
    }
    if status.wants_snapshot {
        return "waits for a snapshot".to_owned();
    }
    match status.stance.as_str() {
        "lead" => "leads".to_owned(),
        "campaign" => "campaigns".to_owned(),
        "follow" => "follows".to_owned(),
        // It has no proposer.
        "" => "-".to_owned(),
        other => other.to_owned(),
    }
}

fn leader(status: &Status) -> String {
    status.leader.map_or_else(|| "none".to_owned(), |node| node.to_string())
}

/// Rows in columns that are as wide as they need to be.
pub(super) fn columns(rows: &[Vec<String>]) -> Vec<u8> {
    let full = rows.iter().map(Vec::len).max().unwrap_or(0);
    // The last cell of a row is not padded, and an error may run over the columns.
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| row.len() == full).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(COLUMN_MAX)
    };
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line += &format!("{cell:width$}  ", width = width(column));
        }
        text += line.trim_end();
        text.push('\n');
    }
    text.into_bytes()
}
