//! Reverse passes: through a solve, and through the chain of solves of a run.

pub mod chain;
pub mod curvature;
pub mod discrete;
pub mod hessian;
