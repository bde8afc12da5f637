//! Observers of a run, and those that keep something of it: the state at given times, or at the
//! ends of every step.

use super::dense::Accepted;
use super::problem::Real;
use std::ops::ControlFlow;

/// Sees a run step by step.
pub trait Observer<T: Real> {
    /// The run begins at `(t, y)`.
    fn start(&mut self, t: f64, y: &[T]) {
        let _ = (t, y);
    }

    /// A step was accepted. `Break(t)` ends the run at time `t`, which lies in the step or at its
    /// end; the state there is that of the dense output.
    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64>;
}

/// Watches nothing.
impl<T: Real> Observer<T> for () {
    fn accepted(&mut self, _: &Accepted<'_, T>) -> ControlFlow<f64> {
        ControlFlow::Continue(())
    }
}

impl<T: Real, O: Observer<T> + ?Sized> Observer<T> for &mut O {
    fn start(&mut self, t: f64, y: &[T]) {
        (**self).start(t, y);
    }

    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        (**self).accepted(step)
    }
}

/// Both watch, the first one first; what the first stops, the second does not see.
impl<T: Real, A: Observer<T>, B: Observer<T>> Observer<T> for (A, B) {
    fn start(&mut self, t: f64, y: &[T]) {
        self.0.start(t, y);
        self.1.start(t, y);
    }

    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        self.0.accepted(step)?;
        self.1.accepted(step)
    }
}

/// Keeps the state at given times, by dense output.
#[derive(Clone, Debug)]
pub struct SaveAt<T> {
    ts: Vec<f64>,
    ys: Vec<T>,
    /// Positions in `ts`, in the order in which the run meets them.
    order: Vec<usize>,
    /// How many of `order` lie behind the run.
    n_passed: usize,
    n_saved: usize,
    direction: f64,
}

impl<T: Real> SaveAt<T> {
    /// Will save a run from `t0` to `t1` of `dim` components at the times `ts`, which may come in
    /// any order and more than once.
    pub fn new(ts: &[f64], (t0, t1): (f64, f64), dim: usize) -> SaveAt<T> {
        let mut order: Vec<usize> = (0..ts.len()).collect();
        let direction = if t1 >= t0 { 1.0 } else { -1.0 };
        order.sort_by(|a, b| (ts[*a] * direction).total_cmp(&(ts[*b] * direction)));
        let ys = vec![T::from_f64(f64::NAN); ts.len() * dim];
        SaveAt { ts: ts.to_vec(), ys, order, n_passed: 0, n_saved: 0, direction }
    }

    /// The times, as given.
    pub fn ts(&self) -> &[f64] {
        &self.ts
    }

    /// The states, `[ts, dim]`, in the order of the times as given. A row whose time the run did
    /// not reach, or that lies outside its interval, is not a number.
    pub fn ys(&self) -> &[T] {
        &self.ys
    }

    /// How many rows are saved.
    pub fn n_saved(&self) -> usize {
        self.n_saved
    }
}

impl<T: Real> SaveAt<T> {
    /// Fills the rows of all times, from the next one on, that `reached` says the run has reached.
    fn save(&mut self, reached: impl Fn(f64) -> bool, state: impl Fn(f64, &mut [T])) {
        let dim = self.ys.len().checked_div(self.ts.len()).unwrap_or(0);
        while let Some(row) = self.order.get(self.n_passed).copied().filter(|row| reached(self.ts[*row])) {
            state(self.ts[row], &mut self.ys[row * dim..(row + 1) * dim]);
            self.n_passed += 1;
            self.n_saved += 1;
        }
    }
}

impl<T: Real> Observer<T> for SaveAt<T> {
    fn start(&mut self, t: f64, y: &[T]) {
        self.ys.fill(T::from_f64(f64::NAN));
        // Times that lie before the interval come first in the order, and what is not a number
        // at one of its ends.
        let outside = |row: &&usize| self.ts[**row].is_nan() || (self.ts[**row] - t) * self.direction < 0.0;
        self.n_passed = self.order.iter().take_while(outside).count();
        self.n_saved = 0;
        self.save(|s| s == t, |_, out| out.copy_from_slice(y));
    }

    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        self.save(|s| step.covers(s), |s, out| step.at(s, out));
        ControlFlow::Continue(())
    }
}

/// Keeps the start and the end of every accepted step.
#[derive(Clone, Debug, Default)]
pub struct SaveSteps<T> {
    /// Times.
    pub ts: Vec<f64>,
    /// States, `[ts, dim]`.
    pub ys: Vec<T>,
}

impl<T: Real> Observer<T> for SaveSteps<T> {
    fn start(&mut self, t: f64, y: &[T]) {
        self.ts.push(t);
        self.ys.extend_from_slice(y);
    }

    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        self.ts.push(step.t_new);
        self.ys.extend_from_slice(step.y_new);
        ControlFlow::Continue(())
    }
}
