//! Settings of a solve as the plan takes them.

use crate::ir::program::Draw;
use crate::ir::system::{System, Unknown};
use crate::plan::Plan;
use crate::plan::controls::{Adjoint, BackNorm, Backsolve, Interpolating};
use crate::plan::estimate::Estimator;
use crate::settings::{self, ErrorNorm, NormChoice, SolveSettings};
use crate::solve::control::{Adaptive, Atol, Errors, Norm};

/// More probes than this cost more than the exact trace.
pub(super) const MAX_PROBES: usize = 1_000;

/// How traces in the motion of a system that is solved so are estimated.
pub(super) fn estimator(solve: &SolveSettings) -> Option<Estimator> {
    match solve.trace {
        settings::Trace::Exact => None,
        settings::Trace::Hutchinson { gaussian, probes } => Some(Estimator {
            draw: if gaussian { Draw::Normal } else { Draw::Rademacher },
            probes: usize::try_from(probes).unwrap_or(usize::MAX),
        }),
    }
}

/// How gradients pass through the systems of `plan`, which are solved so.
pub(super) fn adjoints(plan: &Plan, solves: &[SolveSettings]) -> Vec<Adjoint> {
    solves.iter().enumerate().map(|(system, solve)| adjoint(plan, system, solve)).collect()
}

fn adjoint(plan: &Plan, system: usize, solve: &SolveSettings) -> Adjoint {
    match solve.adjoint {
        settings::Adjoint::Auto => plan.usual_adjoint(system),
        settings::Adjoint::Discrete => Adjoint::Discrete,
        settings::Adjoint::Checkpoint(count) => {
            Adjoint::Checkpoint(usize::try_from(count).unwrap_or(usize::MAX))
        }
        settings::Adjoint::Backsolve { seminorm, rtol, atol } => {
            let norm = if seminorm { BackNorm::Seminorm } else { BackNorm::Default };
            Adjoint::Backsolve(Backsolve { norm, rtol, atol })
        }
        settings::Adjoint::Interpolating { rtol, atol } => {
            Adjoint::Interpolating(Interpolating { rtol, atol })
        }
        settings::Adjoint::Forward => Adjoint::Forward,
    }
}

/// What the steps of `system` are steered by.
pub(super) fn adaptive(solve: &SolveSettings, system: &System) -> Adaptive {
    let n_states: usize = system.states.iter().map(|state| state.ty.shape.count()).sum();
    let unknowns = || system.states.iter().chain(&system.channels);
    let errors = match &solve.error_norm {
        ErrorNorm::States => Errors::States(n_states),
        ErrorNorm::All => Errors::All,
        ErrorNorm::Of(names) => {
            let named = |unknown: &Unknown| names.iter().any(|(name, _)| **name == *unknown.name);
            let each = unknowns().flat_map(|one| std::iter::repeat_n(named(one), one.ty.shape.count()));
            Errors::Mask(each.collect())
        }
    };
    let norm = match solve.norm {
        NormChoice::Rms => Norm::Rms,
        NormChoice::Max => Norm::Max,
        NormChoice::PerState => {
            let each = unknowns().enumerate();
            let each = each.flat_map(|(block, one)| std::iter::repeat_n(block, one.ty.shape.count()));
            Norm::Blocks(each.collect())
        }
    };
    let adaptive = Adaptive {
        atol: tolerances(solve, system),
        errors,
        norm,
        first_step: solve.dt,
        max_step: solve.dt_max.unwrap_or(f64::INFINITY),
        min_step: solve.dt_min.unwrap_or(0.0),
        ..Adaptive::new(solve.rtol, solve.atol, n_states)
    };
    solve.steering.apply(&solve.method, adaptive)
}

/// The absolute tolerance of each component.
fn tolerances(solve: &SolveSettings, system: &System) -> Atol {
    if solve.atol_states.is_empty() {
        return Atol::Scalar(solve.atol);
    }
    let own = |name: &str| solve.atol_states.iter().rev().find(|own| own.state == name);
    let unknowns = system.states.iter().chain(&system.modes).chain(&system.channels);
    let each = unknowns.flat_map(|unknown| {
        let atol = own(&unknown.name).map_or(solve.atol, |own| own.value);
        std::iter::repeat_n(atol, unknown.ty.shape.count())
    });
    Atol::PerComponent(each.collect())
}
