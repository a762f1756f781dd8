//! Logs of Jepsen's runs against etcd: one register, one event a line.
//!
//! `INFO  jepsen.util - PROCESS \t :invoke|:ok|:fail|:info \t :read|:write|:cas \t VALUE`

use super::history::{Builder, History, ParseError, each_line, same};
use super::model::{RegisterInput, RegisterOutput};

/// Reads a log. Lines of the nemesis and of others than `jepsen.util` are passed over.
pub fn parse(text: &str) -> Result<History<RegisterInput, RegisterOutput>, ParseError> {
    let mut builder = Builder::new();
    each_line(text, |line| match line.split_once("jepsen.util - ") {
        Some((_, event)) if !event.starts_with(":nemesis") => take(&mut builder, event),
        _ => Ok(()),
    })?;
    Ok(builder.finish())
}

fn take(builder: &mut Builder<RegisterInput, RegisterOutput>, event: &str) -> Result<(), String> {
    let mut fields = event.split('\t').map(str::trim);
    let mut field = || fields.next().ok_or("a field is missing: process, type, operation, value");
    let process = number(field()?)?;
    let process = u64::try_from(process).map_err(|_| "a process has no negative number")?;
    let (kind, operation, value) = (field()?, field()?, field()?);
    if kind != ":invoke" {
        let (_, asked) = builder.asked(process)?;
        same("operation", name(asked), operation)?;
        if kind == ":ok" && operation != ":read" && value != ":timed-out" {
            same("operation", asked, &input(operation, value)?)?;
        }
    }
    match kind {
        ":invoke" => builder.invoke(process, process, "", input(operation, value)?),
        // Whether it took effect is not known, whatever the line calls it.
        ":info" => builder.unknown(process),
        _ if value == ":timed-out" => builder.unknown(process),
        ":ok" => builder.ok(process, |input| output(input, value)),
        ":fail" if operation == ":cas" => {
            builder.ok(process, |_| Ok(RegisterOutput::Swapped(false)))
        }
        ":fail" => builder.fail(process),
        _ => Err(format!("{kind} is none of :invoke, :ok, :fail, :info")),
    }
}

fn input(operation: &str, value: &str) -> Result<RegisterInput, String> {
    match operation {
        ":read" => Ok(RegisterInput::Read),
        ":write" => Ok(RegisterInput::Write(number(value)?)),
        ":cas" => {
            let inner = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let pair = inner.and_then(|inner| inner.trim().split_once(' '));
            let (from, to) = pair.ok_or("a cas has the value [FROM TO]")?;
            Ok(RegisterInput::Cas(number(from)?, number(to.trim())?))
        }
        _ => Err(format!("{operation} is none of :read, :write, :cas")),
    }
}

fn name(input: &RegisterInput) -> &'static str {
    match input {
        RegisterInput::Read => ":read",
        RegisterInput::Write(_) => ":write",
        RegisterInput::Cas(..) => ":cas",
    }
}

fn output(input: &RegisterInput, value: &str) -> Result<RegisterOutput, String> {
    Ok(match input {
        RegisterInput::Read if value == "nil" => RegisterOutput::Read(None),
        RegisterInput::Read => RegisterOutput::Read(Some(number(value)?)),
        RegisterInput::Write(_) => RegisterOutput::Written,
        RegisterInput::Cas(..) => RegisterOutput::Swapped(true),
    })
}

fn number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}
