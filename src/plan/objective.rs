//! A scalar of a run, such as the training objective, as a function of the parameters.
//!
//! `u -> p -> solve -> value`: constraints, forward pass, losses, with `u: [F]` free and `p: [P]` on the
//! declared scale; its gradient by the way that [`Controls`] ask for; its Hessian by forward
//! over reverse of the steps, one direction at a time.

use crate::backend::{Output, Workspace};
use crate::plan::Plan;
use crate::plan::adjoint::Cost;
use crate::plan::adjoint::chain::Bars;
use crate::plan::adjoint::curvature::hessian_vector;
use crate::plan::adjoint::hessian::{Dual, Results};
use crate::plan::controls::{Controls, Failure};
use crate::plan::forward::Simulation;
use crate::plan::operands::Context;
use crate::plan::pack::Target;
use crate::plan::tangents;
use crate::plan::trace::Keep;
use crate::plan::unit::{Data, Element, Inputs, PlanError};
use std::borrow::Cow;
use std::ops::AddAssign;

/// The objective of one plan on one set of data.
pub struct Objective<'a> {
    plan: &'a Plan,
    data: &'a Data,
    controls: &'a Controls,
    target: Target,
}

/// The objective at a point, with what is needed to differentiate it there.
pub struct Evaluation<T> {
    /// The params on their declared scale, `[P]`.
    pub p: Vec<T>,
    /// Its value.
    pub value: f64,
    /// The value of each of [`Target::terms`].
    pub terms: Vec<f64>,
    /// The run.
    pub simulation: Simulation<T>,
}

impl<'a> Objective<'a> {
    /// `target` of `plan` on `data`; runs follow `controls`.
    pub fn new(plan: &'a Plan, data: &'a Data, controls: &'a Controls, target: Target) -> Objective<'a> {
        Objective { plan, data, controls, target }
    }

    /// Evaluates at free parameters `u: [F]`.
    pub fn at<T: Element>(&self, u: &[T]) -> Result<Evaluation<T>, Failure> {
        self.at_params(self.plan.constrained(u)?)
    }

    /// Evaluates at params `p: [P]` on their declared scale.
    pub fn at_params<T: Element>(&self, p: Vec<T>) -> Result<Evaluation<T>, Failure> {
        let objective = self.plan.objective_kernels(self.target)?;
        let context = Context { plan: self.plan, p: &p, data: self.data };
        let keep = |system: usize| self.controls.adjoints[system].keep();
        let simulation = context.simulate_solves(&objective.needs, self.controls, keep)?;
        let n_terms = self.target.terms(&self.plan.program).len();
        let mut values: Vec<[T; 1]> = vec![[T::default()]; 1 + n_terms];
        let mut outputs: Vec<Output<'_>> = values.iter_mut().map(|value| T::output(value)).collect();
        context.call_run(&objective.value, &simulation.solves, &mut outputs, &mut Workspace::default());
        let mut values = values.into_iter().map(|[value]| value.to_f64());
        let value = values.next().expect("the value comes first");
        Ok(Evaluation { value, terms: values.collect(), simulation, p })
    }

    /// The gradient in the params `p`, `[P]`, at an evaluated point, and what it cost.
    pub fn gradient_in_params<T: Element + AddAssign>(
        &self,
        at: &Evaluation<T>,
    ) -> Result<(Vec<T>, Cost), Failure> {
        let objective = self.plan.objective_kernels(self.target)?;
        let context = Context { plan: self.plan, p: &at.p, data: self.data };
        let known = &at.simulation.solves;
        if self.plan.goes_forward(&objective.needs, &self.controls.adjoints) {
            return tangents::gradient(&context, known, (self.target, &objective.needs), self.controls);
        }
        let mut bars = Bars::new(&self.plan.layout);
        let vjp = (&objective.vjp, &objective.value.reads[..]);
        bars.pull_back(&context, known, vjp, &[&[T::from_f64(1.0)]]);
        bars.reverse(&context, known, &objective.needs, self.controls)?;
        Ok((bars.p, bars.cost))
    }

    /// The gradient in the free parameters `u`, `[F]`, at the point evaluated there.
    pub fn gradient<T: Element + AddAssign>(&self, u: &[T], at: &Evaluation<T>) -> Result<Vec<T>, Failure> {
        let (bar_p, _) = self.gradient_in_params(at)?;
        Ok(self.free_cotangent(u, &bar_p)?)
    }

    /// `(dp/du)ᵀ bar_p` at `u`, `[F]`, for `bar_p: [P]`. With a unit vector, the gradient in free space
    /// of one number among the params.
    pub fn free_cotangent<T: Element>(&self, u: &[T], bar_p: &[T]) -> Result<Vec<T>, PlanError> {
        let mut bar_u = vec![T::default(); u.len()];
        self.plan.scale_kernels()?.constrain_vjp.call(
            &[T::input(u), T::input(bar_p)],
            &mut [T::output(&mut bar_u)],
            &mut Workspace::default(),
        );
        Ok(bar_u)
    }

    /// The product of the Hessian in `u` with `du: [P]`, at the point evaluated there.
    pub fn hessian_vector<T: Element + AddAssign>(
        &self,
        u: &[T],
        at: &Evaluation<T>,
        du: &[T],
    ) -> Result<Vec<T>, Failure> {
        self.hessian_vector_through(u, at, &*self.every_step(at)?, du)
    }

    /// The run at an evaluated point with every step kept: made again if it was not so.
    fn every_step<'s, T: Element>(&self, at: &'s Evaluation<T>) -> Result<Cow<'s, Simulation<T>>, Failure> {
        if at.simulation.solves.iter().flatten().all(|solved| solved.trace.has_every_step()) {
            return Ok(Cow::Borrowed(&at.simulation));
        }
        let context = Context { plan: self.plan, p: &at.p, data: self.data };
        let needs = self.plan.objective_kernels(self.target)?.needs;
        Ok(Cow::Owned(context.simulate_solves(&needs, self.controls, |_| Keep::Every)?))
    }

    fn hessian_vector_through<T: Element + AddAssign>(
        &self,
        u: &[T],
        at: &Evaluation<T>,
        simulation: &Simulation<T>,
        du: &[T],
    ) -> Result<Vec<T>, Failure> {
        let context = Context { plan: self.plan, p: &at.p, data: self.data };
        self.in_free_space(u, at, du, |dp| Ok(hessian_vector(&context, &simulation.solves, self.target, dp)?))
    }

    /// The product of a matrix of second derivatives in `u` with `du`, where `times` gives the gradient
    /// in the params and the product of the matrix in them with `dp`.
    fn in_free_space<T: Element + AddAssign>(
        &self,
        u: &[T],
        at: &Evaluation<T>,
        du: &[T],
        times: impl FnOnce(&[T]) -> Result<Dual<T>, Failure>,
    ) -> Result<Vec<T>, Failure> {
        let kernels = self.plan.scale_curvature()?;
        let mut workspace = Workspace::default();

        let mut constrained = Results::new(&[at.p.len()]);
        let inputs = Inputs::from_slice(&[T::input(u), T::input(du)]);
        constrained.call(&kernels.constrain, &inputs, &mut workspace);
        let bar_p = times(&constrained.take_tangent(0))?;

        let mut free = Results::new(&[u.len()]);
        let inputs = Inputs::from_slice(&[
            T::input(u),
            T::input(&bar_p.value),
            T::input(du),
            T::input(&bar_p.tangent),
        ]);
        free.call(&kernels.constrain_vjp, &inputs, &mut workspace);
        Ok(free.take_tangent(0))
    }

    /// The Gauss–Newton matrix in `u`, `[F, F]` row-major, symmetrised, at the point evaluated there: the
    /// Hessian without the second derivatives of the solves. It takes sensitivities forward, through
    /// every method that carries them.
    pub fn gauss_newton<T: Element + AddAssign>(
        &self,
        u: &[T],
        at: &Evaluation<T>,
    ) -> Result<Vec<f64>, Failure> {
        let context = Context { plan: self.plan, p: &at.p, data: self.data };
        let needs = self.plan.objective_kernels(self.target)?.needs;
        let known = &at.simulation.solves;
        let matrix = tangents::gauss_newton(&context, known, (self.target, &needs), self.controls)?;
        let (gradient, _) = self.gradient_in_params(at)?;
        let n_params = at.p.len();
        symmetric(u.len(), |du| {
            self.in_free_space(u, at, du, |dp| {
                let row = |i: usize| matrix[i * n_params..][..n_params].iter().zip(dp);
                let entry = |i: usize| T::from_f64(row(i).map(|(g, dp)| g * dp.to_f64()).sum());
                let tangent = (0..n_params).map(entry).collect();
                Ok(Dual { value: gradient.clone(), tangent })
            })
        })
    }

    /// The Hessian in `u`, `[F, F]` row-major, symmetrised, at the point evaluated there.
    pub fn hessian<T: Element + AddAssign>(&self, u: &[T], at: &Evaluation<T>) -> Result<Vec<f64>, Failure> {
        let simulation = self.every_step(at)?;
        symmetric(u.len(), |du| self.hessian_vector_through(u, at, &simulation, du))
    }
}

/// The symmetric part of the matrix that `times` multiplies by, `[n, n]` row-major.
fn symmetric<T: Element>(
    n: usize,
    times: impl Fn(&[T]) -> Result<Vec<T>, Failure>,
) -> Result<Vec<f64>, Failure> {
    let mut rows = Vec::with_capacity(n * n);
    for i in 0..n {
        let mut du = vec![T::default(); n];
        du[i] = T::from_f64(1.0);
        rows.extend(times(&du)?.into_iter().map(T::to_f64));
    }
    let mean = |i: usize, j: usize| 0.5 * (rows[i * n + j] + rows[j * n + i]);
    Ok((0..n * n).map(|at| mean(at / n, at % n)).collect())
}
