//! Numerical differentiation formulas of variable order 1 to 5, for large stiff systems and
//! constraints of index 1.
//!
//! The last states are kept as backward differences for a constant step, brought to a new step size
//! by interpolation. Source: L. F. Shampine, M. W. Reichelt, The MATLAB ODE suite, SIAM J. Sci.
//! Comput. 18 (1997); decisions as in SciPy's `BDF`.

use super::Implicit;
use super::field::{Field, narrow, widen};
use super::linear::Factors;
use super::pace::{Failed, consistent, count_failure, first_size, newton_tolerance, scale, size_in};
use crate::solve::control::Adaptive;
use crate::solve::dense::{Accepted, Interior};
use crate::solve::outcome::{Invalid, Outcome, Quantity, Stats};
use crate::solve::problem::Real;
use crate::solve::solve::Stepping;
use crate::solve::stepper::{Flow, Leg, Stepper, non_finite};

const MAX_ORDER: usize = 5;
/// The iteration is given up after so many.
const MAX_ITERATIONS: u32 = 4;
/// `κ_k` of the formula of order `k`, `Σ_{j≤k} ∇^j y/j - κ_k γ_k (y - y_predicted) = h f`: the
/// largest step at the angle of stability that is left. Source: Shampine and Reichelt, table 1.
const KAPPA: [f64; MAX_ORDER + 1] = [0.0, -0.1850, -1.0 / 9.0, -0.0823, -0.0415, 0.0];
/// `γ_k = Σ_{j≤k} 1/j`
const GAMMA: [f64; MAX_ORDER + 1] = [0.0, 1.0, 3.0 / 2.0, 11.0 / 6.0, 25.0 / 12.0, 137.0 / 60.0];

/// `α_k = (1 - κ_k) γ_k`
fn alpha(order: usize) -> f64 {
    (1.0 - KAPPA[order]) * GAMMA[order]
}

/// The local error is this times `∇^(k+1) y`: `κ_k γ_k + 1/(k + 1)`.
fn error_constant(order: usize) -> f64 {
    KAPPA[order] * GAMMA[order] + 1.0 / (order as f64 + 1.0)
}

/// The formulas at work on one system.
pub struct Bdf<'a, T, S: ?Sized> {
    field: Field<'a, T, S>,
    stepping: &'a Stepping,
    control: Adaptive,
    order: usize,
    /// The step wished for next, for which the differences are.
    size: f64,
    /// Steps of this size and order so far.
    n_equal: usize,
    /// `∇^j y` for `j = 0 .. order + 2`, `[8, dim]`.
    differences: Vec<f64>,
    /// The differences are those of the last step.
    known: bool,
    /// `c` of the matrix `M - c J` in `lu`; not a number if there is none.
    factored: f64,
    lu: Factors<f64>,
    y_new: Vec<f64>,
    /// The error estimate of the step last taken.
    err: Vec<f64>,
    /// The step last taken: its start, its size, its end.
    taken: (f64, f64, f64),
    shown_y: Vec<T>,
    /// `[order, dim]`
    shown_powers: Vec<T>,
}

impl<'a, T: Real, S: Implicit<T> + ?Sized> Bdf<'a, T, S> {
    /// The formulas for `system`.
    pub fn new(system: &'a mut S, stepping: &'a Stepping) -> Self {
        let field = Field::new(system);
        let dim = field.dim;
        let control = match stepping {
            Stepping::Adaptive(control) => control.clone(),
            Stepping::Fixed { .. } => Adaptive::new(0.0, 0.0, 0),
        };
        let lu = field.factors();
        Bdf {
            field,
            stepping,
            control,
            order: 1,
            size: 0.0,
            n_equal: 0,
            differences: vec![0.0; (MAX_ORDER + 3) * dim],
            known: false,
            factored: f64::NAN,
            lu,
            y_new: vec![0.0; dim],
            err: vec![0.0; dim],
            taken: (0.0, 0.0, 0.0),
            shown_y: vec![T::default(); dim],
            shown_powers: Vec::new(),
        }
    }

    /// Begins at order 1 from `(t, y)`, with the Jacobian there.
    fn begin(&mut self, t: f64, y: &mut [f64], leg: &Leg, stats: &mut Stats) -> Flow {
        let slopes = consistent(&mut self.field, &self.control, t, y, stats)?;
        // The estimate of the first order is `O(h²)`.
        self.size = first_size(&mut self.field, &self.control, 2, t, y, &slopes, leg, stats);
        let dim = self.field.dim;
        self.differences.fill(0.0);
        self.differences[..dim].copy_from_slice(y);
        for (at, slope) in slopes.iter().enumerate() {
            self.differences[dim + at] = leg.direction * self.size * slope;
        }
        (self.order, self.n_equal, self.known, self.factored) = (1, 0, true, f64::NAN);
        Flow::Continue(())
    }

    /// Brings the differences to a step `factor` times as long. Source: Shampine and Reichelt, 2.2.
    fn rescale(&mut self, factor: f64) {
        let (k, dim) = (self.order, self.field.dim);
        let (r, u) = (interpolation(k, factor), interpolation(k, 1.0));
        let mut new = vec![0.0; (k + 1) * dim];
        for i in 0..=k {
            for j in 0..=k {
                let weight: f64 = (0..=k).map(|m| r[j][m] * u[m][i]).sum();
                for at in 0..dim {
                    new[i * dim + at] += weight * self.differences[j * dim + at];
                }
            }
        }
        self.differences[..new.len()].copy_from_slice(&new);
        self.size *= factor;
        self.n_equal = 0;
    }

    fn difference(&self, j: usize, at: usize) -> f64 {
        self.differences[j * self.field.dim + at]
    }

    /// Solves the formula for the state at `t`, a step `h` on. Gives `y_new - y_predicted` and the
    /// number of iterations; `y_new` is left in place.
    fn correct(
        &mut self,
        t: f64,
        h: f64,
        predicted: &[f64],
        stats: &mut Stats,
    ) -> Result<(Vec<f64>, u32), Failed> {
        let Field { dim, n, .. } = self.field;
        let c = h / alpha(self.order);
        if self.factored != c {
            self.factored = f64::NAN;
            if !self.field.factor(&mut self.lu, |m, j| m - c * j, stats) {
                return Err(Failed::Singular);
            }
            self.factored = c;
        }
        let psi: Vec<f64> = (0..dim)
            .map(|at| {
                let sum: f64 = (1..=self.order).map(|j| GAMMA[j] * self.difference(j, at)).sum();
                sum / alpha(self.order)
            })
            .collect();
        let scale = scale(&self.control, &predicted[..n], &predicted[..n]);
        let tolerance = newton_tolerance(self.control.rtol);
        let (mut d, mut f, mut weighed) = (vec![0.0; dim], vec![0.0; dim], vec![0.0; n]);
        self.y_new.copy_from_slice(predicted);
        let (mut size_before, mut worst): (Option<f64>, usize) = (None, 0);
        for iteration in 1..=MAX_ITERATIONS {
            self.field.rate(t, &self.y_new, &mut f, stats);
            stats.newton_iterations += 1;
            if let Some(component) = non_finite(&f) {
                return Err(Failed::NotFinite { component });
            }
            let moved: Vec<f64> = (0..n).map(|at| psi[at] + d[at]).collect();
            self.field.mass.times(&moved, &mut weighed);
            let mut delta: Vec<f64> = (0..n).map(|at| c * f[at] - weighed[at]).collect();
            self.lu.solve(&mut delta);
            for at in 0..n {
                self.y_new[at] += delta[at];
                d[at] += delta[at];
                if (delta[at] / scale[at]).abs() > (delta[worst] / scale[worst]).abs() {
                    worst = at;
                }
            }
            let size = size_in(&delta, &scale);
            let rate = size_before.map(|before| size / before);
            if size == 0.0 || rate.is_some_and(|rate| rate < 1.0 && rate / (1.0 - rate) * size < tolerance) {
                self.quadrature(t, c, &psi, predicted, &mut d, stats);
                return Ok((d, iteration));
            }
            let left = f64::from(MAX_ITERATIONS - iteration);
            if !size.is_finite()
                || rate.is_some_and(|r| r >= 1.0 || libm::pow(r, left) / (1.0 - r) * size > tolerance)
            {
                break;
            }
            size_before = Some(size);
        }
        Err(Failed::NoConvergence { component: worst })
    }

    /// The same formula for the channels, whose rates are known once the states are.
    fn quadrature(
        &mut self,
        t: f64,
        c: f64,
        psi: &[f64],
        predicted: &[f64],
        d: &mut [f64],
        stats: &mut Stats,
    ) {
        let Field { dim, n, .. } = self.field;
        if dim == n {
            return;
        }
        let mut f = vec![0.0; dim];
        self.field.rate(t, &self.y_new, &mut f, stats);
        for at in n..dim {
            d[at] = c * f[at] - psi[at];
            self.y_new[at] = predicted[at] + d[at];
        }
    }

    /// Takes the differences of the accepted step in, and shows its polynomial.
    fn shift(&mut self, d: &[f64]) {
        let (k, dim) = (self.order, self.field.dim);
        for (at, d) in d.iter().enumerate() {
            self.differences[(k + 2) * dim + at] = d - self.differences[(k + 1) * dim + at];
            self.differences[(k + 1) * dim + at] = *d;
        }
        for j in (0..=k).rev() {
            for at in 0..dim {
                self.differences[j * dim + at] += self.differences[(j + 1) * dim + at];
            }
        }
        narrow(&self.y_new, &mut self.shown_y);
        self.shown_powers.clear();
        self.shown_powers.resize(k * dim, T::default());
        let basis = newton_powers(k);
        for at in 0..dim {
            for p in 1..=k {
                let c: f64 = (1..=k).map(|j| basis[j][p] * self.difference(j, at)).sum();
                self.shown_powers[(p - 1) * dim + at] = T::from_f64(c);
            }
        }
    }

    /// The order and step size that promise most, after enough equal steps.
    fn choose(&mut self, error: f64, safety: f64, leg: &Leg) {
        let (k, dim) = (self.order, self.field.dim);
        if self.n_equal < k + 1 {
            return;
        }
        let norm_of = |order: usize, j: usize| {
            let err: Vec<f64> = (0..dim).map(|at| error_constant(order) * self.difference(j, at)).collect();
            self.control.norm(&err, &self.y_new, &self.y_new)
        };
        let lower = if k > 1 { norm_of(k - 1, k) } else { f64::INFINITY };
        let higher = if k < MAX_ORDER { norm_of(k + 1, k + 2) } else { f64::INFINITY };
        let mut best = (k, 0.0);
        for (order, error) in [(k, error), (k.saturating_sub(1), lower), (k + 1, higher)] {
            let factor = libm::pow(error, -1.0 / (order as f64 + 1.0));
            if factor > best.1 {
                best = (order, factor);
            }
        }
        let controller = self.control.controller;
        self.order = best.0;
        let longest = self.control.max_step.min(leg.length) / self.size;
        self.rescale((safety * best.1).min(controller.max_factor).min(longest));
    }
}

/// `r[j][m] = Π_{i ≤ j} (i - 1 - factor m)/i`: the differences' interpolating polynomial at steps
/// `factor` times as long.
fn interpolation(order: usize, factor: f64) -> [[f64; MAX_ORDER + 1]; MAX_ORDER + 1] {
    let mut r = [[0.0; MAX_ORDER + 1]; MAX_ORDER + 1];
    r[0] = [1.0; MAX_ORDER + 1];
    for j in 1..=order {
        for m in 1..=order {
            r[j][m] = r[j - 1][m] * (j as f64 - 1.0 - factor * m as f64) / j as f64;
        }
    }
    r
}

/// Row `j` holds the coefficients of `θ^p` in `Π_{i<j} (s + i)/(i + 1)`, `s = θ - 1`, which stands
/// before `∇^j y`.
fn newton_powers(order: usize) -> [[f64; MAX_ORDER + 1]; MAX_ORDER + 1] {
    let mut basis = [[0.0; MAX_ORDER + 1]; MAX_ORDER + 1];
    basis[0][0] = 1.0;
    for j in 1..=order {
        let i = j as f64 - 1.0;
        for p in 0..=j {
            let raised = if p > 0 { basis[j - 1][p - 1] } else { 0.0 };
            basis[j][p] = (raised + (i - 1.0) * basis[j - 1][p]) / (i + 1.0);
        }
    }
    basis
}

impl<T: Real, S: Implicit<T> + ?Sized> Stepper<T> for Bdf<'_, T, S> {
    fn dim(&self) -> usize {
        self.field.dim
    }

    fn check(&self) -> Result<(), Invalid> {
        match self.stepping {
            Stepping::Fixed { .. } => Err(Invalid::NeedsTolerances { method: "bdf" }),
            Stepping::Adaptive(control) => control.check(self.field.dim),
        }
    }

    fn start(&mut self, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.field.inside = leg.inside(t);
        let mut wide = vec![0.0; y.len()];
        widen(y, &mut wide);
        let started = self.begin(t, &mut wide, leg, stats);
        // A start that is given up is told by the last state that was tried.
        narrow(&wide, y);
        started
    }

    fn pass_stop(&mut self) {
        self.known = false;
    }

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.field.inside = leg.inside(t);
        if !self.known {
            let mut wide = vec![0.0; y.len()];
            widen(y, &mut wide);
            self.begin(t, &mut wide, leg, stats)?;
        }
        let dim = self.field.dim;
        let shortest = self.control.shortest(t);
        if self.size < shortest {
            // Twice that: the shortest grows with `t`, and a size that changes in every step never gets to
            // where it may grow.
            self.rescale(2.0 * shortest / self.size);
        }
        // The Jacobian is that of an earlier step until the iteration asks for a new one.
        let mut fresh = false;
        loop {
            let (tried, lands) = self.control.landing.fitted(self.size, (leg.target - t).abs());
            if tried != self.size {
                self.rescale(tried / self.size);
                self.size = tried;
            }
            let (h, t_new) = match lands {
                true => (leg.target - t, leg.target),
                false => (leg.direction * tried, t + leg.direction * tried),
            };
            leg.spend(t, h, stats)?;
            if stats.attempts() == 0 {
                stats.first_step = h;
            }
            let predicted: Vec<f64> =
                (0..dim).map(|at| (0..=self.order).map(|j| self.difference(j, at)).sum()).collect();
            let mut found = self.correct(t_new, h, &predicted, stats);
            if found.is_err() && !fresh && non_finite(&predicted).is_none() {
                self.field.linearise(t_new, &predicted, stats)?;
                (fresh, self.factored) = (true, f64::NAN);
                found = self.correct(t_new, h, &predicted, stats);
            }
            let (d, n_iterations) = match found {
                Ok(found) => found,
                Err(failed) => {
                    count_failure(failed, stats);
                    self.rescale(0.5);
                    if self.size < shortest {
                        return Flow::Break(failed.outcome(t, h));
                    }
                    continue;
                }
            };
            let (max, used) =
                (f64::from(2 * MAX_ITERATIONS + 1), f64::from(2 * MAX_ITERATIONS + n_iterations));
            let safety = self.control.controller.safety * max / used;
            let err: Vec<f64> = d.iter().map(|d| error_constant(self.order) * d).collect();
            let norm = self.control.norm(&err, &self.y_new, &self.y_new);
            if norm <= 1.0 {
                stats.accepted += 1;
                self.taken = (t, h, t_new);
                self.n_equal += 1;
                self.err = err;
                self.shift(&d);
                self.choose(norm, safety, leg);
                stats.next_step = leg.direction * self.size;
                return Flow::Continue(());
            }
            stats.rejected += 1;
            stats.non_finite += u64::from(!norm.is_finite());
            let wish = safety * libm::pow(norm, -1.0 / (self.order as f64 + 1.0));
            let factor = if norm.is_finite() { wish } else { 0.0 };
            self.rescale(factor.max(self.control.controller.min_factor).min(1.0));
            if self.size < shortest {
                return Flow::Break(match non_finite(&self.y_new) {
                    Some(component) => Outcome::NonFinite { t, h, component, quantity: Quantity::State },
                    None => {
                        let (component, ratio) = self.control.largest(&err, &self.y_new, &self.y_new);
                        Outcome::StepTooSmall { t, h: leg.direction * self.size, component, ratio }
                    }
                });
            }
        }
    }

    fn error(&self, component: usize) -> Option<f64> {
        Some(self.err[component])
    }

    fn accepted<'b>(&'b self, y: &'b [T]) -> Accepted<'b, T> {
        let (t, h, t_new) = self.taken;
        let interior = Interior::Powers { coefficients: &self.shown_powers };
        Accepted { t, h, t_new, y, y_new: &self.shown_y, interior }
    }
}
