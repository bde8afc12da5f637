//! What is suspicious once all numbers are known.

use crate::ad::expand;
use crate::diag::Diagnostic;
use crate::ir::eval::eval;
use crate::ir::func::Func;
use crate::ir::program::Program;
use crate::ir::system::{Condition, System, Trigger, UnknownKind};
use crate::ir::tensor::Tensor;
use crate::sema::errors;

/// W0510 for each condition that is true at the start of a run, with params and data as they are at
/// the beginning. Silent where data are missing or an algebraic unknown is only guessed.
pub(super) fn warnings(program: &Program) -> Vec<Diagnostic> {
    let solves = program.solves.iter().filter(|solve| !program.systems[solve.system].events.is_empty());
    let found = solves.filter_map(|solve| of_solve(program, &program.systems[solve.system], &solve.start));
    found.flatten().collect()
}

fn of_solve(program: &Program, system: &System, start: &Func) -> Option<Vec<Diagnostic>> {
    let outside = outside(program)?;
    let is_guess = |kind: UnknownKind| kind == UnknownKind::Algebraic;
    if start.params.len() != outside.len() || system.states.iter().any(|state| is_guess(state.kind)) {
        return None;
    }
    let known = values(start, &outside)?;
    let t0 = known.first()?.clone();
    // The two ends come first; what follows are states, channels and args.
    let now: Vec<Tensor> =
        [t0.clone(), t0].into_iter().chain(known.into_iter().skip(2)).chain(outside).collect();
    let mut found = Vec::new();
    for event in &system.events {
        let Trigger::When { roots, condition } = &event.trigger else { continue };
        let roots = values(roots, &now)?.pop()?;
        if holds(condition, &roots.data) {
            found.push(errors::true_at_the_start(event.span, &event.name));
        }
    }
    Some(found)
}

/// Params and data as they are at the beginning.
fn outside(program: &Program) -> Option<Vec<Tensor>> {
    let params = program.params.iter().map(|param| Some(Tensor::new(param.ty.clone(), param.init.to_vec())));
    let data = program.data.iter().map(|port| Some(Tensor::new(port.ty.clone(), port.value.clone()?)));
    params.chain(data).collect()
}

fn values(func: &Func, args: &[Tensor]) -> Option<Vec<Tensor>> {
    eval(&expand(func.clone()).ok()?, args).ok()
}

/// Whether a condition holds where its roots have these values.
fn holds(condition: &Condition, roots: &[f64]) -> bool {
    match condition {
        Condition::Root { root, strict: true } => roots[*root] > 0.0,
        Condition::Root { root, strict: false } => roots[*root] >= 0.0,
        Condition::And(a, b) => holds(a, roots) && holds(b, roots),
        Condition::Or(a, b) => holds(a, roots) || holds(b, roots),
        Condition::Not(inner) => !holds(inner, roots),
    }
}
