//! Gauss collocation with fixed steps: symmetric, symplectic for every Hamiltonian system, with
//! quadratic invariants kept to round-off.
//!
//! The stages `z_i = h Σ_j a_ij f(t + c_j h, y + z_j)` are solved together by simplified Newton
//! iterations until the corrections are round-off: an iteration that stops earlier would let the
//! invariants drift. Source: E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, II.1.3,
//! IV.2 and VIII.6.

use super::Implicit;
use super::field::{Field, narrow, widen};
use super::linear::{Factors, Lu};
use super::pace::Failed;
use super::sparse::{Pattern, SparseLu, Sparsity};
use crate::solve::control::positive;
use crate::solve::dense::{Accepted, Interior, cubic};
use crate::solve::outcome::{Invalid, Outcome, Quantity, Stats};
use crate::solve::problem::Real;
use crate::solve::solve::Stepping;
use crate::solve::stepper::{Flow, Grid, Leg, Stepper, non_finite};

/// The collocation method of `s` stages at the zeros of the shifted Legendre polynomial.
#[derive(Debug, PartialEq)]
pub struct Collocation {
    /// Spelling in `solve { method = ... }`.
    pub name: &'static str,
    /// What it is and when to use it, in a sentence.
    pub doc: &'static str,
    /// The local error is `O(h^(order + 1))`.
    pub order: u32,
    /// `c`, `[s]`.
    pub c: &'static [f64],
    /// `a`, `[s, s]`.
    pub a: &'static [&'static [f64]],
    /// `b`, `[s]`.
    pub b: &'static [f64],
}

const S3: f64 = 1.732_050_807_568_877_2;
const S15: f64 = 3.872_983_346_207_417;

impl Collocation {
    /// Every method, by rising order. Source: Hairer, Lubich, Wanner, II.1, table 1.1 and (1.17).
    pub const ALL: [&'static Collocation; 3] = [
        &Collocation {
            name: "implicit_midpoint",
            doc: "the implicit midpoint rule, order 2, symplectic, with fixed steps; any Hamiltonian system",
            order: 2,
            c: &[0.5],
            a: &[&[0.5]],
            b: &[1.0],
        },
        &Collocation {
            name: "gauss4",
            doc: "Gauss collocation of order 4, symplectic, with fixed steps; any Hamiltonian system",
            order: 4,
            c: &[0.5 - S3 / 6.0, 0.5 + S3 / 6.0],
            a: &[&[0.25, 0.25 - S3 / 6.0], &[0.25 + S3 / 6.0, 0.25]],
            b: &[0.5, 0.5],
        },
        &Collocation {
            name: "gauss6",
            doc: "Gauss collocation of order 6, symplectic, with fixed steps; any Hamiltonian system",
            order: 6,
            c: &[0.5 - S15 / 10.0, 0.5, 0.5 + S15 / 10.0],
            a: &[
                &[5.0 / 36.0, 2.0 / 9.0 - S15 / 15.0, 5.0 / 36.0 - S15 / 30.0],
                &[5.0 / 36.0 + S15 / 24.0, 2.0 / 9.0, 5.0 / 36.0 - S15 / 24.0],
                &[5.0 / 36.0 + S15 / 30.0, 2.0 / 9.0 + S15 / 15.0, 5.0 / 36.0],
            ],
            b: &[5.0 / 18.0, 4.0 / 9.0, 5.0 / 18.0],
        },
    ];

    /// The method spelled `name`.
    pub fn by_name(name: &str) -> Option<&'static Collocation> {
        Collocation::ALL.into_iter().find(|method| method.name == name)
    }
}

/// The iteration is given up after so many.
const MAX_ITERATIONS: u32 = 50;
/// With more iterations than this in a step, the next one takes the Jacobian anew.
const FEW_ITERATIONS: u32 = 8;

/// A collocation method at work on one system without constraints.
pub struct Gauss<'a, T, S: ?Sized> {
    field: Field<'a, T, S>,
    method: &'static Collocation,
    stepping: &'a Stepping,
    grid: Grid,
    y: Vec<f64>,
    y_new: Vec<f64>,
    /// The rate at the end of the last step is that at the start of the next.
    rate: Option<Vec<f64>>,
    /// The Jacobian is good for the next step.
    keep: bool,
    /// Step size of the factorisation; not a number if there is none.
    factored: f64,
    lu: Factors<f64>,
    /// See [`Stages`]; `None` if the Jacobian is dense.
    stages: Option<Stages>,
    taken: (f64, f64, f64),
    shown_y: Vec<T>,
    /// The cubic of the step last taken, `[3, dim]`, if somebody is to look inside.
    shown_powers: Vec<T>,
}

/// What is known of the matrix `I - h A ⊗ J` of all stages of a sparse system.
struct Stages {
    pattern: Pattern,
    /// Row and column of each of its entries.
    entries: Vec<(usize, usize)>,
    /// The stages of an unknown are eliminated together.
    order: Vec<usize>,
}

impl Stages {
    fn new(method: &Collocation, sparsity: &Sparsity) -> Stages {
        let (n, s) = (sparsity.newton.n(), method.c.len());
        let blocks = (0..s * s).map(|block| (block / s, block % s));
        let all = blocks.flat_map(|(i, j)| {
            sparsity.newton.entries().map(move |(row, column)| (i * n + row, j * n + column))
        });
        let pattern = Pattern::new(s * n, all);
        let order = sparsity.order.iter().flat_map(|at| (0..s).map(move |i| i * n + at)).collect();
        Stages { entries: pattern.entries().collect(), pattern, order }
    }
}

impl<'a, T: Real, S: Implicit<T> + ?Sized> Gauss<'a, T, S> {
    /// The method for `system`, whose mass matrix must be the identity.
    pub fn new(system: &'a mut S, method: &'static Collocation, stepping: &'a Stepping) -> Self {
        let field = Field::new(system);
        let dim = field.dim;
        let dt = match stepping {
            Stepping::Fixed { dt } => *dt,
            Stepping::Adaptive(_) => f64::NAN,
        };
        let stages = field.sparsity.as_deref().map(|sparsity| Stages::new(method, sparsity));
        let lu = match &stages {
            Some(stages) => {
                Factors::Sparse(Box::new(SparseLu::new(stages.pattern.clone(), stages.order.clone())))
            }
            None => Factors::Dense(Lu::default()),
        };
        Gauss {
            field,
            method,
            stepping,
            grid: Grid::new(dt),
            y: vec![0.0; dim],
            y_new: vec![0.0; dim],
            rate: None,
            keep: false,
            factored: f64::NAN,
            lu,
            stages,
            taken: (0.0, 0.0, 0.0),
            shown_y: vec![T::default(); dim],
            shown_powers: Vec::new(),
        }
    }

    /// Factorises the matrix `I - h A ⊗ J` of all stages.
    fn factor(&mut self, h: f64, stats: &mut Stats) -> bool {
        stats.factorisations += 1;
        let (n, s, field, a) = (self.field.n, self.method.c.len(), &self.field, self.method.a);
        let entry = |(i, row): (usize, usize), (j, column): (usize, usize)| {
            let identity = f64::from(u8::from((i, row) == (j, column)));
            identity - h * a[i][j] * field.slope(row, column)
        };
        let regular = match (&mut self.lu, &self.stages) {
            (Factors::Dense(lu), _) => {
                lu.factor(s * n, |row, column| entry((row / n, row % n), (column / n, column % n)))
            }
            (Factors::Sparse(lu), Some(stages)) => lu.factor(|at| {
                let (row, column) = stages.entries[at];
                entry((row / n, row % n), (column / n, column % n))
            }),
            (Factors::Sparse(_), None) => crate::bug!("sparse factors of dense stages"),
        };
        stats.fill = stats.fill.max(self.lu.fill() as u64);
        regular
    }

    /// Solves for the stages of a step of size `h` and writes the new state.
    fn solve(&mut self, t: f64, h: f64, stats: &mut Stats) -> Result<(), Failed> {
        let (dim, n, s) = (self.field.dim, self.field.n, self.method.c.len());
        let method = self.method;
        if self.factored != h {
            self.factored = f64::NAN;
            if !self.factor(h, stats) {
                return Err(Failed::Singular);
            }
            self.factored = h;
        }
        let (mut z, mut f) = (vec![0.0; s * dim], vec![0.0; s * dim]);
        let (mut before, mut worst) = (f64::INFINITY, 0);
        for iteration in 1..=MAX_ITERATIONS {
            for i in 0..s {
                let y: Vec<f64> = z[i * dim..][..dim].iter().zip(&self.y).map(|(z, y)| y + z).collect();
                self.field.rate(t + method.c[i] * h, &y, &mut f[i * dim..][..dim], stats);
            }
            stats.newton_iterations += 1;
            if let Some(at) = non_finite(&f) {
                return Err(Failed::NotFinite { component: at % dim });
            }
            let moved = |i: usize, at: usize| -> f64 {
                h * (0..s).map(|j| method.a[i][j] * f[j * dim + at]).sum::<f64>()
            };
            let mut delta: Vec<f64> =
                (0..s * n).map(|row| moved(row / n, row % n) - z[row / n * dim + row % n]).collect();
            self.lu.solve(&mut delta);
            let mut size = 0.0_f64;
            for (row, delta) in delta.iter().enumerate() {
                let (i, at) = (row / n, row % n);
                z[i * dim + at] += delta;
                let scale = self.y[at].abs().max(z[i * dim + at].abs()).max(f64::MIN_POSITIVE);
                let relative = delta.abs() / scale;
                if relative > size || relative.is_nan() {
                    (size, worst) = (relative, at);
                }
            }
            // Round-off, or a size that no longer falls close to it.
            if size <= T::EPSILON || (size >= before && size <= 1e3 * T::EPSILON) {
                self.keep = iteration <= FEW_ITERATIONS;
                for at in 0..dim {
                    let sum: f64 = (0..s).map(|i| method.b[i] * f[i * dim + at]).sum();
                    self.y_new[at] = self.y[at] + h * sum;
                }
                return Ok(());
            }
            if !size.is_finite() {
                break;
            }
            before = size;
        }
        Err(Failed::NoConvergence { component: worst })
    }
}

impl<T: Real, S: Implicit<T> + ?Sized> Stepper<T> for Gauss<'_, T, S> {
    fn dim(&self) -> usize {
        self.field.dim
    }

    fn check(&self) -> Result<(), Invalid> {
        match self.stepping {
            Stepping::Fixed { dt } => positive("dt", *dt),
            Stepping::Adaptive(_) => Err(Invalid::NoErrorEstimate { method: self.method.name }),
        }
    }

    fn start(&mut self, _: f64, _: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.grid.restart();
        (self.rate, self.keep, self.factored) = (None, false, f64::NAN);
        if let Stepping::Fixed { dt } = self.stepping {
            stats.next_step = dt * leg.direction;
        }
        Flow::Continue(())
    }

    fn pass_stop(&mut self) {
        (self.rate, self.keep) = (None, false);
    }

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.field.inside = leg.inside(t);
        widen(y, &mut self.y);
        let (h, t_new) = self.grid.next(t, leg);
        leg.spend(t, h, stats)?;
        if stats.attempts() == 0 {
            stats.first_step = h;
        }
        let fresh = !self.keep;
        if fresh {
            self.field.linearise(t, &self.y, stats)?;
            self.factored = f64::NAN;
        }
        let mut solved = self.solve(t, h, stats);
        if solved.is_err() && !fresh {
            self.field.linearise(t, &self.y, stats)?;
            self.factored = f64::NAN;
            solved = self.solve(t, h, stats);
        }
        if let Err(failed) = solved {
            super::pace::count_failure(failed, stats);
            return Flow::Break(failed.outcome(t, h));
        }
        if let Some(component) = non_finite(&self.y_new) {
            stats.rejected += 1;
            stats.non_finite += 1;
            return Flow::Break(Outcome::NonFinite { t, h, component, quantity: Quantity::State });
        }
        stats.accepted += 1;
        if self.shown_powers.is_empty() {
            self.rate = None;
        }
        self.taken = (t, h, t_new);
        narrow(&self.y_new, &mut self.shown_y);
        self.shown_powers.clear();
        Flow::Continue(())
    }

    /// The cubic with the states and rates at both ends.
    fn look_inside(&mut self, _: &[T], stats: &mut Stats) {
        if !self.shown_powers.is_empty() {
            return;
        }
        let ((t, h, t_new), dim) = (self.taken, self.y.len());
        let (y, y_new) = (self.y.clone(), self.y_new.clone());
        let (mut from, mut to) = (vec![0.0; dim], vec![0.0; dim]);
        match self.rate.take() {
            Some(rate) => from = rate,
            None => self.field.rate(t, &y, &mut from, stats),
        }
        self.field.rate(t_new, &y_new, &mut to, stats);
        let mut powers = vec![0.0; 3 * dim];
        for at in 0..dim {
            let (whole, from, to) = (y_new[at] - y[at], h * from[at], h * to[at]);
            let powers_at = cubic(whole, from, to);
            powers_at.into_iter().enumerate().for_each(|(p, c)| powers[p * dim + at] = c);
        }
        self.shown_powers.resize(powers.len(), T::default());
        narrow(&powers, &mut self.shown_powers);
        self.rate = Some(to);
    }

    fn accepted<'b>(&'b self, y: &'b [T]) -> Accepted<'b, T> {
        let (t, h, t_new) = self.taken;
        let interior = Interior::Powers { coefficients: &self.shown_powers };
        Accepted { t, h, t_new, y, y_new: &self.shown_y, interior }
    }
}
