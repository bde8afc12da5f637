//! How a run ended, as data: numbers that go wrong are a result, not an error.

use super::stepper::Carried;

/// How a run ended. Components are positions in the state vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Reached the end of the interval.
    Finished,
    /// An observer or an event stopped the run.
    Stopped,
    /// The step size the error estimate asks for is below the smallest allowed.
    StepTooSmall {
        /// Where the run stands.
        t: f64,
        /// The step that was asked for, with its sign.
        h: f64,
        /// The component with the largest error.
        component: usize,
        /// Its error as a multiple of its tolerance, in the last attempt.
        ratio: f64,
    },
    /// The run used up its steps, rejected ones included.
    MaxSteps {
        /// Where the run stands.
        t: f64,
        /// The step it would take next, with its sign.
        h: f64,
        /// How many it had.
        max_steps: u64,
    },
    /// A number is infinite or not a number, for every step size that was tried.
    NonFinite {
        /// Where the run stands: the last time at which all is finite.
        t: f64,
        /// The step of the last attempt, with its sign; 0 if the rate at `t` itself is not finite.
        h: f64,
        /// The first such component.
        component: usize,
        /// What is not finite.
        quantity: Quantity,
    },
    /// Events come ever faster.
    Zeno {
        /// Where the run stands.
        t: f64,
        /// The event that was one too many.
        event: usize,
        /// How many may happen in one step; `None` if it is the times of one event that come together
        /// at a point.
        max_events: Option<u64>,
    },
    /// No start fulfils the constraints.
    Inconsistent {
        /// The start of the run, or the time of the event after which it should go on.
        t: f64,
        /// The equation with the largest residual.
        component: usize,
        /// That residual at the last state tried.
        residual: f64,
    },
    /// The equations of a step could not be solved, for every step size that was tried.
    NewtonFailed {
        /// Where the run stands.
        t: f64,
        /// The step of the last attempt, with its sign.
        h: f64,
        /// The component whose last correction was the largest, relative to its tolerance.
        component: usize,
    },
    /// The linear equations of a step, or of the start, have no single solution.
    Singular {
        /// Where the run stands.
        t: f64,
        /// The step of the last attempt, with its sign; 0 at a start.
        h: f64,
    },
}

/// A vector that a run computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// The state given at the start.
    Start,
    /// The rate of change.
    Rate,
    /// The state after a step.
    State,
    /// The error estimate of a step.
    Error,
    /// The state after an event.
    Jump {
        /// Which.
        event: usize,
    },
    /// The derivatives of the rate.
    Jacobian,
}

impl Outcome {
    /// Whether the run did what it was asked to: it finished, or was stopped by its observer.
    pub fn is_success(&self) -> bool {
        match self {
            Outcome::Finished | Outcome::Stopped => true,
            Outcome::StepTooSmall { .. }
            | Outcome::MaxSteps { .. }
            | Outcome::NonFinite { .. }
            | Outcome::Zeno { .. }
            | Outcome::Inconsistent { .. }
            | Outcome::NewtonFailed { .. }
            | Outcome::Singular { .. } => false,
        }
    }
}

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Steps taken.
    pub accepted: u64,
    /// Steps thrown away.
    pub rejected: u64,
    /// Those of the rejected steps in which a number was not finite.
    pub non_finite: u64,
    /// Those of the rejected steps whose equations could not be solved.
    pub newton_failures: u64,
    /// Evaluations of the rate of change, those for the first step size included.
    pub evaluations: u64,
    /// Evaluations of the derivatives of the rate.
    pub jacobians: u64,
    /// Factorisations of a matrix of linear equations; a complex one counts once.
    pub factorisations: u64,
    /// Newton iterations.
    pub newton_iterations: u64,
    /// Directions in which a sparse Jacobian was taken; 0 for a dense one.
    pub colours: u64,
    /// Entries of a sparse Jacobian.
    pub nonzeros: u64,
    /// The most entries that the factors of a matrix had.
    pub fill: u64,
    /// Steps of `auto` that its stiff method took.
    pub stiff_steps: u64,
    /// How often `auto` changed to its stiff method.
    pub to_stiff: u64,
    /// How often it changed back.
    pub to_explicit: u64,
    /// The largest `|hλ|` at which it changed to its stiff method: see [`auto`](super::auto).
    pub stiffness: f64,
    /// The size of the first step that was tried, with its sign; 0 if there was none.
    pub first_step: f64,
    /// The step the controller would take next, with its sign: a good first step for a run that
    /// goes on from here.
    pub next_step: f64,
}

impl Stats {
    /// Steps tried: accepted and rejected.
    pub fn attempts(&self) -> u64 {
        self.accepted + self.rejected
    }

    /// How the Jacobians were taken, in words; `None` if there were none.
    pub fn jacobian_form(&self) -> Option<String> {
        let Stats { jacobians, colours, nonzeros, fill, .. } = *self;
        match (jacobians, colours) {
            (0, _) => None,
            (_, 0) => Some(format!("{jacobians} dense ones")),
            _ => Some(format!(
                "{jacobians} sparse ones of {nonzeros} entries in {colours} directions, {fill} in the factors"
            )),
        }
    }

    /// What two runs cost together; first and next step are those of `other`.
    #[must_use]
    pub fn plus(self, other: Stats) -> Stats {
        Stats {
            accepted: self.accepted + other.accepted,
            rejected: self.rejected + other.rejected,
            non_finite: self.non_finite + other.non_finite,
            newton_failures: self.newton_failures + other.newton_failures,
            evaluations: self.evaluations + other.evaluations,
            jacobians: self.jacobians + other.jacobians,
            factorisations: self.factorisations + other.factorisations,
            newton_iterations: self.newton_iterations + other.newton_iterations,
            colours: self.colours.max(other.colours),
            nonzeros: self.nonzeros.max(other.nonzeros),
            fill: self.fill.max(other.fill),
            stiff_steps: self.stiff_steps + other.stiff_steps,
            to_stiff: self.to_stiff + other.to_stiff,
            to_explicit: self.to_explicit + other.to_explicit,
            stiffness: self.stiffness.max(other.stiffness),
            first_step: other.first_step,
            next_step: other.next_step,
        }
    }
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct End<T> {
    /// Where the run ended: the end of the interval, unless the outcome says otherwise.
    pub t: f64,
    /// The state there.
    pub y: Vec<T>,
    /// Why it ended.
    pub outcome: Outcome,
    /// What it cost.
    pub stats: Stats,
    /// The events whose condition was true at the start already, so that they did not happen there.
    pub true_at_start: Vec<usize>,
    /// The components that have no say in the step size, with what their own errors came to; none
    /// where steps have no error estimates.
    pub unsteered: Vec<Unsteered>,
    /// With what a run that begins here goes on as this one would, see
    /// [`Options::resume`](super::Options::resume); `None` of a run that did not finish, and of methods that
    /// begin anew wherever they land.
    pub carried: Option<Carried>,
}

/// A component that has no say in the step size, and its own error estimate: the steps may have been
/// too long for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsteered {
    /// Its position in the state vector.
    pub component: usize,
    /// The largest magnitude, along the run, of the sum of the estimates of all steps so far. Of a
    /// quadrature, which nothing reads, that is how far the embedded formula's integral is away.
    pub error: f64,
    /// What the steps come to if each errs by its tolerance: their number times `atol + rtol · max |y|`.
    pub tolerance: f64,
}

/// Why a run cannot begin: the request itself makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum Invalid {
    #[error("the state has {found} components, the system {expected}")]
    Dimension { expected: usize, found: usize },
    #[error("the method has {expected} stages, the step {found}")]
    Stages { expected: usize, found: usize },
    #[error("{name} must be finite, found {value}")]
    Time { name: &'static str, value: f64 },
    #[error("{name} must be positive, found {value}")]
    NotPositive { name: &'static str, value: f64 },
    #[error("{name} must not be negative, found {value}")]
    Negative { name: &'static str, value: f64 },
    #[error("rtol and atol are both zero for component {component}")]
    NoTolerance { component: usize },
    #[error("{name} has {found} entries, the system {expected} components")]
    Length { name: &'static str, expected: usize, found: usize },
    #[error("{method} has no error estimate and needs a fixed step size")]
    NoErrorEstimate { method: &'static str },
    #[error("{method} chooses its steps by tolerances")]
    NeedsTolerances { method: &'static str },
}
