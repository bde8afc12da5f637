//! Step sizes of the implicit methods, and what becomes of a step that fails.

use super::Implicit;
use super::field::Field;
use super::initial::Echelon;
use super::mass::Mass;
use crate::solve::control::{Adaptive, Errors, positive};
use crate::solve::controller::{Controller, Past, Rule};
use crate::solve::outcome::{Invalid, Outcome, Quantity, Stats};
use crate::solve::problem::Real;
use crate::solve::solve::Stepping;
use crate::solve::stepper::{Carried, Flow, Grid, Leg, Mode, non_finite};
use std::ops::ControlFlow;

/// Fixed steps, or steps as the tolerances ask.
pub(super) struct Pace {
    control: Adaptive,
    /// With fixed steps, their size.
    fixed: Option<(f64, Grid)>,
    /// The error estimate is `O(h^q)`.
    q: u32,
    /// The step wished for next.
    size: f64,
    /// The step that was proposed, positive.
    tried: f64,
    after_rejection: bool,
    controller: Controller,
    past: Past,
    /// The error estimate of the last accepted step; empty of fixed steps.
    err: Vec<f64>,
}

/// Why the equations of a step were not solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// A rate is not a finite number.
    NotFinite { component: usize },
    /// The corrections do not become smaller fast enough; this component has the largest.
    NoConvergence { component: usize },
    /// A matrix is singular.
    Singular,
}

/// Of fixed steps, which know no tolerance: the equations are solved far below any truncation
/// error of interest, and above rounding.
const FIXED_TOLERANCE: f64 = 1e-8;

impl Pace {
    pub fn new(stepping: &Stepping, q: u32) -> Pace {
        let (control, fixed) = match stepping {
            Stepping::Fixed { dt } => {
                let all = Adaptive::new(FIXED_TOLERANCE, FIXED_TOLERANCE, 0);
                (Adaptive { errors: Errors::All, ..all }, Some((*dt, Grid::new(*dt))))
            }
            Stepping::Adaptive(control) => (control.clone(), None),
        };
        let controller = control.controller.or(Rule::Predictive);
        let past = Past::default();
        let (size, tried, after_rejection, err) = (0.0, 0.0, false, Vec::new());
        Pace { control, fixed, q, size, tried, after_rejection, controller, past, err }
    }

    pub fn check(&self, dim: usize) -> Result<(), Invalid> {
        match &self.fixed {
            Some((dt, _)) => positive("dt", *dt),
            None => self.control.check(dim),
        }
    }

    /// Moves `y` to a consistent start, takes the Jacobian there and chooses the first step.
    pub fn start<T: Real, S: Implicit<T> + ?Sized>(
        &mut self,
        field: &mut Field<'_, T, S>,
        t: f64,
        y: &mut [f64],
        leg: &Leg,
        stats: &mut Stats,
    ) -> Flow {
        self.past = Past::default();
        let slopes = consistent(field, &self.control, t, y, stats)?;
        if let Some((dt, grid)) = &mut self.fixed {
            grid.restart();
            stats.next_step = *dt * leg.direction;
            return Flow::Continue(());
        }
        self.size = first_size(field, &self.control, self.q, t, y, &slopes, leg, stats);
        Flow::Continue(())
    }

    /// What goes on with the step size.
    pub fn carried(&self) -> Option<Carried> {
        let carried = Carried { size: self.size, past: self.past, mode: Mode::default() };
        self.fixed.is_none().then_some(carried)
    }

    /// Goes on with `carried` instead of a start; `false` with fixed steps, which have nothing to go on
    /// with.
    pub fn resume<T: Real, S: Implicit<T> + ?Sized>(
        &mut self,
        carried: &Carried,
        field: &mut Field<'_, T, S>,
    ) -> bool {
        field.weigh();
        (self.size, self.past) = (carried.size, carried.past);
        self.fixed.is_none()
    }

    /// The next proposals are for a step from `t`.
    pub fn begin(&mut self, t: f64) {
        self.after_rejection = false;
        self.size = self.size.max(self.control.shortest(t));
    }

    /// Size and end of the step to try from `t`.
    pub fn propose(&mut self, t: f64, leg: &Leg) -> (f64, f64) {
        if let Some((_, grid)) = &mut self.fixed {
            return grid.next(t, leg);
        }
        let (tried, lands) = self.control.landing.fitted(self.size, (leg.target - t).abs());
        self.tried = tried;
        match lands {
            true => (leg.target - t, leg.target),
            false => (leg.direction * tried, t + leg.direction * tried),
        }
    }

    /// Whether the step of size `h` from `(t, y)` to `y_new` with the error `err` is accepted; sets
    /// the size of the next proposal, below the tolerance by the safety of the controller times `ease`.
    pub fn passes(
        &mut self,
        ease: f64,
        err: &[f64],
        (y, y_new): (&[f64], &[f64]),
        (t, h): (f64, f64),
        leg: &Leg,
        stats: &mut Stats,
    ) -> ControlFlow<Outcome, bool> {
        let fault = non_finite(y_new).map(|at| (Quantity::State, at));
        if self.fixed.is_some() {
            return match fault {
                None => {
                    stats.accepted += 1;
                    ControlFlow::Continue(true)
                }
                Some((quantity, component)) => {
                    stats.rejected += 1;
                    stats.non_finite += 1;
                    ControlFlow::Break(Outcome::NonFinite { t, h, component, quantity })
                }
            };
        }
        let fault = fault.or_else(|| non_finite(err).map(|at| (Quantity::Error, at)));
        let norm = if fault.is_none() { self.control.norm(err, y, y_new) } else { f64::NAN };
        if norm <= 1.0 {
            self.err.clear();
            self.err.extend_from_slice(err);
            let after_rejection = self.after_rejection;
            let step = (self.tried, norm);
            let factor = self.controller.accepted(self.q, step, after_rejection, ease, &mut self.past);
            let planned = if self.tried < self.size && !self.after_rejection { self.size } else { 0.0 };
            self.size = (self.tried * factor).max(planned).min(self.longest(leg));
            stats.accepted += 1;
            stats.next_step = leg.direction * self.size;
            return ControlFlow::Continue(true);
        }
        stats.rejected += 1;
        stats.non_finite += u64::from(!norm.is_finite());
        self.size = self.tried * self.controller.rejected(self.q, norm, ease);
        self.after_rejection = true;
        if self.size < self.control.shortest(t) {
            return ControlFlow::Break(match fault {
                Some((quantity, component)) => Outcome::NonFinite { t, h, component, quantity },
                None => {
                    let (component, ratio) = self.control.largest(err, y, y_new);
                    Outcome::StepTooSmall { t, h: leg.direction * self.size, component, ratio }
                }
            });
        }
        ControlFlow::Continue(false)
    }

    /// The equations of the step of size `h` from `t` could not be solved: the next try is half as
    /// long, unless that is too short.
    pub fn failed(&mut self, failed: Failed, t: f64, h: f64, stats: &mut Stats) -> Flow {
        count_failure(failed, stats);
        self.size = 0.5 * self.tried;
        self.after_rejection = true;
        match self.fixed.is_some() || self.size < self.control.shortest(t) {
            true => Flow::Break(failed.outcome(t, h)),
            false => Flow::Continue(()),
        }
    }

    /// Keeps the next step at `h` where it would grow by a fifth at most: the factorisations can be
    /// used again.
    pub fn hold(&mut self, h: f64) {
        if (1.0..1.2).contains(&(self.size / h.abs())) {
            self.size = h.abs();
        }
    }

    /// After how many iterations the equations of a step are given up: `few`, since a shorter step
    /// is cheaper, but fixed steps have no other way.
    pub fn max_iterations(&self, few: u32) -> u32 {
        if self.fixed.is_some() { 10 * few } else { few }
    }

    /// The error estimate of `component` in the last accepted step.
    pub fn error(&self, component: usize) -> Option<f64> {
        self.err.get(component).copied()
    }

    pub fn control(&self) -> &Adaptive {
        &self.control
    }

    fn longest(&self, leg: &Leg) -> f64 {
        self.control.max_step.min(leg.length)
    }
}

impl Failed {
    pub fn outcome(self, t: f64, h: f64) -> Outcome {
        match self {
            Failed::NotFinite { component } => {
                Outcome::NonFinite { t, h, component, quantity: Quantity::Rate }
            }
            Failed::NoConvergence { component } => Outcome::NewtonFailed { t, h, component },
            Failed::Singular => Outcome::Singular { t, h },
        }
    }
}

/// Counts a rejected step.
pub(super) fn count_failure(failed: Failed, stats: &mut Stats) {
    stats.rejected += 1;
    match failed {
        Failed::NotFinite { .. } => stats.non_finite += 1,
        Failed::NoConvergence { .. } | Failed::Singular => stats.newton_failures += 1,
    }
}

/// Moves `y` to a consistent start and takes the Jacobian there; gives the rates `y'`.
pub(super) fn consistent<T: Real, S: Implicit<T> + ?Sized>(
    field: &mut Field<'_, T, S>,
    control: &Adaptive,
    t: f64,
    y: &mut [f64],
    stats: &mut Stats,
) -> ControlFlow<Outcome, Vec<f64>> {
    field.weigh();
    let echelon = Echelon::of(field);
    echelon.solve_constraints(field, control, t, y, stats)?;
    let mut f = vec![0.0; y.len()];
    field.rate(t, y, &mut f, stats);
    field.check_rate(t, &f)?;
    field.linearise(t, y, stats)?;
    match echelon.slopes(field, t, y, &f, stats) {
        Some(slopes) => ControlFlow::Continue(slopes),
        None => ControlFlow::Break(Outcome::Singular { t, h: 0.0 }),
    }
}

/// Size of the first step from a consistent `(t, y)`. With constraints the state cannot be moved
/// along its rates, so there only the sizes of both count.
#[allow(clippy::too_many_arguments, reason = "the formula has this many letters")]
pub(super) fn first_size<T: Real, S: Implicit<T> + ?Sized>(
    field: &mut Field<'_, T, S>,
    control: &Adaptive,
    q: u32,
    t: f64,
    y: &[f64],
    slopes: &[f64],
    leg: &Leg,
    stats: &mut Stats,
) -> f64 {
    let limit = control.max_step.min(leg.length).min((leg.target - t).abs());
    if let Some(dt) = control.first_step {
        return dt.min(limit);
    }
    if field.mass == Mass::Identity {
        let (mut y_try, mut dy_try) = (vec![0.0; y.len()], vec![0.0; y.len()]);
        let rate = |t: f64, y: &[f64], dy: &mut [f64]| field.rate(t, y, dy, stats);
        let from = (t, leg.direction, limit);
        return control.first_step_size(rate, q, from, y, slopes, &mut y_try, &mut dy_try);
    }
    let (d0, d1) = (control.norm(y, y, y), control.norm(slopes, y, y));
    let size = if d0 < 1e-5 || d1 < 1e-5 { 1e-6 } else { 0.01 * d0 / d1 };
    size.min(limit)
}

/// How small the corrections of Newton's method must become, in units of the tolerances. Source:
/// Hairer, Wanner, Solving ODEs II, IV.8, with the bounds of RADAU5.
pub(super) fn newton_tolerance(rtol: f64) -> f64 {
    if rtol == 0.0 { 1e-3 } else { (10.0 * f64::EPSILON / rtol).max(rtol.sqrt().min(0.03)) }
}

/// `atol + rtol max(|y|, |y_new|)`; where that is zero, as good as zero.
pub(super) fn scale(control: &Adaptive, y: &[f64], y_new: &[f64]) -> Vec<f64> {
    let one = |at: usize| control.atol.at(at) + control.rtol * y[at].abs().max(y_new[at].abs());
    (0..y.len()).map(|at| one(at).max(f64::MIN_POSITIVE)).collect()
}

/// `out = Σ_j weights_j rows_j` over rows of length `dim`, in this order.
pub(super) fn combine(weights: &[f64], rows: &[f64], dim: usize, out: &mut [f64]) {
    const SIDE_BY_SIDE: usize = 4;
    let mut at = 0;
    while at + SIDE_BY_SIDE <= dim {
        let mut sums = [0.0; SIDE_BY_SIDE];
        for (j, weight) in weights.iter().enumerate() {
            for (sum, k) in sums.iter_mut().zip(&rows[j * dim + at..][..SIDE_BY_SIDE]) {
                *sum += weight * k;
            }
        }
        out[at..at + SIDE_BY_SIDE].copy_from_slice(&sums);
        at += SIDE_BY_SIDE;
    }
    for at in at..dim {
        let terms = weights.iter().enumerate();
        out[at] = terms.fold(0.0, |sum, (j, weight)| sum + weight * rows[j * dim + at]);
    }
}

/// The root mean square of `v_i / scale_i`.
pub(super) fn size_in(v: &[f64], scale: &[f64]) -> f64 {
    let squares = v.iter().zip(scale).map(|(v, scale)| (v / scale) * (v / scale));
    (squares.sum::<f64>() / v.len().max(1) as f64).sqrt()
}
