//! The integration tests: one binary.

mod orders;
mod problems;
mod references;
mod solve;
