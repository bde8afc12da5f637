//! The exact gradient of a discrete solution: the reverse of the steps that were taken.
//!
//! Step sizes are held fixed, dense output included, so the gradient is that of the numbers the
//! forward pass produced, to round-off. The inside of a step is computed again from its start (by
//! the cotangent function of the step), so memory is one state and one rate per step; where the
//! trace keeps fewer ([`Keep`]), the steps between are taken again, with
//! the same bits. Of methods that are not explicit see `again`.
//!
//! Times that depend on params are followed as in the exact solution `y(τ; t0)`: the derivative by
//! `τ` is the rate of the dense output there, that by `t0` is minus the rate at the start carried
//! along, that by a time `s` at which the field changes is the jump `f(s-) - f(s+)` carried along.
//! So their gradients are exact to the accuracy of the solution, not to round-off. The same holds
//! for the times of events, which `instant` goes back through.
//!
//! Source of the scheme and of the checkpoints: Griewank and Walther, Evaluating Derivatives, 2nd
//! ed., ch. 3 and 12; of the derivative by the initial time: Hairer, Nørsett, Wanner, Solving ODEs
//! I, eq. (I.14.9).

use crate::backend::Workspace;
use crate::ir::system::SiteKind;
use crate::plan::adjoint::Cost;
use crate::plan::adjoint::again;
use crate::plan::adjoint::instant::{self, Around, Into};
use crate::plan::controls::Failure;
use crate::plan::forward::Solved;
use crate::plan::kernels::{Moving, SystemKernels};
use crate::plan::operands::Context;
use crate::plan::stepping::Motion;
use crate::plan::trace::{Keep, Schedule, TracedInstant};
use crate::plan::unit::{Element, Inputs, Kernel};
use crate::solve::problem::Step;
use crate::solve::reverse::Reverse;
use crate::solve::tableau::Tableau;
use std::cell::Cell;
use std::ops::{AddAssign, Range};

/// Cotangents of what a solve started from.
pub(crate) struct StartBars<T> {
    /// Of the start value, `[n]`.
    pub y0: Vec<T>,
    /// Of the args, `[A]`.
    pub a: Vec<T>,
    /// Of start and end.
    pub ends: [f64; 2],
    /// Of the times of the sites of kind `Times`, one after the other.
    pub times: Vec<T>,
    /// Of the stops, `[S]`.
    pub stops: Vec<T>,
}

/// Cotangents that one step receives from the dense output inside it: of an explicit method `[s + e, n]`
/// for the stages and `[n]` for the state at its start, of an implicit one those of the states at `θ`.
pub(super) struct Injected<T> {
    stages: Vec<T>,
    state: Vec<T>,
    pub(super) inside: Vec<(f64, Vec<f64>)>,
}

/// Steps at whose start the state is kept, and with explicit methods the rate, by their numbers, with
/// both as `[len, n]`.
struct Starts<'s, T> {
    steps: Vec<usize>,
    y: &'s [T],
    k1: &'s [T],
}

/// The cotangents of what solve `number` started from, given those of the states at its sites,
/// `site_bars: [rows, n]`, and that of the time at which an event ended it. Adds that of the params
/// which the motion reads to `bar_q: [Q]`. Times are followed where `moving` says so.
pub(crate) fn reverse<T: Element + AddAssign>(
    context: &Context<'_, T>,
    number: usize,
    solved: &Solved<T>,
    moving: Moving,
    (site_bars, bar_end): (&[T], f64),
    bar_q: &mut [T],
) -> Result<(StartBars<T>, Cost), Failure> {
    let tableau = context.plan.method(number).tableau();
    let (trace, system) = (&solved.trace, context.plan.layout.solves[number].system);
    let (n, rows, n_steps) = (trace.n, tableau.map_or(0, Tableau::n_rows), trace.n_steps());
    let fresh = Cell::new(false);
    let mut motion =
        Motion::new(context, number, &solved.fixed, &fresh, (trace.t[0], trace.state(0).to_vec()));
    let mut pass = Pass {
        pull_rate: context.plan.rate_cotangents(system)?,
        pull_step: tableau.map(|_| context.plan.step_cotangents(system)).transpose()?,
        pull_bend: context.plan.bends(system).then(|| context.plan.bend_cotangents(system)).transpose()?,
        pull_diffusion: context.plan.diffusion_cotangents(system)?,
        again: again::steps(&mut motion, &solved.paths),
        forward: &context.plan.systems[system],
        context,
        number,
        solved,
        tableau,
        schedule: Schedule::new(&solved.places),
        moving,
        site_bars,
        bar_end,
        by_row: if moving.sites { vec![0.0; solved.places.len()] } else { Vec::new() },
        by_stop: if moving.stops { zeros(solved.stops.len()) } else { Vec::new() },
        bar_y: zeros(n),
        bar_k: zeros(n),
        injected: Injected { stages: zeros(rows * n), state: zeros(n), inside: Vec::new() },
        by_start: 0.0,
        slope: zeros(n),
        bar_a: zeros(solved.fixed.a.len()),
        bar_q,
        share_y: zeros(n),
        share_a: zeros(solved.fixed.a.len()),
        share_q: zeros(solved.fixed.q.len()),
        workspace: Workspace::default(),
        cost: Cost::default(),
    };
    let h = trace.h.last().map_or(0.0, |h| -h);
    let mut slope = zeros(n);
    pass.slope((trace.t[n_steps], inside(trace.t[n_steps], h)), trace.end(), &mut slope);
    pass.arrive(n_steps, &slope);
    let by_end = pass.felt_by(SiteKind::End, &slope);
    pass.slope = slope;
    let kept: Vec<usize> = (0..n_steps).step_by(trace.stride).collect();
    let again = pass.starts_again(&kept)?;
    let starts = Starts { steps: kept, y: again.as_deref().unwrap_or(&trace.y), k1: &trace.k1 };
    pass.reverse_from(&starts, n_steps, trace.end())?;
    if let Some(instant) = trace.instant(0) {
        let t = trace.t[0];
        let (inside, mut before) = (inside(t, trace.h.first().copied().unwrap_or(0.0)), zeros(n));
        pass.slope((t, inside), &instant.jumps[0].before, &mut before);
        pass.pull_instant(instant, inside, &before)?;
        pass.slope = before;
    }
    if tableau.is_none() && n_steps > 0 {
        pass.pull_start()?;
    }
    // `bar t1` is what the sites at the end feel when it moves, `bar t0` what all sites but those
    // at the start feel when the start value begins later.
    let ends = match moving.ends {
        true => {
            let by_start = pass.felt_by(SiteKind::Start, &pass.slope) - dot(&pass.bar_y, &pass.slope);
            [by_start + pass.by_start, by_end]
        }
        false => [0.0; 2],
    };
    let by_row = |row: usize| T::from_f64(pass.by_row[row]);
    let times = match moving.sites {
        true => rows_of(context, number, SiteKind::Times).map(by_row).collect(),
        false => Vec::new(),
    };
    let Pass { bar_y, bar_a, by_stop, cost, .. } = pass;
    Ok((StartBars { y0: bar_y, a: bar_a, ends, times, stops: by_stop }, cost))
}

impl<T: Element + AddAssign> Injected<T> {
    /// `y(t + θh) = y + h Σ b_i(θ) k_i`, so `bar k_i += h b_i(θ) bar` and `bar y += bar`.
    fn add_dense(&mut self, tableau: &Tableau, h: f64, theta: f64, bar: &[T]) {
        let n = bar.len();
        for stage in 0..tableau.n_rows() {
            let weight = h * tableau.dense.weight(stage, theta);
            for (out, bar) in self.stages[stage * n..][..n].iter_mut().zip(bar) {
                *out += T::from_f64(weight * bar.to_f64());
            }
        }
        add(&mut self.state, bar);
    }
}

/// A reverse pass on its way.
pub(super) struct Pass<'a, 'b, 'c, T> {
    /// See [`Plan::rate_cotangents`](crate::plan::Plan::rate_cotangents) and
    /// [`step_cotangents`](crate::plan::Plan::step_cotangents).
    pub(super) pull_rate: &'a Kernel,
    pull_step: Option<&'a Kernel>,
    pub(super) pull_bend: Option<&'a Kernel>,
    pub(super) pull_diffusion: Option<&'a Kernel>,
    /// The steps of a method that is not explicit.
    pub(super) again: Option<Box<dyn Reverse<T> + 'c>>,
    forward: &'a SystemKernels,
    pub(super) context: &'a Context<'b, T>,
    pub(super) number: usize,
    pub(super) solved: &'a Solved<T>,
    /// The table of an explicit one.
    tableau: Option<&'static Tableau>,
    schedule: Schedule<'a>,
    moving: Moving,
    site_bars: &'a [T],
    /// The cotangent of the end, if an event made it.
    bar_end: f64,
    /// Cotangents of the times of all rows, if sites move.
    by_row: Vec<f64>,
    by_stop: Vec<T>,
    /// Cotangents of the state at the node in hand and of the rate there.
    pub(super) bar_y: Vec<T>,
    bar_k: Vec<T>,
    pub(super) injected: Injected<T>,
    /// What events at equal distances send to the start.
    by_start: f64,
    /// The rate at the node in hand, of the state after its events.
    slope: Vec<T>,
    pub(super) bar_a: Vec<T>,
    pub(super) bar_q: &'a mut [T],
    /// What one call gives the state, `[n]`, the args, `[A]`, and the params, `[Q]`.
    share_y: Vec<T>,
    share_a: Vec<T>,
    share_q: Vec<T>,
    pub(super) workspace: Workspace,
    cost: Cost,
}

impl<T: Element + AddAssign> Pass<'_, '_, '_, T> {
    /// Goes from step `until`, where the state is `end`, back to the first of `starts`.
    fn reverse_from(&mut self, starts: &Starts<'_, T>, until: usize, end: &[T]) -> Result<(), Failure> {
        let n = self.solved.trace.n;
        let width = starts.k1.len() / starts.steps.len().max(1);
        self.cost.hold(starts.steps.len());
        let (mut until, mut end) = (until, end);
        for (at, step) in starts.steps.iter().enumerate().rev() {
            let start = (&starts.y[at * n..][..n], &starts.k1[at * width..][..width]);
            match until - step {
                1 => self.reverse_step(*step, start, end)?,
                _ => self.reverse_piece(*step..until, start, end)?,
            }
            (until, end) = (*step, start.0);
        }
        self.cost.release(starts.steps.len());
        Ok(())
    }

    /// Takes the steps `steps` again, from `(y, k1)`, and goes back through them: they are kept if
    /// there is room, otherwise as many of them as there is room for, and so on in between.
    fn reverse_piece(&mut self, steps: Range<usize>, start: (&[T], &[T]), end: &[T]) -> Result<(), Failure> {
        let room = match self.solved.trace.keep {
            Keep::Every | Keep::Path => usize::MAX,
            Keep::AtMost(count) => count.max(2),
            Keep::Ends => crate::bug!("steps of a run that kept none"),
        };
        let spacing = steps.len().div_ceil(room);
        let kept: Vec<usize> = steps.clone().step_by(spacing).collect();
        let last = kept[kept.len() - 1];
        let (mut ys, mut k1s) = (Vec::new(), Vec::new());
        self.replay(steps.start..last + 1, start, |step, y, k1| {
            if (step - steps.start).is_multiple_of(spacing) {
                ys.extend_from_slice(y);
                k1s.extend_from_slice(k1);
            }
        })?;
        self.reverse_from(&Starts { steps: kept, y: &ys, k1: &k1s }, steps.end, end)
    }

    /// Shows state and rate at the start of each of `steps`, which are taken again.
    pub(super) fn replay(
        &mut self,
        steps: Range<usize>,
        (y, k1): (&[T], &[T]),
        mut look: impl FnMut(usize, &[T], &[T]),
    ) -> Result<(), Failure> {
        let trace = &self.solved.trace;
        let (n, fresh, mut y) = (trace.n, Cell::new(false), y.to_vec());
        let Some(tableau) = self.tableau else {
            for step in steps.clone() {
                look(step, &y, &[]);
                if step + 1 < steps.end {
                    self.take_again(step, &y, None)?;
                    y = trace.instant(step + 1).map_or_else(|| self.end_again(), |at| at.after.clone());
                    self.cost.recomputed += 1;
                }
            }
            return Ok(());
        };
        let start = (trace.t[steps.start], y.clone());
        let mut motion = Motion::new(self.context, self.number, &self.solved.fixed, &fresh, start);
        let mut stages = zeros(tableau.n_stages() * n);
        stages[..n].copy_from_slice(k1);
        let (mut y_new, mut err) = (zeros(n), zeros(n));
        for step in steps.clone() {
            look(step, &y, &stages[..n]);
            if step + 1 == steps.end {
                break;
            }
            Step::step(&mut motion, trace.t[step], trace.h[step], &y, &mut stages, &mut y_new, &mut err);
            std::mem::swap(&mut y, &mut y_new);
            if let Some(instant) = trace.instant(step + 1) {
                y.copy_from_slice(&instant.after);
            }
            if trace.fresh[step + 1] {
                let (t, h) = (trace.t[step + 1], trace.h[step + 1]);
                Step::rate(&mut motion, t, inside(t, h), &y, &mut stages[..n]);
            } else {
                let last = stages.len() - n;
                stages.copy_within(last.., 0);
            }
            self.cost.recomputed += 1;
        }
        Ok(())
    }

    /// Goes back through one step, whose start is `(y, k1)` and which ends near `end`.
    fn reverse_step(&mut self, step: usize, (y, k1): (&[T], &[T]), end: &[T]) -> Result<(), Failure> {
        let (trace, n) = (&self.solved.trace, self.solved.trace.n);
        let here = (step, y, k1);
        self.injected.stages.fill(T::default());
        self.injected.state.fill(T::default());
        if self.tableau.is_none() {
            let end = trace.instant(step + 1).map_or(end, |instant| &instant.jumps[0].before);
            self.take_again(step, y, Some(end))?;
        }
        if let Some(instant) = trace.instant(step + 1) {
            self.leave_instant(instant, here)?;
        }
        let inside_rows: Vec<(usize, f64)> = self.schedule.inside(step).collect();
        for (row, theta) in inside_rows {
            let bar = &self.site_bars[row * n..][..n];
            self.inject(step, theta, bar);
            if self.moving.sites {
                let mut slope = zeros(n);
                self.slope_inside(here, theta, &mut slope);
                self.by_row[row] = dot(bar, &slope);
            }
        }
        let mut slope = k1.to_vec();
        if let Some(tableau) = self.tableau {
            // The rate at the end is the last stage of this step, unless it was computed anew.
            if trace.fresh.get(step + 1) == Some(&false) {
                let last = (tableau.n_stages() - 1) * n;
                add(&mut self.injected.stages[last..], &self.bar_k);
            }
            self.pull_step(step, y, k1);
            add(&mut self.bar_y, &self.injected.state);
            add(&mut self.bar_k, &self.injected.stages[..n]);
            if trace.fresh[step] || step == 0 {
                self.pull_rate(step, y);
            }
        } else {
            self.pull_again(step)?;
            slope = zeros(n);
            if self.moving.any() || !trace.instants.is_empty() {
                self.slope((trace.t[step], inside(trace.t[step], trace.h[step])), y, &mut slope);
            }
        }
        self.arrive(step, &slope);
        if self.moving.stops && trace.instant(step).is_none() {
            self.pass_stops(step, y, &slope);
        }
        self.slope = slope;
        Ok(())
    }

    /// Adds the cotangent `bar` of the state inside a step at `θ`.
    fn inject(&mut self, step: usize, theta: f64, bar: &[T]) {
        match self.tableau {
            Some(tableau) => self.injected.add_dense(tableau, self.solved.trace.h[step], theta, bar),
            None => self.injected.inside.push((theta, bar.iter().map(|bar| bar.to_f64()).collect())),
        }
    }

    /// The rate of change of the dense output inside a step at `θ`.
    fn slope_inside(&mut self, (step, y, k1): (usize, &[T], &[T]), theta: f64, slope: &mut [T]) {
        if self.tableau.is_none() {
            return self.slope_again(step, theta, slope);
        }
        let trace = &self.solved.trace;
        let t = trace.t[step] + theta * trace.h[step];
        let look = |taken: &crate::solve::dense::Accepted<'_, T>| taken.slope_at(t, slope);
        self.context.again(self.number, self.solved, step, (y, k1), look);
    }

    /// Goes back through the events at the end of a step, whose start is `(y, k1)`, to the state in
    /// which it ended: that of its dense output if an event cut it short.
    fn leave_instant(
        &mut self,
        instant: &TracedInstant<T>,
        here: (usize, &[T], &[T]),
    ) -> Result<(), Failure> {
        let (trace, step, node) = (&self.solved.trace, here.0, here.0 + 1);
        let (t, h) = (trace.t[node], trace.h[step]);
        let theta = (t - trace.t[step]) / h;
        let cut = (1.0 - theta).abs() > 4.0 * f64::EPSILON;
        let next = trace.h.get(node).map_or(t, |next| inside(t, *next));
        let inside = if cut { inside(trace.t[step], h) } else { next };
        let (state, mut before) = (&instant.jumps[0].before, zeros(trace.n));
        let stops = !cut && self.solved.stops.iter().any(|stop| stop.to_f64() == t);
        if stops {
            self.slope((t, inside), state, &mut before);
        } else {
            self.slope_inside(here, theta, &mut before);
        }
        self.pull_instant(instant, inside, &before)?;
        if self.moving.stops {
            self.pass_stops(node, state, &before);
        }
        if cut {
            let bar = std::mem::replace(&mut self.bar_y, zeros(trace.n));
            self.inject(step, theta, &bar);
        }
        Ok(())
    }

    /// Turns the cotangent of the state after the events at a node into that of the state before,
    /// whose rate is `before`.
    fn pull_instant(&mut self, instant: &TracedInstant<T>, inside: f64, before: &[T]) -> Result<(), Failure> {
        let trace = &self.solved.trace;
        let ends = self.solved.stopped && instant.node == trace.n_steps();
        // The state at the end is that at the time of the event, wherever it moves.
        let moved = if ends { self.bar_end + self.felt_by(SiteKind::End, &self.slope) } else { 0.0 };
        let around = Around { instant, t: trace.t[instant.node], inside, before, after: &self.slope, moved };
        let mut by_stop = 0.0;
        let into = Into {
            y: &mut self.bar_y,
            a: &mut self.bar_a,
            q: self.bar_q,
            start: &mut self.by_start,
            stop: &mut by_stop,
        };
        instant::reverse(self.context, (self.number, self.solved), &around, into)?;
        for (stop, by) in self.solved.stops.iter().zip(&mut self.by_stop) {
            if stop.to_f64() == around.t {
                *by += T::from_f64(by_stop);
            }
        }
        Ok(())
    }

    /// Adds what the sites at a node receive; `slope` is the rate there.
    fn arrive(&mut self, node: usize, slope: &[T]) {
        let n = self.solved.trace.n;
        for row in self.schedule.at_node(node) {
            let bar = &self.site_bars[row * n..][..n];
            add(&mut self.bar_y, bar);
            if self.moving.sites {
                self.by_row[*row] = dot(bar, slope);
            }
        }
    }

    /// The cotangents of the stops at a node: what the jump of the rate there sends on.
    fn pass_stops(&mut self, node: usize, y: &[T], after: &[T]) {
        let trace = &self.solved.trace;
        let Some(step) = node.checked_sub(1) else { return };
        let (t, mut before) = (trace.t[node], zeros(trace.n));
        for (number, stop) in self.solved.stops.iter().enumerate() {
            if stop.to_f64() == t {
                self.slope((t, inside(t, -trace.h[step])), y, &mut before);
                self.by_stop[number] += T::from_f64(dot(&self.bar_y, &before) - dot(&self.bar_y, after));
            }
        }
    }

    /// Adds to `bar_y` what `bar_k`, the cotangent of the rate at the start of a step, sends there.
    fn pull_rate(&mut self, step: usize, y: &[T]) {
        let trace = &self.solved.trace;
        let (t, inside) = ([T::from_f64(trace.t[step])], [T::from_f64(inside(trace.t[step], trace.h[step]))]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(y)]);
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        inputs.push(T::input(&self.bar_k));
        let mut outputs =
            [T::output(&mut self.share_y), T::output(&mut self.share_a), T::output(&mut self.share_q)];
        self.pull_rate.call(&inputs, &mut outputs, &mut self.workspace);
        drop(inputs);
        add(&mut self.bar_y, &self.share_y);
        self.add_shares();
    }

    /// Turns the cotangent of the state at the end of a step into that of the state at its start,
    /// and gives `bar_k` that of the rate there.
    fn pull_step(&mut self, step: usize, y: &[T], k1: &[T]) {
        let (trace, n) = (&self.solved.trace, self.solved.trace.n);
        let (t, h) = ([T::from_f64(trace.t[step])], [T::from_f64(trace.h[step])]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h), T::input(y), T::input(k1)]);
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        inputs.extend([T::input(&self.injected.stages[n..]), T::input(&self.bar_y)]);
        let mut outputs = [
            T::output(&mut self.share_y),
            T::output(&mut self.bar_k),
            T::output(&mut self.share_a),
            T::output(&mut self.share_q),
        ];
        let kernel = self.pull_step.expect("the method is explicit");
        kernel.call(&inputs, &mut outputs, &mut self.workspace);
        drop(inputs);
        std::mem::swap(&mut self.bar_y, &mut self.share_y);
        self.add_shares();
    }

    fn add_shares(&mut self) {
        add(&mut self.bar_a, &self.share_a);
        add(self.bar_q, &self.share_q);
    }

    /// What the sites of this kind feel when their time moves and the rate there is `slope`.
    fn felt_by(&self, kind: SiteKind, slope: &[T]) -> f64 {
        let n = slope.len();
        rows_of(self.context, self.number, kind).map(|row| dot(&self.site_bars[row * n..][..n], slope)).sum()
    }

    /// The rate at `(t, y)`.
    fn slope(&mut self, (t, inside): (f64, f64), y: &[T], slope: &mut [T]) {
        let (t, inside) = ([T::from_f64(t)], [T::from_f64(inside)]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(y)]);
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        self.forward.rate.call(&inputs, &mut [T::output(slope)], &mut self.workspace);
    }
}

/// The middle of the step of size `h` from `t`.
fn inside(t: f64, h: f64) -> f64 {
    t + 0.5 * h
}

/// The rows of the sites of this kind.
pub(crate) fn rows_of<T: Element>(
    context: &Context<'_, T>,
    number: usize,
    kind: SiteKind,
) -> impl Iterator<Item = usize> + use<T> {
    let sites = &context.plan.program.solves[number].sites;
    let mut at = 0;
    let mut rows = Vec::new();
    for (site, count) in sites.iter().zip(&context.plan.layout.solves[number].site_rows) {
        if site.kind == kind {
            rows.extend(at..at + count);
        }
        at += count;
    }
    rows.into_iter()
}

pub(crate) fn zeros<T: Element>(len: usize) -> Vec<T> {
    vec![T::default(); len]
}

pub(crate) fn add<T: Element + AddAssign>(sum: &mut [T], term: &[T]) {
    for (sum, term) in sum.iter_mut().zip(term) {
        *sum += *term;
    }
}

pub(crate) fn dot<T: Element>(a: &[T], b: &[T]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.to_f64() * b.to_f64()).sum()
}
