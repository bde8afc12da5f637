//! Layer 2: text to tree.

pub mod ast;
