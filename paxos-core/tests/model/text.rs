//! The state of a role as text: what makes two states the same state.

use std::fmt::{Debug, Write};

/// `text`, a `Debug` form in one or many lines, without these fields and what is in them.
pub fn without(mut text: String, fields: &[&str]) -> String {
    for field in fields {
        let name = format!("{field}: ");
        while let Some(at) = text.match_indices(&name).find_map(|(at, _)| {
            let before = text[..at].chars().next_back();
            before.is_none_or(|c| !c.is_alphanumeric() && c != '_').then_some(at)
        }) {
            let end = at + name.len() + value_len(&text[at + name.len()..]);
            text.replace_range(at..end, "");
        }
    }
    text
}

/// How long the value is with which the text begins: up to the next comma, or to the end of what
/// it stands in.
fn value_len(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth > 0 => depth -= 1,
            ',' | ')' | ']' | '}' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// Parts whose order makes no difference.
pub fn sorted(parts: &[impl Debug]) -> String {
    let mut texts: Vec<String> = parts.iter().map(|part| format!("{part:#?}")).collect();
    texts.sort_unstable();
    texts.concat()
}

/// Adds the long form of a part, in which an entry names its commands.
pub fn add(text: &mut String, part: &impl Debug) {
    writeln!(text, "{part:#?}").expect("text can be written");
}

#[test]
fn a_field_goes_with_all_that_is_in_it() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "only shown")]
    struct Shown {
        kept: Option<u8>,
        gone: Option<(u8, [u8; 2])>,
        not_gone: u8,
        gone_too: u8,
    }
    let shown = Shown { kept: Some(1), gone: Some((2, [3, 4])), not_gone: 5, gone_too: 6 };
    let short = without(format!("{shown:?}"), &["gone", "gone_too"]);
    assert_eq!(short, "Shown { kept: Some(1), , not_gone: 5, }");
    let long = without(format!("{shown:#?}"), &["gone", "gone_too"]);
    let words: Vec<&str> = long.split_whitespace().collect();
    assert_eq!(words.join(" "), "Shown { kept: Some( 1, ), , not_gone: 5, , }");
}
