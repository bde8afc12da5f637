//! The reverse pass of a block: through the objective, then through each solve from the last to the
//! first, all lanes at once.
//!
//! Every lane walks its own steps backwards as [`discrete`](crate::plan::adjoint::discrete) does for
//! one example. The walk is down the rows of the trace, so all lanes take their first step at the
//! same time; one with fewer steps waits until the walk has come down to them, in a step of its own
//! with cotangents of zero. Sequels come before the pieces that their runs come from.

use crate::backend::{Output, Workspace};
use crate::plan::adjoint::discrete::add;
use crate::plan::block::group::{Group, Sequel, Sequels};
use crate::plan::block::kept::{Lines, NOT_KEPT};
use crate::plan::block::kernels::{Keeping, Pull, SystemPulls};
use crate::plan::block::operands::Block;
use crate::plan::block::trace::LaneSolved;
use crate::plan::lanes::Spreading;
use crate::plan::layout::{Layout, SystemLayout};
use crate::plan::trace::Place;
use crate::plan::unit::{Element, Inputs, PlanError};
use crate::solve::tableau::Tableau;
use std::ops::AddAssign;

/// What a reverse pass works in, kept from one block to the next.
#[derive(Debug, Default)]
pub(crate) struct Back<T> {
    /// Of the known values of each solve, by block.
    bars: Vec<Vec<SolveBars<T>>>,
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
    /// Lanes whose runs have left with the rate of their last stage, `[width]`.
    left: Vec<bool>,
}

/// Where cotangents arrive on the way back.
#[derive(Clone, Copy, Debug)]
struct Visit {
    /// `2 i` at node `i`, `2 i + 1` inside step `i`.
    at: usize,
    lane: usize,
    of: Visitor,
}

/// What cotangents come from.
#[derive(Clone, Copy, Debug)]
enum Visitor {
    /// A row of a site, and where in the step.
    Site { row: usize, theta: f64 },
    /// A lane of a sequel, which the run left for.
    Sequel { number: usize, lane: usize },
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
    /// Adds the gradient in the params of the sum over the examples of the values of the objective, each
    /// times its weight in `seeds: [blocks, width]`, to `bar_p: [P]`, at a group that has run, with its
    /// `sequels`, by solve.
    pub fn reverse(
        &mut self,
        group: &Group<'_, T>,
        sequels: &mut [Sequels<T>],
        seeds: &[T],
        bar_p: &mut [T],
        workspace: &mut Workspace,
    ) -> Result<(), PlanError> {
        let objective = group.plan.block_objective()?;
        let Some(pull) = &objective.pull else { return Ok(()) };
        let n_solves = sequels.len();
        self.bars.resize_with(self.bars.len().max(group.data.len()), Vec::new);
        for bars in self.bars.iter_mut().chain([&mut self.shares]) {
            bars.resize_with(n_solves, SolveBars::default);
            bars.iter_mut().for_each(|bars| bars.arrived = false);
        }
        for (number, seeds) in seeds.chunks_exact(group.plan.block_width()).take(group.data.len()).enumerate()
        {
            self.pull_back(group, number, pull, &[seeds], bar_p, workspace);
        }
        for number in objective.needs.iter().rev() {
            // What arrives at one block arrives at all.
            if self.bars[0][*number].arrived {
                self.through(group, *number, &mut sequels[*number], bar_p, workspace)?;
            }
        }
        Ok(())
    }

    /// Adds what the cotangents of its results send through a function of the run, in one block.
    fn pull_back(
        &mut self,
        group: &Group<'_, T>,
        number: usize,
        pull: &Pull,
        cotangents: &[&[T]],
        bar_p: &mut [T],
        workspace: &mut Workspace,
    ) {
        let (block, layout) = (group.block(number), &group.plan.layout);
        let (bars, width) = (&mut self.bars[number], block.width());
        let mut inputs = block.run_inputs(&pull.reads, &group.solves[number]);
        inputs.extend(cotangents.iter().map(|cotangent| T::input(cotangent)));
        let mut outputs: Vec<Output<'_>> = Vec::new();
        for (solve, (bars, share)) in bars.iter_mut().zip(&mut self.shares).enumerate() {
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
            let (bars, share) = (&mut bars[*solve], &self.shares[*solve]);
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
        group: &Group<'_, T>,
        number: usize,
        sequels: &mut Sequels<T>,
        bar_p: &mut [T],
        workspace: &mut Workspace,
    ) -> Result<(), PlanError> {
        let (plan, layout) = (group.plan, group.plan.layout.system_of(number));
        let (n_blocks, width) = (group.data.len(), plan.block_width());
        sequels.take_site_bars(n_blocks, width, |block| &self.bars[block][number].sites);
        let pulls = plan.system_pulls(plan.layout.solves[number].system)?;
        let tableau = plan.tableau(number);
        let sequels = sequels.of_group();
        for at in (0..sequels.len()).rev() {
            let (until, sequels) = sequels.split_at_mut(at + 1);
            let Sequel { data, solved, site_bars, y, k, a, .. } = &mut until[at];
            let block = Block { plan, point: group.point, data };
            let piece = n_blocks + at;
            let walk = Walk { block, number, solved, pulls, tableau, site_bars, piece, sequels };
            walk.back_to(&mut self.steps, (layout, &mut self.bar_q), bar_p, workspace);
            std::mem::swap(y, &mut self.steps.y);
            std::mem::swap(k, &mut self.steps.k);
            std::mem::swap(a, &mut self.steps.a);
        }
        for piece in 0..n_blocks {
            let (solved, site_bars) = (&group.solves[piece][number], &self.bars[piece][number].sites);
            let block = group.block(piece);
            let walk = Walk { block, number, solved, pulls, tableau, site_bars, piece, sequels };
            walk.back_to(&mut self.steps, (layout, &mut self.bar_q), bar_p, workspace);
            if let Some(pull) = plan.start_pull(number)? {
                let StepBars { y, a, .. } = &mut self.steps;
                let (y, a) = (std::mem::take(y), std::mem::take(a));
                self.pull_back(group, piece, pull, &[&y, &a], bar_p, workspace);
                (self.steps.y, self.steps.a) = (y, a);
            }
        }
        Ok(())
    }
}

/// The way back through the steps of a solve.
struct Walk<'a, T> {
    block: Block<'a, T>,
    number: usize,
    solved: &'a LaneSolved<T>,
    pulls: &'a SystemPulls,
    tableau: &'static Tableau,
    /// `[rows, n, width]`
    site_bars: &'a [T],
    /// Which piece it is: see [`Source`].
    piece: usize,
    /// The sequels behind it, which have been walked back.
    sequels: &'a [Sequel<T>],
}

impl<T: Element + AddAssign> Walk<'_, T> {
    /// Does what [`back`](Walk::back) does, with `bar_p: [P]`; `bar_q` is scratch.
    fn back_to(
        &self,
        bars: &mut StepBars<T>,
        (layout, bar_q): (&SystemLayout, &mut Vec<T>),
        bar_p: &mut [T],
        workspace: &mut Workspace,
    ) {
        match &layout.ranges[..] {
            [range] => self.back(bars, &mut bar_p[range.clone()], workspace),
            ranges => {
                bar_q.clear();
                bar_q.extend(ranges.iter().flat_map(|range| &bar_p[range.clone()]));
                self.back(bars, bar_q, workspace);
                layout.scatter(bar_q, bar_p);
            }
        }
    }

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

    /// Whether it is that of a sequel.
    fn goes_on(&self) -> bool {
        self.solved.is_sequel
    }

    /// Finds where the rows of the sites lie, in the order of the run, and where runs have left.
    fn plan_visits(&self, bars: &mut StepBars<T>) {
        let (trace, width) = (&self.solved.trace, self.block.width());
        let n_rows = self.solved.times.len() / width;
        bars.visits.clear();
        bars.left.clear();
        bars.left.resize(width, false);
        for (number, sequel) in self.sequels.iter().enumerate() {
            for (lane, source) in sequel.sources.iter().enumerate().filter(|(_, of)| of.piece == self.piece) {
                let (at, of) = (2 * trace.n_steps[source.lane], Visitor::Sequel { number, lane });
                bars.visits.push(Visit { at, lane: source.lane, of });
                // A rate that was evaluated anew is the sequel's own.
                bars.left[source.lane] = !sequel.solved.trace.fresh[lane];
            }
        }
        for (index, time) in self.solved.times.iter().enumerate() {
            let (lane, row) = (index / n_rows, index % n_rows);
            // What is not on this way is on that of another piece, and so is where this one begins or ends if
            // that does.
            let (at, theta) = match trace.place(lane, *time) {
                Some(Place::Node(0)) if self.goes_on() => continue,
                Some(Place::Node(node)) => (2 * node, 0.0),
                Some(Place::Inside { step, theta }) => (2 * step + 1, theta),
                None => continue,
            };
            bars.visits.push(Visit { at, lane, of: Visitor::Site { row, theta } });
        }
        bars.visits.sort_by_key(|visit| visit.at);
    }

    /// Adds what the sites at a node receive, and what runs that have left there bring back.
    fn arrive(&self, at: usize, ahead: &mut usize, bars: &mut StepBars<T>) {
        let width = self.block.width();
        let StepBars { visits, y, k, a, left, .. } = bars;
        for Visit { lane, of, .. } in take(visits, ahead, at) {
            match of {
                Visitor::Site { row, .. } => {
                    let len = y.len();
                    add_lane(y, *lane, &self.site_bars[row * len..][..len], *lane, width);
                }
                Visitor::Sequel { number, lane: other } => {
                    let sequel = &self.sequels[*number];
                    add_lane(y, *lane, &sequel.y, *other, width);
                    add_lane(a, *lane, &sequel.a, *other, width);
                    if left[*lane] {
                        add_lane(k, *lane, &sequel.k, *other, width);
                    }
                }
            }
        }
    }

    /// Adds what the sites inside the steps of a row receive: `y(t + θh) = y + h Σ b_i(θ) k_i`, so
    /// `bar k_i += h b_i(θ) bar` and `bar y += bar`.
    fn inject(&self, row: usize, ahead: &mut usize, bars: &mut StepBars<T>) {
        let width = self.block.width();
        let StepBars { visits, stages, state, .. } = bars;
        let len = state.len();
        for Visit { lane, of, .. } in take(visits, ahead, 2 * row + 1) {
            let Visitor::Site { row: site, theta } = of else { crate::bug!("a run has left inside a step") };
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
        let StepBars { stages, k, left, .. } = bars;
        let handed = |lane: usize| match trace.n_steps[lane].checked_sub(row + 1) {
            Some(0) => left[lane],
            Some(_) => !trace.fresh[(row + 1) * width + lane],
            None => false,
        };
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
        let first = row == 0 && !self.goes_on();
        let evaluated = |lane: usize| row < trace.n_steps[lane] && (first || trace.fresh[row * width + lane]);
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

/// Adds lane `other` of `from` to lane `lane` of `to`.
fn add_lane<T: Element + AddAssign>(to: &mut [T], lane: usize, from: &[T], other: usize, width: usize) {
    let from = from.iter().skip(other).step_by(width);
    to.iter_mut().skip(lane).step_by(width).zip(from).for_each(|(to, from)| *to += *from);
}
