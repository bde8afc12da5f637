//! The integration tests: one binary.

mod backends;
mod data;
mod math;
mod optimizers;
mod tidy;
mod explain;
mod format;
mod gallery;
mod parse;
mod programs;
mod orders;
mod problems;
mod references;
mod solve;
