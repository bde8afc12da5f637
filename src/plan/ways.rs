//! Which gradients pass through which methods: the one place where that is decided.

use crate::plan::Plan;
use crate::plan::controls::Adjoint;
use crate::plan::unit::PlanError;
use crate::solve::method::Kind;

impl Plan {
    /// Refuses what `adjoint` cannot go back through.
    pub(crate) fn check_reversible(&self, solve: usize, adjoint: Adjoint) -> Result<(), PlanError> {
        self.check_jumps(solve)?;
        let (system, method) = (self.layout.solves[solve].system, self.method(solve));
        let goes = match (method.kind, adjoint) {
            (_, Adjoint::Forward) => crate::bug!("a gradient that goes forward is on its way back"),
            (Kind::Stochastic(_), _) => false,
            (Kind::Explicit(_), _) => true,
            (
                Kind::Stiff(_)
                | Kind::Multistep
                | Kind::Taylor { .. }
                | Kind::Auto(_)
                | Kind::Symplectic(_)
                | Kind::Reversible(_),
                Adjoint::Interpolating(_),
            ) => self.every_state_has_a_rate(system),
            (
                Kind::Stiff(_)
                | Kind::Multistep
                | Kind::Taylor { .. }
                | Kind::Auto(_)
                | Kind::Symplectic(_)
                | Kind::Reversible(_),
                Adjoint::Discrete | Adjoint::Checkpoint(_) | Adjoint::Backsolve(_),
            ) => false,
        };
        if goes { Ok(()) } else { Err(self.no_way(system, adjoint)) }
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
            Kind::Stochastic(_) => "noise has no gradients yet: nothing stands in for them",
            Kind::Auto(_) if has_rates => "`solve.adjoint = interpolating()` does",
            Kind::Auto(_) => "`solve.adjoint = forward` with radau5, rodas5p or bdf does",
            Kind::Stiff(_)
            | Kind::Multistep
            | Kind::Taylor { .. }
            | Kind::Symplectic(_)
            | Kind::Reversible(_)
                if has_rates =>
            {
                "`solve.adjoint = forward` and `interpolating()` do, every way with explicit methods: tsit5, dopri5"
            }
            Kind::Stiff(_)
            | Kind::Multistep
            | Kind::Taylor { .. }
            | Kind::Symplectic(_)
            | Kind::Reversible(_) => "`solve.adjoint = forward` does, through constraints as well",
        };
        PlanError::MethodNotDifferentiated { method: method.name, adjoint: adjoint.name(), others }
    }
}
