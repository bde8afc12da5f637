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
use super::power::{exp2, log2};
use super::problem::Real;
use super::solve::Stepping;
use super::stepper::{Carried, Flow, Grid, Leg, Mode, Stepper, non_finite, require_finite};

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
}

/// The order for a relative tolerance: `⌈1 - ln(rtol)/2⌉`, which makes the work for a unit of time
/// least; between 2 and 30.
pub fn order_for(rtol: f64) -> usize {
    let order = (1.0 - 0.5 * libm::log(rtol.max(f64::EPSILON))).ceil();
    order.clamp(2.0, 30.0) as usize
}

/// The safety factor of Jorba and Zou, eq. (3.11), for a series of this order.
pub(super) fn radius_factor(order: usize) -> f64 {
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
}

impl<'a, T: Real, S: Expand<T> + ?Sized> Taylor<'a, T, S> {
    /// The method for `system`.
    pub fn new(system: &'a mut S, stepping: &'a Stepping) -> Self {
        let (dim, order) = (system.dim(), system.order());
        let dt = match stepping {
            Stepping::Fixed { dt } => *dt,
            Stepping::Adaptive(_) => f64::NAN,
        };
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
            stats.rejected += 1;
            stats.non_finite += u64::from(!err.is_finite());
            let q = self.system.order() as u32 + 1;
            size = tried * control.controller.rejected(q, err, 1.0).min(0.9);
            if size < control.shortest(t) {
                let h = leg.direction * size;
                let largest = || control.largest(&self.err, y, &self.y_new);
                let (component, ratio) = fault.map_or_else(largest, |component| (component, f64::NAN));
                return Flow::Break(match err.is_finite() {
                    true => Outcome::StepTooSmall { t, h, component, ratio },
                    false => Outcome::NonFinite { t, h, component, quantity: Quantity::State },
                });
            }
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
