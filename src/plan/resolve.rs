//! Derivatives asked for in a program, resolved in every function of it.
//!
//! This comes before packing, which makes parts of one vector of the parameters that requests
//! differentiate by.

use crate::ad;
use crate::ir::func::Func;
use crate::ir::program::Program;
use crate::ir::system::{Event, Solve, System, Trigger};
use crate::plan::unit::PlanError;
use std::sync::Arc;

/// `program` with every request for a derivative resolved.
pub(crate) fn resolved(program: Arc<Program>) -> Result<Arc<Program>, PlanError> {
    if !functions(&program).any(ad::expand::asks) {
        return Ok(program);
    }
    let program = Arc::unwrap_or_clone(program);
    let solves = program.solves.into_iter().map(|solve| {
        let (start, times, stops) = (expand(solve.start)?, expand(solve.times)?, expand(solve.stops)?);
        Ok(Solve { start, times, stops, ..solve })
    });
    Ok(Arc::new(Program {
        systems: program.systems.into_iter().map(system).collect::<Result<_, PlanError>>()?,
        solves: solves.collect::<Result<_, PlanError>>()?,
        post: expand(program.post)?,
        observe: expand(program.observe)?,
        draws: expand(program.draws)?,
        ..program
    }))
}

/// Every function that may ask for a derivative.
fn functions(program: &Program) -> impl Iterator<Item = &Func> {
    let motions = program.systems.iter().flat_map(|system| {
        let times = system.events.iter().filter_map(|event| match &event.trigger {
            Trigger::Every(times) | Trigger::At(times) => Some(times),
            Trigger::When { .. } | Trigger::Whenever { .. } => None,
        });
        system.motion().chain(times)
    });
    let solves = program.solves.iter().flat_map(|solve| [&solve.start, &solve.times, &solve.stops]);
    motions.chain(solves).chain([&program.post, &program.observe, &program.draws])
}

/// A system with every request in its motion resolved.
pub(super) fn system(system: System) -> Result<System, PlanError> {
    let optional = |func: Option<Func>| func.map(expand).transpose();
    Ok(System {
        field: expand(system.field)?,
        mass: optional(system.mass)?,
        diffusion: optional(system.diffusion)?,
        events: system.events.into_iter().map(event).collect::<Result<_, PlanError>>()?,
        ..system
    })
}

fn event(event: Event) -> Result<Event, PlanError> {
    let trigger = match event.trigger {
        Trigger::When { roots, condition } => Trigger::When { roots: expand(roots)?, condition },
        Trigger::Whenever { roots, condition } => Trigger::Whenever { roots: expand(roots)?, condition },
        Trigger::Every(dt) => Trigger::Every(expand(dt)?),
        Trigger::At(times) => Trigger::At(expand(times)?),
    };
    Ok(Event { trigger, jump: expand(event.jump)?, ..event })
}

fn expand(func: Func) -> Result<Func, PlanError> {
    Ok(ad::expand(func)?)
}
