//! Layer 2: the tensor IR. Knows spans, nothing of syntax.
//!
//! Types and ops, functions of interned nodes, the builder that makes them, their text form, and
//! the reference evaluator that says what they mean.

pub mod builder;
pub mod constraint;
pub mod eval;
pub mod fold;
pub mod func;
pub mod infer;
pub mod op;
pub mod ops;
pub mod parse;
pub mod print;
pub mod program;
pub(crate) mod rounding;
pub mod system;
pub mod tensor;
pub mod types;
pub mod verify;
pub mod zeros;
