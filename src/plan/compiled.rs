//! A compiled model.
//!
//! A [`Plan`] holds the packed functions of a program, with the integration method of each system,
//! and compiles them: what a simulation runs at once, what derivatives add when it is first needed.
//! Systems are compiled once however many solves are of them, and only what an objective depends on
//! is differentiated. The forward pass is `plan::forward`, the reverse pass `plan::adjoint`.

use crate::backend::{Backend, Workspace};
use crate::ir::func::Func;
use crate::ir::program::Program;
use crate::ir::system::System;
use crate::opt;
use crate::plan::adjoint::augmented::augmented;
use crate::plan::block::kernels::BlockKernels;
use crate::plan::controls::Adjoint;
use crate::plan::derivatives::{Derivatives, mass_pattern};
use crate::plan::halves::Halves;
use crate::plan::kernels::{
    BackKernels, EventCotangents, Expansion, Moves, Moving, ObjectiveKernels, ResultKernels, RunKernel,
    ScaleCurvature, ScaleKernels, SolveCotangents, SolveCurvature, SolveKernels, SystemCurvature,
    SystemKernels, compile_run, rate, reversed, step, with_tangent,
};
use crate::plan::lanes::{Apart, LaneKernels};
use crate::plan::layout::Layout;
use crate::plan::motion::{self, PackedMotion};
use crate::plan::pack::{Packed, PackedSolve, RunFunc, Target, objective, pack};
use crate::plan::resolve::resolved;
use crate::plan::step as steps;
use crate::plan::tangents::{ObjectiveTangent, SensitiveKernels, SolveTangents};
use crate::plan::trace::Keep;
use crate::plan::unit::{Element, Kernel, PlanError, compile};
use crate::solve::implicit::sparse::Form;
use crate::solve::method::{Kind, Method, Stiff};
use crate::solve::tableau::Tableau;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// A compiled model: pure functions, safe to share between threads.
pub struct Plan {
    /// What is computed.
    pub program: Arc<Program>,
    /// Lengths of the packed vectors.
    pub layout: Layout,
    /// The integration method of each system.
    pub methods: Vec<Method>,
    /// The form of the Jacobian of each system, for methods that want it.
    pub forms: Vec<Form>,
    /// The packed functions, requests resolved.
    pub funcs: Funcs,
    pub(crate) systems: Vec<SystemKernels>,
    pub(crate) solves: Vec<SolveKernels>,
    pub(crate) values: ResultKernels,
    pub(crate) draws: RunKernel,
    objectives: Remembered<Target, ObjectiveKernels>,
    objective_tangents: Remembered<Target, Kernel>,
    scale: OnceLock<Made<ScaleKernels>>,
    rate_cotangents: Vec<OnceLock<Made<Kernel>>>,
    step_cotangents: Vec<OnceLock<Made<Kernel>>>,
    bend_cotangents: Vec<OnceLock<Made<Kernel>>>,
    diffusion_cotangents: Vec<OnceLock<Made<Kernel>>>,
    event_cotangents: Vec<OnceLock<Made<EventCotangents>>>,
    solve_cotangents: Vec<OnceLock<Made<SolveCotangents>>>,
    lanes: Remembered<(usize, Apart), Arc<LaneKernels>>,
    back: Vec<OnceLock<Made<BackKernels>>>,
    sensitive: Vec<OnceLock<Made<SensitiveKernels>>>,
    solve_tangents: Vec<OnceLock<Made<SolveTangents>>>,
    directional: Remembered<Target, ObjectiveTangent>,
    scale_curvature: OnceLock<Made<ScaleCurvature>>,
    system_curvature: Vec<OnceLock<Made<SystemCurvature>>>,
    solve_curvature: Vec<OnceLock<Made<SolveCurvature>>>,
    pub(crate) block: BlockKernels,
    backend: Arc<dyn Backend>,
    compile_time: Duration,
}

/// A scalar result by itself.
pub(crate) struct Alone {
    /// `known.., p, data.. -> value, value`
    pub value: RunKernel,
    /// The solves it needs, ascending.
    pub needs: Vec<usize>,
}

pub(crate) type Made<K> = Result<K, PlanError>;

/// What has been made so far.
type Remembered<N, K> = Mutex<BTreeMap<N, Made<K>>>;

/// The functions of a plan in the tensor IR.
#[derive(Clone, Debug)]
pub struct Funcs {
    /// See [`Packed`].
    pub packed: Packed,
    /// See [`steps::step`]; by system, `None` where the method is not explicit.
    pub steps: Vec<Option<Func>>,
}

impl Plan {
    /// Resolves the derivatives in `program`, packs its functions and compiles those a simulation
    /// needs. `methods` are those of its systems, and so are
    /// `forms`.
    pub fn compile(
        program: Arc<Program>,
        methods: Vec<Method>,
        forms: Vec<Form>,
        backend: Arc<dyn Backend>,
    ) -> Result<Plan, PlanError> {
        let begun = Instant::now();
        let program = resolved(program)?;
        let layout = Layout::of(&program);
        let funcs = Funcs::of(&program, &layout, &methods);
        let p = &funcs.packed;
        let systems = methods.iter().enumerate().map(|(system, method)| {
            let moves = moves(&program, &layout, &funcs, system, (method, forms[system]), &*backend)?;
            let [rate] = compile([&p.rates[system]], &*backend)?;
            Ok(SystemKernels { rate, moves, motion: p.motions[system].compile(&*backend)? })
        });
        let solves = p.solves.iter().map(|solve| {
            let funcs = [&solve.start, &solve.times, &solve.stops];
            let [start, times, stops] = compile_run(funcs, &*backend)?;
            Ok(SolveKernels { start, times, stops })
        });
        let [post, observe, draws] = compile_run([&p.post, &p.observe, &p.draws], &*backend)?;
        Ok(Plan {
            systems: systems.collect::<Result<_, PlanError>>()?,
            solves: solves.collect::<Result<_, PlanError>>()?,
            values: ResultKernels { post, observe },
            draws,
            objectives: Mutex::default(),
            objective_tangents: Mutex::default(),
            scale: OnceLock::new(),
            rate_cotangents: program.systems.iter().map(|_| OnceLock::new()).collect(),
            step_cotangents: program.systems.iter().map(|_| OnceLock::new()).collect(),
            bend_cotangents: program.systems.iter().map(|_| OnceLock::new()).collect(),
            diffusion_cotangents: program.systems.iter().map(|_| OnceLock::new()).collect(),
            event_cotangents: program.systems.iter().map(|_| OnceLock::new()).collect(),
            solve_cotangents: program.solves.iter().map(|_| OnceLock::new()).collect(),
            lanes: Mutex::default(),
            back: program.systems.iter().map(|_| OnceLock::new()).collect(),
            sensitive: program.systems.iter().map(|_| OnceLock::new()).collect(),
            solve_tangents: program.solves.iter().map(|_| OnceLock::new()).collect(),
            directional: Mutex::default(),
            scale_curvature: OnceLock::new(),
            system_curvature: program.systems.iter().map(|_| OnceLock::new()).collect(),
            solve_curvature: program.solves.iter().map(|_| OnceLock::new()).collect(),
            block: BlockKernels::new(&program),
            layout,
            program,
            methods,
            forms,
            funcs,
            backend,
            compile_time: begun.elapsed(),
        })
    }

    /// Whether [`Plan::compile`] would find the derivatives in `program`; makes no code.
    pub fn check(program: Arc<Program>) -> Result<(), PlanError> {
        resolved(program).map(drop)
    }

    /// The method of the system that `solve` integrates.
    pub fn method(&self, solve: usize) -> &Method {
        &self.methods[self.layout.solves[solve].system]
    }

    /// The table of that method, which must be an explicit one.
    pub fn tableau(&self, solve: usize) -> &'static Tableau {
        match self.method(solve).tableau() {
            Some(tableau) => tableau,
            None => crate::bug!("`{}` is not an explicit method", self.method(solve).name),
        }
    }

    /// The system that `solve` integrates.
    pub fn system_of(&self, solve: usize) -> &System {
        self.program.system_of(solve)
    }

    /// What a run keeps, so that the solution of `system` can be had at any time.
    pub(crate) fn whole_path(&self, system: usize) -> Keep {
        match self.methods[system].kind {
            // The inside of a step can be had again.
            Kind::Explicit(_) | Kind::Taylor { .. } => Keep::Every,
            Kind::Stiff(_)
            | Kind::Multistep
            | Kind::Auto(_)
            | Kind::Symplectic(_)
            | Kind::Reversible(_)
            | Kind::Stochastic(_) => Keep::Path,
        }
    }

    /// The functions of `system` for blocks of runs that differ in `apart`.
    pub fn lane_kernels(&self, system: usize, apart: &Apart) -> Result<Arc<LaneKernels>, PlanError> {
        remembered(&self.lanes, (system, apart.clone()), || {
            self.make_lane_kernels(system, apart).map(Arc::new)
        })
    }

    /// How long [`Plan::compile`] took.
    pub fn compile_time(&self) -> Duration {
        self.compile_time
    }

    /// What runs the code.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// The solves that all results and curves need, ascending; the main run is always among them.
    pub fn needed(&self) -> Vec<usize> {
        let read = self.values.post.reads.iter().chain(&self.values.observe.reads);
        self.needs(read.copied().chain(self.program.main))
    }

    /// `wanted` and all solves that these need, ascending.
    pub(crate) fn needs(&self, wanted: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut needed = vec![false; self.program.solves.len()];
        wanted.for_each(|solve| needed[solve] = true);
        for solve in (0..needed.len()).rev().filter(|solve| needed[*solve]).collect::<Vec<_>>() {
            self.mark_before(solve, &mut needed);
        }
        (0..needed.len()).filter(|solve| needed[*solve]).collect()
    }

    fn mark_before(&self, solve: usize, needed: &mut [bool]) {
        let SolveKernels { start, times, stops } = &self.solves[solve];
        for read in [start, times, stops].into_iter().flat_map(|kernel| &kernel.reads) {
            if !needed[*read] {
                needed[*read] = true;
                self.mark_before(*read, needed);
            }
        }
    }

    /// Compiles what a gradient needs that passes through systems as `adjoints` says, if that has
    /// not been done, so that later calls find it.
    pub fn prepare_gradient(&self, target: Target, adjoints: &[Adjoint]) -> Result<(), PlanError> {
        self.scale_kernels()?;
        let needs = self.objective_kernels(target)?.needs;
        if self.goes_forward(&needs, adjoints) {
            self.objective_tangent(target)?;
            for solve in needs {
                self.solve_tangents(solve)?;
                self.sensitive(self.layout.solves[solve].system)?;
            }
            return Ok(());
        }
        for solve in needs {
            self.solve_cotangents(solve)?;
            let system = self.layout.solves[solve].system;
            self.check_reversible(solve, adjoints[system])?;
            self.event_cotangents(system)?;
            match adjoints[system] {
                Adjoint::Discrete | Adjoint::Checkpoint(_) => {
                    self.rate_cotangents(system)?;
                    self.steps_back(system)?;
                }
                Adjoint::Backsolve(_) => drop(self.back_kernels(system)?),
                Adjoint::Interpolating(_) => drop(self.rate_cotangents(system)?),
                Adjoint::Forward => crate::bug!("one system alone goes forward"),
            }
        }
        Ok(())
    }

    /// Whether a gradient through `solves` goes forward: if it does in one of their systems.
    pub(crate) fn goes_forward(&self, solves: &[usize], adjoints: &[Adjoint]) -> bool {
        solves.iter().any(|solve| adjoints[self.layout.solves[*solve].system] == Adjoint::Forward)
    }

    /// The params on their declared scale, `[P]`, that stand at `u` in free space.
    pub fn constrained<T: Element>(&self, u: &[T]) -> Result<Vec<T>, PlanError> {
        let mut p = vec![T::default(); self.layout.n_params];
        let constrain = &self.scale_kernels()?.constrain;
        constrain.call(&[T::input(u)], &mut [T::output(&mut p)], &mut Workspace::default());
        Ok(p)
    }

    /// The scalar result of this number by itself.
    pub(crate) fn alone(&self, result: usize) -> Result<Alone, PlanError> {
        let func = optimised(objective(&self.program, &self.layout, Target::Result(result)));
        let [value] = compile_run([&func], &*self.backend)?;
        Ok(Alone { needs: self.needs(value.reads.iter().copied()), value })
    }

    // ---- derivatives, compiled when first asked for ----------------------------------------

    pub(crate) fn objective_kernels(&self, target: Target) -> Made<ObjectiveKernels> {
        remembered(&self.objectives, target, || {
            let (value, vjp) = self.objective_funcs(target)?;
            let needs = self.needs(value.reads.iter().copied());
            let [kernel, vjp] = compile([&value.func, &vjp], &*self.backend)?;
            Ok(ObjectiveKernels { value: RunKernel { kernel, reads: value.reads }, vjp, needs })
        })
    }

    /// An objective and its cotangent function.
    pub(crate) fn objective_funcs(&self, target: Target) -> Result<(RunFunc, Func), PlanError> {
        let value = optimised(objective(&self.program, &self.layout, target));
        let vjp = reversed(&value.func, &self.known_and_p(&value), &[0])?;
        Ok((value, vjp))
    }

    /// Positions of the operands `known.., p` of a function of the run.
    pub(crate) fn known_and_p(&self, func: &RunFunc) -> Vec<usize> {
        let n_known: usize = func.reads.iter().map(|solve| self.n_known(*solve)).sum();
        (0..=n_known).collect()
    }

    /// Operands that the known values of `solve` are: its ends and its sites.
    pub(crate) fn n_known(&self, solve: usize) -> usize {
        2 + self.layout.solves[solve].site_rows.len()
    }

    pub(crate) fn scale_kernels(&self) -> Result<&ScaleKernels, PlanError> {
        made(&self.scale, || {
            let constrain = &self.funcs.packed.constrain;
            let vjp = reversed(constrain, &[0], &[0])?;
            let [constrain, constrain_vjp] = compile([constrain, &vjp], &*self.backend)?;
            Ok(ScaleKernels { constrain, constrain_vjp })
        })
    }

    /// `(t, inside, y, a, q, data.., bar dy) -> bar y, bar a, bar q` of the rate.
    pub(crate) fn rate_cotangents(&self, system: usize) -> Result<&Kernel, PlanError> {
        made(&self.rate_cotangents[system], || {
            let [rate] = compile([&self.rate_cotangent_func(system)?], &*self.backend)?;
            Ok(rate)
        })
    }

    /// `(t, h, y, k1, a, q, data.., bar tail, bar y_new) -> bar y, bar k1, bar a, bar q` of a step.
    pub(crate) fn step_cotangents(&self, system: usize) -> Result<&Kernel, PlanError> {
        made(&self.step_cotangents[system], || {
            let [step] = compile([&self.step_cotangent_func(system)?], &*self.backend)?;
            Ok(step)
        })
    }

    /// See [`steps::whole_step`]: what the dense output inside a step depends on.
    fn whole_step(&self, system: usize) -> Func {
        match self.methods[system].tableau() {
            Some(tableau) if !tableau.dense.extra.is_empty() => {
                opt::optimise(steps::whole_step(&self.funcs.packed.rates[system], tableau))
            }
            Some(_) | None => self.funcs.step(system).clone(),
        }
    }

    /// `(t, inside, y, a, q, data.., dt, dy, bar) -> bar y, bar a, bar q` of the derivative
    /// `f_t dt + f_y dy` of the rate `f`.
    pub(crate) fn bend_cotangents(&self, system: usize) -> Result<&Kernel, PlanError> {
        made(&self.bend_cotangents[system], || {
            let tangent = with_tangent(&self.funcs.packed.rates[system], &[rate::T, rate::Y])?;
            let bend = reversed(&tangent, &[rate::Y, rate::A, rate::Q], &[1])?;
            let [bend] = compile([&bend], &*self.backend)?;
            Ok(bend)
        })
    }

    /// Whether going back through the steps takes second derivatives of the rate.
    pub(crate) fn bends(&self, system: usize) -> bool {
        matches!(self.methods[system].kind, Kind::Stiff(Stiff::Rodas5p))
    }

    /// `(t, inside, y, a, q, data.., bar) -> bar y, bar a, bar q` of the shares of the noise; `None`
    /// where there is none.
    pub(crate) fn diffusion_cotangents(&self, system: usize) -> Result<Option<&Kernel>, PlanError> {
        let Some(diffusion) = &self.funcs.packed.motions[system].diffusion else { return Ok(None) };
        made(&self.diffusion_cotangents[system], || {
            let pull = reversed(diffusion, &[rate::Y, rate::A, rate::Q], &[0])?;
            let [pull] = compile([&pull], &*self.backend)?;
            Ok(pull)
        })
        .map(Some)
    }

    /// What is called to go back through a step, compiled.
    fn steps_back(&self, system: usize) -> Result<(), PlanError> {
        if self.methods[system].tableau().is_some() {
            self.step_cotangents(system)?;
        }
        if self.bends(system) {
            self.bend_cotangents(system)?;
        }
        self.diffusion_cotangents(system).map(drop)
    }

    /// The function of [`Plan::rate_cotangents`].
    pub(crate) fn rate_cotangent_func(&self, system: usize) -> Result<Func, PlanError> {
        reversed(&self.funcs.packed.rates[system], &[rate::Y, rate::A, rate::Q], &[0])
    }

    /// The function of [`Plan::step_cotangents`].
    pub(crate) fn step_cotangent_func(&self, system: usize) -> Result<Func, PlanError> {
        reversed(&self.whole_step(system), &[step::Y, step::K1, step::A, step::Q], &[0, 1])
    }

    pub(crate) fn event_cotangents(&self, system: usize) -> Result<&EventCotangents, PlanError> {
        made(&self.event_cotangents[system], || {
            let motion = &self.funcs.packed.motions[system];
            let compiled = |func: &Func, wrt: &[usize]| {
                compile([&reversed(func, wrt, &[0])?], &*self.backend).map(|[kernel]| kernel)
            };
            let now = [rate::T, rate::Y, rate::A, rate::Q];
            let by_now = |func: &Func| compiled(func, &now);
            // A function of the fixed operands alone begins with them.
            let by_fixed =
                |func: &Option<Func>| func.as_ref().map(|func| compiled(func, &[0, 1])).transpose();
            Ok(EventCotangents {
                roots: motion.roots.as_ref().map(by_now).transpose()?,
                jumps: motion.jumps.iter().map(by_now).collect::<Result<_, _>>()?,
                times: motion.times.iter().map(by_fixed).collect::<Result<_, _>>()?,
            })
        })
    }

    pub(crate) fn back_kernels(&self, system: usize) -> Result<&BackKernels, PlanError> {
        made(&self.back[system], || {
            let tableau = match self.methods[system].tableau() {
                Some(tableau) => tableau,
                None => crate::bug!("`{}` is not an explicit method", self.methods[system].name),
            };
            let rate = &self.funcs.packed.rates[system];
            let rate = augmented(rate, self.layout.systems[system].n_states)?;
            let step = opt::optimise(steps::step(&rate, tableau));
            let [rate, step] = compile([&rate, &step], &*self.backend)?;
            Ok(BackKernels { rate, step })
        })
    }

    pub(crate) fn solve_cotangents(&self, solve: usize) -> Result<&SolveCotangents, PlanError> {
        made(&self.solve_cotangents[solve], || {
            let moving = self.moving(solve);
            let [start, times, stops] = self.solve_cotangent_funcs(solve, moving)?.map(|func| {
                func.map(|func| compile([&func], &*self.backend).map(|[kernel]| kernel)).transpose()
            });
            let start = start?.expect("there is a start whatever moves");
            Ok(SolveCotangents { start, times: times?, stops: stops?, moving })
        })
    }

    /// The functions of [`SolveCotangents`]: of the start, of times and stops that move.
    pub(crate) fn solve_cotangent_funcs(
        &self,
        solve: usize,
        moving: Moving,
    ) -> Result<[Option<Func>; 3], PlanError> {
        let PackedSolve { start, times, stops } = &self.funcs.packed.solves[solve];
        let results: &[usize] = if moving.ends { &[0, 1, 2, 3] } else { &[2, 3] };
        let reversed = |func: &RunFunc, wanted: bool, results: &[usize]| match wanted {
            true => reversed(&func.func, &self.known_and_p(func), results).map(Some),
            false => Ok(None),
        };
        Ok([
            reversed(start, true, results)?,
            reversed(times, moving.sites, &[0])?,
            reversed(stops, moving.stops, &[0])?,
        ])
    }

    /// Which times of `solve` depend on params.
    pub(crate) fn moving(&self, solve: usize) -> Moving {
        let PackedSolve { start, times, stops } = &self.funcs.packed.solves[solve];
        let moves = |func: &RunFunc, results: std::ops::Range<usize>| {
            let read = func.func.reads(results);
            self.known_and_p(func).into_iter().any(|operand| read[operand])
        };
        Moving { ends: moves(start, 0..2), sites: moves(times, 0..1), stops: moves(stops, 0..1) }
    }

    // ---- sensitivities ---------------------------------------------------------------------

    pub(crate) fn sensitive(&self, system: usize) -> Result<&SensitiveKernels, PlanError> {
        made(&self.sensitive[system], || self.make_sensitive(system))
    }

    pub(crate) fn solve_tangents(&self, solve: usize) -> Result<&SolveTangents, PlanError> {
        made(&self.solve_tangents[solve], || self.make_solve_tangents(solve))
    }

    pub(crate) fn objective_tangent(&self, target: Target) -> Made<ObjectiveTangent> {
        remembered(&self.directional, target, || self.make_objective_tangent(target))
    }

    // ---- curvature -------------------------------------------------------------------------

    /// The tangent of [`ObjectiveKernels::vjp`] in `known.., p`.
    pub(crate) fn objective_curvature(&self, target: Target) -> Result<Kernel, PlanError> {
        remembered(&self.objective_tangents, target, || {
            let (value, vjp) = self.objective_funcs(target)?;
            let tangent = with_tangent(&vjp, &self.known_and_p(&value))?;
            let [tangent] = compile([&tangent], &*self.backend)?;
            Ok(tangent)
        })
    }

    pub(crate) fn system_curvature(&self, system: usize) -> Result<&SystemCurvature, PlanError> {
        made(&self.system_curvature[system], || {
            let (of_rate, of_step) = ([rate::Y, rate::A, rate::Q], [step::Y, step::K1, step::A, step::Q]);
            let (rate, step) = (&self.funcs.packed.rates[system], &self.whole_step(system));
            let rate_vjp = self.rate_cotangent_func(system)?;
            let step_vjp = self.step_cotangent_func(system)?;
            // The cotangents stand behind the operands of the function itself.
            let (bar_rate, bar_step) = (rate.params.len(), step.params.len());
            let [rate, step, rate_vjp, step_vjp] = compile(
                [
                    &with_tangent(rate, &of_rate)?,
                    &with_tangent(step, &of_step)?,
                    &with_tangent(&rate_vjp, &[&of_rate[..], &[bar_rate]].concat())?,
                    &with_tangent(&step_vjp, &[&of_step[..], &[bar_step, bar_step + 1]].concat())?,
                ],
                &*self.backend,
            )?;
            Ok(SystemCurvature { rate, step, rate_vjp, step_vjp })
        })
    }

    /// Refused if the times of the solve move.
    pub(crate) fn solve_curvature(&self, solve: usize) -> Result<&SolveCurvature, PlanError> {
        made(&self.solve_curvature[solve], || {
            let moving = self.moving(solve);
            let method = self.method(solve);
            if method.tableau().is_none() {
                return Err(PlanError::NoHessianThroughMethod { method: method.name });
            }
            if let Some(event) = self.system_of(solve).events.first() {
                return Err(PlanError::NoHessianThroughEvents { event: event.span });
            }
            if moving.any() {
                return Err(PlanError::NoHessian { span: self.program.solves[solve].span });
            }
            let start = &self.funcs.packed.solves[solve].start;
            let [vjp, _, _] = self.solve_cotangent_funcs(solve, moving)?;
            let vjp = vjp.expect("there is a start whatever moves");
            let (by, bar) = (self.known_and_p(start), start.func.params.len());
            let start = with_tangent(&start.func, &by)?;
            let vjp = with_tangent(&vjp, &[&by[..], &[bar, bar + 1]].concat())?;
            let [start, start_vjp] = compile([&start, &vjp], &*self.backend)?;
            Ok(SolveCurvature { start, start_vjp })
        })
    }

    pub(crate) fn scale_curvature(&self) -> Result<&ScaleCurvature, PlanError> {
        made(&self.scale_curvature, || {
            let constrain = &self.funcs.packed.constrain;
            let vjp = with_tangent(&reversed(constrain, &[0], &[0])?, &[0, 1])?;
            let [constrain, constrain_vjp] =
                compile([&with_tangent(constrain, &[0])?, &vjp], &*self.backend)?;
            Ok(ScaleCurvature { constrain, constrain_vjp })
        })
    }
}

impl Funcs {
    /// The functions of `program`, whose requests are resolved; optimised.
    fn of(program: &Program, layout: &Layout, methods: &[Method]) -> Funcs {
        let packed = pack(program, layout);
        let solves = packed.solves.into_iter().map(|solve| PackedSolve {
            start: optimised(solve.start),
            times: optimised(solve.times),
            stops: optimised(solve.stops),
        });
        let packed = Packed {
            constrain: opt::optimise(packed.constrain),
            rates: packed.rates.into_iter().map(opt::optimise).collect(),
            motions: packed.motions.into_iter().map(PackedMotion::optimised).collect(),
            solves: solves.collect(),
            post: optimised(packed.post),
            observe: optimised(packed.observe),
            draws: optimised(packed.draws),
        };
        let rates = packed.rates.iter().zip(methods);
        let step = |(rate, method): (&Func, &Method)| {
            method.tableau().map(|tableau| opt::optimise(steps::step(rate, tableau)))
        };
        let steps = rates.map(step).collect();
        Funcs { packed, steps }
    }

    /// The step of `system`, whose method is explicit.
    pub(crate) fn step(&self, system: usize) -> &Func {
        match &self.steps[system] {
            Some(step) => step,
            None => crate::bug!("system {system} has no explicit method"),
        }
    }
}

/// What `method` calls of `system` beside the rate.
fn moves(
    program: &Program,
    layout: &Layout,
    funcs: &Funcs,
    system: usize,
    (method, form): (&Method, Form),
    backend: &dyn Backend,
) -> Result<Moves, PlanError> {
    match method.kind {
        Kind::Explicit(tableau) => {
            let [step] = compile([funcs.step(system)], backend)?;
            let extension = extension(&funcs.packed.rates[system], tableau, backend)?;
            Ok(Moves::Explicit { step, extension })
        }
        Kind::Stiff(_) => Ok(Moves::Stiff(derivatives(funcs, layout, system, form, backend)?)),
        Kind::Auto(tableau) => {
            let step = opt::optimise(steps::step(&funcs.packed.rates[system], tableau));
            let [step] = compile([&step], backend)?;
            Ok(Moves::Auto { step, derivatives: derivatives(funcs, layout, system, form, backend)? })
        }
        Kind::Taylor { order } => {
            let rate = &funcs.packed.rates[system];
            let expansion = Expansion::of(rate, order, layout.systems[system].n_states)?;
            let [inner, finish] = compile([expansion.inner(), &motion::finish(rate, order)], backend)?;
            Ok(Moves::Taylor { order, expansion: expansion.with(inner), finish })
        }
        Kind::Multistep | Kind::Reversible(_) => Ok(Moves::Multistep),
        Kind::Symplectic(_) => match Halves::of(&program.systems[system])? {
            Ok(halves) => Ok(Moves::Symplectic(halves)),
            Err(coupled) => {
                crate::bug!("a symplectic method for a system that is not separable: {coupled:?}")
            }
        },
        Kind::Stochastic(_) => match &funcs.packed.motions[system].diffusion {
            Some(diffusion) => {
                let [diffusion] = compile([diffusion], backend)?;
                Ok(Moves::Stochastic { diffusion })
            }
            None => crate::bug!("a stochastic method for a system without noise"),
        },
    }
}

/// The stages that only dense output needs, compiled; `None` for a table without any.
pub(crate) fn extension(
    rate: &Func,
    tableau: &Tableau,
    backend: &dyn Backend,
) -> Result<Option<Kernel>, PlanError> {
    let Some(extension) = steps::extension(rate, tableau).map(opt::optimise) else { return Ok(None) };
    compile([&extension], backend).map(|[kernel]| Some(kernel))
}

/// The derivatives of the rate of `system`, compiled.
fn derivatives(
    funcs: &Funcs,
    layout: &Layout,
    system: usize,
    form: Form,
    backend: &dyn Backend,
) -> Result<Derivatives, PlanError> {
    let (rate, n_states) = (&funcs.packed.rates[system], layout.systems[system].n_states);
    let mass = || mass_pattern(funcs.packed.motions[system].mass.as_ref(), n_states);
    Derivatives::of(rate, n_states, form, mass, backend)
}

pub(crate) fn optimised(func: RunFunc) -> RunFunc {
    RunFunc { func: opt::optimise(func.func), reads: func.reads }
}

/// What is in `place`, made if it is not there.
pub(crate) fn made<K>(place: &OnceLock<Made<K>>, make: impl FnOnce() -> Made<K>) -> Result<&K, PlanError> {
    place.get_or_init(make).as_ref().map_err(Clone::clone)
}

/// The entry of `key`, made if it is not there.
fn remembered<N: Ord, K: Clone>(known: &Remembered<N, K>, key: N, make: impl FnOnce() -> Made<K>) -> Made<K> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(key).or_insert_with(make).clone()
}
