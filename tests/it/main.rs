//! The integration tests: one binary.

mod cli;
mod backends;
mod data;
mod math;
mod optimizers;
mod plots;
mod settings;
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
