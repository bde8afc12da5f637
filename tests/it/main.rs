//! The integration tests: one binary.

mod backends;
mod cli;
mod data;
mod explain;
mod format;
mod gallery;
mod math;
mod optimizers;
mod parse;
mod plots;
mod programs;
mod settings;
mod tidy;
mod orders;
mod problems;
mod references;
mod solve;
