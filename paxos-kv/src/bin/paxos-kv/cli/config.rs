//! `paxos-kv config`: what a node would be told, and whether it could be started with it.

use super::failure::Failure;
use super::print::{Format, complain, print_report, shown};
use super::settings::{Setting, SettingsArgs};
use clap::{ArgMatches, Args, Subcommand};
use serde_json::{Value, json};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print each setting and where it comes from, and judge them as `serve` would. Starts nothing.
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// How to print.
    #[arg(short, long, value_enum, default_value_t = Format::Plain)]
    output: Format,
}

pub(super) fn run(command: ConfigCommand, matches: &ArgMatches) -> Result<(), Failure> {
    let ConfigCommand::Check(CheckArgs { settings, output }) = command;
    let merged = settings.merge(matches)?;
    let (lines, table, each) = (lines(&merged.each), table(&merged.each), json(&merged.each));
    let (warnings, wrong) = match merged.check() {
        Ok(sound) => (sound.warnings, Vec::new()),
        Err(wrong) => (Vec::new(), wrong),
    };
    let json = json!({
        "sound": wrong.is_empty(),
        "problems": wrong,
        "warnings": warnings,
        "settings": each,
    });
    print_report(output, lines, json, &table)?;
    warnings.iter().for_each(|warning| complain(format_args!("warning: {warning}")));
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure::Unsound(wrong)),
    }
}

fn lines(each: &[Setting]) -> String {
    let line = |setting: &Setting| {
        format!("{} = {} ({})\n", setting.key, value(&setting.value), setting.source)
    };
    each.iter().map(line).collect()
}

fn table(each: &[Setting]) -> Vec<Vec<String>> {
    let head = ["SETTING", "VALUE", "FROM"].map(str::to_owned).to_vec();
    let row = |setting: &Setting| {
        vec![setting.key.clone(), value(&setting.value), setting.source.to_string()]
    };
    std::iter::once(head).chain(each.iter().map(row)).collect()
}

fn json(each: &[Setting]) -> Vec<Value> {
    let one = |setting: &Setting| {
        let mut one = json!(setting.source);
        one["key"] = json!(setting.key);
        one["value"] = setting.value.clone();
        one
    };
    each.iter().map(one).collect()
}

/// A value as one would write it as a flag.
fn value(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => shown(text.as_bytes()),
        Value::Object(table) => {
            let each = table.iter().map(|(key, of)| format!("{key}={}", self::value(of)));
            each.collect::<Vec<_>>().join(",")
        }
        Value::Array(list) => list.iter().map(self::value).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
