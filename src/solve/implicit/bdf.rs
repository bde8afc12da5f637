//! Numerical differentiation formulas of variable order 1 to 5, for large stiff systems and
//! constraints of index 1.
//!
//! The last states are kept as backward differences for a constant step, brought to a new step size
//! by interpolation. Source: L. F. Shampine, M. W. Reichelt, The MATLAB ODE suite, SIAM J. Sci.
//! Comput. 18 (1997); decisions as in SciPy's `BDF`.

use super::Implicit;
use super::field::{Field, narrow, widen};
use super::linear::Factors;
use super::pace::{Failed, combine, consistent, count_failure, first_size, newton_tolerance};
use crate::solve::control::Adaptive;
use crate::solve::dense::{Accepted, Interior};
use crate::solve::outcome::{Invalid, Outcome, Quantity, Stats};
use crate::solve::problem::Real;
use crate::solve::solve::Stepping;
use crate::solve::stepper::{Flow, Leg, Stepper, all_finite, non_finite};

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
    work: Work,
}

/// What a step is computed in.
struct Work {
    /// The prediction, `[dim]`.
    predicted: Vec<f64>,
    /// `y_new - y_predicted`, `[dim]`.
    d: Vec<f64>,
    /// What the differences add to the formula, `[dim]`.
    psi: Vec<f64>,
    /// `[dim]`
    f: Vec<f64>,
    /// A correction of the states, in units of the tolerances after it has been applied.
    delta: Vec<f64>,
    moved: Vec<f64>,
    weighed: Vec<f64>,
    /// One over the tolerances of the states.
    weights: Vec<f64>,
    /// `[6, dim]`
    rows: Vec<f64>,
}

impl Work {
    fn new(dim: usize, n: usize) -> Work {
        let [predicted, d, psi, f] = std::array::from_fn(|_| vec![0.0; dim]);
        let [delta, moved, weighed, weights] = std::array::from_fn(|_| vec![0.0; n]);
        Work { predicted, d, psi, f, delta, moved, weighed, weights, rows: vec![0.0; (MAX_ORDER + 1) * dim] }
    }
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
        let (lu, work) = (field.factors(), Work::new(dim, field.n));
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
            work,
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
        let r = interpolation(k, factor);
        let old = &self.differences[dim..(k + 1) * dim];
        // Row and column 0 of the product are those of the identity, and `u` has nothing below its
        // diagonal.
        for i in 1..=k {
            let weights: [f64; MAX_ORDER] = std::array::from_fn(|j| match j < k {
                true => (1..=i).map(|m| r[j + 1][m] * UNIT[m][i]).sum(),
                false => 0.0,
            });
            combine(&weights[..k], old, dim, &mut self.work.rows[i * dim..][..dim]);
        }
        self.differences[dim..(k + 1) * dim].copy_from_slice(&self.work.rows[dim..(k + 1) * dim]);
        self.size *= factor;
        self.n_equal = 0;
    }

    /// Where the differences lead.
    fn predict(&mut self) {
        let (k, dim) = (self.order, self.field.dim);
        combine(&[1.0; MAX_ORDER + 1][..=k], &self.differences, dim, &mut self.work.predicted);
    }

    /// Solves the formula for the state at `t`, a step `h` on, from the prediction. Leaves `y_new` and its
    /// distance from the prediction; gives the number of iterations.
    fn correct(&mut self, t: f64, h: f64, stats: &mut Stats) -> Result<u32, Failed> {
        let Field { dim, n, .. } = self.field;
        let c = h / alpha(self.order);
        if self.factored != c {
            self.factored = f64::NAN;
            if !self.field.factor(&mut self.lu, |m, j| m - c * j, stats) {
                return Err(Failed::Singular);
            }
            self.factored = c;
        }
        let Work { predicted, d, psi, f, delta, moved, weighed, weights, .. } = &mut self.work;
        let (f, d, moved) = (&mut f[..dim], &mut d[..dim], &mut moved[..n]);
        let (delta, weights) = (&mut delta[..n], &mut weights[..n]);
        combine(&GAMMA[1..=self.order], &self.differences[dim..], dim, psi);
        psi.iter_mut().for_each(|psi| *psi /= alpha(self.order));
        for (at, weight) in weights.iter_mut().enumerate() {
            let tolerance = self.control.atol.at(at) + self.control.rtol * predicted[at].abs();
            *weight = 1.0 / tolerance.max(f64::MIN_POSITIVE);
        }
        let tolerance = newton_tolerance(self.control.rtol);
        d.fill(0.0);
        self.y_new.copy_from_slice(predicted);
        let mut size_before: Option<f64> = None;
        for iteration in 1..=MAX_ITERATIONS {
            self.field.rate(t, &self.y_new, f, stats);
            stats.newton_iterations += 1;
            if !all_finite(f) {
                return Err(Failed::NotFinite { component: non_finite(f).unwrap_or(0) });
            }
            for at in 0..n {
                moved[at] = psi[at] + d[at];
            }
            let weighed = self.field.mass.weighed(moved, weighed);
            for at in 0..n {
                delta[at] = c * f[at] - weighed[at];
            }
            self.lu.solve(delta);
            for at in 0..n {
                self.y_new[at] += delta[at];
                d[at] += delta[at];
                delta[at] *= weights[at];
            }
            let size = (sum_of_squares(delta) / n.max(1) as f64).sqrt();
            let rate = size_before.map(|before| size / before);
            if size == 0.0 || rate.is_some_and(|rate| rate < 1.0 && rate / (1.0 - rate) * size < tolerance) {
                self.quadrature(t, c, stats);
                return Ok(iteration);
            }
            let left = MAX_ITERATIONS - iteration;
            let hopeless = |rate: f64| {
                let last = (0..left).fold(size, |size, _| rate * size);
                rate >= 1.0 || last / (1.0 - rate) > tolerance
            };
            if !size.is_finite() || rate.is_some_and(hopeless) {
                break;
            }
            size_before = Some(size);
        }
        let delta = &self.work.delta;
        let larger = |best: usize, at: usize| if delta[at].abs() > delta[best].abs() { at } else { best };
        Err(Failed::NoConvergence { component: (0..n).fold(0, larger) })
    }

    /// The same formula for the channels, whose rates are known once the states are.
    fn quadrature(&mut self, t: f64, c: f64, stats: &mut Stats) {
        let Field { dim, n, .. } = self.field;
        if dim == n {
            return;
        }
        let Work { predicted, d, psi, f, .. } = &mut self.work;
        self.field.rate(t, &self.y_new, f, stats);
        for at in n..dim {
            d[at] = c * f[at] - psi[at];
            self.y_new[at] = predicted[at] + d[at];
        }
    }

    /// Takes the differences of the accepted step in, and shows its polynomial.
    fn shift(&mut self) {
        let (k, dim) = (self.order, self.field.dim);
        let (lower, upper) = self.differences.split_at_mut((k + 2) * dim);
        let before = &mut lower[(k + 1) * dim..];
        for at in 0..dim {
            let d = self.work.d[at];
            (upper[at], before[at]) = (d - before[at], d);
        }
        for j in (0..=k).rev() {
            let (row, next) = self.differences[j * dim..].split_at_mut(dim);
            row.iter_mut().zip(next).for_each(|(to, difference)| *to += *difference);
        }
        narrow(&self.y_new, &mut self.shown_y);
        self.shown_powers.resize(k * dim, T::default());
        for (p, shown) in (1..=k).zip(self.shown_powers.chunks_mut(dim.max(1))) {
            let weights: [f64; MAX_ORDER] = std::array::from_fn(|j| NEWTON_POWERS[j + 1][p]);
            let row = &mut self.work.rows[..dim];
            combine(&weights[p - 1..k], &self.differences[p * dim..], dim, row);
            narrow(row, shown);
        }
    }

    /// The order and step size that promise most, after enough equal steps.
    fn choose(&mut self, error: f64, safety: f64, leg: &Leg) {
        let (k, dim) = (self.order, self.field.dim);
        if self.n_equal < k + 1 {
            return;
        }
        let mut norm_of = |order: usize, j: usize| {
            let err = &mut self.work.rows[..dim];
            combine(&[error_constant(order)], &self.differences[j * dim..], dim, err);
            self.control.norm(err, &self.y_new, &self.y_new)
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

/// In four sums side by side.
fn sum_of_squares(v: &[f64]) -> f64 {
    let fours = v.chunks_exact(4);
    let rest: f64 = fours.remainder().iter().map(|x| x * x).sum();
    let [a, b, c, d] = fours.fold([0.0; 4], |sums, x| {
        [sums[0] + x[0] * x[0], sums[1] + x[1] * x[1], sums[2] + x[2] * x[2], sums[3] + x[3] * x[3]]
    });
    ((a + b) + (c + d)) + rest
}

/// `r[j][m] = Π_{i ≤ j} (i - 1 - factor m)/i`: the differences' interpolating polynomial at steps
/// `factor` times as long.
const fn interpolation(order: usize, factor: f64) -> [[f64; MAX_ORDER + 1]; MAX_ORDER + 1] {
    let mut r = [[0.0; MAX_ORDER + 1]; MAX_ORDER + 1];
    r[0] = [1.0; MAX_ORDER + 1];
    let mut j = 1;
    while j <= order {
        let mut m = 1;
        while m <= order {
            r[j][m] = r[j - 1][m] * (j as f64 - 1.0 - factor * m as f64) / j as f64;
            m += 1;
        }
        j += 1;
    }
    r
}

/// The same for steps of the same length.
const UNIT: [[f64; MAX_ORDER + 1]; MAX_ORDER + 1] = interpolation(MAX_ORDER, 1.0);

/// Row `j` holds the coefficients of `θ^p` in `Π_{i<j} (s + i)/(i + 1)`, `s = θ - 1`, which stands
/// before `∇^j y`.
const NEWTON_POWERS: [[f64; MAX_ORDER + 1]; MAX_ORDER + 1] = {
    let mut basis = [[0.0; MAX_ORDER + 1]; MAX_ORDER + 1];
    basis[0][0] = 1.0;
    let mut j = 1;
    while j <= MAX_ORDER {
        let i = j as f64 - 1.0;
        let mut p = 0;
        while p <= j {
            let raised = if p > 0 { basis[j - 1][p - 1] } else { 0.0 };
            basis[j][p] = (raised + (i - 1.0) * basis[j - 1][p]) / (i + 1.0);
            p += 1;
        }
        j += 1;
    }
    basis
};

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
            self.predict();
            let mut found = self.correct(t_new, h, stats);
            if found.is_err() && !fresh && all_finite(&self.work.predicted) {
                self.field.linearise(t_new, &self.work.predicted, stats)?;
                (fresh, self.factored) = (true, f64::NAN);
                found = self.correct(t_new, h, stats);
            }
            let n_iterations = match found {
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
            combine(&[error_constant(self.order)], &self.work.d, self.field.dim, &mut self.err);
            let norm = self.control.norm(&self.err, &self.y_new, &self.y_new);
            if norm <= 1.0 {
                stats.accepted += 1;
                self.taken = (t, h, t_new);
                self.n_equal += 1;
                self.shift();
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
                        let (component, ratio) = self.control.largest(&self.err, &self.y_new, &self.y_new);
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
