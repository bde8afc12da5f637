//! Starts that fulfil the constraints, and the rates there.
//!
//! Row operations `R` bring `M` to echelon form `U = R M`; the rows of `R f` where `U` is zero are
//! the constraints. `M y` keeps its value and the constraints are solved by Newton's method, so an
//! unknown with a rate of its own keeps its value and the algebraic ones follow.

use super::Implicit;
use super::field::{Field, Mass};
use super::linear::Lu;
use super::pace::{scale, size_in};
use crate::solve::control::Adaptive;
use crate::solve::outcome::{Outcome, Stats};
use crate::solve::problem::Real;
use crate::solve::stepper::Flow;

/// Newton iterations before a start is given up.
const MAX_ITERATIONS: usize = 50;
/// Times a Newton step is halved to make the residual smaller.
const MAX_HALVINGS: usize = 20;

/// `U = R M` in echelon form.
pub(super) struct Echelon {
    n: usize,
    /// `[n, n]`
    r: Vec<f64>,
    /// `[n, n]`, whose rows from `rank` on are zero.
    u: Vec<f64>,
    rank: usize,
}

impl Echelon {
    /// Of `M: [n, n]`, by Gaussian elimination with row exchanges.
    pub fn of(mass: &Mass, n: usize) -> Echelon {
        let mut u: Vec<f64> = (0..n * n).map(|at| mass.entry(n, at / n, at % n)).collect();
        let mut r: Vec<f64> = (0..n * n).map(|at| f64::from(u8::from(at / n == at % n))).collect();
        // What elimination leaves of a number that should be zero.
        let largest = u.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
        let tiny = n as f64 * f64::EPSILON * largest;
        let mut rank = 0;
        for column in 0..n {
            let best = (rank..n).max_by(|a, b| u[a * n + column].abs().total_cmp(&u[b * n + column].abs()));
            let Some(best) = best.filter(|row| u[row * n + column].abs() > tiny) else { continue };
            for at in 0..n {
                u.swap(best * n + at, rank * n + at);
                r.swap(best * n + at, rank * n + at);
            }
            for row in rank + 1..n {
                let factor = u[row * n + column] / u[rank * n + column];
                if factor != 0.0 {
                    for at in 0..n {
                        u[row * n + at] -= factor * u[rank * n + at];
                        r[row * n + at] -= factor * r[rank * n + at];
                    }
                    u[row * n + column] = 0.0;
                }
            }
            rank += 1;
        }
        Echelon { n, r, u, rank }
    }

    /// Whether some rows are constraints.
    pub fn singular(&self) -> bool {
        self.rank < self.n
    }

    /// Row `row` of `R v`.
    fn row(&self, row: usize, v: impl Fn(usize) -> f64) -> f64 {
        let r = &self.r[row * self.n..][..self.n];
        r.iter().enumerate().filter(|(_, r)| **r != 0.0).map(|(at, r)| r * v(at)).sum()
    }

    /// `U` where it is not zero, `R J` below.
    fn factor(&self, jacobian: &[f64], lu: &mut Lu<f64>, stats: &mut Stats) -> bool {
        stats.factorisations += 1;
        lu.factor(self.n, |row, column| match row < self.rank {
            true => self.u[row * self.n + column],
            false => self.row(row, |at| jacobian[at * self.n + column]),
        })
    }

    /// The row of the constraints with the largest residual at the rate `f`, as a row of the system
    /// where `R` only exchanges rows, with that residual.
    fn worst(&self, f: &[f64]) -> (usize, f64) {
        let rows = (self.rank..self.n).map(|row| (row, self.row(row, |at| f[at])));
        let (row, residual) =
            rows.fold(
                (self.rank, 0.0),
                |worst: (usize, f64), next| {
                    if next.1.abs() > worst.1.abs() { next } else { worst }
                },
            );
        let r = &self.r[row * self.n..][..self.n];
        let equation = (0..self.n).max_by(|a, b| r[*a].abs().total_cmp(&r[*b].abs())).unwrap_or(row);
        (equation, residual)
    }

    /// Moves the states `y` to where the constraints hold.
    pub fn solve_constraints<T: Real, S: Implicit<T> + ?Sized>(
        &self,
        field: &mut Field<'_, T, S>,
        control: &Adaptive,
        t: f64,
        y: &mut [f64],
        stats: &mut Stats,
    ) -> Flow {
        if !self.singular() {
            return Flow::Continue(());
        }
        let (n, mut f) = (self.n, vec![0.0; y.len()]);
        let mut lu = Lu::default();
        field.rate(t, y, &mut f, stats);
        field.check_rate(t, &f)?;
        let (mut size, mut close) = (self.residual(&f), false);
        for _ in 0..MAX_ITERATIONS {
            if size == 0.0 || close {
                return Flow::Continue(());
            }
            field.linearise(t, y, stats)?;
            if !self.factor(&field.jacobian, &mut lu, stats) {
                return Flow::Break(Outcome::Singular { t, h: 0.0 });
            }
            stats.newton_iterations += 1;
            // `M y` keeps its value, so its rows have no residual.
            let mut delta: Vec<f64> =
                (0..n).map(|row| if row < self.rank { 0.0 } else { -self.row(row, |at| f[at]) }).collect();
            lu.solve(&mut delta);
            for at in self.kept() {
                delta[at] = 0.0;
            }
            // One more iteration after the correction is small doubles the digits.
            close = size_in(&delta, &scale(control, &y[..n], &y[..n])) <= 1e-3;
            let (from, mut share) = (y[..n].to_vec(), 1.0);
            for _ in 0..MAX_HALVINGS {
                for at in 0..n {
                    y[at] = from[at] + share * delta[at];
                }
                field.rate(t, y, &mut f, stats);
                let smaller = self.residual(&f);
                if smaller < size || (close && smaller.is_finite()) {
                    break;
                }
                share *= 0.5;
            }
            size = self.residual(&f);
            if !size.is_finite() {
                break;
            }
        }
        let (component, residual) = self.worst(&f);
        Flow::Break(Outcome::Inconsistent { t, component, residual })
    }

    /// The states that a row of `U` holds alone: they keep their values to the bit.
    fn kept(&self) -> impl Iterator<Item = usize> {
        let rows = self.u.chunks(self.n.max(1)).take(self.rank);
        rows.filter_map(|row| {
            let mut entries = row.iter().enumerate().filter(|(_, u)| **u != 0.0);
            entries.next().filter(|_| entries.next().is_none()).map(|(at, _)| at)
        })
    }

    /// With `E` the rows of `U` over those of `R J`, as in [`Echelon::solve_constraints`], and `Eᵀ ν` the
    /// cotangent `bar: [n]` of the states where the constraints hold: what the states that were given
    /// receive, `Uᵀ ν`, and what the rates receive, `-Rᵀ ν` of the constraints. `None` if these do not
    /// determine the states.
    pub fn transposed(&self, jacobian: &[f64], bar: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
        let (n, mut lu, mut nu) = (self.n, Lu::default(), bar.to_vec());
        if !self.factor(jacobian, &mut lu, &mut Stats::default()) {
            return None;
        }
        lu.solve_transposed(&mut nu);
        let columns = |matrix: &[f64], rows: std::ops::Range<usize>, sign: f64| -> Vec<f64> {
            let one = |at: usize| rows.clone().map(|row| sign * matrix[row * n + at] * nu[row]).sum();
            (0..n).map(one).collect()
        };
        Some((columns(&self.u, 0..self.rank, 1.0), columns(&self.r, self.rank..n, -1.0)))
    }

    fn residual(&self, f: &[f64]) -> f64 {
        let squares = (self.rank..self.n).map(|row| self.row(row, |at| f[at])).map(|r| r * r);
        squares.sum::<f64>().sqrt()
    }

    /// The rates `y'` at a consistent `(t, y)` where the right-hand side is `f`: those of the
    /// states from `U y' = R f` and, differentiated, the constraints. `None` if they are not
    /// determined, so that the index is above 1.
    pub fn slopes<T: Real, S: Implicit<T> + ?Sized>(
        &self,
        field: &mut Field<'_, T, S>,
        t: f64,
        y: &[f64],
        f: &[f64],
        stats: &mut Stats,
    ) -> Option<Vec<f64>> {
        let mut slopes = f.to_vec();
        if field.mass == Mass::Identity {
            return Some(slopes);
        }
        let mut f_t = vec![0.0; f.len()];
        field.time_slope(t, y, &mut f_t);
        let mut lu = Lu::default();
        if !self.factor(&field.jacobian, &mut lu, stats) {
            return None;
        }
        for row in 0..self.n {
            slopes[row] = match row < self.rank {
                true => self.row(row, |at| f[at]),
                false => -self.row(row, |at| f_t[at]),
            };
        }
        lu.solve(&mut slopes[..self.n]);
        Some(slopes)
    }
}
