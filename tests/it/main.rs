//! The integration tests: one binary.

mod cli;
mod data;
mod optimizers;
mod plots;
mod settings;
mod tidy;
