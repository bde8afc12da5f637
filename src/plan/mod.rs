//! Layer 6: a compiled model.
//!
//! [`modes`] makes events of jumps, [`pack`] brings the functions of a program to vectors of lengths that [`layout`] knows, [`step`]
//! makes the method's step of a field, [`compiled`] compiles both, [`forward`] runs the solves in
//! their order, [`adjoint`] runs them backwards, `tangents` carries
//! derivatives along, [`objective`] puts value, gradient and Hessian
//! together, `block` does so for several examples at once.

pub mod adjoint;
pub(crate) mod block;
pub mod compiled;
pub mod controls;
pub(crate) mod derivatives;
mod ends;
pub mod estimate;
pub mod forward;
pub mod halves;
mod kernels;
pub mod lanes;
pub mod layout;
mod leap;
pub mod many;
pub mod modes;
pub mod motion;
pub mod objective;
pub mod operands;
pub mod pack;
mod resolve;
pub mod scale;
mod show;
pub mod step;
mod stepping;
pub(crate) mod tangents;
pub mod trace;
pub mod unit;
mod ways;

pub use compiled::Plan;
