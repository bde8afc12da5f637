//! One-step methods backwards: steps taken again, and the transpose of their linearization.
//!
//! [`Reverse`] takes a step anew from its start alone, so that nothing of the forward pass must be
//! kept but where steps began, and sends the cotangent of its end to its start. What that asks of the
//! field, it asks of whoever called ([`Ask`]), who collects the shares of args and params on the way.
//! Explicit methods need none of it: their steps are functions of the IR.

use super::outcome::Outcome;
use super::problem::Real;

/// A step of the forward pass.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Its start.
    pub t: f64,
    /// Its size.
    pub h: f64,
    /// Its end: `t + h` but for rounding, or the event that cut it short.
    pub t_new: f64,
}

impl Taken {
    /// A time inside the smooth piece.
    pub fn inside(&self) -> f64 {
        self.t + 0.5 * self.h
    }
}

/// Asks for `barᵀ ∂g/∂(y, a, q)` of some `g` at `(t, y)`.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The time.
    pub t: f64,
    /// States and channels, `[dim]`.
    pub y: &'a [f64],
    /// What is asked about.
    pub of: Of<'a>,
    /// The cotangent of its value.
    pub bar: &'a [f64],
}

/// What is asked about.
#[derive(Clone, Copy, Debug)]
pub enum Of<'a> {
    /// The rates `f`, `[dim]`.
    Rate,
    /// The same, but args and params receive nothing.
    RateByState,
    /// `f_t dt + f_y dy`, `[dim]`.
    Along(f64, &'a [f64]),
    /// The shares of the noise, `[n_driven, m]`.
    Diffusion,
}

/// Answers with what goes to the state, `[dim]`.
pub type Answer<'a> = dyn FnMut(&Ask<'_>) -> Vec<f64> + 'a;

/// A step that is gone back through.
pub trait Reverse<T: Real> {
    /// Whether a step taken again has the bits of the forward pass.
    fn repeats(&self) -> bool {
        true
    }

    /// Takes a step again from `y`. `end`, where it is known, is near the state at its end.
    fn take(&mut self, step: Taken, y: &[f64], end: Option<&[f64]>) -> Result<(), Outcome>;

    /// The state at the end of the step last taken, `[dim]`.
    fn end(&self) -> &[f64];

    /// The solution inside it, `y + Σ c_p θ^p`: the coefficients from `c_1` on, `[degree, dim]`.
    fn powers(&mut self) -> Vec<f64>;

    /// Turns the cotangent `bar` of the state at the end of the step last taken into that of the
    /// state at its start. `inner` holds the cotangents of states inside it, with their `θ`.
    fn pull(
        &mut self,
        bar: &mut [f64],
        inner: &[(f64, Vec<f64>)],
        answer: &mut Answer<'_>,
    ) -> Result<(), Outcome>;

    /// Turns the cotangent of the start of a run, where constraints hold at `(t, y)`, into that of the
    /// start that was given.
    fn pull_start(
        &mut self,
        step: Taken,
        y: &[f64],
        bar: &mut [f64],
        answer: &mut Answer<'_>,
    ) -> Result<(), Outcome> {
        let _ = (step, y, bar, answer);
        Ok(())
    }

    /// The rate of change of the solution inside the step of size `h`, at `θ`, `[dim]`.
    fn slope_at(&mut self, theta: f64, h: f64, out: &mut [f64]) {
        let (powers, dim) = (self.powers(), out.len());
        for (at, out) in out.iter_mut().enumerate() {
            let terms = powers.chunks(dim.max(1)).enumerate().rev();
            *out = terms.fold(0.0, |sum, (p, c)| sum * theta + (p as f64 + 1.0) * c[at]) / h;
        }
    }
}

/// `sum += factor · terms`
pub(super) fn add(sum: &mut [f64], factor: f64, terms: &[f64]) {
    sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += factor * term);
}
