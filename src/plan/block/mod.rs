//! A block of examples of one model, run and differentiated in lanes.
//!
//! What [`Objective`](crate::plan::objective::Objective) does for one example, for as many of them as a
//! vector of the run's precision has lanes: every call is one for all of them. Each example gets the
//! bits that it has alone; the cotangents of the params are those of the whole block, summed as
//! [`Spread::Sum`](crate::backend::lanes::Spread::Sum) says, so that there are never as many of them as
//! lanes times params. A block that is not full repeats its last example, with cotangents of zero. A few
//! blocks go together ([`group`]), so that those of their runs that take longest share lanes in the end.
//!
//! A step puts out what its reverse needs of it (`kept`): activations are computed once, as long as there
//! is room for them.
//!
//! Explicit methods alone come here, without events and noise; a gradient goes back through the steps,
//! [`reverse`], and no time may depend on params. The rest goes one example at a time.

mod forward;
mod group;
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
pub(crate) use group::MOST_BLOCKS;
use group::{Group, Sequels};
use kernels::RunLanes;
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

/// What a thread runs groups of blocks in: memory that is kept from one group to the next.
pub(crate) struct Room<T> {
    /// The data of each block.
    data: Vec<LaneData>,
    tape: Tape<T>,
}

/// What runs leave.
struct Tape<T> {
    /// By block and solve.
    solves: Vec<Vec<LaneSolved<T>>>,
    /// By solve.
    sequels: Vec<Sequels<T>>,
    /// By block: `[terms, width]`, with the objective before them if there is a gradient.
    values: Vec<Vec<T>>,
    /// The weight of each lane in the gradient, `[blocks, width]`.
    seeds: Vec<T>,
    back: Back<T>,
    /// The gradient, `[P]`.
    bar_p: Vec<T>,
    workspace: Workspace,
}

impl<T: Element + AddAssign> Room<T> {
    /// A room for groups of at most `n_blocks` blocks of `plan`, the steps of each of which keep at most
    /// `bytes` bytes for the way back. The numbers do not depend on how much that is.
    pub fn new(plan: &Plan, n_blocks: usize, bytes: usize) -> Room<T> {
        let (width, n_solves) = (plan.block_width(), plan.program.solves.len());
        let of_each = bytes / n_solves.max(1);
        let solves = || (0..n_solves).map(|_| LaneSolved::within(of_each)).collect();
        Room {
            data: (0..n_blocks).map(|_| LaneData::new(&plan.program.data, width)).collect(),
            tape: Tape {
                solves: (0..n_blocks).map(|_| solves()).collect(),
                sequels: (0..n_solves).map(|_| Sequels::default()).collect(),
                values: vec![Vec::new(); n_blocks],
                seeds: vec![T::default(); n_blocks * width],
                back: Back::default(),
                bar_p: Vec::new(),
                workspace: Workspace::default(),
            },
        }
    }

    /// The data of the examples, by block.
    pub fn data(&mut self) -> &mut [LaneData] {
        &mut self.data
    }

    /// Losses, likelihoods and metrics of `count` examples at a point, in the order of the results: for each
    /// block `[terms, width]`. `None` if one of the examples cannot be solved: alone, it says why.
    pub fn terms(
        &mut self,
        plan: &Plan,
        point: &Point<T>,
        controls: &Controls,
        count: usize,
    ) -> Result<Option<&[Vec<T>]>, PlanError> {
        let terms = plan.block_terms()?;
        let needs = plan.needs(terms.reads.iter().copied());
        if !self.run(plan, point, &needs, (controls, false), count)? {
            return Ok(None);
        }
        Ok(Some(self.values(plan, point, terms, count)))
    }

    /// Losses and likelihoods of `count` examples, as [`terms`](Room::terms) gives them, behind the objective,
    /// and the gradient of the sum of these in the params, `[P]`.
    #[allow(clippy::type_complexity, reason = "values and a gradient")]
    pub fn gradient(
        &mut self,
        plan: &Plan,
        point: &Point<T>,
        controls: &Controls,
        count: usize,
    ) -> Result<Option<(&[Vec<T>], &[T])>, PlanError> {
        let objective = plan.block_objective()?;
        if !self.run(plan, point, &objective.needs, (controls, true), count)? {
            return Ok(None);
        }
        self.values(plan, point, &objective.value, count);
        let n_blocks = count.div_ceil(plan.block_width());
        let Room { data, tape: Tape { solves, sequels, values, seeds, back, bar_p, workspace } } = self;
        let (data, solves) = (&data[..n_blocks], &solves[..n_blocks]);
        for (lane, seed) in seeds.iter_mut().enumerate() {
            *seed = T::from_f64(if lane < count { 1.0 } else { 0.0 });
        }
        bar_p.clear();
        bar_p.resize(point.p.len(), T::default());
        back.reverse(&Group { plan, point, data, solves }, sequels, seeds, bar_p, workspace)?;
        // A lane that has not moved was given a step that nobody took, at a point where the rate may
        // have no derivatives.
        let stood = |solves: &Vec<LaneSolved<T>>| {
            objective.needs.iter().any(|solve| solves[*solve].trace.has_filled_starts())
        };
        if solves.iter().any(stood) && !bar_p.iter().all(|bar| bar.to_f64().is_finite()) {
            return Ok(None);
        }
        Ok(Some((&values[..n_blocks], bar_p)))
    }

    /// Runs the solves in `needs`: ascending, with those that they need. Keeps their steps if `traces`
    /// says so. False if one of the examples cannot be solved.
    fn run(
        &mut self,
        plan: &Plan,
        point: &Point<T>,
        needs: &[usize],
        how: (&Controls, bool),
        count: usize,
    ) -> Result<bool, PlanError> {
        let Room { data, tape: Tape { solves, sequels, workspace, .. } } = self;
        let n_blocks = count.div_ceil(plan.block_width());
        let (data, solves) = (&data[..n_blocks], &mut solves[..n_blocks]);
        solves.iter_mut().flatten().for_each(|solved| solved.evaluations.clear());
        for number in needs {
            if !sequels[*number].run(*number, (plan, point, data), solves, how, workspace)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The results of a function of the run, by block.
    fn values(&mut self, plan: &Plan, point: &Point<T>, of: &RunLanes, count: usize) -> &[Vec<T>] {
        let Room { data, tape: Tape { solves, values, workspace, .. } } = self;
        let n_blocks = count.div_ceil(plan.block_width());
        for ((data, solves), values) in data.iter().zip(solves).zip(&mut *values).take(n_blocks) {
            Block { plan, point, data }.call_run(of, solves, values, workspace);
        }
        &values[..n_blocks]
    }

    /// Evaluations of rates by the last run, of the first `count` examples.
    pub fn evaluations(&self, count: usize) -> u64 {
        let width = self.tape.seeds.len() / self.data.len();
        let of_block = |(block, solves): (usize, &Vec<LaneSolved<T>>)| -> u64 {
            let count = count.saturating_sub(block * width);
            solves.iter().flat_map(|solved| solved.evaluations.iter().take(count)).sum()
        };
        self.tape.solves.iter().enumerate().map(of_block).sum()
    }
}
