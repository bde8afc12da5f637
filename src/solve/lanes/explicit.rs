//! Explicit Runge–Kutta methods on blocks: what [`Explicit`](super::super::Explicit) does, in lanes.
//!
//! An attempt is one step of all lanes; then each is judged by its own error. What happens to a few
//! lanes only (a run begins, lands, ends, is looked at) is done lane by lane.

use super::super::control::{along, change, first_trial_size, positive};
use super::super::controller::Past;
use super::super::dense::{Accepted, Interior};
use super::super::explicit::mixed;
use super::super::outcome::{Invalid, Outcome, Quantity};
use super::super::problem::Real;
use super::super::solve::{Options, Stepping};
use super::super::stepper::{Carried, Grid, Mode, non_finite};
use super::super::tableau::{Coeff, Tableau};
use super::block::{Block, Course, Method, Trip, column, drive, zeros};
use super::march::March;
use super::rows::Rows;
use super::steering::Steering;
use super::{LaneObserver, LaneStep, Steps};
use std::iter::zip;

/// Solves all `runs` with the explicit method `tableau`, as [`solve`](fn@super::super::solve) does each of
/// them: `options.stepping` and `options.max_steps` hold for all, stops and what a run goes on with are
/// its own. Every run is told to `observer` when it ends.
///
/// A request that makes no sense for any run is refused at once; one that makes no sense for one run is
/// the end of that run.
pub fn integrate<T, S, O, const B: usize>(
    step: &mut S,
    tableau: &Tableau,
    options: &Options,
    runs: impl IntoIterator<Item = Trip<T, S::Args>>,
    observer: &mut O,
) -> Result<(), Invalid>
where
    T: Real,
    S: LaneStep<T, B>,
    O: LaneObserver<T, S::Args, B>,
{
    let (expected, found) = (tableau.n_stages(), step.n_stages());
    if found != expected {
        return Err(Invalid::Stages { expected, found });
    }
    let (dim, n_marched) = (step.dim(), step.n_marched());
    let pace = match &options.stepping {
        Stepping::Fixed { dt } => {
            positive("dt", *dt)?;
            Pace::Fixed(std::array::from_fn(|_| Grid::new(*dt)), *dt)
        }
        Stepping::Adaptive(_) if tableau.embedded.is_none() => {
            return Err(Invalid::NoErrorEstimate { method: tableau.name });
        }
        Stepping::Adaptive(control) => {
            control.check(dim)?;
            Pace::Adaptive(Box::new(Steering::new(control, tableau, dim)))
        }
    };
    let block = Block::new(dim, options.max_steps);
    let mut method = Explicit {
        step,
        tableau,
        fsal: tableau.fsal(),
        pace,
        stages: Rows::new(dim * tableau.n_rows()),
        err: Rows::new(dim),
        rates: Rows::new(dim),
        needs_rate: [false; B],
        fresh: [false; B],
        accepted: [false; B],
        march: March::new(dim, n_marched),
    };
    drive(&mut method, block, runs.into_iter(), observer);
    Ok(())
}

/// The method at work on a block.
struct Explicit<'a, T, S, const B: usize> {
    step: &'a mut S,
    tableau: &'a Tableau,
    /// See [`Tableau::fsal`].
    fsal: bool,
    pace: Pace<'a, B>,
    /// `[(s + e) * dim]`; the first `dim` rows hold the rate at the start of the next step.
    stages: Rows<T, B>,
    /// `[dim]`
    err: Rows<T, B>,
    /// Scratch, `[dim]`.
    rates: Rows<T, B>,
    /// Whether the rate at the start of the next step is not known yet.
    needs_rate: [bool; B],
    /// Whether it was evaluated there.
    fresh: [bool; B],
    /// Whether the step last tried was accepted.
    accepted: [bool; B],
    march: March<T, B>,
}

/// How step sizes are chosen.
enum Pace<'a, const B: usize> {
    Fixed([Grid; B], f64),
    Adaptive(Box<Steering<'a, B>>),
}

impl<T: Real, S: LaneStep<T, B>, const B: usize> Method<T, S::Args, B> for Explicit<'_, T, S, B> {
    #[inline(always)]
    fn widely<R>(work: impl FnOnce() -> R) -> R {
        S::widely(work)
    }

    fn load(&mut self, lane: usize, args: &S::Args) {
        self.step.load(lane, args);
    }

    fn start<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        begins: &[bool; B],
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        let starts = |lane: &usize| begins[*lane];
        let mut failed: [Option<Outcome>; B] = std::array::from_fn(|lane| {
            let component = if begins[lane] { non_finite(&block.trip(lane).y0) } else { None };
            let t = block.t[lane];
            component.map(|component| Outcome::NonFinite { t, h: 0.0, component, quantity: Quantity::Start })
        });
        let mut fresh = [false; B];
        for lane in (0..B).filter(starts) {
            if let (Some(on), Pace::Adaptive(steering)) = (&block.trip(lane).under_way, &mut self.pace) {
                let Course { k1, needs_rate, fresh, control } = &on.course;
                (self.needs_rate[lane], self.fresh[lane]) = (*needs_rate, *fresh);
                zip(&mut self.stages, k1).for_each(|(row, k1)| row[lane] = *k1);
                steering.hold(lane, control);
                continue;
            }
            self.needs_rate[lane] = true;
            let (leg, goes) = (block.leg(lane), !block.is_over(lane) && failed[lane].is_none());
            let resume = block.trip(lane).resume;
            match &mut self.pace {
                Pace::Fixed(grids, dt) => {
                    grids[lane].restart();
                    if goes {
                        block.count.next_step[lane] = *dt * leg.direction;
                    }
                }
                Pace::Adaptive(steering) => {
                    steering.after_rejection[lane] = false;
                    steering.tallies.restart(lane);
                    let (size, past) =
                        resume.filter(|_| goes).map_or((0.0, Past::default()), |on| (on.size, on.past));
                    steering.size[lane] = size;
                    steering.set_past(lane, past);
                    fresh[lane] = goes && resume.is_none();
                }
            }
        }
        if fresh.contains(&true) {
            self.first_rates(&fresh, block, &mut failed);
            let going = std::array::from_fn(|lane| fresh[lane] && failed[lane].is_none());
            self.first_sizes(&going, block);
        }
        let mut free = false;
        for lane in (0..B).filter(starts) {
            let trip = block.trip(lane);
            if trip.under_way.is_some() {
                continue;
            }
            let wanted = observer.start(lane, trip, &trip.y0);
            block.wanted[lane] = wanted;
            let is_over = block.is_over(lane).then_some(Outcome::Finished);
            if let Some(outcome) = failed[lane].or(is_over) {
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
        let mut free = false;
        if let Pace::Fixed(grids, _) = &mut self.pace
            && !observer.sees_steps()
            && (!self.fsal || !self.needs_rate.contains(&true))
        {
            let stages = &mut self.stages[..self.tableau.n_stages() * block.y.len()];
            if self.march.go(self.step, block, grids, stages, &mut self.err, self.fsal) {
                return false;
            }
        }
        match &mut self.pace {
            Pace::Adaptive(steering) => steering.plan(block),
            Pace::Fixed(grids, _) => {
                for lane in 0..B {
                    if block.live[lane] {
                        let next = grids[lane].next(block.t[lane], &block.leg(lane));
                        (block.h[lane], block.t_new[lane]) = next;
                    } else {
                        block.t_new[lane] = block.t[lane];
                    }
                }
            }
        }
        if block.any_is_spent() {
            for lane in 0..B {
                let (leg, t, h) = (block.leg(lane), block.t[lane], block.h[lane]);
                if block.live[lane]
                    && block.count.accepted[lane] + block.count.rejected[lane] >= leg.max_steps
                {
                    let outcome = Outcome::MaxSteps { t, h, max_steps: leg.max_steps };
                    self.end(lane, outcome, block, observer);
                    free = true;
                }
            }
        }
        if self.needs_rate.contains(&true) {
            free |= self.rates(block, observer);
        }
        let (dim, n_stages) = (block.y.len(), self.tableau.n_stages());
        let stages = &mut self.stages[..n_stages * dim];
        self.step.step(&block.t, &block.h, &block.y, stages, &mut block.y_new, &mut self.err);
        for lane in 0..B {
            let count = &mut block.count;
            count.evaluations[lane] += n_stages as u64 - 1;
            let is_first = count.accepted[lane] + count.rejected[lane] == 0;
            count.first_step[lane] = if is_first { block.h[lane] } else { count.first_step[lane] };
        }
        let failed = match &mut self.pace {
            Pace::Fixed(..) => {
                let zeros = zeros(&block.y_new, [0.0; B]);
                let mut failed = false;
                for lane in 0..B {
                    let ok = zeros[lane] == 0.0;
                    self.accepted[lane] = ok & block.live[lane];
                    failed |= !ok & block.live[lane];
                    block.count.accepted[lane] += u64::from(ok);
                    block.count.rejected[lane] += u64::from(!ok);
                    block.count.non_finite[lane] += u64::from(!ok);
                }
                failed
            }
            Pace::Adaptive(steering) => {
                let mut zero = zeros(&block.y_new, zeros(&self.err, [0.0; B]));
                if self.fsal {
                    zero = zeros(&stages[(n_stages - 1) * dim..], zero);
                }
                let mut errs = steering.norms.of(&self.err, &block.y, &block.y_new);
                for lane in 0..B {
                    errs[lane] *= steering.scale;
                }
                if let Some(third) = self.tableau.third() {
                    let err_3 = &mut self.rates;
                    for (at, err_3) in err_3.iter_mut().enumerate() {
                        *err_3 = thirds(third, &block.h, stages, dim, at).map(T::from_f64);
                    }
                    let norms = steering.norms.of(err_3, &block.y, &block.y_new);
                    errs = std::array::from_fn(|lane| mixed(errs[lane], norms[lane]));
                }
                for lane in 0..B {
                    errs[lane] += zero[lane];
                }
                steering.judge(&errs, block, &mut self.accepted)
            }
        };
        if failed {
            free |= self.give_up(block, observer);
        }
        free | self.pass(block, observer)
    }

    fn break_up<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) {
        let Pace::Adaptive(steering) = &self.pace else { return };
        if !block.live.contains(&true) || !observer.breaks_up(&block.live) {
            return;
        }
        for lane in 0..B {
            if block.live[lane] {
                let (k1, control) = (column(&self.stages[..block.y.len()], lane), steering.held(lane));
                let (needs_rate, fresh) = (self.needs_rate[lane], self.fresh[lane]);
                let trip = block.leave(lane, Course { k1, needs_rate, fresh, control });
                self.needs_rate[lane] = false;
                observer.left(lane, trip);
            }
        }
    }
}

impl<T: Real, S: LaneStep<T, B>, const B: usize> Explicit<'_, T, S, B> {
    /// The rates at the start of the lanes in `fresh`.
    fn first_rates(
        &mut self,
        fresh: &[bool; B],
        block: &mut Block<T, S::Args, B>,
        failed: &mut [Option<Outcome>; B],
    ) {
        let dim = block.y.len();
        let Pace::Adaptive(steering) = &self.pace else { return };
        self.step.rate(&block.t, &block.insides(), &block.y, &mut self.rates);
        let zero = S::widely(|| zeros(&self.rates, [0.0; B]));
        for lane in (0..B).filter(|lane| fresh[*lane]) {
            let (leg, t) = (block.leg(lane), block.t[lane]);
            let h = leg.direction * steering.control.max_step.min(leg.length);
            if leg.max_steps == 0 {
                failed[lane] = Some(Outcome::MaxSteps { t, h, max_steps: 0 });
                continue;
            }
            block.count.evaluations[lane] += 1;
            zip(&mut self.stages[..dim], &self.rates).for_each(|(k1, rate)| k1[lane] = rate[lane]);
            (self.needs_rate[lane], self.fresh[lane]) = (false, true);
            if zero[lane] != 0.0 {
                let component = non_finite(&column(&self.rates, lane));
                failed[lane] = component.map(|component| Outcome::NonFinite {
                    t,
                    h: 0.0,
                    component,
                    quantity: Quantity::Rate,
                });
            }
        }
    }

    /// The sizes of the first steps of the lanes in `fresh`.
    fn first_sizes(&mut self, fresh: &[bool; B], block: &mut Block<T, S::Args, B>) {
        let dim = block.y.len();
        let Pace::Adaptive(steering) = &mut self.pace else { return };
        let (control, q) = (steering.control, steering.q);
        if let Some(dt) = control.first_step {
            for lane in (0..B).filter(|lane| fresh[*lane]) {
                steering.size[lane] = dt.min(control.max_step.min(block.length[lane]));
            }
            return;
        }
        let (k1, norms) = (&self.stages[..dim], &mut steering.norms);
        let [d0, d1] = S::widely(|| [norms.at_start(&block.y, &block.y), norms.at_start(k1, &block.y)]);
        let (mut t, mut trials, mut limits) = (block.t, [0.0; B], [0.0; B]);
        for lane in (0..B).filter(|lane| fresh[*lane]) {
            let leg = block.leg(lane);
            limits[lane] = control.max_step.min(leg.length).min((leg.target - t[lane]).abs());
            trials[lane] = leg.direction * first_trial_size([d0[lane], d1[lane]], limits[lane]);
            t[lane] += trials[lane];
        }
        let insides = block.insides();
        S::widely(|| {
            for ((y_try, y), k1) in zip(zip(&mut block.y_new, &block.y), k1) {
                for lane in 0..B {
                    y_try[lane] = if fresh[lane] { along(y[lane], trials[lane], k1[lane]) } else { y[lane] };
                }
            }
        });
        self.step.rate(&t, &insides, &block.y_new, &mut self.rates);
        let changes = S::widely(|| {
            for (rate, k1) in zip(&mut self.rates, k1) {
                for lane in 0..B {
                    rate[lane] = change(rate[lane], k1[lane]);
                }
            }
            norms.at_start(&self.rates, &block.y)
        });
        for lane in (0..B).filter(|lane| fresh[*lane]) {
            block.count.evaluations[lane] += 1;
            let (h0, norms) = (trials[lane].abs(), [d1[lane], changes[lane]]);
            steering.size[lane] = control.first_size_of(norms, h0, q, limits[lane]);
        }
    }

    /// The rates that are not known at the starts of steps. Whether a lane is free after that.
    fn rates<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        self.step.rate(&block.t, &block.insides(), &block.y, &mut self.rates);
        let needs = self.needs_rate;
        for (k1, rates) in zip(&mut self.stages, &self.rates) {
            for lane in 0..B {
                k1[lane] = if needs[lane] { rates[lane] } else { k1[lane] };
            }
        }
        for lane in 0..B {
            block.count.evaluations[lane] += u64::from(needs[lane]);
            self.fresh[lane] |= needs[lane];
        }
        self.needs_rate = [false; B];
        let mut free = false;
        if zeros(&self.rates, [0.0; B]).iter().any(|zero| *zero != 0.0) {
            for lane in 0..B {
                let component = non_finite(&column(&self.rates, lane)).filter(|_| needs[lane]);
                if let Some(component) = component
                    && block.live[lane]
                {
                    let (t, quantity) = (block.t[lane], Quantity::Rate);
                    let outcome = Outcome::NonFinite { t, h: 0.0, component, quantity };
                    self.end(lane, outcome, block, observer);
                    free = true;
                }
            }
        }
        free
    }

    /// Ends runs whose steps have become too small, or have come to numbers that are not finite.
    fn give_up<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        let mut free = false;
        for lane in (0..B).filter(|lane| !self.accepted[*lane]).collect::<Vec<_>>() {
            if !block.live[lane] {
                continue;
            }
            let (t, h) = (block.t[lane], block.h[lane]);
            let fault = self.fault(lane, block);
            let outcome = match (&self.pace, fault) {
                (Pace::Adaptive(steering), _) if steering.size[lane] >= steering.control.shortest(t) => {
                    continue;
                }
                (_, Some((quantity, component))) => Outcome::NonFinite { t, h, component, quantity },
                (Pace::Fixed(..), None) => crate::bug!("a fixed step that was rejected is not finite"),
                (Pace::Adaptive(steering), None) => {
                    let (err, y) = (column(&self.err, lane), block.state(lane));
                    let y_new = column(&block.y_new, lane);
                    let (component, ratio) = steering.control.largest(&err, &y, &y_new);
                    let (h, ratio) = (block.direction[lane] * steering.size[lane], steering.scale * ratio);
                    Outcome::StepTooSmall { t, h, component, ratio }
                }
            };
            self.end(lane, outcome, block, observer);
            free = true;
        }
        free
    }

    /// What is not finite after an attempt: the new state, the rate there if it is known, the error.
    fn fault(&self, lane: usize, block: &Block<T, S::Args, B>) -> Option<(Quantity, usize)> {
        let dim = block.y.len();
        let last = &self.stages[(self.tableau.n_stages() - 1) * dim..][..dim];
        let bad = |rows: &[[T; B]]| non_finite(&column(rows, lane));
        let state = bad(&block.y_new).map(|at| (Quantity::State, at));
        let rate = || bad(last).filter(|_| self.fsal).map(|at| (Quantity::Rate, at));
        state.or_else(rate).or_else(|| bad(&self.err).map(|at| (Quantity::Error, at)))
    }

    /// Moves the lanes whose steps were accepted to the ends of these. Whether a lane is free after
    /// that.
    #[inline(always)]
    fn pass<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        let dim = block.y.len();
        let (reaches, lands) = block.looks(&self.accepted);
        if reaches {
            self.reach(block, observer);
        }
        observer.accepted(&Steps {
            accepted: &self.accepted,
            t: &block.t,
            h: &block.h,
            t_new: &block.t_new,
            y: &block.y,
            y_new: &block.y_new,
            k1: &self.stages[..dim],
            fresh: &self.fresh,
        });
        if let Pace::Adaptive(steering) = &mut self.pace {
            let Steering { tallies, scale, .. } = &mut **steering;
            let (err, h, stages) = (&self.err, &block.h, &self.stages);
            tallies.add(&self.accepted, &block.y_new, |component| {
                let errs = err[component].map(|err| *scale * err.to_f64());
                match self.tableau.third() {
                    None => errs,
                    Some(third) => {
                        let thirds = thirds(third, h, stages, dim, component);
                        std::array::from_fn(|lane| mixed(errs[lane], thirds[lane]))
                    }
                }
            });
        }
        let accepted = &self.accepted;
        block.advance(accepted);
        for lane in 0..B {
            self.fresh[lane] &= !accepted[lane];
        }
        if self.fsal {
            let (first, rest) = self.stages.split_at_mut(dim);
            let last = &rest[(self.tableau.n_stages() - 2) * dim..];
            for (k1, last) in zip(first, last) {
                for lane in 0..B {
                    k1[lane] = if accepted[lane] { last[lane] } else { k1[lane] };
                }
            }
        } else {
            self.needs_rate = self.accepted;
        }
        lands && self.land(block, observer)
    }

    /// Shows the steps that reach the times wanted.
    fn reach<O: LaneObserver<T, S::Args, B>>(&mut self, block: &mut Block<T, S::Args, B>, observer: &mut O) {
        let dim = block.y.len();
        let left = |block: &Block<T, S::Args, B>, lane: usize| {
            (block.t_new[lane] - block.wanted[lane]) * block.direction[lane]
        };
        let extra = self.tableau.dense.extra.len();
        let inside: [bool; B] = std::array::from_fn(|lane| self.accepted[lane] && left(block, lane) > 0.0);
        if extra > 0 && inside.contains(&true) {
            self.step.extend(&block.t, &block.h, &block.y, &mut self.stages);
        }
        for lane in 0..B {
            let reaches = left(block, lane) >= 0.0;
            if !self.accepted[lane] || !reaches {
                continue;
            }
            let known = if inside[lane] { self.tableau.n_rows() } else { self.tableau.n_stages() };
            if inside[lane] {
                block.count.evaluations[lane] += extra as u64;
            }
            let stages = column(&self.stages[..known * dim], lane);
            let (y, y_new) = (block.state(lane), column(&block.y_new, lane));
            let step = Accepted {
                t: block.t[lane],
                h: block.h[lane],
                t_new: block.t_new[lane],
                y: &y,
                y_new: &y_new,
                interior: Interior::Stages { tableau: self.tableau, stages: &stages },
            };
            block.wanted[lane] = observer.reached(lane, &step);
        }
    }

    /// Lanes have come to the times they were to land on.
    fn land<O: LaneObserver<T, S::Args, B>>(
        &mut self,
        block: &mut Block<T, S::Args, B>,
        observer: &mut O,
    ) -> bool {
        let mut free = false;
        for lane in 0..B {
            if !self.accepted[lane] || !block.live[lane] || block.t[lane] != block.target[lane] {
                continue;
            }
            if block.is_over(lane) {
                self.end(lane, Outcome::Finished, block, observer);
                free = true;
            } else {
                block.aim(lane);
                self.needs_rate[lane] = true;
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
        let left = match &self.pace {
            Pace::Fixed(..) => (None, Vec::new()),
            Pace::Adaptive(steering) => {
                let (size, past) = (steering.size[lane], steering.past(lane));
                let carried = Carried { size, past, mode: Mode::default() };
                let carried = (outcome == Outcome::Finished).then_some(carried);
                let unsteered = steering.tallies.unsteered(steering.control, lane, &block.stats(lane));
                (carried, unsteered)
            }
        };
        self.needs_rate[lane] = false;
        block.end(lane, outcome, left, observer);
    }
}

/// The errors of order 3 in component `at`: see [`Embedded::third`](super::super::Embedded::third).
#[inline(always)]
fn thirds<T: Real, const B: usize>(
    weights: &[Coeff],
    h: &[f64; B],
    stages: &[[T; B]],
    dim: usize,
    at: usize,
) -> [f64; B] {
    let mut sums = [0.0; B];
    for (i, weight) in weights.iter().enumerate().filter(|(_, weight)| !weight.is_zero()) {
        for lane in 0..B {
            sums[lane] += weight.value() * stages[i * dim + at][lane].to_f64();
        }
    }
    std::array::from_fn(|lane| h[lane] * sums[lane])
}
