//! An accepted step, and the solution inside it.

use super::problem::Real;
use super::tableau::Tableau;

/// Most stages a method may have.
const MAX_STAGES: usize = 16;

/// A step that has been accepted, with everything that dense output needs.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<'a, T> {
    /// Start of the step.
    pub t: f64,
    /// Size of the step, negative when time runs backwards.
    pub h: f64,
    /// End of the step: `t + h`, or exactly the stop it lands on.
    pub t_new: f64,
    /// The state at `t`, `[dim]`.
    pub y: &'a [T],
    /// The state at `t_new`, `[dim]`.
    pub y_new: &'a [T],
    /// The rates `k_i`, `[s, dim]`; row 0 is the rate at `(t, y)`.
    pub stages: &'a [T],
    /// The method.
    pub tableau: &'a Tableau,
}

impl<T: Real> Accepted<'_, T> {
    /// Whether time `t` lies after the start of the step and not after its end.
    pub fn covers(&self, t: f64) -> bool {
        let forwards = self.h >= 0.0;
        if forwards { self.t < t && t <= self.t_new } else { self.t_new <= t && t < self.t }
    }

    /// `θ` with `t = self.t + θ h`.
    pub fn theta(&self, t: f64) -> f64 {
        (t - self.t) / self.h
    }

    /// Writes the state at time `t` to `out`, `[dim]`: `y + h Σ b_i(θ) k_i` inside the step, with
    /// the order of [`Dense::order`](super::tableau::Dense::order), and exactly `y` and `y_new`
    /// at its ends.
    pub fn at(&self, t: f64, out: &mut [T]) {
        if t == self.t_new {
            out.copy_from_slice(self.y_new);
        } else if t == self.t {
            out.copy_from_slice(self.y);
        } else {
            let theta = self.theta(t);
            self.combine(|stage| self.h * self.tableau.dense.weight(stage, theta), out);
            for (out, y) in out.iter_mut().zip(self.y) {
                *out = T::from_f64(y.to_f64() + out.to_f64());
            }
        }
    }

    /// Writes the rate of change of the dense output at time `t` to `out`, `[dim]`:
    /// `Σ b_i'(θ) k_i`. One order less accurate than [`at`](Accepted::at).
    pub fn slope_at(&self, t: f64, out: &mut [T]) {
        let theta = self.theta(t);
        self.combine(|stage| self.tableau.dense.weight_slope(stage, theta), out);
    }

    /// `out = Σ w_i k_i`.
    fn combine(&self, weight: impl Fn(usize) -> f64, out: &mut [T]) {
        let (dim, n_stages) = (self.y.len(), self.tableau.n_stages());
        let mut weights = [0.0; MAX_STAGES];
        for (stage, w) in weights[..n_stages].iter_mut().enumerate() {
            *w = weight(stage);
        }
        for (at, out) in out.iter_mut().enumerate() {
            let terms = weights[..n_stages].iter().enumerate();
            let sum = terms.fold(0.0, |sum, (i, w)| sum + w * self.stages[i * dim + at].to_f64());
            *out = T::from_f64(sum);
        }
    }
}
