//! Eigenvalues and eigenvectors of symmetric matrices.
//!
//! Jacobi's rotations find them, and no derivative passes through the rotations. Behind them stand a
//! few steps of a refinement that converges quadratically: they start at its fixed point and change
//! nothing but rounding errors, while each doubles the number of derivatives that are right, as
//! Newton's method does for a power series. So `n` steps give all derivatives up to order `2ⁿ - 1`, in
//! every mode, by the rules of their ops alone.
//!
//! Where two eigenvalues agree the eigenvectors are any basis of their space and have no derivatives;
//! the values are right, derivatives are not finite.

use super::{Frame, Made};
use crate::base::span::Span;
use crate::ir::func::{Attr, ValueId};
use crate::ir::op::Op;
use crate::ir::types::{DType, Shape, Type};
use crate::sema::elaborate::guard::guarded_by;
use crate::sema::errors;
use crate::sema::typed::Expr;

/// Most rows: a sweep is as many rounds of some 30 nodes.
const MAX_ROWS: usize = 16;

/// How often all pairs are rotated. Convergence is quadratic at the end, and in practice the number
/// needed grows like `log n` (G. H. Golub, C. F. Van Loan, Matrix Computations, 4th edition, section
/// 8.5.4); what is left then the refinement squares [`REFINEMENTS`] times over.
fn n_sweeps(n: usize) -> usize {
    if n == 2 { 1 } else { 3 + n.next_power_of_two().ilog2() as usize }
}

/// Derivatives up to order 31: a Taylor series of order 16 within some gradients.
const REFINEMENTS: usize = 5;

impl<'m> Frame<'m, '_> {
    /// `[n + 1, n]`: the eigenvalues of `(x + xᵀ)/2`, ascending, above the matrix whose columns are
    /// eigenvectors of length 1.
    pub(super) fn eigen(&mut self, x: &'m Expr, span: Span) -> Made<ValueId> {
        let a = self.value(x)?;
        let n = self.b.shape(a).dims()[0];
        if n > MAX_ROWS {
            let what = format!("`eigh` of a matrix of more than {MAX_ROWS} rows is");
            return Err(Box::new(errors::not_yet(span, what, "compute it outside and read it as data")));
        }
        // On the side of an `if` that is not taken: eigenvalues that differ.
        let apart = self.matrix_of(n, &|i, j| if i == j { i as f64 } else { 0.0 });
        let a = guarded_by(&mut self.b, self.guard, a, apart);
        let transposed = self.b.permute(a, &[1, 0]);
        let sum = self.b.add(a, transposed);
        let a = self.b.scale(0.5, sum);
        let mut vectors = self.matrix_of(n, &|i, j| f64::from(u8::from(i == j)));
        if n > 1 {
            let fixed = self.b.unary(Op::StopGradient, a);
            vectors = self.rotated(fixed, n);
            for _ in 0..REFINEMENTS {
                vectors = self.refined(a, vectors, n);
            }
        }
        let (products, lengths) = self.products(a, vectors);
        let (products, lengths) = (self.diagonal(products, n), self.diagonal(lengths, n));
        let values = self.b.div(products, lengths);
        let values = self.b.reshape(values, Shape::new(&[1, n]));
        Ok(self.b.concat(&[values, vectors], 0))
    }

    /// Eigenvectors of `a` as columns, by ascending eigenvalue. In every round each row is paired with
    /// another, and all pairs are rotated at once, so that a round is a product of matrices. Source: R. P.
    /// Brent, F. T. Luk, The solution of singular-value and symmetric eigenvalue problems on
    /// multiprocessor arrays, SIAM J. Sci. Stat. Comput. 6 (1985).
    fn rotated(&mut self, a: ValueId, n: usize) -> ValueId {
        let mut a = a;
        let mut vectors = self.matrix_of(n, &|i, j| f64::from(u8::from(i == j)));
        for partners in std::iter::repeat_n(rounds(n), n_sweeps(n)).flatten() {
            let pairs = self.matrix_of(n, &|i, j| f64::from(u8::from(partners[i] == j && i != j)));
            let rotation = self.rotation(a, pairs, &partners);
            let transposed = self.b.permute(rotation, &[1, 0]);
            let half = self.b.matmul(transposed, a);
            a = self.b.matmul(half, rotation);
            vectors = self.b.matmul(vectors, rotation);
        }
        let values = self.diagonal(a, n);
        let order = self.order(values, n);
        self.b.matmul(vectors, order)
    }

    /// The rotation that brings the entry of every pair to 0, by the smaller of the two angles:
    /// `tan φ = 2o sign(d)/(|d| + √(d² + 4o²))` with the entry `o` and the difference `d` of the diagonal.
    /// A row sees the same pair as its partner with the signs of `d` and `φ` changed.
    fn rotation(&mut self, a: ValueId, pairs: ValueId, partners: &[usize]) -> ValueId {
        let n = partners.len();
        let own = self.diagonal(a, n);
        let other = self.b.matmul(pairs, own);
        let difference = self.b.sub(other, own);
        let chosen = self.b.mul(a, pairs);
        let entry = self.b.sum_axes(chosen, &[1]);
        let entry = self.b.scale(2.0, entry);
        let zero = self.b.zeros_like(difference);
        let level = self.b.binary(Op::Eq, difference, zero);
        let sign = self.b.unary(Op::Sign, difference);
        // Which of the two turns does not matter where the diagonal is level, but they must agree.
        let first: Vec<f64> = (0..n).map(|i| if i < partners[i] { 1.0 } else { -1.0 }).collect();
        let first = self.b.constant(&first, Type::new(self.world.real, &[n]));
        let sign = self.b.select(level, first, sign);
        let (size, square) = (self.b.unary(Op::Abs, difference), self.b.mul(difference, difference));
        let entries = self.b.mul(entry, entry);
        let sum = self.b.add(square, entries);
        let root = self.b.unary(Op::Sqrt, sum);
        let below = self.b.add(size, root);
        let nothing = self.b.binary(Op::Eq, below, zero);
        let one = self.b.splat_like(1.0, below);
        let below = self.b.select(nothing, one, below);
        let above = self.b.mul(entry, sign);
        let tan = self.b.div(above, below);
        let square = self.b.mul(tan, tan);
        let sum = self.b.add(one, square);
        let root = self.b.unary(Op::Sqrt, sum);
        let (cos, sin) = (self.b.div(one, root), self.b.div(tan, root));
        let shape = Shape::new(&[n, n]);
        let (cos, sin) = (self.b.broadcast(cos, shape.clone(), &[0]), self.b.broadcast(sin, shape, &[0]));
        let unit = self.matrix_of(n, &|i, j| f64::from(u8::from(i == j)));
        let (cos, sin) = (self.b.mul(unit, cos), self.b.mul(pairs, sin));
        self.b.add(cos, sin)
    }

    /// The permutation matrix `P` for which `values P` ascends.
    fn order(&mut self, values: ValueId, n: usize) -> ValueId {
        let shape = Shape::new(&[n, n]);
        let (own, other) =
            (self.b.broadcast(values, shape.clone(), &[0]), self.b.broadcast(values, shape.clone(), &[1]));
        let (less, level) = (self.b.binary(Op::Lt, other, own), self.b.binary(Op::Eq, other, own));
        let earlier = self.matrix_of(n, &|i, j| f64::from(u8::from(j < i)));
        let zero = self.b.zeros_like(earlier);
        let earlier = self.b.binary(Op::Lt, zero, earlier);
        let tied = self.b.binary(Op::And, level, earlier);
        let before = self.b.binary(Op::Or, less, tied);
        let before = self.b.must(Op::Convert, &[before], Attr::To(self.world.real));
        let rank = self.b.sum_axes(before, &[1]);
        let rank = self.b.broadcast(rank, shape, &[0]);
        let places = self.matrix_of(n, &|_, j| j as f64);
        let is_place = self.b.binary(Op::Eq, rank, places);
        self.b.must(Op::Convert, &[is_place], Attr::To(self.world.real))
    }

    /// A step of the refinement of `V`: `V + V E`, where `E` makes the columns orthonormal and what is
    /// left off the diagonal of `Vᵀ A V` zero, both to second order. Source: T. Ogita, K. Aishima,
    /// Iterative refinement for symmetric eigenvalue decomposition, Japan J. Indust. Appl. Math. 35
    /// (2018), algorithm 1.
    fn refined(&mut self, a: ValueId, vectors: ValueId, n: usize) -> ValueId {
        let (products, lengths) = self.products(a, vectors);
        let unit = self.matrix_of(n, &|i, j| f64::from(u8::from(i == j)));
        let missing = self.b.sub(unit, lengths);
        let (own, lengths) = (self.diagonal(products, n), self.diagonal(lengths, n));
        let values = self.b.div(own, lengths);
        let shape = Shape::new(&[n, n]);
        let (row, column) =
            (self.b.broadcast(values, shape.clone(), &[0]), self.b.broadcast(values, shape, &[1]));
        let gap = self.b.sub(column, row);
        let scaled = self.b.mul(missing, column);
        let rest = self.b.add(products, scaled);
        let agree = self.agree(gap, values, n);
        let one = self.b.splat_like(1.0, gap);
        let divisor = self.b.select(agree, one, gap);
        let turned = self.b.div(rest, divisor);
        let half = self.b.scale(0.5, missing);
        let undetermined = self.undetermined(rest, agree, unit);
        let within = self.b.add(half, undetermined);
        let step = self.b.select(agree, within, turned);
        let change = self.b.matmul(vectors, step);
        self.b.add(vectors, change)
    }

    /// `VᵀAV` and `VᵀV`.
    fn products(&mut self, a: ValueId, vectors: ValueId) -> (ValueId, ValueId) {
        let transposed = self.b.permute(vectors, &[1, 0]);
        let image = self.b.matmul(a, vectors);
        (self.b.matmul(transposed, image), self.b.matmul(transposed, vectors))
    }

    /// Which eigenvalues are the same, their gap being a rounding error of the largest; each is so with
    /// itself.
    fn agree(&mut self, gap: ValueId, values: ValueId, n: usize) -> ValueId {
        let [gap, values] = [gap, values].map(|x| self.b.unary(Op::StopGradient, x));
        let (gap, sizes) = (self.b.unary(Op::Abs, gap), self.b.unary(Op::Abs, values));
        let largest = self.b.must(Op::ReduceMax, &[sizes], Attr::Axes([0].as_slice().into()));
        let epsilon = match self.world.real {
            DType::F32 => f64::from(f32::EPSILON),
            DType::F64 | DType::I64 | DType::Bool => f64::EPSILON,
        };
        let bound = self.b.scale(4.0 * n as f64 * epsilon, largest);
        let shape = self.b.shape(gap).clone();
        let bound = self.b.broadcast(bound, shape, &[]);
        self.b.binary(Op::Le, gap, bound)
    }

    /// Zeros, whose derivatives are not finite where two eigenvalues agree: `√(x - x)` there, and
    /// `1 - 1` elsewhere.
    fn undetermined(&mut self, rest: ValueId, agree: ValueId, unit: ValueId) -> ValueId {
        let zero = self.b.zeros_like(unit);
        let apart = self.b.binary(Op::Eq, unit, zero);
        let places = self.b.binary(Op::And, agree, apart);
        let fixed = self.b.unary(Op::StopGradient, rest);
        let nothing = self.b.sub(rest, fixed);
        let one = self.b.splat_like(1.0, nothing);
        let safe = self.b.select(places, nothing, one);
        let root = self.b.unary(Op::Sqrt, safe);
        self.b.select(places, root, zero)
    }

    fn diagonal(&mut self, a: ValueId, n: usize) -> ValueId {
        let unit = self.matrix_of(n, &|i, j| f64::from(u8::from(i == j)));
        let diagonal = self.b.mul(a, unit);
        self.b.sum_axes(diagonal, &[1])
    }

    fn matrix_of(&mut self, n: usize, entry: &dyn Fn(usize, usize) -> f64) -> ValueId {
        let entries: Vec<f64> = (0..n * n).map(|at| entry(at / n, at % n)).collect();
        self.b.constant(&entries, Type::new(self.world.real, &[n, n]))
    }
}

/// The rounds of a tournament of `n`: who is whose partner, itself if it rests. The last, or an
/// absent one, stays in its place while the others go round.
fn rounds(n: usize) -> Vec<Vec<usize>> {
    let m = n + n % 2;
    let round = |round: usize| {
        let partner = |i: usize| {
            let other = match i {
                i if i == m - 1 => round * (m / 2) % (m - 1),
                i => (round + 2 * (m - 1) - i) % (m - 1),
            };
            let other = if other == i { m - 1 } else { other };
            if other < n { other } else { i }
        };
        (0..n).map(partner).collect()
    };
    (0..m - 1).map(round).collect()
}

#[cfg(test)]
mod tests {
    use super::rounds;
    use std::collections::BTreeSet;

    #[test]
    fn everybody_meets_everybody_once() {
        for n in 2..=9 {
            let mut met = BTreeSet::new();
            for partners in rounds(n) {
                for (i, j) in partners.iter().enumerate() {
                    assert_eq!(partners[*j], i, "{n}: {partners:?}");
                    assert!(i == *j || met.insert((i, *j)), "{n}: {i} meets {j} again");
                }
            }
            assert_eq!(met.len(), n * (n - 1));
        }
    }
}
