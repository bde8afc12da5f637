//! The integration tests: one binary.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![allow(clippy::excessive_precision, reason = "reference values are printed with guard digits")]

mod adjoints;
mod backends;
mod bad_input;
mod cli;
mod constraints;
mod data;
mod datasets;
mod draws;
mod dynamics;
mod event_gradients;
mod events;
mod examples;
mod explain;
mod failures;
mod fit;
mod format;
mod forward_gradients;
mod fuzz;
mod gallery;
mod gradients;
mod heat;
mod help;
mod ir_roundtrip;
mod made_data;
mod many;
mod math;
mod methods;
mod minibatches;
mod models;
mod op_samples;
mod optimizers;
mod orders;
mod parse;
mod plots;
mod problems;
mod programs;
mod random_code;
mod random_loops;
mod references;
mod runs;
mod sema;
mod series;
mod settings;
mod solve;
mod solve_gradients;
mod stiff;
mod stochastic;
mod styles;
mod symplectic;
mod threads;
mod tidy;
mod training;
