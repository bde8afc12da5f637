//! `nodec doc`: a model as a page to read, in one HTML file with nothing beside it.
//!
//! Words come from the `##` lines, a trailing `[unit]` of them is the unit; equations are typeset as
//! MathML, and what depends on what is drawn as SVG. Works on the tree alone, so a model without its
//! data can be read too.

mod graph;
mod math;
mod page;

use super::args::DocArgs;
use super::{Console, Exit};
use crate::base::span::Sources;
use crate::diag::Sink;

impl Console<'_> {
    /// Writes the page beside the model, or where `--out` says.
    pub(super) fn doc(&mut self, args: &DocArgs) -> Exit {
        let (mut sources, mut sink) = (Sources::new(), Sink::new());
        let parsed = match self.parse(&args.file, &mut sources, &mut sink) {
            Ok(parsed) => parsed,
            Err(exit) => return exit,
        };
        if sink.has_errors() {
            return self.verdict(sink, &sources);
        }
        let stem = args.file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let page = page::page(&stem, &parsed.file, &sources);
        let out = args.out.clone().unwrap_or_else(|| args.file.with_extension("html"));
        match std::fs::write(&out, page) {
            Ok(()) => {
                self.print(&format!("{}\n", out.display()));
                Exit::Success
            }
            Err(error) => {
                self.say(&format!("error: cannot write `{}`: {error}\n", out.display()));
                Exit::Io
            }
        }
    }
}

/// Text with the characters that HTML gives a meaning written out.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The words of `##` lines and the unit in square brackets at their end.
fn words_and_unit(docs: &[crate::syntax::ast::Doc]) -> (String, Option<String>) {
    let words = docs.iter().map(|doc| &*doc.text).collect::<Vec<_>>().join(" ");
    let unit = words.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    match unit {
        Some((before, unit)) => (before.trim().to_string(), Some(unit.to_string())),
        None => (words, None),
    }
}
