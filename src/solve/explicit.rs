//! An explicit Runge–Kutta method at work: fixed steps, or steps as the tolerances ask.
//!
//! Formulas live in the tableau, decisions about step sizes in `control`.

use super::control::{Adaptive, positive};
use super::controller::{Controller, Past, Rule};
use super::dense::{Accepted, Interior};
use super::outcome::{Invalid, Outcome, Quantity, Stats};
use super::problem::{Real, Step};
use super::solve::Stepping;
use super::stepper::{Carried, Flow, Grid, Leg, Mode, Stepper, non_finite, require_finite};
use super::tableau::{Coeff, Tableau};

/// The method `tableau`, whose steps `step` takes.
pub struct Explicit<'a, T, S: ?Sized> {
    step: &'a mut S,
    tableau: &'a Tableau,
    /// See [`Tableau::fsal`].
    fsal: bool,
    pace: Pace<'a>,
    /// The step last taken: its start, its size, its end.
    taken: (f64, f64, f64),
    y_new: Vec<T>,
    err: Vec<T>,
    /// `[s + e, dim]`, of which the last `e` rows are for dense output only.
    stages: Vec<T>,
    /// Those rows are known.
    extended: bool,
    rate: Known,
}

/// Where the rate at the start of the next step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// Not computed yet.
    No,
    /// In row 0 of the stages.
    First,
    /// In the last row of the stages.
    Last,
}

/// How step sizes are chosen.
enum Pace<'a> {
    Fixed(f64, Grid),
    Adaptive {
        control: &'a Adaptive,
        /// The step wished for next.
        size: f64,
        controller: Controller,
        past: Past,
    },
}

impl<'a, T: Real, S: Step<T> + ?Sized> Explicit<'a, T, S> {
    /// The method `tableau`, whose steps `step` takes.
    pub fn new(step: &'a mut S, tableau: &'a Tableau, stepping: &'a Stepping) -> Self {
        let dim = step.dim();
        let pace = match stepping {
            Stepping::Fixed { dt } => Pace::Fixed(*dt, Grid::new(*dt)),
            Stepping::Adaptive(control) => {
                let controller = control.controller.or(Rule::PI);
                Pace::Adaptive { control, size: 0.0, controller, past: Past::default() }
            }
        };
        Explicit {
            step,
            tableau,
            fsal: tableau.fsal(),
            pace,
            taken: (0.0, 0.0, 0.0),
            y_new: vec![T::default(); dim],
            err: vec![T::default(); dim],
            stages: vec![T::default(); dim * tableau.n_rows()],
            extended: false,
            rate: Known::No,
        }
    }

    /// Ready for a step of size `h`: the rate at `(t, y)` is in row 0 of the stages.
    fn prepare(&mut self, t: f64, h: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        leg.spend(t, h, stats)?;
        let dim = y.len();
        match self.rate {
            Known::First => {}
            Known::Last => {
                let last = (self.tableau.n_stages() - 1) * dim;
                self.stages.copy_within(last..last + dim, 0);
            }
            Known::No => {
                let rate = &mut self.stages[..dim];
                self.step.rate(t, leg.inside(t), y, rate);
                stats.evaluations += 1;
                require_finite(rate, t, 0.0, Quantity::Rate)?;
            }
        }
        self.rate = Known::First;
        Flow::Continue(())
    }

    fn attempt(&mut self, t: f64, h: f64, y: &[T], stats: &mut Stats) {
        if stats.attempts() == 0 {
            stats.first_step = h;
        }
        let stages = &mut self.stages[..self.tableau.n_stages() * y.len()];
        self.step.step(t, h, y, stages, &mut self.y_new, &mut self.err);
        self.extended = self.tableau.dense.extra.is_empty();
        stats.evaluations += self.tableau.n_stages() as u64 - 1;
    }

    fn take(&mut self, t: f64, h: f64, t_new: f64, stats: &mut Stats) -> Flow {
        stats.accepted += 1;
        self.taken = (t, h, t_new);
        self.rate = if self.fsal { Known::Last } else { Known::No };
        Flow::Continue(())
    }

    /// What is not finite after an attempt: the new state, or the rate there if it is known.
    fn fault(&self) -> Option<(Quantity, usize)> {
        let state = non_finite(&self.y_new).map(|at| (Quantity::State, at));
        let rate = || {
            let dim = self.y_new.len();
            let last = &self.stages[(self.tableau.n_stages() - 1) * dim..][..dim];
            if self.fsal { non_finite(last).map(|at| (Quantity::Rate, at)) } else { None }
        };
        let error = || non_finite(&self.err).map(|at| (Quantity::Error, at));
        state.or_else(rate).or_else(error)
    }

    /// The norm of the error of the last attempt, from `y` with step `h`.
    fn error_norm(&self, control: &Adaptive, h: f64, y: &[T]) -> f64 {
        let err = self.scale(control) * control.norm(&self.err, y, &self.y_new);
        let Some(third) = self.tableau.third() else { return err };
        let err_3: Vec<T> = (0..y.len()).map(|at| T::from_f64(self.third(third, h, at))).collect();
        mixed(err, control.norm(&err_3, y, &self.y_new))
    }

    /// The error of order 3 in component `at`.
    fn third(&self, weights: &[Coeff], h: f64, at: usize) -> f64 {
        let terms = weights.iter().enumerate().filter(|(_, w)| !w.is_zero());
        let dim = self.y_new.len();
        h * terms.fold(0.0, |sum, (i, w)| sum + w.value() * self.stages[i * dim + at].to_f64())
    }

    /// What the estimate counts.
    fn scale(&self, control: &Adaptive) -> f64 {
        control.estimate.unwrap_or(self.tableau.error_scale())
    }

    /// `|hλ|` of the step last taken, which started at `y`, for the largest rate constant `λ`:
    /// `h |k_s - k_(s-1)|/|y_new - Y_(s-1)|` for a table whose last two stages are at the end of the
    /// step, and whose last is the rate at `y_new`. Zero where it tells nothing.
    pub(super) fn stiffness(&self, y: &[T]) -> f64 {
        let (dim, last) = (y.len(), self.tableau.n_stages() - 1);
        let (k, h) = (|stage: usize, at: usize| self.stages[stage * dim + at].to_f64(), self.taken.1);
        let (mut rates, mut states) = (0.0, 0.0);
        for (at, y) in y.iter().enumerate() {
            let row = self.tableau.a[last - 1].iter().enumerate();
            let stage = y.to_f64() + h * row.map(|(j, a)| a.value() * k(j, at)).sum::<f64>();
            let (rate, state) = (k(last, at) - k(last - 1, at), self.y_new[at].to_f64() - stage);
            rates += rate * rate;
            states += state * state;
        }
        if states > 0.0 { h.abs() * f64::sqrt(rates / states) } else { 0.0 }
    }

    fn first_size(&mut self, control: &Adaptive, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> f64 {
        let longest = control.max_step.min(leg.length);
        match control.first_step {
            Some(dt) => dt.min(longest),
            None => {
                stats.evaluations += 1;
                let (dy, dy_try) = self.stages.split_at_mut(y.len());
                let dy_try = &mut dy_try[..y.len()];
                let limit = longest.min((leg.target - t).abs());
                let rate = |at: f64, y: &[T], dy: &mut [T]| self.step.rate(at, leg.inside(t), y, dy);
                let (q, from) = (self.tableau.error_exponent(), (t, leg.direction, limit));
                control.first_step_size(rate, q, from, y, dy, &mut self.y_new, dy_try)
            }
        }
    }
}

impl<T: Real, S: Step<T> + ?Sized> Stepper<T> for Explicit<'_, T, S> {
    fn dim(&self) -> usize {
        self.y_new.len()
    }

    fn check(&self) -> Result<(), Invalid> {
        let (expected, found) = (self.tableau.n_stages(), self.step.n_stages());
        if found != expected {
            return Err(Invalid::Stages { expected, found });
        }
        match &self.pace {
            Pace::Fixed(dt, _) => positive("dt", *dt),
            Pace::Adaptive { .. } if self.tableau.embedded.is_none() => {
                Err(Invalid::NoErrorEstimate { method: self.tableau.name })
            }
            Pace::Adaptive { control, .. } => control.check(self.y_new.len()),
        }
    }

    fn start(&mut self, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.rate = Known::No;
        match &mut self.pace {
            Pace::Fixed(dt, grid) => {
                grid.restart();
                stats.next_step = *dt * leg.direction;
            }
            Pace::Adaptive { control, .. } => {
                let control = *control;
                self.prepare(t, leg.direction * control.max_step.min(leg.length), y, leg, stats)?;
                let size = self.first_size(control, t, y, leg, stats);
                let controller = control.controller.or(Rule::PI);
                self.pace = Pace::Adaptive { control, size, controller, past: Past::default() };
            }
        }
        Flow::Continue(())
    }

    fn carried(&self) -> Option<Carried> {
        match &self.pace {
            Pace::Fixed(..) => None,
            Pace::Adaptive { size, past, .. } => {
                Some(Carried { size: *size, past: *past, mode: Mode::default() })
            }
        }
    }

    fn resume(&mut self, carried: &Carried, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        match &mut self.pace {
            Pace::Fixed(..) => self.start(t, y, leg, stats),
            Pace::Adaptive { size, past, .. } => {
                (*size, *past, self.rate) = (carried.size, carried.past, Known::No);
                Flow::Continue(())
            }
        }
    }

    fn pass_stop(&mut self) {
        self.rate = Known::No;
    }

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        let (control, mut size, controller, mut past) = match &mut self.pace {
            Pace::Fixed(_, grid) => {
                let (h, t_new) = grid.next(t, leg);
                self.prepare(t, h, y, leg, stats)?;
                self.attempt(t, h, y, stats);
                if let Some(component) = non_finite(&self.y_new) {
                    stats.rejected += 1;
                    stats.non_finite += 1;
                    let quantity = Quantity::State;
                    return Flow::Break(Outcome::NonFinite { t, h, component, quantity });
                }
                return self.take(t, h, t_new, stats);
            }
            Pace::Adaptive { control, size, controller, past } => (*control, *size, *controller, *past),
        };
        let q = self.tableau.error_exponent();
        let longest = control.max_step.min(leg.length);
        size = size.max(control.shortest(t));
        let mut after_rejection = false;
        loop {
            let (tried, lands) = control.landing.fitted(size, (leg.target - t).abs());
            let h = if lands { leg.target - t } else { leg.direction * tried };
            self.prepare(t, h, y, leg, stats)?;
            self.attempt(t, h, y, stats);
            let fault = self.fault();
            let err = if fault.is_none() { self.error_norm(control, h, y) } else { f64::NAN };
            if err <= 1.0 {
                let factor = controller.accepted(q, (tried, err), after_rejection, 1.0, &mut past);
                // A step cut short by a target says nothing against the size that was planned.
                let planned = if tried < size && !after_rejection { size } else { 0.0 };
                let size = (tried * factor).max(planned).min(longest);
                stats.next_step = leg.direction * size;
                self.pace = Pace::Adaptive { control, size, controller, past };
                return self.take(t, h, if lands { leg.target } else { t + h }, stats);
            }
            size = tried * controller.rejected(q, err, 1.0);
            after_rejection = true;
            stats.rejected += 1;
            stats.non_finite += u64::from(!err.is_finite());
            if size < control.shortest(t) {
                return Flow::Break(match fault {
                    Some((quantity, component)) => Outcome::NonFinite { t, h, component, quantity },
                    None => {
                        let (component, ratio) = control.largest(&self.err, y, &self.y_new);
                        let ratio = self.scale(control) * ratio;
                        Outcome::StepTooSmall { t, h: leg.direction * size, component, ratio }
                    }
                });
            }
        }
    }

    fn look_inside(&mut self, y: &[T], stats: &mut Stats) {
        if !self.extended {
            self.step.extend(self.taken.0, self.taken.1, y, &mut self.stages);
            stats.evaluations += self.tableau.dense.extra.len() as u64;
            self.extended = true;
        }
    }

    fn error(&self, component: usize) -> Option<f64> {
        let Pace::Adaptive { control, .. } = &self.pace else { return None };
        let err = self.scale(control) * self.err[component].to_f64();
        Some(match self.tableau.third() {
            None => err,
            Some(third) => mixed(err, self.third(third, self.taken.1, component)),
        })
    }

    fn accepted<'a>(&'a self, y: &'a [T]) -> Accepted<'a, T> {
        let (t, h, t_new) = self.taken;
        let known = if self.extended { self.tableau.n_rows() } else { self.tableau.n_stages() };
        let interior = Interior::Stages { tableau: self.tableau, stages: &self.stages[..known * y.len()] };
        Accepted { t, h, t_new, y, y_new: &self.y_new, interior }
    }
}

/// The error estimate of a table that has two, of orders 5 and 3: see [`Embedded::third`].
///
/// [`Embedded::third`]: super::tableau::Embedded::third
#[inline(always)]
pub(super) fn mixed(err: f64, err_3: f64) -> f64 {
    if err == 0.0 { 0.0 } else { err * err.abs() / (err * err + 0.01 * err_3 * err_3).sqrt() }
}
