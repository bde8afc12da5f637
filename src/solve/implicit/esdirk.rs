//! Diagonally implicit Runge–Kutta methods at work; the tables are in [`dirk`](super::dirk).
//!
//! Stage `i` is found as its distance `z_i` from the start of the step, `M z_i = h Σ_{j≤i} a_ij f_j`,
//! by simplified Newton iterations that all share the matrix `M - hγJ`. The stage rate is then
//! `f_i = (M z_i - h Σ_{j<i} a_ij f_j)/(hγ)`, which does not multiply what the iteration left by the
//! stiffness. Source: E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, IV.8; of the
//! filtered error estimate `(M - hγJ)⁻¹ h Σ (b_i - b̂_i) f_i`: eq. (8.19) there.

use super::Implicit;
use super::dirk::Dirk;
use super::field::{Field, narrow, widen};
use super::initial::Echelon;
use super::linear::Factors;
use super::mass::Mass;
use super::pace::{Failed, Pace, newton_tolerance, scale, size_in};
use crate::solve::dense::{Accepted, Interior, cubic};
use crate::solve::outcome::{Invalid, Stats};
use crate::solve::problem::Real;
use crate::solve::solve::Stepping;
use crate::solve::stepper::{Carried, Flow, Leg, Stepper, non_finite};

/// The iteration for a stage is given up after so many.
const MAX_ITERATIONS: u32 = 7;

/// A diagonally implicit method at work on one system.
pub struct Esdirk<'a, T, S: ?Sized> {
    field: Field<'a, T, S>,
    dirk: &'static Dirk,
    pace: Pace,
    adaptive: bool,
    /// State and right-hand side at the start of the step; `f` is empty if it is not known.
    y: Vec<f64>,
    f: Vec<f64>,
    /// Of the step last taken.
    f_start: Vec<f64>,
    y_new: Vec<f64>,
    taken: (f64, f64, f64),
    /// The Jacobian belongs to the start of the step.
    fresh: bool,
    /// The Jacobian is good for the next step.
    keep: bool,
    /// `hγ` of the matrix in `lu`; not a number if there is none.
    factored: f64,
    lu: Factors<f64>,
    shown_y: Vec<T>,
    /// The cubic of the step last taken, `[3, dim]`, if somebody is to look inside.
    shown_powers: Vec<T>,
}

/// Stages that were found.
struct Stages {
    /// `z_i` and `f_i`, `[s, dim]`.
    z: Vec<f64>,
    f: Vec<f64>,
    /// The most iterations that one of them took, and the slowest convergence.
    n_iterations: u32,
    rate: f64,
}

impl<'a, T: Real, S: Implicit<T> + ?Sized> Esdirk<'a, T, S> {
    /// The method `dirk` for `system`.
    pub fn new(system: &'a mut S, dirk: &'static Dirk, stepping: &Stepping) -> Self {
        let field = Field::new(system);
        let dim = field.dim;
        let lu = field.factors();
        Esdirk {
            field,
            dirk,
            pace: Pace::new(stepping, dirk.error_exponent()),
            adaptive: matches!(stepping, Stepping::Adaptive(_)),
            y: vec![0.0; dim],
            f: Vec::new(),
            f_start: Vec::new(),
            y_new: vec![0.0; dim],
            taken: (0.0, 0.0, 0.0),
            fresh: false,
            keep: false,
            factored: f64::NAN,
            lu,
            shown_y: vec![T::default(); dim],
            shown_powers: Vec::new(),
        }
    }

    fn factor(&mut self, h: f64, stats: &mut Stats) -> bool {
        let c = h * self.dirk.gamma;
        if self.factored == c {
            return true;
        }
        let regular = self.field.factor(&mut self.lu, |m, j| m - c * j, stats);
        self.factored = if regular { c } else { f64::NAN };
        regular
    }

    /// The stages of a step of size `h`, or why they were not found.
    fn stages(&mut self, t: f64, h: f64, stats: &mut Stats) -> Result<Stages, Failed> {
        if !self.factor(h, stats) {
            return Err(Failed::Singular);
        }
        let (s, dim, n) = (self.dirk.n_stages(), self.field.dim, self.field.n);
        let mut found = Stages { z: vec![0.0; s * dim], f: vec![0.0; s * dim], n_iterations: 0, rate: 0.0 };
        found.f[..dim].copy_from_slice(&self.f);
        let mut known = vec![0.0; dim];
        for i in 1..s {
            for (at, known) in known.iter_mut().enumerate() {
                let row = self.dirk.a[i].iter().enumerate();
                *known = h * row.map(|(j, a)| a * found.f[j * dim + at]).sum::<f64>();
            }
            let mut z = self.guess(i, h, &found);
            let (n_iterations, rate) = self.stage(t + self.dirk.c(i) * h, h, &known, &mut z, stats)?;
            found.n_iterations = found.n_iterations.max(n_iterations);
            found.rate = found.rate.max(rate);
            let c = h * self.dirk.gamma;
            let f = &mut found.f[i * dim..][..dim];
            self.field.mass.times(&z[..n], &mut f[..n]);
            for at in 0..n {
                f[at] = (f[at] - known[at]) / c;
            }
            if dim > n {
                let y: Vec<f64> = z.iter().zip(&self.y).map(|(z, y)| y + z).collect();
                let mut rates = vec![0.0; dim];
                self.field.rate(t + self.dirk.c(i) * h, &y, &mut rates, stats);
                for at in n..dim {
                    f[at] = rates[at];
                    z[at] = known[at] + c * rates[at];
                }
            }
            found.z[i * dim..][..dim].copy_from_slice(&z);
        }
        Ok(found)
    }

    /// Where the iteration for stage `i` begins: where the earlier stages lead, by the parabola
    /// through the last three of them that differ.
    fn guess(&self, i: usize, h: f64, found: &Stages) -> Vec<f64> {
        let (dim, n, c) = (self.field.dim, self.field.n, self.dirk.c(i));
        let mut z = vec![0.0; dim];
        if i == 1 {
            if self.field.mass == Mass::Identity {
                z.iter_mut().zip(&self.f).take(n).for_each(|(z, f)| *z = c * h * f);
            }
            return z;
        }
        let mut nodes: Vec<usize> = Vec::new();
        for j in (0..i).rev() {
            let c_j = self.dirk.c(j);
            if nodes.len() < 3 && nodes.iter().all(|k| (self.dirk.c(*k) - c_j).abs() > 0.05) {
                nodes.push(j);
            }
        }
        for j in &nodes {
            let others = nodes.iter().filter(|k| *k != j);
            let weight: f64 =
                others.map(|k| (c - self.dirk.c(*k)) / (self.dirk.c(*j) - self.dirk.c(*k))).product();
            for at in 0..n {
                z[at] += weight * found.z[j * dim + at];
            }
        }
        z
    }

    /// Solves `M z = known + hγ f(t, y + z)` for the states. Gives the number of iterations and how
    /// much smaller each correction was than the one before.
    fn stage(
        &mut self,
        t: f64,
        h: f64,
        known: &[f64],
        z: &mut [f64],
        stats: &mut Stats,
    ) -> Result<(u32, f64), Failed> {
        let (dim, n, c) = (self.field.dim, self.field.n, h * self.dirk.gamma);
        let control = self.pace.control();
        let scale = scale(control, &self.y[..n], &self.y[..n]);
        let tolerance = newton_tolerance(control.rtol);
        let max_iterations = self.pace.max_iterations(MAX_ITERATIONS);
        let (mut f, mut weighed, mut size_before, mut worst) = (vec![0.0; dim], vec![0.0; n], None, 0);
        for iteration in 1..=max_iterations {
            let y: Vec<f64> = z.iter().zip(&self.y).map(|(z, y)| y + z).collect();
            self.field.rate(t, &y, &mut f, stats);
            stats.newton_iterations += 1;
            if let Some(component) = non_finite(&f) {
                return Err(Failed::NotFinite { component });
            }
            self.field.mass.times(&z[..n], &mut weighed);
            let mut delta: Vec<f64> = (0..n).map(|at| known[at] + c * f[at] - weighed[at]).collect();
            self.lu.solve(&mut delta);
            for at in 0..n {
                z[at] += delta[at];
                if (delta[at] / scale[at]).abs() > (delta[worst] / scale[worst]).abs() {
                    worst = at;
                }
            }
            let size = size_in(&delta, &scale);
            let rate: Option<f64> = size_before.map(|before: f64| size / before);
            if size == 0.0 || rate.is_some_and(|rate| rate < 1.0 && rate / (1.0 - rate) * size < tolerance) {
                return Ok((iteration, rate.unwrap_or(0.0)));
            }
            let left = f64::from(max_iterations - iteration);
            if !size.is_finite()
                || rate.is_some_and(|r| r >= 1.0 || libm::pow(r, left) / (1.0 - r) * size > tolerance)
            {
                break;
            }
            size_before = Some(size);
        }
        Err(Failed::NoConvergence { component: worst })
    }

    /// `(M - hγJ)⁻¹ h Σ (b_i - b̂_i) f_i`; of channels, which nothing reads, `h Σ (b_i - b̂_i) f_i`.
    fn estimate(&self, h: f64, f: &[f64]) -> Vec<f64> {
        let (dim, n) = (self.field.dim, self.field.n);
        let Some((_, b_err)) = self.dirk.embedded else { return vec![0.0; dim] };
        let sum = |at: usize| b_err.iter().enumerate().map(|(i, e)| e * f[i * dim + at]).sum::<f64>();
        let mut err: Vec<f64> = (0..dim).map(|at| h * sum(at)).collect();
        self.lu.solve(&mut err[..n]);
        err
    }

    fn linearise(&mut self, t: f64, stats: &mut Stats) -> Flow {
        self.field.linearise(t, &self.y, stats)?;
        (self.fresh, self.factored) = (true, f64::NAN);
        Flow::Continue(())
    }

    /// The rates `y'` at `(t, y)`, where the right-hand side is `f`; `None` if they are not
    /// determined there.
    fn slopes(&mut self, t: f64, y: &[f64], f: &[f64], stats: &mut Stats) -> Option<Vec<f64>> {
        if self.field.mass == Mass::Identity {
            return Some(f.to_vec());
        }
        self.field.linearise(t, y, stats).is_continue().then_some(())?;
        Echelon::of(&self.field).slopes(&mut self.field, t, y, f, stats)
    }
}

impl<T: Real, S: Implicit<T> + ?Sized> Esdirk<'_, T, S> {
    /// The cubic with the states and rates at both ends; a straight line where the rates are not
    /// determined.
    fn cubic(&mut self, stats: &mut Stats) -> Vec<f64> {
        let (t, h, _) = self.taken;
        let (y, y_new) = (self.y.clone(), self.y_new.clone());
        let (f, f_new) = (self.f_start.clone(), self.f.clone());
        let ends = self.slopes(t, &y, &f, stats).zip(self.slopes(t + h, &y_new, &f_new, stats));
        let mut powers = vec![0.0; 3 * y.len()];
        for at in 0..y.len() {
            let whole = y_new[at] - y[at];
            let (from, to) = ends.as_ref().map_or((whole, whole), |(a, b)| (h * a[at], h * b[at]));
            let powers_at = cubic(whole, from, to);
            powers_at.into_iter().enumerate().for_each(|(p, c)| powers[p * y.len() + at] = c);
        }
        powers
    }
}

impl<T: Real, S: Implicit<T> + ?Sized> Stepper<T> for Esdirk<'_, T, S> {
    fn dim(&self) -> usize {
        self.field.dim
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.adaptive && self.dirk.embedded.is_none() {
            return Err(Invalid::NoErrorEstimate { method: self.dirk.name });
        }
        self.pace.check(self.field.dim)
    }

    fn start(&mut self, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.field.inside = leg.inside(t);
        widen(y, &mut self.y);
        self.f.clear();
        let started = self.pace.start(&mut self.field, t, &mut self.y, leg, stats);
        // A start that is given up is told by the last state that was tried.
        narrow(&self.y, y);
        started?;
        (self.fresh, self.keep, self.factored) = (true, true, f64::NAN);
        Flow::Continue(())
    }

    fn carried(&self) -> Option<Carried> {
        self.pace.carried()
    }

    fn resume(&mut self, carried: &Carried, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        if !self.pace.resume(carried, &mut self.field) {
            return self.start(t, y, leg, stats);
        }
        self.pass_stop();
        Flow::Continue(())
    }

    fn pass_stop(&mut self) {
        self.f.clear();
        self.keep = false;
    }

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.field.inside = leg.inside(t);
        widen(y, &mut self.y);
        let dim = y.len();
        if self.f.is_empty() {
            let mut f = vec![0.0; dim];
            self.field.rate(t, &self.y, &mut f, stats);
            self.field.check_rate(t, &f)?;
            self.f = f;
        }
        if !self.keep {
            self.linearise(t, stats)?;
        }
        self.pace.begin(t);
        loop {
            let (h, t_new) = self.pace.propose(t, leg);
            leg.spend(t, h, stats)?;
            if stats.attempts() == 0 {
                stats.first_step = h;
            }
            let mut found = self.stages(t, h, stats);
            if found.is_err() && !self.fresh {
                self.linearise(t, stats)?;
                found = self.stages(t, h, stats);
            }
            let Stages { z, f, n_iterations, rate } = match found {
                Ok(stages) => stages,
                Err(failed) => {
                    self.pace.failed(failed, t, h, stats)?;
                    continue;
                }
            };
            let last = (self.dirk.n_stages() - 1) * dim;
            for at in 0..dim {
                self.y_new[at] = self.y[at] + z[last + at];
            }
            let err = self.estimate(h, &f);
            // Fewer iterations speak for a larger step.
            let (max, used) =
                (f64::from(2 * MAX_ITERATIONS + 1), f64::from(2 * MAX_ITERATIONS + n_iterations));
            let ease = max / used;
            if !self.pace.passes(ease, &err, (&self.y, &self.y_new), (t, h), leg, stats)? {
                continue;
            }
            self.taken = (t, h, t_new);
            self.f_start = std::mem::replace(&mut self.f, f[last..].to_vec());
            narrow(&self.y_new, &mut self.shown_y);
            self.shown_powers.clear();
            self.keep = n_iterations <= 2 || rate <= 1e-2;
            self.fresh = false;
            if self.keep {
                self.pace.hold(h);
            }
            return Flow::Continue(());
        }
    }

    /// The cubic. Where there are constraints, the rates cost a Jacobian at either end.
    fn look_inside(&mut self, _: &[T], stats: &mut Stats) {
        if !self.shown_powers.is_empty() || self.y.is_empty() {
            return;
        }
        let powers = self.cubic(stats);
        self.shown_powers.resize(powers.len(), T::default());
        narrow(&powers, &mut self.shown_powers);
    }

    fn error(&self, component: usize) -> Option<f64> {
        self.pace.error(component)
    }

    fn accepted<'b>(&'b self, y: &'b [T]) -> Accepted<'b, T> {
        let (t, h, t_new) = self.taken;
        let interior = Interior::Powers { coefficients: &self.shown_powers };
        Accepted { t, h, t_new, y, y_new: &self.shown_y, interior }
    }
}
