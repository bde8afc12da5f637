//! The habits people bring from other languages: what each is told, and that the patches lead on.
//!
//! `styles.md` holds the programs with the messages in full. Where messages have patches they are
//! applied, the first of each message, until none is left; the page shows what comes of it.

use nodec::base::span::Sources;
use nodec::diag::Diagnostic;
use nodec::diag::render::{Format, render};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What `nodec check` says of a program whose data files are not looked at.
fn checked(text: &str) -> (Sources, Vec<Diagnostic>) {
    let diagnostics = match nodec::Model::from_text("model.node", text, PathBuf::new()) {
        Ok(model) => model.warnings(),
        Err(diagnostics) => diagnostics,
    };
    (diagnostics.sources().clone(), diagnostics.iter().cloned().collect())
}

/// The program with the first patch of the first message that has one.
fn patched(text: &str, messages: &[Diagnostic]) -> Option<String> {
    let help = messages.iter().flat_map(|message| &message.helps).find(|help| !help.edits.is_empty())?;
    let mut edits: Vec<_> = help.edits.iter().collect();
    edits.sort_by_key(|edit| std::cmp::Reverse((edit.span.lo, edit.span.hi)));
    let mut text = text.to_string();
    for edit in edits {
        text.replace_range(edit.span.range(), &edit.text);
    }
    Some(text)
}

/// The blocks that belong after `program`.
fn section(title: &str, program: &str) -> String {
    let (sources, messages) = checked(program);
    let mut out = String::new();
    if messages.is_empty() {
        return String::from("There is nothing to say.\n\n");
    }
    let text = render(&messages, &sources, Format::Full, false);
    writeln!(out, "```text\n{}\n```\n", text.trim_end()).unwrap();
    let (mut repaired, mut left) = (program.to_string(), messages);
    let mut steps = 0;
    while let Some(next) = patched(&repaired, &left) {
        steps += 1;
        assert!(steps < 20 && next != repaired, "{title}: the patches lead nowhere:\n{next}");
        repaired = next;
        left = checked(&repaired).1;
    }
    let codes: Vec<&str> = left.iter().map(|message| message.code.0).collect();
    match (steps, codes.is_empty()) {
        (0, _) => out += "No patch is offered.\n\n",
        (_, true) => {
            write!(out, "Right after the patches:\n\n```node\n{}\n```\n\n", repaired.trim_end()).unwrap()
        }
        (_, false) => {
            let codes = codes.join(", ");
            write!(out, "After the patches, with {codes} left:\n\n```node\n{}\n```\n\n", repaired.trim_end())
                .unwrap();
        }
    }
    out
}

#[test]
fn habits_of_other_languages_are_translated() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/styles.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut rewritten = String::new();
    let mut count = 0;
    for part in page.split_inclusive("\n### ") {
        let Some((title, rest)) = part.split_once("\n\n```node\n") else {
            rewritten += part;
            continue;
        };
        let (program, rest) = rest.split_once("\n```\n").expect("a program ends");
        // What follows the blocks: the heading of the next part.
        let tail = rest.rfind("\n## ").map(|at| &rest[at + 1..]);
        let tail = tail.or_else(|| rest.ends_with("\n### ").then_some("### ")).unwrap_or("");
        write!(
            rewritten,
            "{title}\n\n```node\n{program}\n```\n\n{}{tail}",
            section(title, &format!("{program}\n"))
        )
        .unwrap();
        count += 1;
    }
    let rewritten = format!("{}\n", rewritten.trim_end());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &rewritten).unwrap();
        return;
    }
    assert!(count >= 80, "{count}");
    let changed = page.lines().zip(rewritten.lines()).find(|(old, new)| old != new);
    assert_eq!(changed, None, "the page is not what is said; UPDATE=1 rewrites it, then read it");
    assert_eq!(page.len(), rewritten.len());
}

/// Nobody should need more than one look: no style of one mistake gets more than two messages.
#[test]
fn one_mistake_is_few_messages() {
    let page = std::fs::read_to_string("tests/it/styles.md").unwrap();
    for part in page.split("\n### ").skip(1) {
        let title = part.lines().next().unwrap();
        let program = part.split("```node\n").nth(1).and_then(|rest| rest.split("\n```").next()).unwrap();
        let most =
            if matches!(title, "A model" | "A program in C" | "XPPAUT" | "Blocks with data") { 6 } else { 2 };
        let (_, messages) = checked(&format!("{program}\n"));
        assert!(messages.len() <= most, "{title}: {messages:#?}");
    }
}
