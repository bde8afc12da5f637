//! What a solve of a block leaves, in lanes.
//!
//! A [`LaneTrace`] keeps the start of every accepted step of every lane. Row `i` holds step `i` of each
//! lane, whenever that was taken, so a reverse pass that goes down the rows comes to the first step of
//! all lanes at once.

use crate::plan::block::kept::{Kept, NOT_KEPT};
use crate::plan::trace::Place;
use crate::plan::unit::Element;
use std::cell::RefCell;

/// What a solve of a block leaves.
#[derive(Debug)]
pub(crate) struct LaneSolved<T> {
    /// Start and end, `[width]` each.
    pub ends: [Vec<T>; 2],
    /// The states at the rows of all sites, `[rows, n, width]`.
    pub sites: Vec<T>,
    /// The states at the start, `[n, width]`.
    pub y0: Vec<T>,
    /// The args, `[A, width]`.
    pub a: Vec<T>,
    /// The time of each row, `[width, rows]`.
    pub times: Vec<f64>,
    /// In which order a run meets them.
    pub visits: Visits,
    /// The accepted steps.
    pub trace: LaneTrace<T>,
    /// What they keep.
    pub kept: RefCell<Kept<T>>,
    /// Evaluations of the rate in each lane.
    pub evaluations: Vec<u64>,
    /// Whether its runs began elsewhere.
    pub is_sequel: bool,
}

/// The rows of each lane in the order in which its run meets them.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    /// `[width, rows]`
    order: Vec<usize>,
    /// How many lie behind each lane.
    passed: Vec<usize>,
    n_rows: usize,
}

impl Visits {
    /// Of rows at `times: [width, rows]` of lanes that have not set out on their ways.
    pub fn start(&mut self, times: &[f64], width: usize, ends: impl Fn(usize) -> (f64, f64)) {
        self.n_rows = times.len() / width;
        self.passed.clear();
        self.passed.resize(width, 0);
        self.order.clear();
        for lane in 0..width {
            let (t0, t1) = ends(lane);
            let direction = if t1 >= t0 { 1.0 } else { -1.0 };
            let own = &times[lane * self.n_rows..][..self.n_rows];
            self.order.extend(0..self.n_rows);
            self.order[lane * self.n_rows..]
                .sort_by(|a, b| (own[*a] * direction).total_cmp(&(own[*b] * direction)));
        }
    }

    /// The rows ahead of a lane, the next one first.
    pub fn ahead(&self, lane: usize) -> &[usize] {
        &self.order[lane * self.n_rows..][self.passed[lane]..self.n_rows]
    }

    /// The next row of a lane lies behind it.
    pub fn pass(&mut self, lane: usize) {
        self.passed[lane] += 1;
    }

    /// Of no lane yet, with as many rows as `other` has.
    pub fn clear_like(&mut self, other: &Visits) {
        self.n_rows = other.n_rows;
        self.order.clear();
        self.passed.clear();
    }

    /// The next lane meets its rows as lane `lane` of `other` does, with as many of them behind it.
    pub fn push_like(&mut self, other: &Visits, lane: usize) {
        self.order.extend_from_slice(&other.order[lane * self.n_rows..][..self.n_rows]);
        self.passed.push(other.passed[lane]);
    }
}

/// The accepted steps of the lanes on states of length `n`.
#[derive(Debug, Default)]
pub(crate) struct LaneTrace<T> {
    /// How many steps each lane has taken, `[width]`.
    pub n_steps: Vec<usize>,
    /// Start of each step, `[rows, width]`.
    pub t: Vec<f64>,
    /// Size of each step, `[rows, width]`.
    pub h: Vec<f64>,
    /// The state at the start of each, `[rows, n, width]`.
    pub y: Vec<T>,
    /// The rate there, `[rows, n, width]`.
    pub k1: Vec<T>,
    /// Whether that rate was evaluated there: `[rows, width]`. Else it is the last stage of the step
    /// before.
    pub fresh: Vec<bool>,
    /// The attempt in which it was made, by its number in [`Kept`]: `[rows, width]`.
    attempts: Vec<u32>,
    /// Where each lane stands, `[width]`.
    end: Vec<f64>,
    n: usize,
}

impl<T: Element> LaneSolved<T> {
    /// Nothing yet; the steps keep at most `bytes` bytes for the way back.
    pub fn within(bytes: usize) -> LaneSolved<T> {
        LaneSolved {
            ends: [Vec::new(), Vec::new()],
            sites: Vec::new(),
            y0: Vec::new(),
            a: Vec::new(),
            times: Vec::new(),
            visits: Visits::default(),
            trace: LaneTrace::default(),
            kept: RefCell::new(Kept::within(bytes)),
            evaluations: Vec::new(),
            is_sequel: false,
        }
    }
}

/// A step of every lane, of which those that are `taken` are meant.
pub(crate) struct LaneStepTaken<'a, T> {
    pub taken: &'a [bool],
    pub t: &'a [f64],
    pub h: &'a [f64],
    pub t_new: &'a [f64],
    /// `[n, width]`
    pub y: &'a [T],
    /// `[n, width]`
    pub k1: &'a [T],
    pub fresh: &'a [bool],
    /// Its number in [`Kept`].
    pub attempt: u32,
}

impl<T: Element> LaneTrace<T> {
    /// Of lanes that have not left `t0`; states have `n` entries.
    pub fn start(&mut self, t0: impl Iterator<Item = f64>, n: usize) {
        self.n = n;
        self.end.clear();
        self.end.extend(t0);
        self.n_steps.clear();
        self.n_steps.resize(self.end.len(), 0);
        self.t.clear();
        self.h.clear();
        self.y.clear();
        self.k1.clear();
        self.fresh.clear();
        self.attempts.clear();
    }

    /// Rows: the most steps that a lane has taken.
    pub fn n_rows(&self) -> usize {
        self.h.len() / self.n_steps.len().max(1)
    }

    /// Appends a step to the lanes that have taken it.
    pub fn push(&mut self, step: &LaneStepTaken<'_, T>) {
        let width = self.n_steps.len();
        let lanes = || (0..width).filter(|lane| step.taken[*lane]);
        let Some(last) = lanes().map(|lane| self.n_steps[lane]).max() else { return };
        if last == self.n_rows() {
            self.t.extend_from_slice(step.t);
            self.h.extend_from_slice(step.h);
            self.y.extend_from_slice(step.y);
            self.k1.extend_from_slice(step.k1);
            self.fresh.extend_from_slice(step.fresh);
            self.attempts.extend(std::iter::repeat_n(step.attempt, width));
            if lanes().count() == width && self.n_steps.iter().all(|n_steps| *n_steps == last) {
                self.end.copy_from_slice(step.t_new);
                self.n_steps.fill(last + 1);
                return;
            }
        }
        for lane in lanes() {
            let at = self.n_steps[lane] * width + lane;
            (self.t[at], self.h[at], self.fresh[at]) = (step.t[lane], step.h[lane], step.fresh[lane]);
            self.attempts[at] = step.attempt;
            self.end[lane] = step.t_new[lane];
        }
        let rows = &self.n_steps;
        for (numbers, new) in [(&mut self.y, step.y), (&mut self.k1, step.k1)] {
            for (entry, new) in new.chunks_exact(width).enumerate() {
                for lane in (0..width).filter(|lane| step.taken[*lane]) {
                    numbers[(rows[lane] * self.n + entry) * width + lane] = new[lane];
                }
            }
        }
        (0..width).filter(|lane| step.taken[*lane]).for_each(|lane| self.n_steps[lane] += 1);
    }

    /// Gives the rows beyond the end of a lane what its last step has, so that there is a step
    /// everywhere. A lane without any gets one of length zero from its start, `y0: [n, width]`.
    pub fn fill(&mut self, y0: &[T]) {
        let (width, n_rows, n) = (self.n_steps.len(), self.n_rows(), self.n);
        for lane in (0..width).filter(|_| n_rows > 0) {
            let n_steps = self.n_steps[lane];
            let at = |row: usize, entry: usize| (row * n + entry) * width + lane;
            if n_steps == 0 {
                (self.t[lane], self.h[lane], self.fresh[lane]) = (self.end[lane], 0.0, true);
                self.attempts[lane] = NOT_KEPT;
                for entry in 0..n {
                    (self.y[at(0, entry)], self.k1[at(0, entry)]) = (y0[at(0, entry)], T::default());
                }
            }
            let last = n_steps.saturating_sub(1);
            for row in last + 1..n_rows {
                let (from, to) = (last * width + lane, row * width + lane);
                (self.t[to], self.h[to], self.fresh[to]) = (self.t[from], self.h[from], false);
                self.attempts[to] = self.attempts[from];
                for entry in 0..n {
                    self.y[at(row, entry)] = self.y[at(last, entry)];
                    self.k1[at(row, entry)] = self.k1[at(last, entry)];
                }
            }
        }
    }

    /// Whether [`fill`](LaneTrace::fill) gave a lane a first step.
    pub fn has_filled_starts(&self) -> bool {
        self.n_rows() > 0 && self.n_steps.contains(&0)
    }

    /// The states at the starts of the steps in `row`, `[n, width]`.
    pub fn states(&self, row: usize) -> &[T] {
        let len = self.n * self.n_steps.len();
        &self.y[row * len..][..len]
    }

    /// The attempts in which these steps were made, `[width]`.
    pub fn attempts(&self, row: usize) -> &[u32] {
        let width = self.n_steps.len();
        &self.attempts[row * width..][..width]
    }

    /// The rates there, `[n, width]`.
    pub fn rates(&self, row: usize) -> &[T] {
        let len = self.n * self.n_steps.len();
        &self.k1[row * len..][..len]
    }

    /// Where `t` lies on the way of `lane`, or `None` if it did not come there: see
    /// [`Trace::place`](crate::plan::trace::Trace::place).
    pub fn place(&self, lane: usize, t: f64) -> Option<Place> {
        let (width, n_steps) = (self.n_steps.len(), self.n_steps[lane]);
        let at = |node: usize| if node == n_steps { self.end[lane] } else { self.t[node * width + lane] };
        let forward = at(n_steps) >= at(0);
        let before = |at: f64| if forward { at < t } else { at > t };
        let (mut lo, mut hi) = (0, n_steps + 1);
        while lo < hi {
            let middle = (lo + hi) / 2;
            if before(at(middle)) { lo = middle + 1 } else { hi = middle }
        }
        if lo <= n_steps && at(lo) == t {
            return Some(Place::Node(lo));
        }
        if lo == 0 || lo > n_steps || t.is_nan() {
            return None;
        }
        let step = lo - 1;
        Some(Place::Inside { step, theta: (t - at(step)) / self.h[step * width + lane] })
    }
}
