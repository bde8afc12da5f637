//! Layer 1: messages to the user as values, their codes, and the one place that renders them.

pub mod codes;
pub mod diagnostic;
pub mod render;

pub use diagnostic::{Code, Diagnostic, Edit, Help, Label, Severity, Sink};
