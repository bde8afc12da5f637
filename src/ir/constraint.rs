//! Sets that params live in, each with a bijection from free space, where an optimiser moves.
//!
//! The way from free space is a function of the IR, so that gradients pass through it; the way back
//! is taken once for a starting value, in plain numbers. Densities are meant on the declared scale,
//! so no Jacobian of a bijection is part of any objective.
//!
//! Source of the bijections of `simplex`, `ordered` and `corr_cholesky`: Stan Development Team, Stan
//! Reference Manual 2.32, chapter 10 (Constraint Transforms), sections 10.6, 10.7, 10.9; see
//! [`Constraint::Orthogonal`] for its own.

use crate::ir::builder::Builder;
use crate::ir::func::ValueId;
use crate::ir::op::Op;
use crate::ir::types::{DType, Shape, Type};
use std::fmt;

/// A set with a bijection from free space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constraint {
    /// All of ℝ.
    Free,
    /// x > 0, by exp.
    Positive,
    /// lo < x < hi, by the logistic function.
    Interval(f64, f64),
    /// Along the last axis, numbers above 0 with the sum 1, by breaking a stick: what is left of it
    /// after `k - 1` breaks is divided at `z_k = sigmoid(u_k - log(N - k))`.
    Simplex,
    /// Along the last axis, numbers that rise strictly: the first, then the logarithms of the
    /// differences.
    Ordered,
    /// `L [K, K]`, lower triangular with a positive diagonal and rows of length 1: the Cholesky factor
    /// of a correlation matrix. The entry `L_ij` is the share `tanh(u_ij)` of what the entries before
    /// it leave of the row's length.
    CorrCholesky,
    /// `Q [N, N]`, a rotation: `QᵀQ = 1`, and no eigenvalue is -1. `Q = (1 - A)(1 + A)⁻¹` with
    /// `A = -Aᵀ`. Source: A. Cayley, Sur quelques propriétés des déterminants gauches, J. reine angew.
    /// Math. 32 (1846).
    Orthogonal,
}

/// How far the sums and lengths of a starting value may be from those of its set: a few rounding
/// errors of `f32`, or a third written with five digits.
const TOLERANCE: f64 = 1e-5;

/// Beyond this an entry of `A` belongs to a rotation by nearly half a turn.
const MAX_CAYLEY: f64 = 1e7;

impl Constraint {
    /// How many free numbers determine a value of `shape`.
    pub fn n_free(self, shape: &Shape) -> usize {
        let n = shape.dims().last().copied().unwrap_or(1);
        match self {
            Constraint::Free | Constraint::Positive | Constraint::Interval(..) => shape.count(),
            Constraint::Ordered => shape.count(),
            Constraint::Simplex => shape.count() - shape.count().checked_div(n).unwrap_or(0),
            Constraint::CorrCholesky | Constraint::Orthogonal => n * n.saturating_sub(1) / 2,
        }
    }

    /// The value at free numbers `u: [n_free]`, of `shape`.
    pub fn build(self, b: &mut Builder, u: ValueId, shape: &Shape) -> ValueId {
        let dtype = b.ty(u).dtype;
        if self.n_free(shape) == 0 {
            let middle = self.middle(shape);
            return b.constant(&middle, Type { dtype, shape: shape.clone() });
        }
        let n = shape.dims().last().copied().unwrap_or(1);
        let value = match self {
            Constraint::Free => u,
            Constraint::Positive => b.unary(Op::Exp, u),
            Constraint::Interval(lo, hi) => {
                let unit = b.unary(Op::Sigmoid, u);
                let spread = b.scale(hi - lo, unit);
                let base = b.splat_like(lo, spread);
                b.add(base, spread)
            }
            Constraint::Simplex => simplex(b, u, n),
            Constraint::Ordered => ordered(b, u, n),
            Constraint::CorrCholesky => corr_cholesky(b, u, n),
            Constraint::Orthogonal => orthogonal(b, u, n),
        };
        b.reshape(value, shape.clone())
    }

    /// The free numbers of a value of `shape`: the inverse of [`Constraint::build`]. `None` if the
    /// value does not lie inside the set.
    pub fn free(self, values: &[f64], shape: &Shape) -> Option<Vec<f64>> {
        let n = shape.dims().last().copied().unwrap_or(1).max(1);
        let free: Vec<f64> = match self {
            Constraint::Free => values.to_vec(),
            Constraint::Positive => values.iter().map(|x| libm::log(*x)).collect(),
            Constraint::Interval(lo, hi) => {
                values.iter().map(|x| libm::log(x - lo) - libm::log(hi - x)).collect()
            }
            Constraint::Simplex => {
                let rows: Option<Vec<Vec<f64>>> = values.chunks(n).map(broken_stick).collect();
                rows?.concat()
            }
            Constraint::Ordered => values
                .chunks(n)
                .flat_map(|row| {
                    let steps = row.windows(2).map(|pair| libm::log(pair[1] - pair[0]));
                    row.first().copied().into_iter().chain(steps)
                })
                .collect(),
            Constraint::CorrCholesky => shares_of_rows(values, n)?,
            Constraint::Orthogonal => skew_part(values, n)?,
        };
        free.iter().all(|u| u.is_finite()).then_some(free)
    }

    /// The value of `shape` at the middle of free space, 0.
    pub fn middle(self, shape: &Shape) -> Vec<f64> {
        let n = shape.dims().last().copied().unwrap_or(1).max(1);
        let entry = |at: usize| match self {
            Constraint::Free => 0.0,
            Constraint::Positive => 1.0,
            Constraint::Interval(lo, hi) => lo + (hi - lo) / 2.0,
            Constraint::Simplex => 1.0 / n as f64,
            Constraint::Ordered => (at % n) as f64,
            Constraint::CorrCholesky | Constraint::Orthogonal => f64::from(u8::from(at / n == at % n)),
        };
        (0..shape.count()).map(entry).collect()
    }

    /// Between which numbers every entry of a value lies.
    pub fn range(self) -> (f64, f64) {
        match self {
            Constraint::Free | Constraint::Ordered => (f64::NEG_INFINITY, f64::INFINITY),
            Constraint::Positive => (0.0, f64::INFINITY),
            Constraint::Interval(lo, hi) => (lo, hi),
            Constraint::Simplex => (0.0, 1.0),
            Constraint::CorrCholesky | Constraint::Orthogonal => (-1.0, 1.0),
        }
    }

    /// What its elements are called.
    pub fn noun(self) -> String {
        match self {
            Constraint::Free => "the real numbers".to_owned(),
            Constraint::Positive => "the positive numbers".to_owned(),
            Constraint::Interval(lo, hi) => format!("the numbers between {lo} and {hi}, ends excluded"),
            Constraint::Simplex => "the numbers above 0 with the sum 1".to_owned(),
            Constraint::Ordered => "the numbers that rise strictly".to_owned(),
            Constraint::CorrCholesky => {
                "the lower triangular matrices with a positive diagonal and rows of length 1".to_owned()
            }
            Constraint::Orthogonal => "the rotations without a half turn".to_owned(),
        }
    }
}

/// As it stands behind `in`.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constraint::Free => f.write_str("real"),
            Constraint::Positive => f.write_str("positive"),
            Constraint::Interval(lo, hi) => write!(f, "interval({lo}, {hi})"),
            Constraint::Simplex => f.write_str("simplex"),
            Constraint::Ordered => f.write_str("ordered"),
            Constraint::CorrCholesky => f.write_str("corr_cholesky"),
            Constraint::Orthogonal => f.write_str("orthogonal"),
        }
    }
}

// ---- from free space -----------------------------------------------------------------------

/// The rows `[R, N]` whose sticks are broken at `u: [R*(N - 1)]`. In logarithms, where nothing
/// cancels: `log z = -softplus(-v)` and `log(1 - z) = -softplus(v)`.
fn simplex(b: &mut Builder, u: ValueId, n: usize) -> ValueId {
    let dtype = b.ty(u).dtype;
    let rows = b.shape(u).count() / (n - 1);
    let u = b.reshape(u, Shape::new(&[rows, n - 1]));
    let shift: Vec<f64> = (1..n).map(|k| libm::log((n - k) as f64)).collect();
    let shift = b.constant(&shift, Type::new(dtype, &[n - 1]));
    let shift = b.broadcast(shift, Shape::new(&[rows, n - 1]), &[1]);
    let v = b.sub(u, shift);
    let opposite = b.neg(v);
    let [kept, taken] = [v, opposite].map(|v| b.unary(Op::Softplus, v)).map(|minus_log| b.neg(minus_log));
    let earlier = entries(b, dtype, (n - 1, n), |j, k| j < k);
    let left = b.matmul(kept, earlier);
    let all = b.splat(0.0, Type::new(dtype, &[rows, 1]));
    let taken = b.concat(&[taken, all], 1);
    let log = b.add(taken, left);
    b.unary(Op::Exp, log)
}

/// The rows `[R, N]` of `u: [R*N]`: the first number of each, and the others above it by the sums of
/// `exp(u)`.
fn ordered(b: &mut Builder, u: ValueId, n: usize) -> ValueId {
    let dtype = b.ty(u).dtype;
    let rows = b.shape(u).count() / n;
    let u = b.reshape(u, Shape::new(&[rows, n]));
    let all = (0, rows as u32);
    let first = b.slice(u, &[all, (0, 1)]);
    let steps = b.slice(u, &[all, (1, n as u32)]);
    let steps = b.unary(Op::Exp, steps);
    let parts = b.concat(&[first, steps], 1);
    let up_to = entries(b, dtype, (n, n), |j, k| j <= k);
    b.matmul(parts, up_to)
}

/// `L_ij = tanh(u_ij) exp(-Σ_{m<j} log cosh u_im)`, with 1 in place of `tanh` on the diagonal.
fn corr_cholesky(b: &mut Builder, u: ValueId, n: usize) -> ValueId {
    let dtype = b.ty(u).dtype;
    let u = strictly_lower(b, u, n);
    // log cosh u = softplus(2u) - u - log 2
    let double = b.scale(2.0, u);
    let soft = b.unary(Op::Softplus, double);
    let less = b.sub(soft, u);
    let log_2 = b.splat_like(std::f64::consts::LN_2, less);
    let log_cosh = b.sub(less, log_2);
    let before = entries(b, dtype, (n, n), |m, j| m < j);
    let used = b.matmul(log_cosh, before);
    let minus = b.neg(used);
    let left = b.unary(Op::Exp, minus);
    let shares = b.unary(Op::Tanh, u);
    let unit = entries(b, dtype, (n, n), |i, j| i == j);
    let shares = b.add(shares, unit);
    b.mul(shares, left)
}

/// `(1 - A)(1 + A)⁻¹` as `2(1 + A)⁻¹ - 1`, with `A` skew. Every pivot of `1 + A` is at least 1, since the
/// symmetric part of what is left in each step is at least the unit matrix, so that rows stay where
/// they are. Source: G. H. Golub, C. F. Van Loan, Matrix Computations, 4th edition, section 4.2.2.
fn orthogonal(b: &mut Builder, u: ValueId, n: usize) -> ValueId {
    let dtype = b.ty(u).dtype;
    let lower = strictly_lower(b, u, n);
    let upper = b.permute(lower, &[1, 0]);
    let skew = b.sub(lower, upper);
    let unit = entries(b, dtype, (n, n), |i, j| i == j);
    let matrix = b.add(unit, skew);
    let mut rest = b.concat(&[matrix, unit], 1);
    for step in 0..n {
        let width = b.shape(rest).dims()[1] as u32;
        let (here, all) = ((step as u32, step as u32 + 1), (0, n as u32));
        let pivot = b.slice(rest, &[here, (0, 1)]);
        let pivot = b.reshape(pivot, Shape::new(&[]));
        let row = b.slice(rest, &[here, (1, width)]);
        let row = b.div(row, pivot);
        let column = b.slice(rest, &[all, (0, 1)]);
        let others = b.slice(rest, &[all, (1, width)]);
        // In the row itself all is taken away and the divided row put back.
        let product = b.matmul(column, row);
        let without = b.sub(others, product);
        let place = entries(b, dtype, (n, 1), |i, _| i == step);
        let put_back = b.matmul(place, row);
        rest = b.add(without, put_back);
    }
    let double = b.scale(2.0, rest);
    b.sub(double, unit)
}

/// `u: [n(n - 1)/2]` row by row below the diagonal of a matrix of zeros.
fn strictly_lower(b: &mut Builder, u: ValueId, n: usize) -> ValueId {
    let dtype = b.ty(u).dtype;
    let mut rows = Vec::with_capacity(n);
    for i in 0..n {
        let from = i * i.saturating_sub(1) / 2;
        let zeros = b.splat(0.0, Type::new(dtype, &[n - i]));
        let row = match i {
            0 => zeros,
            _ => {
                let entries = b.slice(u, &[(from as u32, (from + i) as u32)]);
                b.concat(&[entries, zeros], 0)
            }
        };
        rows.push(b.reshape(row, Shape::new(&[1, n])));
    }
    b.concat(&rows, 0)
}

/// A matrix of ones where `holds`, and zeros.
fn entries(
    b: &mut Builder,
    dtype: DType,
    (rows, columns): (usize, usize),
    holds: impl Fn(usize, usize) -> bool,
) -> ValueId {
    let at = |k: usize| f64::from(u8::from(holds(k / columns, k % columns)));
    let entries: Vec<f64> = (0..rows * columns).map(at).collect();
    b.constant(&entries, Type::new(dtype, &[rows, columns]))
}

// ---- back to free space --------------------------------------------------------------------

/// `log(x_k/Σ_{j>k} x_j) + log(N - k)`
fn broken_stick(row: &[f64]) -> Option<Vec<f64>> {
    let n = row.len();
    let sum: f64 = row.iter().sum();
    if (sum - 1.0).abs() > TOLERANCE || row.iter().any(|x| *x <= 0.0) {
        return None;
    }
    let mut rest = 0.0;
    let mut free = Vec::with_capacity(n - 1);
    for k in (1..n).rev() {
        rest += row[k];
        free.push(libm::log(row[k - 1]) - libm::log(rest) + libm::log((n - k) as f64));
    }
    free.reverse();
    Some(free)
}

/// `asinh(L_ij/r)` with `r` the length of the rest of the row, which is `atanh` of the share.
fn shares_of_rows(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut free = Vec::new();
    for (i, row) in matrix.chunks(n).enumerate() {
        let length: f64 = row.iter().map(|x| x * x).sum();
        let above = row[i + 1..].iter().any(|x| x.abs() > TOLERANCE);
        if (length - 1.0).abs() > TOLERANCE || row[i] <= 0.0 || above {
            return None;
        }
        let mut rest = row[i] * row[i];
        let mut shares = Vec::with_capacity(i);
        for x in row[..i].iter().rev() {
            shares.push(libm::asinh(x / rest.sqrt()));
            rest += x * x;
        }
        free.extend(shares.into_iter().rev());
    }
    Some(free)
}

/// The part below the diagonal of `A = 2(1 + Q)⁻¹ - 1`, by elimination with partial pivoting.
fn skew_part(q: &[f64], n: usize) -> Option<Vec<f64>> {
    let at = |i: usize, j: usize| q[i * n + j];
    let unit = |i: usize, j: usize| f64::from(u8::from(i == j));
    for (i, j) in (0..n * n).map(|k| (k / n, k % n)) {
        let product: f64 = (0..n).map(|k| at(k, i) * at(k, j)).sum();
        if product.is_nan() || (product - unit(i, j)).abs() > TOLERANCE {
            return None;
        }
    }
    let row = |i: usize| (0..n).map(|j| at(i, j) + unit(i, j)).chain((0..n).map(|j| unit(i, j))).collect();
    let mut rows: Vec<Vec<f64>> = (0..n).map(row).collect();
    for step in 0..n {
        let size = |i: usize| rows[i][step].abs();
        let pivot = (step..n).fold(step, |best, i| if size(i) > size(best) { i } else { best });
        rows.swap(step, pivot);
        let pivot = rows[step][step];
        rows[step].iter_mut().for_each(|x| *x /= pivot);
        let of_pivot = rows[step].clone();
        for (_, row) in rows.iter_mut().enumerate().filter(|(i, _)| *i != step) {
            let factor = row[step];
            row.iter_mut().zip(&of_pivot).for_each(|(x, p)| *x -= factor * p);
        }
    }
    let skew = |i: usize, j: usize| 2.0 * rows[i][n + j];
    let below: Vec<f64> = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| skew(i, j)).collect();
    below.iter().all(|a| a.abs() < MAX_CAYLEY).then_some(below)
}
