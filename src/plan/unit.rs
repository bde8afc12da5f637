//! Compiled functions and how they are called.
//!
//! [`compile`] takes functions of the tensor IR through lowering and a back end; a [`Kernel`] is one
//! of them, ready to call. [`Element`] ties the two precisions of a run to the
//! buffers of a call; [`Data`] holds what comes from outside in the element types the functions
//! want.

use crate::ad::AdError;
use crate::backend::lanes::{self, LaneExecutable, LaneFunc, Spread};
use crate::backend::{Backend, CompileError, Executable, Input, Output, Workspace};
use crate::base::span::Span;
use crate::ir::func::Func;
use crate::ir::program::DataPort;
use crate::ir::types::DType;
use crate::lower::loops::{LoopFunc, LoopModule};
use crate::lower::{self, LowerError};
use crate::solve::problem::Real;
use crate::solve::stepper::Carried;
use smallvec::SmallVec;
use std::hash::Hash;
use std::sync::Arc;

/// Why a model could not be compiled.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlanError {
    /// A derivative that does not exist or is not offered.
    #[error(transparent)]
    Derivative(#[from] AdError),
    /// A function that does not fit the loop IR.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// A Hessian is wanted of a run whose times depend on the params.
    #[error("second derivatives through times that depend on params are not supported yet")]
    NoHessian {
        /// Where the solve is asked for.
        span: Span,
    },
    /// A Hessian is wanted through a system with events.
    #[error("second derivatives through events are not supported yet")]
    NoHessianThroughEvents {
        /// The first of them.
        event: Span,
    },
    /// A Hessian is wanted through a method that is not explicit.
    #[error("second derivatives through `{method}` are not supported yet")]
    NoHessianThroughMethod {
        /// Its name.
        method: &'static str,
    },
    /// A gradient is wanted by a way that does not pass through the method.
    #[error("gradients through `{method}` by `solve.adjoint = {adjoint}` are not supported yet")]
    MethodNotDifferentiated {
        /// Its name.
        method: &'static str,
        /// The way.
        adjoint: &'static str,
        /// The ways that do, in words.
        others: &'static str,
    },
    /// A gradient cannot pass through this system in this way.
    #[error("`solve.adjoint = {adjoint}` does not support {what} yet")]
    NotThrough {
        /// The way.
        adjoint: &'static str,
        /// What stands in the way.
        what: &'static str,
        /// Where it is.
        span: Span,
    },
    /// A gradient is wanted across a jump that no event marks.
    #[error("a gradient across a jump that no step ends at")]
    Jump {
        /// Where it is.
        span: Span,
        /// Why no event marks it.
        why: &'static str,
    },
    /// A failure of the code generator.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// The element type of a run.
pub trait Element: Real {
    /// Its name in the IR.
    const DTYPE: DType;
    /// As an input of a call.
    fn input(data: &[Self]) -> Input<'_>;
    /// As an output of a call.
    fn output(data: &mut [Self]) -> Output<'_>;
}

impl Element for f64 {
    const DTYPE: DType = DType::F64;
    fn input(data: &[f64]) -> Input<'_> {
        Input::F64(data)
    }
    fn output(data: &mut [f64]) -> Output<'_> {
        Output::F64(data)
    }
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
    fn input(data: &[f32]) -> Input<'_> {
        Input::F32(data)
    }
    fn output(data: &mut [f32]) -> Output<'_> {
        Output::F32(data)
    }
}

/// One tensor from outside, in the element type its port declares.
#[derive(Clone, Debug)]
pub(crate) enum Column {
    F64(Vec<f64>),
    F32(Vec<f32>),
    I64(Vec<i64>),
    Bool(Vec<u8>),
}

impl Column {
    /// `len` zeros.
    pub fn zeros(dtype: DType, len: usize) -> Column {
        match dtype {
            DType::F64 => Column::F64(vec![0.0; len]),
            DType::F32 => Column::F32(vec![0.0; len]),
            DType::I64 => Column::I64(vec![0; len]),
            DType::Bool => Column::Bool(vec![0; len]),
        }
    }

    /// Writes `values`, converted, to every `stride`-th place from `first` on.
    pub fn set(&mut self, values: &[f64], first: usize, stride: usize) {
        fn write<T>(to: &mut [T], from: &[f64], first: usize, stride: usize, as_t: impl Fn(f64) -> T) {
            let places = to.iter_mut().skip(first).step_by(stride);
            places.zip(from).for_each(|(to, from)| *to = as_t(*from));
        }
        match self {
            Column::F64(to) => write(to, values, first, stride, |v| v),
            Column::F32(to) => write(to, values, first, stride, |v| v as f32),
            Column::I64(to) => write(to, values, first, stride, |v| v as i64),
            Column::Bool(to) => write(to, values, first, stride, |v| u8::from(v != 0.0)),
        }
    }

    /// Gives lane `lane` the numbers of lane `other` of `from`: columns of `width` lanes and one element type.
    pub fn take_lane(&mut self, lane: usize, from: &Column, other: usize, width: usize) {
        match (self, from) {
            (Column::F64(to), Column::F64(from)) => take_lane(to, lane, from, other, width),
            (Column::F32(to), Column::F32(from)) => take_lane(to, lane, from, other, width),
            (Column::I64(to), Column::I64(from)) => take_lane(to, lane, from, other, width),
            (Column::Bool(to), Column::Bool(from)) => take_lane(to, lane, from, other, width),
            (Column::F64(_) | Column::F32(_) | Column::I64(_) | Column::Bool(_), _) => {
                crate::bug!("columns of two element types")
            }
        }
    }

    /// As an input of a call.
    pub fn input(&self) -> Input<'_> {
        match self {
            Column::F64(values) => Input::F64(values),
            Column::F32(values) => Input::F32(values),
            Column::I64(values) => Input::I64(values),
            Column::Bool(values) => Input::Bool(values),
        }
    }
}

/// Gives lane `lane` of `to` the numbers of lane `other` of `from`, of `width` lanes each.
pub(crate) fn take_lane<T: Copy>(to: &mut [T], lane: usize, from: &[T], other: usize, width: usize) {
    let from = from.iter().skip(other).step_by(width);
    to.iter_mut().skip(lane).step_by(width).zip(from).for_each(|(to, from)| *to = *from);
}

/// Everything a plan takes from outside, in the order of `Program::data`. Clones share the tensors.
#[derive(Clone, Debug, Default)]
pub struct Data {
    columns: Vec<Arc<Column>>,
    /// Which of many runs it is for: what the paths of noises are keyed by.
    pub member: u64,
    /// Entries of the main run's start that are given instead of computed: where they begin among the
    /// unknowns, and their numbers.
    pub start: Option<(usize, Vec<f64>)>,
    /// Where the main run begins instead of at its start, and what it takes along from before.
    pub resume: Option<(f64, Option<Carried>)>,
}

impl Data {
    /// The values of `ports`, row-major. `values[i]` has the length of port `i`'s shape.
    pub fn new(ports: &[DataPort], values: &[Vec<f64>]) -> Data {
        let column = |(port, values): (&DataPort, &Vec<f64>)| column(port, values);
        Data { columns: ports.iter().zip(values).map(column).collect(), ..Data::default() }
    }

    /// Replaces the values of port number `number`, which is `port`.
    pub fn set(&mut self, number: usize, port: &DataPort, values: &[f64]) {
        self.columns[number] = column(port, values);
    }

    /// The same for run number `member`.
    #[must_use]
    pub fn of_member(self, member: u64) -> Data {
        Data { member, ..self }
    }

    /// The same with the entries of the start from `at` on given.
    #[must_use]
    pub fn starting(self, at: usize, numbers: Vec<f64>) -> Data {
        Data { start: Some((at, numbers)), ..self }
    }

    /// The tensors of ports in `own`, `[len, width]` with these values in every lane; the others empty.
    pub(crate) fn in_lanes(&self, own: &[bool], width: usize) -> Data {
        fn repeated<V: Copy>(values: &[V], count: usize) -> Vec<V> {
            values.iter().flat_map(|value| std::iter::repeat_n(*value, count)).collect()
        }
        let column = |(column, own): (&Arc<Column>, &bool)| {
            let count = if *own { width } else { 0 };
            Arc::new(match &**column {
                Column::F64(values) => Column::F64(repeated(values, count)),
                Column::F32(values) => Column::F32(repeated(values, count)),
                Column::I64(values) => Column::I64(repeated(values, count)),
                Column::Bool(values) => Column::Bool(repeated(values, count)),
            })
        };
        Data { columns: self.columns.iter().zip(own).map(column).collect(), ..Data::default() }
    }

    /// Puts the tensors of `one` at ports in `own` into lane `lane` of these, which are in lanes.
    pub(crate) fn put_lane(&mut self, (lane, width): (usize, usize), one: &Data, own: &[bool]) {
        fn put<V: Copy>(values: &[V], all: &mut [V], lane: usize, width: usize) {
            all.iter_mut().skip(lane).step_by(width).zip(values).for_each(|(to, value)| *to = *value);
        }
        let both = self.columns.iter_mut().zip(&one.columns).zip(own);
        for ((all, one), _) in both.filter(|(_, own)| **own) {
            match (Arc::make_mut(all), &**one) {
                (Column::F64(all), Column::F64(one)) => put(one, all, lane, width),
                (Column::F32(all), Column::F32(one)) => put(one, all, lane, width),
                (Column::I64(all), Column::I64(one)) => put(one, all, lane, width),
                (Column::Bool(all), Column::Bool(one)) => put(one, all, lane, width),
                _ => crate::bug!("two examples whose data are of different types"),
            }
        }
    }

    /// The tensors as inputs of a call.
    pub fn inputs(&self) -> impl Iterator<Item = Input<'_>> {
        self.columns.iter().map(|column| column.input())
    }
}

fn column(port: &DataPort, values: &[f64]) -> Arc<Column> {
    assert_eq!(port.ty.shape.count(), values.len(), "elements of `{}`", port.path);
    let mut column = Column::zeros(port.ty.dtype, values.len());
    column.set(values, 0, 1);
    Arc::new(column)
}

/// The elements of an input as `f64`.
pub(crate) fn wide(input: &Input<'_>) -> Vec<f64> {
    match input {
        Input::F64(values) => values.to_vec(),
        Input::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
        Input::I64(values) => values.iter().map(|value| *value as f64).collect(),
        Input::Bool(values) => values.iter().map(|value| f64::from(*value)).collect(),
    }
}

/// Inputs of a call.
pub type Inputs<'a> = SmallVec<[Input<'a>; 16]>;

/// A compiled function.
#[derive(Clone)]
pub struct Kernel {
    executable: Arc<dyn Executable>,
    index: usize,
}

impl Kernel {
    /// Calls it. Operands and results as the function declares them; see [`Executable::call`].
    pub fn call(&self, inputs: &[Input<'_>], outputs: &mut [Output<'_>], workspace: &mut Workspace) {
        self.executable.call(self.index, inputs, outputs, workspace);
    }

    /// The same with operands in two parts; see [`Executable::call_in_parts`].
    pub(crate) fn call_in_parts(
        &self,
        now: &[Input<'_>],
        rest: &[Input<'_>],
        outputs: &mut [Output<'_>],
        workspace: &mut Workspace,
    ) {
        self.executable.call_in_parts(self.index, now, rest, outputs, workspace);
    }
}

/// Compiles functions whose requests for derivatives have been resolved.
pub fn compile<const N: usize>(funcs: [&Func; N], backend: &dyn Backend) -> Result<[Kernel; N], PlanError> {
    let module = || -> Result<LoopModule, PlanError> {
        let lowered = funcs.iter().map(|func| lowered(func, backend));
        Ok(LoopModule { funcs: lowered.collect::<Result<_, _>>()? })
    };
    let executable = match backend.keeping() {
        Some(keeping) => {
            keeping.executable(&funcs.map(Func::content), &funcs.map(|func| &*func.name), module)?
        }
        None => backend.compile(Arc::new(module()?))?,
    };
    Ok(std::array::from_fn(|index| Kernel { executable: executable.clone(), index }))
}

/// The loops of a function, in the form in which the code of this back end is fastest.
fn lowered(func: &Func, backend: &dyn Backend) -> Result<LoopFunc, LowerError> {
    let target = backend.target();
    let usual = lower::lower(func, target)?;
    if !backend.is_wide() || !has_rows(func) {
        return Ok(usual);
    }
    let rows = lower::lower_within(func, target, 1)?;
    Ok(if backend.goes_along(&rows, &usual) { rows } else { usual })
}

/// Whether most of what a function computes are elements of values that have many.
fn has_rows(func: &Func) -> bool {
    const MANY: usize = 6;
    let counts = || func.nodes.iter().map(|node| node.ty.shape.count());
    2 * counts().filter(|count| *count >= MANY).sum::<usize>() > counts().sum()
}

/// A compiled function of several examples.
#[derive(Clone)]
pub struct LaneKernel {
    executable: Arc<dyn LaneExecutable>,
    index: usize,
}

impl LaneKernel {
    /// How many examples a call takes.
    pub fn width(&self) -> usize {
        self.executable.width()
    }

    /// Calls it for all lanes. Operands and results as the function declares them, spread as they
    /// were said to be; see [`LaneExecutable::call`].
    pub fn call(&self, inputs: &[Input<'_>], outputs: &mut [Output<'_>], workspace: &mut Workspace) {
        self.executable.call(self.index, inputs, outputs, workspace);
    }
}

/// Compiles what `lowered` gives, a function called `name` that computes what `content` says, for as many examples
/// at once as fill a vector of `dtype`.
pub fn compile_lowered(
    name: &str,
    content: impl Hash,
    lowered: impl FnOnce() -> LaneFunc,
    dtype: DType,
    backend: &dyn Backend,
) -> Result<LaneKernel, PlanError> {
    let (width, target) = (lanes::width(dtype), backend.lane_target(dtype));
    let lowered = || Ok::<_, PlanError>(vec![lowered()]);
    let executable = match backend.keeping() {
        Some(keeping) => keeping.lane_executable(&(target, name, content), &[name], width, lowered)?,
        None => backend.compile_lanes(lowered()?, width)?,
    };
    Ok(LaneKernel { executable, index: 0 })
}

/// Compiles functions as [`compile`] does, for as many examples at once as fill a vector of `dtype`.
/// With each comes what its operands and its results are to the examples.
pub fn compile_lanes<const N: usize>(
    funcs: [(&Func, Vec<Spread>, Vec<Spread>); N],
    dtype: DType,
    backend: &dyn Backend,
) -> Result<[LaneKernel; N], PlanError> {
    let width = lanes::width(dtype);
    let target = backend.lane_target(dtype);
    let names = funcs.each_ref().map(|(func, ..)| &*func.name);
    let content = funcs.each_ref().map(|(func, inputs, outputs)| (func.content(), inputs, outputs));
    let lowered = || -> Result<Vec<LaneFunc>, PlanError> {
        let lowered = funcs.iter().map(|(func, inputs, outputs)| {
            let func = lower::lower(func, target)?;
            Ok(LaneFunc { func, inputs: inputs.clone(), outputs: outputs.clone() })
        });
        lowered.collect()
    };
    let executable = match backend.keeping() {
        Some(keeping) => keeping.lane_executable(&(target, content), &names, width, lowered)?,
        None => backend.compile_lanes(lowered()?, width)?,
    };
    Ok(std::array::from_fn(|index| LaneKernel { executable: executable.clone(), index }))
}
