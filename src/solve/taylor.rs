//! The Taylor method: the power series of the solution itself, to an order that follows from the
//! tolerance, with a step that the size of its last terms allows.
//!
//! Order and step size: À. Jorba, M. Zou, A software package for the numerical integration of ODEs by
//! means of high-order Taylor methods, Experimental Mathematics 14 (2005), 3.1 and 3.2. The series
//! cannot see what lies beyond its last term, so each step is checked at its end: there the slope of
//! the series must be the rate.

use super::control::{Adaptive, positive};
use super::controller::Past;
use super::dense::{Accepted, Interior, polynomial};
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

    /// The rate of change at `(t, y)`.
    fn rate(&mut self, t: f64, inside: f64, y: &[T], dy: &mut [T]);
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

/// The method at work on one system.
pub struct Taylor<'a, T, S: ?Sized> {
    system: &'a mut S,
    stepping: &'a Stepping,
    grid: Grid,
    /// The longest step after one that was rejected, and the step planned before one was cut short.
    size: f64,
    taken: (f64, f64, f64),
    /// `[order, dim]`, in powers of `τ`.
    series: Vec<T>,
    /// The same in powers of `θ = τ/h`.
    powers: Vec<T>,
    y_new: Vec<T>,
    rate: Vec<T>,
    /// The error estimate of the step last taken; empty of fixed steps.
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
            series: vec![T::default(); order * dim],
            powers: vec![T::default(); order * dim],
            y_new: vec![T::default(); dim],
            rate: vec![T::default(); dim],
            err: Vec::new(),
        }
    }

    fn term(&self, k: usize) -> &[T] {
        let dim = self.y_new.len();
        &self.series[(k - 1) * dim..][..dim]
    }

    /// The step at which the last two terms are the tolerance, times `exp(-0.7/(p - 1))`: the safety
    /// factor of Jorba and Zou, eq. (3.11). Infinite if both terms are zero.
    fn radius(&self, control: &Adaptive, y: &[T]) -> f64 {
        let order = self.system.order();
        let norm = |k: usize| control.norm(self.term(k), y, y);
        radius_of(order, norm(order), norm(order - 1)) * radius_factor(order)
    }

    /// The state at the end of a step of size `h`.
    fn sum(&mut self, h: f64, y: &[T]) {
        let dim = y.len();
        let mut power = 1.0;
        for (k, x) in self.series.chunks(dim.max(1)).enumerate() {
            power *= h;
            for (at, x) in x.iter().enumerate() {
                self.powers[k * dim + at] = T::from_f64(power * x.to_f64());
            }
        }
        polynomial(&self.powers, 1.0, &mut self.y_new);
        for (new, y) in self.y_new.iter_mut().zip(y) {
            *new = T::from_f64(y.to_f64() + new.to_f64());
        }
    }

    /// The error at the end, `h (f - x'(h))/(p + 1)`, where the slope of the series falls short of the
    /// rate by its first missing term.
    fn defect(&mut self, t: f64, h: f64, inside: f64, stats: &mut Stats) -> Vec<T> {
        let (dim, order) = (self.y_new.len(), self.system.order());
        self.system.rate(t + h, inside, &self.y_new, &mut self.rate);
        stats.evaluations += 1;
        let one = |at: usize| {
            let slope: f64 = (1..=order).map(|k| k as f64 * self.powers[(k - 1) * dim + at].to_f64()).sum();
            T::from_f64((h * self.rate[at].to_f64() - slope) / (order as f64 + 1.0))
        };
        (0..dim).map(one).collect()
    }

    fn expand(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.system.series(t, leg.inside(t), y, &mut self.series);
        stats.evaluations += self.system.order() as u64;
        require_finite(self.term(1), t, 0.0, Quantity::Rate)
    }

    fn take(&mut self, t: f64, h: f64, t_new: f64, stats: &mut Stats) {
        stats.accepted += 1;
        self.taken = (t, h, t_new);
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
                self.sum(h, y);
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
            self.sum(h, y);
            let fault = non_finite(&self.y_new);
            let (err, component, ratio) = match fault {
                Some(component) => (f64::NAN, component, f64::NAN),
                None => {
                    let defect = self.defect(t, h, t + 0.5 * h, stats);
                    let (component, ratio) = control.largest(&defect, y, &self.y_new);
                    let norm = control.norm(&defect, y, &self.y_new);
                    self.err = defect;
                    (norm, component, ratio)
                }
            };
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
                return Flow::Break(match err.is_finite() {
                    true => Outcome::StepTooSmall { t, h, component, ratio },
                    false => Outcome::NonFinite { t, h, component, quantity: Quantity::State },
                });
            }
        }
    }

    fn error(&self, component: usize) -> Option<f64> {
        self.err.get(component).map(|err| err.to_f64())
    }

    fn accepted<'b>(&'b self, y: &'b [T]) -> Accepted<'b, T> {
        let (t, h, t_new) = self.taken;
        let interior = Interior::Powers { coefficients: &self.powers };
        Accepted { t, h, t_new, y, y_new: &self.y_new, interior }
    }
}
