//! `paxos-kv scan`: prints pages as they come, so that none but the present one is in memory.

use super::action::ScanArgs;
use super::failure::Failure;
use super::print::{Format, columns, emit, key_value, key_value_row, shown};
use paxos_kv::{KeyValue, KvClient, Page};
use serde_json::json;
use std::os::unix::ffi::OsStringExt;

pub(super) async fn run(args: ScanArgs, client: &KvClient, format: Format) -> Result<(), Failure> {
    let ScanArgs { prefix, limit, keys_only } = args;
    let mut scan = client.scan(prefix.into_vec());
    if let Some(limit) = limit {
        scan = scan.limit(limit);
    }
    if keys_only {
        scan = scan.keys_only();
    }
    let mut is_first = true;
    while let Some(page) = scan.next_page().await? {
        let text = match format {
            Format::Plain => lines(&page, keys_only),
            Format::Json => objects(&page, keys_only, is_first),
            Format::Table => columns(&rows(&page, keys_only, is_first)),
        };
        is_first = false;
        // A reader that has seen enough needs no more pages.
        if !emit(&text)? {
            return Ok(());
        }
    }
    if format == Format::Json {
        emit(b"]}\n")?;
    }
    Ok(())
}

fn lines(page: &Page, keys_only: bool) -> Vec<u8> {
    let line = |KeyValue { key, value, .. }: &KeyValue| match keys_only {
        true => format!("{}\n", shown(key)),
        false => format!("{}\t{}\n", shown(key), shown(value)),
    };
    page.found.iter().map(line).collect::<String>().into_bytes()
}

/// The pages together are one object.
fn objects(page: &Page, keys_only: bool, is_first: bool) -> Vec<u8> {
    let mut text = match is_first {
        true => format!("{{\"revision\":{},\"keys\":[", json!(page.revision)),
        false => String::new(),
    };
    for (place, found) in page.found.iter().enumerate() {
        let comma = if is_first && place == 0 { "" } else { "," };
        text += &format!("{comma}{}", key_value(found, !keys_only));
    }
    text.into_bytes()
}

/// Each page has columns of its own width.
fn rows(page: &Page, keys_only: bool, is_first: bool) -> Vec<Vec<String>> {
    let head = ["KEY", "VALUE", "VERSION", "CREATED", "MODIFIED"].map(str::to_owned).to_vec();
    let head = is_first.then_some(head);
    let rows = head.into_iter().chain(page.found.iter().map(key_value_row));
    rows.map(|mut row| {
        if keys_only {
            row.remove(1);
        }
        row
    })
    .collect()
}
