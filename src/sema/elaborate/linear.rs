//! Small systems of linear equations as nodes.

use crate::ir::builder::Builder;
use crate::ir::func::ValueId;
use crate::ir::op::Op;
use crate::ir::types::Shape;

/// `x` with `matrix @ x = rhs` for a small `matrix: [n, n]` and `rhs: [n]`, by elimination with
/// row exchanges; `n` is at most [`MAX_ELIMINATED`]. A singular matrix gives infinities or NaN.
/// Source: Golub and Van Loan, Matrix Computations (2013), algorithm 3.4.1; rows are exchanged by
/// choosing between values, so that the code has no branches.
pub fn solved(b: &mut Builder, matrix: ValueId, rhs: ValueId) -> ValueId {
    let n = b.shape(rhs).count();
    assert!(n <= MAX_ELIMINATED, "elimination of {n} unknowns");
    let mut rows: Vec<Vec<ValueId>> = Vec::with_capacity(n);
    for i in 0..n as u32 {
        let mut row: Vec<ValueId> = Vec::with_capacity(n + 1);
        for j in 0..n as u32 {
            let entry = b.slice(matrix, &[(i, i + 1), (j, j + 1)]);
            row.push(b.reshape(entry, Shape::scalar()));
        }
        let entry = b.part(rhs, i as usize, i as usize + 1);
        row.push(b.reshape(entry, Shape::scalar()));
        rows.push(row);
    }
    for k in 0..n {
        for i in k + 1..n {
            exchange(b, &mut rows, k, i);
        }
        for i in k + 1..n {
            let factor = b.div(rows[i][k], rows[k][k]);
            for j in k + 1..=n {
                let term = b.mul(factor, rows[k][j]);
                rows[i][j] = b.sub(rows[i][j], term);
            }
        }
    }
    let mut x: Vec<ValueId> = Vec::with_capacity(n);
    for i in (0..n).rev() {
        let mut rest = rows[i][n];
        // `x` holds the unknowns from the last one down.
        for (back, known) in x.iter().enumerate() {
            let term = b.mul(rows[i][n - 1 - back], *known);
            rest = b.sub(rest, term);
        }
        x.push(b.div(rest, rows[i][i]));
    }
    x.reverse();
    let dtype = b.ty(rhs).dtype;
    b.pack(&x, dtype)
}

/// Most unknowns that [`solved`] takes: the code grows with their cube.
pub const MAX_ELIMINATED: usize = 8;

/// Exchanges rows `k` and `i` where the entry of row `i` in column `k` is the larger.
fn exchange(b: &mut Builder, rows: &mut [Vec<ValueId>], k: usize, i: usize) {
    let (here, there) = (b.unary(Op::Abs, rows[k][k]), b.unary(Op::Abs, rows[i][k]));
    let larger = b.binary(Op::Lt, here, there);
    for j in k..rows[k].len() {
        let (upper, lower) = (rows[k][j], rows[i][j]);
        rows[k][j] = b.select(larger, lower, upper);
        rows[i][j] = b.select(larger, upper, lower);
    }
}
