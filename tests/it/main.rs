//! The integration tests: one binary.

mod data;
mod optimizers;
