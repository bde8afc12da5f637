//! A block of examples of one model, run and differentiated in lanes.
//!
//! What [`Objective`](crate::plan::objective::Objective) does for one example, for as many of them as a
//! vector of the run's precision has lanes: every call is one for all of them. Each example gets the
//! bits that it has alone; the cotangents of the params are those of the whole block, summed as
//! [`Spread::Sum`](crate::backend::lanes::Spread::Sum) says, so that there are never as many of them as
//! lanes times params. A block that is not full repeats its last example, with cotangents of zero.
//!
//! A step puts out what its reverse needs of it (`kept`): activations are computed once, as long as there
//! is room for them.
//!
//! Explicit methods alone come here, without events and noise; a gradient goes back through the steps,
//! [`reverse`], and no time may depend on params. The rest goes one example at a time.

mod forward;
mod kept;
pub(crate) mod kernels;
pub(crate) mod operands;
mod reverse;
mod trace;

use crate::backend::Workspace;
use crate::backend::lanes::width;
use crate::ir::program::DataPort;
use crate::plan::Plan;
use crate::plan::controls::{Adjoint, Controls};
use crate::plan::lanes::Apart;
use crate::plan::pack::{Target, objective};
use crate::plan::unit::{Element, PlanError};
use operands::Block;
pub(crate) use operands::{LaneData, Point};
use reverse::Back;
use std::ops::AddAssign;
use trace::LaneSolved;

impl Plan {
    /// How many examples a block has.
    pub(crate) fn block_width(&self) -> usize {
        width(self.program.real)
    }

    /// Whether all that the losses, likelihoods and metrics of examples need can run in lanes.
    pub(crate) fn runs_in_blocks(&self) -> bool {
        let reads = self.terms_func().reads;
        self.needs(reads.into_iter()).iter().all(|solve| self.solves_in_lanes(*solve))
    }

    /// Whether the gradient of an example can be taken in lanes.
    pub(crate) fn differentiates_in_blocks(&self, controls: &Controls) -> bool {
        let reads = objective(&self.program, &self.layout, Target::Example).reads;
        self.needs(reads.into_iter()).into_iter().all(|solve| {
            let adjoint = controls.adjoints[self.layout.solves[solve].system];
            self.solves_in_lanes(solve)
                && adjoint == Adjoint::Discrete
                && !self.moving(solve).any()
                && self.check_reversible(solve, adjoint).is_ok()
        })
    }

    /// In what the examples of a block differ.
    fn examples_apart(&self) -> Apart {
        Apart::sharing_params(self.program.data.iter().map(DataPort::differs).collect())
    }

    fn solves_in_lanes(&self, solve: usize) -> bool {
        self.method(solve).tableau().is_some() && self.has_lanes(self.layout.solves[solve].system)
    }
}

/// What a thread runs blocks in: memory that is kept from one block to the next.
pub(crate) struct Room<T> {
    /// The data of the block.
    pub data: LaneData,
    tape: Tape<T>,
}

/// What runs leave.
struct Tape<T> {
    solves: Vec<LaneSolved<T>>,
    /// `[terms, width]`, with the objective before them if there is a gradient.
    values: Vec<T>,
    /// The weight of each lane in the gradient, `[width]`.
    seeds: Vec<T>,
    back: Back<T>,
    /// The gradient, `[P]`.
    bar_p: Vec<T>,
    workspace: Workspace,
}

impl<T: Element + AddAssign> Room<T> {
    /// A room for blocks of `plan`, whose steps keep at most `bytes` bytes for the way back. The numbers
    /// do not depend on how much that is.
    pub fn new(plan: &Plan, bytes: usize) -> Room<T> {
        let (width, solves) = (plan.block_width(), &plan.program.solves);
        let of_each = bytes / solves.len().max(1);
        let solves = solves.iter().map(|_| LaneSolved::within(of_each)).collect();
        let (values, back, workspace) = (Vec::new(), Back::default(), Workspace::default());
        Room {
            data: LaneData::new(&plan.program.data, width),
            tape: Tape {
                solves,
                values,
                seeds: vec![T::default(); width],
                back,
                bar_p: Vec::new(),
                workspace,
            },
        }
    }

    /// Losses, likelihoods and metrics of the examples at a point, in the order of the results,
    /// `[terms, width]`. `None` if one of the examples cannot be solved: alone, it says why.
    pub fn terms(
        &mut self,
        plan: &Plan,
        point: &Point<T>,
        controls: &Controls,
    ) -> Result<Option<&[T]>, PlanError> {
        let Room { data, tape: Tape { solves, values, workspace, .. } } = self;
        let (block, terms) = (Block { plan, point, data }, plan.block_terms()?);
        let needs = plan.needs(terms.reads.iter().copied());
        if !block.run(solves, &needs, controls, false, workspace)? {
            return Ok(None);
        }
        block.call_run(terms, solves, values, workspace);
        Ok(Some(values))
    }

    /// Losses and likelihoods of the examples, as [`terms`](Room::terms) gives them, and the gradient of
    /// the sum of those of the first `count` of them in the params, `[P]`.
    #[allow(clippy::type_complexity, reason = "values and a gradient")]
    pub fn gradient(
        &mut self,
        plan: &Plan,
        point: &Point<T>,
        controls: &Controls,
        count: usize,
    ) -> Result<Option<(&[T], &[T])>, PlanError> {
        let Room { data, tape: Tape { solves, values, seeds, back, bar_p, workspace } } = self;
        let (block, objective) = (Block { plan, point, data }, plan.block_objective()?);
        if !block.run(solves, &objective.needs, controls, true, workspace)? {
            return Ok(None);
        }
        block.call_run(&objective.value, solves, values, workspace);
        for (lane, seed) in seeds.iter_mut().enumerate() {
            *seed = T::from_f64(if lane < count { 1.0 } else { 0.0 });
        }
        bar_p.clear();
        bar_p.resize(point.p.len(), T::default());
        back.reverse(&block, solves, seeds, bar_p, workspace)?;
        // A lane that has not moved was given a step that nobody took, at a point where the rate may
        // have no derivatives.
        let stood = objective.needs.iter().any(|solve| solves[*solve].trace.has_filled_starts());
        if stood && !bar_p.iter().all(|bar| bar.to_f64().is_finite()) {
            return Ok(None);
        }
        Ok(Some((&values[block.width()..], bar_p)))
    }

    /// Evaluations of rates by the last run, of the first `count` examples.
    pub fn evaluations(&self, count: usize) -> u64 {
        let of_solve = |solved: &LaneSolved<T>| solved.evaluations.iter().take(count).sum::<u64>();
        self.tape.solves.iter().map(of_solve).sum()
    }
}
