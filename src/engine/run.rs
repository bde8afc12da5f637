//! A compiled model with its numbers: solve it, differentiate it.

use crate::base::span::{SourceId, Sources};
use crate::data::Part;
use crate::diag::{Code, Diagnostic};
use crate::engine::accuracy::OwnError;
use crate::engine::axes::Axes;
use crate::engine::dataset::{DataFile, Dataset};
use crate::engine::diagnostics::{Diagnostics, Error};
use crate::engine::example::{self, At};
use crate::engine::outcome::{Given, diagnose, uncompiled};
use crate::engine::solution::{Checkpoint, Solution, solution};
use crate::ir::program::{DataPort, Examples, Program};
use crate::plan::Plan;
use crate::plan::adjoint::Cost;
use crate::plan::controls::{Controls, Failure, Save};
use crate::plan::objective::Objective;
use crate::plan::operands::Context;
use crate::plan::pack::Target;
use crate::plan::unit::{Data, Element};
use crate::settings::{Precision, Settings};
use std::ops::AddAssign;
use std::sync::Arc;

/// A compiled model with params, data and settings. Cheap to clone; clones share the code.
#[derive(Clone)]
pub struct Run {
    parts: RunParts,
    /// What its runs differ in, if there are many.
    axes: Option<Arc<Axes>>,
}

#[derive(Clone)]
pub(crate) struct RunParts {
    pub plan: Arc<Plan>,
    pub data: Arc<Data>,
    pub controls: Controls,
    pub settings: Arc<Settings>,
    /// On the declared scale, `[P]`.
    pub params: Vec<f64>,
    pub dataset: Arc<Dataset>,
    pub warnings: Vec<Diagnostic>,
    pub sources: Arc<Sources>,
    pub source: SourceId,
    /// See [`Run::in_lanes`].
    pub lanes: bool,
}

impl RunParts {
    /// See [`Run::set_param`].
    fn set_param(&mut self, path: &str, values: &[f64]) -> bool {
        let mut at = 0;
        for param in &self.plan.program.params {
            let count = param.ty.shape.count();
            if &*param.path == path {
                let inside = |values| param.constraint.free(values, &param.ty.shape).is_some();
                let fits = values.len() == count && inside(values);
                if fits {
                    self.params[at..at + count].copy_from_slice(values);
                }
                return fits;
            }
            at += count;
        }
        false
    }
}

/// The value of a param.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamValue {
    /// Its path: `alpha`, `net.fc[0].W`.
    pub path: Arc<str>,
    /// Its axis lengths; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its entries, row-major.
    pub values: Vec<f64>,
}

/// The gradient of a scalar of the run, on the declared scale of the params.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient {
    /// The value of the scalar.
    pub value: f64,
    /// Its derivative by each param.
    pub by: Vec<ParamValue>,
    /// Evaluations of the rates on the way forward.
    pub evaluations: u64,
    /// What the way back cost; of a gradient that goes forward, the solves with derivatives.
    pub cost: Cost,
}

impl Gradient {
    /// The derivative by the param at `path`, row-major.
    pub fn get(&self, path: &str) -> Option<&[f64]> {
        self.by.iter().find(|param| &*param.path == path).map(|param| param.values.as_slice())
    }
}

impl Run {
    pub(crate) fn new(parts: RunParts, axes: Option<Arc<Axes>>) -> Run {
        Run { parts, axes }
    }

    pub(crate) fn parts_mut(&mut self) -> &mut RunParts {
        &mut self.parts
    }

    pub(crate) fn axes(&self) -> Option<&Axes> {
        self.axes.as_deref()
    }

    pub(crate) fn parts(&self) -> &RunParts {
        &self.parts
    }

    /// The compiled functions.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.parts.plan
    }

    /// The name of the independent variable of the main run; `t` without one.
    pub fn time_name(&self) -> &str {
        self.parts.plan.program.main_system().map_or("t", |system| &system.time)
    }

    /// The model as data.
    pub fn program(&self) -> &Program {
        &self.parts.plan.program
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// The data files that were read.
    pub fn files(&self) -> &[DataFile] {
        &self.parts.dataset.files
    }

    /// What is suspicious about the model, though it runs.
    pub fn warnings(&self) -> Diagnostics {
        Diagnostics::new(self.parts.warnings.clone(), self.parts.sources.clone())
    }

    /// Warnings (W0901) about integrals that the steps were too long for: of
    /// [`Solution::own_errors`], or of [`Runs::own_errors`](crate::Runs::own_errors).
    pub fn doubts(&self, own_errors: &[OwnError]) -> Diagnostics {
        Diagnostics::new(own_errors.iter().filter_map(OwnError::doubt).collect(), self.parts.sources.clone())
    }

    /// The texts that the settings' origins point into.
    pub fn sources(&self) -> &Sources {
        &self.parts.sources
    }

    /// The text of the program.
    pub fn text(&self) -> &str {
        self.parts.sources.text(self.parts.source)
    }

    /// The present values of the params.
    pub fn params(&self) -> Vec<ParamValue> {
        self.by_path(&self.parts.params)
    }

    /// How many numbers a fit moves: fewer than the params have where a set ties some together.
    pub fn n_free(&self) -> usize {
        crate::plan::scale::n_free(&self.parts.plan.program)
    }

    /// Changes the entries of the param at `path`, row-major. `false`, and no change, if there is
    /// no such param, the number of entries differs or they lie outside the param's set.
    pub fn set_param(&mut self, path: &str, values: &[f64]) -> bool {
        if !self.parts.set_param(path, values) {
            return false;
        }
        if let Some(axes) = &mut self.axes {
            for program in &mut Arc::make_mut(axes).programs {
                program.set_param(path, values);
            }
        }
        true
    }

    pub(crate) fn set_params(&mut self, params: Vec<f64>) {
        self.parts.params = params;
    }

    /// How many examples `part` of the data has: 1 in each if the program has no `batch` axis.
    pub fn n_examples(&self, part: Part) -> usize {
        match self.parts.plan.program.examples {
            Examples::One => 1,
            Examples::Data => self.parts.dataset.n_examples(part).unwrap_or(0),
            Examples::Members(count) => count,
            Examples::Samples => usize::try_from(self.parts.settings.run.samples).unwrap_or(usize::MAX),
        }
    }

    /// Threads that share a batch, or many runs.
    pub(crate) fn threads(&self) -> usize {
        match self.settings().run.threads {
            Some(threads) => usize::try_from(threads).unwrap_or(usize::MAX),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// The numbers of an example.
    pub(crate) fn example(&self, at: At) -> Data {
        self.with_own_data(&self.shared_data(at), at)
    }

    /// The numbers that all examples share; those that differ are of any of them.
    pub(crate) fn shared_data(&self, at: At) -> Data {
        let mut data = Data::clone(&self.parts.data);
        for (number, port) in self.program().data.iter().enumerate() {
            if !port.differs() && !port.is_constant() {
                data.set(number, port, &self.value(port, at));
            }
        }
        data
    }

    /// `shared` with the numbers of an example that are its own.
    pub(crate) fn with_own_data(&self, shared: &Data, at: At) -> Data {
        let mut data = shared.clone();
        for (number, port) in self.program().data.iter().enumerate().filter(|(_, port)| port.differs()) {
            data.set(number, port, &self.value(port, at));
        }
        data
    }

    /// The numbers of one port at an example.
    pub(crate) fn value(&self, port: &DataPort, at: At) -> Vec<f64> {
        example::value(port, &self.parts.dataset, self.parts.settings.run.seed, at)
    }

    /// Writes the numbers of one port at an example to `out`, which has a place for each.
    pub(crate) fn read(&self, port: &DataPort, at: At, out: &mut [f64]) {
        example::read(port, &self.parts.dataset, self.parts.settings.run.seed, at, out);
    }

    /// Solves example number `example` of `part` with the present params.
    ///
    /// # Panics
    /// If there is no such example; see [`Run::n_examples`].
    pub fn solve_example(&self, part: Part, example: usize) -> Result<Solution, Error> {
        assert!(example < self.n_examples(part), "example {example} of {part:?}");
        if self.axes.is_some() {
            return self.solve_run(example);
        }
        let mut run = self.clone();
        run.parts.data = Arc::new(self.example(At::evaluated(part, example)));
        run.solve()
    }

    /// Solves with the present params: of many examples or runs, the first.
    pub fn solve(&self) -> Result<Solution, Error> {
        if self.axes.is_some() {
            return self.solve_run(0);
        }
        match self.parts.settings.run.precision {
            Precision::F64 => self.solve_in::<f64>(),
            Precision::F32 => self.solve_in::<f32>(),
        }
    }

    /// Goes on from where another run of this model ended, to the end of this one: with the step size and
    /// all that the method knew there, so that the steps beyond are those of one run that lands on that
    /// time. Of a method with several past values the start is a new one, as it is where any run lands.
    ///
    /// # Panics
    /// If the checkpoint is of another model: the number of unknowns differs.
    pub fn solve_from(&self, checkpoint: &Checkpoint) -> Result<Solution, Error> {
        let program = &self.parts.plan.program;
        if let Some(noise) = program.systems.iter().flat_map(|system| &system.noises).next() {
            let message = "to go on with a run of a system with noise is not supported yet";
            let diagnostic = Diagnostic::new(Code("E0290"), message, noise.span, "the path would be another");
            let diagnostic = diagnostic.help("solve the whole interval at once");
            return Err(Error::Invalid(Diagnostics::new(vec![diagnostic], self.parts.sources.clone())));
        }
        let n = program.main.map_or(0, |main| self.parts.plan.layout.system_of(main).n);
        assert_eq!(checkpoint.y.len(), n, "the unknowns of the model");
        let mut run = self.clone();
        let mut data = Data::clone(&run.parts.data);
        data.start = Some((0, checkpoint.y.clone()));
        data.resume = Some((checkpoint.t, checkpoint.carried));
        run.parts.data = Arc::new(data);
        run.solve()
    }

    fn solve_in<T: Element>(&self) -> Result<Solution, Error> {
        let parts = &self.parts;
        let p: Vec<T> = parts.params.iter().map(|value| T::from_f64(*value)).collect();
        let context = Context { plan: &parts.plan, p: &p, data: &parts.data };
        let simulation = context.simulate(&parts.controls).map_err(|failure| self.failed(&failure))?;
        Ok(solution(&parts.plan, &parts.data, p, simulation))
    }

    /// The gradient of the training objective: the sum of losses, likelihoods and priors. Of many
    /// examples or runs, of the first.
    pub fn gradient(&self) -> Result<Gradient, Error> {
        self.gradient_of(Target::Total)
    }

    /// The gradient of the scalar loss, likelihood, metric or output called `name`; `None` if the
    /// model has none of this name. Taken as `solve.adjoint` says.
    pub fn grad(&self, name: &str) -> Option<Result<Gradient, Error>> {
        Some(self.gradient_of(self.target(Some(name))?))
    }

    /// The scalar called `name`, or the training objective.
    pub(super) fn target(&self, name: Option<&str>) -> Option<Target> {
        let Some(name) = name else { return Some(Target::Total) };
        let results = &self.parts.plan.program.results;
        let number = results.iter().position(|result| {
            &*result.name == name && result.ty.is_scalar() && result.ty.dtype.is_float()
        })?;
        Some(Target::Result(number))
    }

    /// The value of a scalar at the present params, without its gradient.
    pub(super) fn value_of(&self, target: Target) -> Result<f64, Error> {
        match self.parts.settings.run.precision {
            Precision::F64 => self.value_in::<f64>(target),
            Precision::F32 => self.value_in::<f32>(target),
        }
    }

    fn value_in<T: Element>(&self, target: Target) -> Result<f64, Error> {
        let parts = &self.parts;
        let controls = Controls { save: Save::Nothing, ..parts.controls.clone() };
        let p: Vec<T> = parts.params.iter().map(|value| T::from_f64(*value)).collect();
        let at = Objective::new(&parts.plan, &parts.data, &controls, target).at_params(p);
        at.map(|at| at.value).map_err(|failure| self.failed(&failure))
    }

    pub(super) fn gradient_of(&self, target: Target) -> Result<Gradient, Error> {
        if self.axes.is_some() {
            return self.numbered(0)?.gradient_of(target);
        }
        match self.parts.settings.run.precision {
            Precision::F64 => self.gradient_in::<f64>(target),
            Precision::F32 => self.gradient_in::<f32>(target),
        }
    }

    fn gradient_in<T: Element + AddAssign>(&self, target: Target) -> Result<Gradient, Error> {
        let parts = &self.parts;
        let controls = Controls { save: Save::Nothing, ..parts.controls.clone() };
        let objective = Objective::new(&parts.plan, &parts.data, &controls, target);
        let p: Vec<T> = parts.params.iter().map(|value| T::from_f64(*value)).collect();
        let evaluation = objective.at_params(p).map_err(|failure| self.failed(&failure))?;
        let (bar_p, cost) =
            objective.gradient_in_params(&evaluation).map_err(|failure| self.failed(&failure))?;
        let bar_p: Vec<f64> = bar_p.into_iter().map(T::to_f64).collect();
        let evaluations = evaluation.simulation.stats().evaluations;
        Ok(Gradient { value: evaluation.value, by: self.by_path(&bar_p), evaluations, cost })
    }

    /// A packed vector `[P]` by param.
    pub(crate) fn by_path(&self, packed: &[f64]) -> Vec<ParamValue> {
        let mut at = 0;
        let mut values = Vec::new();
        for param in &self.parts.plan.program.params {
            let count = param.ty.shape.count();
            values.push(ParamValue {
                path: param.path.clone(),
                shape: param.ty.shape.dims().to_vec(),
                values: packed[at..at + count].to_vec(),
            });
            at += count;
        }
        values
    }

    /// A failure in words.
    pub(crate) fn failed(&self, failure: &Failure) -> Error {
        let parts = &self.parts;
        let given = Given { plan: &parts.plan, params: &parts.params, settings: &parts.settings };
        let diagnostic = match failure {
            Failure::Plan(error) => uncompiled(error),
            other => diagnose(other, &given),
        };
        let diagnostics = Diagnostics::new(vec![diagnostic], parts.sources.clone());
        match failure {
            Failure::Plan(_) | Failure::Invalid(_) => Error::Invalid(diagnostics),
            Failure::Outcome(stuck) => Error::Failed { diagnostics, outcome: Some(stuck.outcome) },
            Failure::GoingBack { outcome, .. } | Failure::Carrying { outcome, .. } => {
                Error::Failed { diagnostics, outcome: Some(*outcome) }
            }
            Failure::OutsideRun { .. }
            | Failure::SaveOutsideRun { .. }
            | Failure::TooManySaves { .. }
            | Failure::Grazes { .. } => Error::Failed { diagnostics, outcome: None },
        }
    }
}
