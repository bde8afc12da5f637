//! The adjoint equation of a motion, with the states it needs and the integrals that it gives.
//!
//! For `y' = f(t, y, a, q)`, states `z` and channels `c`, with cotangents `λ` of the states and
//! constant ones `κ` of the channels (nothing reads a channel, so theirs do not change):
//!
//! `z' = f_z`, `λ' = -∂g/∂z`, `α' = -∂g/∂a`, `ρ' = -∂g/∂q` with `g = ⟨λ, f_z⟩ + ⟨κ, f_c⟩`.
//!
//! Integrated from the end to the start, `λ` becomes the cotangent of the start value, and `α` and
//! `ρ`, zero at the end, those of args and params. Source: Pontryagin's adjoint as in Chen et al.,
//! Neural Ordinary Differential Equations, 2018, appendix B.

use crate::ad;
use crate::ir::builder::Builder;
use crate::ir::func::{Func, ValueId};
use crate::ir::types::Type;
use crate::opt;
use crate::plan::kernels::rate;
use crate::plan::unit::PlanError;

/// `t, inside, w: [2Z + A + Q], a: [A + C], q, data.. -> w'` of the rate `t, inside, y: [Z + C], a,
/// q, data.. -> y'`, with `w = (z, λ, α, ρ)` and `κ` behind the args.
pub(crate) fn augmented(rate_func: &Func, n_states: usize) -> Result<Func, PlanError> {
    let len = |port: usize| rate_func.ty(rate_func.params[port].value).shape.count();
    let (n, n_args, n_params) = (len(rate::Y), len(rate::A), len(rate::Q));
    let state = rate_func.ty(rate_func.params[rate::Y].value).clone();
    let vector = |len: usize| Type::new(state.dtype, &[len]);
    let mut b = Builder::new("augmented");
    let mut args: Vec<ValueId> = Vec::new();
    for (number, port) in rate_func.params.iter().enumerate() {
        let ty = match number {
            rate::Y => vector(2 * n_states + n_args + n_params),
            rate::A => vector(n_args + n - n_states),
            _ => rate_func.ty(port.value).clone(),
        };
        args.push(b.param(port.name.clone(), ty));
    }
    let (w, fixed) = (args[rate::Y], args[rate::A]);
    let z = b.part(w, 0, n_states);
    let lambda = b.part(w, n_states, 2 * n_states);
    let kappa = b.part(fixed, n_args, n_args + n - n_states);
    let channels = b.splat(0.0, vector(n - n_states));
    args[rate::Y] = b.concat(&[z, channels], 0);
    args[rate::A] = b.part(fixed, 0, n_args);

    let dy = b.inline(rate_func, &args)[0];
    let cotangents = ad::vjp_func(rate_func, &[rate::Y, rate::A, rate::Q], &[0])?;
    args.push(b.concat(&[lambda, kappa], 0));
    let by = b.inline(&cotangents, &args);
    let by_z = b.part(by[0], 0, n_states);
    let mut parts = vec![b.part(dy, 0, n_states)];
    for bar in [by_z, by[1], by[2]] {
        parts.push(b.neg(bar));
    }
    let dw = b.concat(&parts, 0);
    Ok(opt::optimise(b.finish(vec![("dw".into(), dw)])))
}
