//! The grammar for editors knows the words that the lexer knows.

use nodec::syntax::token::{HARD_KEYWORDS, ITEM_KEYWORDS};
use serde_json::Value;
use std::collections::BTreeSet;

/// Every regular expression of the grammar.
fn patterns(grammar: &Value, found: &mut Vec<String>) {
    match grammar {
        Value::Object(entries) => {
            for (key, value) in entries {
                match (key.as_str(), value) {
                    ("match" | "begin" | "end", Value::String(pattern)) => found.push(pattern.clone()),
                    _ => patterns(value, found),
                }
            }
        }
        Value::Array(parts) => parts.iter().for_each(|part| patterns(part, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The alternatives of groups of plain words, `(if|then|else)`.
fn words(pattern: &str) -> impl Iterator<Item = &str> {
    let groups = pattern.split('(').filter_map(|rest| rest.split(')').next());
    let plain = |group: &&str| group.chars().all(|c| c.is_ascii_lowercase() || c == '|');
    groups.filter(plain).flat_map(|group| group.split('|')).filter(|word| !word.is_empty())
}

#[test]
fn every_keyword_is_coloured_and_nothing_else_is_a_keyword() {
    let grammar: Value = serde_json::from_str(include_str!("../../editors/node.tmLanguage.json")).unwrap();
    let mut found = Vec::new();
    patterns(&grammar, &mut found);
    let coloured: BTreeSet<&str> = found.iter().flat_map(|pattern| words(pattern)).collect();
    let keywords: BTreeSet<&str> =
        HARD_KEYWORDS.iter().chain(&ITEM_KEYWORDS).map(|(spelling, _)| *spelling).collect();
    assert_eq!(coloured, keywords);
}

#[test]
fn every_rule_that_is_included_is_there() {
    let grammar: Value = serde_json::from_str(include_str!("../../editors/node.tmLanguage.json")).unwrap();
    let included = grammar["patterns"].as_array().unwrap().iter();
    let included: BTreeSet<&str> =
        included.map(|rule| rule["include"].as_str().unwrap().trim_start_matches('#')).collect();
    let rules: BTreeSet<&str> =
        grammar["repository"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(included, rules);
}
