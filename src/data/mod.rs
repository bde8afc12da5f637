//! Layer 6: data files. A request names columns of a file and the schema lines that ask for them;
//! the answer is numbers, or diagnostics that point into the program and into the file.
//!
//! Nothing here knows what the numbers are for.

pub mod csv;
pub mod digest;
pub mod errors;
pub mod schema;

pub use csv::{CsvRequest, FieldRequest, Loaded, load_csv};
pub use digest::Digest;
pub use schema::schema;

/// What the cells of a column must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// Any finite number.
    Real,
    /// A whole number no larger than 2⁵³ in magnitude, so that `f64` holds it exactly.
    Int,
}
