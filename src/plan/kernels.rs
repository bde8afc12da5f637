//! The compiled functions of a plan, in the groups in which they are compiled.
//!
//! What a simulation runs is compiled at once; what a gradient or a Hessian adds, when it is first
//! asked for, by system and by solve.

use crate::ad;
use crate::backend::Backend;
use crate::ir::func::Func;
use crate::ir::types::DType;
use crate::opt;
use crate::plan::derivatives::Derivatives;
use crate::plan::halves::Halves;
use crate::plan::leap::leap;
use crate::plan::motion::{MotionKernels, series};
use crate::plan::pack::RunFunc;
use crate::plan::unit::{Kernel, PlanError, compile};

/// A compiled [`RunFunc`].
#[derive(Clone)]
pub(crate) struct RunKernel {
    /// The code.
    pub kernel: Kernel,
    /// The solves whose known values it takes.
    pub reads: Vec<usize>,
}

/// What a simulation runs of a system.
pub(crate) struct SystemKernels {
    pub rate: Kernel,
    pub moves: Moves,
    pub motion: MotionKernels,
}

/// What the method of a system calls beside the rate.
pub(crate) enum Moves {
    /// The step of its table, and the stages that only dense output needs.
    Explicit { step: Kernel, extension: Option<Kernel> },
    /// The derivatives of the rate.
    Stiff(Derivatives),
    /// Both of these.
    Auto { step: Kernel, derivatives: Derivatives },
    /// See [`finish`](crate::plan::motion::finish).
    Taylor { order: usize, expansion: Expansion<Kernel>, finish: Kernel },
    /// Nothing else.
    Multistep,
    /// Nothing else.
    Symplectic(Halves),
    /// `t, inside, y, a, q, data.. -> g: [n_states * m]`
    Stochastic { diffusion: Kernel },
}

/// How the Taylor method expands.
pub(crate) enum Expansion<K> {
    /// See [`series`](crate::plan::motion::series).
    Series(K),
    /// See [`leap`](crate::plan::leap::leap): so many components count.
    Leap(K, usize),
}

impl Expansion<Func> {
    /// Of `rate`, whose first `n_states` components are states: leaps in `f64`, where no square of a ratio
    /// to a tolerance is too large.
    pub fn of(rate: &Func, order: usize, n_states: usize) -> Result<Expansion<Func>, PlanError> {
        let state = rate.ty(rate.params[rate::Y].value);
        let n = state.shape.dims()[0];
        match (state.dtype, if n_states == 0 { n } else { n_states }) {
            (DType::F64, n_counted @ 1..) => Ok(Expansion::Leap(leap(rate, order, n_counted)?, n_counted)),
            (DType::F64 | DType::F32 | DType::I64 | DType::Bool, _) => {
                Ok(Expansion::Series(series(rate, order)?))
            }
        }
    }
}

impl<K> Expansion<K> {
    /// The function.
    pub fn inner(&self) -> &K {
        match self {
            Expansion::Series(of) | Expansion::Leap(of, _) => of,
        }
    }

    /// The same of another form of the function.
    pub fn with<L>(&self, other: L) -> Expansion<L> {
        match self {
            Expansion::Series(_) => Expansion::Series(other),
            Expansion::Leap(_, n_counted) => Expansion::Leap(other, *n_counted),
        }
    }
}

/// What a simulation runs of a solve.
pub(crate) struct SolveKernels {
    pub start: RunKernel,
    pub times: RunKernel,
    pub stops: RunKernel,
}

/// The values of the run.
pub(crate) struct ResultKernels {
    pub post: RunKernel,
    pub observe: RunKernel,
}

/// A scalar of the run and its derivatives.
#[derive(Clone)]
pub(crate) struct ObjectiveKernels {
    /// `known.., p, data.. -> value, terms..`
    pub value: RunKernel,
    /// `(.., bar value) -> bar known.., bar p`
    pub vjp: Kernel,
    /// The solves it needs, ascending: those it reads and those that these need.
    pub needs: Vec<usize>,
}

/// The params in free space.
pub(crate) struct ScaleKernels {
    /// `u -> p`
    pub constrain: Kernel,
    /// `(u, bar p) -> bar u`
    pub constrain_vjp: Kernel,
}

/// The cotangent functions of the events of a system. Operands of each: those of the function, then a
/// cotangent for each result named; results as named.
pub(crate) struct EventCotangents {
    /// `(.., bar r) -> bar t, bar y, bar a, bar q`; `None` without conditions.
    pub roots: Option<Kernel>,
    /// By event: `(.., bar y_new) -> bar t, bar y, bar a, bar q`.
    pub jumps: Vec<Kernel>,
    /// By event: `(.., bar times) -> bar a, bar q`; `None` for a condition.
    pub times: Vec<Option<Kernel>>,
}

/// The adjoint equation of a system with its states and quadratures: see
/// [`augmented`](crate::plan::adjoint::augmented).
pub(crate) struct BackKernels {
    pub rate: Kernel,
    pub step: Kernel,
}

/// The cotangent functions of a solve.
pub(crate) struct SolveCotangents {
    /// `(.., bar y0, bar a) -> bar known.., bar p`, with `bar t0, bar t1` before `bar y0` if the
    /// ends move.
    pub start: Kernel,
    /// `(.., bar times) -> bar known.., bar p`; `None` if the times do not move.
    pub times: Option<Kernel>,
    /// `(.., bar stops) -> bar known.., bar p`; `None` if the stops do not move.
    pub stops: Option<Kernel>,
    /// Which times depend on params.
    pub moving: Moving,
}

/// Which times of a solve depend on params, directly or through solves before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moving {
    /// Its start or its end.
    pub ends: bool,
    /// A site.
    pub sites: bool,
    /// A time that a step must end on.
    pub stops: bool,
}

impl Moving {
    /// Whether any does.
    pub fn any(self) -> bool {
        self.ends || self.sites || self.stops
    }
}

/// What a Hessian adds for a system: tangents of the functions above. Operands of each: those of
/// the function, then a tangent for each operand named; results: those of the function, then their
/// tangents.
pub(crate) struct SystemCurvature {
    /// in `y, a, q`
    pub rate: Kernel,
    /// in `y, k1, a, q`
    pub step: Kernel,
    /// in `y, a, q, bar dy`
    pub rate_vjp: Kernel,
    /// in `y, k1, a, q, bar tail, bar y_new`
    pub step_vjp: Kernel,
}

/// What a Hessian adds for a solve whose times do not move.
pub(crate) struct SolveCurvature {
    /// in `known.., p`
    pub start: Kernel,
    /// in `known.., p, bar y0, bar a`
    pub start_vjp: Kernel,
}

/// What a Hessian adds for the params in free space.
pub(crate) struct ScaleCurvature {
    /// in `u`
    pub constrain: Kernel,
    /// in `u, bar p`
    pub constrain_vjp: Kernel,
}

/// Positions of the operands of `rate`.
pub(crate) mod rate {
    pub const T: usize = 0;
    pub const Y: usize = 2;
    pub const A: usize = 3;
    pub const Q: usize = 4;
}

/// Positions of the operands of `step`.
pub(crate) mod step {
    pub const Y: usize = 2;
    pub const K1: usize = 3;
    pub const A: usize = 4;
    pub const Q: usize = 5;
}

/// `func` reversed, by the operands `wrt` of the results `results`.
pub(crate) fn reversed(func: &Func, wrt: &[usize], results: &[usize]) -> Result<Func, PlanError> {
    Ok(opt::optimise(ad::vjp_func(func, wrt, results)?))
}

/// `func` with its tangent in the operands `wrt`.
pub(crate) fn with_tangent(func: &Func, wrt: &[usize]) -> Result<Func, PlanError> {
    Ok(opt::optimise(ad::jvp_func(func, wrt)?))
}

/// Compiles functions of the run.
pub(crate) fn compile_run<const N: usize>(
    funcs: [&RunFunc; N],
    backend: &dyn Backend,
) -> Result<[RunKernel; N], PlanError> {
    let kernels = compile(funcs.map(|func| &func.func), backend)?;
    let mut reads = funcs.into_iter().map(|func| func.reads.clone());
    Ok(kernels.map(|kernel| RunKernel { kernel, reads: reads.next().expect("as many as kernels") }))
}
