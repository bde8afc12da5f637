//! The integration tests: one binary.

mod backends;
mod data;
mod math;
mod optimizers;
mod tidy;
