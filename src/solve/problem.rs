//! What a solver is given: a step, an interval, tolerances.
//!
//! The state vector holds the states first and the channels after them. Times and step sizes are
//! `f64` whatever the element type.

use std::fmt::Debug;

/// The element type of a state: `f64` or `f32`.
pub trait Real: Copy + PartialOrd + Debug + Default + Send + Sync + 'static {
    /// Rounds to this type.
    fn from_f64(value: f64) -> Self;
    /// Exact.
    fn to_f64(self) -> f64;
    /// Distance from 1 to the next larger number.
    const EPSILON: f64;
    /// Numbers of `f64` as they are, if that is this type.
    fn same(values: &[f64]) -> Option<&[Self]> {
        let _ = values;
        None
    }
    /// The same to write to.
    fn same_mut(values: &mut [f64]) -> Option<&mut [Self]> {
        let _ = values;
        None
    }
}

impl Real for f64 {
    fn from_f64(value: f64) -> f64 {
        value
    }
    fn to_f64(self) -> f64 {
        self
    }
    const EPSILON: f64 = f64::EPSILON;
    fn same(values: &[f64]) -> Option<&[f64]> {
        Some(values)
    }
    fn same_mut(values: &mut [f64]) -> Option<&mut [f64]> {
        Some(values)
    }
}

impl Real for f32 {
    fn from_f64(value: f64) -> f32 {
        value as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    const EPSILON: f64 = f32::EPSILON as f64;
}

/// A system whose rate of change is known everywhere.
pub trait Rates<T: Real> {
    /// Length of the state vector, channels included.
    fn dim(&self) -> usize;

    /// The rate of change at `(t, y)`; see [`Step::rate`].
    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]);
}

/// One step of a one-step method for one system: a compiled function, or a tableau over a closure
/// ([`RungeKutta`](crate::solve::tableau::RungeKutta)).
pub trait Step<T: Real> {
    /// Length of the state vector, channels included.
    fn dim(&self) -> usize;

    /// Number of stages `s` of the method.
    fn n_stages(&self) -> usize;

    /// The rate of change at `(t, y)`: writes `dim` numbers to `dy`. One evaluation. `inside` is a
    /// time strictly inside the smooth piece of the field that is meant: it tells on which side of
    /// a stop a field is asked for that changes there.
    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]);

    /// A step of size `h` from `(t, y)`. `stages` is `[s, dim]`; row 0 holds the rate at `(t, y)`
    /// on entry, and all rows hold the stage rates on return. Writes the new state, and the
    /// embedded error estimate (zeros for a method that has none). Costs `s - 1` evaluations, all in
    /// the smooth piece around `t + h/2`.
    fn step(&mut self, t: f64, h: f64, y: &[T], stages: &mut [T], y_new: &mut [T], err: &mut [T]);

    /// The stages that only dense output needs, of the step of size `h` from `(t, y)` that was taken
    /// last: `stages` is `[s + e, dim]`, of which the first `s` rows are known; fills the others, for
    /// `e` evaluations.
    fn extend(&mut self, t: f64, h: f64, y: &[T], stages: &mut [T]);
}
