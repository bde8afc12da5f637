//! Why something cannot be differentiated.

use crate::base::span::Span;

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
    /// A request names something that is neither a parameter nor a variable.
    #[error("`{op}` by a value that is neither a parameter nor a variable")]
    NotIndependent {
        /// Which request.
        op: &'static str,
        /// Where it is written.
        span: Option<Span>,
    },
}
