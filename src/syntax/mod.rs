//! Layer 2: text to tree. Total and pure: any text gives a tree and diagnostics.

mod align;
pub mod ast;
mod build;
mod depth;
mod errors;
mod foreign;
pub mod format;
mod hints;
pub mod lexer;
pub mod parser;
pub mod print;
mod spacing;
pub mod token;
mod typeset;

pub use parser::{Parsed, parse, parse_expr, tree};
