//! The integration tests: one binary.

mod backends;
mod cli;
mod data;
mod explain;
mod format;
mod gallery;
mod math;
mod optimizers;
mod orders;
mod parse;
mod plots;
mod problems;
mod programs;
mod references;
mod sema;
mod settings;
mod solve;
mod tidy;
