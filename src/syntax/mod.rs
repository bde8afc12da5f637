//! Layer 2: text to tree. Total and pure: any text gives a tree and diagnostics.

pub mod ast;
mod build;
mod depth;
mod errors;
mod hints;
pub mod lexer;
pub mod parser;
pub mod token;

pub use parser::{Parsed, parse, parse_expr};
