//! Radau IIA of order 5: implicit, L-stable, stiffly accurate, for stiff systems and constraints of
//! index 1.
//!
//! The stages `y + z_i`, `z = h (A ⊗ I) f(y + z)`, at `c = (4 - √6)/10, (4 + √6)/10, 1`, are found
//! by simplified Newton iterations. In the basis `w = T⁻¹ z` that brings `A⁻¹` to block form the
//! linear equations fall into a real and a complex one of the size of the system. Source: E. Hairer,
//! G. Wanner, Solving Ordinary Differential Equations II, IV.8, and its code RADAU5; decisions as in
//! SciPy's `Radau`.

use super::Implicit;
use super::field::{Field, narrow, widen};
use super::linear::{Complex, Factors};
use super::pace::{Failed, Pace, newton_tolerance, scale};
use crate::solve::dense::{Accepted, Interior};
use crate::solve::outcome::{Invalid, Stats};
use crate::solve::problem::Real;
use crate::solve::solve::Stepping;
use crate::solve::stepper::{Carried, Flow, Leg, Stepper, non_finite};

const S6: f64 = 2.449_489_742_783_178;
/// Positions of the stages.
pub(super) const C: [f64; 3] = [(4.0 - S6) / 10.0, (4.0 + S6) / 10.0, 1.0];
/// The method's matrix, for the channels.
pub(super) const A: [[f64; 3]; 3] = [
    [(88.0 - 7.0 * S6) / 360.0, (296.0 - 169.0 * S6) / 1800.0, (-2.0 + 3.0 * S6) / 225.0],
    [(296.0 + 169.0 * S6) / 1800.0, (88.0 + 7.0 * S6) / 360.0, (-2.0 - 3.0 * S6) / 225.0],
    [(16.0 - S6) / 36.0, (16.0 + S6) / 36.0, 1.0 / 9.0],
];
/// Weights of the error estimate, times `γ₀⁻¹`: IV (8.19).
const E: [f64; 3] = [(-13.0 - 7.0 * S6) / 3.0, (-13.0 + 7.0 * S6) / 3.0, -1.0 / 3.0];
/// The real eigenvalue of `A⁻¹`: `3 + 3^(2/3) - 3^(1/3)`.
const MU_REAL: f64 = 3.637_834_252_744_496;
/// One of the complex ones: `3 + (3^(1/3) - 3^(2/3))/2 - i (3^(5/6) + 3^(7/6))/2`.
const MU_COMPLEX: Complex = Complex { re: 2.681_082_873_627_752, im: -3.050_430_199_247_411 };
/// Columns: the eigenvector of `MU_REAL`, real and imaginary part of that of `MU_COMPLEX`.
const T: [[f64; 3]; 3] = [
    [0.094_438_762_488_975_24, -0.141_255_295_020_954_21, 0.030_029_194_105_147_42],
    [0.250_213_122_965_333_32, 0.204_129_352_293_799_94, -0.382_942_112_757_261_92],
    [1.0, 1.0, 0.0],
];
/// `T⁻¹`.
const T_INVERSE: [[f64; 3]; 3] = [
    [4.178_718_591_551_904_28, 0.327_682_820_761_062_37, 0.523_376_445_499_449_51],
    [-4.178_718_591_551_904_28, -0.327_682_820_761_062_37, 0.476_623_554_500_550_44],
    [0.502_872_634_945_786_82, -2.571_926_949_855_605_22, 0.596_039_204_828_224_92],
];
/// The polynomial through 0 and the three `z_i`: row `i` holds the share of `z_i` in the
/// coefficients of `θ, θ², θ³`.
pub(super) const P: [[f64; 3]; 3] = [
    [(13.0 + 7.0 * S6) / 3.0, (-23.0 - 22.0 * S6) / 3.0, (10.0 + 15.0 * S6) / 3.0],
    [(13.0 - 7.0 * S6) / 3.0, (-23.0 + 22.0 * S6) / 3.0, (10.0 - 15.0 * S6) / 3.0],
    [1.0 / 3.0, -8.0 / 3.0, 10.0 / 3.0],
];
/// The iteration is given up after so many.
const MAX_ITERATIONS: u32 = 6;
/// The error estimate is `O(h^4)`.
const Q: u32 = 4;

/// Radau IIA at work on one system.
pub struct Radau<'a, T, S: ?Sized> {
    field: Field<'a, T, S>,
    pace: Pace,
    start: Start,
    /// The Jacobian belongs to the start of the step.
    fresh: bool,
    /// The Jacobian is good for the next step.
    keep: bool,
    /// The step size of the factorisations; not a number if there are none.
    factored: f64,
    real: Factors<f64>,
    complex: Factors<Complex>,
    /// The step last taken: its start, its size, its end.
    taken: (f64, f64, f64),
    /// Of the interior of the step last taken, `[3, dim]`; empty if there is none to go by.
    powers: Vec<f64>,
    y_new: Vec<f64>,
    /// The same for whoever looks.
    shown_y: Vec<T>,
    shown_powers: Vec<T>,
}

/// The start of a step.
struct Start {
    y: Vec<f64>,
    /// The right-hand side there; empty if it has not been computed yet.
    f: Vec<f64>,
}

/// Stages that were found.
struct Stages {
    /// `z_1, z_2, z_3`: `[3, dim]`.
    z: Vec<f64>,
    n_iterations: u32,
    /// How much smaller each correction is than the one before; 0 after one iteration.
    rate: f64,
}

impl<'a, T: Real, S: Implicit<T> + ?Sized> Radau<'a, T, S> {
    /// The method for `system`.
    pub fn new(system: &'a mut S, stepping: &Stepping) -> Self {
        let field = Field::new(system);
        let dim = field.dim;
        let (real, complex) = (field.factors(), field.factors());
        Radau {
            field,
            pace: Pace::new(stepping, Q),
            start: Start { y: vec![0.0; dim], f: Vec::new() },
            fresh: false,
            keep: false,
            factored: f64::NAN,
            real,
            complex,
            taken: (0.0, 0.0, 0.0),
            powers: Vec::new(),
            y_new: vec![0.0; dim],
            shown_y: vec![T::default(); dim],
            shown_powers: vec![T::default(); 3 * dim],
        }
    }

    /// The stages of a step of size `h`, or why they were not found.
    fn stages(&mut self, t: f64, h: f64, stats: &mut Stats) -> Result<Stages, Failed> {
        let (dim, n) = (self.field.dim, self.field.n);
        let mut z = self.guess(h);
        let mut w = transformed(&T_INVERSE, &z, dim);
        let (mut f, mut mass_w) = (vec![0.0; 3 * dim], vec![0.0; 3 * n]);
        let control = self.pace.control();
        let scale = scale(control, &self.start.y[..n], &self.start.y[..n]);
        let tolerance = newton_tolerance(control.rtol);
        let mut size_before: Option<f64> = None;
        let mut worst = 0;
        let max_iterations = self.pace.max_iterations(MAX_ITERATIONS);
        for iteration in 1..=max_iterations {
            for stage in 0..3 {
                let at = &mut z[stage * dim..][..dim];
                let y: Vec<f64> = at.iter().zip(&self.start.y).map(|(z, y)| y + z).collect();
                self.field.rate(t + C[stage] * h, &y, &mut f[stage * dim..][..dim], stats);
            }
            stats.newton_iterations += 1;
            if let Some(at) = non_finite(&f) {
                return Err(Failed::NotFinite { component: at % dim });
            }
            for stage in 0..3 {
                self.field.mass.times(&w[stage * dim..][..n], &mut mass_w[stage * n..][..n]);
            }
            let mu_h = Complex { re: MU_COMPLEX.re / h, im: MU_COMPLEX.im / h };
            let mut real = vec![0.0; n];
            let mut complex = vec![Complex::default(); n];
            for at in 0..n {
                let projected =
                    |row: usize| -> f64 { (0..3).map(|i| T_INVERSE[row][i] * f[i * dim + at]).sum() };
                real[at] = projected(0) - MU_REAL / h * mass_w[at];
                let w = Complex { re: mass_w[n + at], im: mass_w[2 * n + at] };
                complex[at] = Complex { re: projected(1), im: projected(2) } - mu_h * w;
            }
            self.real.solve(&mut real);
            self.complex.solve(&mut complex);
            let (mut sum, mut largest) = (0.0, 0.0);
            for at in 0..n {
                let [a, b, c] = [real[at], complex[at].re, complex[at].im];
                let square = (a * a + b * b + c * c) / (scale[at] * scale[at]);
                sum += square;
                if square > largest {
                    (largest, worst) = (square, at);
                }
                w[at] += a;
                w[dim + at] += b;
                w[2 * dim + at] += c;
            }
            let size = (sum / (3 * n).max(1) as f64).sqrt();
            z = transformed(&T, &w, dim);
            let rate = size_before.map(|before| size / before);
            if size == 0.0 || rate.is_some_and(|rate| rate < 1.0 && rate / (1.0 - rate) * size < tolerance) {
                self.quadrature(t, h, &mut z, &mut f, stats);
                return Ok(Stages { z, n_iterations: iteration, rate: rate.unwrap_or(0.0) });
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

    /// Where the iteration begins: the last step's polynomial, continued.
    fn guess(&self, h: f64) -> Vec<f64> {
        let dim = self.field.dim;
        let mut z = vec![0.0; 3 * dim];
        if self.powers.is_empty() {
            return z;
        }
        let at_one: Vec<f64> = (0..dim).map(|at| (0..3).map(|p| self.powers[p * dim + at]).sum()).collect();
        for stage in 0..3 {
            let theta = 1.0 + C[stage] * h / self.taken.1;
            for at in 0..self.field.n {
                let powers = (0..3).rev().fold(0.0, |sum, p| (sum + self.powers[p * dim + at]) * theta);
                z[stage * dim + at] = powers - at_one[at];
            }
        }
        z
    }

    /// The stages of the channels: `z = h A q` with their rates `q` at the stages of the states.
    fn quadrature(&mut self, t: f64, h: f64, z: &mut [f64], f: &mut [f64], stats: &mut Stats) {
        let (dim, n) = (self.field.dim, self.field.n);
        if dim == n {
            return;
        }
        for stage in 0..3 {
            let at = &z[stage * dim..][..dim];
            let y: Vec<f64> = at.iter().zip(&self.start.y).map(|(z, y)| y + z).collect();
            self.field.rate(t + C[stage] * h, &y, &mut f[stage * dim..][..dim], stats);
        }
        for stage in 0..3 {
            for at in n..dim {
                z[stage * dim + at] = h * (0..3).map(|i| A[stage][i] * f[i * dim + at]).sum::<f64>();
            }
        }
    }

    /// The error estimate `(γ₀⁻¹ M/h - J)⁻¹ (f + M (e₁ z₁ + e₂ z₂ + e₃ z₃)/h)`.
    fn estimate(&self, f: &[f64], z: &[f64], h: f64) -> Vec<f64> {
        let (dim, n) = (self.field.dim, self.field.n);
        let combined: Vec<f64> =
            (0..dim).map(|at| (0..3).map(|i| E[i] * z[i * dim + at]).sum::<f64>() / h).collect();
        let mut err = vec![0.0; dim];
        self.field.mass.times(&combined[..n], &mut err[..n]);
        for at in 0..n {
            err[at] += f[at];
        }
        self.real.solve(&mut err[..n]);
        for at in n..dim {
            err[at] = h / MU_REAL * (f[at] + combined[at]);
        }
        err
    }

    fn factor(&mut self, h: f64, stats: &mut Stats) -> bool {
        if self.factored == h {
            return true;
        }
        let real = self.field.factor(&mut self.real, |m, j| MU_REAL / h * m - j, stats);
        let complex = |m: f64, j: f64| {
            let m = m / h;
            Complex { re: MU_COMPLEX.re * m - j, im: MU_COMPLEX.im * m }
        };
        let complex = self.field.factor(&mut self.complex, complex, stats);
        self.factored = if real && complex { h } else { f64::NAN };
        real && complex
    }

    fn linearise(&mut self, t: f64, stats: &mut Stats) -> Flow {
        self.field.linearise(t, &self.start.y, stats)?;
        (self.fresh, self.factored) = (true, f64::NAN);
        Flow::Continue(())
    }
}

/// `matrix · v` over three rows of `dim`.
fn transformed(matrix: &[[f64; 3]; 3], v: &[f64], dim: usize) -> Vec<f64> {
    let entry = |at: usize| (0..3).map(|i| matrix[at / dim][i] * v[i * dim + at % dim]).sum();
    (0..3 * dim).map(entry).collect()
}

impl<T: Real, S: Implicit<T> + ?Sized> Stepper<T> for Radau<'_, T, S> {
    fn dim(&self) -> usize {
        self.field.dim
    }

    fn check(&self) -> Result<(), Invalid> {
        self.pace.check(self.field.dim)
    }

    fn start(&mut self, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.field.inside = leg.inside(t);
        self.start.y.resize(y.len(), 0.0);
        widen(y, &mut self.start.y);
        self.start.f.clear();
        self.powers.clear();
        let started = self.pace.start(&mut self.field, t, &mut self.start.y, leg, stats);
        // A start that is given up is told by the last state that was tried.
        narrow(&self.start.y, y);
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
        self.start.f.clear();
        self.powers.clear();
        self.keep = false;
    }

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.field.inside = leg.inside(t);
        widen(y, &mut self.start.y);
        if self.start.f.is_empty() {
            let mut f = vec![0.0; y.len()];
            self.field.rate(t, &self.start.y, &mut f, stats);
            self.field.check_rate(t, &f)?;
            self.start.f = f;
        }
        if !self.keep {
            self.linearise(t, stats)?;
        }
        let mut after_rejection = false;
        self.pace.begin(t);
        loop {
            let (h, t_new) = self.pace.propose(t, leg);
            leg.spend(t, h, stats)?;
            if stats.attempts() == 0 {
                stats.first_step = h;
            }
            let mut found = match self.factor(h, stats) {
                true => self.stages(t, h, stats),
                false => Err(Failed::Singular),
            };
            if found.is_err() && !self.fresh {
                self.linearise(t, stats)?;
                found = match self.factor(h, stats) {
                    true => self.stages(t, h, stats),
                    false => Err(Failed::Singular),
                };
            }
            let Stages { z, n_iterations, rate } = match found {
                Ok(stages) => stages,
                Err(failed) => {
                    self.pace.failed(failed, t, h, stats)?;
                    after_rejection = true;
                    continue;
                }
            };
            let dim = y.len();
            for at in 0..dim {
                self.y_new[at] = self.start.y[at] + z[2 * dim + at];
            }
            let mut err = self.estimate(&self.start.f, &z, h);
            if after_rejection && self.pace.control().norm(&err, &self.start.y, &self.y_new) > 1.0 {
                // Filters the estimate once more where stiff components are in a transient.
                let moved: Vec<f64> = self.start.y.iter().zip(&err).map(|(y, e)| y + e).collect();
                let mut f = vec![0.0; dim];
                self.field.rate(t, &moved, &mut f, stats);
                err = self.estimate(&f, &z, h);
            }
            // Fewer iterations speak for a larger step.
            let (max, used) =
                (f64::from(2 * MAX_ITERATIONS + 1), f64::from(2 * MAX_ITERATIONS + n_iterations));
            let ease = max / used;
            if !self.pace.passes(ease, &err, (&self.start.y, &self.y_new), (t, h), leg, stats)? {
                after_rejection = true;
                continue;
            }
            self.taken = (t, h, t_new);
            self.powers.clear();
            for p in 0..3 {
                self.powers.extend((0..dim).map(|at| (0..3).map(|i| P[i][p] * z[i * dim + at]).sum::<f64>()));
            }
            narrow(&self.y_new, &mut self.shown_y);
            narrow(&self.powers, &mut self.shown_powers);
            self.keep = n_iterations <= 2 || rate <= 1e-3;
            self.fresh = false;
            if self.keep {
                self.pace.hold(h);
            }
            self.start.f.clear();
            return Flow::Continue(());
        }
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
