//! Implicit Runge–Kutta methods backwards.
//!
//! The stages are found anew, by Newton's method with the exact derivative at each of them, until
//! what is left is rounding: the gradient is that of the step without what the forward pass left of
//! its equations. With multipliers `μ_i` of these equations, `J_j` the derivative of the rates at
//! stage `j`, `v` the cotangent of the new state,
//!
//! `Mᵀ μ_j = v_j + J_jᵀ g_j`, `g_j = h Σ_i a_ij μ_i + h b_j v`,
//!
//! where `v_j` is what stage `j` itself receives and the last term is of the channels alone, or of
//! all where the new state is not a stage. Start and params receive what `g_j` sends through the rate
//! at stage `j`.

use super::super::Implicit;
use super::super::dirk::Dirk;
use super::super::field::Field;
use super::super::gauss::Collocation;
use super::super::linear::Lu;
use super::super::mass::Mass;
use super::super::pace::Failed;
use super::linearised;
use super::table::{Inside, Table};
use crate::solve::dense::cubic;
use crate::solve::outcome::{Outcome, Stats};
use crate::solve::problem::Real;
use crate::solve::reverse::{Answer, Ask, Of, Reverse, Taken, add};
use crate::solve::stepper::non_finite;

/// Newton's method with the exact derivative is given up after so many iterations.
const MAX_ITERATIONS: u32 = 50;

/// An implicit Runge–Kutta method on its way back through one system.
pub struct Stages<'a, T, S: ?Sized> {
    field: Field<'a, T, S>,
    table: Table,
    t: f64,
    h: f64,
    y: Vec<f64>,
    y_new: Vec<f64>,
    /// `z_i`, `[s, dim]`.
    z: Vec<f64>,
    /// `f_i`, `[s, dim]`.
    f: Vec<f64>,
    /// The Jacobian over the states at each stage, `[s, n, n]`.
    jacobians: Vec<f64>,
    /// Of the equations of each stage by itself, or of all together.
    lu: Vec<Lu<f64>>,
}

impl<'a, T: Real, S: Implicit<T> + ?Sized> Stages<'a, T, S> {
    /// A diagonally implicit method.
    pub fn dirk(system: &'a mut S, dirk: &'static Dirk) -> Self {
        Stages::new(system, Table::dirk(dirk))
    }

    /// Gauss collocation; the mass matrix must be the identity.
    pub fn gauss(system: &'a mut S, method: &'static Collocation) -> Self {
        Stages::new(system, Table::gauss(method))
    }

    /// Radau IIA of order 5.
    pub fn radau5(system: &'a mut S) -> Self {
        Stages::new(system, Table::radau5())
    }

    fn new(system: &'a mut S, table: Table) -> Self {
        let mut field = Field::new(system);
        field.weigh();
        let (s, dim, n) = (table.n_stages(), field.dim, field.n);
        Stages {
            lu: vec![Lu::default(); if table.diagonal { s } else { 1 }],
            table,
            t: 0.0,
            h: 0.0,
            y: vec![0.0; dim],
            y_new: vec![0.0; dim],
            z: vec![0.0; s * dim],
            f: vec![0.0; s * dim],
            jacobians: vec![0.0; s * n * n],
            field,
        }
    }

    /// Where stage `i` stands.
    fn stage(&self, i: usize) -> (f64, Vec<f64>) {
        let dim = self.field.dim;
        let y = self.y.iter().zip(&self.z[i * dim..][..dim]).map(|(y, z)| y + z);
        (self.t + self.table.c[i] * self.h, y.collect())
    }

    /// Rates and derivatives at stage `i`.
    fn evaluate(&mut self, i: usize) -> Result<(), Outcome> {
        let ((t, y), dim, n) = (self.stage(i), self.field.dim, self.field.n);
        let f = &mut self.f[i * dim..][..dim];
        self.field.rate(t, &y, f, &mut Stats::default());
        if let Some(component) = non_finite(f) {
            return Err(Failed::NotFinite { component }.outcome(self.t, self.h));
        }
        linearised(&mut self.field, t, &y)?;
        self.jacobians[i * n * n..][..n * n].copy_from_slice(&self.field.whole_jacobian());
        Ok(())
    }

    /// Entry of `∂R_i/∂z_j` with `R_i = M z_i - h Σ_j a_ij f_j`.
    fn entry(&self, (i, row): (usize, usize), (j, column): (usize, usize)) -> f64 {
        let Field { n, mass, .. } = &self.field;
        let own = if i == j { mass.entry(row, column) } else { 0.0 };
        own - self.h * self.table.a[i][j] * self.jacobians[(j * n + row) * n + column]
    }

    /// Factorises the equations of stages `of`.
    fn factor(&mut self, of: &[usize]) -> Result<(), Outcome> {
        let n = self.field.n;
        let place = if self.table.diagonal { of[0] } else { 0 };
        let mut lu = std::mem::take(&mut self.lu[place]);
        let entry = |r: usize, c: usize| self.entry((of[r / n], r % n), (of[c / n], c % n));
        let regular = lu.factor(of.len() * n, entry);
        self.lu[place] = lu;
        if regular { Ok(()) } else { Err(Failed::Singular.outcome(self.t, self.h)) }
    }

    /// Solves for the stages `of`, from where they stand.
    fn solve(&mut self, of: &[usize]) -> Result<(), Outcome> {
        let (dim, n, s) = (self.field.dim, self.field.n, self.table.n_stages());
        let place = if self.table.diagonal { of[0] } else { 0 };
        let mut worst = 0;
        for _ in 0..MAX_ITERATIONS {
            of.iter().try_for_each(|i| self.evaluate(*i))?;
            self.factor(of)?;
            let mut delta = vec![0.0; of.len() * n];
            for (i, delta) in of.iter().zip(delta.chunks_mut(n.max(1))) {
                self.field.mass.times(&self.z[i * dim..][..n], delta);
                for (at, delta) in delta.iter_mut().enumerate() {
                    let rates = (0..s).map(|j| self.table.a[*i][j] * self.f[j * dim + at]);
                    *delta = self.h * rates.sum::<f64>() - *delta;
                }
            }
            self.lu[place].solve(&mut delta);
            // An unknown that is nothing beside the others is not known to all its digits.
            let largest = self.y[..n].iter().fold(f64::MIN_POSITIVE, |max, y| max.max(y.abs()));
            let mut size = 0.0_f64;
            for (i, delta) in of.iter().zip(delta.chunks(n.max(1))) {
                for (at, delta) in delta.iter().enumerate() {
                    let z = &mut self.z[i * dim + at];
                    *z += delta;
                    let scale = self.y[at].abs().max((self.y[at] + *z).abs()).max(1e-10 * largest);
                    if delta.abs() / scale > size || delta.is_nan() {
                        (size, worst) = (delta.abs() / scale, at);
                    }
                }
            }
            if !size.is_finite() {
                break;
            }
            // Convergence is quadratic: what is left is the square of this.
            if size <= 0.1 * T::EPSILON.sqrt() {
                of.iter().try_for_each(|i| self.evaluate(*i))?;
                return self.factor(of);
            }
        }
        Err(Failed::NoConvergence { component: worst }.outcome(self.t, self.h))
    }

    /// Where the iterations begin: on the way to `end`, or where the stage before has come to.
    fn guess(&mut self, i: usize, end: Option<&[f64]>) {
        let (dim, n, c) = (self.field.dim, self.field.n, &self.table.c);
        for at in 0..n {
            let before = i.checked_sub(1).filter(|j| self.table.diagonal && c[*j] > 0.0);
            self.z[i * dim + at] = match (end, before) {
                (Some(end), _) => c[i] * (end[at] - self.y[at]),
                (None, Some(j)) => self.z[j * dim + at] * c[i] / c[j],
                (None, None) => 0.0,
            };
        }
    }

    /// `h` times the rates at both ends, of systems whose rates are those of the states.
    fn end_rates(&mut self) -> [Vec<f64>; 2] {
        let (t, h, y, y_new) = (self.t, self.h, self.y.clone(), self.y_new.clone());
        [(t, y), (t + h, y_new)].map(|(t, y)| {
            let mut f = vec![0.0; y.len()];
            self.field.rate(t, &y, &mut f, &mut Stats::default());
            f.iter_mut().for_each(|f| *f *= h);
            f
        })
    }

    /// The share of `z_i` in the solution inside the step.
    fn weight(powers: &[[f64; 3]; 3], i: usize, theta: f64) -> f64 {
        powers[i].iter().rev().fold(0.0, |sum, p| (sum + p) * theta)
    }
}

impl<T: Real, S: Implicit<T> + ?Sized> Reverse<T> for Stages<'_, T, S> {
    /// The equations are solved more exactly.
    fn repeats(&self) -> bool {
        false
    }

    fn take(&mut self, step: Taken, y: &[f64], end: Option<&[f64]>) -> Result<(), Outcome> {
        let h = step.h;
        (self.t, self.h, self.field.inside) = (step.t, h, step.inside());
        self.y.copy_from_slice(y);
        let (dim, n, s) = (self.field.dim, self.field.n, self.table.n_stages());
        self.z.fill(0.0);
        if self.table.diagonal {
            self.evaluate(0)?;
            for i in 1..s {
                self.guess(i, end);
                self.solve(&[i])?;
            }
        } else {
            (0..s).for_each(|i| self.guess(i, end));
            let all: Vec<usize> = (0..s).collect();
            self.solve(&all)?;
        }
        for at in 0..dim {
            let rates = |weights: &[f64]| {
                h * weights.iter().enumerate().map(|(j, w)| w * self.f[j * dim + at]).sum::<f64>()
            };
            let moved = match self.table.ends_in_stage && at < n {
                true => self.z[(s - 1) * dim + at],
                false => rates(&self.table.b),
            };
            self.y_new[at] = y[at] + moved;
            if at >= n {
                for i in 0..s {
                    self.z[i * dim + at] = rates(&self.table.a[i]);
                }
            }
        }
        Ok(())
    }

    fn end(&self) -> &[f64] {
        &self.y_new
    }

    fn powers(&mut self) -> Vec<f64> {
        let (dim, s) = (self.field.dim, self.table.n_stages());
        let mut powers = vec![0.0; 3 * dim];
        match self.table.inside {
            Inside::Stages(shares) => {
                for (at, power) in powers.iter_mut().enumerate() {
                    *power = (0..s).map(|i| shares[i][at / dim] * self.z[i * dim + at % dim]).sum();
                }
            }
            Inside::Cubic => {
                let [from, to] = self.end_rates();
                for at in 0..dim {
                    let whole = self.y_new[at] - self.y[at];
                    for (p, c) in cubic(whole, from[at], to[at]).into_iter().enumerate() {
                        powers[p * dim + at] = c;
                    }
                }
            }
        }
        powers
    }

    fn pull(
        &mut self,
        bar: &mut [f64],
        inner: &[(f64, Vec<f64>)],
        answer: &mut Answer<'_>,
    ) -> Result<(), Outcome> {
        let (dim, n, s, h) = (self.field.dim, self.field.n, self.table.n_stages(), self.h);
        let mut v = bar.to_vec();
        bar.fill(0.0);
        // What the stages and their rates receive beside the multipliers.
        let (mut by_stage, mut g) = (vec![0.0; s * n], vec![0.0; s * dim]);
        for (theta, inner) in inner {
            let theta = *theta;
            match self.table.inside {
                Inside::Stages(shares) => {
                    add(bar, 1.0, inner);
                    for i in 0..s {
                        let weight = Self::weight(shares, i, theta);
                        add(&mut by_stage[i * n..][..n], weight, &inner[..n]);
                        for j in 0..s {
                            let share = h * weight * self.table.a[i][j];
                            add(&mut g[j * dim + n..(j + 1) * dim], share, &inner[n..]);
                        }
                    }
                }
                Inside::Cubic => {
                    let [whole, from, to] = cubic_weights(theta);
                    add(bar, 1.0 - whole, inner);
                    add(&mut v, whole, inner);
                    for (t, y, weight, sum) in
                        [(self.t, &self.y, from, &mut *bar), (self.t + h, &self.y_new, to, &mut v)]
                    {
                        let rates: Vec<f64> = inner.iter().map(|inner| h * weight * inner).collect();
                        add(sum, 1.0, &answer(&Ask { t, y, of: Of::Rate, bar: &rates }));
                    }
                }
            }
        }
        add(bar, 1.0, &v);
        // Where the new state is a stage, its rates weigh in the channels alone.
        let from = if self.table.ends_in_stage { n } else { 0 };
        for j in 0..s {
            add(&mut g[j * dim + from..(j + 1) * dim], h * self.table.b[j], &v[from..]);
        }
        if self.table.ends_in_stage {
            add(&mut by_stage[(s - 1) * n..], 1.0, &v[..n]);
        }
        let groups: Vec<Vec<usize>> = match self.table.diagonal {
            true => (1..s).rev().map(|i| vec![i]).collect(),
            false => vec![(0..s).collect()],
        };
        for of in &groups {
            let mut mu = Vec::with_capacity(of.len() * n);
            for j in of {
                let mut right = by_stage[j * n..][..n].to_vec();
                let (states, channels) = g[j * dim..][..dim].split_at(n);
                let jacobian = &self.jacobians[j * n * n..][..n * n];
                for (row, g) in jacobian.chunks(n.max(1)).zip(states) {
                    add(&mut right, *g, row);
                }
                if channels.iter().any(|g| *g != 0.0) {
                    let ((t, y), asked) = (self.stage(*j), [&vec![0.0; n][..], channels].concat());
                    let by_y = answer(&Ask { t, y: &y, of: Of::RateByState, bar: &asked });
                    add(&mut right, 1.0, &by_y[..n]);
                }
                mu.extend(right);
            }
            let place = if self.table.diagonal { of[0] } else { 0 };
            self.lu[place].solve_transposed(&mut mu);
            for (i, mu) in of.iter().zip(mu.chunks(n.max(1))) {
                for j in 0..s {
                    add(&mut g[j * dim..][..n], h * self.table.a[*i][j], mu);
                }
            }
        }
        for j in 0..s {
            let (t, y) = self.stage(j);
            add(bar, 1.0, &answer(&Ask { t, y: &y, of: Of::Rate, bar: &g[j * dim..][..dim] }));
        }
        Ok(())
    }

    fn pull_start(
        &mut self,
        step: Taken,
        y: &[f64],
        bar: &mut [f64],
        answer: &mut Answer<'_>,
    ) -> Result<(), Outcome> {
        if self.field.mass == Mass::Identity {
            return Ok(());
        }
        self.field.inside = step.inside();
        super::pull_start(&mut self.field, step.t, y, bar, answer)
    }
}

/// How the whole rise and `h` times the rates at both ends weigh in the cubic at `θ`.
fn cubic_weights(theta: f64) -> [f64; 3] {
    let of = |whole, from, to| cubic(whole, from, to).iter().rev().fold(0.0, |sum, c| (sum + c) * theta);
    [of(1.0, 0.0, 0.0), of(0.0, 1.0, 0.0), of(0.0, 0.0, 1.0)]
}
