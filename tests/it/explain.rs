//! The pages of `nodec explain`: their wrong programs are wrong in the way the page says, and
//! their right programs are not.

use nodec::base::span::Sources;
use nodec::diag::codes::{ALL, Row, lookup};
use nodec::diag::{Code, Sink};
use nodec::settings::{Request, resolve};
use nodec::{Diagnostics, Model};
use std::ops::ControlFlow;

/// The codes a program gets.
type Check = fn(&str) -> Vec<Code>;

/// What finds the codes of a band. Most codes of data need a file beside the program and have tests of their own;
/// a method's codes come when the method does.
fn checker(row: &Row) -> Option<Check> {
    match row.code.0 {
        "E0801" | "E0802" | "E0808" => Some(settings),
        "E0311" | "E0703" | "E0803" | "E0804" | "E0806" | "E0807" | "E0810" => Some(run),
        "E0908" => Some(gradients),
        code if code.starts_with("E09") => Some(run),
        "W0510" | "W0610" | "W0701" => Some(checked),
        // Said by `sema`, whose tests run its page.
        "E0112" | "E0215" => None,
        code if code.starts_with("E01") => Some(parse),
        _ => None,
    }
}

fn parse(text: &str) -> Vec<Code> {
    let mut sources = Sources::new();
    let source = sources.add("page.node", text);
    let mut sink = Sink::new();
    nodec::syntax::parse(source, text, &mut sink);
    sink.into_diagnostics().into_iter().map(|diagnostic| diagnostic.code).collect()
}

fn settings(text: &str) -> Vec<Code> {
    let mut sources = Sources::new();
    let source = sources.add("page.node", text);
    let mut sink = Sink::new();
    let file = nodec::syntax::parse(source, text, &mut sink).file;
    let request = Request { file: &file, profile: None, flags: &[], names: &[] };
    let resolved = resolve(&request, &mut sources, &mut sink);
    assert_eq!(resolved.is_none(), sink.has_errors());
    sink.into_diagnostics().into_iter().map(|diagnostic| diagnostic.code).collect()
}

/// What `nodec check` says of a program beside which no file stands.
fn checked(text: &str) -> Vec<Code> {
    let said = Model::parse(text).and_then(|model| model.bind().check());
    said.unwrap_or_else(|errors| errors).iter().map(|diagnostic| diagnostic.code).collect()
}

/// Fits what has a `train` block and solves the rest.
fn run(text: &str) -> Vec<Code> {
    let codes = |diagnostics: &Diagnostics| diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    let built = Model::parse(text).and_then(|model| Ok((model.bind().build()?, model)));
    let (mut run, model) = match built {
        Ok(built) => built,
        Err(diagnostics) => return codes(&diagnostics),
    };
    let ran = match model.is_trainable() {
        true => run.fit(|_| ControlFlow::Continue(())).map(|_| ()),
        false => run.solve().map(|_| ()),
    };
    ran.err().map_or(Vec::new(), |error| codes(error.diagnostics()))
}

/// What `nodec check --gradients` says.
fn gradients(text: &str) -> Vec<Code> {
    let run =
        Model::parse(text).and_then(|model| model.bind().build()).unwrap_or_else(|error| panic!("{error}"));
    let wrong = run.check_gradients().unwrap_or_else(|error| panic!("{error}"));
    wrong.iter().map(|diagnostic| diagnostic.code).collect()
}

fn block<'a>(row: &Row, page: &'a str, kind: &str) -> &'a str {
    let fence = format!("```node {kind}\n");
    let start = page.find(&fence).unwrap_or_else(|| panic!("{} has no {kind} program", row.code));
    let body = &page[start + fence.len()..];
    &body[..body.find("\n```").unwrap_or_else(|| panic!("{} has an open block", row.code)) + 1]
}

#[test]
fn every_page_is_headed_by_its_code_and_title() {
    for row in ALL {
        assert_eq!(row.page.lines().next(), Some(format!("# {}: {}", row.code, row.title).as_str()));
    }
}

#[test]
fn wrong_programs_are_wrong_and_right_ones_right() {
    for row in ALL {
        let Some(check) = checker(row) else { continue };
        let wrong = check(block(row, row.page, "wrong"));
        assert!(wrong.contains(&row.code), "{}: the wrong program gives {wrong:?}", row.code);
        assert_eq!(check(block(row, row.page, "right")), [], "{}: the right program", row.code);
    }
}

#[test]
fn codes_are_in_order_and_found() {
    assert!(ALL.is_sorted_by(|a, b| a.code < b.code));
    assert_eq!(lookup("e0110").map(|row| row.code), Some(Code("E0110")));
    assert_eq!(lookup("E9999"), None);
}
