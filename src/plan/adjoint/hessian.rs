//! Hessian-vector products through a solve: forward over reverse.
//!
//! The reverse pass of `adjoint::discrete` is run on dual numbers: a tangent of the params is
//! carried along the trace by the tangent of the step, then back by the tangent of the step's
//! cotangent function. The accepted steps are held fixed, as for the gradient.
//!
//! Source: Griewank and Walther, Evaluating Derivatives, 2nd ed., section 5.1.

use crate::backend::{Output, Workspace};
use crate::plan::compiled::CurvatureKernels;
use crate::plan::forward::Context;
use crate::plan::trace::{Place, Schedule, Trace};
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

    fn add(&mut self, at: usize, term: &Dual<T>) {
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

/// The tangents of a trace: of the state at each node and of the rate at the start of each step.
pub(crate) struct TangentTrace<T> {
    y: Vec<Vec<T>>,
    k1: Vec<Vec<T>>,
}

/// The calls of both passes.
pub(crate) struct DualPass<'a, T> {
    /// Compiled tangents.
    pub kernels: &'a CurvatureKernels,
    /// Params and data.
    pub context: &'a Context<'a, T>,
    /// The direction: a tangent of the params on their declared scale.
    pub dp: &'a [T],
    /// The run.
    pub trace: &'a Trace<T>,
    /// Scratch memory.
    pub workspace: Workspace,
}

impl<T: Element + AddAssign> DualPass<'_, T> {
    /// Carries the tangent forward. Also gives the tangents `[rows, n]` of the states at `places`.
    pub fn forward(&mut self, places: &[Place]) -> (TangentTrace<T>, Vec<T>) {
        let (n, s) = (self.trace.n, self.context.plan.tableau.n_stages());
        let (dense, schedule) = (&self.context.plan.tableau.dense, Schedule::new(places));
        let mut tangents = TangentTrace { y: vec![self.start()], k1: Vec::new() };
        let mut site_tangents = vec![T::default(); places.len() * n];
        let mut next_rate = None;
        for step in 0..self.trace.n_steps() {
            let dy = &tangents.y[step];
            let dk1 = match next_rate.take() {
                Some(rate) => rate,
                None => self.rate(step, dy),
            };
            let (tail, y_new) = self.step(step, dy, &dk1);
            for (row, theta) in schedule.inside(step) {
                let stages = [&dk1[..], &tail[..]].concat();
                for (i, out) in site_tangents[row * n..][..n].iter_mut().enumerate() {
                    let term = |stage: usize| dense.weight(stage, theta) * stages[stage * n + i].to_f64();
                    let sum: f64 = (0..s).map(term).sum();
                    *out = T::from_f64(dy[i].to_f64() + self.trace.h[step] * sum);
                }
            }
            if self.context.plan.tableau.fsal() {
                next_rate = Some(tail[(s - 2) * n..].to_vec());
            }
            tangents.k1.push(dk1);
            tangents.y.push(y_new);
        }
        for (node, dy) in tangents.y.iter().enumerate() {
            for row in schedule.at_node(node) {
                site_tangents[row * n..][..n].copy_from_slice(dy);
            }
        }
        (tangents, site_tangents)
    }

    /// Adds to `bar_p` the cotangent of the params, and its tangent, given those of the states at
    /// `places`.
    pub fn reverse(
        &mut self,
        tangents: &TangentTrace<T>,
        places: &[Place],
        site_bars: &Dual<T>,
        bar_p: &mut Dual<T>,
    ) {
        let tableau = self.context.plan.tableau;
        let (n, s) = (self.trace.n, tableau.n_stages());
        let schedule = Schedule::new(places);
        let (mut bar_y, mut bar_k) = (Dual::zeros(n), Dual::zeros(n));
        for node in (0..=self.trace.n_steps()).rev() {
            for row in schedule.at_node(node) {
                bar_y.add(0, &site_bars.part(row * n, (row + 1) * n));
            }
            let Some(step) = node.checked_sub(1) else { break };
            let (mut stages, mut state) = (Dual::zeros(s * n), Dual::zeros(n));
            for (row, theta) in schedule.inside(step) {
                let bar = site_bars.part(row * n, (row + 1) * n);
                for stage in 0..s {
                    stages.add_scaled(
                        stage * n,
                        self.trace.h[step] * tableau.dense.weight(stage, theta),
                        &bar,
                    );
                }
                state.add(0, &bar);
            }
            if tableau.fsal() {
                stages.add((s - 1) * n, &bar_k);
            } else {
                self.rate_reverse(node, &tangents.y[node], &bar_k, &mut bar_y, bar_p);
            }
            (bar_y, bar_k) = self.step_reverse(step, tangents, &stages.part(n, s * n), &bar_y, bar_p);
            bar_y.add(0, &state);
            bar_k.add(0, &stages.part(0, n));
        }
        self.rate_reverse(0, &tangents.y[0], &bar_k, &mut bar_y, bar_p);
        self.start_reverse(&bar_y, bar_p);
    }

    fn start(&mut self) -> Vec<T> {
        let mut inputs = Inputs::new();
        self.context.push_params_and_data(&mut inputs);
        inputs.push(T::input(self.dp));
        let mut results = Results::new(&[1, 1, self.trace.n]);
        results.call(&self.kernels.start, &inputs, &mut self.workspace);
        results.take_tangent(2)
    }

    fn rate(&mut self, node: usize, dy: &[T]) -> Vec<T> {
        let t = [T::from_f64(self.trace.t[node])];
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(self.trace.state(node))]);
        self.context.push_params_and_data(&mut inputs);
        inputs.extend([T::input(dy), T::input(self.dp)]);
        let mut results = Results::new(&[self.trace.n]);
        results.call(&self.kernels.rate, &inputs, &mut self.workspace);
        results.take_tangent(0)
    }

    /// Tangents of the stage rates after the first, and of the new state.
    fn step(&mut self, step: usize, dy: &[T], dk1: &[T]) -> (Vec<T>, Vec<T>) {
        let (n, s) = (self.trace.n, self.context.plan.tableau.n_stages());
        let (t, h) = self.time_and_size(step);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h)]);
        inputs.extend([T::input(self.trace.state(step)), T::input(self.trace.rate(step))]);
        self.context.push_params_and_data(&mut inputs);
        inputs.extend([T::input(dy), T::input(dk1), T::input(self.dp)]);
        let mut results = Results::new(&[(s - 1) * n, n, n]);
        results.call(&self.kernels.step, &inputs, &mut self.workspace);
        (results.take_tangent(0), results.take_tangent(1))
    }

    fn rate_reverse(
        &mut self,
        node: usize,
        dy: &[T],
        bar_k: &Dual<T>,
        bar_y: &mut Dual<T>,
        bar_p: &mut Dual<T>,
    ) {
        let t = [T::from_f64(self.trace.t[node])];
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(self.trace.state(node))]);
        self.context.push_params_and_data(&mut inputs);
        inputs.push(T::input(&bar_k.value));
        inputs.extend([T::input(dy), T::input(self.dp), T::input(&bar_k.tangent)]);
        let mut results = Results::new(&[self.trace.n, self.dp.len()]);
        results.call(&self.kernels.rate_vjp, &inputs, &mut self.workspace);
        bar_y.add(0, &results.take(0));
        bar_p.add(0, &results.take(1));
    }

    fn step_reverse(
        &mut self,
        step: usize,
        tangents: &TangentTrace<T>,
        bar_tail: &Dual<T>,
        bar_y_new: &Dual<T>,
        bar_p: &mut Dual<T>,
    ) -> (Dual<T>, Dual<T>) {
        let (t, h) = self.time_and_size(step);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h)]);
        inputs.extend([T::input(self.trace.state(step)), T::input(self.trace.rate(step))]);
        self.context.push_params_and_data(&mut inputs);
        inputs.extend([T::input(&bar_tail.value), T::input(&bar_y_new.value)]);
        inputs.extend([T::input(&tangents.y[step]), T::input(&tangents.k1[step]), T::input(self.dp)]);
        inputs.extend([T::input(&bar_tail.tangent), T::input(&bar_y_new.tangent)]);
        let n = self.trace.n;
        let mut results = Results::new(&[n, n, self.dp.len()]);
        results.call(&self.kernels.step_vjp, &inputs, &mut self.workspace);
        bar_p.add(0, &results.take(2));
        (results.take(0), results.take(1))
    }

    fn start_reverse(&mut self, bar_y0: &Dual<T>, bar_p: &mut Dual<T>) {
        let mut inputs = Inputs::new();
        self.context.push_params_and_data(&mut inputs);
        inputs.extend([T::input(&bar_y0.value), T::input(self.dp), T::input(&bar_y0.tangent)]);
        let mut results = Results::new(&[self.dp.len()]);
        results.call(&self.kernels.start_vjp, &inputs, &mut self.workspace);
        bar_p.add(0, &results.take(0));
    }

    fn time_and_size(&self, step: usize) -> ([T; 1], [T; 1]) {
        ([T::from_f64(self.trace.t[step])], [T::from_f64(self.trace.h[step])])
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
        Dual { value: std::mem::take(&mut self.buffers[i]), tangent: self.take_tangent(i) }
    }

    /// The tangent of result `i`.
    pub fn take_tangent(&mut self, i: usize) -> Vec<T> {
        let half = self.buffers.len() / 2;
        std::mem::take(&mut self.buffers[half + i])
    }
}
