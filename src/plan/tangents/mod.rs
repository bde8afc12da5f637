//! Gradients by forward sensitivities: the derivatives of the states travel with the states.
//!
//! For the params `p_i` the states `z` are joined by `S_i = ∂z/∂p_i`, with `S_i' = f_z S_i + f_i`,
//! and solved with the method of the run, implicit ones included; the constraints of an algebraic
//! unknown are differentiated like rates. At an event `S_i` jumps as
//! [`instant`](crate::plan::adjoint::instant) says. [`AT_ONCE`] directions travel in one solve, so a
//! model of `P` numbers costs `⌈P / AT_ONCE⌉` solves; nothing of them is kept.
//!
//! With an explicit method the steps are those of the states alone, and the result is the
//! derivative of the numbers of the forward pass; with the others the sensitivities are held to the
//! tolerances of the states.
//!
//! Source: Hairer, Nørsett, Wanner, Solving ODEs I, I.14 and II.6; Maly and Petzold, Numerical
//! methods and software for sensitivity analysis of differential-algebraic systems, 1996.

mod events;
mod kernels;
mod motion;
mod solve;

pub(crate) use kernels::{ObjectiveTangent, SensitiveKernels, SolveTangents};

use crate::backend::Workspace;
use crate::plan::adjoint::Cost;
use crate::plan::adjoint::discrete::zeros;
use crate::plan::adjoint::hessian::Results;
use crate::plan::controls::{Controls, Failure};
use crate::plan::operands::{Context, Known};
use crate::plan::pack::Target;
use crate::plan::unit::{Element, Inputs};
use std::ops::AddAssign;

/// Directions that travel with the states in one solve.
pub(crate) const AT_ONCE: usize = 8;

/// The tangents of the known values of a solve, for each direction.
pub(super) struct Tangents<T> {
    /// Of start and end.
    pub ends: Vec<[[T; 1]; 2]>,
    /// Of the states at the sites, `[rows, n]`.
    pub sites: Vec<Vec<T>>,
}

/// The gradient of `target` in the params, `[P]`, at the run `known` of the solves in `needs`.
pub(crate) fn gradient<T: Element + AddAssign>(
    context: &Context<'_, T>,
    known: &Known<T>,
    (target, needs): (Target, &[usize]),
    controls: &Controls,
) -> Result<(Vec<T>, Cost), Failure> {
    let plan = context.plan;
    let objective = plan.objective_tangent(target)?;
    let (n_params, mut cost, mut gradient) = (plan.layout.n_params, Cost::default(), Vec::new());
    let n_at_once = plan.n_directions();
    for first in (0..n_params).step_by(n_at_once.max(1)) {
        let unit = |param: usize| {
            let mut direction = zeros(n_params);
            if let Some(entry) = direction.get_mut(param) {
                *entry = T::from_f64(1.0);
            }
            direction
        };
        let directions: Vec<Vec<T>> = (first..first + n_at_once).map(unit).collect();
        let mut tangents: Vec<Option<Tangents<T>>> = known.iter().map(|_| None).collect();
        for number in needs {
            let chain = Chain { context, known, directions: &directions, tangents: &tangents };
            tangents[*number] = Some(solve::through(&chain, *number, controls, &mut cost)?);
        }
        let chain = Chain { context, known, directions: &directions, tangents: &tangents };
        for direction in 0..n_at_once.min(n_params - first) {
            let mut inputs = context.run_inputs(&objective.reads, known);
            chain.push_tangents(&mut inputs, &objective.reads, direction);
            let mut results = Results::new(&vec![1; objective.n_results]);
            results.call(&objective.tangent, &inputs, &mut Workspace::default());
            gradient.push(results.take_tangent(0)[0]);
        }
    }
    Ok((gradient, cost))
}

/// What is known when a solve is looked at.
pub(super) struct Chain<'a, T> {
    pub context: &'a Context<'a, T>,
    pub known: &'a Known<T>,
    /// `[D][P]`
    pub directions: &'a [Vec<T>],
    pub tangents: &'a [Option<Tangents<T>>],
}

impl<T: Element> Chain<'_, T> {
    /// Appends the tangents of the known values of `reads` and of the params.
    pub fn push_tangents<'b>(&'b self, inputs: &mut Inputs<'b>, reads: &[usize], direction: usize) {
        for solve in reads {
            let tangents = self.tangents[*solve].as_ref().expect("tangents go forward in order");
            inputs.extend(tangents.ends[direction].iter().map(|end| T::input(end)));
            self.context.push_sites(inputs, *solve, &tangents.sites[direction]);
        }
        inputs.push(T::input(&self.directions[direction]));
    }
}
