//! Mistakes and failures as values.

use crate::base::span::Sources;
use crate::diag::render::{Format, render};
use crate::diag::{Diagnostic, Severity};
use crate::solve::outcome::Outcome;
use std::fmt;
use std::sync::Arc;

/// Messages with the texts they point into.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    sources: Arc<Sources>,
}

impl Diagnostics {
    /// Messages about `sources`.
    pub fn new(list: Vec<Diagnostic>, sources: impl Into<Arc<Sources>>) -> Diagnostics {
        Diagnostics { list, sources: sources.into() }
    }

    /// The messages in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity() == Severity::Error)
    }

    /// The texts that spans point into.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// As text for a person, without colours.
    pub fn render(&self) -> String {
        self.render_as(Format::Full, false)
    }

    /// As one JSON object a line.
    pub fn to_json(&self) -> String {
        self.render_as(Format::Json, false)
    }

    /// As text in this format; `color` puts terminal colours into [`Format::Full`].
    pub fn render_as(&self, format: Format, color: bool) -> String {
        render(&self.list, &self.sources, format, color)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

impl std::error::Error for Diagnostics {}

/// Why there is no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The program, its data or its settings are wrong.
    #[error(transparent)]
    Invalid(#[from] Diagnostics),
    /// The numbers went wrong while running.
    #[error("{diagnostics}")]
    Failed {
        /// What happened, in words.
        diagnostics: Diagnostics,
        /// What happened, as data; `None` if a trajectory was asked for outside the run.
        outcome: Option<Outcome>,
    },
}

impl Error {
    /// The messages.
    pub fn diagnostics(&self) -> &Diagnostics {
        match self {
            Error::Invalid(diagnostics) | Error::Failed { diagnostics, .. } => diagnostics,
        }
    }
}
