//! Layer 6: a compiled model.
//!
//! [`pack`] brings a system's functions to vectors, [`step`] makes the method's step of the field,
//! [`compiled`] compiles both, [`forward`] runs them, [`adjoint`] runs them backwards, [`objective`]
//! puts value, gradient and Hessian together.

pub mod adjoint;
pub mod compiled;
pub mod forward;
pub mod objective;
pub mod pack;
mod show;
pub mod step;
pub mod trace;
pub mod unit;

pub use compiled::Plan;
