//! What a program may hold and a plan cannot integrate yet: said, rather than integrated wrongly.

use crate::diag::Diagnostic;
use crate::ir::program::Program;
use crate::ir::system::{System, UnknownKind};
use crate::sema::errors::not_yet;

/// A message for each part that no method integrates yet.
pub(super) fn unbuilt(program: &Program) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for system in &program.systems {
        for event in &system.events {
            let instead = "split the run at the jumps, or smooth them in the equations";
            found.push(not_yet(event.span, "integration through events is", instead));
        }
        for noise in &system.noises {
            let instead = "leave the noise out for the deterministic system";
            found.push(not_yet(noise.span, "integration of noise is", instead));
        }
        found.extend(without_rates(system));
    }
    found
}

fn without_rates(system: &System) -> Option<Diagnostic> {
    let unknown = system.states.iter().find(|state| state.kind == UnknownKind::Algebraic);
    let unknown = unknown.or_else(|| {
        let mut entry = 0;
        system.states.iter().find(|state| {
            entry += state.ty.shape.count();
            system.constraints[entry - state.ty.shape.count()..entry].contains(&true)
        })
    });
    if let Some(unknown) = unknown {
        let instead = "solve the constraint by hand and name the result with `let`";
        return Some(not_yet(unknown.span, "integration with constraints is", instead));
    }
    if system.mass.is_none() || system.rates.is_some() {
        return None;
    }
    let span = system.states.first()?.span;
    let instead = "solve the lines for their primes by hand";
    Some(not_yet(span, "integration with a mass matrix of this size is", instead))
}
