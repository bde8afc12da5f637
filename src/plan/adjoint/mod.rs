//! Reverse passes through a solve.

pub mod discrete;
pub mod hessian;
