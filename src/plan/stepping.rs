//! A compiled motion as the solver sees it, and what is kept of a solve.

use crate::backend::Workspace;
use crate::plan::operands::{Context, Fixed};
use crate::plan::trace::Trace;
use crate::plan::unit::{Element, Inputs};
use crate::solve::dense::{Accepted, Interior};
use crate::solve::problem::Step;
use crate::solve::record::Observer;
use std::cell::Cell;
use std::ops::ControlFlow;

/// The compiled step.
pub(crate) struct CompiledStep<'a, T> {
    context: &'a Context<'a, T>,
    solve: usize,
    fixed: &'a Fixed<T>,
    /// Whether the rate was asked for since it was last looked at.
    fresh: &'a Cell<bool>,
    workspace: Workspace,
}

impl<'a, T: Element> CompiledStep<'a, T> {
    /// The motion of `solve`.
    pub fn new(
        context: &'a Context<'a, T>,
        solve: usize,
        fixed: &'a Fixed<T>,
        fresh: &'a Cell<bool>,
        workspace: Workspace,
    ) -> CompiledStep<'a, T> {
        CompiledStep { context, solve, fixed, fresh, workspace }
    }
}

impl<T: Element> Step<T> for CompiledStep<'_, T> {
    fn dim(&self) -> usize {
        self.context.plan.layout.system_of(self.solve).n
    }

    fn n_stages(&self) -> usize {
        self.context.plan.tableau(self.solve).n_stages()
    }

    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]) {
        self.fresh.set(true);
        let (t, inside) = ([T::from_f64(t)], [T::from_f64(inside)]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(y)]);
        self.context.push_motion(&mut inputs, self.fixed);
        let kernels = &self.context.plan.systems[self.context.plan.layout.solves[self.solve].system];
        kernels.rate.call(&inputs, &mut [T::output(dy)], &mut self.workspace);
    }

    fn step(&mut self, t: f64, h: f64, y: &[T], stages: &mut [T], y_new: &mut [T], err: &mut [T]) {
        let (t, h) = ([T::from_f64(t)], [T::from_f64(h)]);
        let (k1, tail) = stages.split_at_mut(y.len());
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h), T::input(y), T::input(k1)]);
        self.context.push_motion(&mut inputs, self.fixed);
        let mut outputs = [T::output(tail), T::output(y_new), T::output(err)];
        let kernels = &self.context.plan.systems[self.context.plan.layout.solves[self.solve].system];
        kernels.step.call(&inputs, &mut outputs, &mut self.workspace);
    }
}

/// Keeps every accepted step.
pub(crate) struct Tracing<'a, T> {
    /// What is kept.
    pub trace: Trace<T>,
    /// See [`CompiledStep`].
    pub fresh: &'a Cell<bool>,
}

impl<T: Element> Observer<T> for Tracing<'_, T> {
    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        let Interior::Stages { stages, .. } = step.interior else {
            crate::bug!("a compiled step is one of a table");
        };
        let k1 = &stages[..step.y.len()];
        self.trace.push(step.h, k1, self.fresh.replace(false), step.t_new, step.y_new);
        ControlFlow::Continue(())
    }
}
