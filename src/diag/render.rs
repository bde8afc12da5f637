//! Diagnostics as text: the only place that formats messages for people, or for other programs.
//!
//! [`render`] takes diagnostics and the texts they point into and gives one string; it prints
//! nothing itself.

use crate::base::span::{SourceId, Sources, Span};
use crate::diag::diagnostic::{Diagnostic, Help, Label, Severity};
use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet, Title};
use serde::Serialize;
use std::ops::Range;

/// How much is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// With the source lines, labels and patches.
    #[default]
    Full,
    /// One line each: `file:line:column: error[E0110]: …`.
    Short,
    /// One JSON object a line, for editors.
    Json,
}

/// The text of `diagnostics` in their order. `color` puts terminal colours into [`Format::Full`].
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, format: Format, color: bool) -> String {
    let each = diagnostics.iter().map(|diagnostic| match format {
        Format::Full => full(diagnostic, sources, color) + "\n",
        Format::Short => short(diagnostic, sources),
        Format::Json => json(diagnostic, sources),
    });
    each.map(|text| text + "\n").collect()
}

fn full(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> String {
    let level = match diagnostic.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.0);
    if diagnostic.primary.is_none() && diagnostic.secondary.is_empty() {
        return without_source(diagnostic, title, color);
    }
    let mut message = Group::with_title(title);
    for source in labelled_sources(diagnostic) {
        message = message.element(snippet(diagnostic, source, sources));
    }
    for note in &diagnostic.notes {
        message = message.element(Level::NOTE.message(note.as_str()));
    }
    let (patches, words): (Vec<&Help>, Vec<&Help>) =
        diagnostic.helps.iter().partition(|help| !help.edits.is_empty());
    for help in words {
        message = message.element(Level::HELP.message(help.text.as_str()));
    }
    let mut groups = vec![message];
    groups.extend(patches.into_iter().map(|help| patch(help, sources)));
    renderer(color).render(&groups)
}

fn renderer(color: bool) -> Renderer {
    if color { Renderer::styled() } else { Renderer::plain() }
}

/// A message about no text: its notes and helps stand under it, without the gutter of a snippet.
fn without_source(diagnostic: &Diagnostic, title: Title<'_>, color: bool) -> String {
    let notes = diagnostic.notes.iter().map(|note| Level::NOTE.secondary_title(note.as_str()));
    let helps = diagnostic.helps.iter().map(|help| Level::HELP.secondary_title(help.text.as_str()));
    let lines = std::iter::once(title).chain(notes).chain(helps);
    let lines: Vec<String> = lines.map(|line| renderer(color).render(&[Group::with_title(line)])).collect();
    lines.join("\n")
}

/// The sources that labels point into, that of the primary label first.
fn labelled_sources(diagnostic: &Diagnostic) -> Vec<SourceId> {
    let mut found = Vec::new();
    for label in diagnostic.primary.iter().chain(&diagnostic.secondary) {
        if !found.contains(&label.span.source) {
            found.push(label.span.source);
        }
    }
    found
}

fn snippet<'a>(
    diagnostic: &'a Diagnostic,
    source: SourceId,
    sources: &'a Sources,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let annotation = |kind: AnnotationKind, label: &'a Label| {
        let annotation = kind.span(inside(label.span, sources));
        if label.text.is_empty() { annotation } else { annotation.label(label.text.as_str()) }
    };
    let primary = diagnostic.primary.iter().map(|label| (AnnotationKind::Primary, label));
    let secondary = diagnostic.secondary.iter().map(|label| (AnnotationKind::Context, label));
    let here = primary.chain(secondary).filter(|(_, label)| label.span.source == source);
    Snippet::source(sources.text(source))
        .path(sources.name(source))
        .annotations(here.map(|(kind, label)| annotation(kind, label)))
}

fn patch<'a>(help: &'a Help, sources: &'a Sources) -> Group<'a> {
    let mut group = Group::with_title(Level::HELP.secondary_title(help.text.as_str()));
    let mut done: Vec<SourceId> = Vec::new();
    for edit in &help.edits {
        let source = edit.span.source;
        if done.contains(&source) {
            continue;
        }
        done.push(source);
        let here = help.edits.iter().filter(|edit| edit.span.source == source);
        let patches = here.map(|edit| Patch::new(inside(edit.span, sources), edit.text.as_str()));
        group =
            group.element(Snippet::source(sources.text(source)).path(sources.name(source)).patches(patches));
    }
    group
}

/// The byte range of `span`, moved inside its text and to whole characters.
fn inside(span: Span, sources: &Sources) -> Range<usize> {
    let text = sources.text(span.source);
    let lo = text.floor_char_boundary((span.lo as usize).min(text.len()));
    lo..text.ceil_char_boundary((span.hi as usize).min(text.len())).max(lo)
}

fn short(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let place = diagnostic.primary.as_ref().map_or(String::new(), |label| {
        let at = sources.position(label.span.source, label.span.lo);
        format!("{}:{}:{}: ", sources.name(label.span.source), at.line, at.column)
    });
    format!("{place}{}[{}]: {}", severity(diagnostic), diagnostic.code, diagnostic.message)
}

fn severity(diagnostic: &Diagnostic) -> &'static str {
    match diagnostic.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

#[derive(Serialize)]
struct JsonDiagnostic<'a> {
    code: &'a str,
    severity: &'a str,
    message: &'a str,
    spans: Vec<JsonSpan<'a>>,
    notes: &'a [String],
    helps: Vec<JsonHelp<'a>>,
}

#[derive(Serialize)]
struct JsonSpan<'a> {
    primary: bool,
    label: &'a str,
    #[serde(flatten)]
    place: JsonPlace<'a>,
}

#[derive(Serialize)]
struct JsonPlace<'a> {
    file: &'a str,
    line: usize,
    column: usize,
    start: u32,
    end: u32,
}

#[derive(Serialize)]
struct JsonHelp<'a> {
    message: &'a str,
    edits: Vec<JsonEdit<'a>>,
}

#[derive(Serialize)]
struct JsonEdit<'a> {
    #[serde(flatten)]
    place: JsonPlace<'a>,
    text: &'a str,
}

fn json<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> String {
    let place = |span: Span| {
        let at = sources.position(span.source, span.lo);
        let file = sources.name(span.source);
        JsonPlace { file, line: at.line, column: at.column, start: span.lo, end: span.hi }
    };
    let primary = diagnostic.primary.iter().map(|label| (true, label));
    let secondary = diagnostic.secondary.iter().map(|label| (false, label));
    let spans = primary.chain(secondary);
    let edits = |help: &'a Help| {
        help.edits.iter().map(|edit| JsonEdit { place: place(edit.span), text: &edit.text }).collect()
    };
    let value = JsonDiagnostic {
        code: diagnostic.code.0,
        severity: severity(diagnostic),
        message: &diagnostic.message,
        spans: spans
            .map(|(primary, label)| JsonSpan { primary, label: &label.text, place: place(label.span) })
            .collect(),
        notes: &diagnostic.notes,
        helps: diagnostic
            .helps
            .iter()
            .map(|help| JsonHelp { message: &help.text, edits: edits(help) })
            .collect(),
    };
    serde_json::to_string(&value).expect("strings and numbers always serialise")
}
