//! Histories of the key-value store in JSON, one event a line.
//!
//! ```text
//! {"process":1,"type":"invoke","f":"put","key":"a","value":"x"}
//! {"process":2,"type":"invoke","f":"cas","key":"a","from":"x","value":"y"}   from null: absent
//! {"process":1,"type":"ok","version":1}                               version may be missing
//! {"process":2,"type":"ok","done":false}                     cas and delete: whether it did it
//! {"process":1,"type":"invoke","f":"get","key":"a"}
//! {"process":1,"type":"ok","value":"x","version":1}    value null: absent; version may be missing
//! {"process":3,"type":"invoke","f":"delete","key":"a"}
//! {"process":3,"type":"unknown"}
//! ```
//! `type` is `invoke`, `ok` (answered), `fail` (certainly without effect) or `unknown` (may take
//! effect at any time after it was asked, or never). A process has one operation open at a time;
//! one that is open at the end has an unknown outcome. What an event other than `invoke` repeats of
//! its invocation must be the same there.

use super::history::{Builder, History, Operation, ParseError, each_line, same};
use super::model::{KvInput, KvOutput};
use serde::{Deserialize, Deserializer, Serialize};
use std::io::{self, Write};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    process: u64,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f: Option<Function>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// None: there is no value. A null is one.
    #[serde(default, deserialize_with = "some", skip_serializing_if = "Option::is_none")]
    value: Option<Option<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    done: Option<bool>,
}

fn some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Invoke,
    Ok,
    Fail,
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Function {
    Get,
    Put,
    Delete,
    Cas,
}

/// Reads a history.
pub fn parse(text: &str) -> Result<History<KvInput, KvOutput>, ParseError> {
    let mut builder = Builder::new();
    each_line(text, |line| {
        let event: Event = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let process = event.process;
        if !matches!(event.kind, Kind::Invoke) {
            let (key, asked) = builder.asked(process)?;
            repeats(key, asked, &event)?;
        }
        match event.kind {
            Kind::Invoke => {
                let key = event.key.clone().ok_or("an invocation has a \"key\"")?;
                builder.invoke(process, process, &key, input(event)?)
            }
            Kind::Ok => builder.ok(process, |input| output(input, event)),
            Kind::Fail => builder.fail(process),
            Kind::Unknown => builder.unknown(process),
        }
    })?;
    Ok(builder.finish())
}

/// Whether the end of an operation says nothing else of what was asked than its invocation.
fn repeats(key: &str, asked: &KvInput, event: &Event) -> Result<(), String> {
    let (f, from, value) = fields(asked.clone());
    same("key", key, event.key.as_deref().unwrap_or(key))?;
    same("f", f, event.f.unwrap_or(f))?;
    if event.from.is_some() {
        same("from", &from, &event.from)?;
    }
    match &event.value {
        Some(Some(answered)) if f != Function::Get => same("value", value.as_ref(), Some(answered)),
        _ => Ok(()),
    }
}

fn fields(input: KvInput) -> (Function, Option<String>, Option<String>) {
    match input {
        KvInput::Get => (Function::Get, None, None),
        KvInput::Put(value) => (Function::Put, None, Some(value)),
        KvInput::Delete => (Function::Delete, None, None),
        KvInput::Cas { from, to } => (Function::Cas, from, Some(to)),
    }
}

fn input(event: Event) -> Result<KvInput, String> {
    let value = || event.value.clone().flatten().ok_or("put and cas have a \"value\"");
    Ok(match event.f.ok_or("an invocation has an \"f\"")? {
        Function::Get => KvInput::Get,
        Function::Put => KvInput::Put(value()?),
        Function::Delete => KvInput::Delete,
        Function::Cas => KvInput::Cas { to: value()?, from: event.from },
    })
}

fn output(input: &KvInput, event: Event) -> Result<KvOutput, String> {
    let done = event.done.ok_or("the answer to delete and cas has a \"done\"");
    Ok(match input {
        KvInput::Get => {
            let value = event.value.ok_or("the answer to get has a \"value\"; null: absent")?;
            KvOutput::Got(value.map(|value| (value, event.version)))
        }
        KvInput::Put(_) => KvOutput::Put(event.version),
        KvInput::Delete => KvOutput::Deleted(done?),
        KvInput::Cas { .. } => KvOutput::Swapped(done?),
    })
}

/// Writes a history in a form that [`parse`] reads. Every operation gets a process of its own, as
/// a recorded history may have several open that one client asked for.
pub fn write(history: &History<KvInput, KvOutput>, to: &mut impl Write) -> io::Result<()> {
    let mut events: Vec<(u64, Event)> = Vec::new();
    for (key, operations) in history.keys() {
        for operation in operations {
            // No two operations are asked for at the same time.
            let process = operation.invoked;
            events.push((operation.invoked, invocation(process, key, operation)));
            if let Some((at, output)) = &operation.returned {
                events.push((*at, answer(process, output)));
            }
        }
    }
    events.sort_by_key(|(at, _)| *at);
    for (_, event) in events {
        serde_json::to_writer(&mut *to, &event)?;
        writeln!(to)?;
    }
    Ok(())
}

fn invocation(process: u64, key: &str, operation: &Operation<KvInput, KvOutput>) -> Event {
    let (f, from, value) = fields(operation.input.clone());
    let value = value.map(Some);
    Event { process, f: Some(f), key: Some(key.to_owned()), from, value, ..Event::default() }
}

fn answer(process: u64, output: &KvOutput) -> Event {
    let mut event = Event { process, kind: Kind::Ok, ..Event::default() };
    match output.clone() {
        KvOutput::Got(None) => event.value = Some(None),
        KvOutput::Put(version) => event.version = version,
        KvOutput::Got(Some((value, version))) => {
            event.value = Some(Some(value));
            event.version = version;
        }
        KvOutput::Deleted(done) | KvOutput::Swapped(done) => event.done = Some(done),
    }
    event
}
