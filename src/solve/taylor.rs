//! The Taylor method: the power series of the solution itself, to an order that follows from the
//! tolerance, with a step that the size of its last terms allows.
//!
//! Order and step size: À. Jorba, M. Zou, A software package for the numerical integration of ODEs by
//! means of high-order Taylor methods, Experimental Mathematics 14 (2005), 3.1 and 3.2. The series
//! cannot see what lies beyond its last term, so each step is checked at its end: there the slope of
//! the series must be the rate.

use super::control::{Adaptive, positive};
use super::controller::Past;
use super::dense::{Accepted, Interior};
use super::outcome::{Invalid, Outcome, Quantity, Stats};
use super::problem::Real;
use super::solve::Stepping;
use super::stepper::{Carried, Flow, Grid, Leg, Mode, Stepper, all_finite, non_finite, require_finite};
use crate::base::quick::{exp2, log2};
use std::ops::ControlFlow;

/// A system whose solutions can be expanded.
pub trait Expand<T: Real> {
    /// Length of the state vector, channels included.
    fn dim(&self) -> usize;

    /// Number of the highest coefficient, at least 2.
    fn order(&self) -> usize;

    /// The coefficients `x_1, x_2, ..` of the solution `x(t + τ) = y + Σ x_k τ^k` through `(t, y)`,
    /// `[order, dim]`. `inside` as for [`Step::rate`](super::Step::rate).
    fn series(&mut self, t: f64, inside: f64, y: &[T], out: &mut [T]);

    /// The end of a step of size `h` from `(t, y)`, through which the solution is `series`: the state
    /// `y + Σ x_k h^k` and its error, `h (f - x'(h))/(p + 1)`, where the slope of the series falls short of
    /// the rate `f` at the end by its first missing term. One evaluation, in the smooth piece around
    /// `t + h/2`.
    fn finish(&mut self, t: f64, h: f64, y: &[T], series: &[T], y_new: &mut [T], err: &mut [T]);

    /// Makes ready for [`leap`](Expand::leap)s towards `goal`. Whether there are any: they are one function of
    /// what is otherwise two, with the choice of the step between them.
    fn aim(&mut self, goal: &Goal) -> bool {
        let _ = goal;
        false
    }

    /// [`series`](Expand::series), the choice of the step and [`finish`](Expand::finish).
    fn leap(
        &mut self,
        takeoff: &Takeoff,
        y: &[T],
        series: &mut [T],
        y_new: &mut [T],
        err: &mut [T],
    ) -> Chosen {
        let _ = (takeoff, y, series, y_new, err);
        crate::bug!("a system that leaps says how")
    }
}

/// What the choice of a step goes by that is the same all along, where the norm is the usual one: the root of
/// the mean of squares over the first components.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal {
    /// How many components count.
    pub n_counted: usize,
    /// The relative tolerance, the limits of the [`Landing`](super::control::Landing), then the absolute
    /// tolerance of each component: `[3 + dim]`.
    pub numbers: Vec<f64>,
}

impl Goal {
    /// Where the absolute tolerances begin.
    pub const PACE: usize = 3;

    /// That of a control, if its norm is the usual one.
    pub(super) fn of(control: &Adaptive, dim: usize) -> Option<Goal> {
        let n_counted = control.counted(dim)?;
        let [stretch, shared] = control.landing.limits();
        let mut numbers = vec![control.rtol, stretch, shared];
        numbers.extend((0..dim).map(|at| control.atol.at(at)));
        Some(Goal { n_counted, numbers })
    }
}

/// Where a leap starts, and what bounds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Takeoff {
    /// The time.
    pub t: f64,
    /// A time in the smooth piece ahead.
    pub inside: f64,
    /// From here to the time to land on, with its sign.
    pub ahead: f64,
    /// No step is longer,
    pub most: f64,
    /// and none shorter, except one that lands.
    pub least: f64,
}

impl Takeoff {
    /// How many numbers that is.
    pub const LEN: usize = 5;

    /// In the order in which they are declared.
    pub fn numbers(&self) -> [f64; Takeoff::LEN] {
        [self.t, self.inside, self.ahead, self.most, self.least]
    }
}

/// What a leap has chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// The step, with its sign; what is ahead if it lands.
    pub h: f64,
    /// The step wished for within the bounds, positive.
    pub size: f64,
    /// The square of the error norm.
    pub square: f64,
}

impl Chosen {
    /// How many numbers that is.
    pub const LEN: usize = 3;
}

/// The order for a relative tolerance: `⌈1 - ln(rtol)/2⌉`, which makes the work for a unit of time
/// least; between 2 and 30.
pub fn order_for(rtol: f64) -> usize {
    let order = (1.0 - 0.5 * libm::log(rtol.max(f64::EPSILON))).ceil();
    order.clamp(2.0, 30.0) as usize
}

/// The safety factor of Jorba and Zou, eq. (3.11), for a series of this order.
pub(crate) fn radius_factor(order: usize) -> f64 {
    libm::exp(-0.7 / (order as f64 - 1.0))
}

/// The step at which the last two terms, of these norms, are the tolerance: the smaller of
/// `last^(-1/p)` and `before^(-1/(p - 1))`.
#[inline(always)]
pub(super) fn radius_of(order: usize, last: f64, before: f64) -> f64 {
    let (order, before_it) = (order as f64, order as f64 - 1.0);
    exp2((-1.0 / order * log2(last)).min(-1.0 / before_it * log2(before)))
}

/// Replaces `powers` by the coefficients `x_k h^k` of a series in powers of `θ = τ/h`, `[order, dim]`.
pub(crate) fn fill_powers<T: Real>(series: &[T], dim: usize, h: f64, powers: &mut Vec<T>) {
    powers.clear();
    let mut power = 1.0;
    for x in series.chunks(dim.max(1)) {
        power *= h;
        powers.extend(x.iter().map(|x| T::from_f64(power * x.to_f64())));
    }
}

/// The method at work on one system.
pub struct Taylor<'a, T, S: ?Sized> {
    system: &'a mut S,
    stepping: &'a Stepping,
    grid: Grid,
    /// The longest step after one that was rejected, and the step planned before one was cut short.
    size: f64,
    taken: (f64, f64, f64),
    /// `exp(-0.7/(p - 1))`
    factor: f64,
    /// `[order, dim]`, in powers of `τ`.
    series: Vec<T>,
    /// The same in powers of `θ = τ/h`; empty unless somebody looks inside the step.
    powers: Vec<T>,
    y_new: Vec<T>,
    /// The error estimate of the step last taken.
    err: Vec<T>,
    /// Whether the system leaps.
    leaps: bool,
}

impl<'a, T: Real, S: Expand<T> + ?Sized> Taylor<'a, T, S> {
    /// The method for `system`.
    pub fn new(system: &'a mut S, stepping: &'a Stepping) -> Self {
        let (dim, order) = (system.dim(), system.order());
        let (dt, goal) = match stepping {
            Stepping::Fixed { dt } => (*dt, None),
            Stepping::Adaptive(control) => (f64::NAN, control.check(dim).ok().and(Goal::of(control, dim))),
        };
        let leaps = goal.is_some_and(|goal| system.aim(&goal));
        Taylor {
            system,
            stepping,
            grid: Grid::new(dt),
            size: f64::INFINITY,
            taken: (0.0, 0.0, 0.0),
            factor: radius_factor(order),
            series: vec![T::default(); order * dim],
            powers: Vec::new(),
            y_new: vec![T::default(); dim],
            err: vec![T::default(); dim],
            leaps,
        }
    }

    /// The step at which the last two terms are the tolerance, times `exp(-0.7/(p - 1))`: the safety
    /// factor of Jorba and Zou, eq. (3.11). Infinite if both terms are zero.
    fn radius(&self, control: &Adaptive, y: &[T]) -> f64 {
        let (dim, order) = (y.len(), self.system.order());
        let (before, last) = self.series[(order - 2) * dim..].split_at(dim);
        let [last, before] = match control.plain(dim) {
            Some(plain) => plain.norms(|at| [last[at], before[at]].map(T::to_f64), y, y),
            None => [last, before].map(|term| control.norm(term, y, y)),
        };
        radius_of(order, last, before) * self.factor
    }

    /// The state at the end of a step of size `h` and its error, which are not numbers where the state is not
    /// finite.
    fn finish(&mut self, t: f64, h: f64, y: &[T], stats: &mut Stats) {
        self.system.finish(t, h, y, &self.series, &mut self.y_new, &mut self.err);
        stats.evaluations += 1;
    }

    fn expand(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.system.series(t, leg.inside(t), y, &mut self.series);
        stats.evaluations += self.system.order() as u64;
        require_finite(&self.series[..y.len()], t, 0.0, Quantity::Rate)
    }

    /// [`advance`](Stepper::advance) by leaps.
    fn advance_by_leaps(
        &mut self,
        control: &Adaptive,
        t: f64,
        y: &[T],
        leg: &Leg,
        stats: &mut Stats,
    ) -> Flow {
        let longest = control.max_step.min(leg.length);
        let mut takeoff = Takeoff {
            t,
            inside: leg.inside(t),
            ahead: leg.target - t,
            most: self.size.min(longest),
            least: control.shortest(t),
        };
        leg.spend(t, leg.direction * self.size.min(leg.length), stats)?;
        stats.evaluations += self.system.order() as u64;
        loop {
            let chosen = self.system.leap(&takeoff, y, &mut self.series, &mut self.y_new, &mut self.err);
            let Chosen { h, size, square } = chosen;
            let (tried, lands) = (h.abs(), h == takeoff.ahead);
            let is_right = square <= 1.0 && all_finite(&self.y_new);
            if !is_right {
                require_finite(&self.series[..y.len()], t, 0.0, Quantity::Rate)?;
            }
            if stats.attempts() == 0 {
                stats.first_step = h;
            }
            stats.evaluations += 1;
            if is_right {
                self.take(t, h, if lands { leg.target } else { t + h }, stats);
                self.size = control.controller.max_factor * if tried < size { size } else { tried };
                stats.next_step = leg.direction * size;
                return Flow::Continue(());
            }
            let fault = non_finite(&self.y_new);
            let err = if fault.is_some() { f64::NAN } else { square.sqrt() };
            let size = self.rejected(control, (t, tried, err), fault, y, leg, stats)?;
            let (next, lands) = control.landing.fitted(size, takeoff.ahead.abs());
            leg.spend(t, if lands { takeoff.ahead } else { leg.direction * next }, stats)?;
            // Of the same series the step that is wished for now.
            (takeoff.most, takeoff.least) = (size, size);
        }
    }

    /// The size to try after a step of size `tried` with the error norm `err`.
    fn rejected(
        &self,
        control: &Adaptive,
        (t, tried, err): (f64, f64, f64),
        fault: Option<usize>,
        y: &[T],
        leg: &Leg,
        stats: &mut Stats,
    ) -> ControlFlow<Outcome, f64> {
        stats.rejected += 1;
        stats.non_finite += u64::from(!err.is_finite());
        let q = self.system.order() as u32 + 1;
        let size = tried * control.controller.rejected(q, err, 1.0).min(0.9);
        if size >= control.shortest(t) {
            return ControlFlow::Continue(size);
        }
        let h = leg.direction * size;
        let largest = || control.largest(&self.err, y, &self.y_new);
        let (component, ratio) = fault.map_or_else(largest, |component| (component, f64::NAN));
        ControlFlow::Break(match err.is_finite() {
            true => Outcome::StepTooSmall { t, h, component, ratio },
            false => Outcome::NonFinite { t, h, component, quantity: Quantity::State },
        })
    }

    fn take(&mut self, t: f64, h: f64, t_new: f64, stats: &mut Stats) {
        stats.accepted += 1;
        self.taken = (t, h, t_new);
        self.powers.clear();
    }
}

impl<T: Real, S: Expand<T> + ?Sized> Stepper<T> for Taylor<'_, T, S> {
    fn dim(&self) -> usize {
        self.y_new.len()
    }

    fn check(&self) -> Result<(), Invalid> {
        match self.stepping {
            Stepping::Fixed { dt } => positive("dt", *dt),
            Stepping::Adaptive(control) => control.check(self.y_new.len()),
        }
    }

    fn start(&mut self, _: f64, _: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.grid.restart();
        match self.stepping {
            Stepping::Fixed { dt } => stats.next_step = dt * leg.direction,
            Stepping::Adaptive(control) => self.size = control.first_step.unwrap_or(f64::INFINITY),
        }
        Flow::Continue(())
    }

    fn carried(&self) -> Option<Carried> {
        let carried = Carried { size: self.size, past: Past::default(), mode: Mode::default() };
        matches!(self.stepping, Stepping::Adaptive(_)).then_some(carried)
    }

    fn resume(&mut self, carried: &Carried, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.start(t, y, leg, stats)?;
        self.size = carried.size;
        Flow::Continue(())
    }

    fn pass_stop(&mut self) {}

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        if let (true, Stepping::Adaptive(control)) = (self.leaps, self.stepping) {
            return self.advance_by_leaps(control, t, y, leg, stats);
        }
        leg.spend(t, leg.direction * self.size.min(leg.length), stats)?;
        self.expand(t, y, leg, stats)?;
        let control = match self.stepping {
            Stepping::Fixed { .. } => {
                let (h, t_new) = self.grid.next(t, leg);
                if stats.attempts() == 0 {
                    stats.first_step = h;
                }
                self.finish(t, h, y, stats);
                if let Some(component) = non_finite(&self.y_new) {
                    stats.rejected += 1;
                    stats.non_finite += 1;
                    return Flow::Break(Outcome::NonFinite { t, h, component, quantity: Quantity::State });
                }
                self.take(t, h, t_new, stats);
                return Flow::Continue(());
            }
            Stepping::Adaptive(control) => control,
        };
        let longest = control.max_step.min(leg.length);
        let radius = self.radius(control, y);
        // What is not a number says nothing: begin small.
        let wish = if radius.is_nan() { control.shortest(t) } else { radius };
        let mut size = wish.min(self.size).min(longest).max(control.shortest(t));
        loop {
            let (tried, lands) = control.landing.fitted(size, (leg.target - t).abs());
            let h = if lands { leg.target - t } else { leg.direction * tried };
            leg.spend(t, h, stats)?;
            if stats.attempts() == 0 {
                stats.first_step = h;
            }
            self.finish(t, h, y, stats);
            let fault = non_finite(&self.y_new);
            let err = if fault.is_some() { f64::NAN } else { control.norm(&self.err, y, &self.y_new) };
            if err <= 1.0 {
                self.take(t, h, if lands { leg.target } else { t + h }, stats);
                self.size = control.controller.max_factor * if tried < size { size } else { tried };
                stats.next_step = leg.direction * size;
                return Flow::Continue(());
            }
            size = self.rejected(control, (t, tried, err), fault, y, leg, stats)?;
        }
    }

    fn look_inside(&mut self, y: &[T], _: &mut Stats) {
        let (_, h, _) = self.taken;
        fill_powers(&self.series, y.len(), h, &mut self.powers);
    }

    fn error(&self, component: usize) -> Option<f64> {
        match self.stepping {
            Stepping::Fixed { .. } => None,
            Stepping::Adaptive(_) => Some(self.err[component].to_f64()),
        }
    }

    fn accepted<'b>(&'b self, y: &'b [T]) -> Accepted<'b, T> {
        let (t, h, t_new) = self.taken;
        let interior = Interior::Powers { coefficients: &self.powers };
        Accepted { t, h, t_new, y, y_new: &self.y_new, interior }
    }
}
