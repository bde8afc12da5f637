//! Observers of a run, and those that keep something of it: the state at given times, or at the
//! ends of every step.

use super::dense::{Accepted, polynomial};
use super::event::Jump;
use super::problem::Real;
use std::ops::ControlFlow;

/// Sees a run step by step.
pub trait Observer<T: Real> {
    /// The run begins at `(t, y)`.
    fn start(&mut self, t: f64, y: &[T]) {
        let _ = (t, y);
    }

    /// Whether a step from `t` to `t_new`, which has been accepted, will be looked at anywhere but at
    /// its ends.
    fn looks_inside(&self, t: f64, t_new: f64) -> bool {
        let _ = (t, t_new);
        true
    }

    /// A step was accepted. `Break(t)` ends the run at time `t`, which lies in the step or at its
    /// end; the state there is that of the dense output.
    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64>;

    /// An event happened at the end of the last step, or at the start of the run.
    fn jumped(&mut self, jump: &Jump<'_, T>) {
        let _ = jump;
    }

    /// All events at `t` have happened, and the run goes on, or ends, at `(t, y)`.
    fn resumed(&mut self, t: f64, y: &[T]) {
        let _ = (t, y);
    }
}

/// Watches nothing.
impl<T: Real> Observer<T> for () {
    fn looks_inside(&self, _: f64, _: f64) -> bool {
        false
    }

    fn accepted(&mut self, _: &Accepted<'_, T>) -> ControlFlow<f64> {
        ControlFlow::Continue(())
    }
}

impl<T: Real, O: Observer<T> + ?Sized> Observer<T> for &mut O {
    fn start(&mut self, t: f64, y: &[T]) {
        (**self).start(t, y);
    }

    #[inline]
    fn looks_inside(&self, t: f64, t_new: f64) -> bool {
        (**self).looks_inside(t, t_new)
    }

    #[inline]
    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        (**self).accepted(step)
    }

    fn jumped(&mut self, jump: &Jump<'_, T>) {
        (**self).jumped(jump);
    }

    fn resumed(&mut self, t: f64, y: &[T]) {
        (**self).resumed(t, y);
    }
}

/// Both watch, the first one first; what the first stops, the second does not see.
impl<T: Real, A: Observer<T>, B: Observer<T>> Observer<T> for (A, B) {
    fn start(&mut self, t: f64, y: &[T]) {
        self.0.start(t, y);
        self.1.start(t, y);
    }

    #[inline]
    fn looks_inside(&self, t: f64, t_new: f64) -> bool {
        self.0.looks_inside(t, t_new) || self.1.looks_inside(t, t_new)
    }

    #[inline]
    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        self.0.accepted(step)?;
        self.1.accepted(step)
    }

    fn jumped(&mut self, jump: &Jump<'_, T>) {
        self.0.jumped(jump);
        self.1.jumped(jump);
    }

    fn resumed(&mut self, t: f64, y: &[T]) {
        self.0.resumed(t, y);
        self.1.resumed(t, y);
    }
}

/// Keeps the state at given times, by dense output; at the time of an event, the state after it.
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

    /// See [`ys`](SaveAt::ys).
    pub fn into_ys(self) -> Vec<T> {
        self.ys
    }

    /// The next time that the run has not reached; a NaN if there is none.
    pub fn next_time(&self) -> f64 {
        self.order.get(self.n_passed).map_or(f64::NAN, |row| self.ts[*row])
    }

    /// Whether a run of this direction comes to time `a` before it comes to `b`.
    pub fn comes_first(&self, a: f64, b: f64) -> bool {
        (a - b) * self.direction < 0.0
    }

    /// How many rows are saved.
    pub fn n_saved(&self) -> usize {
        self.n_saved
    }
}

impl<T: Real> SaveAt<T> {
    /// Fills the rows of all times, from the next one on, that `reached` says the run has reached.
    #[inline]
    fn save(&mut self, reached: impl Fn(f64) -> bool, state: impl Fn(f64, &mut [T])) {
        if self.n_passed == self.order.len() {
            return;
        }
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

    #[inline]
    fn looks_inside(&self, _: f64, t_new: f64) -> bool {
        let next = self.order.get(self.n_passed).map(|row| self.ts[*row]);
        next.is_some_and(|next| (t_new - next) * self.direction > 0.0)
    }

    #[inline]
    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        self.save(|s| step.covers(s), |s, out| step.at(s, out));
        ControlFlow::Continue(())
    }

    fn resumed(&mut self, t: f64, y: &[T]) {
        let now = |row: &&usize| self.ts[**row] == t;
        let n_now = self.order[..self.n_passed].iter().rev().take_while(now).count();
        self.n_passed -= n_now;
        self.n_saved -= n_now;
        self.save(|s| s == t, |_, out| out.copy_from_slice(y));
    }
}

/// Keeps the start and the end of every accepted step, and the state after the events of an instant.
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

    fn looks_inside(&self, _: f64, _: f64) -> bool {
        false
    }

    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        self.ts.push(step.t_new);
        self.ys.extend_from_slice(step.y_new);
        ControlFlow::Continue(())
    }

    fn resumed(&mut self, t: f64, y: &[T]) {
        self.start(t, y);
    }
}

/// Keeps a whole run as a piecewise polynomial, from which the state at any time can be had: for
/// methods whose steps cannot be computed again cheaply.
#[derive(Clone, Debug, Default)]
pub struct Recorded<T> {
    pieces: Vec<Piece>,
    /// For each piece the state at its start, then the coefficients of its powers of `θ`.
    numbers: Vec<T>,
    /// Where the run stands.
    end: (f64, Vec<T>),
}

/// A step of a [`Recorded`] run.
#[derive(Clone, Copy, Debug)]
struct Piece {
    t: f64,
    h: f64,
    /// Where its numbers begin.
    from: usize,
}

impl<T: Real> Recorded<T> {
    /// Writes the state at time `t` to `out`, `[dim]`; at the time of an event, the state after it.
    /// Says whether the run covers `t`.
    pub fn at(&self, t: f64, out: &mut [T]) -> bool {
        if t == self.end.0 {
            out.copy_from_slice(&self.end.1);
            return true;
        }
        let reached = |piece: &Piece| if piece.h >= 0.0 { piece.t <= t } else { piece.t >= t };
        let n_reached = self.pieces.partition_point(reached);
        let beyond = self.pieces.first().is_none_or(|p| (t - self.end.0) * p.h > 0.0) || t.is_nan();
        if n_reached == 0 || beyond {
            return false;
        }
        let Piece { t: start, h, from } = self.pieces[n_reached - 1];
        let until = self.pieces.get(n_reached).map_or(self.numbers.len(), |next| next.from);
        let (y, coefficients) = self.numbers[from..until].split_at(out.len());
        polynomial(coefficients, (t - start) / h, out);
        for (out, y) in out.iter_mut().zip(y) {
            *out = T::from_f64(y.to_f64() + out.to_f64());
        }
        true
    }
}

impl<T: Real> Observer<T> for Recorded<T> {
    fn start(&mut self, t: f64, y: &[T]) {
        self.pieces.clear();
        self.numbers.clear();
        self.end = (t, y.to_vec());
    }

    fn accepted(&mut self, step: &Accepted<'_, T>) -> ControlFlow<f64> {
        self.pieces.push(Piece { t: step.t, h: step.h, from: self.numbers.len() });
        self.numbers.extend_from_slice(step.y);
        step.push_powers(&mut self.numbers);
        self.end.0 = step.t_new;
        self.end.1.copy_from_slice(step.y_new);
        ControlFlow::Continue(())
    }

    fn resumed(&mut self, t: f64, y: &[T]) {
        self.end = (t, y.to_vec());
    }
}
