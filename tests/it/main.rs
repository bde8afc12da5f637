//! The integration tests: one binary.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![allow(clippy::excessive_precision, reason = "reference values are printed with guard digits")]

mod cli;
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
mod gradients;
mod ir_roundtrip;
mod op_samples;
mod series;
