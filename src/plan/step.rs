//! A step of a Runge–Kutta method as a function of the IR.
//!
//! The tableau is data and the field is IR, so the step is IR: the back ends compile it whole, and
//! its tangent and its reverse are the same passes as for any other function.

use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::solve::tableau::Tableau;

/// The step of `tableau` for `rate: t, inside, y: [n], rest.. -> dy: [n]`:
///
/// `t, h, y: [n], k1: [n], rest.. -> tail: [(s-1)*n], y_new: [n], err: [n]`
///
/// with `k_i = rate(t + c_i h, t + h/2, y + h Σ_j a_ij k_j)`, `tail` the rates `k_2 .. k_s`,
/// `y_new = y + h Σ b_i k_i` and `err = h Σ (b_i - b̂_i) k_i` (zeros without an embedded method).
/// `k1` is the rate at `(t, y)`. Source: Hairer, Nørsett, Wanner, Solving ODEs I, II.1 and II.4.
pub fn step(rate: &Func, tableau: &Tableau) -> Func {
    let mut b = Builder::new("step");
    let time = rate.ty(rate.params[0].value).clone();
    let state = rate.ty(rate.params[2].value).clone();
    let t = b.param("t", time.clone());
    let h = b.param("h", time.clone());
    let y = b.param("y", state.clone());
    let mut stages = vec![b.param("k1", state.clone())];
    let rest: Vec<ValueId> =
        rate.params[3..].iter().map(|port| b.param(port.name.clone(), rate.ty(port.value).clone())).collect();

    let inside = stage_time(&mut b, t, h, 0.5);
    for i in 1..tableau.n_stages() {
        let row: Vec<f64> = tableau.a[i].iter().map(|a| a.value()).collect();
        let time = stage_time(&mut b, t, h, tableau.c[i].value());
        let mut args = vec![time, inside, advanced(&mut b, y, h, &row, &stages)];
        args.extend(&rest);
        stages.push(b.inline(rate, &args)[0]);
    }
    let weights: Vec<f64> = tableau.b.iter().map(|b| b.value()).collect();
    let y_new = advanced(&mut b, y, h, &weights, &stages);
    let err = match tableau.b_err() {
        Some(b_err) => {
            let weights: Vec<f64> = b_err.iter().map(|e| e.value()).collect();
            let zero = b.splat(0.0, state.clone());
            advanced(&mut b, zero, h, &weights, &stages)
        }
        None => b.splat(0.0, state.clone()),
    };
    let tail = b.pack(&stages[1..], state.dtype);
    b.finish(vec![("tail".into(), tail), ("y_new".into(), y_new), ("err".into(), err)])
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
