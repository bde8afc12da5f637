//! An explicit Runge–Kutta method at work: fixed steps, or steps as the tolerances ask.
//!
//! Formulas live in the tableau, decisions about step sizes in `control`.

use super::control::{Adaptive, Plain, positive};
use super::controller::{Controller, Past, Rule, Weights};
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
    n_stages: usize,
    /// See [`Tableau::fsal`].
    fsal: bool,
    pace: Pace<'a>,
    /// The step wished for next, with tolerances.
    size: f64,
    past: Past,
    /// The step last taken: its start, its size, its end.
    taken: (f64, f64, f64),
    y_new: Vec<T>,
    err: Vec<T>,
    /// A second error estimate, of a table that has one.
    err_3: Vec<T>,
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
    Adaptive(Box<Steering<'a>>),
}

/// What a method with tolerances goes by.
struct Steering<'a> {
    control: &'a Adaptive,
    controller: Controller,
    /// Those of the controller; `None` for a rule that knows more than errors.
    weights: Option<Weights>,
    /// The error estimate is `O(h^q)`.
    q: u32,
    /// The norm, if it is of the usual kind.
    plain: Option<Plain>,
    /// What the estimate counts.
    scale: f64,
    /// See [`Embedded::third`](super::tableau::Embedded::third): the stages that have a weight, with it.
    third: Option<Vec<(usize, f64)>>,
}

impl<'a, T: Real, S: Step<T> + ?Sized> Explicit<'a, T, S> {
    /// The method `tableau`, whose steps `step` takes.
    pub fn new(step: &'a mut S, tableau: &'a Tableau, stepping: &'a Stepping) -> Self {
        let dim = step.dim();
        let pace = match stepping {
            Stepping::Fixed { dt } => Pace::Fixed(*dt, Grid::new(*dt)),
            Stepping::Adaptive(control) => Pace::Adaptive(Box::new(Steering::new(control, tableau, dim))),
        };
        Explicit {
            step,
            tableau,
            n_stages: tableau.n_stages(),
            fsal: tableau.fsal(),
            pace,
            size: 0.0,
            past: Past::default(),
            taken: (0.0, 0.0, 0.0),
            y_new: vec![T::default(); dim],
            err: vec![T::default(); dim],
            err_3: vec![T::default(); dim],
            stages: vec![T::default(); dim * tableau.n_rows()],
            extended: false,
            rate: Known::No,
        }
    }

    /// Ready for a step of size `h`: the rate at `(t, y)` is in row 0 of the stages.
    #[inline(always)]
    fn prepare(&mut self, t: f64, h: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        leg.spend(t, h, stats)?;
        let dim = y.len();
        match self.rate {
            Known::First => {}
            Known::Last => {
                let (first, rest) = self.stages.split_at_mut(dim);
                let last = &rest[(self.n_stages - 2) * dim..][..dim];
                first.iter_mut().zip(last).for_each(|(to, from)| *to = *from);
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

    #[inline(always)]
    fn attempt(&mut self, t: f64, h: f64, y: &[T], stats: &mut Stats) {
        if stats.attempts() == 0 {
            stats.first_step = h;
        }
        let stages = &mut self.stages[..self.n_stages * y.len()];
        self.step.step(t, h, y, stages, &mut self.y_new, &mut self.err);
        self.extended = self.tableau.dense.extra.is_empty();
        stats.evaluations += self.n_stages as u64 - 1;
    }

    #[inline]
    fn take(&mut self, t: f64, h: f64, t_new: f64, stats: &mut Stats) -> Flow {
        stats.accepted += 1;
        self.taken = (t, h, t_new);
        self.rate = if self.fsal { Known::Last } else { Known::No };
        Flow::Continue(())
    }

    /// The rates of the last stage: those at the new state, of a table that computes them.
    fn last_rates(&self) -> &[T] {
        let dim = self.y_new.len();
        &self.stages[(self.n_stages - 1) * dim..][..dim]
    }

    /// Whether all is finite after an attempt that must be.
    #[inline(always)]
    fn is_finite(&self) -> bool {
        let dim = self.y_new.len();
        let (y_new, err) = (&self.y_new[..dim], &self.err[..dim]);
        let rates = if self.fsal { &self.last_rates()[..dim] } else { y_new };
        // Zero times what is not finite is not a number.
        let zero = |x: T| 0.0 * x.to_f64();
        (0..dim).fold(0.0, |sum, at| sum + ((zero(y_new[at]) + zero(err[at])) + zero(rates[at]))) == 0.0
    }

    /// What is not finite after an attempt: the new state, or the rate there if it is known.
    fn fault(&self) -> Option<(Quantity, usize)> {
        let state = non_finite(&self.y_new).map(|at| (Quantity::State, at));
        let rate = || {
            let rates = if self.fsal { self.last_rates() } else { &[] };
            non_finite(rates).map(|at| (Quantity::Rate, at))
        };
        let error = || non_finite(&self.err).map(|at| (Quantity::Error, at));
        state.or_else(rate).or_else(error)
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
            Pace::Adaptive(_) if self.tableau.embedded.is_none() => {
                Err(Invalid::NoErrorEstimate { method: self.tableau.name })
            }
            Pace::Adaptive(steering) => steering.control.check(self.y_new.len()),
        }
    }

    fn start(&mut self, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        self.rate = Known::No;
        match &mut self.pace {
            Pace::Fixed(dt, grid) => {
                grid.restart();
                stats.next_step = *dt * leg.direction;
            }
            Pace::Adaptive(steering) => {
                let control = steering.control;
                self.prepare(t, leg.direction * control.max_step.min(leg.length), y, leg, stats)?;
                self.size = self.first_size(control, t, y, leg, stats);
                self.past = Past::default();
            }
        }
        Flow::Continue(())
    }

    fn carried(&self) -> Option<Carried> {
        match &self.pace {
            Pace::Fixed(..) => None,
            Pace::Adaptive(_) => Some(Carried { size: self.size, past: self.past, mode: Mode::default() }),
        }
    }

    fn resume(&mut self, carried: &Carried, t: f64, y: &mut [T], leg: &Leg, stats: &mut Stats) -> Flow {
        match &mut self.pace {
            Pace::Fixed(..) => self.start(t, y, leg, stats),
            Pace::Adaptive(_) => {
                (self.size, self.past, self.rate) = (carried.size, carried.past, Known::No);
                Flow::Continue(())
            }
        }
    }

    fn pass_stop(&mut self) {
        self.rate = Known::No;
    }

    fn advance(&mut self, t: f64, y: &[T], leg: &Leg, stats: &mut Stats) -> Flow {
        match &mut self.pace {
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
            Pace::Adaptive(steering) => self.size = self.size.max(steering.control.shortest(t)),
        }
        let mut after_rejection = false;
        loop {
            let Pace::Adaptive(steering) = &self.pace else { crate::bug!("the pace does not change") };
            let (tried, lands) = steering.control.landing.fitted(self.size, (leg.target - t).abs());
            let h = if lands { leg.target - t } else { leg.direction * tried };
            self.prepare(t, h, y, leg, stats)?;
            self.attempt(t, h, y, stats);
            let is_finite = self.is_finite();
            let Pace::Adaptive(steering) = &self.pace else { crate::bug!("the pace does not change") };
            let err = match is_finite {
                true => steering.error_norm((h, y, &self.y_new), &self.err, &self.stages, &mut self.err_3),
                false => f64::NAN,
            };
            if err <= 1.0 {
                let factor = steering.accepted((tried, err), after_rejection, &mut self.past);
                // A step cut short by a target says nothing against the size that was planned.
                let planned = if tried < self.size && !after_rejection { self.size } else { 0.0 };
                let longest = steering.control.max_step.min(leg.length);
                self.size = (tried * factor).max(planned).min(longest);
                stats.next_step = leg.direction * self.size;
                return self.take(t, h, if lands { leg.target } else { t + h }, stats);
            }
            self.size = tried * steering.controller.rejected(steering.q, err, 1.0);
            after_rejection = true;
            stats.rejected += 1;
            stats.non_finite += u64::from(!err.is_finite());
            if self.size < steering.control.shortest(t) {
                return Flow::Break(match self.fault() {
                    Some((quantity, component)) => Outcome::NonFinite { t, h, component, quantity },
                    None => {
                        let (component, ratio) = steering.control.largest(&self.err, y, &self.y_new);
                        let (h, ratio) = (leg.direction * self.size, steering.scale * ratio);
                        Outcome::StepTooSmall { t, h, component, ratio }
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
        let Pace::Adaptive(steering) = &self.pace else { return None };
        let err = steering.scale * self.err[component].to_f64();
        Some(match &steering.third {
            None => err,
            Some(third) => {
                mixed(err, third_error(third, self.taken.1, &self.stages, self.y_new.len(), component))
            }
        })
    }

    fn accepted<'a>(&'a self, y: &'a [T]) -> Accepted<'a, T> {
        let (t, h, t_new) = self.taken;
        let known = if self.extended { self.tableau.n_rows() } else { self.n_stages };
        let interior = Interior::Stages { tableau: self.tableau, stages: &self.stages[..known * y.len()] };
        Accepted { t, h, t_new, y, y_new: &self.y_new, interior }
    }
}

impl<'a> Steering<'a> {
    fn new(control: &'a Adaptive, tableau: &Tableau, dim: usize) -> Self {
        let (controller, q) = (control.controller.or(Rule::PI), tableau.error_exponent());
        let weights = match controller.rule() {
            Rule::Pid { .. } => Some(controller.weights(q)),
            Rule::Predictive => None,
        };
        let weighed = |weights: &[Coeff]| {
            let all = weights.iter().enumerate().filter(|(_, w)| !w.is_zero());
            all.map(|(stage, w)| (stage, w.value())).collect()
        };
        let scale = control.estimate.unwrap_or(tableau.error_scale());
        let (plain, third) = (control.plain(dim), tableau.third().map(weighed));
        Steering { control, controller, weights, q, plain, scale, third }
    }

    /// The norm of the error of an attempt with step `h` from `y` to `y_new`. `err_3` is scratch.
    #[inline(always)]
    fn error_norm<T: Real>(
        &self,
        (h, y, y_new): (f64, &[T], &[T]),
        err: &[T],
        stages: &[T],
        err_3: &mut [T],
    ) -> f64 {
        let (dim, control) = (y.len(), self.control);
        let norms = match (&self.third, self.plain) {
            (None, None) => return self.scale * control.norm(err, y, y_new),
            (None, Some(plain)) => return self.scale * plain.norm(|at| err[at].to_f64(), y, y_new),
            (Some(third), Some(plain)) => {
                let second = |at| T::from_f64(third_error(third, h, stages, dim, at)).to_f64();
                plain.norms(|at| [err[at].to_f64(), second(at)], y, y_new)
            }
            (Some(third), None) => {
                for (at, err_3) in err_3.iter_mut().enumerate() {
                    *err_3 = T::from_f64(third_error(third, h, stages, dim, at));
                }
                [control.norm(err, y, y_new), control.norm(err_3, y, y_new)]
            }
        };
        mixed(self.scale * norms[0], norms[1])
    }

    /// See [`Controller::accepted`].
    #[inline(always)]
    fn accepted(&self, (tried, err): (f64, f64), after_rejection: bool, past: &mut Past) -> f64 {
        match self.weights {
            Some(weights) => self.controller.accepted_by(weights, err, after_rejection, past),
            None => self.controller.accepted(self.q, (tried, err), after_rejection, 1.0, past),
        }
    }
}

/// The error of order 3 in component `at` of a step of size `h`.
#[inline(always)]
fn third_error<T: Real>(weights: &[(usize, f64)], h: f64, stages: &[T], dim: usize, at: usize) -> f64 {
    h * weights.iter().fold(0.0, |sum, (stage, w)| sum + w * stages[stage * dim + at].to_f64())
}

/// The error estimate of a table that has two, of orders 5 and 3: see [`Embedded::third`].
///
/// [`Embedded::third`]: super::tableau::Embedded::third
#[inline(always)]
pub(super) fn mixed(err: f64, err_3: f64) -> f64 {
    if err == 0.0 { 0.0 } else { err * err.abs() / (err * err + 0.01 * err_3 * err_3).sqrt() }
}
