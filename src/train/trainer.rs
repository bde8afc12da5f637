//! Fitting: the objective of a run, lowered by an optimiser in free space.
//!
//! [`Run::fit`] minimises losses, likelihoods and priors over the params, each moved to free space
//! by the bijection of its set, and leaves the run at the best point. Where the objective is minus
//! a log-density, the inverse of its Hessian there gives the standard errors.

use crate::diag::{Code, Diagnostic};
use crate::engine::{Diagnostics, Error, ParamValue, Run, Solution};
use crate::ir::program::{Param, Role};
use crate::plan::controls::{Controls, Failure, Save};
use crate::plan::objective::{Evaluation, Objective};
use crate::plan::pack::Target;
use crate::plan::scale::unconstrained;
use crate::plan::unit::{Element, PlanError};
use crate::settings::Precision;
use crate::train::{Covariance, Minimum, NotPositiveDefinite, Progress, Why};
use std::ops::{AddAssign, ControlFlow};
use std::time::{Duration, Instant};

/// Fits with more free numbers than this have no standard errors: the Hessian costs a pass through
/// the solve for each.
pub const MAX_HESSIAN_PARAMS: usize = 200;

/// The result of a fit.
#[derive(Clone)]
pub struct Fit {
    /// The params at the end, on their declared scale.
    pub params: Vec<ParamValue>,
    /// The standard error of each entry of `params`, or why there are none.
    pub errors: Result<Vec<ParamValue>, NoErrors>,
    /// The matrix that they are from.
    pub curvature: Curvature,
    /// The objective at the end.
    pub objective: f64,
    /// The run at the end, with every term of the objective.
    pub solution: Solution,
    /// Steps of the optimiser.
    pub steps: u64,
    /// Evaluations of objective and gradient.
    pub gradient_evaluations: u64,
    /// Largest magnitude in the gradient in free space.
    pub gradient_norm: f64,
    /// Why it ended.
    pub why: Why,
    /// How long the fit took, compilation of the derivatives included.
    pub time: Duration,
}

/// A matrix of second derivatives of the objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curvature {
    /// All of them.
    Hessian,
    /// Without those of the solves, where these are not to be had: through implicit methods, events,
    /// and times that depend on params. The smaller the residuals of a fit, the less is missing.
    GaussNewton,
}

/// Why a fit has no standard errors.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoErrors {
    /// The objective is not minus a log-density.
    #[error("the objective has a `loss` that is no likelihood, so its curvature is no precision")]
    NotADensity,
    /// Too many params.
    #[error("the model has {0} free numbers; standard errors are computed for at most {MAX_HESSIAN_PARAMS}")]
    TooMany(usize),
    /// Neither second derivatives nor sensitivities pass through the run.
    #[error("second derivatives of this run are not supported yet")]
    NotOffered,
    /// The point is no proper minimum.
    #[error("the data do not determine the params: {0}")]
    Undetermined(NotPositiveDefinite),
}

impl Run {
    /// Minimises the training objective over the params, as `train` settings say, and leaves the
    /// run at the point it ends at. `on_step` sees every step and may end the fit there.
    ///
    /// Refused for a model without a loss or without params (E0807); fails if the model cannot be
    /// solved where it starts. A trial point where it cannot be solved is stepped back from.
    pub fn fit(&mut self, mut on_step: impl FnMut(&Progress<'_>) -> ControlFlow<()>) -> Result<Fit, Error> {
        self.check_can_fit()?;
        match self.settings().run.precision {
            Precision::F64 => self.fit_in::<f64>(&mut on_step),
            Precision::F32 => self.fit_in::<f32>(&mut on_step),
        }
    }

    pub(super) fn check_can_fit(&self) -> Result<(), Error> {
        let has_objective = self.program().results.iter().any(|result| match result.role {
            Role::Loss | Role::Likelihood => true,
            Role::Prior | Role::Metric | Role::Output | Role::Plot => false,
        });
        self.check_one_run()?;
        let (message, help) = if !has_objective {
            (
                "there is nothing to fit: the model has no loss",
                "add `loss name = ...` or a likelihood, `data ~ ...`",
            )
        } else if self.program().params.is_empty() {
            ("there is nothing to fit: the model has no params", "declare what is to be fitted as `param`")
        } else {
            return Ok(());
        };
        Err(self.invalid(Diagnostic::without_span(Code("E0807"), message).help(help)))
    }

    fn fit_in<T: Element + AddAssign>(
        &mut self,
        on_step: &mut dyn FnMut(&Progress<'_>) -> ControlFlow<()>,
    ) -> Result<Fit, Error> {
        let begun = Instant::now();
        let parts = self.parts().clone();
        let controls = Controls { save: Save::Nothing, ..parts.controls.clone() };
        let objective = Objective::new(&parts.plan, &parts.data, &controls, Target::Total);
        let start = self.free_params()?;
        // Say why at once if it cannot be solved, or differentiated, where it starts.
        let first = objective.at(&rounded::<T>(&start)).map_err(|failure| self.failed(&failure))?;
        objective.gradient(&rounded::<T>(&start), &first).map_err(|failure| self.failed(&failure))?;

        let mut value_and_gradient = |u: &[f64], gradient: &mut [f64]| -> f64 {
            let u = rounded::<T>(u);
            let evaluated = objective.at(&u).and_then(|at| Ok((objective.gradient(&u, &at)?, at.value)));
            match evaluated {
                Ok((by_u, value)) => {
                    gradient.iter_mut().zip(by_u).for_each(|(out, g)| *out = g.to_f64());
                    value
                }
                Err(_) => {
                    gradient.fill(f64::NAN);
                    f64::NAN
                }
            }
        };
        let train = &parts.settings.train;
        let minimum = train.method().minimise(&mut value_and_gradient, &start, &train.limits(), on_step);

        let u = rounded::<T>(&minimum.x);
        let at = objective.at(&u).map_err(|failure| self.failed(&failure))?;
        self.set_params(at.p.iter().map(|p| p.to_f64()).collect());
        let errors = self.standard_errors(&objective, &u, &at).map_err(|failure| self.failed(&failure))?;
        let solution = self.solve()?;
        let Minimum { value, steps, evaluations, why, .. } = minimum;
        Ok(Fit {
            params: self.params(),
            curvature: errors.as_ref().map_or(Curvature::Hessian, |(_, curvature)| *curvature),
            errors: errors.map(|(errors, _)| errors),
            objective: value,
            solution,
            steps,
            gradient_evaluations: evaluations,
            gradient_norm: minimum.gradient_norm(),
            why,
            time: begun.elapsed(),
        })
    }

    /// The params in free space, `[F]`. Refused (E0806) where one stands on the border of its set,
    /// as an earlier fit may have left it when it drove the param there.
    pub(super) fn free_params(&self) -> Result<Vec<f64>, Error> {
        let declared: Vec<f64> = self.params().into_iter().flat_map(|param| param.values).collect();
        unconstrained(self.program(), &declared).map_err(|param| {
            let found = self.params().into_iter().find(|known| known.path == param.path);
            self.invalid(on_the_border(param, &found.map_or(Vec::new(), |found| found.values)))
        })
    }

    pub(super) fn invalid(&self, diagnostic: Diagnostic) -> Error {
        Error::Invalid(Diagnostics::new(vec![diagnostic], self.parts().sources.clone()))
    }

    /// At a minimum the covariance in free space is the inverse Hessian `H⁻¹`; a number `p(u)` among
    /// the params has the standard error `√(gᵀ H⁻¹ g)` with `g = dp/du` (delta method, exact to first
    /// order).
    fn standard_errors<T: Element + AddAssign>(
        &self,
        objective: &Objective<'_>,
        u: &[T],
        at: &Evaluation<T>,
    ) -> Result<Result<(Vec<ParamValue>, Curvature), NoErrors>, Failure> {
        let roles = self.program().results.iter().map(|result| result.role);
        if roles.clone().any(|role| role == Role::Loss) {
            return Ok(Err(NoErrors::NotADensity));
        }
        if u.len() > MAX_HESSIAN_PARAMS {
            return Ok(Err(NoErrors::TooMany(u.len())));
        }
        let (hessian, curvature) = match objective.hessian(u, at) {
            Ok(hessian) => (hessian, Curvature::Hessian),
            Err(Failure::Plan(
                PlanError::NoHessian { .. }
                | PlanError::NoHessianThroughEvents { .. }
                | PlanError::NoHessianThroughMethod { .. },
            )) => match objective.gauss_newton(u, at) {
                Ok(matrix) => (matrix, Curvature::GaussNewton),
                Err(
                    Failure::Plan(PlanError::MethodNotDifferentiated { .. } | PlanError::NotThrough { .. })
                    | Failure::Carrying { .. },
                ) => return Ok(Err(NoErrors::NotOffered)),
                Err(failure) => return Err(failure),
            },
            Err(failure) => return Err(failure),
        };
        let covariance = match Covariance::from_hessian(&hessian, u.len()) {
            Ok(covariance) => covariance,
            Err(error) => return Ok(Err(NoErrors::Undetermined(error))),
        };
        let mut unit = vec![T::default(); at.p.len()];
        let mut errors = Vec::with_capacity(unit.len());
        for entry in 0..unit.len() {
            unit[entry] = T::from_f64(1.0);
            let gradient = objective.free_cotangent(u, &unit)?;
            unit[entry] = T::default();
            let gradient: Vec<f64> = gradient.into_iter().map(T::to_f64).collect();
            errors.push(covariance.standard_error_of(&gradient));
        }
        Ok(Ok((self.by_path(&errors), curvature)))
    }
}

fn on_the_border(param: &Param, values: &[f64]) -> Diagnostic {
    let values: Vec<String> = values.iter().map(f64::to_string).collect();
    let message = format!("param `{}` stands at {}, on the border of its set", param.path, values.join(", "));
    Diagnostic::new(Code("E0806"), message, param.span, "a fit cannot move it from there")
        .help("set it to a value inside")
}

fn rounded<T: Element>(values: &[f64]) -> Vec<T> {
    values.iter().map(|value| T::from_f64(*value)).collect()
}
