//! The Taylor method on blocks: what [`Taylor`](super::super::Taylor) does, in lanes.

use super::super::control::{Adaptive, positive};
use super::super::controller::Past;
use super::super::dense::{Accepted, Interior};
use super::super::outcome::{Invalid, Outcome, Quantity};
use super::super::problem::Real;
use super::super::solve::{Options, Stepping};
use super::super::stepper::{Carried, Grid, Mode, non_finite};
use super::super::taylor::{Chosen, Goal, Takeoff, fill_powers, radius_factor, radius_of};
use super::block::{Block, Method, Trip, column, drive, zeros};
use super::norm::{Norms, Tallies};
use super::rows::{Lined, Rows};
use super::{LaneExpand, LaneObserver, Steps, all};

/// Solves all `runs` by the Taylor method, as [`integrate`](super::integrate) does by an explicit one.
pub fn integrate_series<T, S, O, const B: usize>(
    system: &mut S,
    options: &Options,
    runs: impl IntoIterator<Item = Trip<T, S::Args>>,
    observer: &mut O,
) -> Result<(), Invalid>
where
    T: Real,
    S: LaneExpand<T, B>,
    O: LaneObserver<T, S::Args, B>,
{
    let (dim, order) = (system.dim(), system.order());
    let mut leaps = false;
    let pace = match &options.stepping {
        Stepping::Fixed { dt } => {
            positive("dt", *dt)?;
            Pace::Fixed(std::array::from_fn(|_| Grid::new(*dt)), *dt)
        }
        Stepping::Adaptive(control) => {
            control.check(dim)?;
            leaps = Goal::of(control, dim).is_some_and(|goal| system.aim(&goal));
            Pace::Adaptive(control, Norms::new(control, dim), Tallies::new(control, dim))
        }
    };
    let mut method = Series {
        system,
        order,
        pace,
        series: Rows::new(order * dim),
        powers: Vec::new(),
        err: Rows::new(dim),
        size: [f64::INFINITY; B],
        wished: [0.0; B],
        again: [false; B],
        accepted: [false; B],
        leaps,
        takeoff: Lined([[T::default(); B]; Takeoff::LEN]),
        chosen: Lined([[T::default(); B]; Chosen::LEN]),
        begun: false,
    };
    drive(&mut method, Block::new(dim, options.max_steps), runs.into_iter(), observer);
    Ok(())
}

/// The method at work on a block.
struct Series<'a, S, T, const B: usize> {
    system: &'a mut S,
    order: usize,
    pace: Pace<'a, B>,
    /// `[order * dim]`, in powers of `τ`.
    series: Rows<T, B>,
    /// Of one lane, in powers of `θ = τ/h`.
    powers: Vec<T>,
    /// The error estimates of the steps last tried, `[dim]`.
    err: Rows<T, B>,
    /// The longest next steps.
    size: [f64; B],
    /// The steps wished for.
    wished: [f64; B],
    /// Whether the step last tried was rejected, so that the next one is from where it was.
    again: [bool; B],
    accepted: [bool; B],
    /// Whether the system leaps; then evaluations are counted when a run ends.
    leaps: bool,
    /// See [`LaneExpand::leap`].
    takeoff: Lined<[[T; B]; Takeoff::LEN]>,
    chosen: Lined<[[T; B]; Chosen::LEN]>,
    /// Whether a run has begun since the last attempt.
    begun: bool,
}

enum Pace<'a, const B: usize> {
    Fixed([Grid; B], f64),
    Adaptive(&'a Adaptive, Norms<'a, B>, Tallies<B>),
}

impl<T: Real, S: LaneExpand<T, B>, const B: usize> Method<T, S::Args, B> for Series<'_, S, T, B> {
    #[inline(always)]
    fn widely<R>(work: impl FnOnce() -> R) -> R {
        S::widely(work)
    }

    fn load(&mut self, lane: usize, args: &S::Args) {
        self.system.load(lane, args);
    }

    fn start<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        begins: &[bool; B],
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        let mut free = false;
        self.begun = true;
        for lane in (0..B).filter(|lane| begins[*lane]) {
            let trip = block.trip(lane);
            let t = block.t[lane];
            let failed = non_finite(&trip.y0).map(|component| Outcome::NonFinite {
                t,
                h: 0.0,
                component,
                quantity: Quantity::Start,
            });
            let is_over = block.is_over(lane);
            let goes = failed.is_none() && !is_over;
            let mut size = f64::INFINITY;
            match &mut self.pace {
                Pace::Fixed(grids, dt) => {
                    grids[lane].restart();
                    if goes {
                        block.count.next_step[lane] = *dt * block.direction[lane];
                    }
                }
                Pace::Adaptive(control, _, tallies) => {
                    tallies.restart(lane);
                    if goes {
                        size = control.first_step.unwrap_or(size);
                    }
                }
            }
            let resume = block.trip(lane).resume.filter(|_| goes);
            (self.again[lane], self.size[lane]) = (false, resume.map_or(size, |carried| carried.size));
            let trip = block.trip(lane);
            block.wanted[lane] = observer.start(lane, trip, &trip.y0);
            if let Some(outcome) = failed.or(is_over.then_some(Outcome::Finished)) {
                self.end(lane, outcome, block, observer);
                free = true;
            }
        }
        free
    }

    #[inline(always)]
    fn attempt<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        let mut free = block.any_is_spent() && self.spend(block, observer);
        if self.leaps {
            free |= self.leap(block, observer);
            return free | self.pass(block, observer);
        }
        free |= self.expand(block, observer);
        match &mut self.pace {
            Pace::Fixed(grids, _) => {
                for lane in (0..B).filter(|lane| block.live[*lane]) {
                    let next = grids[lane].next(block.t[lane], &block.leg(lane));
                    (block.h[lane], block.t_new[lane]) = next;
                }
            }
            Pace::Adaptive(..) => self.plan(block),
        }
        for lane in 0..B {
            let count = &mut block.count;
            let is_first = count.accepted[lane] + count.rejected[lane] == 0;
            count.first_step[lane] = if is_first { block.h[lane] } else { count.first_step[lane] };
        }
        let Block { t, h, y, y_new, .. } = block;
        self.system.finish(t, h, y, &self.series, y_new, &mut self.err);
        let zero = zeros(&block.y_new, [0.0; B]);
        let mut errs = zero;
        if let Pace::Adaptive(_, norms, _) = &mut self.pace {
            errs = norms.of(&self.err, &block.y, &block.y_new);
            for lane in 0..B {
                errs[lane] += zero[lane];
            }
        }
        let mut failed = false;
        for lane in 0..B {
            block.count.evaluations[lane] += 1;
            let ok = errs[lane] <= 1.0;
            self.accepted[lane] = ok & block.live[lane];
            failed |= !ok & block.live[lane];
            block.count.accepted[lane] += u64::from(ok);
            block.count.rejected[lane] += u64::from(!ok);
            block.count.non_finite[lane] += u64::from(!errs[lane].is_finite());
        }
        if failed {
            free |= self.reject(&errs, block, observer);
        }
        free | self.pass(block, observer)
    }
}

impl<T: Real, S: LaneExpand<T, B>, const B: usize> Series<'_, S, T, B> {
    /// Tries a leap in every lane. Whether a lane is free after that.
    #[inline(always)]
    fn leap<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        let Pace::Adaptive(control, ..) = &self.pace else { return false };
        let control: &Adaptive = control;
        let (t, target, length, size) = (block.t, block.target, block.length, self.size);
        let takeoff = &mut self.takeoff.0;
        for lane in 0..B {
            let ahead = target[lane] - t[lane];
            takeoff[0][lane] = T::from_f64(t[lane]);
            takeoff[1][lane] = T::from_f64(t[lane] + 0.5 * ahead);
            takeoff[2][lane] = T::from_f64(ahead);
        }
        for lane in 0..B {
            let longest = control.max_step.min(length[lane]);
            takeoff[3][lane] = T::from_f64(size[lane].min(longest));
            takeoff[4][lane] = T::from_f64(control.shortest(t[lane]));
        }
        if self.again != [false; B] {
            for lane in (0..B).filter(|lane| self.again[*lane]) {
                let wished = T::from_f64(self.wished[lane]);
                (takeoff[3][lane], takeoff[4][lane]) = (wished, wished);
            }
        }
        let Block { y, y_new, .. } = block;
        self.system.leap(takeoff, y, &mut self.series, y_new, &mut self.err, &mut self.chosen.0);
        let mut squares = zeros(&block.y_new, [0.0; B]);
        let [chosen_h, chosen_size, square] = &self.chosen.0;
        let (mut h, mut t_new) = ([0.0; B], [0.0; B]);
        for lane in 0..B {
            squares[lane] += square[lane].to_f64();
            h[lane] = chosen_h[lane].to_f64();
            let lands = h[lane] == takeoff[2][lane].to_f64();
            t_new[lane] = if lands { target[lane] } else { t[lane] + h[lane] };
            self.wished[lane] = chosen_size[lane].to_f64();
        }
        (block.h, block.t_new) = (h, t_new);
        let (live, mut accepted, mut all) = (block.live, [false; B], true);
        for lane in 0..B {
            let ok = squares[lane] <= 1.0;
            accepted[lane] = ok & live[lane];
            all &= ok | !live[lane];
        }
        self.accepted = accepted;
        let free = !all && self.stumble(&squares, block, observer);
        let count = &mut block.count;
        if std::mem::take(&mut self.begun) {
            for lane in 0..B {
                let is_first = count.accepted[lane] + count.rejected[lane] == 0;
                count.first_step[lane] = if is_first { h[lane] } else { count.first_step[lane] };
            }
        }
        for lane in 0..B {
            count.accepted[lane] += u64::from(accepted[lane]);
        }
        free
    }

    /// Answers leaps that were not accepted.
    #[cold]
    fn stumble<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        squares: &[f64; B],
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        let mut free = false;
        for lane in (0..B).filter(|lane| !self.accepted[*lane]).collect::<Vec<_>>() {
            let first = column(&self.series[..block.y.len()], lane);
            match non_finite(&first).filter(|_| block.live[lane]) {
                None => {
                    let count = &mut block.count;
                    if count.accepted[lane] + count.rejected[lane] == 0 {
                        count.first_step[lane] = block.h[lane];
                    }
                    count.rejected[lane] += 1;
                    count.non_finite[lane] += u64::from(!squares[lane].is_finite());
                }
                Some(component) => {
                    let (t, quantity) = (block.t[lane], Quantity::Rate);
                    self.again[lane] = true;
                    self.end(lane, Outcome::NonFinite { t, h: 0.0, component, quantity }, block, observer);
                    free = true;
                }
            }
        }
        free | self.reject(&squares.map(f64::sqrt), block, observer)
    }

    /// Ends runs that have used up their steps.
    fn spend<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        let mut free = false;
        for lane in 0..B {
            let (leg, t) = (block.leg(lane), block.t[lane]);
            let tried = block.count.accepted[lane] + block.count.rejected[lane];
            if !block.live[lane] || tried < leg.max_steps {
                continue;
            }
            let h = match &self.pace {
                Pace::Adaptive(control, ..) if self.again[lane] => {
                    let ahead = leg.target - t;
                    let (tried, lands) = control.landing.fitted(self.wished[lane], ahead.abs());
                    if lands { ahead } else { leg.direction * tried }
                }
                Pace::Adaptive(..) | Pace::Fixed(..) => leg.direction * self.size[lane].min(leg.length),
            };
            self.end(lane, Outcome::MaxSteps { t, h, max_steps: leg.max_steps }, block, observer);
            free = true;
        }
        free
    }

    /// Expands the solutions where they stand.
    fn expand<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        // Of a step that is tried again the same comes out again.
        self.system.series(&block.t, &block.insides(), &block.y, &mut self.series);
        for lane in 0..B {
            block.count.evaluations[lane] += if self.again[lane] { 0 } else { self.order as u64 };
        }
        let first = &self.series[..block.y.len()];
        if zeros(first, [0.0; B]).iter().all(|zero| *zero == 0.0) {
            return false;
        }
        let mut free = false;
        for lane in (0..B).filter(|lane| block.live[*lane]).collect::<Vec<_>>() {
            if let Some(component) = non_finite(&column(&self.series[..block.y.len()], lane)) {
                let (t, quantity) = (block.t[lane], Quantity::Rate);
                self.end(lane, Outcome::NonFinite { t, h: 0.0, component, quantity }, block, observer);
                free = true;
            }
        }
        free
    }

    /// Sizes of the steps to try.
    #[inline(always)]
    fn plan(&mut self, block: &mut Block<T, S::Args, B>) {
        let (dim, order) = (block.y.len(), self.order);
        let Pace::Adaptive(control, norms, _) = &mut self.pace else { return };
        let control: &Adaptive = control;
        let term = |k: usize| &self.series[(k - 1) * dim..k * dim];
        let last = norms.of(term(order), &block.y, &block.y);
        let before = norms.of(term(order - 1), &block.y, &block.y);
        let (factor, mut radius) = (radius_factor(order), [0.0; B]);
        for lane in all::<B>() {
            radius[lane] = radius_of(order, last[lane], before[lane]) * factor;
        }
        for lane in 0..B {
            let (t, longest) = (block.t[lane], control.max_step.min(block.length[lane]));
            let shortest = control.shortest(t);
            // What is not a number says nothing: begin small.
            let wish = if radius[lane].is_nan() { shortest } else { radius[lane] };
            let fresh = wish.min(self.size[lane]).min(longest).max(shortest);
            self.wished[lane] = if self.again[lane] { self.wished[lane] } else { fresh };
        }
        for lane in 0..B {
            let (t, ahead) = (block.t[lane], block.target[lane] - block.t[lane]);
            let (tried, lands) = control.landing.fitted(self.wished[lane], ahead.abs());
            let h = if lands { ahead } else { block.direction[lane] * tried };
            block.h[lane] = h;
            block.t_new[lane] = if lands { block.target[lane] } else { t + h };
        }
    }

    /// Shortens steps that were rejected, and ends runs that can go no further.
    fn reject<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        errs: &[f64; B],
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        let mut free = false;
        for lane in 0..B {
            if self.accepted[lane] || !block.live[lane] {
                continue;
            }
            let (t, direction, y_new) = (block.t[lane], block.direction[lane], column(&block.y_new, lane));
            let (quantity, fault) = (Quantity::State, non_finite(&y_new));
            let outcome = match (&self.pace, fault) {
                (Pace::Fixed(..), Some(component)) => {
                    Outcome::NonFinite { t, h: block.h[lane], component, quantity }
                }
                (Pace::Fixed(..), None) => crate::bug!("a fixed step that was rejected is not finite"),
                (Pace::Adaptive(control, ..), fault) => {
                    let (err, tried) = (errs[lane], block.h[lane].abs());
                    let factor = control.controller.rejected(self.order as u32 + 1, err, 1.0).min(0.9);
                    (self.wished[lane], self.again[lane]) = (tried * factor, true);
                    if self.wished[lane] >= control.shortest(t) {
                        continue;
                    }
                    let h = direction * self.wished[lane];
                    let largest = || control.largest(&column(&self.err, lane), &block.state(lane), &y_new);
                    let (component, ratio) = fault.map_or_else(largest, |at| (at, f64::NAN));
                    match err.is_finite() {
                        true => Outcome::StepTooSmall { t, h, component, ratio },
                        false => Outcome::NonFinite { t, h, component, quantity },
                    }
                }
            };
            self.end(lane, outcome, block, observer);
            free = true;
        }
        free
    }

    /// Moves the lanes whose steps were accepted to the ends of these.
    #[inline(always)]
    fn pass<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        if let Pace::Adaptive(control, _, tallies) = &mut self.pace {
            let (wished, max_factor) = (self.wished, control.controller.max_factor);
            let (h, direction) = (block.h, block.direction);
            let (mut size, mut next) = ([0.0; B], [0.0; B]);
            for lane in 0..B {
                let tried = h[lane].abs();
                size[lane] = max_factor * if tried < wished[lane] { wished[lane] } else { tried };
                next[lane] = direction[lane] * wished[lane];
            }
            if self.accepted == block.live {
                // What a lane without a run has in hand is nothing to anyone.
                (self.size, block.count.next_step) = (size, next);
            } else {
                for lane in (0..B).filter(|lane| self.accepted[*lane]) {
                    (self.size[lane], block.count.next_step[lane]) = (size[lane], next[lane]);
                }
            }
            if self.again != [false; B] {
                for lane in 0..B {
                    self.again[lane] &= !self.accepted[lane];
                }
            }
            let err = &self.err;
            tallies.add(&self.accepted, &block.y_new, |component| err[component].map(T::to_f64));
        }
        let (reaches, lands) = block.looks(&self.accepted);
        if reaches {
            for lane in 0..B {
                let reaches = (block.t_new[lane] - block.wanted[lane]) * block.direction[lane] >= 0.0;
                if !self.accepted[lane] || !reaches {
                    continue;
                }
                fill_powers(&column(&self.series, lane), block.y.len(), block.h[lane], &mut self.powers);
                let (y, y_new) = (block.state(lane), column(&block.y_new, lane));
                block.wanted[lane] = observer.reached(
                    lane,
                    &Accepted {
                        t: block.t[lane],
                        h: block.h[lane],
                        t_new: block.t_new[lane],
                        y: &y,
                        y_new: &y_new,
                        interior: Interior::Powers { coefficients: &self.powers },
                    },
                );
            }
        }
        observer.accepted(&Steps {
            accepted: &self.accepted,
            t: &block.t,
            h: &block.h,
            t_new: &block.t_new,
            y: &block.y,
            y_new: &block.y_new,
            k1: &[],
            fresh: &[false; B],
        });
        block.advance(&self.accepted);
        let mut free = false;
        if lands {
            for lane in 0..B {
                if !self.accepted[lane] || block.t[lane] != block.target[lane] {
                    continue;
                }
                if block.is_over(lane) {
                    self.end(lane, Outcome::Finished, block, observer);
                    free = true;
                } else {
                    block.aim(lane);
                }
            }
        }
        free
    }

    fn end<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        lane: usize,
        outcome: Outcome,
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) {
        if self.leaps {
            // A series for each step, also for the one that was not taken, and one evaluation for each attempt.
            let count = &mut block.count;
            let expanded = count.accepted[lane] + u64::from(self.again[lane]);
            let tried = count.accepted[lane] + count.rejected[lane];
            count.evaluations[lane] = expanded * self.order as u64 + tried;
        }
        let left = match &self.pace {
            Pace::Fixed(..) => (None, Vec::new()),
            Pace::Adaptive(control, _, tallies) => {
                let carried = Carried { size: self.size[lane], past: Past::default(), mode: Mode::default() };
                let carried = (outcome == Outcome::Finished).then_some(carried);
                (carried, tallies.unsteered(control, lane, &block.stats(lane)))
            }
        };
        self.again[lane] = false;
        block.end(lane, outcome, left, observer);
    }
}
