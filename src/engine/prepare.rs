//! A program together with how each of its systems is solved: what is left to do is to compile it.

use crate::backend;
use crate::backend::cranelift::{Baseline, Cranelift};
use crate::backend::interp::Interp;
use crate::backend::kept::Keeping;
use crate::backend::store::CodeCache;
use crate::diag::{Code, Diagnostic};
use crate::engine::bind::Work;
use crate::engine::controls::{MAX_PROBES, estimator};
use crate::engine::outcome::{jumps, uncompiled};
use crate::ir::program::Program;
use crate::ir::system::Trigger;
use crate::plan::Plan;
use crate::plan::estimate::{Estimator, estimated};
use crate::plan::modes::switched;
use crate::plan::unit::PlanError;
use crate::sema::Checked;
use crate::settings::{Backend, Cpu, Settings, SolveSettings};
use crate::solve::solve::Options;
use std::sync::Arc;

/// A program and how it is solved.
pub(super) struct Prepared {
    pub(super) program: Arc<Program>,
    /// How each system is solved.
    pub(super) solves: Vec<SolveSettings>,
    /// By system.
    pub(super) options: Vec<Options>,
    /// Where code is kept.
    cache: Option<CodeCache>,
}

impl Prepared {
    /// Compiles it.
    pub(super) fn plan(&self, settings: &Settings) -> Result<Plan, PlanError> {
        let native: Arc<dyn backend::Native> = match settings.run.cpu {
            Cpu::Native => Arc::new(Cranelift),
            Cpu::Baseline => Arc::new(Baseline),
        };
        let backend: Arc<dyn backend::Backend> = match (settings.run.backend, &self.cache) {
            (Backend::Cranelift, Some(cache)) => Arc::new(Keeping::new(native, cache.clone())),
            (Backend::Cranelift, None) => native,
            (Backend::Interp, _) => Arc::new(Interp::new(native.target())),
        };
        let methods = self.solves.iter().map(|solve| solve.method).collect();
        let forms = self.solves.iter().map(|solve| solve.jacobian).collect();
        Plan::compile(self.program.clone(), methods, forms, backend)
    }
}

impl Work {
    /// Puts a program together with how its systems are solved: `chosen` gives that by the path of a
    /// system and the name of its item.
    pub(super) fn prepared(
        &mut self,
        mut program: Program,
        checked: &Checked,
        chosen: impl Fn(&str, &str) -> SolveSettings,
    ) -> Option<Prepared> {
        for system in &mut program.systems {
            // Every method that is built wants rates.
            if let Some(rates) = system.rates.take() {
                system.field = rates;
                system.mass = None;
            }
        }
        let instances = checked.model().map_or(&[][..], |model| &model.instances);
        let solves: Vec<SolveSettings> = program
            .systems
            .iter()
            .map(|system| {
                let item = instances.iter().find(|instance| instance.path == system.name);
                chosen(&system.name, item.map_or(&*system.name, |instance| &instance.name))
            })
            .collect();
        let estimators: Vec<Option<Estimator>> = solves.iter().map(estimator).collect();
        if let Some(many) = estimators.iter().flatten().find(|estimator| estimator.probes > MAX_PROBES) {
            let message =
                format!("`solve.trace` asks for {} probes, at most {MAX_PROBES} are drawn", many.probes);
            self.sink.report(Diagnostic::without_span(Code("E0802"), message));
            return None;
        }
        let estimates = |name: &str| {
            let mut systems = program.systems.iter().zip(&estimators);
            systems.any(|(system, estimator)| *system.name == *name && estimator.is_some())
        };
        checked.nonlinear_estimates(&estimates).into_iter().for_each(|message| self.sink.report(message));
        let program = match switched(estimated(program, &estimators)) {
            Ok(program) => Arc::new(self.named(program)),
            Err(error) => {
                self.sink.report(uncompiled(&error));
                return None;
            }
        };
        for jump in program.systems.iter().flat_map(|system| &system.jumps) {
            self.sink.report(jumps(jump.span, jump.why));
        }
        let systems = program.systems.iter().zip(&solves);
        let options = systems.map(|(system, solve)| self.options(solve, system));
        let options = options.collect::<Option<Vec<Options>>>()?;
        if self.sink.has_errors() {
            return None;
        }
        Some(Prepared { program, solves, options, cache: self.cache.clone() })
    }

    /// Calls events that the compiler made by what the file says there.
    fn named(&self, mut program: Program) -> Program {
        for event in program.systems.iter_mut().flat_map(|system| &mut system.events) {
            if let Trigger::Whenever { .. } = event.trigger {
                event.name = self.sources.slice(event.span).into();
            }
        }
        program
    }
}
