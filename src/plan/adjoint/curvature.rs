//! The chain of solves on dual numbers: what [`chain`](super::chain) does for gradients, for
//! Hessian-vector products.

use crate::backend::Workspace;
use crate::plan::adjoint::hessian::{Dual, DualPass, Results, StartDuals, Tangents};
use crate::plan::operands::{Context, Known};
use crate::plan::pack::Target;
use crate::plan::unit::{Element, Inputs, PlanError};
use std::ops::AddAssign;

/// The gradient of `target` in the params and its derivative along `dp: [P]`, at the run `known`
/// of the solves in `needs`.
pub(crate) fn hessian_vector<T: Element + AddAssign>(
    context: &Context<'_, T>,
    known: &Known<T>,
    target: Target,
    dp: &[T],
) -> Result<Dual<T>, PlanError> {
    let objective = context.plan.objective_kernels(target)?;
    let mut chain = Chain { context, known, dp, tangents: known.iter().map(|_| None).collect() };
    for number in &objective.needs {
        chain.forward(*number)?;
    }
    let mut bars = DualBars { solves: known.iter().map(|_| None).collect(), p: Dual::zeros(dp.len()) };
    let curvature = context.plan.objective_curvature(target)?;
    let one = Dual { value: vec![T::from_f64(1.0)], tangent: Vec::new() };
    chain.pull_back(&curvature, &objective.value.reads, &[one], &mut bars);
    for number in objective.needs.iter().rev() {
        chain.reverse(*number, &mut bars)?;
    }
    Ok(bars.p)
}

/// Cotangents with their tangents: of the sites of each solve, and of the params.
struct DualBars<T> {
    solves: Vec<Option<Dual<T>>>,
    p: Dual<T>,
}

struct Chain<'a, T> {
    context: &'a Context<'a, T>,
    known: &'a Known<T>,
    dp: &'a [T],
    tangents: Vec<Option<Tangents<T>>>,
}

impl<T: Element + AddAssign> Chain<'_, T> {
    fn pass(&self, number: usize) -> Result<DualPass<'_, T>, PlanError> {
        let kernels = self.context.plan.system_curvature(self.context.plan.layout.solves[number].system)?;
        let solved = self.known[number].as_ref().expect("what is differentiated has run");
        let workspace = Workspace::default();
        Ok(DualPass { kernels, context: self.context, number, solved, workspace })
    }

    /// Appends the tangents of the known values of `reads`, and `dp`. Times have none.
    fn push_tangents<'b>(&'b self, inputs: &mut Inputs<'b>, zero: &'b [T; 1], reads: &[usize]) {
        for solve in reads {
            let tangents = self.tangents[*solve].as_ref().expect("tangents go forward in order");
            inputs.extend([T::input(zero), T::input(zero)]);
            self.context.push_sites(inputs, *solve, &tangents.sites);
        }
        inputs.push(T::input(self.dp));
    }

    fn forward(&mut self, number: usize) -> Result<(), PlanError> {
        let plan = self.context.plan;
        let kernels = plan.solve_curvature(number)?;
        let system = plan.layout.system_of(number);
        let reads = &plan.solves[number].start.reads;
        let zero = [T::default()];
        let mut inputs = self.context.run_inputs(reads, self.known);
        self.push_tangents(&mut inputs, &zero, reads);
        let mut results = Results::new(&[1, 1, system.n, system.n_args]);
        results.call(&kernels.start, &inputs, &mut Workspace::default());
        drop(inputs);
        let (dy0, da) = (results.take_tangent(2), results.take_tangent(3));
        let tangents = self.pass(number)?.forward(dy0, da, system.gather(self.dp));
        self.tangents[number] = Some(tangents);
        Ok(())
    }

    /// Calls the tangent of a cotangent function of the run and adds what it gives to `bars`. A
    /// cotangent without a tangent is constant.
    fn pull_back(
        &self,
        kernel: &crate::plan::unit::Kernel,
        reads: &[usize],
        cotangents: &[Dual<T>],
        bars: &mut DualBars<T>,
    ) {
        let layout = &self.context.plan.layout;
        let zero = [T::default()];
        let mut inputs = self.context.run_inputs(reads, self.known);
        inputs.extend(cotangents.iter().map(|cotangent| T::input(&cotangent.value)));
        self.push_tangents(&mut inputs, &zero, reads);
        let moving = cotangents.iter().filter(|cotangent| cotangent.tangent.len() == cotangent.value.len());
        inputs.extend(moving.map(|cotangent| T::input(&cotangent.tangent)));
        let mut lengths = Vec::new();
        for solve in reads {
            lengths.extend([1, 1]);
            let n = layout.system_of(*solve).n;
            lengths.extend(layout.solves[*solve].site_rows.iter().map(|rows| rows * n));
        }
        lengths.push(self.dp.len());
        let mut results = Results::new(&lengths);
        results.call(kernel, &inputs, &mut Workspace::default());
        let mut at = 0;
        for solve in reads {
            at += 2;
            let mut sites = Dual { value: Vec::new(), tangent: Vec::new() };
            for _ in &layout.solves[*solve].site_rows {
                let Dual { value, tangent } = results.take(at);
                sites.value.extend(value);
                sites.tangent.extend(tangent);
                at += 1;
            }
            match &mut bars.solves[*solve] {
                Some(sum) => sum.add(0, &sites),
                none => *none = Some(sites),
            }
        }
        bars.p.add(0, &results.take(at));
    }

    fn reverse(&self, number: usize, bars: &mut DualBars<T>) -> Result<(), PlanError> {
        let Some(site_bars) = bars.solves[number].take() else { return Ok(()) };
        let plan = self.context.plan;
        let system = plan.layout.system_of(number);
        let tangents = self.tangents[number].as_ref().expect("tangents went forward first");
        let mut bar_q = Dual { value: system.gather(&bars.p.value), tangent: system.gather(&bars.p.tangent) };
        let StartDuals { y0, a } = self.pass(number)?.reverse(tangents, &site_bars, &mut bar_q);
        system.scatter(&bar_q.value, &mut bars.p.value);
        system.scatter(&bar_q.tangent, &mut bars.p.tangent);
        let kernels = plan.solve_curvature(number)?;
        self.pull_back(&kernels.start_vjp, &plan.solves[number].start.reads, &[y0, a], bars);
        Ok(())
    }
}
