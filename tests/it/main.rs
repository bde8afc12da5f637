//! The integration tests: one binary.

mod explain;
mod format;
mod gallery;
mod parse;
mod programs;
