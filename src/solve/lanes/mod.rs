//! Many runs of one system side by side: a block of `B` lanes, a run in each.
//!
//! Every lane has its own time, step size and control; an attempt is one call for all of them. A lane
//! whose run has ended takes the next one that waits. A run gets the very bits that
//! [`integrate`](super::integrate) gives it alone, whatever runs beside it: steps are bits of the
//! lanes' own, and control is the same sums in the same order.
//!
//! Vectors are lane-minor, `[dim][B]`. There are no events and no noise here.

mod block;
mod explicit;
mod march;
mod norm;
mod rows;
mod steering;
mod taylor;

pub use block::{Trip, UnderWay};
pub use explicit::integrate;
pub use rows::Rows;
pub use taylor::integrate_series;

use super::dense::Accepted;
use super::outcome::{End, Invalid};
use super::problem::Real;
use super::taylor::{Chosen, Goal, Takeoff};

/// One step of an explicit method for `B` runs of one system: what [`Step`](super::Step) is for one.
pub trait LaneStep<T: Real, const B: usize> {
    /// What a run takes beside its start: the numbers that its field depends on.
    type Args;

    /// Calls `work`, compiled for the vectors of this machine where the owner of the step can have that.
    fn widely<R>(work: impl FnOnce() -> R) -> R {
        work()
    }

    /// Length of the state vector, channels included.
    fn dim(&self) -> usize;

    /// Number of stages `s` of the method.
    fn n_stages(&self) -> usize;

    /// From now on lane `lane` is of a run with `args`.
    fn load(&mut self, lane: usize, args: &Self::Args);

    /// The rate of change in each lane at `(t, y)`, see [`Step::rate`](super::Step::rate); `[dim]`.
    fn rate(&mut self, t: &[f64; B], inside: &[f64; B], y: &[[T; B]], dy: &mut [[T; B]]);

    /// A step in each lane, see [`Step::step`](super::Step::step): `stages` is `[s * dim]`, of which
    /// the first `dim` rows hold the rate at `(t, y)` on entry.
    fn step(
        &mut self,
        t: &[f64; B],
        h: &[f64; B],
        y: &[[T; B]],
        stages: &mut [[T; B]],
        y_new: &mut [[T; B]],
        err: &mut [[T; B]],
    );

    /// The stages that only dense output needs, see [`Step::extend`](super::Step::extend): `stages` is
    /// `[(s + e) * dim]`.
    fn extend(&mut self, t: &[f64; B], h: &[f64; B], y: &[[T; B]], stages: &mut [[T; B]]);

    /// How many steps a [`march`](LaneStep::march) takes; 0 if there is none.
    fn n_marched(&self) -> usize {
        0
    }

    /// That many steps of size `h` in each lane, one after another, from the times in the rows of `t`, each with the
    /// rate at its start evaluated at `(t, inside)`: to the bits of so many calls of [`rate`](LaneStep::rate) and
    /// [`step`](LaneStep::step). Writes those rates, `[n_marched * dim]`, and the last state.
    fn march(
        &mut self,
        t: &[[f64; B]],
        inside: &[[f64; B]],
        h: &[f64; B],
        y: &[[T; B]],
        rates: &mut [[T; B]],
        y_new: &mut [[T; B]],
    ) {
        let _ = (t, inside, h, y, rates, y_new);
        crate::bug!("a system that marches says how")
    }
}

/// The expansion of the solutions of `B` runs of one system: what [`Expand`](super::Expand) is for one.
pub trait LaneExpand<T: Real, const B: usize> {
    /// See [`LaneStep::Args`].
    type Args;

    /// See [`LaneStep::widely`].
    fn widely<R>(work: impl FnOnce() -> R) -> R {
        work()
    }

    /// Length of the state vector, channels included.
    fn dim(&self) -> usize;

    /// Number of the highest coefficient, at least 2.
    fn order(&self) -> usize;

    /// See [`LaneStep::load`].
    fn load(&mut self, lane: usize, args: &Self::Args);

    /// The coefficients in each lane, `[order * dim]`; see [`Expand::series`](super::Expand::series).
    fn series(&mut self, t: &[f64; B], inside: &[f64; B], y: &[[T; B]], out: &mut [[T; B]]);

    /// The ends of the steps in each lane, `series` as [`series`](LaneExpand::series) gave it; see
    /// [`Expand::finish`](super::Expand::finish).
    fn finish(
        &mut self,
        t: &[f64; B],
        h: &[f64; B],
        y: &[[T; B]],
        series: &[[T; B]],
        y_new: &mut [[T; B]],
        err: &mut [[T; B]],
    );

    /// See [`Expand::aim`](super::Expand::aim).
    fn aim(&mut self, goal: &Goal) -> bool {
        let _ = goal;
        false
    }

    /// A leap in each lane, see [`Expand::leap`](super::Expand::leap): the rows of `takeoff` are the entries
    /// of a [`Takeoff`], those of `chosen` of a [`Chosen`].
    fn leap(
        &mut self,
        takeoff: &[[T; B]; Takeoff::LEN],
        y: &[[T; B]],
        series: &mut [[T; B]],
        y_new: &mut [[T; B]],
        err: &mut [[T; B]],
        chosen: &mut [[T; B]; Chosen::LEN],
    ) {
        let _ = (takeoff, y, series, y_new, err, chosen);
        crate::bug!("a system that leaps says how")
    }
}

/// Sees the runs of a block.
pub trait LaneObserver<T: Real, A, const B: usize> {
    /// `trip` begins in lane `lane`, at `y`. Answers with the first time after the start at which the
    /// solution is wanted; a NaN if there is none.
    fn start(&mut self, lane: usize, trip: &Trip<T, A>, y: &[T]) -> f64;

    /// Whether steps are to be shown as they are accepted. What is wanted of a run at some time is
    /// [`reached`](LaneObserver::reached) anyway.
    fn sees_steps(&self) -> bool {
        true
    }

    /// Every lane has tried a step; those of some have been accepted.
    fn accepted(&mut self, steps: &Steps<'_, T, B>) {
        let _ = steps;
    }

    /// An accepted step of lane `lane` reaches the time that was wanted. Answers with the next one.
    fn reached(&mut self, lane: usize, step: &Accepted<'_, T>) -> f64;

    /// A run has ended, and none waits for its lane: whether those in the lanes that are `live` are to leave
    /// them, to go on elsewhere. Asked of explicit methods that choose their steps.
    fn breaks_up(&self, live: &[bool; B]) -> bool {
        let _ = live;
        false
    }

    /// The run in lane `lane` has left it: [`Trip::under_way`] says where it stands.
    fn left(&mut self, lane: usize, trip: Trip<T, A>) {
        let _ = (lane, trip);
        crate::bug!("a run has left that was not to");
    }

    /// The run in lane `lane` is over, or could not begin: see [`integrate`](super::integrate).
    fn ended(&mut self, lane: usize, trip: Trip<T, A>, end: Result<End<T>, Invalid>);
}

/// The steps of all lanes in one attempt.
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a, T, const B: usize> {
    /// Whether that of a lane was accepted; nothing is meant by the others.
    pub accepted: &'a [bool; B],
    /// Start of each.
    pub t: &'a [f64; B],
    /// Size of each, with its sign.
    pub h: &'a [f64; B],
    /// End of each: see [`Accepted::t_new`].
    pub t_new: &'a [f64; B],
    /// The states at the start, `[dim]`.
    pub y: &'a [[T; B]],
    /// The states at the end, `[dim]`.
    pub y_new: &'a [[T; B]],
    /// The rates at the start, `[dim]`; empty of a method that keeps none.
    pub k1: &'a [[T; B]],
    /// Whether that rate was evaluated there; else it is the last stage of the step before.
    pub fresh: &'a [bool; B],
}

/// The numbers of the lanes, for a long loop over all of them: how many there are is hidden from the
/// compiler, which would write the loop out turn by turn, but makes vector code of one it knows nothing of.
#[inline(always)]
fn all<const B: usize>() -> std::ops::Range<usize> {
    0..std::hint::black_box(B).min(B)
}
