//! An accepted step, and the solution inside it.

use super::problem::Real;
use super::tableau::Tableau;

/// Most stages a method may have.
const MAX_STAGES: usize = 32;

/// A step that has been accepted, with everything that dense output needs.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<'a, T> {
    /// Start of the step.
    pub t: f64,
    /// Size of the step, negative when time runs backwards.
    pub h: f64,
    /// Where the run stands after it: `t + h`, or exactly the stop it lands on, or the event inside
    /// it that cut it short.
    pub t_new: f64,
    /// The state at `t`, `[dim]`.
    pub y: &'a [T],
    /// The state at `t_new`, `[dim]`.
    pub y_new: &'a [T],
    /// The solution between `t` and `t + h`.
    pub interior: Interior<'a, T>,
}

/// The solution inside a step, as a function of `θ = (t' - t) / h`.
#[derive(Clone, Copy, Debug)]
pub enum Interior<'a, T> {
    /// Of an explicit Runge–Kutta method: `y + h Σ b_i(θ) k_i`.
    Stages {
        /// The method.
        tableau: &'a Tableau,
        /// The rates `k_i`, `[s + e, dim]`; row 0 is the rate at `(t, y)`. Those of the `e` stages that
        /// only dense output needs are there if somebody was to look inside.
        stages: &'a [T],
    },
    /// Of any other method: the polynomial `y + Σ_{p ≥ 1} c_p θ^p`.
    Powers {
        /// `c_1, c_2, ..`: `[degree, dim]`.
        coefficients: &'a [T],
    },
}

impl<'a, T: Real> Accepted<'a, T> {
    /// Whether time `t` lies after the start of the step and not after its end.
    pub fn covers(&self, t: f64) -> bool {
        let forwards = self.h >= 0.0;
        if forwards { self.t < t && t <= self.t_new } else { self.t_new <= t && t < self.t }
    }

    /// `θ` with `t = self.t + θ h`.
    pub fn theta(&self, t: f64) -> f64 {
        (t - self.t) / self.h
    }

    /// A time strictly inside the step: the field is smooth around it.
    pub fn inside(&self) -> f64 {
        self.t + 0.5 * self.h
    }

    /// The part of the step up to `t_new`, where the state is `y_new`.
    pub fn cut<'b>(&self, t_new: f64, y_new: &'b [T]) -> Accepted<'b, T>
    where
        'a: 'b,
    {
        Accepted { t_new, y_new, ..*self }
    }

    /// Writes the state at time `t` to `out`, `[dim]`: the interior of the step, with the order of
    /// [`Dense::order`](super::tableau::Dense::order) for a table, and exactly `y` and `y_new` at
    /// its ends.
    pub fn at(&self, t: f64, out: &mut [T]) {
        if t == self.t_new {
            out.copy_from_slice(self.y_new);
        } else if t == self.t {
            out.copy_from_slice(self.y);
        } else {
            let theta = self.theta(t);
            match self.interior {
                Interior::Stages { tableau, stages } => {
                    combine(tableau, stages, |stage| self.h * tableau.dense.weight(stage, theta), out);
                }
                Interior::Powers { coefficients } => polynomial(coefficients, theta, out),
            }
            for (out, y) in out.iter_mut().zip(self.y) {
                *out = T::from_f64(y.to_f64() + out.to_f64());
            }
        }
    }

    /// Writes the rate of change of the dense output at time `t` to `out`, `[dim]`:
    /// `Σ b_i'(θ) k_i` for a table. One order less accurate than [`at`](Accepted::at).
    pub fn slope_at(&self, t: f64, out: &mut [T]) {
        let theta = self.theta(t);
        match self.interior {
            Interior::Stages { tableau, stages } => {
                combine(tableau, stages, |stage| tableau.dense.weight_slope(stage, theta), out);
            }
            Interior::Powers { coefficients } => {
                let dim = out.len();
                for (at, out) in out.iter_mut().enumerate() {
                    let powers = coefficients.chunks(dim).enumerate().rev();
                    let sum = powers.fold(0.0, |sum, (p, c)| sum * theta + (p as f64 + 1.0) * c[at].to_f64());
                    *out = T::from_f64(sum / self.h);
                }
            }
        }
    }

    /// Appends the coefficients `c_1, c_2, ..` of the interior as a polynomial in `θ`,
    /// `[degree, dim]`, to `out`.
    pub fn push_powers(&self, out: &mut Vec<T>) {
        match self.interior {
            Interior::Stages { tableau, stages } => {
                let degree = tableau.dense.weights.iter().map(|row| row.len()).max().unwrap_or(0);
                for p in 0..degree {
                    let from = out.len();
                    out.resize(from + self.y.len(), T::default());
                    let weight = |stage: usize| {
                        let row: &[super::tableau::Coeff] = tableau.dense.weights[stage];
                        self.h * row.get(p).map_or(0.0, |w| w.value())
                    };
                    combine(tableau, stages, weight, &mut out[from..]);
                }
            }
            Interior::Powers { coefficients } => out.extend_from_slice(coefficients),
        }
    }
}

/// The powers of `θ` of the cubic that rises by `whole` over the step and has `h` times these slopes
/// at its ends. Source: Hairer, Nørsett, Wanner, Solving ODEs I, II (6.7).
pub(super) fn cubic(whole: f64, from: f64, to: f64) -> [f64; 3] {
    [from, 3.0 * whole - 2.0 * from - to, from + to - 2.0 * whole]
}

/// `out = Σ_{p ≥ 1} c_p θ^p`.
pub(super) fn polynomial<T: Real>(coefficients: &[T], theta: f64, out: &mut [T]) {
    let dim = out.len();
    assert!(dim == 0 || !coefficients.is_empty(), "nobody was to look inside this step");
    for (at, out) in out.iter_mut().enumerate() {
        let powers = coefficients.chunks(dim).rev();
        *out = T::from_f64(powers.fold(0.0, |sum, c| (sum + c[at].to_f64()) * theta));
    }
}

/// `out = Σ w_i k_i`.
fn combine<T: Real>(tableau: &Tableau, stages: &[T], weight: impl Fn(usize) -> f64, out: &mut [T]) {
    let (dim, n_stages) = (out.len(), tableau.n_rows());
    assert!(stages.len() == n_stages * dim, "nobody was to look inside this step");
    let mut weights = [0.0; MAX_STAGES];
    for (stage, w) in weights[..n_stages].iter_mut().enumerate() {
        *w = weight(stage);
    }
    for (at, out) in out.iter_mut().enumerate() {
        let terms = weights[..n_stages].iter().enumerate();
        let sum = terms.fold(0.0, |sum, (i, w)| sum + w * stages[i * dim + at].to_f64());
        *out = T::from_f64(sum);
    }
}
