//! Linear algebra: determinants, and linear equations by elimination.
//!
//! Elimination is unrolled into nodes that have derivatives of their own, so that solutions are
//! differentiated in every mode. Which row is the pivot is locally constant.

use super::{Frame, Made};
use crate::base::span::Span;
use crate::ir::func::{Attr, ValueId};
use crate::ir::op::Op;
use crate::ir::types::{DType, Shape};
use crate::sema::elaborate::guard::guarded_by;
use crate::sema::errors;
use crate::sema::typed::{Expr, Extreme};

/// Most rows of a matrix that is eliminated: every step is a handful of nodes.
const MAX_ROWS: usize = 32;

impl<'m> Frame<'m, '_> {
    /// The determinant: the sum over permutations for up to three rows, else the product of the
    /// pivots with the sign of their order. A pivot of 0 before the last one gives NaN there.
    pub(super) fn determinant(&mut self, x: &'m Expr, span: Span) -> Made<ValueId> {
        let a = self.matrix(x, span)?;
        let n = self.b.shape(a).dims()[0];
        let entry = |frame: &mut Self, row: usize, column: usize| {
            let at = |k: usize| (k as u32, k as u32 + 1);
            let entry = frame.b.slice(a, &[at(row), at(column)]);
            frame.b.reshape(entry, Shape::new(&[]))
        };
        if n > 3 {
            return Ok(self.eliminated_determinant(a));
        }
        let one = self.b.scalar(1.0, self.world.real);
        // Along the first row; the minors of a 3 by 3 matrix keep the cyclic order of the columns.
        Ok(match n {
            0 => one,
            1 => entry(self, 0, 0),
            _ => {
                let mut sum = None;
                for column in 0..n {
                    let (next, last) = ((column + 1) % n, (column + 2) % n);
                    let first = entry(self, 0, column);
                    let minor = if n == 2 {
                        let other = entry(self, 1, next);
                        if column == 0 { other } else { self.b.neg(other) }
                    } else {
                        let [p, q] = [(next, last), (last, next)].map(|(above, below)| {
                            let (above, below) = (entry(self, 1, above), entry(self, 2, below));
                            self.b.mul(above, below)
                        });
                        self.b.sub(p, q)
                    };
                    let term = self.b.mul(first, minor);
                    sum = Some(match sum {
                        Some(sum) => self.b.add(sum, term),
                        None => term,
                    });
                }
                sum.expect("a matrix of two rows has a column")
            }
        })
    }

    /// `a⁻¹ b` for `b: [n]` or `[n, m]`, by elimination of whole columns with partial pivoting.
    ///
    /// Source: N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, 2002,
    /// section 14.4.
    pub(super) fn solution(&mut self, a: &'m Expr, b: &'m Expr, span: Span) -> Made<ValueId> {
        let (a, b) = (self.matrix(a, span)?, self.value(b)?);
        let shape = self.b.shape(b).clone();
        let n = shape.dims()[0];
        let columns = shape.count().checked_div(n).unwrap_or(0);
        let b = self.b.reshape(b, Shape::new(&[n, columns]));
        let mut rest = self.b.concat(&[a, b], 1);
        for step in 0..n {
            let (row, above, below) = self.pivoted(rest, step).1;
            let pivot = self.part(row, (0, 1), (0, 1));
            let width = self.b.shape(row).dims()[1];
            let row = self.part(row, (0, 1), (1, width));
            let pivot = self.b.reshape(pivot, Shape::new(&[]));
            let row = self.b.div(row, pivot);
            let others = [above, below].map(|rows| self.without(rows, row));
            rest = self.b.concat(&[others[0], row, others[1]], 0);
        }
        Ok(self.b.reshape(rest, shape))
    }

    fn eliminated_determinant(&mut self, a: ValueId) -> ValueId {
        let n = self.b.shape(a).dims()[0];
        let mut rest = a;
        let mut product = self.b.scalar(1.0, self.world.real);
        for _ in 0..n {
            let (swapped, (row, _, below)) = self.pivoted(rest, 0);
            let width = self.b.shape(row).dims()[1];
            let pivot = self.part(row, (0, 1), (0, 1));
            let pivot = self.b.reshape(pivot, Shape::new(&[]));
            let row = self.part(row, (0, 1), (1, width));
            let minus = self.b.neg(pivot);
            let signed = self.b.select(swapped, minus, pivot);
            product = self.b.mul(product, signed);
            if width > 1 {
                let row = self.b.div(row, pivot);
                rest = self.without(below, row);
            }
        }
        product
    }

    /// The first column of `rows` times `row` taken from the others of `rows`.
    fn without(&mut self, rows: ValueId, row: ValueId) -> ValueId {
        let dims = self.b.shape(rows).dims().to_vec();
        let column = self.part(rows, (0, dims[0]), (0, 1));
        let rest = self.part(rows, (0, dims[0]), (1, dims[1]));
        let product = self.b.matmul(column, row);
        self.b.sub(rest, product)
    }

    /// The rows of `x` with row `step` exchanged for that, from `step` on, whose first entry is the
    /// largest: whether another one was, then that row, those above and those below.
    fn pivoted(&mut self, x: ValueId, step: usize) -> (ValueId, (ValueId, ValueId, ValueId)) {
        let dims = self.b.shape(x).dims().to_vec();
        let (n, width) = (dims[0], dims[1]);
        let column = self.part(x, (step, n), (0, 1));
        let column = self.b.reshape(column, Shape::new(&[n - step]));
        let sizes = self.b.unary(Op::Abs, column);
        let place = self.place(Extreme::Largest, sizes, 0);
        // A column of NaN has no largest entry; any row will do.
        let last = self.b.scalar((n - step - 1) as f64, DType::I64);
        let is_place = self.b.must(Op::Le, &[place, last], Attr::None);
        let place = self.b.select(is_place, place, last);
        let here = self.b.scalar(step as f64, DType::I64);
        let pivot = self.b.add(place, here);
        let numbers = self.b.must(Op::Iota, &[], Attr::Shape(Shape::new(&[n])));
        let (is_here, is_pivot) =
            (self.b.binary(Op::Eq, numbers, here), self.b.binary(Op::Eq, numbers, pivot));
        let order = self.b.select(is_pivot, here, numbers);
        let order = self.b.select(is_here, pivot, order);
        let rows = self.b.must(Op::Gather, &[x, order], Attr::None);
        let same = self.b.must(Op::Eq, &[pivot, here], Attr::None);
        let swapped = self.b.unary(Op::Not, same);
        let row = self.part(rows, (step, step + 1), (0, width));
        let above = self.part(rows, (0, step), (0, width));
        let below = self.part(rows, (step + 1, n), (0, width));
        (swapped, (row, above, below))
    }

    fn part(&mut self, x: ValueId, rows: (usize, usize), columns: (usize, usize)) -> ValueId {
        let range = |(lo, hi): (usize, usize)| (lo as u32, hi as u32);
        self.b.slice(x, &[range(rows), range(columns)])
    }

    /// A matrix; on the side of an `if` that is not taken, the unit matrix.
    fn matrix(&mut self, x: &'m Expr, span: Span) -> Made<ValueId> {
        let a = self.value(x)?;
        let n = self.b.shape(a).dims()[0];
        if n > MAX_ROWS {
            let what = format!("linear algebra with a matrix of more than {MAX_ROWS} rows is");
            let instead = "solve the equations as states of the system, or outside";
            return Err(Box::new(errors::not_yet(span, what, instead)));
        }
        let unit = self.unit_matrix(x)?;
        Ok(guarded_by(&mut self.b, self.guard, a, unit))
    }
}
