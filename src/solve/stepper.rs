//! What the loop asks of a method: one accepted step at a time.
//!
//! The loop knows where the run stands, which times steps must land on and which events lie in a
//! step; a [`Stepper`] knows how to take a step and when to take it again shorter.

use super::controller::Past;
use super::dense::Accepted;
use super::outcome::{Invalid, Outcome, Quantity, Stats};
use super::problem::Real;
use smallvec::SmallVec;
use std::ops::ControlFlow;

/// Goes on, or ends the run.
pub type Flow = ControlFlow<Outcome>;

/// The road ahead of a step.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    /// The next time to land on; the field is smooth up to it.
    pub target: f64,
    /// 1 when time runs forwards, -1 when backwards.
    pub direction: f64,
    /// Length of the whole run.
    pub length: f64,
    /// The most steps the run may try, rejected ones included.
    pub max_steps: u64,
}

/// What a method takes along, beyond the state, from a time that it has landed on: a run that begins with it
/// takes the steps that the one it is from takes beyond that time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Carried {
    /// The step wished for next, positive.
    pub size: f64,
    /// What the controller knows.
    pub past: Past,
    /// What [`Auto`](super::Auto) has decided and counted.
    pub mode: Mode,
}

/// Which of its methods [`Auto`](super::Auto) runs, whether the other one is to begin, and what it has counted
/// for and against that. The default for all other methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    pub(super) is_stiff: bool,
    pub(super) changes: bool,
    pub(super) counts: [u32; 2],
}

/// A method at work on one run of one system.
pub trait Stepper<T: Real> {
    /// Length of the state vector, channels included.
    fn dim(&self) -> usize;

    /// Refuses a request that makes no sense, before anything is evaluated.
    fn check(&self) -> Result<(), Invalid>;

    /// Begins at `(t, y)`, at the start of the run or after an event: nothing from before holds,
    /// and the step size is chosen anew. May move `y` to where constraints hold.
    fn start(&mut self, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow;

    /// What a run takes along that goes on from the end of the step last taken, a stop or the end; `None`
    /// of a method that begins anew there.
    fn carried(&self) -> Option<Carried> {
        None
    }

    /// Begins at `(t, y)` as [`start`](Stepper::start) does, but goes on with `carried`.
    fn resume(&mut self, carried: &Carried, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        let _ = carried;
        self.start(t, y, leg, stats)
    }

    /// The last step ended on a stop, beyond which the field may continue differently.
    fn pass_stop(&mut self);

    /// Takes a step from `(t, y)` that is accepted and does not pass `leg.target`; counts it and
    /// those it rejects on the way. [`accepted`](Stepper::accepted) shows it.
    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow;

    /// Makes ready for a look inside the step last taken, which started at `y`; without it, only the
    /// ends of that step can be looked at. Nothing to do for a method that computes all it needs.
    fn look_inside(&mut self, y: &[T], stats: &mut Stats) {
        let _ = (y, stats);
    }

    /// The error estimate, with its sign, of `component` in the step last taken; `None` if there is
    /// none, as of fixed steps.
    fn error(&self, component: usize) -> Option<f64> {
        let _ = component;
        None
    }

    /// The step last taken, which started at `y`.
    fn accepted<'a>(&'a self, y: &'a [T]) -> Accepted<'a, T>;
}

/// Times to land on, the next one last: the end, mostly, and no other.
pub(super) type Stops = SmallVec<[f64; 2]>;

impl Leg {
    /// The times to land on of a run along `(t0, t1)`, the next one last, of those in `wanted` that lie
    /// inside, and its end.
    pub(super) fn stops(wanted: &[f64], (t0, t1): (f64, f64)) -> Stops {
        if wanted.is_empty() {
            return Stops::from_elem(t1, 1);
        }
        let direction = if t1 >= t0 { 1.0 } else { -1.0 };
        let ahead = |stop: &f64| (*stop - t0) * direction > 0.0 && (t1 - *stop) * direction > 0.0;
        let mut stops: Stops = wanted.iter().copied().filter(ahead).collect();
        stops.push(t1);
        stops.sort_by(|a, b| (b * direction).total_cmp(&(a * direction)));
        stops.dedup();
        stops
    }

    /// A time strictly inside the smooth piece that begins at `t`.
    pub fn inside(&self, t: f64) -> f64 {
        t + 0.5 * (self.target - t)
    }

    /// Ends a run that has used up its steps; `h` is the one it would try next.
    pub fn spend(&self, t: f64, h: f64, stats: &Stats) -> Flow {
        if stats.attempts() >= self.max_steps {
            return Flow::Break(Outcome::MaxSteps { t, h, max_steps: self.max_steps });
        }
        Flow::Continue(())
    }
}

/// Equal steps: times are counted from the last time landed on, not summed, so that they do not
/// drift. The last step before a target is shortened to land on it.
#[derive(Clone, Debug)]
pub struct Grid {
    dt: f64,
    base: f64,
    target: f64,
    n_steps: u64,
    n_taken: u64,
}

impl Grid {
    /// Steps of size `dt > 0`.
    pub fn new(dt: f64) -> Grid {
        Grid { dt, base: f64::NAN, target: f64::NAN, n_steps: 0, n_taken: 0 }
    }

    /// Counts from `t`, whatever the target was before.
    pub fn restart(&mut self) {
        self.target = f64::NAN;
    }

    /// Size and end of the next step from `t`.
    pub fn next(&mut self, t: f64, leg: &Leg) -> (f64, f64) {
        let dt = self.dt * leg.direction;
        if self.target != leg.target {
            (self.base, self.target, self.n_taken) = (t, leg.target, 0);
            // A ratio that is whole but for rounding counts as whole.
            self.n_steps = ((self.target - self.base) / dt * (1.0 - 1e-12)).ceil().max(1.0) as u64;
        }
        self.n_taken += 1;
        if self.n_taken >= self.n_steps {
            (self.target - t, self.target)
        } else {
            (dt, self.base + self.n_taken as f64 * dt)
        }
    }

    /// Where steps are counted from, how many have been taken, and the size of one that does not land, with its
    /// sign: the next `n` such steps end at `base + (taken + n) size`.
    pub(super) fn line(&self, direction: f64) -> (f64, f64, f64) {
        (self.base, self.n_taken as f64, self.dt * direction)
    }

    /// Takes so many such steps at once.
    pub(super) fn pass(&mut self, count: u64) {
        self.n_taken += count;
    }

    /// A number of steps from here that neither reach `wanted`, a time or a NaN, nor land on the target of `leg`.
    pub(super) fn before(&self, wanted: f64, leg: &Leg) -> u64 {
        if self.target != leg.target {
            // Nothing is counted yet.
            return 0;
        }
        let until_last = self.n_steps.saturating_sub(self.n_taken + 1);
        if wanted.is_nan() {
            return until_last;
        }
        // One less, whatever is lost to rounding.
        let all = ((wanted - self.base) / (self.dt * leg.direction)).floor() - 1.0;
        until_last.min((all as u64).saturating_sub(self.n_taken))
    }
}

/// Whether no number is infinite or not a number: a loop without branches.
#[inline]
pub(super) fn all_finite<T: Real>(v: &[T]) -> bool {
    v.iter().fold(true, |all, x| all & (x.to_f64().abs() < f64::INFINITY))
}

/// The position of the first number that is infinite or not a number.
pub(super) fn non_finite<T: Real>(v: &[T]) -> Option<usize> {
    v.iter().position(|x| !x.to_f64().is_finite())
}

/// Ends the run if `v` has a number that is not finite.
pub(super) fn require_finite<T: Real>(v: &[T], t: f64, h: f64, quantity: Quantity) -> Flow {
    match non_finite(v) {
        Some(component) => Flow::Break(Outcome::NonFinite { t, h, component, quantity }),
        None => Flow::Continue(()),
    }
}
