//! A step of a Runge–Kutta method as a function of the IR.
//!
//! The tableau is data and the field is IR, so the step is IR: the back ends compile it whole, and
//! its tangent and its reverse are the same passes as for any other function.

use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::op::Op;
use crate::ir::types::{Shape, Type};
use crate::solve::problem::Scale;
use crate::solve::tableau::Tableau;
use std::ops::Range;

/// The step of `tableau` for `rate: t, inside, y: [n], rest.. -> dy: [n]`:
///
/// `t, h, y: [n], k1: [n], rest.. -> tail: [(s-1)*n], y_new: [n], err: [n]`
///
/// with `k_i = rate(t + c_i h, t + h/2, y + h Σ_j a_ij k_j)`, `tail` the rates `k_2 .. k_s`,
/// `y_new = y + h Σ b_i k_i` and `err = h Σ (b_i - b̂_i) k_i` (zeros without an embedded method).
/// `k1` is the rate at `(t, y)`. Source: Hairer, Nørsett, Wanner, Solving ODEs I, II.1 and II.4.
pub fn step(rate: &Func, tableau: &Tableau) -> Func {
    step_of(rate, tableau, tableau.n_stages())
}

/// The same with the stages that only dense output needs: `tail` is `[(s+e-1)*n]`.
pub fn whole_step(rate: &Func, tableau: &Tableau) -> Func {
    step_of(rate, tableau, tableau.n_rows())
}

/// The same with the norm of its error over the first `n_counted` components:
///
/// `t, h, y: [n], k1: [n], scale: [2 + n], rest.. -> tail: [(s-1)*n], y_new: [n], err: [n], norm`
///
/// `scale` is a [`Scale`]. The norm has the very bits that
/// [`Explicit`](crate::solve::explicit::Explicit) gives it for a step that does not judge itself.
pub(crate) fn judged_step(rate: &Func, tableau: &Tableau, n_counted: usize) -> Func {
    let state = rate.ty(rate.params[2].value).clone();
    let n = state.shape.dims()[0];
    let scale = Type { shape: Shape::new(&[Scale::ATOL + n]), dtype: state.dtype };
    let (mut b, mut stages, args) = begin(rate, "judged_step", &[("k1", state.clone()), ("scale", scale)]);
    let scale = stages.pop().expect("two are known");
    let [tail, y_new, err] = stepped(&mut b, rate, tableau, tableau.n_stages(), &args, &mut stages);
    let [rtol, factor] = [0, 1].map(|at| {
        let entry = b.part(scale, at, at + 1);
        b.reshape(entry, Shape::new(&[]))
    });
    let atol = b.part(scale, Scale::ATOL, Scale::ATOL + n_counted);
    let [start, end] = [args.y, y_new].map(|y| {
        let y = b.part(y, 0, n_counted);
        b.unary(Op::Abs, y)
    });
    let size = b.binary(Op::Max, start, end);
    let relative = b.mul(rtol, size);
    let relative = rounded(&mut b, relative);
    let tolerance = b.add(atol, relative);
    let norm = root_mean_square(&mut b, err, tolerance, n_counted);
    let norm = b.mul(factor, norm);
    let norm = match tableau.third() {
        None => norm,
        Some(weights) => {
            let mut sum = b.splat(0.0, state);
            for (weight, stage) in weights.iter().zip(&stages).filter(|(weight, _)| !weight.is_zero()) {
                // Not a product that the new state has too: what is used twice is fused nowhere.
                let term = b.scale(-weight.value(), *stage);
                let term = rounded(&mut b, term);
                sum = b.sub(sum, term);
            }
            let third = b.mul(args.h, sum);
            let third = root_mean_square(&mut b, third, tolerance, n_counted);
            mixed(&mut b, norm, third)
        }
    };
    let results = [("tail", tail), ("y_new", y_new), ("err", err), ("norm", norm)];
    b.finish(results.map(|(name, value)| (name.into(), value)).to_vec())
}

/// The norm of two error estimates: `err²/√(err² + third²/100)`.
fn mixed(b: &mut Builder, err: ValueId, third: ValueId) -> ValueId {
    let square = b.mul(err, err);
    let square = rounded(b, square);
    let hundredth = b.scale(0.01, third);
    let hundredth = b.mul(hundredth, third);
    let hundredth = rounded(b, hundredth);
    let both = b.add(square, hundredth);
    let root = b.unary(Op::Sqrt, both);
    let mixed = b.div(square, root);
    let zero = b.zeros_like(err);
    let is_zero = b.binary(Op::Eq, err, zero);
    b.select(is_zero, zero, mixed)
}

/// The root of the mean of the squares of the first `n` of `v/tolerance`; nothing counts as nothing also of a
/// tolerance of zero.
fn root_mean_square(b: &mut Builder, v: ValueId, tolerance: ValueId, n: usize) -> ValueId {
    let v = b.part(v, 0, n);
    let magnitude = b.unary(Op::Abs, v);
    let ratio = b.div(magnitude, tolerance);
    let zero = b.zeros_like(v);
    let is_zero = b.binary(Op::Eq, v, zero);
    let ratio = b.select(is_zero, zero, ratio);
    let square = b.mul(ratio, ratio);
    let square = rounded(b, square);
    let sum = b.sum(square);
    let count = b.splat_like(n as f64, sum);
    let mean = b.div(sum, count);
    b.unary(Op::Sqrt, mean)
}

/// A product, with which nothing is fused: `solve`, whose sums have the same bits, does not fuse.
fn rounded(b: &mut Builder, product: ValueId) -> ValueId {
    b.binary(Op::Max, product, product)
}

/// The stages that only dense output needs: `t, h, y: [n], stages: [s*n], rest.. -> extra: [e*n]`.
/// `None` if there are none.
pub fn extension(rate: &Func, tableau: &Tableau) -> Option<Func> {
    if tableau.dense.extra.is_empty() {
        return None;
    }
    let state = rate.ty(rate.params[2].value).clone();
    let (s, n) = (tableau.n_stages(), state.shape.dims()[0]);
    let known = Type { shape: Shape::new(&[s * n]), dtype: state.dtype };
    let (mut b, mut stages, args) = begin(rate, "extension", &[("stages", known)]);
    let all = stages.remove(0);
    stages.extend((0..s).map(|i| b.part(all, i * n, (i + 1) * n)));
    push_stages(&mut b, rate, tableau, s..tableau.n_rows(), &args, &mut stages);
    let extra = b.pack(&stages[s..], state.dtype);
    Some(b.finish(vec![("extra".into(), extra)]))
}

/// What a stage takes beside the stages before it.
struct Args {
    t: ValueId,
    h: ValueId,
    y: ValueId,
    rest: Vec<ValueId>,
}

fn step_of(rate: &Func, tableau: &Tableau, n_rows: usize) -> Func {
    let state = rate.ty(rate.params[2].value).clone();
    let (mut b, mut stages, args) = begin(rate, "step", &[("k1", state)]);
    let [tail, y_new, err] = stepped(&mut b, rate, tableau, n_rows, &args, &mut stages);
    b.finish(vec![("tail".into(), tail), ("y_new".into(), y_new), ("err".into(), err)])
}

/// The rates after the first, which are appended to `stages`, the state at the end, and its error.
fn stepped(
    b: &mut Builder,
    rate: &Func,
    tableau: &Tableau,
    n_rows: usize,
    args: &Args,
    stages: &mut Vec<ValueId>,
) -> [ValueId; 3] {
    let state = rate.ty(rate.params[2].value).clone();
    push_stages(b, rate, tableau, 1..n_rows, args, stages);
    let step = &stages[..tableau.n_stages()];
    let weights: Vec<f64> = tableau.b.iter().map(|b| b.value()).collect();
    let y_new = advanced(b, args.y, args.h, &weights, step);
    let err = match tableau.b_err() {
        Some(b_err) => {
            let weights: Vec<f64> = b_err.iter().map(|e| e.value()).collect();
            let zero = b.splat(0.0, state.clone());
            advanced(b, zero, args.h, &weights, step)
        }
        None => b.splat(0.0, state.clone()),
    };
    let tail = b.pack(&stages[1..], state.dtype);
    [tail, y_new, err]
}

/// A function of `t, h, y`, what is known, and what else the rate takes.
fn begin(rate: &Func, name: &str, known: &[(&str, Type)]) -> (Builder, Vec<ValueId>, Args) {
    let mut b = Builder::new(name);
    let time = rate.ty(rate.params[0].value).clone();
    let t = b.param("t", time.clone());
    let h = b.param("h", time.clone());
    let y = b.param("y", rate.ty(rate.params[2].value).clone());
    let known = known.iter().map(|(name, ty)| b.param(*name, ty.clone())).collect();
    let rest = rate.params[3..].iter();
    let rest = rest.map(|port| b.param(port.name.clone(), rate.ty(port.value).clone())).collect();
    (b, known, Args { t, h, y, rest })
}

/// Appends the stages `rows` of `tableau`.
fn push_stages(
    b: &mut Builder,
    rate: &Func,
    tableau: &Tableau,
    rows: Range<usize>,
    args: &Args,
    stages: &mut Vec<ValueId>,
) {
    let inside = stage_time(b, args.t, args.h, 0.5);
    for i in rows {
        let (c, row) = tableau.stage(i);
        let row: Vec<f64> = row.iter().map(|a| a.value()).collect();
        let time = stage_time(b, args.t, args.h, c.value());
        let mut inputs = vec![time, inside, advanced(b, args.y, args.h, &row, stages)];
        inputs.extend(&args.rest);
        stages.push(b.inline(rate, &inputs)[0]);
    }
}

fn stage_time(b: &mut Builder, t: ValueId, h: ValueId, c: f64) -> ValueId {
    let advance = b.scale(c, h);
    b.add(t, advance)
}

/// `y + h Σ weights_i k_i`
fn advanced(b: &mut Builder, y: ValueId, h: ValueId, weights: &[f64], stages: &[ValueId]) -> ValueId {
    match combination(b, weights, stages) {
        Some(sum) => {
            let increment = b.mul(h, sum);
            b.add(y, increment)
        }
        None => y,
    }
}

/// `Σ weights_i k_i` in ascending order, leaving zero weights out. `None` if all are zero.
fn combination(b: &mut Builder, weights: &[f64], stages: &[ValueId]) -> Option<ValueId> {
    let mut sum = None;
    for (weight, stage) in weights.iter().zip(stages).filter(|(weight, _)| **weight != 0.0) {
        let term = b.scale(*weight, *stage);
        sum = Some(match sum {
            Some(sum) => b.add(sum, term),
            None => term,
        });
    }
    sum
}
