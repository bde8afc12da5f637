//! Optimisers on a flat vector of free (unconstrained) numbers.
//!
//! An optimiser is given an objective that returns its value and writes its gradient, a starting
//! point and limits; it returns the point it ends at and why it ended there. It knows nothing of
//! models, constraints or priors. A trial point where the objective is not finite is survived.

use crate::settings::{OptimizerChoice, TrainSettings};
use crate::train::lbfgs::Lbfgs;
use crate::train::rule::{Rule, clip};
use crate::train::schedule::Schedule;
use std::ops::ControlFlow;

/// A function to minimise: writes the gradient at `x` (`[n]`) and returns the value. A value or a
/// gradient that is not finite says that the function has no meaning at `x`.
pub type Objective<'a> = dyn FnMut(&[f64], &mut [f64]) -> f64 + 'a;

/// Called after every step; `Break` ends the minimisation there.
pub type OnStep<'a> = dyn FnMut(&Progress<'_>) -> ControlFlow<()> + 'a;

/// Where a minimisation stands after a step.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Steps taken.
    pub step: u64,
    /// Evaluations of value and gradient.
    pub evaluations: u64,
    /// The objective at `x`.
    pub value: f64,
    /// Largest magnitude in the gradient at `x`.
    pub gradient_norm: f64,
    /// The point, `[n]`.
    pub x: &'a [f64],
}

/// When to end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// At most this many steps.
    pub steps: u64,
    /// Converged when the largest magnitude in the gradient is at most `gtol · max(1, |value|)`.
    pub gtol: f64,
    /// Converged when the decrease that the next step promises is at most `ftol · max(1, |value|)`
    /// (L-BFGS only: the other methods have no model that promises anything).
    pub ftol: f64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { steps: 1000, gtol: 1e-8, ftol: 1e-13 }
    }
}

impl Limits {
    /// Whether a gradient of this size counts as zero.
    pub(crate) fn flat(&self, gradient_norm: f64, value: f64) -> bool {
        gradient_norm <= self.gtol * value.abs().max(1.0)
    }
}

/// Why a minimisation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The gradient is as good as zero.
    Gradient,
    /// The next step would lower the objective by less than its accuracy.
    Decrease,
    /// All steps are used up.
    StepLimit,
    /// No step along the direction of descent lowers the objective: it is not smooth here, or its
    /// gradient is wrong.
    Stalled,
    /// The objective is not finite where the method stands and it has no way back.
    NotFinite,
    /// The callback said so.
    Stopped,
}

impl Why {
    /// Whether the point is a minimum as far as the method can tell.
    pub fn converged(self) -> bool {
        match self {
            Why::Gradient | Why::Decrease => true,
            Why::StepLimit | Why::Stalled | Why::NotFinite | Why::Stopped => false,
        }
    }

    /// In words that complete "the fit ended because …".
    pub fn words(self) -> &'static str {
        match self {
            Why::Gradient => "the gradient vanished",
            Why::Decrease => "no further decrease was in sight",
            Why::StepLimit => "the steps were used up",
            Why::Stalled => "no step along the gradient lowered the objective",
            Why::NotFinite => "the objective was not a finite number",
            Why::Stopped => "it was stopped",
        }
    }
}

/// Where a minimisation ended: the best point it saw, for the methods that compare.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// The point, `[n]`.
    pub x: Vec<f64>,
    /// The objective there.
    pub value: f64,
    /// Its gradient there, `[n]`.
    pub gradient: Vec<f64>,
    /// Steps taken.
    pub steps: u64,
    /// Evaluations of value and gradient.
    pub evaluations: u64,
    /// Why it ended.
    pub why: Why,
}

impl Minimum {
    /// Largest magnitude in the gradient.
    pub fn gradient_norm(&self) -> f64 {
        max_norm(&self.gradient)
    }
}

/// A method of minimisation.
pub trait Optimizer {
    /// Minimises `objective` from `x0` (`[n]`). Deterministic: equal calls give equal bits.
    fn minimise(
        &self,
        objective: &mut Objective<'_>,
        x0: &[f64],
        limits: &Limits,
        on_step: &mut OnStep<'_>,
    ) -> Minimum;
}

impl TrainSettings {
    /// The method that the settings choose, for an objective without minibatches: a step is then an
    /// epoch.
    pub fn method(&self) -> Box<dyn Optimizer> {
        match self.optimizer {
            OptimizerChoice::Lbfgs { memory } => Box::new(Lbfgs { memory }),
            first_order => {
                let (schedule, clip) = (self.schedule.clone(), self.clip);
                Box::new(FirstOrder { choice: first_order, schedule, clip })
            }
        }
    }

    /// When the method ends.
    pub fn limits(&self) -> Limits {
        let steps = self.steps.min(self.epochs.unwrap_or(u64::MAX));
        Limits { steps, gtol: self.tolerance, ..Limits::default() }
    }
}

/// A method without a line search, on the whole objective: [`Rule`] with a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct FirstOrder {
    /// Which, with its numbers.
    pub choice: OptimizerChoice,
    /// Factor on the learning rate.
    pub schedule: Schedule,
    /// Largest norm of a gradient.
    pub clip: Option<f64>,
}

impl FirstOrder {
    /// A method with a constant rate.
    pub fn new(choice: OptimizerChoice) -> FirstOrder {
        FirstOrder { choice, schedule: Schedule::Constant, clip: None }
    }
}

impl Optimizer for FirstOrder {
    fn minimise(
        &self,
        objective: &mut Objective<'_>,
        x0: &[f64],
        limits: &Limits,
        on_step: &mut OnStep<'_>,
    ) -> Minimum {
        let mut rule = Rule::new(self.choice, x0.len());
        let update = |step: u64, x: &mut [f64], g: &[f64]| {
            let mut g = g.to_vec();
            clip(&mut g, self.clip);
            rule.update(self.schedule.factor(step, step), x, &g);
        };
        descend(objective, x0, limits, on_step, update)
    }
}

/// The loop of the methods without a line search. They may pass over a better point on their way,
/// so the best one seen is returned; an objective that stops being finite ends the run there.
fn descend(
    objective: &mut Objective<'_>,
    x0: &[f64],
    limits: &Limits,
    on_step: &mut OnStep<'_>,
    mut update: impl FnMut(u64, &mut [f64], &[f64]),
) -> Minimum {
    let mut x = x0.to_vec();
    let mut gradient = vec![0.0; x.len()];
    let mut value = objective(&x, &mut gradient);
    let mut best = Minimum {
        x: x.clone(),
        value,
        gradient: gradient.clone(),
        steps: 0,
        evaluations: 1,
        why: Why::StepLimit,
    };
    for step in 0..limits.steps {
        if !finite(value, &gradient) {
            best.why = Why::NotFinite;
            return best;
        }
        if limits.flat(max_norm(&gradient), value) {
            best.why = Why::Gradient;
            return best;
        }
        update(step, &mut x, &gradient);
        value = objective(&x, &mut gradient);
        best.steps = step + 1;
        best.evaluations += 1;
        if finite(value, &gradient) && value < best.value {
            best.x.copy_from_slice(&x);
            best.gradient.copy_from_slice(&gradient);
            best.value = value;
        }
        let gradient_norm = max_norm(&gradient);
        let progress =
            Progress { step: best.steps, evaluations: best.evaluations, value, gradient_norm, x: &x };
        if on_step(&progress).is_break() {
            best.why = Why::Stopped;
            return best;
        }
    }
    best
}

/// Whether the objective has a meaning here.
pub(crate) fn finite(value: f64, gradient: &[f64]) -> bool {
    value.is_finite() && gradient.iter().all(|g| g.is_finite())
}

/// Largest magnitude of the entries; NaN if one is.
pub(crate) fn max_norm(v: &[f64]) -> f64 {
    v.iter().fold(0.0, |max: f64, x| if x.is_nan() || max.is_nan() { f64::NAN } else { max.max(x.abs()) })
}

/// `Σ aᵢbᵢ`, summed from the left.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
