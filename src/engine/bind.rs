//! From a checked program to compiled code: numbers, settings, data, sizes, elaboration, plan.

use crate::backend::store::CodeCache;
use crate::base::span::Span;
use crate::data::{self, Part, Place};
use crate::diag::{Code, Diagnostic, Severity, Sink};
use crate::engine::axes::{self, Axes};
use crate::engine::controls::{adaptive, adjoints};
use crate::engine::dataset::{Absent, Missing};
use crate::engine::diagnostics::Diagnostics;
use crate::engine::example::{self, At};
use crate::engine::made::Makings;
use crate::engine::outcome::uncompiled;
use crate::engine::outside::{not_numbers, unknown_name, values};
use crate::engine::prepare::Prepared;
use crate::engine::run::{Run, RunParts};
use crate::engine::{Dataset, Model, dataset};
use crate::ir::func::Func;
use crate::ir::program::{Examples, Program, Swept};
use crate::ir::system::{Calculus, System, UnknownKind};
use crate::ir::types::DType;
use crate::ir::zeros;
use crate::plan::Plan;
use crate::plan::controls::{Controls, Save};
use crate::plan::halves::Halves;
use crate::plan::unit::Data;
use crate::sema::library::Files;
use crate::sema::{self, Bindings, Checked, Given, Known};
use crate::settings::{self, ErrorNorm, Flag, Precision, Request, Settings, SolveSettings, Sweep};
use crate::solve::method::{Kind as MethodKind, Stiff};
use crate::solve::sde::Scheme;
use crate::solve::solve::{Options, Stepping};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Gathers what a model is to run with. Later calls win; nothing is checked before [`Binder::build`].
#[derive(Clone, Debug)]
pub struct Binder {
    model: Model,
    flags: Vec<Flag>,
    malformed: Vec<String>,
    profile: Option<String>,
    part: Part,
    values: BTreeMap<Arc<str>, Given>,
    sweeps: Vec<Sweep>,
    cache: Option<CodeCache>,
}

impl Binder {
    pub(crate) fn new(model: Model) -> Binder {
        Binder {
            model,
            flags: Vec::new(),
            malformed: Vec::new(),
            profile: None,
            part: Part::Train,
            values: BTreeMap::new(),
            sweeps: Vec::new(),
            cache: None,
        }
    }

    /// Gives a `const`, `param` or `input` its value; one number fills a tensor.
    #[must_use]
    pub fn set(mut self, name: &str, value: f64) -> Binder {
        self.values.insert(name.into(), Given::Number(value));
        self
    }

    /// Gives a `const`, `param` or `input` its entries, row-major.
    #[must_use]
    pub fn set_all(mut self, name: &str, values: &[f64]) -> Binder {
        self.values.insert(name.into(), Given::Entries(values.to_vec()));
        self
    }

    /// Runs the model once for each of these values of a scalar `const`, `param` or `input`, in
    /// place of a `sweep` of the file over it; several make a grid, the last running fastest. A
    /// sweep of the file over a name that is set is none.
    #[must_use]
    pub fn sweep(self, name: &str, values: &[f64]) -> Binder {
        self.sweeps([Sweep::of(name, values)])
    }

    /// Sweeps as the command line has them.
    #[must_use]
    pub fn sweeps(mut self, sweeps: impl IntoIterator<Item = Sweep>) -> Binder {
        for sweep in sweeps {
            self.sweeps.retain(|earlier| earlier.name() != sweep.name());
            self.sweeps.push(sweep);
        }
        self
    }

    /// What `--set` takes: `mu=50` for a `const`, `param` or `input`, `solve.rtol=1e-7` for a
    /// setting, `lr=3e-4` for a setting by its last part.
    #[must_use]
    pub fn assign(mut self, assignment: &str) -> Binder {
        match Flag::set(assignment) {
            Some(flag) => self.flags.push(flag),
            None => self.malformed.push(assignment.to_owned()),
        }
        self
    }

    /// Sets a setting by its dotted name to a value as a program would write it.
    #[must_use]
    pub fn setting(self, key: &str, value: &str) -> Binder {
        self.assign(&format!("{key}={value}"))
    }

    /// What a flag of the command line sets: `--name value` for the setting `key`.
    #[must_use]
    pub fn flag(mut self, name: &str, key: &'static str, value: &str) -> Binder {
        self.flags.push(Flag::alias(name, key, value));
        self
    }

    /// Flags of the command line, in their order.
    #[must_use]
    pub fn flags(mut self, flags: impl IntoIterator<Item = Flag>) -> Binder {
        self.flags.extend(flags);
        self
    }

    /// Relative tolerance.
    #[must_use]
    pub fn rtol(self, rtol: f64) -> Binder {
        self.flag("rtol", "solve.rtol", &format!("{rtol:e}"))
    }

    /// Absolute tolerance.
    #[must_use]
    pub fn atol(self, atol: f64) -> Binder {
        self.flag("atol", "solve.atol", &format!("{atol:e}"))
    }

    /// Method of integration.
    #[must_use]
    pub fn method(self, method: &str) -> Binder {
        self.flag("method", "solve.method", method)
    }

    /// Applies a profile of the file.
    #[must_use]
    pub fn profile(mut self, name: &str) -> Binder {
        self.profile = Some(name.to_owned());
        self
    }

    /// Takes another part of the data than `train`, where a data set without a `batch` axis is
    /// split.
    #[must_use]
    pub fn part(mut self, part: Part) -> Binder {
        self.part = part;
        self
    }

    /// Keeps machine code in this folder, and takes what is kept there from earlier runs. Without one, which is
    /// usual, everything is compiled.
    #[must_use]
    pub fn code_cache(mut self, cache: &CodeCache) -> Binder {
        self.cache = Some(cache.clone());
        self
    }

    /// The settings that would be in force, without reading data or compiling.
    pub fn settings(&self) -> Result<Settings, Diagnostics> {
        let mut work = Work::new(self);
        let resolved = work.settings(self);
        match resolved {
            Some((settings, _)) => Ok(settings),
            None => Err(work.diagnostics()),
        }
    }

    /// `nodec config`: every setting, its value, and who set it, in aligned columns.
    pub fn settings_listing(&self) -> Result<String, Diagnostics> {
        let mut work = Work::new(self);
        match work.settings(self) {
            Some((settings, _)) => Ok(settings::listing(&settings.resolved, &work.sources)),
            None => Err(work.diagnostics()),
        }
    }

    /// Reads the data and checks everything against everything, but makes no code. What is
    /// suspicious, though it runs. A data set whose files are not there is checked by its schema
    /// (W0701), which leaves open what depends on sizes that only the files know.
    pub fn check(&self) -> Result<Diagnostics, Diagnostics> {
        let mut work = Work::new(self);
        let found = work.check(self);
        let diagnostics = work.diagnostics();
        if found.is_some() { Ok(diagnostics) } else { Err(diagnostics) }
    }

    /// Warnings (W0801) about settings that somebody set though nothing reads them: those of step-size
    /// control which the method does not take; those of training where the program has no `train`
    /// block, so that `nodec run` does not train it ([`Run::fit`] heeds them all the same), or where its
    /// data are one example, so that there is nothing to take a part of.
    pub fn unread_settings(&self) -> Diagnostics {
        let mut work = Work::new(self);
        let Some((settings, _)) = work.settings(self) else {
            return Diagnostics::new(Vec::new(), work.sources);
        };
        let (method, resolved) = (settings.solve.method, settings.resolved);
        let of_control = resolved.iter().filter_map(|row| {
            let key = row.key.strip_prefix("solve.")?;
            // Arguments of a choice are told with it.
            let steers_otherwise = !key.contains('.') && !method.reads(key);
            let span = row.origin.span().filter(|_| steers_otherwise)?;
            Some(settings::errors::steers_otherwise(&row.key, method.name, method.adaptive, span))
        });
        let of_control: Vec<Diagnostic> = of_control.collect();
        let of_train = resolved.iter().filter(|row| row.key.starts_with("train."));
        let trains = self.model.is_trainable();
        let fields = self.model.checked.data.iter().flat_map(|request| &request.fields);
        let one_example =
            fields.clone().next().is_some() && fields.clone().all(|field| field.batch.is_none());
        let of_batches = |key: &str| {
            ["train.batch", "train.valid_every", "train.early_stop", "train.checkpoint"].contains(&key)
        };
        let unread = of_train.filter_map(|row| {
            let span = row.origin.span()?;
            match trains {
                false => Some(settings::errors::nothing_trains(&row.key, span)),
                true if one_example && of_batches(&row.key) => {
                    Some(settings::errors::one_example(&row.key, span))
                }
                true => None,
            }
        });
        Diagnostics::new(of_control.into_iter().chain(unread).collect(), work.sources)
    }

    /// Reads the data and checks them against the schema.
    pub fn data(&self) -> Result<Arc<Dataset>, Diagnostics> {
        let mut work = Work::new(self);
        match work.bound(self, &[]) {
            Some(bound) => Ok(bound.dataset),
            None => Err(work.diagnostics()),
        }
    }

    /// Reads the data, checks everything against everything, and compiles.
    pub fn build(&self) -> Result<Run, Diagnostics> {
        let mut work = Work::new(self);
        match work.build(self) {
            Some(run) => Ok(run),
            None => Err(work.diagnostics()),
        }
    }
}

/// The state of one `build`.
pub(super) struct Work {
    pub(super) sources: crate::base::span::Sources,
    pub(super) sink: Sink,
    /// Where code is kept.
    pub(super) cache: Option<CodeCache>,
}

/// A program with its settings and data.
struct Gathered {
    settings: Settings,
    overrides: Overrides,
    /// The program with its sweeps and those from outside.
    files: Arc<Files>,
    checked: Arc<Checked>,
    dataset: Dataset,
}

/// A model with its numbers and settings.
struct Bound {
    settings: Settings,
    dataset: Arc<Dataset>,
    prepared: Prepared,
    /// The item that makes many runs, if there is one.
    cause: Option<Span>,
}

type Overrides = BTreeMap<Arc<str>, Given>;

impl Work {
    fn new(binder: &Binder) -> Work {
        let mut work =
            Work { sources: binder.model.sources.clone(), sink: Sink::new(), cache: binder.cache.clone() };
        for assignment in &binder.malformed {
            let source = work.sources.add("command line", format!("--set {assignment}"));
            let span = Span::new(source, 6, 6 + assignment.len());
            work.sink.report(
                Diagnostic::new(
                    Code("E0801"),
                    "`--set` takes `name=value`",
                    span,
                    "no `=` with something on both sides",
                )
                .help("for example `--set mu=50` or `--set solve.rtol=1e-8`"),
            );
        }
        work
    }

    fn diagnostics(self) -> Diagnostics {
        Diagnostics::new(self.sink.into_diagnostics(), self.sources)
    }

    fn settings(&mut self, binder: &Binder) -> Option<(Settings, Overrides)> {
        let checked = &binder.model.checked;
        let names: Vec<&str> = [&checked.consts, &checked.params, &checked.inputs]
            .into_iter()
            .flatten()
            .map(|declared| &*declared.name)
            .collect();
        let request = Request {
            file: &binder.model.files.main,
            profile: binder.profile.as_deref(),
            flags: &binder.flags,
            names: &names,
        };
        let (settings, assigned) = settings::resolve(&request, &mut self.sources, &mut self.sink)?;
        let mut overrides = binder.values.clone();
        for name in overrides.keys().filter(|name| !names.contains(&&***name)) {
            self.sink.report(unknown_name(name, &names));
        }
        for assignment in assigned {
            let given = match settings::value::number(&assignment.value) {
                Some(number) => Some(Given::Number(number)),
                None => settings::value::numbers(&assignment.value).map(Given::Entries),
            };
            match given {
                Some(given) => drop(overrides.insert(assignment.name.into(), given)),
                None => self.sink.report(not_numbers(&assignment.name, assignment.value.span)),
            }
        }
        (!self.sink.has_errors()).then_some((settings, overrides))
    }

    /// Settings, data, and the program checked with the sizes they bind. `point` has the values of
    /// swept consts.
    fn gathered(&mut self, binder: &Binder, point: &[(Arc<str>, f64)], missing: Missing) -> Option<Gathered> {
        let model = &binder.model;
        let (settings, mut overrides) = self.settings(binder)?;
        overrides.extend(point.iter().map(|(name, value)| (name.clone(), Given::Number(*value))));
        let set = overrides.keys().cloned().collect();
        let files = axes::swept(&model.files, &binder.sweeps, &set, &mut self.sources, &mut self.sink);
        let consts = &model.checked.consts;
        let is_const = |name: &Arc<str>| consts.iter().any(|declared| declared.name == *name);
        let changed = overrides.iter().filter(|(name, _)| is_const(name));
        let mut known =
            Known { consts: changed.map(|(n, v)| (n.clone(), v.clone())).collect(), ..Known::default() };
        // A const that is set may be a size of the schema.
        let before = (model.checked.clone(), model.warnings.clone());
        let (checked, found) = self.checked(&files, &known, before);
        if found.iter().any(|diagnostic| diagnostic.severity() == Severity::Error) {
            found.into_iter().for_each(|diagnostic| self.sink.report(diagnostic));
            return None;
        }
        let makings = self.makings(&checked.data, &settings)?;
        let makings = Makings { settings: &settings, makings };
        let (folder, part) = (&model.folder, binder.part);
        let (sources, sink) = (&mut self.sources, &mut self.sink);
        let dataset = dataset::load(&checked.data, &makings, folder, part, missing, sources, sink)?;
        known.sizes = dataset.sizes.clone();
        let (checked, found) = self.checked(&files, &known, (checked, found));
        found.into_iter().for_each(|diagnostic| self.sink.report(diagnostic));
        dataset.check_knots(&checked, &mut self.sink);
        for absent in &dataset.absent {
            let open = absent.open_sizes(&dataset.sizes);
            for (path, span) in &absent.files {
                let place = Place { path, span: *span, folder: &model.folder };
                self.sink.report(data::errors::checked_without(&place, &absent.name, &open));
            }
        }
        (!self.sink.has_errors()).then_some(Gathered { settings, overrides, files, checked, dataset })
    }

    /// The program checked with what is `known`, and what was found; `before` if that was with the
    /// same.
    fn checked(
        &self,
        files: &Arc<Files>,
        known: &Known,
        before: (Arc<Checked>, Vec<Diagnostic>),
    ) -> (Arc<Checked>, Vec<Diagnostic>) {
        if *known == before.0.known && Arc::ptr_eq(files, &before.0.files) {
            return before;
        }
        let mut sink = Sink::new();
        let checked = sema::check(files, &self.sources, known, &mut sink);
        (Arc::new(checked), sink.into_diagnostics())
    }

    /// All that comes before code is made.
    fn bound(&mut self, binder: &Binder, point: &[(Arc<str>, f64)]) -> Option<Bound> {
        let gathered = self.gathered(binder, point, Missing::Refused)?;
        self.elaborated(gathered)
    }

    fn elaborated(&mut self, gathered: Gathered) -> Option<Bound> {
        let Gathered { settings, overrides, files, checked, dataset } = gathered;
        let real = match settings.run.precision {
            Precision::F64 => DType::F64,
            Precision::F32 => DType::F32,
        };
        let bindings = Bindings { real, data: values(&dataset), overrides, seed: settings.run.seed };
        let program = sema::elaborate(&checked, &bindings, &self.sources, &mut self.sink)?;
        self.check_tolerances(&settings.solve, &program);
        let cause = axes::cause(&files.main, &self.sources);
        let samples = usize::try_from(settings.run.samples).unwrap_or(usize::MAX);
        if let Some(unfit) = cause.and_then(|cause| axes::unfit(&program, &files.main, cause, samples)) {
            self.sink.report(unfit);
        }
        let shared = match program.examples {
            Examples::One | Examples::Members(_) => false,
            Examples::Data | Examples::Samples => true,
        };
        if let Some(diagnostic) = shared_noise(&program, shared) {
            self.sink.report(diagnostic);
        }
        let prepared =
            self.prepared(program, &checked, |path, item| settings.solve_of(&[path, item]).clone())?;
        Some(Bound { settings, dataset: Arc::new(dataset), prepared, cause })
    }

    fn check(&mut self, binder: &Binder) -> Option<()> {
        let gathered = self.gathered(binder, &[], Missing::Noted)?;
        let is_open = |absent: &Absent| !absent.open_sizes(&gathered.dataset.sizes).is_empty();
        if gathered.dataset.absent.iter().any(is_open) {
            // What follows wants numbers for the sizes.
            return Some(());
        }
        let program = self.elaborated(gathered)?.prepared.program;
        let checked = Plan::check(program);
        checked.map_err(|error| self.sink.report(uncompiled(&error))).ok()
    }

    fn build(&mut self, binder: &Binder) -> Option<Run> {
        let bound = self.bound(binder, &[])?;
        let (cause, program) = (bound.cause, bound.prepared.program.clone());
        let samples = usize::try_from(bound.settings.run.samples).unwrap_or(usize::MAX);
        let parts = self.compiled(binder, bound)?;
        let Some(cause) = cause else { return Some(Run::new(parts, None)) };
        let sweeps = program.sweeps.clone();
        let mut programs = Vec::new();
        if sweeps.iter().any(|sweep| sweep.of == Swept::Const) {
            for point in axes::consts(&sweeps) {
                // Of its own, so that what is suspicious is said once.
                let mut work = Work::new(binder);
                let other = work.bound(binder, &point).and_then(|bound| work.compiled(binder, bound));
                let Some(other) = other else {
                    *self = work;
                    return None;
                };
                let changed = axes::reshaped(&program, &other.plan.program);
                if let Some((span, name)) = changed {
                    self.sources = (*parts.sources).clone();
                    self.sink.report(axes::changes_shape(span, &name, cause));
                    return None;
                }
                programs.push(other);
            }
        }
        let axes = Axes { sweeps, members: axes::members(&program, samples), programs };
        Some(Run::new(parts, Some(Arc::new(axes))))
    }

    /// A model with its numbers and settings as machine code.
    fn compiled(&mut self, binder: &Binder, bound: Bound) -> Option<RunParts> {
        let Bound { settings, dataset, prepared, cause: _ } = bound;
        let plan = match prepared.plan(&settings) {
            Ok(plan) => Arc::new(plan),
            Err(error) => {
                self.sink.report(uncompiled(&error));
                return None;
            }
        };
        let Prepared { program, solves, options, .. } = prepared;
        let first = At::evaluated(binder.part, 0);
        let values = example::values(&program.data, &dataset, settings.run.seed, first);
        let save = match &settings.solve.save {
            settings::Save::Steps => Save::Steps,
            settings::Save::Every(dt) => Save::Every(*dt),
            settings::Save::At(times) => Save::At(times.clone()),
        };
        Some(RunParts {
            data: Arc::new(Data::new(&program.data, &values)),
            params: program.params.iter().flat_map(|param| param.init.iter().copied()).collect(),
            controls: Controls { options, seed: settings.run.seed, save, adjoints: adjoints(&plan, &solves) },
            lanes: plan.backend().is_wide(),
            plan,
            settings: Arc::new(settings),
            dataset,
            warnings: std::mem::take(&mut self.sink).into_diagnostics(),
            sources: Arc::new(std::mem::take(&mut self.sources)),
            source: binder.model.source,
        })
    }

    pub(super) fn options(&mut self, solve: &SolveSettings, system: &System) -> Option<Options> {
        self.check_method(solve, system)?;
        let stepping = if solve.method.adaptive {
            Stepping::Adaptive(adaptive(solve, system))
        } else if let Some(dt) = solve.dt {
            Stepping::Fixed { dt }
        } else {
            let span = solve.method_span.unwrap_or_else(|| crate::bug!("the default method is adaptive"));
            self.sink.report(settings::errors::needs_dt(solve.method.name, span));
            return None;
        };
        Some(Options {
            stepping,
            max_steps: solve.max_steps,
            max_events: solve.max_events,
            stops: Vec::new(),
            resume: None,
        })
    }

    /// Refuses a method that cannot solve `system`.
    fn check_method(&mut self, solve: &SolveSettings, system: &System) -> Option<()> {
        let (method, span) = (solve.method.name, solve.method_span);
        if let Some(diagnostic) = noise_unfit(solve, system) {
            self.sink.report(diagnostic);
            return None;
        }
        match solve.method.kind {
            MethodKind::Stochastic(_) => self.every_rate_is_given(solve, system),
            MethodKind::Explicit(_)
            | MethodKind::Multistep
            | MethodKind::Taylor { .. }
            | MethodKind::Reversible(_) => self.every_rate_is_given(solve, system),
            MethodKind::Stiff(Stiff::Gauss(_)) => self.every_rate_is_given(solve, system),
            MethodKind::Stiff(_) | MethodKind::Auto(_) => {
                match system.states.first().filter(|_| mass_moves(system)) {
                    None => Some(()),
                    Some(state) => {
                        self.sink.report(moving_mass_not_built(state.equation));
                        None
                    }
                }
            }
            MethodKind::Symplectic(_) => {
                self.every_rate_is_given(solve, system)?;
                // A derivative that does not exist is reported when the plan is made.
                let Ok(Err(coupled)) = Halves::of(system) else { return Some(()) };
                let names = [coupled.state, coupled.by].map(|state| &*system.states[state].name);
                let span = span.unwrap_or(coupled.span);
                self.sink.report(settings::errors::not_separable(method, span, coupled.span, names));
                None
            }
        }
    }

    /// Refuses an explicit method where a state has no rate of its own.
    fn every_rate_is_given(&mut self, solve: &SolveSettings, system: &System) -> Option<()> {
        let (method, span) = (solve.method.name, solve.method_span);
        let algebraic = system.states.iter().find(|state| state.kind == UnknownKind::Algebraic);
        let diagnostic = match (algebraic, system.states.first().filter(|_| system.mass.is_some())) {
            (Some(state), _) => {
                let at = span.unwrap_or(state.span);
                settings::errors::needs_every_rate(method, at, &state.name, state.span)
            }
            (None, Some(state)) => {
                let at = span.unwrap_or(state.equation);
                settings::errors::needs_solved_lines(method, at, state.equation)
            }
            (None, None) => return Some(()),
        };
        self.sink.report(diagnostic);
        None
    }

    /// Refuses tolerances of states that no system has.
    fn check_tolerances(&mut self, solve: &SolveSettings, program: &Program) {
        let unknowns = program.systems.iter().flat_map(|system| system.states.iter().chain(&system.channels));
        let mut names: Vec<&str> = unknowns.map(|unknown| &*unknown.name).collect();
        names.dedup();
        for own in solve.atol_states.iter().filter(|own| !names.contains(&own.state.as_str())) {
            let message = format!("`atol.{}` is the tolerance of a state the model does not have", own.state);
            self.sink.report(
                Diagnostic::new(Code("E0801"), message, own.span, "no such state")
                    .help(format!("the states are {}", names.join(", "))),
            );
        }
        let ErrorNorm::Of(wanted) = &solve.error_norm else { return };
        for (name, span) in wanted.iter().filter(|(name, _)| !names.contains(&name.as_str())) {
            self.sink.report(settings::errors::no_such_unknown(name, *span, &names));
        }
    }
}

/// Whether the mass matrix of `system` depends on time or on an unknown.
fn mass_moves(system: &System) -> bool {
    let Some(mass) = &system.mass else { return false };
    mass.reads(0..mass.results.len())[..system.n_before_args()].contains(&true)
}

/// Every solve and every example would see one path of the noise.
pub(super) fn shared_noise(program: &Program, many: bool) -> Option<Diagnostic> {
    let mut noises = program.systems.iter().flat_map(|system| &system.noises);
    let noise = noises.next().filter(|_| many || program.solves.len() > 1)?;
    let message = "noise in a program of many examples or of several solves is not supported yet";
    let diagnostic = Diagnostic::new(Code("E0290"), message, noise.span, "they would share one path");
    Some(diagnostic.help("run one system at a time; for many paths write `ensemble 100 {}`"))
}

fn moving_mass_not_built(span: Span) -> Diagnostic {
    let message = "primes with factors that change along the run are not supported yet";
    Diagnostic::new(Code("E0290"), message, span, "the mass matrix depends on time or on unknowns")
        .help("solve the lines for their primes: `x' = ...`")
}

/// What is wrong with the noise of `system` for the method, if anything.
fn noise_unfit(solve: &SolveSettings, system: &System) -> Option<Diagnostic> {
    let scheme = match solve.method.kind {
        MethodKind::Stochastic(scheme) => Some(scheme),
        MethodKind::Explicit(_)
        | MethodKind::Stiff(_)
        | MethodKind::Multistep
        | MethodKind::Taylor { .. }
        | MethodKind::Auto(_)
        | MethodKind::Symplectic(_)
        | MethodKind::Reversible(_) => None,
    };
    let unfit = |noise: Option<Span>, why: &str, help: &str| {
        let at = solve.method_span.or(noise).or(system.states.first().map(|state| state.span));
        at.map(|at| settings::errors::wrong_noise(solve.method.name, at, noise, why, help))
    };
    let ito = system.noises.iter().find(|noise| noise.calculus == Calculus::Ito);
    let stratonovich = system.noises.iter().find(|noise| noise.calculus == Calculus::Stratonovich);
    let (Some(diffusion), Some(first)) = (&system.diffusion, system.noises.first()) else {
        return scheme.and_then(|_| {
            unfit(None, "a method for systems with noise", "any other method solves it: tsit5")
        });
    };
    let moving = diffusion.reads([0])[2..system.n_before_args()].contains(&true);
    match scheme {
        None => unfit(
            Some(first.span),
            "a method for systems without noise",
            "methods for noise, all with `dt`: euler_maruyama, milstein, heun_stratonovich, sra1",
        ),
        Some(_) if !moving => None,
        Some(Scheme::EulerMaruyama | Scheme::Milstein) => match stratonovich {
            Some(noise) => {
                unfit(Some(noise.span), "reads noise as `ito`", "for `stratonovich`: heun_stratonovich")
            }
            None if scheme == Some(Scheme::Milstein) && !is_diagonal(diffusion) => unfit(
                Some(first.span),
                "each state must have a process of its own",
                "for any noise: euler_maruyama",
            ),
            None => None,
        },
        Some(Scheme::Heun) => ito.and_then(|noise| {
            unfit(Some(noise.span), "reads noise as `stratonovich`", "for `ito`: euler_maruyama, milstein")
        }),
        Some(Scheme::Sra1) => unfit(
            Some(first.span),
            "the share of the noise must not depend on the state",
            "for any noise: euler_maruyama, heun_stratonovich",
        ),
    }
}

/// Whether the matrix that `diffusion` gives is zero off its diagonal, by construction.
fn is_diagonal(diffusion: &Func) -> bool {
    let shape = &diffusion.ty(diffusion.results[0].value).shape;
    let [n, m] = *shape.dims() else { return false };
    let differ = &zeros::may_differ(diffusion)[0];
    (0..n * m).all(|at| at / m == at % m || !differ[at])
}
