//! The exact gradient of a discrete solution: the reverse of the steps that were taken.
//!
//! Step sizes are held fixed, dense output included, so the gradient is that of the numbers the
//! forward pass produced, to round-off. Each step is computed again from its start (by the
//! cotangent function of the step), so memory is one state and one rate per step.
//!
//! Times that depend on params are followed as in the exact solution `y(τ; t0)`: the derivative by
//! `τ` is the rate of the dense output there, that by `t0` is minus the rate at the start carried
//! along, so their gradients are exact to the accuracy of the solution, not to round-off.
//!
//! Source of the scheme: Griewank and Walther, Evaluating Derivatives, 2nd ed., ch. 3; of the
//! derivative by the initial time: Hairer, Nørsett, Wanner, Solving ODEs I, eq. (I.14.9).

use crate::backend::Workspace;
use crate::ir::system::SiteKind;
use crate::plan::forward::Solved;
use crate::plan::kernels::{Moving, SystemCotangents, SystemKernels};
use crate::plan::operands::Context;
use crate::plan::trace::{Place, Schedule};
use crate::plan::unit::{Element, Inputs, PlanError};
use crate::solve::tableau::Tableau;
use std::ops::AddAssign;

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
}

/// Cotangents that one step receives from the dense output inside it: `[s, n]` for the stages and
/// `[n]` for the state at its start.
struct Injected<T> {
    stages: Vec<T>,
    state: Vec<T>,
}

/// The cotangents of what solve `number` started from, given those of the states at its sites,
/// `site_bars: [rows, n]`. Adds that of the params which the motion reads to `bar_q: [Q]`. Times
/// are followed where `moving` says so.
pub(crate) fn reverse<T: Element + AddAssign>(
    context: &Context<'_, T>,
    number: usize,
    solved: &Solved<T>,
    moving: Moving,
    site_bars: &[T],
    bar_q: &mut [T],
) -> Result<StartBars<T>, PlanError> {
    let tableau = context.plan.tableau(number);
    let (trace, system) = (&solved.trace, context.plan.layout.solves[number].system);
    let (n, s) = (trace.n, tableau.n_stages());
    let mut pass = Pass {
        kernels: context.plan.system_cotangents(system)?,
        forward: &context.plan.systems[system],
        context,
        solved,
        bar_a: zeros(solved.fixed.a.len()),
        bar_q,
        share_y: zeros(n),
        share_a: zeros(solved.fixed.a.len()),
        share_q: zeros(solved.fixed.q.len()),
        workspace: Workspace::default(),
    };
    let times = pass.times(number, moving, site_bars);
    let schedule = Schedule::new(&solved.places);

    // Cotangents of the state at the node in hand and of the rate there.
    let (mut bar_y, mut bar_k) = (zeros(n), zeros(n));
    let mut injected = Injected { stages: zeros(s * n), state: zeros(n) };
    for node in (0..=trace.n_steps()).rev() {
        for row in schedule.at_node(node) {
            add(&mut bar_y, &site_bars[row * n..][..n]);
        }
        let Some(step) = node.checked_sub(1) else { break };
        injected.stages.fill(T::default());
        injected.state.fill(T::default());
        for (row, theta) in schedule.inside(step) {
            injected.add_dense(tableau, trace.h[step], theta, &site_bars[row * n..][..n]);
        }
        if node < trace.n_steps() {
            if trace.fresh[node] {
                pass.rate(node, &bar_k, &mut bar_y);
            } else {
                add(&mut injected.stages[(s - 1) * n..], &bar_k);
            }
        }
        pass.step(step, &injected.stages[n..], &mut bar_y, &mut bar_k);
        add(&mut bar_y, &injected.state);
        add(&mut bar_k, &injected.stages[..n]);
    }
    if trace.n_steps() > 0 {
        pass.rate(0, &bar_k, &mut bar_y);
    }
    let ends = if moving.ends { pass.ends(number, site_bars, &bar_y) } else { [0.0; 2] };
    Ok(StartBars { y0: bar_y, a: pass.bar_a, ends, times })
}

impl<T: Element + AddAssign> Injected<T> {
    /// `y(t + θh) = y + h Σ b_i(θ) k_i`, so `bar k_i += h b_i(θ) bar` and `bar y += bar`.
    fn add_dense(&mut self, tableau: &Tableau, h: f64, theta: f64, bar: &[T]) {
        let n = bar.len();
        for stage in 0..tableau.n_stages() {
            let weight = h * tableau.dense.weight(stage, theta);
            for (out, bar) in self.stages[stage * n..][..n].iter_mut().zip(bar) {
                *out += T::from_f64(weight * bar.to_f64());
            }
        }
        add(&mut self.state, bar);
    }
}

/// The calls of a reverse pass; each adds its share to `bar_a` and `bar_q`.
struct Pass<'a, 'b, T> {
    kernels: &'a SystemCotangents,
    forward: &'a SystemKernels,
    context: &'a Context<'b, T>,
    solved: &'a Solved<T>,
    bar_a: Vec<T>,
    bar_q: &'a mut [T],
    /// What one call gives the state, `[n]`, the args, `[A]`, and the params, `[Q]`.
    share_y: Vec<T>,
    share_a: Vec<T>,
    share_q: Vec<T>,
    workspace: Workspace,
}

impl<T: Element + AddAssign> Pass<'_, '_, T> {
    /// Adds to `bar_y` what a cotangent `bar_k` of the rate at the start of step `step` sends there.
    fn rate(&mut self, step: usize, bar_k: &[T], bar_y: &mut [T]) {
        let trace = &self.solved.trace;
        let (t, inside) = ([T::from_f64(trace.t[step])], [T::from_f64(inside(trace.t[step], trace.h[step]))]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(trace.state(step))]);
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        inputs.push(T::input(bar_k));
        let mut outputs =
            [T::output(&mut self.share_y), T::output(&mut self.share_a), T::output(&mut self.share_q)];
        self.kernels.rate.call(&inputs, &mut outputs, &mut self.workspace);
        add(bar_y, &self.share_y);
        self.add_shares();
    }

    /// Turns the cotangent of the state at the end of a step into that of the state at its start,
    /// and gives `bar_k` that of the rate there.
    fn step(&mut self, step: usize, bar_tail: &[T], bar_y: &mut Vec<T>, bar_k: &mut [T]) {
        let trace = &self.solved.trace;
        let (t, h) = ([T::from_f64(trace.t[step])], [T::from_f64(trace.h[step])]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h)]);
        inputs.extend([T::input(trace.state(step)), T::input(trace.rate(step))]);
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        inputs.extend([T::input(bar_tail), T::input(bar_y)]);
        let mut outputs = [
            T::output(&mut self.share_y),
            T::output(bar_k),
            T::output(&mut self.share_a),
            T::output(&mut self.share_q),
        ];
        self.kernels.step.call(&inputs, &mut outputs, &mut self.workspace);
        drop(inputs);
        std::mem::swap(bar_y, &mut self.share_y);
        self.add_shares();
    }

    fn add_shares(&mut self) {
        add(&mut self.bar_a, &self.share_a);
        add(self.bar_q, &self.share_q);
    }

    /// `bar τ = ⟨bar y(τ), y'(τ)⟩` for each row of the sites of kind `Times`.
    fn times(&mut self, number: usize, moving: Moving, site_bars: &[T]) -> Vec<T> {
        if !moving.sites {
            return Vec::new();
        }
        let n = self.solved.trace.n;
        let rows = rows_of(self.context, number, SiteKind::Times);
        let mut slope = zeros(n);
        let mut bar = |row: usize| {
            match self.solved.places[row] {
                Place::Node(node) => self.slope_at_node(node, &mut slope),
                Place::Inside { step, theta } => {
                    let t = self.solved.trace.t[step] + theta * self.solved.trace.h[step];
                    self.context.again(number, self.solved, step, |step| step.slope_at(t, &mut slope));
                }
            }
            T::from_f64(dot(&site_bars[row * n..][..n], &slope))
        };
        rows.map(&mut bar).collect()
    }

    /// The cotangents of start and end: `bar t1` is what the sites at the end feel when it moves,
    /// `bar t0` what all sites but those at the start feel when the start value begins later.
    fn ends(&mut self, number: usize, site_bars: &[T], bar_y0: &[T]) -> [f64; 2] {
        let n = self.solved.trace.n;
        let mut slope = zeros(n);
        self.slope_at_node(self.solved.trace.n_steps(), &mut slope);
        let at_end = rows_of(self.context, number, SiteKind::End);
        let by_end = at_end.map(|row| dot(&site_bars[row * n..][..n], &slope)).sum();
        self.slope_at_node(0, &mut slope);
        let at_start = rows_of(self.context, number, SiteKind::Start);
        let held: f64 = at_start.map(|row| dot(&site_bars[row * n..][..n], &slope)).sum();
        [held - dot(bar_y0, &slope), by_end]
    }

    /// The rate at a node: on the side of the step that begins there, or of the last one.
    fn slope_at_node(&mut self, node: usize, slope: &mut [T]) {
        let trace = &self.solved.trace;
        let h = match node.checked_sub(1) {
            _ if node < trace.n_steps() => return slope.copy_from_slice(trace.rate(node)),
            Some(step) => -trace.h[step],
            None => 0.0,
        };
        let (t, inside) = ([T::from_f64(trace.t[node])], [T::from_f64(inside(trace.t[node], h))]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(trace.state(node))]);
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        self.forward.rate.call(&inputs, &mut [T::output(slope)], &mut self.workspace);
    }
}

/// The middle of the step of size `h` from `t`.
fn inside(t: f64, h: f64) -> f64 {
    t + 0.5 * h
}

/// The rows of the sites of this kind.
fn rows_of<T: Element>(
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

fn dot<T: Element>(a: &[T], b: &[T]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a.to_f64() * b.to_f64()).sum()
}
