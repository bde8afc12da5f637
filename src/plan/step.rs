//! A step of a Runge–Kutta method as a function of the IR.
//!
//! The tableau is data and the field is IR, so the step is IR: the back ends compile it whole, and
//! its tangent and its reverse are the same passes as for any other function.

use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::types::{Shape, Type};
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

/// The stages that only dense output needs: `t, h, y: [n], stages: [s*n], rest.. -> extra: [e*n]`.
/// `None` if there are none.
pub fn extension(rate: &Func, tableau: &Tableau) -> Option<Func> {
    if tableau.dense.extra.is_empty() {
        return None;
    }
    let state = rate.ty(rate.params[2].value).clone();
    let (s, n) = (tableau.n_stages(), state.shape.dims()[0]);
    let known = Type { shape: Shape::new(&[s * n]), dtype: state.dtype };
    let (mut b, mut stages, args) = begin(rate, "extension", ("stages", known));
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
    let (mut b, mut stages, args) = begin(rate, "step", ("k1", state.clone()));
    push_stages(&mut b, rate, tableau, 1..n_rows, &args, &mut stages);
    let step = &stages[..tableau.n_stages()];
    let weights: Vec<f64> = tableau.b.iter().map(|b| b.value()).collect();
    let y_new = advanced(&mut b, args.y, args.h, &weights, step);
    let err = match tableau.b_err() {
        Some(b_err) => {
            let weights: Vec<f64> = b_err.iter().map(|e| e.value()).collect();
            let zero = b.splat(0.0, state.clone());
            advanced(&mut b, zero, args.h, &weights, step)
        }
        None => b.splat(0.0, state.clone()),
    };
    let tail = b.pack(&stages[1..], state.dtype);
    b.finish(vec![("tail".into(), tail), ("y_new".into(), y_new), ("err".into(), err)])
}

/// A function of `t, h, y`, the known stages and what else the rate takes.
fn begin(rate: &Func, name: &str, known: (&str, Type)) -> (Builder, Vec<ValueId>, Args) {
    let mut b = Builder::new(name);
    let time = rate.ty(rate.params[0].value).clone();
    let t = b.param("t", time.clone());
    let h = b.param("h", time.clone());
    let y = b.param("y", rate.ty(rate.params[2].value).clone());
    let stages = vec![b.param(known.0, known.1)];
    let rest = rate.params[3..].iter();
    let rest = rest.map(|port| b.param(port.name.clone(), rate.ty(port.value).clone())).collect();
    (b, stages, Args { t, h, y, rest })
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
