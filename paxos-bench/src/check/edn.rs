//! Histories in EDN, one map a line: get, put and append on strings by key.
//!
//! `{:process 0, :type :invoke, :f :append, :key "4", :value "x"}`

use super::history::{Builder, History, ParseError, each_line, same};
use super::model::AppendInput;
use std::collections::BTreeMap;

/// Reads a history.
pub fn parse(text: &str) -> Result<History<AppendInput, Option<String>>, ParseError> {
    let mut builder = Builder::new();
    each_line(text, |line| take(&mut builder, &map(line)?))?;
    Ok(builder.finish())
}

#[derive(Debug, PartialEq, Eq)]
enum Value {
    Nil,
    Number(u64),
    Word(String),
    Text(String),
}

type Map = BTreeMap<String, Value>;

fn take(builder: &mut Builder<AppendInput, Option<String>>, map: &Map) -> Result<(), String> {
    let field = |name: &str| map.get(name).ok_or(format!("there is no :{name}"));
    let Value::Number(process) = *field("process")? else {
        return Err(":process is no number".to_owned());
    };
    let Value::Text(key) = field("key")? else { return Err(":key is no string".to_owned()) };
    let text = || match field("value")? {
        Value::Text(value) => Ok(value.clone()),
        Value::Nil => Ok(String::new()),
        other => Err(format!(":value is {other:?}, and no string")),
    };
    let word = |name: &str| match field(name)? {
        Value::Word(word) => Ok(word.as_str()),
        other => Err(format!(":{name} is {other:?}, and no keyword")),
    };
    let input = match word("f")? {
        "get" => AppendInput::Get,
        "put" => AppendInput::Put(text()?),
        "append" => AppendInput::Append(text()?),
        other => return Err(format!(":f is :{other}, and none of :get, :put, :append")),
    };
    let kind = word("type")?;
    if kind != "invoke" {
        let (asked_key, asked) = builder.asked(process)?;
        same(":key", asked_key, key)?;
        same(":f", name(asked), name(&input))?;
        // A value of nil says nothing, and only an answer says what became of the value.
        if kind == "ok" && input != AppendInput::Get && map.get("value") != Some(&Value::Nil) {
            same("operation", asked, &input)?;
        }
    }
    match kind {
        "invoke" => builder.invoke(process, process, key, input),
        "ok" if input == AppendInput::Get => {
            let value = text()?;
            builder.ok(process, |_| Ok(Some(value)))
        }
        "ok" => builder.ok(process, |_| Ok(None)),
        "fail" => builder.fail(process),
        "info" => builder.unknown(process),
        other => Err(format!(":type is :{other}, and none of :invoke, :ok, :fail, :info")),
    }
}

fn name(input: &AppendInput) -> &'static str {
    match input {
        AppendInput::Get => ":get",
        AppendInput::Put(_) => ":put",
        AppendInput::Append(_) => ":append",
    }
}

/// Reads one flat map of keywords to values.
fn map(line: &str) -> Result<Map, String> {
    let inner = line.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let mut rest = skip(inner.ok_or("a line is one map in braces")?);
    let mut map = Map::new();
    while !rest.is_empty() {
        let (Value::Word(name), after) = value(rest)? else {
            return Err("the keys of the map are keywords".to_owned());
        };
        let (value, after) = value(skip(after))?;
        if map.contains_key(&name) {
            return Err(format!(":{name} is there twice"));
        }
        map.insert(name, value);
        rest = skip(after);
    }
    Ok(map)
}

/// EDN takes commas for white space.
fn skip(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || c == ',')
}

/// Reads one value; gives back what follows it.
fn value(text: &str) -> Result<(Value, &str), String> {
    if let Some(quoted) = text.strip_prefix('"') {
        return string(quoted);
    }
    let end = text.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(text.len());
    let (token, rest) = text.split_at(end);
    let value = match token.strip_prefix(':') {
        Some(word) => Value::Word(word.to_owned()),
        None if token == "nil" => Value::Nil,
        None => Value::Number(token.parse().map_err(|_| format!("{token:?} is no value"))?),
    };
    Ok((value, rest))
}

fn string(quoted: &str) -> Result<(Value, &str), String> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Value::Text(text), &quoted[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, 'r')) => text.push('\r'),
                Some((_, c @ ('"' | '\\'))) => text.push(c),
                other => return Err(format!("\\{:?} is no escape", other.map(|(_, c)| c))),
            },
            c => text.push(c),
        }
    }
    Err("a string does not end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_may_hold_commas_braces_and_escapes() {
        let map = map(r#"{:key "a, } \"b\" \\", :value nil, :process 3}"#).unwrap();
        assert_eq!(map["key"], Value::Text(r#"a, } "b" \"#.to_owned()));
        assert_eq!(map["value"], Value::Nil);
        assert_eq!(map["process"], Value::Number(3));
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_line() {
        for (text, problem) in [
            ("{:process 0", "braces"),
            ("{:process 0, :key \"a\", :f :get}", ":type"),
            ("{:process 0, :key \"a\", :f :pop, :type :ok}", ":pop"),
            ("{:process 0, :key \"a", "braces"),
            ("{:process 0, :key \"a}", "does not end"),
            ("{:process 0, :key \"a\", :f :get, :type :ok, :value \"\"}", "no operation open"),
        ] {
            let error = parse(&format!("\n{text}\n")).unwrap_err();
            assert_eq!(error.line, 2);
            assert!(error.problem.contains(problem), "{text}: {error}");
        }
    }
}
