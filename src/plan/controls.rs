//! How runs are made, and why one gave no result.

use crate::plan::trace::Keep;
use crate::plan::unit::PlanError;
use crate::solve::outcome::{Invalid, Outcome, Stats};
use crate::solve::solve::Options;

/// How a run is made and what it keeps.
#[derive(Clone, Debug)]
pub struct Controls {
    /// Steps and tolerances, by system.
    pub options: Vec<Options>,
    /// The seed of everything random.
    pub seed: u64,
    /// What is saved of the main run besides its evaluation sites.
    pub save: Save,
    /// How gradients pass through, by system.
    pub adjoints: Vec<Adjoint>,
}

/// How gradients pass through a solve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Adjoint {
    /// Back through the steps that were taken: exact for these, every step kept.
    Discrete,
    /// The same gradient, but so many states are kept (at least 2), and steps are computed again.
    Checkpoint(usize),
    /// The adjoint equation is solved backwards together with the states.
    Backsolve(Backsolve),
    /// The adjoint equation alone is solved backwards, along the path that the forward pass took.
    Interpolating(Interpolating),
    /// No way back: the derivatives of the states travel with the states.
    Forward,
}

/// How the adjoint equation is solved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backsolve {
    /// What steers its step size.
    pub norm: BackNorm,
    /// Relative tolerance; otherwise that of the solve.
    pub rtol: Option<f64>,
    /// Absolute tolerance; otherwise that of the solve.
    pub atol: Option<f64>,
}

/// How the adjoint equation is solved along a known path.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Interpolating {
    /// Relative tolerance; otherwise that of the solve.
    pub rtol: Option<f64>,
    /// Absolute tolerance; otherwise that of the solve.
    pub atol: Option<f64>,
}

/// What goes back for a gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returning {
    /// The adjoint equation with the states.
    Alone,
    /// The adjoint equation along the path of the forward pass.
    Along,
    /// The steps of the forward pass.
    Again,
}

/// What steers the step size of a backward solve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackNorm {
    /// States, their cotangents, and the cotangents of args and params.
    Default,
    /// States and their cotangents. The others are integrals that nothing reads. Source: Kidger,
    /// Chen, Lyons, "Hey, that's not an ODE": Faster ODE Adjoints via Seminorms, ICML 2021.
    Seminorm,
}

impl Adjoint {
    /// Its name as a setting.
    pub fn name(self) -> &'static str {
        match self {
            Adjoint::Discrete => "discrete",
            Adjoint::Checkpoint(_) => "checkpoint",
            Adjoint::Backsolve(_) => "backsolve",
            Adjoint::Interpolating(_) => "interpolating",
            Adjoint::Forward => "forward",
        }
    }

    /// What the forward pass must keep.
    pub(crate) fn keep(self) -> Keep {
        match self {
            Adjoint::Discrete => Keep::Every,
            Adjoint::Interpolating(_) => Keep::Path,
            Adjoint::Checkpoint(count) => Keep::AtMost(count.max(2)),
            Adjoint::Backsolve(_) | Adjoint::Forward => Keep::AtMost(1),
        }
    }
}

/// Times at which the state is kept for output.
#[derive(Clone, Debug, PartialEq)]
pub enum Save {
    /// None.
    Nothing,
    /// The start and the end of every accepted step.
    Steps,
    /// From the start to the end at this distance; the end is always among them.
    Every(f64),
    /// These.
    At(Vec<f64>),
}

/// Why a run gave no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// It could not be compiled.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The request makes no sense.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// A solve ended early.
    #[error("the run ended early: {:?}", .0.outcome)]
    Outcome(Box<Stuck>),
    /// The solve that goes back for a gradient ended early.
    #[error("the solve back for the gradient ended early: {:?}", .outcome)]
    GoingBack {
        /// The solve whose adjoint equation it is.
        solve: usize,
        /// What was going back.
        by: Returning,
        /// How it ended; components are states, then their cotangents, then those of args and params.
        outcome: Outcome,
    },
    /// The solve that carries sensitivities along ended early.
    #[error("the solve with its sensitivities ended early: {:?}", .outcome)]
    Carrying {
        /// Which solve.
        solve: usize,
        /// How it ended; components are states and their sensitivities, then channels and theirs.
        outcome: Outcome,
    },
    /// The time of an event has no derivative.
    #[error("the condition of an event touches its limit at {t} and does not pass it")]
    Grazes {
        /// Which solve.
        solve: usize,
        /// Which event of its system.
        event: usize,
        /// When.
        t: f64,
    },
    /// A trajectory is wanted at a time the run does not cover.
    #[error("a trajectory is evaluated at {time}, outside the run from {t0} to {t1}")]
    OutsideRun {
        /// Which solve.
        solve: usize,
        /// Which of its evaluation sites.
        site: usize,
        /// The time wanted.
        time: f64,
        /// Start of the run.
        t0: f64,
        /// End of the run.
        t1: f64,
    },
    /// The grid of saved times has more rows than can be kept.
    #[error("saving every {dt} asks for {count} rows, at most {allowed} are kept")]
    TooManySaves {
        /// The distance of two rows.
        dt: f64,
        /// The rows that it asks for.
        count: u64,
        /// The rows that are kept.
        allowed: u64,
    },
    /// A saved time the run does not cover.
    #[error("`solve.save` asks for t = {time}, outside the run from {t0} to {t1}")]
    SaveOutsideRun {
        /// The time wanted.
        time: f64,
        /// Start of the run.
        t0: f64,
        /// End of the run.
        t1: f64,
    },
}

/// A solve that ended early: how, what it cost, and what it stood on.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// Which solve.
    pub solve: usize,
    /// How it ended.
    pub outcome: Outcome,
    /// What it cost.
    pub stats: Stats,
    /// The last state, states then channels.
    pub y: Vec<f64>,
    /// The solve's args, `[A]`.
    pub args: Vec<f64>,
    /// The operands of the solve's start: `known.., p, data..`.
    pub given: Vec<Vec<f64>>,
    /// How many of them are data.
    pub n_data: usize,
}

impl Stuck {
    /// The data, by port.
    pub fn data(&self) -> impl Iterator<Item = &Vec<f64>> {
        self.given[self.given.len() - self.n_data..].iter()
    }
}

/// More rows than this are a slip of the pen: ten million fill no plot.
const MAX_SAVED: u64 = 10_000_000;

/// The times of a grid, checked against the run.
pub(crate) fn save_times(save: &Save, (t0, t1): (f64, f64)) -> Result<Vec<f64>, Failure> {
    match save {
        Save::Nothing | Save::Steps => Ok(Vec::new()),
        Save::Every(dt) => {
            let dt = dt.abs() * (t1 - t0).signum();
            // A ratio that is whole but for rounding counts as whole.
            let whole = ((t1 - t0) / dt * (1.0 + 1e-12)).floor() as u64;
            if whole >= MAX_SAVED {
                return Err(Failure::TooManySaves { dt: dt.abs(), count: whole + 1, allowed: MAX_SAVED });
            }
            let mut times: Vec<f64> = (0..=whole).map(|i| t0 + i as f64 * dt).collect();
            match times.last_mut() {
                Some(last) if (*last - t1).abs() <= 1e-9 * dt.abs() => *last = t1,
                Some(_) | None => times.push(t1),
            }
            Ok(times)
        }
        Save::At(times) => {
            let outside = |time: &&f64| !(t0.min(t1)..=t0.max(t1)).contains(*time);
            match times.iter().find(outside) {
                Some(time) => Err(Failure::SaveOutsideRun { time: *time, t0, t1 }),
                None => Ok(times.clone()),
            }
        }
    }
}
