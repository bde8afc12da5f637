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
    let objective = context.plan.objective_tangent(target)?;
    let mut gradient = Vec::new();
    let cost = along_each_param(context, known, needs, controls, |chain, direction| {
        let mut inputs = context.run_inputs(&objective.reads, known);
        chain.push_tangents(&mut inputs, &objective.reads, direction);
        let mut results = Results::new(&vec![1; objective.n_results]);
        results.call(&objective.tangent, &inputs, &mut Workspace::default());
        gradient.push(results.take_tangent(0)[0]);
    })?;
    Ok((gradient, cost))
}

/// The Gauss–Newton matrix of `target` in the params, `[P, P]`: with `s` the known values of the solves
/// and the params together, `(∂s/∂p)ᵀ (∂²target/∂s²) ∂s/∂p`, which is the Hessian but for the second
/// derivatives of the solves. Source: Nocedal and Wright, Numerical Optimization, 2nd ed., section 10.3.
pub(crate) fn gauss_newton<T: Element + AddAssign>(
    context: &Context<'_, T>,
    known: &Known<T>,
    (target, needs): (Target, &[usize]),
    controls: &Controls,
) -> Result<Vec<f64>, Failure> {
    let plan = context.plan;
    let kernel = plan.objective_curvature(target)?;
    let reads = plan.objective_kernels(target)?.value.reads;
    let mut lengths = Vec::new();
    for solve in &reads {
        let (n, rows) = (plan.layout.system_of(*solve).n, &plan.layout.solves[*solve].site_rows);
        lengths.extend([1, 1]);
        lengths.extend(rows.iter().map(|rows| rows * n));
    }
    lengths.push(plan.layout.n_params);
    // For each param the tangent of `s`, and what the second derivative of the target makes of it.
    let (mut tangents, mut curved): (Vec<Vec<f64>>, Vec<Vec<f64>>) = Default::default();
    let one = [T::from_f64(1.0)];
    along_each_param(context, known, needs, controls, |chain, direction| {
        let mut inputs = context.run_inputs(&reads, known);
        inputs.push(T::input(&one));
        chain.push_tangents(&mut inputs, &reads, direction);
        let mut results: Results<T> = Results::new(&lengths);
        results.call(&kernel, &inputs, &mut Workspace::default());
        curved.push((0..lengths.len()).flat_map(|at| results.take_tangent(at)).map(T::to_f64).collect());
        let mut tangent = Vec::new();
        for solve in &reads {
            let of = chain.tangents[*solve].as_ref().expect("tangents go forward in order");
            tangent.extend(of.ends[direction].iter().flatten().map(|dt| dt.to_f64()));
            tangent.extend(of.sites[direction].iter().map(|dy| dy.to_f64()));
        }
        tangent.extend(chain.directions[direction].iter().map(|dp| dp.to_f64()));
        tangents.push(tangent);
    })?;
    let entry = |a: &Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum();
    Ok(tangents.iter().flat_map(|a| curved.iter().map(move |b| entry(a, b))).collect())
}

/// Carries sensitivities through the solves in `needs` and shows them param by param: the chain, and
/// which of its directions is meant.
fn along_each_param<T: Element>(
    context: &Context<'_, T>,
    known: &Known<T>,
    needs: &[usize],
    controls: &Controls,
    mut look: impl FnMut(&Chain<'_, T>, usize),
) -> Result<Cost, Failure> {
    let plan = context.plan;
    let (n_params, n_at_once, mut cost) = (plan.layout.n_params, plan.n_directions(), Cost::default());
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
        (0..n_at_once.min(n_params - first)).for_each(|direction| look(&chain, direction));
    }
    Ok(cost)
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
