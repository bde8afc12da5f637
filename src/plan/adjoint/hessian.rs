//! Hessian-vector products through a run: forward over reverse.
//!
//! The reverse pass of `adjoint::discrete` is run on dual numbers: a tangent of the params is
//! carried along each trace by the tangent of the step, then back by the tangent of the step's
//! cotangent function. The accepted steps are held fixed, as for the gradient, and so are the
//! times of the run: where these move there is no product.
//!
//! Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., section 5.1.

use crate::backend::{Output, Workspace};
use crate::plan::forward::Solved;
use crate::plan::kernels::SystemCurvature;
use crate::plan::operands::Context;
use crate::plan::trace::Schedule;
use crate::plan::unit::{Element, Inputs, Kernel};
use std::ops::AddAssign;

/// A vector and its tangent.
#[derive(Clone, Debug)]
pub(crate) struct Dual<T> {
    /// The vector.
    pub value: Vec<T>,
    /// Its derivative in the direction in hand.
    pub tangent: Vec<T>,
}

impl<T: Element + AddAssign> Dual<T> {
    /// Zeros.
    pub fn zeros(len: usize) -> Dual<T> {
        Dual { value: vec![T::default(); len], tangent: vec![T::default(); len] }
    }

    /// Adds `term` from entry `at` on.
    pub fn add(&mut self, at: usize, term: &Dual<T>) {
        for (sum, term) in [(&mut self.value, &term.value), (&mut self.tangent, &term.tangent)] {
            for (sum, term) in sum[at..].iter_mut().zip(term) {
                *sum += *term;
            }
        }
    }

    fn add_scaled(&mut self, at: usize, factor: f64, term: &Dual<T>) {
        for (sum, term) in [(&mut self.value, &term.value), (&mut self.tangent, &term.tangent)] {
            for (sum, term) in sum[at..].iter_mut().zip(term) {
                *sum += T::from_f64(factor * term.to_f64());
            }
        }
    }

    fn part(&self, lo: usize, hi: usize) -> Dual<T> {
        Dual { value: self.value[lo..hi].to_vec(), tangent: self.tangent[lo..hi].to_vec() }
    }
}

/// The tangents of a solve.
pub(crate) struct Tangents<T> {
    /// Of the args.
    pub a: Vec<T>,
    /// Of the params that the motion reads.
    pub q: Vec<T>,
    /// Of the state at each node; that of the start value is given.
    pub y: Vec<Vec<T>>,
    /// Of the rate at the start of each step.
    k1: Vec<Vec<T>>,
    /// Of the states at the sites, `[rows, n]`.
    pub sites: Vec<T>,
}

/// What the reverse pass leaves.
pub(crate) struct StartDuals<T> {
    /// The cotangent of the start value.
    pub y0: Dual<T>,
    /// That of the args.
    pub a: Dual<T>,
}

/// The calls of both passes through one solve.
pub(crate) struct DualPass<'a, T> {
    /// Compiled tangents.
    pub kernels: &'a SystemCurvature,
    /// Params and data.
    pub context: &'a Context<'a, T>,
    /// Which solve.
    pub number: usize,
    /// What it left.
    pub solved: &'a Solved<T>,
    /// Scratch memory.
    pub workspace: Workspace,
}

impl<T: Element + AddAssign> DualPass<'_, T> {
    /// Carries tangents of start value, args and params forward.
    pub fn forward(&mut self, dy0: Vec<T>, a: Vec<T>, q: Vec<T>) -> Tangents<T> {
        let (trace, tableau) = (&self.solved.trace, self.context.plan.tableau(self.number));
        let (n, s) = (trace.n, tableau.n_stages());
        let schedule = Schedule::new(&self.solved.places);
        let sites = vec![T::default(); self.solved.places.len() * n];
        let mut tangents = Tangents { a, q, y: vec![dy0], k1: Vec::new(), sites };
        let mut last = Vec::new();
        for step in 0..trace.n_steps() {
            let dk1 = if trace.fresh[step] { self.rate(step, &tangents) } else { std::mem::take(&mut last) };
            let (tail, y_new) = self.step(step, &dk1, &tangents);
            for (row, theta) in schedule.inside(step) {
                let stages = [&dk1[..], &tail[..]].concat();
                for (i, out) in tangents.sites[row * n..][..n].iter_mut().enumerate() {
                    let term =
                        |stage: usize| tableau.dense.weight(stage, theta) * stages[stage * n + i].to_f64();
                    let sum: f64 = (0..s).map(term).sum();
                    *out = T::from_f64(tangents.y[step][i].to_f64() + trace.h[step] * sum);
                }
            }
            last = tail[tail.len().saturating_sub(n)..].to_vec();
            tangents.k1.push(dk1);
            tangents.y.push(y_new);
        }
        for (node, dy) in tangents.y.iter().enumerate() {
            for row in schedule.at_node(node) {
                tangents.sites[row * n..][..n].copy_from_slice(dy);
            }
        }
        tangents
    }

    /// Gives the cotangents, with tangents, of what the solve started from, and adds that of the
    /// params which the motion reads to `bar_q`, given those of the states at the sites.
    pub fn reverse(
        &mut self,
        tangents: &Tangents<T>,
        site_bars: &Dual<T>,
        bar_q: &mut Dual<T>,
    ) -> StartDuals<T> {
        let (trace, tableau) = (&self.solved.trace, self.context.plan.tableau(self.number));
        let (n, s) = (trace.n, tableau.n_stages());
        let schedule = Schedule::new(&self.solved.places);
        let (mut bar_y, mut bar_k) = (Dual::zeros(n), Dual::zeros(n));
        let mut bar_a = Dual::zeros(tangents.a.len());
        for node in (0..=trace.n_steps()).rev() {
            for row in schedule.at_node(node) {
                bar_y.add(0, &site_bars.part(row * n, (row + 1) * n));
            }
            let Some(step) = node.checked_sub(1) else { break };
            let (mut stages, mut state) = (Dual::zeros(s * n), Dual::zeros(n));
            for (row, theta) in schedule.inside(step) {
                let bar = site_bars.part(row * n, (row + 1) * n);
                for stage in 0..s {
                    let weight = trace.h[step] * tableau.dense.weight(stage, theta);
                    stages.add_scaled(stage * n, weight, &bar);
                }
                state.add(0, &bar);
            }
            if node < trace.n_steps() {
                if trace.fresh[node] {
                    let [by_y, by_a, by_q] = self.rate_reverse(node, tangents, &bar_k);
                    bar_y.add(0, &by_y);
                    bar_a.add(0, &by_a);
                    bar_q.add(0, &by_q);
                } else {
                    stages.add((s - 1) * n, &bar_k);
                }
            }
            let [by_y, by_k1, by_a, by_q] = self.step_reverse(step, tangents, &stages.part(n, s * n), &bar_y);
            bar_a.add(0, &by_a);
            bar_q.add(0, &by_q);
            (bar_y, bar_k) = (by_y, by_k1);
            bar_y.add(0, &state);
            bar_k.add(0, &stages.part(0, n));
        }
        if trace.n_steps() > 0 {
            let [by_y, by_a, by_q] = self.rate_reverse(0, tangents, &bar_k);
            bar_y.add(0, &by_y);
            bar_a.add(0, &by_a);
            bar_q.add(0, &by_q);
        }
        StartDuals { y0: bar_y, a: bar_a }
    }

    fn lengths(&self) -> [usize; 3] {
        [self.solved.trace.n, self.solved.fixed.a.len(), self.solved.fixed.q.len()]
    }

    fn rate(&mut self, step: usize, tangents: &Tangents<T>) -> Vec<T> {
        let (t, inside) = self.time_and_inside(step);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside)]);
        inputs.push(T::input(self.solved.trace.state(step)));
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        inputs.extend([T::input(&tangents.y[step]), T::input(&tangents.a), T::input(&tangents.q)]);
        let mut results = Results::new(&[self.solved.trace.n]);
        results.call(&self.kernels.rate, &inputs, &mut self.workspace);
        results.take_tangent(0)
    }

    /// Tangents of the stage rates after the first, and of the new state.
    fn step(&mut self, step: usize, dk1: &[T], tangents: &Tangents<T>) -> (Vec<T>, Vec<T>) {
        let trace = &self.solved.trace;
        let (n, s) = (trace.n, self.context.plan.tableau(self.number).n_stages());
        let (t, h) = self.time_and_size(step);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h)]);
        inputs.extend([T::input(trace.state(step)), T::input(trace.rate(step))]);
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        inputs.extend([T::input(&tangents.y[step]), T::input(dk1)]);
        inputs.extend([T::input(&tangents.a), T::input(&tangents.q)]);
        let mut results = Results::new(&[(s - 1) * n, n, n]);
        results.call(&self.kernels.step, &inputs, &mut self.workspace);
        (results.take_tangent(0), results.take_tangent(1))
    }

    fn rate_reverse(&mut self, step: usize, tangents: &Tangents<T>, bar_k: &Dual<T>) -> [Dual<T>; 3] {
        let (t, inside) = self.time_and_inside(step);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside)]);
        inputs.push(T::input(self.solved.trace.state(step)));
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        inputs.push(T::input(&bar_k.value));
        inputs.extend([T::input(&tangents.y[step]), T::input(&tangents.a), T::input(&tangents.q)]);
        inputs.push(T::input(&bar_k.tangent));
        let mut results = Results::new(&self.lengths());
        results.call(&self.kernels.rate_vjp, &inputs, &mut self.workspace);
        [results.take(0), results.take(1), results.take(2)]
    }

    fn step_reverse(
        &mut self,
        step: usize,
        tangents: &Tangents<T>,
        bar_tail: &Dual<T>,
        bar_y_new: &Dual<T>,
    ) -> [Dual<T>; 4] {
        let trace = &self.solved.trace;
        let (t, h) = self.time_and_size(step);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h)]);
        inputs.extend([T::input(trace.state(step)), T::input(trace.rate(step))]);
        self.context.push_motion(&mut inputs, &self.solved.fixed);
        inputs.extend([T::input(&bar_tail.value), T::input(&bar_y_new.value)]);
        inputs.extend([T::input(&tangents.y[step]), T::input(&tangents.k1[step])]);
        inputs.extend([T::input(&tangents.a), T::input(&tangents.q)]);
        inputs.extend([T::input(&bar_tail.tangent), T::input(&bar_y_new.tangent)]);
        let [n, n_args, n_params] = self.lengths();
        let mut results = Results::new(&[n, n, n_args, n_params]);
        results.call(&self.kernels.step_vjp, &inputs, &mut self.workspace);
        [results.take(0), results.take(1), results.take(2), results.take(3)]
    }

    fn time_and_size(&self, step: usize) -> ([T; 1], [T; 1]) {
        let trace = &self.solved.trace;
        ([T::from_f64(trace.t[step])], [T::from_f64(trace.h[step])])
    }

    fn time_and_inside(&self, step: usize) -> ([T; 1], [T; 1]) {
        let trace = &self.solved.trace;
        ([T::from_f64(trace.t[step])], [T::from_f64(trace.t[step] + 0.5 * trace.h[step])])
    }
}

/// Buffers for a function's results followed by their tangents.
pub(crate) struct Results<T> {
    buffers: Vec<Vec<T>>,
}

impl<T: Element> Results<T> {
    /// Results of these lengths.
    pub fn new(lengths: &[usize]) -> Results<T> {
        let twice = lengths.iter().chain(lengths);
        Results { buffers: twice.map(|len| vec![T::default(); *len]).collect() }
    }

    /// Fills them.
    pub fn call(&mut self, kernel: &Kernel, inputs: &Inputs<'_>, workspace: &mut Workspace) {
        let mut outputs: Vec<Output<'_>> = self.buffers.iter_mut().map(|buffer| T::output(buffer)).collect();
        kernel.call(inputs, &mut outputs, workspace);
    }

    /// Result `i` with its tangent.
    pub fn take(&mut self, i: usize) -> Dual<T> {
        Dual { value: self.take_value(i), tangent: self.take_tangent(i) }
    }

    /// Result `i`.
    pub fn take_value(&mut self, i: usize) -> Vec<T> {
        std::mem::take(&mut self.buffers[i])
    }

    /// The tangent of result `i`.
    pub fn take_tangent(&mut self, i: usize) -> Vec<T> {
        let half = self.buffers.len() / 2;
        std::mem::take(&mut self.buffers[half + i])
    }
}
