//! Methods for stiff systems and systems with constraints: `M y' = f(t, y)` with a constant
//! matrix `M`, which may be singular, of index 1.
//!
//! Only the states are coupled: channels are quadratures and stay outside the linear equations.
//! All computations are in `f64`, whatever the element type of the run.

#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
mod bdf;
#[allow(clippy::excessive_precision, reason = "the digits are those of the source")]
pub mod dirk;
#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
mod esdirk;
mod field;
#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
pub mod gauss;
#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
mod initial;
mod linear;
pub mod mass;
mod pace;
#[allow(clippy::excessive_precision, reason = "the digits are those of the source")]
#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
mod radau;
#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
mod reverse;
#[allow(clippy::needless_range_loop, reason = "the indices are those of the formulas")]
mod rosenbrock;
pub mod sparse;

pub use bdf::Bdf;
pub use dirk::Dirk;
pub use esdirk::Esdirk;
pub use gauss::{Collocation, Gauss};
pub use mass::Mass;
pub use radau::Radau;
pub use reverse::Stages;
pub use rosenbrock::Rosenbrock;
pub use sparse::Sparsity;

use super::problem::Real;
use std::sync::Arc;

/// A system `M y' = f(t, y)` with the derivatives of `f`. `inside` tells on which side of a stop a
/// value is meant; see [`Step::rate`](super::Step::rate).
pub trait Implicit<T: Real> {
    /// Length of the state vector, channels included.
    fn dim(&self) -> usize;

    /// How many components are states, which come first; the others are channels, which nothing
    /// reads.
    fn n_states(&self) -> usize;

    /// `f` at `(t, y)`, `[dim]`: rates, residuals of constraints, rates of channels.
    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]);

    /// What is known of the Jacobian if only the entries of its pattern are computed; `None`, all of
    /// them. It does not change.
    fn sparsity(&self) -> Option<Arc<Sparsity>>;

    /// `∂f/∂y` over the states: `[dim, n_states]`, or the entries of the pattern in its order.
    fn jacobian(&mut self, t: f64, inside: f64, y: &[T], out: &mut [T]);

    /// `(∂f/∂y) v` of the channels, `[dim - n_states]`, by the states `v: [n_states]`. Asked of systems
    /// with a pattern, which leaves out the channels.
    fn channel_slopes(&mut self, t: f64, inside: f64, y: &[T], v: &[T], out: &mut [T]);

    /// `∂f/∂t`, `[dim]`.
    fn time_slope(&mut self, t: f64, inside: f64, y: &[T], out: &mut [T]);

    /// `M` over the states: constant along a run. Channels have their rates.
    fn mass(&mut self) -> Mass;
}
