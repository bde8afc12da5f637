//! Layer 4: tensor IR to loop IR.
//!
//! [`lower`] makes loops of a function; `place` decides which of its values are scalars, which are
//! stored and which are computed where they are used; `math` holds each transcendental function
//! once, as scalar primitives; `code` builds the loop IR, which `loops` defines; `chain` makes one function
//! of several.

pub mod chain;
pub mod code;
pub mod loops;
pub mod math;
mod place;
pub(crate) mod prim;
mod print;
mod tensor;
mod verify;

pub use tensor::{lower, lower_within};

/// A function that does not fit the loop IR.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{op}` in `{func}` has to be expanded before lowering")]
pub struct LowerError {
    /// Which function.
    pub func: String,
    /// Which op.
    pub op: &'static str,
}
