//! A compiled model.
//!
//! A [`Plan`] holds a system's packed functions with its integration method and compiles them in
//! three groups, each when it is first needed: what a simulation runs, what a gradient adds, what
//! a Hessian adds. The forward pass is `plan::forward`, the reverse pass `plan::adjoint`.

use crate::ad;
use crate::backend::{Backend, Workspace};
use crate::ir::func::{Func, Port};
use crate::ir::program::{Param, Program};
use crate::ir::system::{SiteKind, Solve, System};
use crate::opt;
use crate::plan::pack::{Layout, Packed, Target, objective, pack};
use crate::plan::step::step;
use crate::plan::unit::{Element, Kernel, PlanError, compile};
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
    /// The integration method.
    pub tableau: &'static Tableau,
    /// The packed functions, requests resolved.
    pub funcs: Funcs,
    pub(crate) forward: ForwardKernels,
    objectives: Mutex<BTreeMap<Target, ObjectiveKernels>>,
    objective_tangents: Mutex<BTreeMap<Target, Kernel>>,
    gradient: OnceLock<Result<GradientKernels, PlanError>>,
    curvature: OnceLock<Result<CurvatureKernels, PlanError>>,
    backend: Arc<dyn Backend>,
    compile_time: Duration,
}

/// The functions of a plan in the tensor IR.
#[derive(Clone, Debug)]
pub struct Funcs {
    /// See [`Packed`].
    pub packed: Packed,
    /// See [`step`].
    pub step: Func,
}

/// What a simulation runs.
pub(crate) struct ForwardKernels {
    pub start: Kernel,
    pub rate: Kernel,
    pub step: Kernel,
    pub times: Kernel,
    pub post: Kernel,
    pub observe: Kernel,
}

/// A scalar of the run and its derivatives.
#[derive(Clone)]
pub(crate) struct ObjectiveKernels {
    /// `t0, t1, site.., p, data.. -> value`
    pub value: Kernel,
    /// `(.., bar value) -> bar site.., bar p`
    pub vjp: Kernel,
}

/// What a gradient adds: the cotangent functions. Operands of each: those of the function, then a
/// cotangent for each result named; results as named.
pub(crate) struct GradientKernels {
    /// `u -> p`
    pub constrain: Kernel,
    /// `(.., bar y0) -> bar p`
    pub start_vjp: Kernel,
    /// `(.., bar dy) -> bar y, bar p`
    pub rate_vjp: Kernel,
    /// `(.., bar tail, bar y_new) -> bar y, bar k1, bar p`
    pub step_vjp: Kernel,
    /// `(u, bar p) -> bar u`
    pub constrain_vjp: Kernel,
}

/// What a Hessian adds: tangents of the functions above. Operands of each: those of the function,
/// then a tangent for each operand named; results: those of the function, then their tangents.
pub(crate) struct CurvatureKernels {
    /// in `p`
    pub start: Kernel,
    /// in `y, p`
    pub rate: Kernel,
    /// in `y, k1, p`
    pub step: Kernel,
    /// in `u`
    pub constrain: Kernel,
    /// in `p, bar y0`
    pub start_vjp: Kernel,
    /// in `y, p, bar dy`
    pub rate_vjp: Kernel,
    /// in `y, k1, p, bar tail, bar y_new`
    pub step_vjp: Kernel,
    /// in `u, bar p`
    pub constrain_vjp: Kernel,
}

/// The cotangent functions in the tensor IR, in the order of [`GradientKernels`].
struct Cotangents {
    start: Func,
    rate: Func,
    step: Func,
    constrain: Func,
}

impl Plan {
    /// Resolves the derivatives in `program`, packs its functions and compiles those a simulation
    /// needs.
    pub fn compile(
        program: Arc<Program>,
        tableau: &'static Tableau,
        backend: Arc<dyn Backend>,
    ) -> Result<Plan, PlanError> {
        let begun = Instant::now();
        let program = Arc::new(resolved(&program)?);
        let funcs = Funcs::of(&program, tableau);
        let p = &funcs.packed;
        let [start, rate, step, times, post, observe] =
            compile([&p.start, &p.rate, &funcs.step, &p.times, &p.post, &p.observe], &*backend)?;
        Ok(Plan {
            layout: Layout::of(&program),
            program,
            tableau,
            forward: ForwardKernels { start, rate, step, times, post, observe },
            funcs,
            objectives: Mutex::default(),
            objective_tangents: Mutex::default(),
            gradient: OnceLock::new(),
            curvature: OnceLock::new(),
            backend,
            compile_time: begun.elapsed(),
        })
    }

    /// Whether [`Plan::compile`] would find the derivatives in `program`; makes no code.
    pub fn check(program: &Program) -> Result<(), PlanError> {
        resolved(program).map(|_| ())
    }

    /// What is integrated.
    pub fn system(&self) -> &System {
        &self.program.systems[self.solve().system]
    }

    /// How it is integrated.
    pub fn solve(&self) -> &Solve {
        the_solve(&self.program)
    }

    /// How long [`Plan::compile`] took.
    pub fn compile_time(&self) -> Duration {
        self.compile_time
    }

    /// What runs the code.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// The cotangent functions that a gradient needs beside that of its objective.
    pub(crate) fn cotangent_funcs(&self) -> Result<Vec<Func>, PlanError> {
        let Cotangents { start, rate, step, constrain } = self.cotangents()?;
        Ok(vec![start, rate, step, constrain])
    }

    /// Compiles what a gradient needs, if that has not been done, so that later calls find it.
    pub fn prepare_gradient(&self) -> Result<(), PlanError> {
        self.gradient_kernels().map(|_| ())
    }

    /// The params on their declared scale, `[P]`, that stand at `u` in free space.
    pub fn constrained<T: Element>(&self, u: &[T]) -> Result<Vec<T>, PlanError> {
        let mut p = vec![T::default(); u.len()];
        let constrain = &self.gradient_kernels()?.constrain;
        constrain.call(&[T::input(u)], &mut [T::output(&mut p)], &mut Workspace::default());
        Ok(p)
    }

    /// A scalar of the run with its cotangents, compiled when first asked for. Refused if the
    /// times of the run depend on the params, which the reverse pass does not follow.
    pub(crate) fn objective_kernels(&self, target: Target) -> Result<ObjectiveKernels, PlanError> {
        remembered(&self.objectives, target, || {
            check_times_are_fixed(&self.program)?;
            let (value, vjp) = self.objective_funcs(target)?;
            let [value, vjp] = compile([&value, &vjp], &*self.backend)?;
            Ok(ObjectiveKernels { value, vjp })
        })
    }

    /// The tangent of [`ObjectiveKernels::vjp`] in `site.., p`.
    pub(crate) fn objective_curvature(&self, target: Target) -> Result<Kernel, PlanError> {
        remembered(&self.objective_tangents, target, || {
            let (_, vjp) = self.objective_funcs(target)?;
            let tangent = opt::optimise(ad::jvp_func(&vjp, &self.site_and_p())?);
            let [tangent] = compile([&tangent], &*self.backend)?;
            Ok(tangent)
        })
    }

    /// An objective and its cotangent function.
    pub(crate) fn objective_funcs(&self, target: Target) -> Result<(Func, Func), PlanError> {
        let value = opt::optimise(objective(&self.program, target));
        let vjp = opt::optimise(ad::vjp_func(&value, &self.site_and_p(), &[0])?);
        Ok((value, vjp))
    }

    /// Positions of the operands `site.., p` of an objective.
    fn site_and_p(&self) -> Vec<usize> {
        (2..2 + self.solve().sites.len() + 1).collect()
    }

    pub(crate) fn gradient_kernels(&self) -> Result<&GradientKernels, PlanError> {
        self.gradient.get_or_init(|| self.compile_gradient()).as_ref().map_err(Clone::clone)
    }

    pub(crate) fn curvature_kernels(&self) -> Result<&CurvatureKernels, PlanError> {
        self.curvature.get_or_init(|| self.compile_curvature()).as_ref().map_err(Clone::clone)
    }

    fn compile_gradient(&self) -> Result<GradientKernels, PlanError> {
        let p = &self.funcs.packed;
        let bars = self.cotangents()?;
        let [constrain, start_vjp, rate_vjp, step_vjp, constrain_vjp] =
            compile([&p.constrain, &bars.start, &bars.rate, &bars.step, &bars.constrain], &*self.backend)?;
        Ok(GradientKernels { constrain, start_vjp, rate_vjp, step_vjp, constrain_vjp })
    }

    fn compile_curvature(&self) -> Result<CurvatureKernels, PlanError> {
        let p = &self.funcs.packed;
        let bars = self.cotangents()?;
        // Operand positions; see `Packed`, `step` and `GradientKernels`.
        let n_data = self.program.data.len();
        let tangent = |func: &Func, wrt: &[usize]| -> Result<Func, PlanError> {
            Ok(opt::optimise(ad::jvp_func(func, wrt)?))
        };
        let [start, rate, step, constrain, start_vjp, rate_vjp, step_vjp, constrain_vjp] = compile(
            [
                &tangent(&p.start, &[0])?,
                &tangent(&p.rate, &[1, 2])?,
                &tangent(&self.funcs.step, &[2, 3, 4])?,
                &tangent(&p.constrain, &[0])?,
                &tangent(&bars.start, &[0, 1 + n_data])?,
                &tangent(&bars.rate, &[1, 2, 3 + n_data])?,
                &tangent(&bars.step, &[2, 3, 4, 5 + n_data, 6 + n_data])?,
                &tangent(&bars.constrain, &[0, 1])?,
            ],
            &*self.backend,
        )?;
        Ok(CurvatureKernels { start, rate, step, constrain, start_vjp, rate_vjp, step_vjp, constrain_vjp })
    }

    fn cotangents(&self) -> Result<Cotangents, PlanError> {
        let p = &self.funcs.packed;
        let reverse = |func: &Func, wrt: &[usize], results: &[usize]| -> Result<Func, PlanError> {
            Ok(opt::optimise(ad::vjp_func(func, wrt, results)?))
        };
        Ok(Cotangents {
            start: reverse(&p.start, &[0], &[2])?,
            rate: reverse(&p.rate, &[1, 2], &[0])?,
            step: reverse(&self.funcs.step, &[2, 3, 4], &[0, 1])?,
            constrain: reverse(&p.constrain, &[0], &[0])?,
        })
    }
}

impl Funcs {
    /// The functions of `program`, whose requests are resolved, under `tableau`; optimised.
    fn of(program: &Program, tableau: &Tableau) -> Funcs {
        let packed = pack(program);
        let packed = Packed {
            constrain: opt::optimise(packed.constrain),
            start: opt::optimise(packed.start),
            rate: opt::optimise(packed.rate),
            times: opt::optimise(packed.times),
            post: opt::optimise(packed.post),
            observe: opt::optimise(packed.observe),
        };
        let step = opt::optimise(step(&packed.rate, tableau));
        Funcs { packed, step }
    }
}

/// The reverse pass holds the ends of the run and the times of the sites fixed.
fn check_times_are_fixed(program: &Program) -> Result<(), PlanError> {
    let solve = the_solve(program);
    let (start, times) = (&solve.start, &solve.times);
    let given = solve.sites.iter().filter(|site| site.kind == SiteKind::Times);
    let ends = start.results[..2].iter().map(|end| (start, end, None));
    let sites = times.results.iter().zip(given).map(|(port, site)| (times, port, Some(site.span)));
    for (func, port, times) in ends.chain(sites) {
        let reads = |(_, operand): &(&Param, &Port)| func.depends(port.value, operand.value);
        if let Some((param, _)) = program.params.iter().zip(&func.params).find(reads) {
            return Err(PlanError::TimesDependOnParams { times, param: param.span });
        }
    }
    Ok(())
}

/// `program` with every request for a derivative resolved. This comes before packing, which makes
/// parts of one vector of the parameters that requests differentiate by.
fn resolved(program: &Program) -> Result<Program, PlanError> {
    let expand = |func: &Func| ad::expand(func.clone());
    let systems = program.systems.iter().map(|system| {
        let field = expand(&system.field)?;
        Ok(System { field, ..system.clone() })
    });
    let solves = program.solves.iter().map(|solve| {
        let (start, times) = (expand(&solve.start)?, expand(&solve.times)?);
        Ok(Solve { start, times, ..solve.clone() })
    });
    Ok(Program {
        systems: systems.collect::<Result<_, PlanError>>()?,
        solves: solves.collect::<Result<_, PlanError>>()?,
        post: expand(&program.post)?,
        observe: expand(&program.observe)?,
        ..program.clone()
    })
}

/// The one solve of a program: plans of several are not made yet.
pub(crate) fn the_solve(program: &Program) -> &Solve {
    match &program.solves[..] {
        [solve] => solve,
        solves => crate::bug!("a plan of {} solves", solves.len()),
    }
}

/// The entry of `target`, made if it is not there.
fn remembered<K: Clone>(
    known: &Mutex<BTreeMap<Target, K>>,
    target: Target,
    make: impl FnOnce() -> Result<K, PlanError>,
) -> Result<K, PlanError> {
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kernel) = known.get(&target) {
        return Ok(kernel.clone());
    }
    let kernel = make()?;
    known.insert(target, kernel.clone());
    Ok(kernel)
}
