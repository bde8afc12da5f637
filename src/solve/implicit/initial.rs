//! Starts that fulfil the constraints, and the rates there.
//!
//! Where combinations of the rows of `M` vanish, `R M = 0`, the same combinations of the equations,
//! `R f = 0`, are the constraints. `M y` keeps its value and the constraints are solved by Newton's
//! method, so an unknown with a rate of its own keeps its value and the algebraic ones follow.

use super::Implicit;
use super::field::Field;
use super::linear::{Factors, Lu};
use super::mass::Mass;
use super::pace::{scale, size_in};
use super::sparse::{Pattern, SparseLu, elimination_order};
use crate::solve::control::Adaptive;
use crate::solve::outcome::{Outcome, Stats};
use crate::solve::problem::Real;
use crate::solve::stepper::Flow;
use std::collections::BTreeMap;

/// Newton iterations before a start is given up.
const MAX_ITERATIONS: usize = 50;
/// Times a Newton step is halved to make the residual smaller.
const MAX_HALVINGS: usize = 20;

/// A row of a matrix: columns, ascending, and entries.
type Row = Vec<(usize, f64)>;

/// Which rows are constraints.
pub(super) struct Echelon {
    /// For each row of `M` that depends on others the combination `R` that vanishes.
    constraints: Vec<Option<Row>>,
}

impl Echelon {
    /// Of the mass matrix of `field`.
    pub fn of<T: Real, S: Implicit<T> + ?Sized>(field: &Field<'_, T, S>) -> Echelon {
        let constraints = match &field.mass {
            Mass::Identity => vec![None; field.n],
            Mass::Diagonal(entries) => {
                let vanishes = |(row, m): (usize, &f64)| (*m == 0.0).then(|| vec![(row, 1.0)]);
                entries.iter().enumerate().map(vanishes).collect()
            }
            Mass::Rows(rows) => dependent(rows),
        };
        Echelon { constraints }
    }

    /// Whether some rows are constraints.
    pub fn singular(&self) -> bool {
        self.constraints.iter().any(Option::is_some)
    }

    /// The constraints: their rows, their combinations.
    fn constraints(&self) -> impl Iterator<Item = (usize, &Row)> {
        self.constraints.iter().enumerate().filter_map(|(row, r)| Some((row, r.as_ref()?)))
    }

    /// Factorises the rows of `M`, with `R J` for those that are constraints. Says whether the matrix is
    /// regular.
    fn factor<T: Real, S: Implicit<T> + ?Sized>(
        &self,
        field: &Field<'_, T, S>,
        stats: &mut Stats,
    ) -> Option<Factors<f64>> {
        if self.constraints().all(|(_, r)| r.len() == 1) {
            let mut factors = field.factors();
            let entry = |row: usize, m: f64, j: f64| match &self.constraints[row] {
                Some(r) => r[0].1 * j,
                None => m,
            };
            return field.factor_rows(&mut factors, entry, stats).then_some(factors);
        }
        stats.factorisations += 1;
        let n = field.n;
        let entry = |row: usize, column: usize| match &self.constraints[row] {
            Some(r) => r.iter().map(|(at, r)| r * field.slope(*at, column)).sum(),
            None => field.mass.entry(row, column),
        };
        let Some(sparsity) = &field.sparsity else {
            let mut lu = Lu::default();
            return lu.factor(n, entry).then_some(Factors::Dense(lu));
        };
        // The rows of the constraints have the entries of every row they combine.
        let mut of_rows = vec![Vec::new(); n];
        sparsity.newton.entries().for_each(|(row, column)| of_rows[row].push(column));
        let combined = self.constraints().flat_map(|(row, r)| {
            let columns = r.iter().flat_map(|(at, _)| &of_rows[*at]);
            columns.map(move |column| (row, *column))
        });
        let pattern = Pattern::new(n, sparsity.newton.entries().chain(combined));
        let entries: Vec<(usize, usize)> = pattern.entries().collect();
        let (order, _) = elimination_order(&pattern);
        let mut lu = SparseLu::new(pattern, order);
        lu.factor(|at| entry(entries[at].0, entries[at].1)).then(|| Factors::Sparse(Box::new(lu)))
    }

    /// `R f` of every constraint, 0 of the other rows.
    fn residuals(&self, f: &[f64]) -> Vec<f64> {
        let of = |r: &Row| r.iter().map(|(at, r)| r * f[*at]).sum();
        self.constraints.iter().map(|r| r.as_ref().map_or(0.0, of)).collect()
    }

    /// The constraint with the largest residual at the rate `f`, by the equation that weighs most in
    /// it, with that residual.
    fn worst(&self, f: &[f64]) -> (usize, f64) {
        let residuals = self.residuals(f);
        let larger = |worst: usize, row: usize| {
            if residuals[row].abs() > residuals[worst].abs() { row } else { worst }
        };
        let first = self.constraints().next().map_or(0, |(row, _)| row);
        let row = self.constraints().map(|(row, _)| row).fold(first, larger);
        let weights = self.constraints[row].iter().flatten();
        let equation = weights.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).map_or(row, |(at, _)| *at);
        (equation, residuals[row])
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
        let (n, mut f) = (field.n, vec![0.0; y.len()]);
        let kept = kept(&field.mass);
        field.rate(t, y, &mut f, stats);
        field.check_rate(t, &f)?;
        let (mut size, mut close) = (self.residual(&f), false);
        for _ in 0..MAX_ITERATIONS {
            if size == 0.0 || close {
                return Flow::Continue(());
            }
            field.linearise(t, y, stats)?;
            let Some(factors) = self.factor(field, stats) else {
                return Flow::Break(Outcome::Singular { t, h: 0.0 });
            };
            stats.newton_iterations += 1;
            // `M y` keeps its value, so its rows have no residual.
            let mut delta: Vec<f64> = self.residuals(&f).into_iter().map(|r| -r).collect();
            factors.solve(&mut delta);
            kept.iter().for_each(|at| delta[*at] = 0.0);
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

    /// With `E` the rows of `M`, of the constraints those of `R J`, and `Eᵀ ν` the cotangent `bar: [n]` of
    /// the states where the constraints hold: what the states that were given receive, `Mᵀ ν` without
    /// the constraints, and what the rates receive, `-Rᵀ ν` of these. `None` if they do not determine
    /// the states.
    pub fn transposed<T: Real, S: Implicit<T> + ?Sized>(
        &self,
        field: &Field<'_, T, S>,
        bar: &[f64],
    ) -> Option<(Vec<f64>, Vec<f64>)> {
        let (n, mut lu, mut nu) = (field.n, Lu::default(), bar.to_vec());
        let jacobian = field.whole_jacobian();
        let entry = |row: usize, column: usize| match &self.constraints[row] {
            Some(r) => r.iter().map(|(at, r)| r * jacobian[at * n + column]).sum(),
            None => field.mass.entry(row, column),
        };
        if !lu.factor(n, entry) {
            return None;
        }
        lu.solve_transposed(&mut nu);
        let mut rates = vec![0.0; n];
        for (row, r) in self.constraints() {
            r.iter().for_each(|(at, r)| rates[*at] -= r * nu[row]);
            nu[row] = 0.0;
        }
        let mut kept = vec![0.0; n];
        field.mass.transposed_times(&nu, &mut kept);
        Some((kept, rates))
    }

    fn residual(&self, f: &[f64]) -> f64 {
        self.residuals(f).into_iter().map(|r| r * r).sum::<f64>().sqrt()
    }

    /// The rates `y'` at a consistent `(t, y)` where the right-hand side is `f`: those of the
    /// states from their rows of `M y' = f` and, differentiated, the constraints. `None` if they are not
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
        let factors = self.factor(field, stats)?;
        let moved = self.residuals(&f_t);
        for (row, constraint) in self.constraints.iter().enumerate() {
            slopes[row] = if constraint.is_some() { -moved[row] } else { f[row] };
        }
        factors.solve(&mut slopes[..field.n]);
        Some(slopes)
    }
}

/// The states that a row of `M` holds alone: they keep their values to the bit.
fn kept(mass: &Mass) -> Vec<usize> {
    match mass {
        Mass::Identity => Vec::new(),
        Mass::Diagonal(entries) => {
            entries.iter().enumerate().filter(|(_, m)| **m != 0.0).map(|(at, _)| at).collect()
        }
        Mass::Rows(rows) => rows.iter().filter(|row| row.len() == 1).map(|row| row[0].0).collect(),
    }
}

/// For each row of a matrix that depends on others a combination of rows that vanishes, by Gaussian
/// elimination with row exchanges.
fn dependent(rows: &[Row]) -> Vec<Option<Row>> {
    let n = rows.len();
    let largest = rows.iter().flatten().fold(0.0_f64, |max, (_, m)| max.max(m.abs()));
    // What elimination leaves of a number that should be zero.
    let tiny = n as f64 * f64::EPSILON * largest;
    let mut rest = rows.to_vec();
    // By row, the columns whose pivot row was taken from it, and how many times.
    let mut taken: Vec<Row> = vec![Vec::new(); n];
    let mut pivots = vec![None; n];
    // Rows that are still to become a pivot row, by their first column.
    let mut waiting: Vec<Vec<usize>> = vec![Vec::new(); n];
    let mut vanished = Vec::new();
    let mut wait = |row: usize, entries: &[(usize, f64)], waiting: &mut Vec<Vec<usize>>| match entries.first()
    {
        Some((column, _)) => waiting[*column].push(row),
        None => vanished.push(row),
    };
    (0..n).for_each(|row| wait(row, &rest[row], &mut waiting));
    for column in 0..n {
        let mut found = std::mem::take(&mut waiting[column]);
        found.sort_unstable();
        let size = |row: usize| rest[row][0].1.abs();
        let best = found.iter().copied().max_by(|a, b| size(*a).total_cmp(&size(*b)).then(b.cmp(a)));
        let pivot = best.filter(|row| size(*row) > tiny);
        pivots[column] = pivot;
        for row in found.into_iter().filter(|row| Some(*row) != pivot) {
            let (_, first) = rest[row].remove(0);
            if let Some(pivot) = pivot {
                let factor = first / rest[pivot][0].1;
                rest[row] = combined(&rest[row], &rest[pivot][1..], factor);
                taken[row].push((column, factor));
            }
            wait(row, &rest[row], &mut waiting);
        }
    }
    let mut constraints = vec![None; n];
    for row in vanished {
        // What was taken from it was itself the rest of a row: unrolled, the last first.
        let (mut combination, mut open) = (vec![(row, 1.0)], BTreeMap::new());
        let mut next = Some((row, 1.0));
        while let Some((from, weight)) = next {
            for (column, factor) in &taken[from] {
                *open.entry(*column).or_insert(0.0) -= weight * factor;
            }
            next = open
                .pop_last()
                .map(|(column, weight)| (pivots[column].expect("what was taken was a pivot row"), weight));
            combination.extend(next);
        }
        combination.sort_unstable_by_key(|(row, _)| *row);
        constraints[row] = Some(combination);
    }
    constraints
}

/// `x - factor y` of sparse rows.
fn combined(x: &[(usize, f64)], y: &[(usize, f64)], factor: f64) -> Row {
    let mut out = Row::with_capacity(x.len() + y.len());
    let (mut x, mut y) = (x.iter().copied().peekable(), y.iter().copied().peekable());
    loop {
        let column = match (x.peek(), y.peek()) {
            (Some((a, _)), Some((b, _))) => *a.min(b),
            (Some((a, _)), None) | (None, Some((a, _))) => *a,
            (None, None) => return out,
        };
        let of_x = x.next_if(|(at, _)| *at == column).map_or(0.0, |(_, x)| x);
        let of_y = y.next_if(|(at, _)| *at == column).map_or(0.0, |(_, y)| y);
        let rest = of_x - factor * of_y;
        if rest != 0.0 {
            out.push((column, rest));
        }
    }
}
