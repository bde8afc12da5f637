//! The exact gradient of a discrete solution: the reverse of the steps that were taken.
//!
//! Step sizes are held fixed, dense output included, so the gradient is that of the numbers the
//! forward pass produced, to round-off. Each step is computed again from its start (by the
//! cotangent function of the step), so memory is one state and one rate per step.
//!
//! Source of the scheme: Griewank and Walther, Evaluating Derivatives, 2nd ed., ch. 3.

use crate::backend::Workspace;
use crate::plan::compiled::GradientKernels;
use crate::plan::forward::Context;
use crate::plan::trace::{Place, Schedule, Trace};
use crate::plan::unit::{Element, Inputs};
use crate::solve::tableau::Tableau;
use std::ops::AddAssign;

/// Cotangents that one step receives from the dense output inside it: `[s, n]` for the stages and
/// `[n]` for the state at its start.
struct Injected<T> {
    stages: Vec<T>,
    state: Vec<T>,
}

/// Adds to `bar_p: [P]` the cotangent of the params through start value and steps, given the
/// cotangents `site_bars: [rows, n]` of the states at `places`.
pub(crate) fn reverse<T: Element + AddAssign>(
    kernels: &GradientKernels,
    context: &Context<'_, T>,
    trace: &Trace<T>,
    places: &[Place],
    site_bars: &[T],
    bar_p: &mut [T],
) {
    let tableau = context.plan.tableau;
    let (n, s) = (trace.n, tableau.n_stages());
    let mut pass = Pass {
        kernels,
        context,
        bar_p,
        share_y: zeros(n),
        share_p: zeros(context.p.len()),
        workspace: Workspace::default(),
    };
    let schedule = Schedule::new(places);

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
        let last = (s - 1) * n;
        if tableau.fsal() {
            add(&mut injected.stages[last..], &bar_k);
        } else {
            pass.rate(trace.t[node], trace.state(node), &bar_k, &mut bar_y);
        }
        pass.step(trace, step, &injected.stages[n..], &mut bar_y, &mut bar_k);
        add(&mut bar_y, &injected.state);
        add(&mut bar_k, &injected.stages[..n]);
    }
    pass.rate(trace.t[0], trace.state(0), &bar_k, &mut bar_y);
    pass.start(&bar_y);
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

/// The calls of a reverse pass; each adds its share to `bar_p`.
struct Pass<'a, T> {
    kernels: &'a GradientKernels,
    context: &'a Context<'a, T>,
    bar_p: &'a mut [T],
    /// What one call gives the state, `[n]`, and the params, `[P]`.
    share_y: Vec<T>,
    share_p: Vec<T>,
    workspace: Workspace,
}

impl<T: Element + AddAssign> Pass<'_, T> {
    /// Adds to `bar_y` what a cotangent `bar_k` of the rate at `(t, y)` sends there.
    fn rate(&mut self, t: f64, y: &[T], bar_k: &[T], bar_y: &mut [T]) {
        let t = [T::from_f64(t)];
        let mut inputs: Inputs<'_> = Inputs::from_slice(&[T::input(&t), T::input(y)]);
        self.context.push_params_and_data(&mut inputs);
        inputs.push(T::input(bar_k));
        self.kernels.rate_vjp.call(
            &inputs,
            &mut [T::output(&mut self.share_y), T::output(&mut self.share_p)],
            &mut self.workspace,
        );
        add(bar_y, &self.share_y);
        add(self.bar_p, &self.share_p);
    }

    /// Turns the cotangent of the state at the end of a step into that of the state at its start,
    /// and gives `bar_k` that of the rate there.
    fn step(&mut self, trace: &Trace<T>, step: usize, bar_tail: &[T], bar_y: &mut Vec<T>, bar_k: &mut [T]) {
        let (t, h) = ([T::from_f64(trace.t[step])], [T::from_f64(trace.h[step])]);
        let mut inputs: Inputs<'_> = Inputs::from_slice(&[
            T::input(&t),
            T::input(&h),
            T::input(trace.state(step)),
            T::input(trace.rate(step)),
        ]);
        self.context.push_params_and_data(&mut inputs);
        inputs.push(T::input(bar_tail));
        inputs.push(T::input(bar_y));
        self.kernels.step_vjp.call(
            &inputs,
            &mut [T::output(&mut self.share_y), T::output(bar_k), T::output(&mut self.share_p)],
            &mut self.workspace,
        );
        drop(inputs);
        std::mem::swap(bar_y, &mut self.share_y);
        add(self.bar_p, &self.share_p);
    }

    fn start(&mut self, bar_y0: &[T]) {
        let mut inputs = Inputs::new();
        self.context.push_params_and_data(&mut inputs);
        inputs.push(T::input(bar_y0));
        self.kernels.start_vjp.call(&inputs, &mut [T::output(&mut self.share_p)], &mut self.workspace);
        add(self.bar_p, &self.share_p);
    }
}

fn zeros<T: Element>(len: usize) -> Vec<T> {
    vec![T::default(); len]
}

fn add<T: Element + AddAssign>(sum: &mut [T], term: &[T]) {
    for (sum, term) in sum.iter_mut().zip(term) {
        *sum += *term;
    }
}
