//! Why something cannot be differentiated.

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic};

/// A derivative that does not exist or was asked for in the wrong way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdError {
    /// A request for a derivative stands where it should have been expanded.
    #[error("`{op}` has to be expanded first")]
    Request {
        /// Which op.
        op: &'static str,
        /// Where it is written.
        span: Option<Span>,
    },
    /// What is differentiated, or differentiated by, has elements without derivatives.
    #[error("{what} is {found}; derivatives need floating-point numbers")]
    NotFloat {
        /// Whose type it is.
        what: String,
        /// The type.
        found: String,
        /// Where it is written.
        span: Option<Span>,
    },
    /// A derivative that needs too many directions, each a copy of the code.
    #[error("`{op}` along {directions} directions")]
    TooLarge {
        /// Which request.
        op: &'static str,
        /// How many directions.
        directions: usize,
        /// Where it is written.
        span: Option<Span>,
    },
    /// A request names something that is neither a parameter nor a variable.
    #[error("`{op}` by a value that is neither a parameter nor a variable")]
    NotIndependent {
        /// Which request.
        op: &'static str,
        /// Where it is written.
        span: Option<Span>,
    },
}

impl AdError {
    /// In the user's words. Requests that were not expanded and variables that are none cannot come
    /// from a program: `sema` makes requests of variables only, and `expand` resolves them.
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            AdError::NotFloat { what, found, span } => {
                let message = format!("{what} is {found}, and only real numbers have derivatives");
                let code = Code("E0605");
                match span {
                    Some(span) => Diagnostic::new(code, message, *span, "no derivative here"),
                    None => Diagnostic::without_span(code, message),
                }
                .help("`real(n)` makes a real number of an integer")
            }
            AdError::TooLarge { directions, span, .. } => {
                let message = format!(
                    "an exact derivative along {directions} directions, each a copy of the code, is not supported yet"
                );
                let code = Code("E0290");
                match span {
                    Some(span) => Diagnostic::new(code, message, *span, "too much code"),
                    None => Diagnostic::without_span(code, message),
                }
                .help("write out what this derivative is, or take `jvp` along the directions that matter")
            }
            AdError::Request { .. } | AdError::NotIndependent { .. } => crate::bug!("{self}"),
        }
    }
}
