//! The functions of a plan for a block of examples, compiled when they are first asked for.

use crate::ad::{self, Kept};
use crate::backend::lanes::Spread;
use crate::backend::lanes::Spread::{Lanes, Shared, Sum};
use crate::ir::func::{Attr, Func, without_dead_nodes};
use crate::ir::op::Op;
use crate::ir::program::{Program, Role};
use crate::plan::Plan;
use crate::plan::compiled::{Made, made, optimised};
use crate::plan::kernels::{rate, reversed, step};
use crate::plan::lanes::Spreading;
use crate::plan::pack::{RunFunc, Target, objective, results};
use crate::plan::unit::{LaneKernel, PlanError, compile_lanes};
use std::ops::Range;
use std::sync::OnceLock;

/// What has been compiled of a plan for blocks.
pub(crate) struct BlockKernels {
    pulls: Vec<OnceLock<Made<SystemPulls>>>,
    solves: Vec<OnceLock<Made<SolveLanes>>>,
    starts: Vec<OnceLock<Made<Option<Pull>>>>,
    objective: OnceLock<Made<ObjectiveLanes>>,
    terms: OnceLock<Made<RunLanes>>,
}

/// What a reverse pass calls of a system: see [`Plan::rate_cotangents`] and [`Plan::step_cotangents`].
/// The cotangent of the params is a sum over the lanes.
pub(crate) struct SystemPulls {
    pub rate: LaneKernel,
    /// `(t, h, y, k1, a, q, data.., bar tail, bar y_new, kept) -> bar y, bar k1, bar a, bar q`, without
    /// `kept` if nothing is.
    pub step: LaneKernel,
    pub keeping: Option<Keeping>,
}

/// A step that keeps what its reverse needs: `t, h, y, k1, a, q, data.. -> tail, y_new, err, kept`.
pub(crate) struct Keeping {
    pub step: Spreading,
    /// Numbers that a lane keeps.
    pub len: usize,
}

/// What a solve computes before it begins.
pub(crate) struct SolveLanes {
    pub start: RunLanes,
    pub times: RunLanes,
    pub stops: RunLanes,
}

/// A function of the run.
pub(crate) struct RunLanes {
    pub kernel: LaneKernel,
    /// The solves whose known values it takes.
    pub reads: Vec<usize>,
    /// Entries of each result.
    pub lens: Vec<usize>,
}

/// What its cotangents become: `(known.., p, data.., bars..) -> bar known..`, and behind these, as a sum
/// over the lanes, the part of `bar p` that is not zero anyway, if it depends on params at all.
pub(crate) struct Pull {
    pub kernel: LaneKernel,
    pub reads: Vec<usize>,
    pub params: Option<Range<usize>>,
}

/// The terms of an example that are lowered, and their gradient.
pub(crate) struct ObjectiveLanes {
    /// `known.., p, data.. -> value, then each term`
    pub value: RunLanes,
    /// Of the value; `None` if it depends on nothing.
    pub pull: Option<Pull>,
    /// The solves it needs, ascending.
    pub needs: Vec<usize>,
}

impl BlockKernels {
    /// None yet.
    pub fn new(program: &Program) -> BlockKernels {
        BlockKernels {
            pulls: program.systems.iter().map(|_| OnceLock::new()).collect(),
            solves: program.solves.iter().map(|_| OnceLock::new()).collect(),
            starts: program.solves.iter().map(|_| OnceLock::new()).collect(),
            objective: OnceLock::new(),
            terms: OnceLock::new(),
        }
    }
}

impl Plan {
    pub(crate) fn system_pulls(&self, system: usize) -> Result<&SystemPulls, PlanError> {
        made(&self.block.pulls[system], || {
            let (rate, step) = (self.rate_cotangent_func(system)?, self.step_cotangent_func(system)?);
            let spreads = |before: usize, more: usize| {
                let mut spreads = self.of_motion(&vec![Lanes; before]);
                spreads.extend(vec![Lanes; more]);
                spreads
            };
            let (dtype, by_rate, by_step) =
                (self.program.real, vec![Lanes, Lanes, Sum], vec![Lanes, Lanes, Lanes, Sum]);
            let rate = (&rate, spreads(rate::A, 1), by_rate);
            let Some(Kept { forward, reverse, len }) = ad::keep(self.funcs.step(system), &step) else {
                let step = (&step, spreads(step::A, 2), by_step);
                let [rate, step] = compile_lanes([rate, step], dtype, self.backend())?;
                return Ok(SystemPulls { rate, step, keeping: None });
            };
            let own = self.examples_apart().spreads(&forward, step::A);
            let inputs = [vec![Lanes; step::A], own.clone()].concat();
            let keeping = (&forward, inputs, vec![Lanes; 4]);
            let step = (&reverse, spreads(step::A, 3), by_step);
            let [rate, step, kernel] = compile_lanes([rate, step, keeping], dtype, self.backend())?;
            let keeping = Some(Keeping { step: Spreading { kernel, spreads: own }, len });
            Ok(SystemPulls { rate, step, keeping })
        })
    }

    pub(crate) fn solve_lanes(&self, solve: usize) -> Result<&SolveLanes, PlanError> {
        made(&self.block.solves[solve], || {
            let packed = &self.funcs.packed.solves[solve];
            let funcs = [&packed.start, &packed.times, &packed.stops];
            let kernels = funcs.map(|func| self.run_lanes(func));
            let [start, times, stops] = kernels;
            Ok(SolveLanes { start: start?, times: times?, stops: stops? })
        })
    }

    /// What the cotangents of `y0` and `a` of a solve become, whose times do not move.
    pub(crate) fn start_pull(&self, solve: usize) -> Result<Option<&Pull>, PlanError> {
        let pull =
            made(&self.block.starts[solve], || self.pull(&self.funcs.packed.solves[solve].start, &[2, 3]));
        pull.map(Option::as_ref)
    }

    /// Of losses and likelihoods.
    pub(crate) fn block_objective(&self) -> Result<&ObjectiveLanes, PlanError> {
        made(&self.block.objective, || {
            let value = optimised(objective(&self.program, &self.layout, Target::Example));
            let needs = self.needs(value.reads.iter().copied());
            Ok(ObjectiveLanes { pull: self.pull(&value, &[0])?, value: self.run_lanes(&value)?, needs })
        })
    }

    /// Losses, likelihoods and metrics, in the order of the results.
    pub(crate) fn block_terms(&self) -> Result<&RunLanes, PlanError> {
        made(&self.block.terms, || self.run_lanes(&optimised(self.terms_func())))
    }

    /// The function of [`Plan::block_terms`].
    pub(super) fn terms_func(&self) -> RunFunc {
        let all = self.program.results.iter().enumerate();
        let terms = all.filter(|(_, result)| match result.role {
            Role::Loss | Role::Likelihood | Role::Metric => true,
            Role::Prior | Role::Output | Role::Plot => false,
        });
        let terms: Vec<usize> = terms.map(|(number, _)| number).collect();
        results(&self.program, &self.layout, &terms)
    }

    fn run_lanes(&self, func: &RunFunc) -> Result<RunLanes, PlanError> {
        let outputs = vec![Lanes; func.func.results.len()];
        let [kernel] =
            compile_lanes([(&func.func, self.of_run(func), outputs)], self.program.real, self.backend())?;
        let lens = func.func.result_types().map(|ty| ty.shape.count()).collect();
        Ok(RunLanes { kernel, reads: func.reads.clone(), lens })
    }

    /// The cotangent function of the results `wanted` of a function of the run; `None` if they depend on
    /// no solve and on no params.
    fn pull(&self, func: &RunFunc, wanted: &[usize]) -> Result<Option<Pull>, PlanError> {
        let mut by = self.known_and_p(func);
        let params = by.pop().expect("the params come last");
        let has_params = func.func.reads(wanted.iter().copied())[params];
        by.extend(has_params.then_some(params));
        if by.is_empty() {
            return Ok(None);
        }
        let pull = reversed(&func.func, &by, wanted)?;
        let (pull, range) = if has_params {
            let (pull, range) = unpadded(pull, params);
            (pull, Some(range))
        } else {
            (pull, None)
        };
        let mut inputs = self.of_run(func);
        inputs.extend(vec![Lanes; wanted.len()]);
        let mut outputs = vec![Lanes; params];
        outputs.extend(has_params.then_some(Sum));
        let [kernel] = compile_lanes([(&pull, inputs, outputs)], self.program.real, self.backend())?;
        Ok(Some(Pull { kernel, reads: func.reads.clone(), params: range }))
    }

    /// What the operands `.., a, q, data..` are to a block, of which those before `a` are given.
    fn of_motion(&self, before: &[Spread]) -> Vec<Spread> {
        let mut spreads = before.to_vec();
        spreads.extend([Lanes, Shared]);
        spreads.extend(self.of_data());
        spreads
    }

    /// What the operands `known.., p, data..` are to a block.
    fn of_run(&self, func: &RunFunc) -> Vec<Spread> {
        let n_known = self.known_and_p(func).len() - 1;
        let mut spreads = vec![Lanes; n_known];
        spreads.push(Shared);
        spreads.extend(self.of_data());
        spreads
    }

    fn of_data(&self) -> impl Iterator<Item = Spread> {
        self.program.data.iter().map(|port| if port.differs() { Lanes } else { Shared })
    }
}

/// Gives the result of this number, a vector, without the zeros at its ends; where in the vector that is.
fn unpadded(mut func: Func, result: usize) -> (Func, Range<usize>) {
    let whole = func.results[result].value;
    let node = &func.nodes[whole];
    match (node.op, &node.attr) {
        (Op::Pad, Attr::Pads(pads)) if pads.len() == 1 => {
            let (inner, before) = (node.args[0], pads[0].0 as usize);
            func.results[result].value = inner;
            let range = before..before + func.ty(inner).shape.count();
            (without_dead_nodes(func), range)
        }
        _ => {
            let range = 0..node.ty.shape.count();
            (func, range)
        }
    }
}
