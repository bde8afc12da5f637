//! A motion with its sensitivities as the solver sees it.

use crate::backend::Workspace;
use crate::plan::derivatives::Derivatives;
use crate::plan::halves::Halves;
use crate::plan::kernels::{Expansion, Moves};
use crate::plan::operands::{Context, Fixed};
use crate::plan::stepping::Motion;
use crate::plan::tangents::SensitiveKernels;
use crate::plan::unit::{Element, Inputs, Kernel};
use crate::solve::implicit::{Implicit, Mass, Sparsity};
use crate::solve::problem::{Rates, Step};
use crate::solve::symplectic::Separable;
use crate::solve::taylor::Expand;
use std::sync::Arc;

/// The compiled motion of one solve, with `D` sensitivities.
pub(super) struct Carrying<'a, T> {
    pub context: &'a Context<'a, T>,
    pub kernels: &'a SensitiveKernels,
    pub shape: Blocks,
    /// Args and params with their tangents.
    pub fixed: &'a Fixed<T>,
    /// The motion alone.
    pub alone: Motion<'a, T>,
    pub n_stages: usize,
    pub workspace: Workspace,
}

/// Where states, channels and their sensitivities stand in `w`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    pub n_states: usize,
    pub n_channels: usize,
    pub n_directions: usize,
}

impl Blocks {
    /// Length of `w`.
    pub fn len(self) -> usize {
        (self.n_states + self.n_channels) * (1 + self.n_directions)
    }

    /// States and channels themselves for `block` 0, else their sensitivities in direction
    /// `block - 1`.
    pub fn get<T: Element>(self, w: &[T], block: usize) -> Vec<T> {
        let [states, channels] = self.ranges(block);
        [&w[states], &w[channels]].concat()
    }

    /// Writes them.
    pub fn set<T: Element>(self, w: &mut [T], block: usize, y: &[T]) {
        let [states, channels] = self.ranges(block);
        w[states].copy_from_slice(&y[..self.n_states]);
        w[channels].copy_from_slice(&y[self.n_states..]);
    }

    fn ranges(self, block: usize) -> [std::ops::Range<usize>; 2] {
        let Blocks { n_states, n_channels, n_directions } = self;
        let channels = n_states * (1 + n_directions) + block * n_channels;
        [block * n_states..(block + 1) * n_states, channels..channels + n_channels]
    }
}

impl<'a, T: Element> Carrying<'a, T> {
    fn call(&mut self, kernel: &Kernel, t: f64, inside: f64, w: &[T], out: &mut [T]) {
        let (t, inside) = ([T::from_f64(t)], [T::from_f64(inside)]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(w)]);
        self.context.push_motion(&mut inputs, self.fixed);
        kernel.call(&inputs, &mut [T::output(out)], &mut self.workspace);
    }

    fn derivatives(&self) -> &'a Derivatives {
        let (Moves::Stiff(derivatives) | Moves::Auto { derivatives, .. }) = &self.kernels.moves else {
            crate::bug!("not an implicit method")
        };
        derivatives
    }

    fn halves(&self) -> &Halves {
        match &self.kernels.moves {
            Moves::Symplectic(halves) => halves,
            Moves::Explicit { .. }
            | Moves::Stiff(_)
            | Moves::Auto { .. }
            | Moves::Taylor { .. }
            | Moves::Multistep
            | Moves::Stochastic { .. } => crate::bug!("not a symplectic method"),
        }
    }
}

impl<T: Element> Step<T> for Carrying<'_, T> {
    fn dim(&self) -> usize {
        self.shape.len()
    }

    fn n_stages(&self) -> usize {
        self.n_stages
    }

    fn rate(&mut self, t: f64, inside: f64, w: &[T], dw: &mut [T]) {
        let kernels = self.kernels;
        self.call(&kernels.rate, t, inside, w, dw);
    }

    fn step(&mut self, t: f64, h: f64, w: &[T], stages: &mut [T], w_new: &mut [T], err: &mut [T]) {
        let (Moves::Explicit { step, .. } | Moves::Auto { step, .. }) = &self.kernels.moves else {
            crate::bug!("not an explicit method")
        };
        let (t, h) = ([T::from_f64(t)], [T::from_f64(h)]);
        let (k1, tail) = stages.split_at_mut(w.len());
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h), T::input(w), T::input(k1)]);
        self.context.push_motion(&mut inputs, self.fixed);
        let mut outputs = [T::output(tail), T::output(w_new), T::output(err)];
        step.call(&inputs, &mut outputs, &mut self.workspace);
    }

    fn extend(&mut self, t: f64, h: f64, w: &[T], stages: &mut [T]) {
        let Moves::Explicit { extension: Some(extension), .. } = &self.kernels.moves else { return };
        let (t, h) = ([T::from_f64(t)], [T::from_f64(h)]);
        let (known, extra) = stages.split_at_mut(self.n_stages * w.len());
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h), T::input(w), T::input(known)]);
        self.context.push_motion(&mut inputs, self.fixed);
        extension.call(&inputs, &mut [T::output(extra)], &mut self.workspace);
    }
}

impl<T: Element> Rates<T> for Carrying<'_, T> {
    fn dim(&self) -> usize {
        self.shape.len()
    }

    fn rate(&mut self, t: f64, inside: f64, w: &[T], dw: &mut [T]) {
        Step::rate(self, t, inside, w, dw);
    }
}

impl<T: Element> Expand<T> for Carrying<'_, T> {
    fn dim(&self) -> usize {
        self.shape.len()
    }

    fn order(&self) -> usize {
        let Moves::Taylor { order, .. } = &self.kernels.moves else { crate::bug!("not a Taylor method") };
        *order
    }

    fn series(&mut self, t: f64, inside: f64, w: &[T], out: &mut [T]) {
        let Moves::Taylor { expansion: Expansion::Series(series), .. } = &self.kernels.moves else {
            crate::bug!("not a Taylor method")
        };
        self.call(series, t, inside, w, out);
    }

    fn finish(&mut self, t: f64, h: f64, w: &[T], series: &[T], w_new: &mut [T], err: &mut [T]) {
        let Moves::Taylor { finish, .. } = &self.kernels.moves else { crate::bug!("not a Taylor method") };
        let (t, h) = ([T::from_f64(t)], [T::from_f64(h)]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&h), T::input(w), T::input(series)]);
        self.context.push_motion(&mut inputs, self.fixed);
        finish.call(&inputs, &mut [T::output(w_new), T::output(err)], &mut self.workspace);
    }
}

impl<T: Element> Implicit<T> for Carrying<'_, T> {
    fn dim(&self) -> usize {
        self.shape.len()
    }

    fn n_states(&self) -> usize {
        self.shape.n_states * (1 + self.shape.n_directions)
    }

    fn rate(&mut self, t: f64, inside: f64, w: &[T], dw: &mut [T]) {
        Step::rate(self, t, inside, w, dw);
    }

    fn sparsity(&self) -> Option<Arc<Sparsity>> {
        Some(self.derivatives().sparse.as_ref()?.sparsity.clone())
    }

    fn jacobian(&mut self, t: f64, inside: f64, w: &[T], out: &mut [T]) {
        let derivatives = self.derivatives();
        self.call(&derivatives.jacobian, t, inside, w, out);
    }

    fn channel_slopes(&mut self, t: f64, inside: f64, w: &[T], v: &[T], out: &mut [T]) {
        let derivatives = self.derivatives();
        let Some(kernel) = derivatives.sparse.as_ref().and_then(|sparse| sparse.channels.as_ref()) else {
            crate::bug!("slopes of channels that there are none of")
        };
        let (t, inside) = ([T::from_f64(t)], [T::from_f64(inside)]);
        let mut inputs = Inputs::from_slice(&[T::input(&t), T::input(&inside), T::input(w)]);
        self.context.push_motion(&mut inputs, self.fixed);
        inputs.push(T::input(v));
        kernel.call(&inputs, &mut [T::output(out)], &mut self.workspace);
    }

    fn time_slope(&mut self, t: f64, inside: f64, w: &[T], out: &mut [T]) {
        let derivatives = self.derivatives();
        self.call(&derivatives.time_slope, t, inside, w, out);
    }

    /// The matrix of the states, once for each block.
    fn mass(&mut self) -> Mass {
        self.alone.mass().repeated(self.shape.n_states, 1 + self.shape.n_directions)
    }
}

impl<T: Element> Separable<T> for Carrying<'_, T> {
    fn dim(&self) -> usize {
        self.shape.len()
    }

    fn positions(&self) -> &[usize] {
        &self.halves().positions
    }

    fn momenta(&self) -> &[usize] {
        &self.halves().momenta
    }

    fn rate(&mut self, t: f64, inside: f64, w: &[T], dw: &mut [T]) {
        Step::rate(self, t, inside, w, dw);
    }
}
