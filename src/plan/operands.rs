//! The operands of calls, and the numbers a plan runs on.
//!
//! Functions of the run take `known.., p, data..`, functions of a motion `.., a, q, data..`; here
//! is where these lists are put together.

use crate::backend::{Output, Workspace};
use crate::plan::Plan;
use crate::plan::forward::Solved;
use crate::plan::kernels::RunKernel;
use crate::plan::unit::{Data, Element, Inputs};

/// A plan with the numbers it runs on.
pub struct Context<'a, T> {
    /// The compiled model.
    pub plan: &'a Plan,
    /// The params on their declared scale, `[P]`.
    pub p: &'a [T],
    /// What comes from outside.
    pub data: &'a Data,
}

/// The finished solves of a run, by number; `None` where nobody needed one.
pub type Known<T> = [Option<Solved<T>>];

impl<'a, T: Element> Context<'a, T> {
    /// Calls a function of the run.
    pub(crate) fn call_run(
        &self,
        kernel: &RunKernel,
        known: &Known<T>,
        outputs: &mut [Output<'_>],
        workspace: &mut Workspace,
    ) {
        kernel.kernel.call(&self.run_inputs(&kernel.reads, known), outputs, workspace);
    }

    /// The operands `known.., p, data..` of a function that takes the solves in `reads`.
    pub(crate) fn run_inputs<'b>(&'b self, reads: &[usize], known: &'b Known<T>) -> Inputs<'b> {
        let mut inputs = Inputs::new();
        self.push_known(&mut inputs, reads, known);
        inputs.push(T::input(self.p));
        inputs.extend(self.data.inputs());
        inputs
    }

    /// Appends the known values of the solves in `reads`.
    pub(crate) fn push_known<'b>(&self, inputs: &mut Inputs<'b>, reads: &[usize], known: &'b Known<T>) {
        for solve in reads {
            let solved = known[*solve].as_ref().expect("a solve runs after those it needs");
            inputs.extend([T::input(&solved.ends[0]), T::input(&solved.ends[1])]);
            self.push_sites(inputs, *solve, &solved.sites);
        }
    }

    /// Appends one matrix for each site of `solve` from `rows: [rows, n]`.
    pub(crate) fn push_sites<'b>(&self, inputs: &mut Inputs<'b>, solve: usize, mut rows: &'b [T]) {
        let n = self.plan.layout.system_of(solve).n;
        for count in &self.plan.layout.solves[solve].site_rows {
            let (site, rest) = rows.split_at(count * n);
            inputs.push(T::input(site));
            rows = rest;
        }
    }

    /// Appends the operands `a, q, data..` of a function of the motion.
    pub(crate) fn push_motion<'b>(&'b self, inputs: &mut Inputs<'b>, fixed: &'b Fixed<T>) {
        inputs.extend([T::input(&fixed.a), T::input(&fixed.q)]);
        inputs.extend(self.data.inputs());
    }
}

/// What a motion takes that does not change along a solve.
#[derive(Clone, Debug, Default)]
pub struct Fixed<T> {
    /// The args, `[A]`.
    pub a: Vec<T>,
    /// The params that the motion reads, `[Q]`.
    pub q: Vec<T>,
}
