//! Diagnostics as values.
//!
//! A [`Diagnostic`] says what is wrong with the user's input: a code, one sentence, labelled
//! spans, notes and helps. It is built by a named function in the `errors.rs` of the layer that
//! finds the fault and reported to a [`Sink`]; only `diag::render` turns it into text.

use crate::base::span::Span;

/// How bad it is. An error stops the stage after it; a warning does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Suspicious, but the program runs.
    Warning,
    /// The program cannot run.
    Error,
}

/// A code such as `E0301` or `W0510`; its row in `diag::codes` holds title and explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub &'static str);

impl Code {
    /// Codes that start with `W` are warnings.
    pub fn severity(self) -> Severity {
        if self.0.starts_with('W') { Severity::Warning } else { Severity::Error }
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// A span with the words that stand beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// What is marked.
    pub span: Span,
    /// Lower case, no full stop; may be empty.
    pub text: String,
}

/// A replacement of the text at `span`; an empty span inserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What is replaced.
    pub span: Span,
    /// By what.
    pub text: String,
}

/// Advice: what to change, with a patch where there is a unique one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// Lower case, no full stop.
    pub text: String,
    /// The patch; empty if the advice is words alone.
    pub edits: Vec<Edit>,
}

/// One mistake, one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind of mistake.
    pub code: Code,
    /// What is wrong, in the user's terms.
    pub message: String,
    /// The thing to change. `None` only where no text is at fault (a missing file).
    pub primary: Option<Label>,
    /// Why: the other parties.
    pub secondary: Vec<Label>,
    /// Context.
    pub notes: Vec<String>,
    /// What to change, at most three.
    pub helps: Vec<Help>,
}

impl Diagnostic {
    /// A message with its primary label.
    pub fn new(code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        let primary = Some(Label { span, text: label.into() });
        Diagnostic { primary, ..Diagnostic::without_span(code, message) }
    }

    /// A message about no text in particular.
    pub fn without_span(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            notes: Vec::new(),
            helps: Vec::new(),
        }
    }

    /// Adds a secondary label.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.secondary.push(Label { span, text: text.into() });
        self
    }

    /// Adds a note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Adds advice in words.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.helps.push(Help { text: text.into(), edits: Vec::new() });
        self
    }

    /// Adds advice with a patch.
    #[must_use]
    pub fn fix(mut self, text: impl Into<String>, edits: Vec<Edit>) -> Self {
        self.helps.push(Help { text: text.into(), edits });
        self
    }

    /// Error or warning, by the code.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

/// Where diagnostics are reported. Keeps their order.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    diagnostics: Vec<Diagnostic>,
}

impl Sink {
    /// An empty sink.
    pub fn new() -> Sink {
        Sink::default()
    }

    /// Takes a diagnostic.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether an error, not only a warning, was reported.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity() == Severity::Error)
    }

    /// What was reported, in order.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// What was reported, in order, by value.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}
