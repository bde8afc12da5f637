//! Which gradients pass through which methods: the one place where that is decided.

use crate::ir::system::SiteKind;
use crate::plan::Plan;
use crate::plan::controls::{Adjoint, Interpolating};
use crate::plan::kernels::rate;
use crate::plan::tangents::AT_ONCE;
use crate::plan::unit::PlanError;
use crate::solve::method::{Kind, Stiff};

/// Equations of larger systems are not solved anew: every entry of their derivatives would be kept, for
/// each stage.
const MOST_STATES: usize = 1_000;

impl Plan {
    /// The way that a gradient takes through `system` if nobody says which. Back through the steps
    /// wherever that is possible: it is exact and its cost does not grow with the params. Otherwise
    /// forward, if one solve carries them all, or along the path.
    pub fn usual_adjoint(&self, system: usize) -> Adjoint {
        let back = |adjoint: Adjoint| {
            let mut solves =
                (0..self.layout.solves.len()).filter(|at| self.layout.solves[*at].system == system);
            solves.all(|solve| self.check_reversible(solve, adjoint).is_ok())
        };
        let along = Adjoint::Interpolating(Interpolating::default());
        if back(Adjoint::Discrete) {
            Adjoint::Discrete
        } else if self.carries(system) && (self.layout.n_params <= AT_ONCE || !back(along)) {
            Adjoint::Forward
        } else if back(along) {
            along
        } else {
            // Refused in words when a gradient is asked for.
            Adjoint::Discrete
        }
    }

    /// Refuses what `adjoint` cannot go back through.
    pub(crate) fn check_reversible(&self, solve: usize, adjoint: Adjoint) -> Result<(), PlanError> {
        self.check_jumps(solve)?;
        let system = self.layout.solves[solve].system;
        let has_rates = self.every_state_has_a_rate(system);
        match adjoint {
            Adjoint::Discrete | Adjoint::Checkpoint(_) => match self.methods[system].kind {
                Kind::Explicit(_) => Ok(()),
                Kind::Stiff(Stiff::Radau5 | Stiff::Rodas5p | Stiff::Gauss(_)) => {
                    self.check_constraints(solve, adjoint)
                }
                Kind::Stiff(Stiff::Dirk(_)) => {
                    let sites = &self.program.solves[solve].sites;
                    if !has_rates && sites.iter().any(|site| site.kind == SiteKind::Times) {
                        let what = "times inside the run, with this method and constraints,";
                        let span = self.program.solves[solve].span;
                        return Err(PlanError::NotThrough { adjoint: adjoint.name(), what, span });
                    }
                    self.check_constraints(solve, adjoint)
                }
                Kind::Stochastic(_) => self.check_noise(solve, adjoint),
                Kind::Stiff(Stiff::Bdf)
                | Kind::Multistep
                | Kind::Taylor { .. }
                | Kind::Auto(_)
                | Kind::Symplectic(_)
                | Kind::Reversible(_) => Err(self.no_way(system, adjoint)),
            },
            Adjoint::Backsolve(_) => match self.methods[system].kind {
                Kind::Explicit(_) => Ok(()),
                Kind::Stiff(_)
                | Kind::Multistep
                | Kind::Taylor { .. }
                | Kind::Auto(_)
                | Kind::Symplectic(_)
                | Kind::Reversible(_)
                | Kind::Stochastic(_) => Err(self.no_way(system, adjoint)),
            },
            Adjoint::Interpolating(_) => match self.methods[system].kind {
                Kind::Explicit(_)
                | Kind::Stiff(_)
                | Kind::Multistep
                | Kind::Taylor { .. }
                | Kind::Auto(_)
                | Kind::Symplectic(_)
                | Kind::Reversible(_)
                    if has_rates =>
                {
                    Ok(())
                }
                Kind::Explicit(_)
                | Kind::Stiff(_)
                | Kind::Multistep
                | Kind::Taylor { .. }
                | Kind::Auto(_)
                | Kind::Symplectic(_)
                | Kind::Reversible(_)
                | Kind::Stochastic(_) => Err(self.no_way(system, adjoint)),
            },
            Adjoint::Forward => crate::bug!("a gradient that goes forward is on its way back"),
        }
    }

    /// A path of noise has no slope: what moves in time would have none either.
    fn check_noise(&self, solve: usize, adjoint: Adjoint) -> Result<(), PlanError> {
        let of = self.system_of(solve);
        let refused = |what, span| Err(PlanError::NotThrough { adjoint: adjoint.name(), what, span });
        if let Some(event) = of.events.first() {
            return refused("events of a system with noise", event.span);
        }
        if self.moving(solve).any() {
            let what = "times that depend on params, in a system with noise,";
            return refused(what, self.program.solves[solve].span);
        }
        Ok(())
    }

    /// Whether sensitivities travel through `system`.
    fn carries(&self, system: usize) -> bool {
        let travels = match self.methods[system].kind {
            Kind::Explicit(_)
            | Kind::Stiff(_)
            | Kind::Multistep
            | Kind::Taylor { .. }
            | Kind::Auto(_)
            | Kind::Symplectic(_)
            | Kind::Reversible(_) => true,
            Kind::Stochastic(_) => false,
        };
        let mut solves = (0..self.layout.solves.len()).filter(|at| self.layout.solves[*at].system == system);
        travels && solves.all(|solve| self.check_constraints(solve, Adjoint::Forward).is_ok())
    }

    /// Refuses a mass matrix that depends on params, and, where a state has no rate of its own, events
    /// and times that move.
    pub(crate) fn check_constraints(&self, solve: usize, adjoint: Adjoint) -> Result<(), PlanError> {
        let system = self.layout.solves[solve].system;
        let of = &self.program.systems[system];
        let refused = |what, span| Err(PlanError::NotThrough { adjoint: adjoint.name(), what, span });
        if adjoint != Adjoint::Forward && self.layout.systems[system].n_states > MOST_STATES {
            return refused("an implicit method for more than 1000 states", self.program.solves[solve].span);
        }
        let first = of.states.first().map(|state| state.equation);
        if let (Some(mass), Some(span)) = (&self.funcs.packed.motions[system].mass, first) {
            let read = mass.reads(0..mass.results.len());
            if read[rate::Y] || read[rate::A] || read[rate::Q] {
                return refused("a mass matrix that depends on params", span);
            }
        }
        if self.every_state_has_a_rate(system) {
            return Ok(());
        }
        if let Some(event) = of.events.first() {
            return refused("events of a system with constraints", event.span);
        }
        if self.moving(solve).any() {
            let what = "times that depend on params, in a system with constraints,";
            return refused(what, self.program.solves[solve].span);
        }
        Ok(())
    }

    /// Whether the field gives the rates of all states.
    pub(crate) fn every_state_has_a_rate(&self, system: usize) -> bool {
        let of = &self.program.systems[system];
        of.mass.is_none() && !of.constraints.contains(&true)
    }

    /// Refuses to differentiate across a jump that no step ends at. Where its place is fixed, nothing
    /// moves, but nothing holds the derivatives to a tolerance either.
    pub(crate) fn check_jumps(&self, solve: usize) -> Result<(), PlanError> {
        match self.system_of(solve).jumps.first() {
            Some(jump) => Err(PlanError::Jump { span: jump.span, why: jump.why }),
            None => Ok(()),
        }
    }

    /// The refusal, which names the ways that there are.
    pub(crate) fn no_way(&self, system: usize, adjoint: Adjoint) -> PlanError {
        let method = &self.methods[system];
        let has_rates = self.every_state_has_a_rate(system);
        let others = match method.kind {
            Kind::Explicit(_) => "`solve.adjoint = discrete` does",
            Kind::Stochastic(_) => "`solve.adjoint = discrete` does",
            Kind::Stiff(Stiff::Radau5 | Stiff::Rodas5p | Stiff::Dirk(_) | Stiff::Gauss(_)) if has_rates => {
                "`solve.adjoint = discrete`, `interpolating()` and `forward` do"
            }
            Kind::Stiff(Stiff::Radau5 | Stiff::Rodas5p | Stiff::Dirk(_) | Stiff::Gauss(_)) => {
                "`solve.adjoint = discrete` and `forward` do"
            }
            Kind::Stiff(Stiff::Bdf)
            | Kind::Multistep
            | Kind::Taylor { .. }
            | Kind::Auto(_)
            | Kind::Symplectic(_)
            | Kind::Reversible(_)
                if has_rates =>
            {
                "`solve.adjoint = forward` and `interpolating()` do"
            }
            Kind::Stiff(Stiff::Bdf)
            | Kind::Multistep
            | Kind::Taylor { .. }
            | Kind::Auto(_)
            | Kind::Symplectic(_)
            | Kind::Reversible(_) => "`solve.adjoint = forward` does",
        };
        PlanError::MethodNotDifferentiated { method: method.name, adjoint: adjoint.name(), others }
    }
}
