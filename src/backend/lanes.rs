//! Functions of one example, called for several at once.
//!
//! A [`LaneFunc`] is a [`LoopFunc`] and what its buffers are to many examples: the same for all of
//! them, or one for each, *in lanes*, with the lane as the fastest axis. Every lane gets the bits
//! that the function gives alone. An output can also be a sum over the lanes, in the order of one
//! binary tree, so that its bits depend on nothing but its terms.
//!
//! [`one_by_one`] does this with any back end, a lane at a time: it says what is meant, and serves
//! where there is no wide code.

use crate::backend::object::{LaneObject, LanePiece, Object, Spreads};
use crate::backend::{CompileError, Executable, Input, Output, Signature, Workspace};
use crate::lower::loops::{DType, LoopFunc, LoopModule};
use std::sync::Arc;

/// What a buffer is to many examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spread {
    /// One for all of them, `[len]`; inputs only.
    Shared,
    /// One for each, `[len, width]`.
    Lanes,
    /// `[len]`, to which the sum over the lanes is added; float outputs only, each element of which the
    /// function stores once, as `lower` does. The sum is that of a binary tree: lanes that are
    /// neighbours first, then twos of these, and so on, so that lanes that a machine does together come
    /// together.
    Sum,
}

/// A function to be called for several examples at once.
#[derive(Clone, Debug)]
pub struct LaneFunc {
    /// For one example.
    pub func: LoopFunc,
    /// What each input is, in call order.
    pub inputs: Vec<Spread>,
    /// What each output is, in call order.
    pub outputs: Vec<Spread>,
}

/// Compiled functions of several examples. Calls may run on many threads at once, each with its own
/// workspace.
pub trait LaneExecutable: Send + Sync {
    /// What function number `func` takes and gives, all lanes together.
    fn signature(&self, func: usize) -> &Signature;
    /// How many examples a call takes: a power of two.
    fn width(&self) -> usize;
    /// Runs function number `func` for all lanes. Panics if number, type or length of the arguments
    /// differ from its declaration.
    fn call(&self, func: usize, inputs: &[Input<'_>], outputs: &mut [Output<'_>], workspace: &mut Workspace);
}

/// The lanes that functions of a run in this precision are called for: one 512-bit vector of `f32`, two
/// of `f64`, or more of a machine whose vectors are shorter. The same on every machine, since the order
/// of sums over lanes depends on it.
pub fn width(dtype: DType) -> usize {
    match dtype {
        DType::F32 | DType::F64 | DType::I64 | DType::Bool => 16,
    }
}

/// `funcs` for `width` examples by way of `compile`, which makes code for one.
pub fn one_by_one(
    funcs: Vec<LaneFunc>,
    width: usize,
    compile: impl FnOnce(Arc<LoopModule>) -> Result<Arc<dyn Executable>, CompileError>,
) -> Result<Arc<dyn LaneExecutable>, CompileError> {
    let (spreads, module) = apart(funcs, width);
    Ok(Arc::new(OneByOne::new(spreads, width, compile(Arc::new(module))?)))
}

/// The same as data.
pub(super) fn object(
    funcs: Vec<LaneFunc>,
    width: usize,
    object: impl FnOnce(&LoopModule) -> Result<Object, CompileError>,
) -> Result<LaneObject, CompileError> {
    let (spreads, module) = apart(funcs, width);
    let pieces = spreads.into_iter().map(LanePiece::Narrow).collect();
    Ok(LaneObject { width, pieces, narrow: object(&module)? })
}

fn apart(funcs: Vec<LaneFunc>, width: usize) -> (Vec<Spreads>, LoopModule) {
    assert!(width.is_power_of_two(), "{width} lanes");
    funcs.iter().for_each(LaneFunc::check);
    let parts = funcs.into_iter().map(LaneFunc::into_parts);
    let (spreads, funcs) = parts.unzip();
    (spreads, LoopModule { funcs })
}

impl LaneFunc {
    pub(super) fn into_parts(self) -> (Spreads, LoopFunc) {
        (Spreads { inputs: self.inputs, outputs: self.outputs }, self.func)
    }

    /// Panics unless every buffer is what its place and type allow.
    pub fn check(&self) {
        let LaneFunc { func, inputs, outputs } = self;
        let numbers = (func.inputs.len(), func.outputs.len());
        assert_eq!((inputs.len(), outputs.len()), numbers, "spreads of `{}`", func.name);
        assert!(!inputs.contains(&Spread::Sum), "an input of `{}` as a sum", func.name);
        for (id, spread) in func.outputs.iter().zip(outputs) {
            let float = func.buffers[*id].dtype.is_float();
            assert!(
                *spread == Spread::Lanes || (*spread == Spread::Sum && float),
                "an output of `{}` as {spread:?}",
                func.name
            );
        }
    }
}

/// Lane after lane.
pub(super) struct OneByOne {
    spreads: Vec<Spreads>,
    signatures: Vec<Signature>,
    width: usize,
    executable: Arc<dyn Executable>,
}

/// The elements of one lane, or a sum of some lanes.
#[derive(Clone)]
enum Column {
    F64(Vec<f64>),
    F32(Vec<f32>),
    I64(Vec<i64>),
    Bool(Vec<u8>),
}

impl OneByOne {
    /// The functions of `executable`.
    pub(super) fn new(spreads: Vec<Spreads>, width: usize, executable: Arc<dyn Executable>) -> OneByOne {
        let each = spreads.iter().enumerate().map(|(func, Spreads { inputs, outputs })| {
            executable.signature(func).clone().in_lanes(inputs, outputs, width)
        });
        OneByOne { signatures: each.collect(), spreads, width, executable }
    }
}

impl LaneExecutable for OneByOne {
    fn signature(&self, func: usize) -> &Signature {
        &self.signatures[func]
    }

    fn width(&self) -> usize {
        self.width
    }

    fn call(&self, func: usize, inputs: &[Input<'_>], outputs: &mut [Output<'_>], workspace: &mut Workspace) {
        let spreads = &self.spreads[func];
        self.signatures[func].check(inputs, &[], outputs);
        let declared = self.executable.signature(func);
        // Sums of lanes by how many lanes are in them: equal ones are added, the earlier first.
        let mut sums: Vec<(usize, Vec<Option<Column>>)> = Vec::new();
        for lane in 0..self.width {
            let own: Vec<Option<Column>> = (inputs.iter().zip(&spreads.inputs))
                .map(|(input, spread)| {
                    (*spread == Spread::Lanes).then(|| Column::of_lane(input, lane, self.width))
                })
                .collect();
            let arguments: Vec<Input<'_>> = (inputs.iter().zip(&own))
                .map(|(input, own)| own.as_ref().map_or(*input, Column::input))
                .collect();
            let mut results: Vec<Column> =
                (declared.outputs.iter()).map(|(dtype, len)| Column::zeros(*dtype, *len)).collect();
            let mut places: Vec<Output<'_>> = results.iter_mut().map(Column::output).collect();
            self.executable.call(func, &arguments, &mut places, workspace);
            let each = outputs.iter_mut().zip(&spreads.outputs).zip(results);
            let terms = each.map(|((output, spread), result)| match spread {
                Spread::Sum => Some(result),
                Spread::Lanes | Spread::Shared => {
                    result.to_lane(output, lane, self.width);
                    None
                }
            });
            let (mut count, mut terms) = (1, terms.collect::<Vec<_>>());
            while let Some((_, before)) = sums.pop_if(|(known, _)| *known == count) {
                terms = (before.into_iter().zip(terms)).map(|(a, b)| Some(a?.plus(&b?))).collect();
                count *= 2;
            }
            sums.push((count, terms));
        }
        let (_, total) = sums.pop().expect("a call has lanes");
        for (output, sum) in outputs.iter_mut().zip(total) {
            if let Some(sum) = sum {
                sum.add_to(output);
            }
        }
    }
}

impl Column {
    fn zeros(dtype: DType, len: usize) -> Column {
        match dtype {
            DType::F64 => Column::F64(vec![0.0; len]),
            DType::F32 => Column::F32(vec![0.0; len]),
            DType::I64 => Column::I64(vec![0; len]),
            DType::Bool => Column::Bool(vec![0; len]),
        }
    }

    fn of_lane(input: &Input<'_>, lane: usize, width: usize) -> Column {
        fn every<T: Copy>(all: &[T], lane: usize, width: usize) -> Vec<T> {
            all.iter().skip(lane).step_by(width).copied().collect()
        }
        match input {
            Input::F64(all) => Column::F64(every(all, lane, width)),
            Input::F32(all) => Column::F32(every(all, lane, width)),
            Input::I64(all) => Column::I64(every(all, lane, width)),
            Input::Bool(all) => Column::Bool(every(all, lane, width)),
        }
    }

    fn to_lane(&self, output: &mut Output<'_>, lane: usize, width: usize) {
        fn every<T: Copy>(from: &[T], all: &mut [T], lane: usize, width: usize) {
            all.iter_mut().skip(lane).step_by(width).zip(from).for_each(|(to, from)| *to = *from);
        }
        match (self, output) {
            (Column::F64(from), Output::F64(all)) => every(from, all, lane, width),
            (Column::F32(from), Output::F32(all)) => every(from, all, lane, width),
            (Column::I64(from), Output::I64(all)) => every(from, all, lane, width),
            (Column::Bool(from), Output::Bool(all)) => every(from, all, lane, width),
            _ => crate::bug!("the layouts were checked"),
        }
    }

    fn input(&self) -> Input<'_> {
        match self {
            Column::F64(data) => Input::F64(data),
            Column::F32(data) => Input::F32(data),
            Column::I64(data) => Input::I64(data),
            Column::Bool(data) => Input::Bool(data),
        }
    }

    fn output(&mut self) -> Output<'_> {
        match self {
            Column::F64(data) => Output::F64(data),
            Column::F32(data) => Output::F32(data),
            Column::I64(data) => Output::I64(data),
            Column::Bool(data) => Output::Bool(data),
        }
    }

    fn plus(mut self, other: &Column) -> Column {
        match (&mut self, other) {
            (Column::F64(sum), Column::F64(term)) => sum.iter_mut().zip(term).for_each(|(s, t)| *s += t),
            (Column::F32(sum), Column::F32(term)) => sum.iter_mut().zip(term).for_each(|(s, t)| *s += t),
            _ => crate::bug!("a sum over lanes is of floats"),
        }
        self
    }

    fn add_to(&self, output: &mut Output<'_>) {
        match (self, output) {
            (Column::F64(term), Output::F64(sum)) => sum.iter_mut().zip(term).for_each(|(s, t)| *s += t),
            (Column::F32(term), Output::F32(sum)) => sum.iter_mut().zip(term).for_each(|(s, t)| *s += t),
            _ => crate::bug!("a sum over lanes is of floats"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Backend, cranelift::Cranelift};
    use crate::lower::code::Code;
    use crate::lower::loops::{BufferKind, Index, Prim};

    /// `x, w -> y = x·w`, one element each.
    fn product(target: crate::lower::loops::Target) -> LoopFunc {
        let code = Code::new(target);
        let x = code.buffer("x", DType::F64, 1, BufferKind::Input);
        let w = code.buffer("w", DType::F64, 1, BufferKind::Input);
        let y = code.buffer("y", DType::F64, 1, BufferKind::Output);
        let product = code.op(Prim::Mul, &[code.load(x, Index::default()), code.load(w, Index::default())]);
        code.store(y, Index::default(), product);
        code.finish("product")
    }

    #[test]
    fn lanes_and_sums() {
        let backend = Cranelift;
        let func = product(backend.target());
        let lane = |output| LaneFunc {
            func: func.clone(),
            inputs: vec![Spread::Lanes, Spread::Shared],
            outputs: vec![output],
        };
        let funcs = vec![lane(Spread::Lanes), lane(Spread::Sum)];
        let made = one_by_one(funcs, 8, |module| backend.compile(module)).unwrap();
        // 0.1, 0.2, … do not add exactly: the order shows.
        let x: Vec<f64> = (0..8).map(|lane| 0.1 * f64::from(lane)).collect();
        let (mut y, mut sum, mut workspace) = ([0.0; 8], [1.0], Workspace::default());
        made.call(0, &[Input::F64(&x), Input::F64(&[3.0])], &mut [Output::F64(&mut y)], &mut workspace);
        assert_eq!(y.to_vec(), x.iter().map(|x| 3.0 * x).collect::<Vec<f64>>());
        made.call(1, &[Input::F64(&x), Input::F64(&[3.0])], &mut [Output::F64(&mut sum)], &mut workspace);
        let twos = [y[0] + y[1], y[2] + y[3], y[4] + y[5], y[6] + y[7]];
        let tree = (twos[0] + twos[1]) + (twos[2] + twos[3]);
        assert_eq!(sum[0], 1.0 + tree);
    }
}
