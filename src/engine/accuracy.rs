//! How accurate the unknowns are that have no say in the step size: an integral that the steps were
//! too long for is told, in the statistics of a run and by a warning (W0901).

use crate::base::span::Span;
use crate::diag::{Code, Diagnostic};
use crate::engine::outcome::{brief, entry_name, unknown_of};
use crate::plan::Plan;
use crate::plan::forward::Simulation;
use crate::solve::outcome::Unsteered;

/// The error estimate of an entry of a channel, or of a state, that does not steer the step size.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnError {
    /// `work`, `u[1]`; after the name of its system if that is not the main run's: `flow.cost`.
    pub name: String,
    /// The largest magnitude, along the run, of the sum of the estimates of all steps so far.
    pub error: f64,
    /// What the steps come to if each errs by its tolerance, `atol + rtol max |y|`: an unknown that steers
    /// them does not err by more.
    pub tolerance: f64,
    equation: Span,
}

impl OwnError {
    /// The error as a multiple of the tolerance.
    pub fn ratio(&self) -> f64 {
        self.error / self.tolerance
    }

    /// W0901 if the error exceeds the tolerance.
    pub(crate) fn doubt(&self) -> Option<Diagnostic> {
        if self.ratio() <= 1.0 {
            return None;
        }
        let message = format!(
            "`{}` has an error estimate of {}, {} times what its tolerance allows",
            self.name,
            brief(self.error),
            brief(self.ratio())
        );
        let diagnostic =
            Diagnostic::new(Code("W0901"), message, self.equation, "has no say in the step size");
        Some(
            diagnostic
                .help("`solve.error_norm = all` lets it shorten the steps")
                .help("`solve.rtol` and `solve.atol` make all steps shorter"),
        )
    }
}

/// Of all solves of a run, those of several solves of one system by the worst of them.
pub(crate) fn own_errors<T>(plan: &Plan, simulation: &Simulation<T>) -> Vec<OwnError> {
    let mut found = Vec::new();
    for (number, solved) in simulation.solves.iter().enumerate() {
        let Some(solved) = solved else { continue };
        keep_worst(&mut found, of_solve(plan, number, &solved.unsteered));
    }
    found
}

/// Those of solve `number`.
pub(crate) fn of_solve(plan: &Plan, number: usize, unsteered: &[Unsteered]) -> Vec<OwnError> {
    let system = plan.system_of(number);
    let own = unsteered.iter().map(|one| {
        let name = entry_name(system, one.component);
        OwnError {
            name: if plan.program.main == Some(number) { name } else { format!("{}.{name}", system.name) },
            error: one.error,
            tolerance: one.tolerance,
            equation: unknown_of(system, one.component).equation,
        }
    });
    own.collect()
}

/// Takes `more` into `worst`, which keeps of each name the one with the largest ratio.
pub(crate) fn keep_worst(worst: &mut Vec<OwnError>, more: Vec<OwnError>) {
    for one in more {
        match worst.iter_mut().find(|known| known.name == one.name) {
            Some(known) if known.ratio() >= one.ratio() => {}
            Some(known) => *known = one,
            None => worst.push(one),
        }
    }
}
