//! Layer 4: tensor IR to loop IR.
//!
//! The loop IR with its text form and verifier, the builder of scalar code, and the transcendental
//! functions as scalar primitives.

pub mod code;
pub mod loops;
pub mod math;
pub(crate) mod prim;
mod print;
mod verify;
