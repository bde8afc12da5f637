//! Random functions of the tensor IR.

use crate::op_samples::Stream;
use nodec::ir::builder::Builder;
use nodec::ir::func::{Attr, Contraction, Func, ValueId};
use nodec::ir::op::Op;
use nodec::ir::tensor::Tensor;
use nodec::ir::types::{DType, Shape, Type};
use std::sync::Arc;

/// Which ops a program is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ops {
    /// Exactly rounded ones, reductions and contractions included.
    Exact,
    /// Exactly rounded ones that round once.
    ExactOnce,
    /// Continuous ones without poles.
    Smooth,
    /// All.
    All,
}

const EXACT: [Op; 6] = [Op::Neg, Op::Abs, Op::Sqrt, Op::Sign, Op::Floor, Op::StopGradient];
const SMOOTH: [Op; 6] = [Op::Tanh, Op::Sin, Op::Sigmoid, Op::Erf, Op::Atan, Op::Cos];
const OTHER: [Op; 12] = [
    Op::Exp,
    Op::Expm1,
    Op::Log,
    Op::Log1p,
    Op::Tan,
    Op::Asin,
    Op::Acos,
    Op::Sinh,
    Op::Cosh,
    Op::Softplus,
    Op::Sqrt,
    Op::Floor,
];

struct Program {
    b: Builder,
    stream: Stream,
    ops: Ops,
    values: Vec<ValueId>,
    indices: Vec<ValueId>,
}

/// A function of several results, and arguments for it.
pub fn program(seed: u64, dtype: DType, ops: Ops) -> (Func, Vec<Tensor>) {
    const SHAPES: [&[usize]; 9] = [&[], &[3], &[4], &[2, 3], &[3, 4], &[5, 5], &[40], &[2, 3, 4], &[7, 1, 5]];
    let mut program =
        Program { b: Builder::new("random"), stream: Stream(seed), ops, values: vec![], indices: vec![] };
    let mut args = Vec::new();
    for number in 0..4 {
        let ty = Type::new(dtype, SHAPES[program.below(SHAPES.len())]);
        let data = (0..ty.shape.count()).map(|_| program.stream.uniform(-2.0, 2.0));
        let round = |x: f64| if dtype == DType::F32 { f64::from(x as f32) } else { x };
        args.push(Tensor::new(ty.clone(), data.map(round).collect()));
        let x = program.b.param(format!("x{number}"), ty);
        program.values.push(x);
    }
    let index = Type::new(DType::I64, &[4]);
    let x = program.b.param("index", index.clone());
    program.indices.push(x);
    args.push(Tensor::new(index, vec![2.0, 0.0, 1.0, 2.0]));
    for _ in 0..25 {
        if let Some(y) = program.step() {
            let (ty, float) = (program.b.ty(y).clone(), program.b.ty(y).dtype.is_float());
            if float && ty.shape.count() <= 300 {
                program.values.push(y);
            }
        }
    }
    let mut results = vec![*program.values.last().expect("parameters")];
    for _ in 0..3 {
        results.push(program.pick());
    }
    let named = results.into_iter().enumerate().map(|(i, y)| (Arc::from(format!("y{i}")), y)).collect();
    (program.b.finish(named), args)
}

impl Program {
    fn below(&mut self, n: usize) -> usize {
        (self.stream.uniform(0.0, n as f64) as usize).min(n - 1)
    }

    fn pick(&mut self) -> ValueId {
        let n = self.values.len();
        let at = self.below(n).max(self.below(n));
        self.values[at]
    }

    /// A value of the shape of `x`, if another one is found.
    fn like(&mut self, x: ValueId) -> ValueId {
        for _ in 0..10 {
            let y = self.pick();
            if self.b.shape(y) == self.b.shape(x) {
                return y;
            }
        }
        x
    }

    fn try_op(&mut self, op: Op, args: &[ValueId], attr: Attr) -> Option<ValueId> {
        self.b.op(op, args, attr).ok()
    }

    fn step(&mut self) -> Option<ValueId> {
        let x = self.pick();
        let y = self.like(x);
        let dims = self.b.shape(x).0.clone();
        let rank = dims.len();
        let axis = if rank > 0 { self.below(rank) } else { 0 };
        match self.below(18) {
            0 => {
                let family: &[Op] = match (self.ops, self.below(2)) {
                    (Ops::Exact | Ops::ExactOnce, _) => &EXACT,
                    (Ops::Smooth, _) | (Ops::All, 0) => &SMOOTH,
                    (Ops::All, _) => &OTHER,
                };
                let op = family[self.below(family.len())];
                self.try_op(op, &[x], Attr::None)
            }
            1..=5 => {
                let op = [Op::Add, Op::Sub, Op::Mul, Op::Min, Op::Max][self.below(5)];
                self.try_op(op, &[x, y], Attr::None)
            }
            6 => {
                let count = dims.iter().product::<usize>();
                let two = [count / 2, 2];
                let shape = match self.below(3) {
                    0 if count % 2 == 0 => Shape::new(&two),
                    1 => Shape::new(&[1, count, 1]),
                    _ => Shape::new(&[count]),
                };
                self.try_op(Op::Reshape, &[x], Attr::Shape(shape))
            }
            7 => {
                let axes = (0..rank as u32).rev().collect();
                self.try_op(Op::Permute, &[x], Attr::Axes(axes))
            }
            8 => {
                let mut shape = dims.clone();
                let at = self.below(rank + 1);
                shape.insert(at, 2 + self.below(2));
                let axes = (0..=rank as u32).filter(|axis| *axis as usize != at).collect();
                self.try_op(Op::Broadcast, &[x], Attr::Broadcast { shape: Shape(shape), axes })
            }
            9 => {
                let ranges = dims.iter().map(|dim| {
                    let lo = self.below(*dim + 1);
                    (lo as u32, (lo + self.below(dim - lo + 1)) as u32)
                });
                let ranges = Attr::Ranges(ranges.collect());
                self.try_op(Op::Slice, &[x], ranges)
            }
            10 => self.try_op(Op::Concat, &[x, y, x], Attr::Axis(axis as u32)),
            11 => {
                let pads = dims.iter().map(|_| (self.below(2) as u32, self.below(3) as u32)).collect();
                self.try_op(Op::Pad, &[x], Attr::Pads(pads))
            }
            12 if rank > 0 => self.try_op(Op::Reverse, &[x], Attr::Axes([axis as u32].as_slice().into())),
            13 if self.ops != Ops::ExactOnce => {
                let all: Vec<u32> = (0..rank as u32).collect();
                let axes = if self.below(2) == 0 { all } else { [axis as u32][..rank.min(1)].to_vec() };
                let op = [Op::Sum, Op::Product, Op::ReduceMax, Op::ReduceMin][self.below(4)];
                self.try_op(op, &[x], Attr::Axes(axes.into()))
            }
            14 if self.ops != Ops::ExactOnce => {
                let y = self.pick();
                let other = self.b.shape(y).rank();
                // The last axis of x with the first of y, where they agree; else the outer product.
                let shared = rank > 0 && other > 0 && dims[rank - 1] == self.b.shape(y).0[0];
                let lhs: Vec<u8> = (0..rank as u8).collect();
                let start = if shared { rank as u8 - 1 } else { rank as u8 };
                let rhs: Vec<u8> = (start..start + other as u8).collect();
                let kept = |letter: &u8| !(shared && *letter == start);
                let out: Vec<u8> = lhs
                    .iter()
                    .copied()
                    .filter(kept)
                    .chain(rhs.iter().copied().filter(|l| kept(l) && !lhs.contains(l)))
                    .collect();
                let spec = Contraction { lhs: lhs.into(), rhs: rhs.into(), out: out.into() };
                self.try_op(Op::Contract, &[x, y], Attr::Contract(spec))
            }
            15 if rank > 0 && dims[0] >= 3 => {
                let index = self.indices[0];
                self.try_op(Op::Gather, &[x, index], Attr::None)
            }
            16 if self.ops != Ops::ExactOnce && rank > 0 && dims[0] == 4 => {
                let mut shape = dims.clone();
                shape[0] = 3;
                let index = self.indices[0];
                self.try_op(Op::ScatterAdd, &[x, index], Attr::Shape(Shape(shape)))
            }
            17 if self.ops != Ops::Smooth => {
                let z = self.like(x);
                let condition = self.try_op(Op::Lt, &[x, y], Attr::None)?;
                self.try_op(Op::Select, &[condition, z, y], Attr::None)
            }
            _ => {
                let ty = self.b.ty(x).clone();
                let elements: Vec<f64> =
                    (0..ty.shape.count()).map(|i| f64::from(i as u32 % 5) - 1.5).collect();
                let c = self.b.constant(&elements, ty);
                self.try_op(Op::Mul, &[c, x], Attr::None)
            }
        }
    }
}
