//! Paths through data: piecewise polynomials of time.
//!
//! A path through the values `xs: [K, ..]` at the ascending times `ts: [K]` is one polynomial on
//! each of the `K - 1` pieces between them: `x(t) = Σ_j c_j[k] (t - ts[k])^j` on piece `k`. The
//! [coefficients](Path::through) depend on the data alone, so that they can be computed once;
//! [value](Path::value) picks the piece by a time inside it, and its derivative by `t` is the slope. Before the
//! first time and after the last one the polynomial of the outermost piece goes on.

use crate::ir::builder::Builder;
use crate::ir::func::ValueId;
use crate::ir::op::Op;
use crate::ir::types::{DType, Shape, Type};

/// How a path goes from one value to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// Straight.
    Linear,
    /// By the natural cubic spline: twice continuously differentiable, second derivative 0 at both
    /// ends. Source: Kidger et al., Neural Controlled Differential Equations, 2020, appendix A.
    Cubic,
    /// By Hermite cubics whose slope at each time is that from the value before: continuously
    /// differentiable, and each piece depends on the past and its own end alone. Source: Morrill
    /// et al., Neural Controlled Differential Equations for Online Prediction Tasks, 2021.
    Hermite,
}

/// A path as nodes.
#[derive(Clone, Debug)]
pub struct Path {
    /// `ts: [K]`
    times: ValueId,
    /// `c_0, c_1, ..`, each `[K - 1, C]` with `C` entries to a value.
    coefficients: Vec<ValueId>,
    /// The shape of a value.
    shape: Shape,
}

impl Path {
    /// The path through `xs: [K, ..]` at `ts: [K]`, `K` at least 2.
    pub fn through(b: &mut Builder, kind: Interpolation, times: ValueId, xs: ValueId) -> Path {
        let dims = b.shape(xs).dims().to_vec();
        let (count, shape) = (dims[0], Shape::new(&dims[1..]));
        let xs = b.reshape(xs, Shape::new(&[count, shape.count()]));
        let knots = Knots::new(b, times, xs);
        let coefficients = match kind {
            Interpolation::Linear => vec![knots.left, knots.secant],
            Interpolation::Cubic => knots.natural(b),
            Interpolation::Hermite => knots.hermite(b),
        };
        Path { times, coefficients, shape }
    }

    /// The value at the scalar `t`, on the piece that the scalar `inside` lies in.
    pub fn value(&self, b: &mut Builder, t: ValueId, inside: ValueId) -> ValueId {
        // Σ_j c_j[k] (t - ts[k])^j by Horner's rule, k the piece of `inside`.
        let weights = self.piece(b, inside);
        let count = b.shape(self.times).dims()[0];
        let starts = rows(b, self.times, 0, count - 1);
        let start = b.dot(weights, starts);
        let since = b.sub(t, start);
        let mut value: Option<ValueId> = None;
        for c in self.coefficients.iter().rev() {
            let c = b.einsum(weights, *c, &[0], &[0, 1], &[1]);
            value = Some(match value {
                Some(higher) => {
                    let term = b.mul(higher, since);
                    b.add(c, term)
                }
                None => c,
            });
        }
        let value = value.expect("a polynomial has a coefficient");
        b.reshape(value, self.shape.clone())
    }

    /// 1 for the piece that `inside` lies in, 0 for the others: `[K - 1]`.
    fn piece(&self, b: &mut Builder, inside: ValueId) -> ValueId {
        let count = b.shape(self.times).dims()[0];
        let real = b.ty(self.times).dtype;
        let inner = rows(b, self.times, 1, count - 1);
        let at = b.broadcast(inside, Shape::new(&[count - 2]), &[]);
        let reached = b.binary(Op::Le, inner, at);
        let (one, zero) = (b.splat(1.0, vector(real, count - 2)), b.splat(0.0, vector(real, count - 2)));
        let reached = b.select(reached, one, zero);
        // Times ascend, so `reached` is ones, then zeros; the piece is where it steps down.
        let (first, last) = (b.splat(1.0, vector(real, 1)), b.splat(0.0, vector(real, 1)));
        let from = b.concat(&[first, reached], 0);
        let to = b.concat(&[reached, last], 0);
        b.sub(from, to)
    }
}

/// What all kinds of path are made of; `n` is the number of pieces.
struct Knots {
    n: usize,
    /// `x_k: [n, C]`
    left: ValueId,
    /// `h_k = t_{k+1} - t_k`, spread to `[n, C]`.
    width: ValueId,
    /// `(x_{k+1} - x_k)/h_k: [n, C]`
    secant: ValueId,
}

impl Knots {
    fn new(b: &mut Builder, times: ValueId, xs: ValueId) -> Knots {
        let dims = b.shape(xs).dims().to_vec();
        let (n, entries) = (dims[0] - 1, dims[1]);
        let (from, to) = (rows(b, times, 0, n), rows(b, times, 1, n + 1));
        let width = b.sub(to, from);
        // A piece of width 0 is the padding of a short series; nothing lies inside it.
        let (zero, one) = (b.zeros_like(width), b.splat_like(1.0, width));
        let empty = b.binary(Op::Eq, width, zero);
        let width = b.select(empty, one, width);
        // Times that go back have no path: it is not a number, which ends the run with a message.
        let (goes_back, nan) = (b.binary(Op::Lt, width, zero), b.splat_like(f64::NAN, width));
        let width = b.select(goes_back, nan, width);
        let width = b.broadcast(width, Shape::new(&[n, entries]), &[0]);
        let (left, right) = (rows(b, xs, 0, n), rows(b, xs, 1, n + 1));
        let rise = b.sub(right, left);
        let secant = b.div(rise, width);
        Knots { n, left, width, secant }
    }

    /// With slopes `m` at the start and `s` at the end of a piece of width `h` and secant `s`:
    /// `c_1 = m`, `c_2 = 2 (s - m)/h`, `c_3 = (m - s)/h²`.
    fn hermite(&self, b: &mut Builder) -> Vec<ValueId> {
        let (first, before) = (rows(b, self.secant, 0, 1), rows(b, self.secant, 0, self.n - 1));
        let m = b.concat(&[first, before], 0);
        let bend = b.sub(self.secant, m);
        let bend = b.div(bend, self.width);
        let c2 = b.scale(2.0, bend);
        let c3 = b.div(bend, self.width);
        let c3 = b.neg(c3);
        vec![self.left, m, c2, c3]
    }

    /// With second derivatives `M_k`: `c_1 = s - h (2 M_k + M_{k+1})/6`, `c_2 = M_k/2`,
    /// `c_3 = (M_{k+1} - M_k)/(6 h)`. The inner `M` solve
    /// `h_{k-1} M_{k-1} + 2 (h_{k-1} + h_k) M_k + h_k M_{k+1} = 6 (s_k - s_{k-1})`.
    fn natural(&self, b: &mut Builder) -> Vec<ValueId> {
        let n = self.n;
        let row = |b: &mut Builder, x: ValueId, k: usize| rows(b, x, k, k + 1);
        let ends = {
            let first = row(b, self.left, 0);
            b.zeros_like(first)
        };
        // Elimination from the first row on, then substitution from the last: the Thomas algorithm.
        let (mut diagonals, mut sides) = (Vec::new(), Vec::new());
        for k in 1..n {
            let (h0, h1) = (row(b, self.width, k - 1), row(b, self.width, k));
            let (s0, s1) = (row(b, self.secant, k - 1), row(b, self.secant, k));
            let both = b.add(h0, h1);
            let mut diagonal = b.scale(2.0, both);
            let turn = b.sub(s1, s0);
            let mut side = b.scale(6.0, turn);
            if let (Some(above), Some(side_above)) = (diagonals.last(), sides.last()) {
                let factor = b.div(h0, *above);
                let (less, less_side) = (b.mul(factor, h0), b.mul(factor, *side_above));
                diagonal = b.sub(diagonal, less);
                side = b.sub(side, less_side);
            }
            diagonals.push(diagonal);
            sides.push(side);
        }
        let mut second = vec![ends; n + 1];
        for k in (1..n).rev() {
            let h1 = row(b, self.width, k);
            let known = b.mul(h1, second[k + 1]);
            let side = b.sub(sides[k - 1], known);
            second[k] = b.div(side, diagonals[k - 1]);
        }
        let (at_start, at_end) = (b.concat(&second[..n], 0), b.concat(&second[1..], 0));
        let twice = b.scale(2.0, at_start);
        let bend = b.add(twice, at_end);
        let bend = b.mul(self.width, bend);
        let bend = b.scale(1.0 / 6.0, bend);
        let c1 = b.sub(self.secant, bend);
        let c2 = b.scale(0.5, at_start);
        let change = b.sub(at_end, at_start);
        let change = b.div(change, self.width);
        let c3 = b.scale(1.0 / 6.0, change);
        vec![self.left, c1, c2, c3]
    }
}

/// Rows `lo..hi` along the first axis.
fn rows(b: &mut Builder, x: ValueId, lo: usize, hi: usize) -> ValueId {
    let mut ranges: Vec<(u32, u32)> = b.shape(x).dims().iter().map(|n| (0, *n as u32)).collect();
    ranges[0] = (lo as u32, hi as u32);
    b.slice(x, &ranges)
}

fn vector(real: DType, len: usize) -> Type {
    Type::new(real, &[len])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ad::jvp;
    use crate::ir::eval::eval;
    use crate::ir::tensor::Tensor;

    const TS: [f64; 4] = [0.0, 1.0, 3.0, 4.0];
    const XS: [f64; 4] = [1.0, 2.0, -1.0, 0.5];

    /// Value and slope at `t` on the piece of `inside`.
    fn at(kind: Interpolation, t: f64, inside: f64) -> (f64, f64) {
        let mut b = Builder::new("path");
        let ts = b.param("ts", vector(DType::F64, TS.len()));
        let xs = b.param("xs", vector(DType::F64, XS.len()));
        let time = b.param("t", Type::scalar(DType::F64));
        let piece = b.param("inside", Type::scalar(DType::F64));
        let path = Path::through(&mut b, kind, ts, xs);
        let value = path.value(&mut b, time, piece);
        let one = b.scalar(1.0, DType::F64);
        let slope = jvp(&mut b, &[(time, one)], &[value]).expect("a path is smooth inside a piece")[0];
        let func = b.finish(vec![("value".into(), value), ("slope".into(), slope)]);
        let tensor = |values: &[f64], dims: &[usize]| Tensor {
            ty: Type::new(DType::F64, dims),
            data: values.to_vec(),
        };
        let args = [tensor(&TS, &[4]), tensor(&XS, &[4]), tensor(&[t], &[]), tensor(&[inside], &[])];
        let results = eval(&func, &args).expect("a path has no requests");
        (results[0].data[0], results[1].data[0])
    }

    fn close(found: (f64, f64), expected: (f64, f64)) {
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-14 * (1.0 + b.abs());
        assert!(near(found.0, expected.0) && near(found.1, expected.1), "{found:?} {expected:?}");
    }

    #[test]
    fn a_linear_path_has_the_slope_of_the_piece_that_is_meant() {
        close(at(Interpolation::Linear, 2.0, 2.0), (0.5, -1.5));
        close(at(Interpolation::Linear, 1.0, 0.5), (2.0, 1.0));
        close(at(Interpolation::Linear, 1.0, 1.5), (2.0, -1.5));
        close(at(Interpolation::Linear, 4.0, 4.0), (0.5, 1.5));
        close(at(Interpolation::Linear, 5.0, 5.0), (2.0, 1.5));
        close(at(Interpolation::Linear, -1.0, -1.0), (0.0, 1.0));
    }

    /// Expected values: scipy 1.17.1, `CubicSpline(ts, xs, bc_type="natural")`.
    #[test]
    fn a_cubic_path_is_the_natural_spline() {
        close(at(Interpolation::Cubic, 0.5, 0.5), (1.74609375, 1.1640625));
        close(at(Interpolation::Cubic, 2.0, 2.0), (0.40625, -2.1875));
        close(at(Interpolation::Cubic, 3.7, 3.7), (-0.14621875, 2.0246875));
    }

    /// Expected values: scipy 1.17.1, `CubicHermiteSpline` on each piece with the slopes of the page.
    #[test]
    fn a_hermite_path_leaves_each_value_with_the_slope_from_the_value_before() {
        close(at(Interpolation::Hermite, 0.5, 0.5), (1.5, 1.0));
        close(at(Interpolation::Hermite, 2.0, 2.0), (1.125, -2.125));
        close(at(Interpolation::Hermite, 3.7, 3.7), (-0.139, 2.49));
    }
}
