//! The reverse pass of a block: through the objective, then through each solve from the last to the
//! first, all lanes at once.
//!
//! Every lane walks its own steps backwards as [`discrete`](crate::plan::adjoint::discrete) does for
//! one example. The walk is down the rows of the trace, so all lanes take their first step at the
//! same time; one with fewer steps waits until the walk has come down to them, in a step of its own
//! with cotangents of zero.

use crate::backend::{Output, Workspace};
use crate::plan::adjoint::discrete::add;
use crate::plan::block::kept::{Lines, NOT_KEPT};
use crate::plan::block::kernels::{Keeping, Pull, SystemPulls};
use crate::plan::block::operands::Block;
use crate::plan::block::trace::LaneSolved;
use crate::plan::lanes::Spreading;
use crate::plan::layout::Layout;
use crate::plan::trace::Place;
use crate::plan::unit::{Element, Inputs, PlanError};
use crate::solve::tableau::Tableau;
use std::ops::AddAssign;

/// What a reverse pass works in, kept from one block to the next.
#[derive(Debug, Default)]
pub(crate) struct Back<T> {
    /// Of the known values of each solve.
    bars: Vec<SolveBars<T>>,
    /// What one function sends there, where something has arrived before.
    shares: Vec<SolveBars<T>>,
    steps: StepBars<T>,
    /// Of the params of a motion that are not side by side, `[Q]`.
    bar_q: Vec<T>,
}

/// Cotangents of the known values of a solve.
#[derive(Debug, Default)]
struct SolveBars<T> {
    /// Whether anything has arrived.
    arrived: bool,
    /// `[width]` each.
    ends: [Vec<T>; 2],
    /// `[rows, n, width]`
    sites: Vec<T>,
}

/// Cotangents on the way through the steps of a solve, and what one call gives.
#[derive(Debug, Default)]
struct StepBars<T> {
    /// Of the states at the nodes in hand, and of the rates there, `[n, width]`.
    y: Vec<T>,
    k: Vec<T>,
    /// Of the args, `[A, width]`.
    a: Vec<T>,
    share_y: Vec<T>,
    share_a: Vec<T>,
    /// What the dense output inside a step sends to its stages, `[s + e, n, width]`, and to the states
    /// at its start, `[n, width]`.
    stages: Vec<T>,
    state: Vec<T>,
    /// `bar_k` of the lanes whose rate was evaluated at the nodes in hand, `[n, width]`.
    pulled: Vec<T>,
    /// Times and step sizes of a call, `[width]`.
    times: [Vec<T>; 2],
    /// What the steps of a row keep, if it lies apart or is computed again, `[len, width]`, and what a
    /// step puts out beside it.
    kept: Lines<T>,
    again: Vec<T>,
    visits: Vec<Visit>,
}

/// A row of a site on the way back.
#[derive(Clone, Copy, Debug)]
struct Visit {
    /// `2 i` at node `i`, `2 i + 1` inside step `i`.
    at: usize,
    lane: usize,
    row: usize,
    /// Where in the step.
    theta: f64,
}

impl<T: Element> SolveBars<T> {
    /// As long as the known values of `solve` are.
    fn fit(&mut self, layout: &Layout, solve: usize, width: usize) {
        let len = layout.solves[solve].rows * layout.system_of(solve).n;
        self.ends.iter_mut().for_each(|end| end.resize(width, T::default()));
        self.sites.resize(len * width, T::default());
    }

    /// One output for each known value.
    fn push<'a>(&'a mut self, layout: &Layout, solve: usize, width: usize, outputs: &mut Vec<Output<'a>>) {
        outputs.extend(self.ends.iter_mut().map(|end| T::output(end)));
        let mut rows = &mut self.sites[..];
        for count in &layout.solves[solve].site_rows {
            let (site, rest) = rows.split_at_mut(count * layout.system_of(solve).n * width);
            outputs.push(T::output(site));
            rows = rest;
        }
    }
}

impl<T: Element + AddAssign> Back<T> {
    /// Adds the gradient in the params of the sum over the lanes of the values of the objective, each
    /// times its weight in `seeds: [width]`, to `bar_p: [P]`, at a block that has run.
    pub fn reverse(
        &mut self,
        block: &Block<'_, T>,
        solves: &[LaneSolved<T>],
        seeds: &[T],
        bar_p: &mut [T],
        workspace: &mut Workspace,
    ) -> Result<(), PlanError> {
        let objective = block.plan.block_objective()?;
        let Some(pull) = &objective.pull else { return Ok(()) };
        for bars in [&mut self.bars, &mut self.shares] {
            bars.resize_with(solves.len(), SolveBars::default);
        }
        self.bars.iter_mut().for_each(|bars| bars.arrived = false);
        self.pull_back(block, solves, pull, &[seeds], bar_p, workspace);
        for number in objective.needs.iter().rev() {
            if self.bars[*number].arrived {
                self.through(block, solves, *number, bar_p, workspace)?;
            }
        }
        Ok(())
    }

    /// Adds what the cotangents of its results send through a function of the run.
    fn pull_back(
        &mut self,
        block: &Block<'_, T>,
        solves: &[LaneSolved<T>],
        pull: &Pull,
        cotangents: &[&[T]],
        bar_p: &mut [T],
        workspace: &mut Workspace,
    ) {
        let (layout, width) = (&block.plan.layout, block.width());
        let mut inputs = block.run_inputs(&pull.reads, solves);
        inputs.extend(cotangents.iter().map(|cotangent| T::input(cotangent)));
        let mut outputs: Vec<Output<'_>> = Vec::new();
        for (solve, (bars, share)) in self.bars.iter_mut().zip(&mut self.shares).enumerate() {
            if pull.reads.contains(&solve) {
                let place = if bars.arrived { share } else { bars };
                place.fit(layout, solve, width);
                place.push(layout, solve, width, &mut outputs);
            }
        }
        outputs.extend(pull.params.clone().map(|range| T::output(&mut bar_p[range])));
        pull.kernel.call(&inputs, &mut outputs, workspace);
        drop(outputs);
        for solve in &pull.reads {
            let (bars, share) = (&mut self.bars[*solve], &self.shares[*solve]);
            if bars.arrived {
                bars.ends.iter_mut().zip(&share.ends).for_each(|(sum, end)| add(sum, end));
                add(&mut bars.sites, &share.sites);
            }
            bars.arrived = true;
        }
    }

    /// Sends what has arrived at a solve through its steps and its start.
    fn through(
        &mut self,
        block: &Block<'_, T>,
        solves: &[LaneSolved<T>],
        number: usize,
        bar_p: &mut [T],
        workspace: &mut Workspace,
    ) -> Result<(), PlanError> {
        let (plan, layout) = (block.plan, block.plan.layout.system_of(number));
        let walk = Walk {
            block,
            number,
            solved: &solves[number],
            pulls: plan.system_pulls(plan.layout.solves[number].system)?,
            tableau: plan.tableau(number),
            site_bars: &self.bars[number].sites,
        };
        match &layout.ranges[..] {
            [range] => walk.back(&mut self.steps, &mut bar_p[range.clone()], workspace),
            ranges => {
                self.bar_q.clear();
                self.bar_q.extend(ranges.iter().flat_map(|range| &bar_p[range.clone()]));
                walk.back(&mut self.steps, &mut self.bar_q, workspace);
                layout.scatter(&self.bar_q, bar_p);
            }
        }
        if let Some(pull) = plan.start_pull(number)? {
            let StepBars { y, a, .. } = &mut self.steps;
            let (y, a) = (std::mem::take(y), std::mem::take(a));
            self.pull_back(block, solves, pull, &[&y, &a], bar_p, workspace);
            (self.steps.y, self.steps.a) = (y, a);
        }
        Ok(())
    }
}

/// The way back through the steps of a solve.
struct Walk<'a, 'b, T> {
    block: &'a Block<'b, T>,
    number: usize,
    solved: &'a LaneSolved<T>,
    pulls: &'a SystemPulls,
    tableau: &'static Tableau,
    /// `[rows, n, width]`
    site_bars: &'a [T],
}

impl<T: Element + AddAssign> Walk<'_, '_, T> {
    /// From the ends of all lanes to their starts: leaves the cotangents of the start values and the
    /// args in `bars`, adds that of the params to `bar_q: [Q]`.
    fn back(&self, bars: &mut StepBars<T>, bar_q: &mut [T], workspace: &mut Workspace) {
        let (trace, width) = (&self.solved.trace, self.block.width());
        let (n_rows, stages) = (trace.n_rows(), self.tableau.n_rows());
        let n = self.block.plan.layout.system_of(self.number).n;
        let reset = |bars: &mut Vec<T>, len: usize| {
            bars.clear();
            bars.resize(len, T::default());
        };
        let StepBars { y, k, a, share_y, share_a, stages: tail, state, pulled, times, .. } = bars;
        [y, k, share_y, state, pulled].into_iter().for_each(|bars| reset(bars, n * width));
        [a, share_a].into_iter().for_each(|bars| reset(bars, self.solved.a.len()));
        reset(tail, stages * n * width);
        times.iter_mut().for_each(|times| reset(times, width));
        self.plan_visits(bars);
        let mut ahead = bars.visits.len();
        self.arrive(2 * n_rows, &mut ahead, bars);
        for row in (0..n_rows).rev() {
            bars.stages.fill(T::default());
            bars.state.fill(T::default());
            self.inject(row, &mut ahead, bars);
            self.hand_on_rates(row, bars);
            self.pull_step(row, bars, bar_q, workspace);
            add(&mut bars.y, &bars.state);
            add(&mut bars.k, &bars.stages[..n * width]);
            self.pull_rate(row, bars, bar_q, workspace);
            self.arrive(2 * row, &mut ahead, bars);
        }
    }

    /// Finds where the rows of the sites lie, in the order of the run.
    fn plan_visits(&self, bars: &mut StepBars<T>) {
        let (trace, width) = (&self.solved.trace, self.block.width());
        let n_rows = self.solved.times.len() / width;
        bars.visits.clear();
        for (index, time) in self.solved.times.iter().enumerate() {
            let (lane, row) = (index / n_rows, index % n_rows);
            let (at, theta) = match trace.place(lane, *time).expect("site times lie within the run") {
                Place::Node(node) => (2 * node, 0.0),
                Place::Inside { step, theta } => (2 * step + 1, theta),
            };
            bars.visits.push(Visit { at, lane, row, theta });
        }
        bars.visits.sort_by_key(|visit| visit.at);
    }

    /// Adds what the sites at a node receive.
    fn arrive(&self, at: usize, ahead: &mut usize, bars: &mut StepBars<T>) {
        let width = self.block.width();
        let StepBars { visits, y, .. } = bars;
        for Visit { lane, row, .. } in take(visits, ahead, at) {
            let bar = &self.site_bars[row * y.len()..][..y.len()];
            for at in (*lane..bar.len()).step_by(width) {
                y[at] += bar[at];
            }
        }
    }

    /// Adds what the sites inside the steps of a row receive: `y(t + θh) = y + h Σ b_i(θ) k_i`, so
    /// `bar k_i += h b_i(θ) bar` and `bar y += bar`.
    fn inject(&self, row: usize, ahead: &mut usize, bars: &mut StepBars<T>) {
        let width = self.block.width();
        let StepBars { visits, stages, state, .. } = bars;
        let len = state.len();
        for Visit { lane, row: site, theta, .. } in take(visits, ahead, 2 * row + 1) {
            let (bar, h) = (&self.site_bars[site * len..][..len], self.solved.trace.h[row * width + lane]);
            for stage in 0..self.tableau.n_rows() {
                let weight = h * self.tableau.dense.weight(stage, *theta);
                let sums = &mut stages[stage * len..][..len];
                for at in (*lane..len).step_by(width) {
                    sums[at] += T::from_f64(weight * bar[at].to_f64());
                }
            }
            for at in (*lane..len).step_by(width) {
                state[at] += bar[at];
            }
        }
    }

    /// The rate at the end of a step is its last stage, unless it was computed anew.
    fn hand_on_rates(&self, row: usize, bars: &mut StepBars<T>) {
        let (trace, width) = (&self.solved.trace, self.block.width());
        let handed = |lane: usize| row + 1 < trace.n_steps[lane] && !trace.fresh[(row + 1) * width + lane];
        let StepBars { stages, k, .. } = bars;
        let last = &mut stages[(self.tableau.n_stages() - 1) * k.len()..][..k.len()];
        if (0..width).all(handed) {
            return add(last, k);
        }
        for lane in (0..width).filter(|lane| handed(*lane)) {
            for at in (lane..k.len()).step_by(width) {
                last[at] += k[at];
            }
        }
    }

    /// Turns the cotangents of the states at the ends of the steps in a row into those of the states
    /// at their starts, and gives `k` those of the rates there.
    fn pull_step(&self, row: usize, bars: &mut StepBars<T>, bar_q: &mut [T], workspace: &mut Workspace) {
        let stored = self.solved.kept.borrow();
        let StepBars { y, k, a, share_y, share_a, stages, times, kept, again, .. } = bars;
        self.times_of(row, times, |_, h| h);
        let attempts = self.solved.trace.attempts(row);
        let kept = self.pulls.keeping.as_ref().map(|keeping| match attempts.contains(&NOT_KEPT) {
            true => self.keep_again(keeping, row, times, kept, again, workspace),
            false => stored.of(attempts, kept),
        });
        let mut inputs = self.starts(row, times);
        self.block.push_motion(&mut inputs, self.number, &self.solved.a, None);
        inputs.extend([T::input(&stages[k.len()..]), T::input(y)]);
        inputs.extend(kept.map(T::input));
        let mut outputs = [T::output(share_y), T::output(k), T::output(share_a), T::output(bar_q)];
        self.pulls.step.call(&inputs, &mut outputs, workspace);
        drop(inputs);
        std::mem::swap(y, share_y);
        add(a, share_a);
    }

    /// The first operands of a function of the steps in a row: `times`, states and rates.
    fn starts<'i>(&'i self, row: usize, times: &'i [Vec<T>; 2]) -> Inputs<'i> {
        let trace = &self.solved.trace;
        let [t, h] = times;
        Inputs::from_iter([t, h, trace.states(row), trace.rates(row)].map(T::input))
    }

    /// What the steps of a row keep, computed again.
    fn keep_again<'k>(
        &self,
        keeping: &Keeping,
        row: usize,
        times: &[Vec<T>; 2],
        kept: &'k mut Lines<T>,
        again: &mut Vec<T>,
        workspace: &mut Workspace,
    ) -> &'k [T] {
        let Keeping { step: Spreading { kernel, spreads }, len } = keeping;
        let size = self.block.width() * self.block.plan.layout.system_of(self.number).n;
        let stages = self.tableau.n_stages();
        again.resize((stages + 1) * size, T::default());
        let (tail, rest) = again.split_at_mut((stages - 1) * size);
        let (y_new, err) = rest.split_at_mut(size);
        let kept = kept.of(len * self.block.width());
        let mut inputs = self.starts(row, times);
        self.block.push_motion(&mut inputs, self.number, &self.solved.a, Some(spreads));
        let mut outputs = [T::output(tail), T::output(y_new), T::output(err), T::output(kept)];
        kernel.call(&inputs, &mut outputs, workspace);
        kept
    }

    /// Adds to `y` what `k` sends there, in the lanes whose rates were evaluated at the start of the
    /// steps in a row.
    fn pull_rate(&self, row: usize, bars: &mut StepBars<T>, bar_q: &mut [T], workspace: &mut Workspace) {
        let (trace, width) = (&self.solved.trace, self.block.width());
        let StepBars { y, k, a, share_y, share_a, pulled, times, .. } = bars;
        let evaluated =
            |lane: usize| row < trace.n_steps[lane] && (row == 0 || trace.fresh[row * width + lane]);
        if !(0..width).any(evaluated) {
            return;
        }
        pulled.fill(T::default());
        for lane in (0..width).filter(|lane| evaluated(*lane)) {
            for at in (lane..k.len()).step_by(width) {
                pulled[at] = k[at];
            }
        }
        self.times_of(row, times, |t, h| t + 0.5 * h);
        let mut inputs = Inputs::from_slice(&[T::input(&times[0]), T::input(&times[1])]);
        inputs.push(T::input(trace.states(row)));
        self.block.push_motion(&mut inputs, self.number, &self.solved.a, None);
        inputs.push(T::input(pulled));
        let mut outputs = [T::output(share_y), T::output(share_a), T::output(bar_q)];
        self.pulls.rate.call(&inputs, &mut outputs, workspace);
        drop(inputs);
        add(y, share_y);
        add(a, share_a);
    }

    /// The starts of the steps in a row, and what `second` makes of start and size.
    fn times_of(&self, row: usize, times: &mut [Vec<T>; 2], second: impl Fn(f64, f64) -> f64) {
        let (trace, width) = (&self.solved.trace, self.block.width());
        let [starts, others] = times;
        let (t, h) = (&trace.t[row * width..][..width], &trace.h[row * width..][..width]);
        for ((start, other), (t, h)) in starts.iter_mut().zip(others).zip(t.iter().zip(h)) {
            (*start, *other) = (T::from_f64(*t), T::from_f64(second(*t, *h)));
        }
    }
}

/// The visits at `at`, which are the last of those before `ahead`, if there are any.
fn take<'v>(visits: &'v [Visit], ahead: &mut usize, at: usize) -> &'v [Visit] {
    let until = *ahead;
    while *ahead > 0 && visits[*ahead - 1].at == at {
        *ahead -= 1;
    }
    &visits[*ahead..until]
}
